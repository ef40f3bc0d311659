#pragma once
// A client and a handler for Http2Session without a socket: frames built by
// hand, frames read back. For tests and fuzz targets.

#include <nghttp2/nghttp2.h>

#include <initializer_list>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "proxy/parse/http2_session.h"
#include "proxy/parse/preface.h"
#include "tests/parse/session_harness.h"

namespace serin {

enum FrameType : uint8_t {
  kData,
  kHeaders,
  kPriority,
  kRstStream,
  kSettings,
  kPushPromise,
  kPing,
  kGoaway,
  kWindowUpdate,
  kContinuation
};
inline constexpr uint8_t kEndStream = 1, kAck = 1, kEndHeaders = 4, kPadded = 8, kPriorityFlag = 32;
enum ErrorCode : uint32_t {
  kNoError,
  kProtocolError,
  kInternalError,
  kFlowControlError,
  kSettingsTimeout,
  kStreamClosed,
  kFrameSizeError,
  kRefusedStream,
  kCancel,
  kCompressionError,
  kConnectError,
  kEnhanceYourCalm
};
enum SettingId : uint16_t {
  kHeaderTableSize = 1,
  kEnablePush,
  kMaxConcurrentStreams,
  kInitialWindowSize,
  kMaxFrameSize,
  kMaxHeaderListSize
};

inline std::string Number(uint64_t value, int bytes) {
  std::string out;
  for (int i = bytes - 1; i >= 0; --i) out.push_back(static_cast<char>(value >> (8 * i)));
  return out;
}
inline uint32_t ReadNumber(std::string_view bytes) {
  uint32_t value = 0;
  for (char c : bytes) value = value << 8 | static_cast<uint8_t>(c);
  return value;
}

inline std::string Frame(uint8_t type, uint8_t flags, uint32_t id, std::string_view payload) {
  return Number(payload.size(), 3) + Number(type, 1) + Number(flags, 1) + Number(id, 4) +
         std::string(payload);
}
inline std::string Setting(uint16_t id, uint32_t value) { return Number(id, 2) + Number(value, 4); }
inline std::string WindowUpdate(uint32_t id, uint32_t by) {
  return Frame(kWindowUpdate, 0, id, Number(by, 4));
}
inline std::string Rst(uint32_t id, uint32_t error) { return Frame(kRstStream, 0, id, Number(error, 4)); }
inline std::string Data(uint32_t id, std::string_view bytes, bool end) {
  return Frame(kData, end ? kEndStream : 0, id, bytes);
}

using Fields = std::vector<std::pair<std::string, std::string>>;

// The client's side of HPACK, for one connection.
class HpackClient {
 public:
  HpackClient() {
    nghttp2_hd_deflate_new(&deflater_, 4096);
    nghttp2_hd_inflate_new(&inflater_);
  }
  ~HpackClient() {
    nghttp2_hd_deflate_del(deflater_);
    nghttp2_hd_inflate_del(inflater_);
  }
  HpackClient(const HpackClient&) = delete;
  HpackClient& operator=(const HpackClient&) = delete;

  std::string Encode(const Fields& fields) {
    std::vector<nghttp2_nv> block;
    for (const auto& [name, value] : fields) {
      block.push_back({Bytes(name), Bytes(value), name.size(), value.size(), NGHTTP2_NV_FLAG_NONE});
    }
    std::string out(nghttp2_hd_deflate_bound(deflater_, block.data(), block.size()), '\0');
    const ssize_t n = nghttp2_hd_deflate_hd(deflater_, Bytes(out), out.size(), block.data(), block.size());
    out.resize(n < 0 ? 0 : static_cast<size_t>(n));
    return out;
  }
  Fields Decode(std::string_view block) {
    Fields out;
    for (;;) {
      nghttp2_nv field{};
      int flags = 0;
      const ssize_t n = nghttp2_hd_inflate_hd2(inflater_, &field, &flags, Bytes(block), block.size(), 1);
      if (n < 0) return {{"(broken)", ""}};
      block.remove_prefix(static_cast<size_t>(n));
      if ((flags & NGHTTP2_HD_INFLATE_EMIT) != 0) {
        out.emplace_back(std::string(reinterpret_cast<char*>(field.name), field.namelen),
                         std::string(reinterpret_cast<char*>(field.value), field.valuelen));
      }
      if ((flags & NGHTTP2_HD_INFLATE_FINAL) != 0) break;
    }
    nghttp2_hd_inflate_end_headers(inflater_);
    return out;
  }

