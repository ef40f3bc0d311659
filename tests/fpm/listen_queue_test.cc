#include "proxy/fpm/listen_queue.h"

#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <string>
#include <vector>

#include "proxy/socket.h"

namespace serin {
namespace {

class ListenQueueTest : public testing::Test {
 protected:
  ListenQueueTest() {
    char folder[] = "/tmp/serin-queue-XXXXXX";
    folder_ = ::mkdtemp(folder);
    settings_.address = {
        .kind = SocketAddress::Kind::kUnix, .host = "", .port = 0, .path = folder_ + "/a.sock"};
  }
  ~ListenQueueTest() override {
    ::unlink(settings_.address.path.c_str());
    ::rmdir(folder_.c_str());
  }
  UniqueFd Connect() {
    const absl::StatusOr<RawAddress> raw = ToRaw(settings_.address);
    UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM, 0));
    EXPECT_EQ(::connect(fd.get(), raw->get(), raw->size), 0);
    return fd;
  }

  std::string folder_;
  ListenerSettings settings_;
};

TEST_F(ListenQueueTest, CountsTheConnectionsThatNobodyHasAccepted) {
  const absl::StatusOr<UniqueFd> listener = Listen(settings_);
  ASSERT_TRUE(listener.ok());
  if (!UnixListenQueue(settings_.address.path)) GTEST_SKIP() << "this kernel does not say (no unix_diag)";
  std::vector<UniqueFd> clients;
  for (uint32_t waiting = 0; waiting < 3; ++waiting) {
    EXPECT_EQ(UnixListenQueue(settings_.address.path), waiting);
    clients.push_back(Connect());
  }
  const UniqueFd accepted(::accept(listener->get(), nullptr, nullptr));
  EXPECT_EQ(UnixListenQueue(settings_.address.path), 2U);
  EXPECT_EQ(UnixListenQueue(folder_ + "/./a.sock"), 2U) << "another spelling of the path";
}

TEST_F(ListenQueueTest, KnowsNothingOfASocketThatIsNotThere) {
  EXPECT_FALSE(UnixListenQueue(settings_.address.path));
  { const absl::StatusOr<UniqueFd> listener = Listen(settings_); }
  EXPECT_FALSE(UnixListenQueue(settings_.address.path)) << "a file that nobody listens at";
}

}  // namespace
}  // namespace serin
