// What strangers write into X-Forwarded-*, cookies and paths: the effective
// client is always well-formed, routing never fails, and a redirect stays on
// this site.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "proxy/route/forwarded.h"
#include "proxy/route/router.h"
#include "proxy/route/script.h"

namespace {

void Require(bool condition) {
  if (!condition) std::abort();
}

// Every path has a kind of its own, so that all branches are taken.
class AnyFiles : public serin::FileProbe {
 public:
  bool visible() const override { return true; }
  serin::FileKind Look(std::string_view path) override {
    Require(path.starts_with('/') && path.find('\0') == std::string_view::npos);
    Require(++looks_ <= 16);
    return static_cast<serin::FileKind>(serin::HashBytes(path) % 5);
  }

 private:
  int looks_ = 0;
};

void CheckScript(std::string_view path) {
  AnyFiles files;
  std::string scratch, location;
  const serin::ScriptMatch match = serin::ResolveScript(path, {}, files, scratch);
  if (match.kind == serin::ScriptMatch::Kind::kScript) {
    Require(match.script_name.starts_with('/') && match.script_name.ends_with(".php"));
    Require(match.script_name.find("/../") == std::string_view::npos);
    Require(match.path_info.empty() || match.path_info.starts_with('/'));
  }
  serin::AppendSlashLocation(location, path, {});
  Require(location.starts_with('/') && location.ends_with('/') && !location.starts_with("//"));
  Require(location.find_first_of("\\\r\n \t") == std::string::npos);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  std::string_view input(reinterpret_cast<const char*>(data), size);
  const auto next = [&input] {
    const std::string_view line = input.substr(0, input.find('\n'));
    input.remove_prefix(std::min(line.size() + 1, input.size()));
    return line;
  };
  const serin::Spool::Limits limits;
  serin::Request request(limits);
  const std::string_view path = next();
  for (const char* name : {"x-forwarded-for", "x-forwarded-for", "x-forwarded-proto", "x-forwarded-host",
                           "x-forwarded-port", "cookie", "x-serin-route"}) {
    request.AddField(name, next());
  }
  serin::ConnectionInfo connection;
  connection.peer_address = "10.0.0.1";
  connection.local_port = 80;
  connection.trusted_peer = true;
  const auto trusted = serin::AddressSet::Parse(std::vector<std::string>{"10.0.0.0/8", "fd00::/8"});
  const serin::EffectiveClient client = serin::EffectiveClientOf(request, connection, *trusted);
  Require(serin::ParseIpAddress(client.address).has_value() && client.key != 0);
  Require(client.authority.empty() || serin::IsAuthority(client.authority));
  Require(client.server_port != 0);

  serin::SplitState split;
  split.canary_weight = serin::Weight::Percent(50);
  serin::SplitCell cell;
  serin::RandomSource random(size);
  const serin::RouteDecision decision = serin::Route(request, client, split, {}, cell, random);
  Require(decision.pool == split.pool(decision.role));
  Require(!(decision.forced && decision.new_id));
  static_cast<void>(serin::AddressSet::Parse(std::vector<std::string>{std::string(path)}));
  CheckScript(path);
  CheckScript("/" + std::string(path));
  return 0;
}
