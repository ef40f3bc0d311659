// PROXY headers in one piece and byte by byte: the same verdict, the same
// addresses, the same bytes left for the session. What is taken must be
// addresses.

#include <arpa/inet.h>

#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "proxy/accept/proxy_protocol.h"

namespace {

using namespace serin;
using Result = ProxyHeaderReader::Result;

void Require(bool condition) {
  if (!condition) std::abort();
}

struct Outcome {
  Result result = Result::kMore;
  std::string peer, local, rest;
  int peer_port = -1, local_port = -1;
  friend bool operator==(const Outcome&, const Outcome&) = default;
};

bool IsAddress(const std::string& text) {
  in6_addr address{};
  return ::inet_pton(AF_INET, text.c_str(), &address) == 1 ||
         ::inet_pton(AF_INET6, text.c_str(), &address) == 1;
}

Outcome Read(std::string_view bytes, size_t piece) {
  ProxyHeaderReader reader;
  Outcome outcome;
  while (!bytes.empty() && outcome.result == Result::kMore) {
    const std::string part(bytes.substr(0, piece));
    std::string_view in = part;
    outcome.result = reader.Read(in);
    Require(outcome.result != Result::kMore || in.empty());
    bytes.remove_prefix(part.size() - in.size());
  }
  if (outcome.result != Result::kDone) return outcome;
  outcome.rest = std::string(bytes);
  if (const auto& found = reader.addresses()) {
    Require(IsAddress(found->peer_address) && IsAddress(found->local_address));
    outcome.peer = found->peer_address;
    outcome.local = found->local_address;
    outcome.peer_port = found->peer_port;
    outcome.local_port = found->local_port;
  }
  return outcome;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  const Outcome whole = Read(bytes, std::max<size_t>(bytes.size(), 1));
  Require(whole == Read(bytes, 1));
  Require(whole == Read(bytes, 1 + data[0] % 32));
  return 0;
}
