// What one request costs in the HTTP/2 session, from received frames to the
// answer's frames: nghttp2, HPACK, rules, storing. 32 streams come in one read
// and leave in one write, as with h2load. No socket.

#include <benchmark/benchmark.h>

#include <cstdlib>
#include <memory>
#include <string>

#include "proxy/parse/request_pool.h"
#include "tests/parse/http2_harness.h"

namespace serin {
namespace {

constexpr int kBatch = 32;
constexpr size_t kAnswer = 150;

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
  NullHandler() {
    head_.fields = {{"content-type", "text/html; charset=UTF-8"}, {"x-powered-by", "PHP/8.2"}};
    head_.content_length = kAnswer;
  }
  void OnRequest(Stream& stream) override {
    benchmark::DoNotOptimize(stream.request().path().data());
    ++answered;
    stream.SendHead(head_);
    stream.SendBody(body_);
    stream.SendEnd();
  }
  void OnClientGone(Stream&) override { std::abort(); }
  void OnSendable(Stream&) override {}
  void OnRefused(const Request&, uint16_t) override { std::abort(); }

  uint64_t answered = 0;

 private:
  ResponseHead head_;
  const std::string body_ = std::string(kAnswer, 'x');
};

Fields ShortHead() { return Http2Harness::With("GET", "/", {{"user-agent", "h2load nghttp2/1.52.0"}}); }

Fields BrowserHead() {
  Fields fields = Http2Harness::With(
      "GET", "/articles/2024/11/the-wild-finch?utm_source=newsletter&page=2",
      {{"user-agent",
        "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0.0.0 "
        "Safari/537.36"},
       {"accept", "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8"},
       {"accept-language", "en-GB,en;q=0.9,de;q=0.8"},
       {"accept-encoding", "gzip, deflate, br, zstd"},
       {"referer", "https://www.example.com/articles/2024/11/"},
       {"sec-ch-ua", "\"Chromium\";v=\"130\", \"Google Chrome\";v=\"130\", \"Not?A_Brand\";v=\"99\""},
       {"sec-ch-ua-mobile", "?0"},
       {"sec-ch-ua-platform", "\"Linux\""},
       {"sec-fetch-dest", "document"},
       {"sec-fetch-mode", "navigate"},
       {"sec-fetch-site", "same-origin"},
       {"cookie", "serin_id=0123456789abcdef0123456789abcdef"},
       {"cookie", "PHPSESSID=" + std::string(26, 'a')},
       {"cookie", "XSRF-TOKEN=" + std::string(240, 'b')}});
  return fields;
}

void Run(benchmark::State& state, const Fields& head) {
  ConnectionInfo info;
  ClientLimits limits;
  NullOutput output;
  NullHandler handler;
  RequestPool pool(limits.spool);
  Http2Session session(info, limits, output, handler, pool);
  HpackClient hpack;
  uint32_t id = 1;
  session.Receive(std::string(kHttp2Preface) + Frame(kSettings, 0, 0, "") + Frame(kSettings, kAck, 0, "") +
                  WindowUpdate(0, 1 << 30) +
                  Frame(kHeaders, kEndHeaders | kEndStream, id, hpack.Encode(head)));
  session.OnTurnEnd();
  // From now on everything is in HPACK's tables; only the streams' ids differ.
  const std::string again = Frame(kHeaders, kEndHeaders | kEndStream, 0, hpack.Encode(head));
  std::string batch;
  for (int i = 0; i < kBatch; ++i) batch += again;
  batch += WindowUpdate(0, kBatch * kAnswer);
  for (auto _ : state) {
    for (int i = 0; i < kBatch; ++i) {
      id += 2;
      batch.replace(static_cast<size_t>(i) * again.size() + 5, 4, Number(id, 4));
    }
    session.Receive(batch);
    session.OnTurnEnd();
  }
  if (handler.answered != static_cast<uint64_t>(state.iterations()) * kBatch + 1) std::abort();
  state.SetItemsProcessed(state.iterations() * kBatch);
}

void BM_Http2ShortHead(benchmark::State& state) { Run(state, ShortHead()); }
BENCHMARK(BM_Http2ShortHead);

void BM_Http2BrowserHead(benchmark::State& state) { Run(state, BrowserHead()); }
BENCHMARK(BM_Http2BrowserHead);

}  // namespace
}  // namespace serin