 private:
  static uint8_t* Bytes(std::string_view text) {
    return const_cast<uint8_t*>(reinterpret_cast<const uint8_t*>(text.data()));
  }
  nghttp2_hd_deflater* deflater_ = nullptr;
  nghttp2_hd_inflater* inflater_ = nullptr;
};

// A socket that takes everything when flushed, or, with `stuck`, nothing. Lent
// bytes are read only then, so that a loan that ends too early is found.
class Http2Output final : public SessionOutput {
 public:
  void Write(std::string_view bytes) override {
    Count(bytes);
    pieces_.push_back({std::string(bytes), {}});
  }
  void WriteBorrowed(std::string_view bytes) override {
    Count(bytes);
    pieces_.push_back({{}, bytes});
    borrowed += bytes.size();
  }
  size_t Unsent() const override { return waiting_ + stuck_bytes_; }
  void Flush() override {
    for (const Piece& piece : pieces_) (stuck ? late_ : sent).append(piece.copy).append(piece.loan);
    if (!pieces_.empty()) ++writes;
    pieces_.clear();
    if (stuck) {
      stuck_bytes_ += waiting_;
    }
    waiting_ = 0;
  }
  // The socket takes again.
  void Unstick() {
    stuck = false;
    sent.append(late_);
    late_.clear();
    stuck_bytes_ = 0;
  }
  void CloseWhenSent() override { closed = true; }
  void Linger() override { linger = true; }
  void Reset() override { closed = reset = true; }
  void AtTurnEnd() override { turn_end = true; }

  std::string sent;
  size_t borrowed = 0;
  int writes = 0, writes_after_close = 0;
  bool stuck = false, closed = false, reset = false, linger = false, turn_end = false;

 private:
  struct Piece {
    std::string copy;
    std::string_view loan;
  };
  void Count(std::string_view bytes) {
    if (closed) ++writes_after_close;
    waiting_ += bytes.size();
  }
  std::vector<Piece> pieces_;
  std::string late_;
  size_t waiting_ = 0, stuck_bytes_ = 0;
};

struct SentFrame {
  uint8_t type = 0, flags = 0;
  uint32_t id = 0;
  std::string payload;
  Fields fields;  // of HEADERS

  bool ends_stream() const { return (type == kData || type == kHeaders) && (flags & kEndStream) != 0; }
  std::string Get(std::string_view name) const {
    for (const auto& [n, v] : fields) {
      if (n == name) return v;
    }
    return "(absent)";
  }
};

struct Http2Harness {
  explicit Http2Harness(ClientLimits with = {}) : limits(std::move(with)), pool(limits.spool) {
    handler.answer = AnswerOk;
    session = std::make_unique<Http2Session>(info, limits, output, handler, pool);
  }
  ~Http2Harness() { session->Abandon(); }

  // Preface and SETTINGS; the server's own are acknowledged.
  void Start(std::string_view settings = "") {
    Send(std::string(kHttp2Preface) + Frame(kSettings, 0, 0, settings) + Frame(kSettings, kAck, 0, ""));
  }
  // As one read from the socket, to the end of the loop's turn.
  void Send(std::string_view bytes) {
    const std::string copy(bytes);  // its own allocation: views that outlive it are caught
    session->Receive(copy);
    output.Flush();
    Turn();
  }
  void SendInPieces(std::string_view bytes, size_t size) {
    for (; !bytes.empty(); bytes.remove_prefix(std::min(size, bytes.size()))) Send(bytes.substr(0, size));
  }
  void Turn() {
    while (std::exchange(output.turn_end, false)) {
      session->OnTurnEnd();
      output.Flush();
    }
  }
  void Unstick() {
    output.Unstick();
    session->OnSent();
    Turn();
  }

