#include "proxy/parse/http2_codec.h"

#include <nghttp2/nghttp2.h>

#include <cstdlib>

#include "absl/container/inlined_vector.h"

namespace serin {

struct Http2Callbacks {
  static Http2Codec& Self(void* user) { return *static_cast<Http2Codec*>(user); }
  static Http2Stream* StreamOf(nghttp2_session* session, int32_t id) {
    return static_cast<Http2Stream*>(nghttp2_session_get_stream_user_data(session, id));
  }
  static std::string_view View(const uint8_t* at, size_t size) {
    return {reinterpret_cast<const char*>(at), size};
  }

  static int OnFrameBegin(nghttp2_session*, const nghttp2_frame_hd* frame, void* user) {
    Http2Codec& self = Self(user);
    switch (frame->type) {
      case NGHTTP2_HEADERS:
        self.CheckStreamId(frame->stream_id);
        return 0;
      case NGHTTP2_DATA:
        if (frame->length == 0 && (frame->flags & NGHTTP2_FLAG_END_STREAM) == 0) self.events_.OnIdleFrame();
        return 0;
      case NGHTTP2_PRIORITY:
        // RFC 9113 §6.3. nghttp2 looks no further at what we have declined.
        if (frame->stream_id == 0) self.broke_rules_ = true;
        self.events_.OnIdleFrame();
        return 0;
      case NGHTTP2_CONTINUATION:   // bounded by themselves
      case NGHTTP2_WINDOW_UPDATE:  // 13 bytes for less work than it took to send them
        return 0;
      default:
        self.events_.OnIdleFrame();
        return 0;
    }
  }

  static int OnHeadersBegin(nghttp2_session* session, const nghttp2_frame* frame, void* user) {
    Http2Events& events = Self(user).events_;
    const int32_t id = frame->hd.stream_id;
    if (frame->headers.cat == NGHTTP2_HCAT_REQUEST) {
      nghttp2_session_set_stream_user_data(session, id, events.OnHeadBegin(id));
    } else if (Http2Stream* stream = StreamOf(session, id)) {
      events.OnTrailersBegin(*stream);
    }
    return 0;
  }

  static int OnHeader(nghttp2_session*, const nghttp2_frame*, const uint8_t* name, size_t name_size,
                      const uint8_t* value, size_t value_size, uint8_t, void* user) {
    Self(user).events_.OnField(View(name, name_size), View(value, value_size));
    return 0;
  }

  static int OnFrame(nghttp2_session* session, const nghttp2_frame* frame, void* user) {
    Http2Events& events = Self(user).events_;
    if (frame->hd.type == NGHTTP2_PING) {
      if ((frame->hd.flags & NGHTTP2_FLAG_ACK) != 0) events.OnPong();
      return 0;
    }
    if (frame->hd.type != NGHTTP2_HEADERS && frame->hd.type != NGHTTP2_DATA) return 0;
    const bool ended = (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0;
    Http2Stream* stream = StreamOf(session, frame->hd.stream_id);
    if (stream == nullptr) return 0;
    if (frame->hd.type == NGHTTP2_DATA) {
      if (ended) {
        events.OnBodyEnd(*stream);
      } else if (frame->hd.length > 0 && frame->hd.length == frame->data.padlen) {
        events.OnIdleFrame();
      }
    } else if (frame->headers.cat == NGHTTP2_HCAT_REQUEST) {
      events.OnHeadEnd(*stream, ended);
    } else {
      events.OnTrailersEnd(*stream, ended);
    }
    return 0;
  }

  static int OnDataChunk(nghttp2_session* session, uint8_t flags, int32_t id, const uint8_t* data,
                         size_t size, void* user) {
    Http2Codec& self = Self(user);
    if (Http2Stream* stream = StreamOf(session, id)) {
      self.events_.OnBody(*stream, View(data, size), (flags & NGHTTP2_FLAG_END_STREAM) != 0);
    } else {
      self.ConsumeUnseen(size);
    }
    return 0;
  }

  static int OnInvalidFrame(nghttp2_session*, const nghttp2_frame*, int, void* user) {
    Self(user).events_.OnBadFrame();
    return 0;
  }

  static int OnStreamClose(nghttp2_session* session, int32_t id, uint32_t, void* user) {
    Http2Stream* stream = StreamOf(session, id);
    if (stream != nullptr) Self(user).events_.OnClosed(*stream);
    return 0;
  }

  static int OnFrameNotSent(nghttp2_session* session, const nghttp2_frame* frame, int error, void* user) {
    // The stream is closed or about to be: nothing is lost.
    if (error == NGHTTP2_ERR_STREAM_CLOSED || error == NGHTTP2_ERR_STREAM_CLOSING) return 0;
    if (frame->hd.type != NGHTTP2_HEADERS) return 0;
    Http2Stream* stream = StreamOf(session, frame->hd.stream_id);
    if (stream != nullptr) Self(user).events_.OnUnsendable(*stream);
    return 0;
  }

  static ssize_t ReadData(nghttp2_session*, int32_t, uint8_t*, size_t max, uint32_t* flags,
                          nghttp2_data_source* source, void* user) {
    const auto data = Self(user).events_.NextData(*static_cast<Http2Stream*>(source->ptr), max);
    if (data.deferred) return NGHTTP2_ERR_DEFERRED;
    *flags |= NGHTTP2_DATA_FLAG_NO_COPY;
    if (data.end) *flags |= NGHTTP2_DATA_FLAG_EOF;
    return static_cast<ssize_t>(data.size);
  }

  static int SendData(nghttp2_session*, nghttp2_frame*, const uint8_t* head, size_t size,
                      nghttp2_data_source* source, void* user) {
    constexpr size_t kFrameHead = 9;
    Http2Stream& stream = *static_cast<Http2Stream*>(source->ptr);
    return Self(user).events_.WriteData(stream, View(head, kFrameHead), size) ? 0 : NGHTTP2_ERR_PAUSE;
  }

  static nghttp2_session_callbacks* Make() {
    nghttp2_session_callbacks* callbacks = nullptr;
    if (nghttp2_session_callbacks_new(&callbacks) != 0) std::abort();  // out of memory
    nghttp2_session_callbacks_set_on_begin_frame_callback(callbacks, OnFrameBegin);
    nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks, OnHeadersBegin);
    nghttp2_session_callbacks_set_on_header_callback(callbacks, OnHeader);
    nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, OnFrame);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, OnDataChunk);
    nghttp2_session_callbacks_set_on_invalid_frame_recv_callback(callbacks, OnInvalidFrame);
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, OnStreamClose);
    nghttp2_session_callbacks_set_on_frame_not_send_callback(callbacks, OnFrameNotSent);
    nghttp2_session_callbacks_set_send_data_callback(callbacks, SendData);
    return callbacks;
  }
};

