// A busy session allocates nothing and an idle one holds next to nothing:
// counted, with operator new replaced for this program.

#include <gtest/gtest.h>
#include <malloc.h>

#include <cstdlib>
#include <memory>
#include <new>
#include <string>

#include "proxy/parse/http1_session.h"

namespace {

size_t allocations = 0;
size_t live_bytes = 0;

void* Allocate(size_t size) {
  void* const memory = std::malloc(size);
  if (memory == nullptr) std::abort();
  ++allocations;
  live_bytes += malloc_usable_size(memory);
  return memory;
}
void Release(void* memory) noexcept {
  if (memory != nullptr) live_bytes -= malloc_usable_size(memory);
  std::free(memory);
}

}  // namespace

void* operator new(size_t size) { return Allocate(size); }
void* operator new[](size_t size) { return Allocate(size); }
void operator delete(void* memory) noexcept { Release(memory); }
void operator delete[](void* memory) noexcept { Release(memory); }
void operator delete(void* memory, size_t) noexcept { Release(memory); }
void operator delete[](void* memory, size_t) noexcept { Release(memory); }

namespace serin {
namespace {

class NullOutput final : public SessionOutput {
 public:
  void Write(std::string_view) override {}
  void WriteBorrowed(std::string_view) override {}
  size_t Unsent() const override { return 0; }
  void Flush() override {}
  void CloseWhenSent() override { ADD_FAILURE() << "closed"; }
};

class Answerer final : public RequestHandler {
 public:
  Answerer() { head_.fields = {{"content-type", "text/html"}, {"set-cookie", "a=b"}}; }
  void OnRequest(Stream& stream) override {
    ++seen;
    stream.SendHead(head_);
    stream.SendBody("hello");
    stream.SendEnd();
  }
  void OnClientGone(Stream&) override {}
  void OnSendable(Stream&) override {}
  void OnRefused(const Request&, uint16_t) override { ADD_FAILURE() << "refused"; }
  int seen = 0;

 private:
  ResponseHead head_;
};

struct Worker {
  ConnectionInfo info;
  ClientLimits limits;
  NullOutput output;
  Answerer handler;
  RequestPool pool{limits.spool};
};

const std::string kRequests[] = {
    "GET /a%20b/../c.php?x=y HTTP/1.1\r\nHost: a\r\nAccept: text/html\r\nCookie: " + std::string(1000, 'c') +
        "\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 500\r\n\r\n" + std::string(500, 'x'),
    "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    "GET http://b/ HTTP/1.1\r\nHost: a\r\n\r\nHEAD / HTTP/1.1\r\nHost: a\r\n\r\n",
};

TEST(AllocationTest, ABusySessionAllocatesNothing) {
  Worker worker;
  Http1Session session(worker.info, worker.limits, worker.output, worker.handler, worker.pool);
  size_t before = 0;
  for (int round = 0; round < 10; ++round) {
    if (round == 2) before = allocations;  // by then everything has its size
    for (const std::string& request : kRequests) {
      session.Receive(request);
      session.Receive(std::string_view(request).substr(0, request.size() / 2));
      session.Receive(std::string_view(request).substr(request.size() / 2));
    }
  }
  EXPECT_EQ(allocations, before);
  EXPECT_EQ(worker.handler.seen, 10 * 10);
}

TEST(AllocationTest, AnIdleConnectionCostsLessThan500Bytes) {
  Worker worker;
  auto session =
      std::make_unique<Http1Session>(worker.info, worker.limits, worker.output, worker.handler, worker.pool);
  for (const std::string& request : kRequests) session->Receive(request);
  session->Receive(std::string_view(kRequests[0]).substr(0, 700));
  session->Receive(std::string_view(kRequests[0]).substr(700));
  const size_t with = live_bytes;
  session.reset();
  EXPECT_LT(with - live_bytes, 500u);
}

}  // namespace
}  // namespace serin
