// What one request costs in the HTTP/1 session, from received bytes to the
// answer's bytes: parsing, rules, storing, the answer's head. No socket.

#include <benchmark/benchmark.h>

#include <memory>
#include <string>

#include "proxy/parse/http1_session.h"
#include "proxy/parse/request_pool.h"
#include "proxy/parse/target.h"

namespace serin {
namespace {

class NullOutput final : public SessionOutput {
 public:
  void Write(std::string_view bytes) override { size_ += bytes.size(); }
  void WriteBorrowed(std::string_view bytes) override { size_ += bytes.size(); }
  size_t Unsent() const override { return 0; }
  void Flush() override {}
  void CloseWhenSent() override { std::abort(); }  // a benchmark that measures refusals is worthless

 private:
  uint64_t size_ = 0;
};

class NullHandler final : public RequestHandler {
 public:
  void OnRequest(Stream& stream) override {
    benchmark::DoNotOptimize(stream.request().path().data());
    if (!answers_.fields.empty()) stream.SendHead(answers_);
    if (!answers_.fields.empty()) stream.SendBody("hello");
    stream.SendEnd();
  }
  void OnClientGone(Stream&) override {}
  void OnSendable(Stream&) override {}
  void OnRefused(const Request&, uint16_t) override {}

  ResponseHead answers_;
};

std::string BrowserHead() {
  return "GET /articles/2024/11/the-wild-finch?utm_source=newsletter&page=2 HTTP/1.1\r\n"
         "Host: www.example.com\r\n"
         "User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) "
         "Chrome/130.0.0.0 Safari/537.36\r\n"
         "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8\r\n"
         "Accept-Language: en-GB,en;q=0.9,de;q=0.8\r\n"
         "Accept-Encoding: gzip, deflate, br, zstd\r\n"
         "Referer: https://www.example.com/articles/2024/11/\r\n"
         "Sec-Ch-Ua: \"Chromium\";v=\"130\", \"Google Chrome\";v=\"130\", \"Not?A_Brand\";v=\"99\"\r\n"
         "Sec-Ch-Ua-Mobile: ?0\r\n"
         "Sec-Ch-Ua-Platform: \"Linux\"\r\n"
         "Sec-Fetch-Dest: document\r\n"
         "Sec-Fetch-Mode: navigate\r\n"
         "Sec-Fetch-Site: same-origin\r\n"
         "Connection: keep-alive\r\n"
         "Cookie: serin_id=0123456789abcdef0123456789abcdef; PHPSESSID=" +
         std::string(26, 'a') + "; XSRF-TOKEN=" + std::string(240, 'b') + "\r\n\r\n";
}

struct Fixture {
  Fixture() : pool(limits.spool), session(info, limits, output, handler, pool) {
    handler.answers_.fields = {{"content-type", "text/html; charset=UTF-8"},
                               {"x-powered-by", "PHP/8.2.24"},
                               {"cache-control", "no-cache, private"},
                               {"set-cookie", "PHPSESSID=abcdefghijklmnopqrstuvwxyz; path=/; HttpOnly"}};
    handler.answers_.content_length = 5;
  }
  ConnectionInfo info;
  ClientLimits limits;
  NullOutput output;
  NullHandler handler;
  RequestPool pool;
  Http1Session session;
};

void BM_BrowserRequest(benchmark::State& state) {
  Fixture fixture;
  const std::string head = BrowserHead();
  for (auto _ : state) fixture.session.Receive(head);
  state.SetBytesProcessed(static_cast<int64_t>(state.iterations() * head.size()));
  state.counters["head_bytes"] = static_cast<double>(head.size());
  state.counters["session_bytes"] = sizeof(Http1Session);
}
BENCHMARK(BM_BrowserRequest);

void BM_BrowserRequestInTwoPieces(benchmark::State& state) {
  Fixture fixture;
  const std::string head = BrowserHead();
  const size_t cut = head.size() * 2 / 3;
  for (auto _ : state) {
    fixture.session.Receive(std::string_view(head).substr(0, cut));
    fixture.session.Receive(std::string_view(head).substr(cut));
  }
}
BENCHMARK(BM_BrowserRequestInTwoPieces);

void BM_PostWithSmallBody(benchmark::State& state) {
  Fixture fixture;
  const std::string request =
      "POST /api/orders HTTP/1.1\r\nHost: api.example.com\r\nContent-Type: application/json\r\n"
      "Content-Length: 512\r\nAccept: */*\r\n\r\n" +
      std::string(512, 'x');
  for (auto _ : state) fixture.session.Receive(request);
}
BENCHMARK(BM_PostWithSmallBody);

// Sixteen requests in one read, as wrk sends them.
void BM_Pipelined16(benchmark::State& state) {
  Fixture fixture;
  std::string requests;
  for (int i = 0; i < 16; ++i) requests += "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";
  for (auto _ : state) fixture.session.Receive(requests);
  state.SetItemsProcessed(static_cast<int64_t>(state.iterations() * 16));
}
BENCHMARK(BM_Pipelined16);

void BM_NormalizePath(benchmark::State& state) {
  std::string out;
  for (auto _ : state) {
    benchmark::DoNotOptimize(NormalizePath("/a/./b/../caf%C3%A9//index.php/info%20page", out));
  }
}
BENCHMARK(BM_NormalizePath);

}  // namespace
}  // namespace serin
