// A client's frames through the whole HTTP/2 session, in one piece and in small
// ones, with a handler that answers at once or later, in pieces small and
// large: every request that comes out must be fit for a CGI script, every
// stream that the handler was given must end in an answer or in OnClientGone,
// what is written must be frames, and nothing may follow the end. The first
// byte of the input chooses how; the preface and SETTINGS are put in front.

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "proxy/parse/ascii.h"
#include "tests/parse/http2_harness.h"

namespace {

using namespace serin;

void Require(bool condition) {
  if (!condition) std::abort();
}

void CheckSeen(const SeenRequest& seen) {
  Require(!seen.method.empty() && AllAre(kTokenChar, seen.method));
  Require(seen.method != "CONNECT" && seen.method != "TRACE");
  Require(seen.target.front() == '/' && seen.target.substr(0, 2) != "//" && AllAre(kTargetChar, seen.target));
  Require(seen.path.front() == '/' && (seen.path + "/").find("/../") == std::string::npos);
  for (char c : seen.path) Require(static_cast<unsigned char>(c) >= 0x20 && c != 0x7F);
  Require(!seen.authority.empty() && seen.protocol == Protocol::kHttp2);
  int cookies = 0;
  for (const auto& [name, value] : seen.fields) {
    Require(!name.empty() && AllAre(kCgiChar, name) && AllAre(kValueChar, value));
    Require(TrimBlanks(value) == value || name == "cookie");
    Require(name != "proxy" && name != "host" && name != "content-length" && name != "transfer-encoding" &&
            name != "connection" && name != "upgrade" && name != "te");
    for (char c : name) Require(LowerAscii(c) == c);
    cookies += name == "cookie";
  }
  Require(cookies <= 1);
}

ClientLimits SmallLimits() {
  ClientLimits limits;
  limits.request_line = 512;
  limits.head = 4096;
  limits.field_count = 24;
  limits.body = 64 * 1024;
  limits.trailers = 256;
  limits.send_buffer = 32 * 1024;
  limits.spool.memory = 1024;
  limits.body_timeout = limits.send_timeout = absl::ZeroDuration();  // due whenever OnTimeout is called
  return limits;
}

// Answers at once, or keeps streams and answers the youngest when told to.
class FuzzHandler final : public RequestHandler {
 public:
  FuzzHandler(uint8_t how, Http2Output& output) : how_(how), output_(output) {}

  void OnRequest(Stream& stream) override {
    CheckSeen(Copy(stream.request()));
    if ((how_ & 64) != 0) {
      open_.push_back(&stream);
    } else {
      Answer(stream);
    }
  }
  void OnClientGone(Stream& stream) override {
    Require(std::erase(open_, &stream) == 1);
    if (how_ % 11 == 0) AnswerOne();  // a pool connection has become free
  }
  void OnSendable(Stream& stream) override {
    Require(std::find(open_.begin(), open_.end(), &stream) != open_.end());
    stream.SendBody("more");
  }
  void OnRefused(const Request&, uint16_t status) override { Require(status >= 400 && status < 600); }

  void AnswerOne() {
    if (open_.empty()) return;
    Stream& stream = *open_.back();
    open_.pop_back();
    Answer(stream);
  }
  // Begins an answer that is never whole, and is to be told when there is room.
  void BeginOne() {
    if (open_.empty() || begun_) return;
    begun_ = true;
    Stream& stream = *open_.front();
    const std::string body(40'000, 'x');
    stream.SendHead(ResponseHead());
    stream.SendBody(body);
    stream.WantSendable();
    output_.Flush();
    std::erase(open_, &stream);
    stream.Abort();
  }
  bool empty() const { return open_.empty(); }

 private:
  void Answer(Stream& stream) {
    ResponseHead head;
    head.status = how_ % 5 == 0 ? 204 : 200;
    const std::string body(static_cast<size_t>(how_) * 300, 'x');
    if (how_ % 3 == 0) head.content_length = body.size() + (how_ % 2);
    stream.SendHead(head);
    stream.SendBody(body);
    output_.Flush();
    if (how_ % 7 == 0) {
      stream.Abort();
    } else {
      stream.SendEnd();
    }
  }

  const uint8_t how_;
  Http2Output& output_;
  std::vector<Stream*> open_;
  bool begun_ = false;
};

void CheckSent(Http2Harness& harness) {
  bool ended = false;
  for (const SentFrame& frame : harness.Frames()) {
    Require(!ended && frame.type <= kContinuation && frame.type != kPushPromise && frame.type != kPriority);
    Require(frame.fields.empty() || frame.fields[0].first == ":status");
    if (frame.type == kGoaway) ended = ReadNumber(std::string_view(frame.payload).substr(4, 4)) != kNoError;
  }
}

void Run(uint8_t how, std::string_view bytes) {
  Http2Harness harness(SmallLimits());
  FuzzHandler handler(how, harness.output);
  harness.session =
      std::make_unique<Http2Session>(harness.info, harness.limits, harness.output, handler, harness.pool);
  harness.Start();
  const size_t size = (how & 128) != 0 ? 1 + how % 64 : std::max<size_t>(bytes.size(), 1);
  while (!bytes.empty()) {
    harness.Send(bytes.substr(0, size));
    bytes.remove_prefix(std::min(size, bytes.size()));
    if ((how & 32) != 0) harness.output.stuck = !harness.output.stuck;
    if (!harness.output.stuck) harness.Unstick();
    if (how % 13 == 0) handler.BeginOne();
    handler.AnswerOne();
    harness.Turn();
    if (how % 17 == 0) harness.session->BeginDrain();
  }
  if ((how & 16) != 0) harness.session->OnTimeout();
  harness.Unstick();
  harness.session->Abandon();
  Require(handler.empty() && harness.session->open_streams() == 0);
  Require(harness.output.writes_after_close == 0);
  CheckSent(harness);
  harness.session =
      std::make_unique<Http2Session>(harness.info, harness.limits, harness.output, harness.handler,
                                     harness.pool);  // the harness ends it: not with our handler
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  Run(data[0], bytes);
  return 0;
}
