#include "proxy/accept/connection.h"

#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

#include <functional>
#include <string>
#include <vector>

namespace serin {
namespace {

// Does with what it receives what the test says.
class TestSession final : public Session {
 public:
  using OnBytes = std::function<void(SessionOutput&, std::string_view)>;
  TestSession(SessionOutput& output, const OnBytes& on_bytes) : output_(output), on_bytes_(on_bytes) {}

  void Receive(std::string_view bytes) override { on_bytes_(output_, bytes); }
  bool ReceiveEof() override { return output_.Unsent() == 0; }
  void Abandon() override {}
  void OnSent() override {}
  void OnTimeout() override {}
  void BeginDrain() override {}
  bool WantsRead() const override { return true; }
  SessionPhase phase() const override { return SessionPhase::kIdle; }

 private:
  SessionOutput& output_;
  const OnBytes& on_bytes_;
};

class ConnectionTest : public testing::Test, protected SessionMaker {
 protected:
  ConnectionTest() {
    listener_.Reset(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    address_.sin_family = AF_INET;
    address_.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    ::bind(listener_.get(), reinterpret_cast<sockaddr*>(&address_), sizeof address_);
    socklen_t size = sizeof address_;
    ::getsockname(listener_.get(), reinterpret_cast<sockaddr*>(&address_), &size);
    ::listen(listener_.get(), 128);
  }
  ~ConnectionTest() override {
    host_.table.ForEach([](Connection& connection) { connection.Drop(); });
    loop_.RunTurnEnd();
  }

  // A client that has connected, its other end with us.
  UniqueFd Connect() {
    UniqueFd client(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    EXPECT_EQ(::connect(client.get(), reinterpret_cast<sockaddr*>(&address_), sizeof address_), 0);
    UniqueFd ours(::accept4(listener_.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
    Connection::Start(host_, limits_, std::move(ours), {}, *this);
    return client;
  }

  // All that is ready, and the end of the turn.
  void RunTurn() {
    loop_.Stop();
    loop_.Run();
  }

  std::unique_ptr<Session> MakeSession(Connection& connection, std::string_view) override {
    return std::make_unique<TestSession>(connection, on_bytes_);
  }

  // What has arrived at `client` by now, at most 1 MB.
  static std::string Arrived(const UniqueFd& client) {
    std::string text(1024 * 1024, '\0');
    const ssize_t n = ::recv(client.get(), text.data(), text.size(), MSG_DONTWAIT);
    text.resize(n > 0 ? static_cast<size_t>(n) : 0);
    return text;
  }

  static void Say(const UniqueFd& client, std::string_view text) {
    ASSERT_EQ(::send(client.get(), text.data(), text.size(), 0), static_cast<ssize_t>(text.size()));
  }

  EventLoop loop_;
  TimerWheel wheel_{Instant::Now()};
  std::vector<char> scratch_ = std::vector<char>(64 * 1024);
  ConnectionHost host_{loop_, wheel_, scratch_};
  ClientLimits limits_;
  TestSession::OnBytes on_bytes_;
  UniqueFd listener_;
  sockaddr_in address_{};
};

TEST_F(ConnectionTest, AnswersOfOneTurnLeaveAtItsEnd) {
  const UniqueFd one = Connect(), two = Connect();
  int answered = 0;
  on_bytes_ = [&](SessionOutput& output, std::string_view bytes) {
    output.Write("answer to " + std::string(bytes));
    EXPECT_EQ(output.Unsent(), 11U);
    host_.FlushOutput();
    EXPECT_EQ(output.Unsent(), 11U) << "parked bytes count as unsent";
    EXPECT_EQ(Arrived(one) + Arrived(two), "");
    ++answered;
  };
  Say(one, "1");
  Say(two, "2");
  RunTurn();
  EXPECT_EQ(answered, 2);
  EXPECT_EQ(Arrived(one), "answer to 1");
  EXPECT_EQ(Arrived(two), "answer to 2");
  EXPECT_EQ(host_.sent, 22U);
}

TEST_F(ConnectionTest, FlushSendsAtOnce) {
  const UniqueFd client = Connect();
  on_bytes_ = [&](SessionOutput& output, std::string_view) {
    output.Write("gathered, ");
    output.Flush();
    EXPECT_EQ(Arrived(client), "gathered, ");
    output.Write("parked");
    host_.FlushOutput();
    EXPECT_EQ(Arrived(client), "");
    output.Flush();
    EXPECT_EQ(Arrived(client), "parked");
    EXPECT_EQ(output.Unsent(), 0U);
  };
  Say(client, "x");
  RunTurn();
}

TEST_F(ConnectionTest, LentBytesLeaveBeforeTheyDie) {
  const UniqueFd client = Connect();
  on_bytes_ = [&](SessionOutput& output, std::string_view) {
    std::string body(OutputGather::kCheapToCopy + 1, 'b');
    output.WriteBorrowed(body);
    host_.FlushOutput();
    body.assign(body.size(), 'x');
  };
  Say(client, "x");
  RunTurn();
  EXPECT_EQ(Arrived(client), std::string(OutputGather::kCheapToCopy + 1, 'b'));
}

TEST_F(ConnectionTest, AnAnswerStaysBehindTheOneBeforeIt) {
  const UniqueFd client = Connect();
  on_bytes_ = [&](SessionOutput& output, std::string_view) {
    const std::string large(8 * 1024, '2');
    output.Write("1");
    host_.FlushOutput();
    output.WriteBorrowed(large);
    host_.FlushOutput();
    output.Write("3");
    host_.FlushOutput();
  };
  Say(client, "x");
  RunTurn();
  EXPECT_EQ(Arrived(client), "1" + std::string(8 * 1024, '2') + "3");
}

// More of them, and more bytes, than are ever parked.
TEST_F(ConnectionTest, ManyAnswersOfOneTurnAllArrive) {
  constexpr int kClients = 200;
  std::vector<UniqueFd> clients;
  for (int i = 0; i < kClients; ++i) clients.push_back(Connect());
  on_bytes_ = [&](SessionOutput& output, std::string_view bytes) {
    output.Write(std::string(700, bytes.front()));
    host_.FlushOutput();
  };
  for (int i = 0; i < kClients; ++i)
    Say(clients[static_cast<size_t>(i)], std::string(1, static_cast<char>('a' + i % 26)));
  for (int turn = 0; host_.sent < kClients * 700U && turn < kClients; ++turn) RunTurn();
  for (int i = 0; i < kClients; ++i)
    EXPECT_EQ(Arrived(clients[static_cast<size_t>(i)]), std::string(700, static_cast<char>('a' + i % 26)));
}

// The end of the connection is in the segment of its last bytes: whoever has
// these has seen it, too.
TEST_F(ConnectionTest, TheLastBytesAndTheEndArriveTogether) {
  const UniqueFd client = Connect();
  on_bytes_ = [&](SessionOutput& output, std::string_view) {
    output.Write("bye");
    output.CloseWhenSent();
  };
  Say(client, "x");
  RunTurn();
  EXPECT_EQ(Arrived(client), "bye");
  char more = 0;
  EXPECT_EQ(::recv(client.get(), &more, 1, MSG_DONTWAIT), 0);
  EXPECT_EQ(host_.table.size(), 0);
}

TEST_F(ConnectionTest, WhatIsParkedDiesWithItsConnection) {
  const UniqueFd one = Connect(), two = Connect();
  on_bytes_ = [&](SessionOutput& output, std::string_view bytes) {
    output.Write("answer");
    host_.FlushOutput();
    if (bytes == "reset") output.Reset();
  };
  Say(one, "reset");
  Say(two, "stay");
  RunTurn();
  EXPECT_EQ(Arrived(one), "");
  EXPECT_EQ(Arrived(two), "answer");
  EXPECT_EQ(host_.table.size(), 1);
}

TEST_F(ConnectionTest, WhatTheSocketDoesNotTakeIsKept) {
  const UniqueFd client = Connect();
  const std::string piece(30 * 1024, 'p');
  constexpr size_t kPieces = 400;  // more than two sockets hold
  on_bytes_ = [&](SessionOutput& output, std::string_view) {
    for (size_t i = 0; i < kPieces; ++i) {
      output.Write(piece);
      host_.FlushOutput();
    }
    EXPECT_GT(output.Unsent(), 0U);
  };
  Say(client, "x");
  RunTurn();
  size_t arrived = 0;
  for (int turn = 0; arrived < kPieces * piece.size() && turn < 10000; ++turn) {
    arrived += Arrived(client).size();
    RunTurn();
  }
  EXPECT_EQ(arrived, kPieces * piece.size());
}

}  // namespace
}  // namespace serin
