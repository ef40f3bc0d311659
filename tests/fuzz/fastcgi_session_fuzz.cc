// A web server's bytes through the whole FastCGI session, in one piece and in
// small ones: the same requests must come out, each of them fit for a CGI
// script, and what is written must be FastCGI records of the right length. The
// first byte of the input chooses how it is cut and answered.

#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "proxy/parse/ascii.h"
#include "tests/parse/fastcgi_harness.h"

namespace {

using namespace serin;

void Require(bool condition) {
  if (!condition) std::abort();
}

// Invariants of every request that a handler gets to see.
void CheckSeen(const SeenRequest& seen) {
  Require(!seen.method.empty() && AllAre(kTokenChar, seen.method));
  Require(seen.method != "CONNECT" && seen.method != "TRACE");
  Require(!seen.target.empty() && seen.path.front() == '/' && seen.protocol == Protocol::kFastCgi);
  for (const std::string& text : {seen.target, seen.query}) {
    for (char c : text) Require(static_cast<unsigned char>(c) >= 0x20 && c != 0x7F);
  }
  for (const auto& [name, value] : seen.fields) {
    Require(!name.empty() && AllAre(kCgiChar, name) && AllAre(kValueChar, value));
    Require(TrimBlanks(value) == value && name != "proxy" && name != "host" && name != "content-length" &&
            name != "transfer-encoding" && name != "connection" && name != "upgrade");
    for (char c : name) Require(LowerAscii(c) == c);
  }
}

ClientLimits SmallLimits() {
  ClientLimits limits;
  limits.request_line = 256;
  limits.head = 2048;
  limits.field_count = 24;
  limits.body = 8192;
  limits.spool.memory = 4096;
  return limits;
}

void Answer(Stream& stream, unsigned how) {
  ResponseHead head;
  head.status = how % 2 == 0 ? 200 : 404;
  head.fields.push_back({"content-type", "text/plain"});
  if (how % 3 == 0) head.content_length = 4;
  stream.SendHead(head);
  stream.SendBody("body");
  if (how % 7 == 6) return stream.Abort();
  stream.SendEnd();
}

// `later`: what is asked is answered between two pieces.
void Feed(FcgiHarness& harness, std::string_view bytes, size_t piece, bool later, unsigned how) {
  if (later) {
    harness.handler.inner.answer = nullptr;
  } else {
    harness.handler.inner.answer = [how](Stream& stream) { Answer(stream, how); };
  }
  while (!bytes.empty()) {
    const std::string part(bytes.substr(0, piece));  // its own allocation: views that outlive it are caught
    harness.Send(part);
    bytes.remove_prefix(part.size());
    if (Stream* stream = harness.handler.inner.waiting) {
      harness.handler.inner.waiting = nullptr;
      Answer(*stream, how);
    }
    harness.output.unsent = 0;
    harness.session->OnSent();
    Require(harness.session->phase() != SessionPhase::kResponding);
  }
  if (how % 5 == 4) harness.session->OnTimeout();
  if (how % 5 == 3) harness.session->BeginDrain();
  if (harness.session->ReceiveEof()) harness.output.closed = true;
  Require(harness.output.closed && harness.output.writes_after_close == 0);
  for (const SeenRequest& seen : harness.seen()) CheckSeen(seen);
  Require(harness.refused().size() <= 1 && harness.handler.inner.max_depth <= 1);
  const FcgiAnswer answer = harness.answer();
  Require(!answer.torn || how % 7 == 6);
  Require(harness.pool.spare_requests() <= 1);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const unsigned how = data[0];
  const std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  FcgiHarness whole(SmallLimits()), pieces(SmallLimits()), later(SmallLimits());
  Feed(whole, bytes, std::max<size_t>(bytes.size(), 1), false, how);
  Feed(pieces, bytes, 1 + how % 64, false, how);
  Feed(later, bytes, 1 + how % 16, true, how);
  Require(whole.refused() == pieces.refused() && whole.output.sent == pieces.output.sent);
  Require(whole.seen().size() == pieces.seen().size());
  for (size_t i = 0; i < whole.seen().size(); ++i) {
    const SeenRequest &a = whole.seen()[i], &b = pieces.seen()[i];
    Require(a.method == b.method && a.target == b.target && a.path == b.path && a.query == b.query &&
            a.authority == b.authority && a.fields == b.fields && a.body == b.body);
  }
  return 0;
}
