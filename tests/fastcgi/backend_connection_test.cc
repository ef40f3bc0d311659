#include "proxy/fastcgi/backend_connection.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <optional>
#include <string>
#include <vector>

#include "proxy/fastcgi/record.h"
#include "proxy/socket.h"

namespace serin {
namespace {

class TestOwner final : public BackendOwner {
 public:
  void OnConnectionFree(BackendConnection&, Ended how) override { ended = how; }
  std::optional<Ended> ended;
};

class TestUser final : public BackendUser {
 public:
  void OnStdout(std::string_view bytes) override { answer.append(bytes); }
  void OnStderr(std::string_view) override {}
  void OnBlock() override {}
  void OnBackendEnd() override { whole = true; }
  void OnBackendError(BackendError, bool) override { failed = true; }
  std::string answer;
  bool whole = false, failed = false;
};

class BackendConnectionTest : public testing::Test {
 protected:
  BackendConnectionTest() {
    char folder[] = "/tmp/serin-backend-XXXXXX";
    folder_ = ::mkdtemp(folder);
    ListenerSettings listener;
    listener.address = {
        .kind = SocketAddress::Kind::kUnix, .host = "", .port = 0, .path = folder_ + "/pool.sock"};
    listener_ = *Listen(listener);
    settings_.address = listener.address;
    EXPECT_EQ(connection_.Connect(settings_), BackendError::kNone);
    pool_.Reset(::accept4(listener_.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
  }
  ~BackendConnectionTest() override {
    connection_.Close();
    ::unlink(settings_.address.path.c_str());
    ::rmdir(folder_.c_str());
  }

  void Send(std::string_view params) {
    connection_.send_buffer().assign(params);
    connection_.Send(user_, body_, settings_);
  }
  std::string Arrived() const {
    char text[4096];
    const ssize_t n = ::recv(pool_.get(), text, sizeof text, MSG_DONTWAIT);
    return n > 0 ? std::string(text, static_cast<size_t>(n)) : std::string();
  }

  static size_t SizeAt(std::string_view records, size_t at) {
    return static_cast<size_t>(static_cast<uint8_t>(records[at + 4])) << 8 |
           static_cast<uint8_t>(records[at + 5]);
  }
  // Has the empty STDIN record come?
  static bool Ends(std::string_view all) {
    size_t at = 1;
    while (at + kRecordHeaderSize <= all.size() && SizeAt(all, at) > 0)
      at += kRecordHeaderSize + SizeAt(all, at);
    return at + kRecordHeaderSize == all.size();
  }
  static std::string ContentOf(std::string_view records) {
    std::string content;
    for (size_t at = 0; at + kRecordHeaderSize <= records.size();
         at += kRecordHeaderSize + SizeAt(records, at))
      content += records.substr(at + kRecordHeaderSize, SizeAt(records, at));
    return content;
  }

  EventLoop loop_;
  TimerWheel wheel_{Instant::Now()};
  std::vector<char> receive_ = std::vector<char>(4096), send_ = std::vector<char>(64 * 1024);
  BackendHost host_{loop_, wheel_, receive_, send_};
  TestOwner owner_;
  TestUser user_;
  PoolSettings settings_;
  Spool::Limits limits_;
  Spool body_{limits_};
  std::string folder_;
  UniqueFd listener_, pool_;
  BackendConnection connection_{host_, owner_};
};

TEST_F(BackendConnectionTest, ARequestLeavesAtTheEndOfTheTurn) {
  Send("params");
  EXPECT_EQ(Arrived(), "");
  loop_.RunTurnEnd();
  std::string expected = "params";
  AppendStdinEnd(expected, connection_.request_id());
  EXPECT_EQ(Arrived(), expected);
  EXPECT_FALSE(owner_.ended);
}

TEST_F(BackendConnectionTest, ARequestGivenUpBeforeThatLeavesTheConnectionAsGoodAsBefore) {
  Send("never sent");
  connection_.Abort();
  EXPECT_EQ(owner_.ended, Ended::kWhole);
  connection_.WaitIdle(Instant::Now() + absl::Seconds(10));
  loop_.RunTurnEnd();
  EXPECT_EQ(Arrived(), "");
  Send("params");
  loop_.RunTurnEnd();
  EXPECT_TRUE(Arrived().starts_with("params"));
}

TEST_F(BackendConnectionTest, ARequestGivenUpAfterThatIsReadToItsEnd) {
  Send("params");
  loop_.RunTurnEnd();
  connection_.Abort();
  EXPECT_FALSE(owner_.ended) << "PHP-FPM runs it all the same";
}

TEST_F(BackendConnectionTest, AClosedConnectionSendsNothing) {
  Send("never sent");
  connection_.Close();
  loop_.RunTurnEnd();
  EXPECT_EQ(Arrived(), "");
  EXPECT_FALSE(user_.failed);
}

// Bodies around the limits of one record, of two, of what is in memory, and of a socket.
TEST_F(BackendConnectionTest, BodiesOfAllSizesArriveInRecordsAndMemoryStaysBounded) {
  for (const size_t size : {1UL, kMaxStdin - 1, kMaxStdin, kMaxStdin + 1, 65536UL, 2 * kMaxStdin,
                            2 * kMaxStdin + 1, 3UL * 1024 * 1024}) {
    std::string text(size, '\0');
    for (size_t i = 0; i < size; ++i) text[i] = static_cast<char>('a' + i % 23);
    body_.Clear();
    ASSERT_TRUE(body_.Append(text));
    Send("P");
    std::string arrived;
    size_t most = 0;
    for (int turn = 0; turn < 10000 && !Ends(arrived); ++turn) {
      loop_.RunTurnEnd();
      most = std::max(most, connection_.send_buffer().capacity());
      loop_.Stop();
      loop_.Run();
      for (std::string more = Arrived(); !more.empty(); more = Arrived()) arrived += more;
    }
    ASSERT_TRUE(arrived.starts_with("P"));
    EXPECT_TRUE(ContentOf(arrived.substr(1)) == text) << size;
    EXPECT_LE(most, 512U * 1024) << size;
    connection_.Close();
    EXPECT_EQ(connection_.Connect(settings_), BackendError::kNone);
    pool_.Reset(::accept4(listener_.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
  }
}

}  // namespace
}  // namespace serin
