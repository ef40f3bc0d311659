// The decisions before a pool is asked: who, which pool, which script.

#include <benchmark/benchmark.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "proxy/route/file_probe.h"
#include "proxy/route/forwarded.h"
#include "proxy/route/router.h"
#include "proxy/route/script.h"

namespace serin {
namespace {

void EffectiveClientBehindProxy(benchmark::State& state) {
  const Spool::Limits limits;
  Request request(limits);
  request.set_authority("shop.example");
  request.AddField("user-agent", "Mozilla/5.0");
  request.AddField("x-forwarded-for", "198.51.100.1, 127.0.0.1");
  request.AddField("x-forwarded-proto", "https");
  ConnectionInfo connection;
  connection.peer_address = "127.0.0.1";
  connection.trusted_peer = true;
  const auto trusted = AddressSet::Parse(std::vector<std::string>{"127.0.0.0/8", "::1/128", "unix:"});
  for (auto _ : state) benchmark::DoNotOptimize(EffectiveClientOf(request, connection, *trusted));
}
BENCHMARK(EffectiveClientBehindProxy);

void RouteByCookie(benchmark::State& state) {
  const Spool::Limits limits;
  Request request(limits);
  if (state.range(0) == 1) request.AddField("cookie", "theme=dark; session=abc; serin_id=0123456789abcdef");
  SplitState split;
  split.canary_weight = Weight::Percent(25);
  const SplitSettings settings;
  SplitCell cell;
  RandomSource random(1);
  for (auto _ : state) benchmark::DoNotOptimize(Route(request, {}, split, settings, cell, random));
}
BENCHMARK(RouteByCookie)->ArgName("has_id")->Arg(0)->Arg(1);

// On real files: a script costs openat2, fstat and close, a pretty address one failed openat2.
// Remembered for a tick, nothing.
void ResolveOnDisk(benchmark::State& state, const char* path, bool remembered) {
  const std::filesystem::path root =
      std::filesystem::temp_directory_path() / ("serin-route-bench-" + std::to_string(::getpid()));
  std::filesystem::create_directories(root);
  std::ofstream(root / "login.php") << "<?php";
  RootProbe probe(root.string());
  std::string scratch;
  for (auto _ : state) {
    if (!remembered) probe.Forget();
    benchmark::DoNotOptimize(ResolveScript(path, {}, probe, scratch));
  }
  std::filesystem::remove_all(root);
}
BENCHMARK_CAPTURE(ResolveOnDisk, front_page, "/", false);
BENCHMARK_CAPTURE(ResolveOnDisk, picture, "/img/logo.png", false);
BENCHMARK_CAPTURE(ResolveOnDisk, pretty, "/shop/list", false);
BENCHMARK_CAPTURE(ResolveOnDisk, script, "/login.php", false);
BENCHMARK_CAPTURE(ResolveOnDisk, missing_script, "/none.php", false);
BENCHMARK_CAPTURE(ResolveOnDisk, script_again, "/login.php", true);
BENCHMARK_CAPTURE(ResolveOnDisk, pretty_again, "/shop/list", true);

}  // namespace
}  // namespace serin
