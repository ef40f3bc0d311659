// The FastCGI codec: one answer of a head and a body, and a request's params.

#include <benchmark/benchmark.h>

#include <algorithm>
#include <cstdint>
#include <string>

#include "proxy/fastcgi/record.h"

namespace serin {
namespace {

struct Counter final : RecordDecoder::Sink {
  void OnStdout(std::string_view bytes) override { out += bytes.size(); }
  void OnStderr(std::string_view bytes) override { err += bytes.size(); }
  size_t out = 0, err = 0;
};

std::string Answer(size_t body) {
  std::string bytes;
  for (size_t left = body; left > 0;) {
    const size_t size = std::min<size_t>(left, 8192);
    const char header[8] = {1, 6, 0, 1, static_cast<char>(size >> 8), static_cast<char>(size & 255), 0, 0};
    bytes.append(header, sizeof header).append(size, 'b');
    left -= size;
  }
  const char end[16] = {1, 3, 0, 1, 0, 8};
  return bytes.append(end, sizeof end);
}

void DecodeAnswer(benchmark::State& state) {
  const std::string bytes = Answer(static_cast<size_t>(state.range(0)));
  RecordDecoder decoder;
  Counter sink;
  for (auto _ : state) {
    decoder.Reset(1);
    size_t consumed = 0;
    benchmark::DoNotOptimize(decoder.Decode(bytes, sink, &consumed));
  }
  benchmark::DoNotOptimize(sink.out);
  state.SetBytesProcessed(state.iterations() * static_cast<int64_t>(bytes.size()));
}
BENCHMARK(DecodeAnswer)->Arg(2000)->Arg(200000);

void WriteParams(benchmark::State& state) {
  std::string out;
  for (auto _ : state) {
    out.clear();
    AppendBeginRequest(out, 1, false);
    ParamsWriter writer(out, 1);
    for (int i = 0; i < 40; ++i)
      benchmark::DoNotOptimize(writer.Add("HTTP_ACCEPT_LANGUAGE", "en-GB,en;q=0.9"));
    writer.Finish();
    AppendStdinEnd(out, 1);
    benchmark::DoNotOptimize(out.data());
  }
}
BENCHMARK(WriteParams);

}  // namespace
}  // namespace serin