  std::string Head(uint32_t id, const Fields& fields, bool end = true) {
    const uint8_t flags = kEndHeaders | (end ? kEndStream : 0);
    return Frame(kHeaders, flags, id, hpack.Encode(fields));
  }
  std::string Get(uint32_t id, std::string_view path = "/", const Fields& more = {}) {
    return Head(id, With("GET", path, more));
  }
  std::string Post(uint32_t id, const Fields& more = {}) {
    return Head(id, With("POST", "/form", more), false);
  }
  static Fields With(std::string_view method, std::string_view path, const Fields& more = {}) {
    Fields fields = {{":method", std::string(method)},
                     {":scheme", "http"},
                     {":authority", "a.example"},
                     {":path", std::string(path)}};
    fields.insert(fields.end(), more.begin(), more.end());
    return fields;
  }

  // All frames that were sent.
  const std::vector<SentFrame>& Frames() {
    while (output.sent.size() - parsed_ >= 9) {
      const std::string_view head = std::string_view(output.sent).substr(parsed_, 9);
      const size_t size = ReadNumber(head.substr(0, 3));
      if (output.sent.size() - parsed_ - 9 < size) break;
      SentFrame frame;
      frame.type = static_cast<uint8_t>(head[3]);
      frame.flags = static_cast<uint8_t>(head[4]);
      frame.id = ReadNumber(head.substr(5, 4));
      frame.payload = output.sent.substr(parsed_ + 9, size);
      if (frame.type == kHeaders) block_.clear();
      if (frame.type == kHeaders || frame.type == kContinuation) block_ += frame.payload;
      frames_.push_back(frame);
      if (frame.type == kHeaders) head_at_ = frames_.size() - 1;
      if ((frame.type == kHeaders || frame.type == kContinuation) && (frame.flags & kEndHeaders) != 0) {
        frames_[head_at_].fields = hpack.Decode(block_);
      }
      parsed_ += 9 + size;
    }
    return frames_;
  }
  // The error of the first RST_STREAM for that stream.
  std::optional<uint32_t> ResetOf(uint32_t id) {
    for (const SentFrame& f : Frames()) {
      if (f.type == kRstStream && f.id == id) return ReadNumber(f.payload);
    }
    return std::nullopt;
  }
  // The error of the last GOAWAY.
  std::optional<uint32_t> GoawayError() {
    std::optional<uint32_t> error;
    for (const SentFrame& f : Frames()) {
      if (f.type == kGoaway) error = ReadNumber(std::string_view(f.payload).substr(4, 4));
    }
    return error;
  }
  // The last head on that stream; an empty one if there is none.
  SentFrame Answer(uint32_t id) {
    SentFrame found;
    for (const SentFrame& f : Frames()) {
      if (f.type == kHeaders && f.id == id) found = f;
    }
    return found;
  }
  int Status(uint32_t id) {
    const std::string status = Answer(id).Get(":status");
    return status == "(absent)" ? 0 : std::stoi(status);
  }
  std::string Body(uint32_t id) {
    std::string body;
    for (const SentFrame& f : Frames()) {
      if (f.type == kData && f.id == id) body += f.payload;
    }
    return body;
  }
  bool Ended(uint32_t id) {
    for (const SentFrame& f : Frames()) {
      if (f.id == id && f.ends_stream()) return true;
    }
    return false;
  }
  // Increments that were sent, for a stream or (0) the connection.
  uint64_t WindowGiven(uint32_t id) {
    uint64_t sum = 0;
    for (const SentFrame& f : Frames()) {
      if (f.type == kWindowUpdate && f.id == id) sum += ReadNumber(f.payload);
    }
    return sum;
  }
  size_t Count(uint8_t type) {
    size_t n = 0;
    for (const SentFrame& f : Frames()) n += f.type == type;
    return n;
  }

  ConnectionInfo info;
  ClientLimits limits;
  Http2Output output;
  FakeHandler handler;
  RequestPool pool;
  HpackClient hpack;
  std::unique_ptr<Http2Session> session;

 private:
  std::vector<SentFrame> frames_;
  std::string block_;
  size_t parsed_ = 0, head_at_ = 0;
};

// Keeps the streams, and answers when told to.
struct LateHandler {
  explicit LateHandler(Http2Harness& harness) {
    harness.handler.answer = [this](Stream& stream) { streams.push_back(&stream); };
  }
  std::vector<Stream*> streams;
};

}  // namespace serin