namespace {

// Answers to PING and SETTINGS that may wait to be sent (CVE-2019-9512, -9515).
constexpr size_t kMaxAcks = 200;
constexpr size_t kMaxSettings = 32;
// A head of 60 KiB is 4 of them; some clients send smaller ones. nghttp2 counts a
// frame's head once for each piece in which it arrives.
[[maybe_unused]] constexpr size_t kMaxContinuations = 16;
// RST_STREAM frames: as many at once as a browser needs that leaves three crowded
// pages, then 33 a second (CVE-2023-44487).
[[maybe_unused]] constexpr uint64_t kResetBurst = 300, kResetRate = 33;
// PHP's heads have up to 64 KiB and 256 fields (respond/cgi_head.h); nghttp2 counts
// their worst case.
constexpr size_t kMaxAnswerHead = 256 * 1024;

nghttp2_option* MakeOptions() {
  nghttp2_option* option = nullptr;
  if (nghttp2_option_new(&option) != 0) std::abort();  // out of memory
  nghttp2_option_set_no_auto_window_update(option, 1);
  nghttp2_option_set_no_http_messaging(option, 1);
  nghttp2_option_set_no_closed_streams(option, 1);
  nghttp2_option_set_max_outbound_ack(option, kMaxAcks);
  nghttp2_option_set_max_settings(option, kMaxSettings);
  nghttp2_option_set_max_send_header_block_length(option, kMaxAnswerHead);
#ifdef SERIN_NGHTTP2_RESET_RATE_LIMIT
  nghttp2_option_set_stream_reset_rate_limit(option, kResetBurst, kResetRate);
#endif
#ifdef SERIN_NGHTTP2_MAX_CONTINUATIONS
  nghttp2_option_set_max_continuations(option, kMaxContinuations);
#endif
  return option;
}

uint8_t* Bytes(std::string_view text) {
  return const_cast<uint8_t*>(reinterpret_cast<const uint8_t*>(text.data()));
}

nghttp2_nv MakeNv(const Field& field) {
  return {Bytes(field.name), Bytes(field.value), field.name.size(), field.value.size(), NGHTTP2_NV_FLAG_NONE};
}

Http2Error ErrorFor(ssize_t failure) {
  switch (failure) {
    case NGHTTP2_ERR_BAD_CLIENT_MAGIC:
      return Http2Error::kProtocolError;
    case NGHTTP2_ERR_FLOODED:
#ifdef SERIN_NGHTTP2_MAX_CONTINUATIONS
    case NGHTTP2_ERR_TOO_MANY_CONTINUATIONS:
#endif
      return Http2Error::kEnhanceYourCalm;
    default:
      return Http2Error::kInternalError;
  }
}

}  // namespace

void Http2Codec::Delete::operator()(nghttp2_session* session) const { nghttp2_session_del(session); }

