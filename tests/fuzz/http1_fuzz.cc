// A connection's bytes through the whole HTTP/1 session, in one piece and in
// small ones, with a handler that answers at once or later: the same requests
// must come out, each of them fit for a CGI script, and nothing may be written
// after the end. The first byte of the input chooses how.

#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <utility>

#include "proxy/base/hash.h"
#include "proxy/parse/ascii.h"
#include "tests/parse/session_harness.h"

namespace {

using namespace serin;

void Require(bool condition) {
  if (!condition) std::abort();
}

// Invariants of every request that a handler gets to see.
void CheckSeen(const SeenRequest& seen) {
  Require(!seen.method.empty() && AllAre(kTokenChar, seen.method));
  Require(seen.method != "CONNECT" && seen.method != "TRACE");
  Require(seen.target.front() == '/' && seen.target.substr(0, 2) != "//" && AllAre(kTargetChar, seen.target));
  Require(seen.path.front() == '/' && (seen.path + "/").find("/../") == std::string::npos);
  for (char c : seen.path) Require(static_cast<unsigned char>(c) >= 0x20 && c != 0x7F);
  Require(seen.target.size() >= seen.query.size());
  Require(!seen.authority.empty() || seen.protocol == Protocol::kHttp10);
  for (const auto& [name, value] : seen.fields) {
    Require(!name.empty() && AllAre(kCgiChar, name) && AllAre(kValueChar, value));
    Require(TrimBlanks(value) == value && name != "proxy" && name != "host" && name != "content-length" &&
            name != "transfer-encoding" && name != "connection" && name != "upgrade");
    for (char c : name) Require(LowerAscii(c) == c);
  }
}

ClientLimits SmallLimits() {
  ClientLimits limits;
  limits.request_line = 512;
  limits.head = 2048;
  limits.field_count = 24;
  limits.body = 8192;
  limits.chunk_line = 64;
  limits.trailers = 256;
  limits.send_buffer = 4096;
  return limits;
}

void Feed(SessionHarness& harness, std::string_view bytes, size_t piece, bool later) {
  if (later) harness.handler.answer = nullptr;
  while (!bytes.empty()) {
    const std::string part(bytes.substr(0, piece));  // its own allocation: views that outlive it are caught
    harness.Send(part);
    bytes.remove_prefix(part.size());
    for (Stream* stream; (stream = harness.handler.waiting) != nullptr;) {
      harness.handler.waiting = nullptr;
      AnswerOk(*stream);
    }
    harness.output.unsent = 0;
    harness.session->OnSent();
    Require(harness.session->phase() != SessionPhase::kResponding);
  }
  if (harness.session->ReceiveEof()) harness.output.closed = true;
  Require(harness.output.closed);
  Require(harness.output.writes_after_close == 0);
  for (const SeenRequest& seen : harness.handler.seen) CheckSeen(seen);
  Require(harness.handler.refused.size() <= 1 && harness.handler.max_depth <= 1);
}

// An answer of some shape, whole or not; the bytes of `choice` say which.
void AnswerSomehow(Stream& stream, uint64_t choice) {
  ResponseHead head;
  head.status = static_cast<uint16_t>(100 + choice % 550);
  if (choice & 1024) head.content_length = choice >> 12 & 15;
  head.fields = {{"x-a", "b"}, {"connection", "x"}, {"x-bad", "a\r\nb"}};
  if (choice & 2048) stream.SendHead(head);
  for (uint64_t n = choice >> 16 & 3; n > 0 && (choice & 2048) != 0; --n) stream.SendBody("hello");
  if (choice & 4096) return stream.Abort();
  stream.SendEnd();
}

// The same bytes with everything else happening in between: drain, time-outs,
// a client that leaves or does not read, answers of every shape.
void FeedWithEvents(std::string_view bytes, uint64_t seed) {
  SessionHarness harness(SmallLimits());
  harness.handler.answer = [&seed](Stream& stream) { AnswerSomehow(stream, seed = Mix64(seed + 1)); };
  bool over = false;
  while (!bytes.empty() && !over) {
    seed = Mix64(seed + 1);
    const std::string part(bytes.substr(0, 1 + seed % 200));
    bytes.remove_prefix(part.size());
    if (seed >> 32 & 1) harness.handler.answer = nullptr;
    harness.output.stuck = (seed >> 33 & 1) != 0;
    harness.Send(part);
    if (Stream* const stream = std::exchange(harness.handler.waiting, nullptr);
        stream != nullptr && (seed >> 34 & 3) != 0) {
      AnswerSomehow(*stream, seed >> 8);
    } else {
      harness.handler.waiting = stream;
    }
    switch (seed >> 40 & 31) {
      case 0:
        harness.session->BeginDrain();
        break;
      case 1:
        harness.session->OnTimeout();
        break;
      case 2:
        harness.session->Abandon();
        over = true;
        break;
      case 3:
        harness.session->ReceiveEof();
        break;
      case 4:
        harness.output.unsent = 0;
        break;
      default:
        break;
    }
    if (!over) harness.session->OnSent();
    Require(harness.output.writes_after_close == 0);
    // A connection reads no more once it is to close.
    over = over || harness.output.closed;
  }
  for (const SeenRequest& seen : harness.handler.seen) CheckSeen(seen);
  harness.session->Abandon();
  Require(harness.handler.waiting == nullptr);
  Require(harness.handler.seen.empty() || harness.pool.spare_requests() == 1);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  SessionHarness whole(SmallLimits()), pieces(SmallLimits());
  Feed(whole, bytes, bytes.size(), false);
  Feed(pieces, bytes, 1 + data[0] % 64, data[0] >= 128);
  FeedWithEvents(bytes, HashBytes({reinterpret_cast<const char*>(data), size}));
  Require(whole.handler.refused.empty() == pieces.handler.refused.empty());
  Require(whole.handler.seen.size() == pieces.handler.seen.size());
  for (size_t i = 0; i < whole.handler.seen.size(); ++i) {
    const SeenRequest &a = whole.handler.seen[i], &b = pieces.handler.seen[i];
    Require(a.method == b.method && a.target == b.target && a.path == b.path && a.authority == b.authority &&
            a.fields == b.fields && a.body == b.body && a.protocol == b.protocol &&
            a.keep_alive == b.keep_alive);
  }
  return 0;
}
