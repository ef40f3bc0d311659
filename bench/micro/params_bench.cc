// A browser's request as FastCGI params.

#include <benchmark/benchmark.h>

#include <string>

#include "proxy/fastcgi/params.h"

namespace serin {
namespace {

void FillBrowserRequest(Request& request) {
  request.set_method("GET");
  request.set_target("/shop/list?page=2&sort=price");
  request.set_path("/shop/list");
  request.set_query("page=2&sort=price");
  request.set_authority("shop.example");
  request.AddField("host", "shop.example");
  request.AddField("user-agent", "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0");
  request.AddField("accept", "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8");
  request.AddField("accept-language", "en-GB,en;q=0.5");
  request.AddField("accept-encoding", "gzip, deflate, br");
  request.AddField("referer", "https://shop.example/");
  request.AddField("connection", "keep-alive");
  request.AddField("cookie", "serin_id=0123456789abcdef; session=" + std::string(200, 's'));
  request.AddField("upgrade-insecure-requests", "1");
  request.AddField("sec-fetch-dest", "document");
  request.AddField("sec-fetch-mode", "navigate");
  request.AddField("sec-fetch-site", "same-origin");
  request.AddField("x-forwarded-for", "203.0.113.7");
  request.AddField("x-forwarded-proto", "https");
}

void AppendBrowserParams(benchmark::State& state) {
  const Spool::Limits limits;
  Request request(limits);
  FillBrowserRequest(request);
  const PoolParams pool("/srv/app/v2/public", "serin/0.1.0", {{"APP_ENV", "production"}});
  ParamsContext context;
  context.pool = &pool;
  context.script_name = "/index.php";
  context.authority = request.authority();
  context.remote_address = "203.0.113.7";
  context.server_address = "127.0.0.1";
  context.server_port = 443;
  context.https = true;
  std::string out;
  for (auto _ : state) {
    out.clear();
    ParamsWriter writer(out, 1);
    benchmark::DoNotOptimize(AppendParams(writer, request, context));
    writer.Finish();
    benchmark::DoNotOptimize(out.data());
  }
  state.SetBytesProcessed(state.iterations() * static_cast<int64_t>(out.size()));
}
BENCHMARK(AppendBrowserParams);

}  // namespace
}  // namespace serin