Http2Codec::Http2Codec(Http2Events& events, size_t header_list) : events_(events) {
  nghttp2_session_callbacks* callbacks = Http2Callbacks::Make();
  nghttp2_option* option = MakeOptions();
  nghttp2_session* session = nullptr;
  if (nghttp2_session_server_new2(&session, callbacks, this, option) != 0) std::abort();  // out of memory
  session_.reset(session);
  nghttp2_option_del(option);
  nghttp2_session_callbacks_del(callbacks);
  const nghttp2_settings_entry settings[] = {
      {NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, kMaxStreams},
      {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, kStreamWindow},
      {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, static_cast<uint32_t>(header_list)},
      {NGHTTP2_SETTINGS_NO_RFC7540_PRIORITIES, 1},  // RFC 9218 §2.1: no tree of streams to be kept
  };
  nghttp2_submit_settings(session, NGHTTP2_FLAG_NONE, settings, std::size(settings));
  nghttp2_session_set_local_window_size(session, NGHTTP2_FLAG_NONE, 0, kConnectionWindow);
}

Http2Codec::~Http2Codec() = default;

// RFC 9113 §5.1.1: a stream that was skipped is closed, and opening it is a
// connection error. nghttp2 ignores such a head, because it cannot tell it from
// late trailers of a stream that it has forgotten.
void Http2Codec::CheckStreamId(int32_t id) {
  if (id > last_id_) {
    if (id > last_id_ + 2) {
      skipped_from_ = last_id_ + 2;
      skipped_to_ = id - 2;
    }
    last_id_ = id;
    return;
  }
  events_.OnIdleFrame();  // trailers at best
  broke_rules_ = broke_rules_ || (id >= skipped_from_ && id <= skipped_to_);
}

void Http2Codec::Receive(std::string_view bytes) {
  if (broken_) return;
  const ssize_t n = nghttp2_session_mem_recv(session_.get(), Bytes(bytes), bytes.size());
  if (n < 0) return Terminate(ErrorFor(n));
  if (broke_rules_) Terminate(Http2Error::kProtocolError);
}

void Http2Codec::Send(SessionOutput& output, size_t limit) {
  while (output.Unsent() < limit) {
    const uint8_t* frame = nullptr;
    const ssize_t n = nghttp2_session_mem_send(session_.get(), &frame);
    if (n < 0) broken_ = failed_ = true;
    if (n <= 0) return;
    output.Write(Http2Callbacks::View(frame, static_cast<size_t>(n)));
  }
}

bool Http2Codec::finished() const {
  return failed_ ||
         (nghttp2_session_want_write(session_.get()) == 0 && nghttp2_session_want_read(session_.get()) == 0);
}

void Http2Codec::SubmitAnswer(int32_t id, std::span<const Field> fields, Http2Stream* body) {
  absl::InlinedVector<nghttp2_nv, 32> block;
  for (const Field& field : fields) block.push_back(MakeNv(field));
  nghttp2_data_provider provider{};
  provider.source.ptr = body;
  provider.read_callback = Http2Callbacks::ReadData;
  nghttp2_submit_response(session_.get(), id, block.data(), block.size(),
                          body == nullptr ? nullptr : &provider);
}

void Http2Codec::SubmitContinue(int32_t id) {
  const nghttp2_nv status = MakeNv({":status", "100"});
  nghttp2_submit_headers(session_.get(), NGHTTP2_FLAG_NONE, id, nullptr, &status, 1, nullptr);
}

void Http2Codec::Resume(int32_t id) { nghttp2_session_resume_data(session_.get(), id); }

void Http2Codec::Reset(int32_t id, Http2Error error) {
  nghttp2_submit_rst_stream(session_.get(), NGHTTP2_FLAG_NONE, id, static_cast<uint32_t>(error));
}

void Http2Codec::Consume(int32_t id, size_t bytes) { nghttp2_session_consume(session_.get(), id, bytes); }

void Http2Codec::ConsumeUnseen(size_t bytes) { nghttp2_session_consume_connection(session_.get(), bytes); }

void Http2Codec::Interleave(int32_t id) {
  const nghttp2_extpri priority = {NGHTTP2_EXTPRI_DEFAULT_URGENCY, 1};
  nghttp2_session_change_extpri_stream_priority(session_.get(), id, &priority, 1);
}

void Http2Codec::BeginDrain() { nghttp2_submit_shutdown_notice(session_.get()); }

void Http2Codec::SubmitPing() { nghttp2_submit_ping(session_.get(), NGHTTP2_FLAG_NONE, nullptr); }

void Http2Codec::Goaway() {
  nghttp2_submit_goaway(session_.get(), NGHTTP2_FLAG_NONE,
                        nghttp2_session_get_last_proc_stream_id(session_.get()), NGHTTP2_NO_ERROR, nullptr,
                        0);
}

void Http2Codec::Terminate(Http2Error error) {
  broken_ = true;
  nghttp2_session_terminate_session(session_.get(), static_cast<uint32_t>(error));
}

}  // namespace serin
