#pragma once
// The FastCGI 1.0 record codec, as a client of PHP-FPM speaks it: one request
// at a time per connection, each with the next id. PHP-FPM echoes the id, so
// that what is left over of one answer is never taken for part of the next.
// Bytes in, bytes out, no socket. Owned by a backend connection; its worker's
// thread.
//
// Order of calls for a POST:
//   AppendBeginRequest → ParamsWriter Add… Finish → AppendStdinHeader + content… → AppendStdinEnd
//   RecordDecoder::Decode with whatever arrives, until kEnd or kError
//
// Source: FastCGI Specification 1.0 (Open Market, 1996); what PHP-FPM makes of
// it stands in docs/, in short: a pair that is split between two PARAMS
// records resets the connection, records carry padding and break anywhere.

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace serin {

inline constexpr size_t kMaxRecordContent = 65535;
// Content of one STDIN record: the largest multiple of 8 that fits.
inline constexpr size_t kMaxStdin = 65528;
inline constexpr size_t kRecordHeaderSize = 8;

// Of the requests on a connection, counted from 0: 1…65535 (0 is for management records, §3.3).
constexpr uint16_t RequestId(uint64_t number) { return static_cast<uint16_t>(number % 65535 + 1); }

// BEGIN_REQUEST: role responder. With `keep_connection` PHP-FPM leaves
// the connection open after END_REQUEST and waits for the next request.
void AppendBeginRequest(std::string& out, uint16_t id, bool keep_connection);

// Header of a STDIN record; the caller sends `size` bytes of content next
// (1…kMaxStdin), from wherever they lie. There is no padding.
void AppendStdinHeader(std::string& out, uint16_t id, uint16_t size);
// The empty STDIN record: the body is whole.
void AppendStdinEnd(std::string& out, uint16_t id);

// Bytes that a pair takes within a PARAMS record.
size_t EncodedPairSize(size_t name_size, size_t value_size);
// Appends a pair without a record around it: for blocks encoded in advance.
void AppendPair(std::string& out, std::string_view name, std::string_view value);

// Writes PARAMS records behind what is in `out`. A pair never lies in two
// records. `out` must not be touched by others between construction and Finish.
class ParamsWriter {
 public:
  ParamsWriter(std::string& out, uint16_t id) : out_(out), id_(id) {}

  // False when the pair cannot fit into one record (65,535 bytes with its
  // lengths): nothing is written, and the request cannot be sent as it is.
  [[nodiscard]] bool Add(std::string_view name, std::string_view value);
  // Like Add, but leaves the text to the caller: name_size + value_size bytes
  // at the returned place, which is valid until the next call. nullptr: no fit.
  [[nodiscard]] char* Reserve(size_t name_size, size_t value_size);
  // Pairs made by AppendPair, kept together in one record. False: no fit.
  [[nodiscard]] bool AddEncoded(std::string_view pairs);
  // Ends the stream with the empty PARAMS record.
  void Finish();

 private:
  bool MakeRoom(size_t size);
  void CloseRecord();

  static constexpr size_t kNoRecord = static_cast<size_t>(-1);
  std::string& out_;
  const uint16_t id_;
  size_t record_ = kNoRecord;  // offset of the open record's header
};

// Takes the answer apart, incrementally and without copying: content is handed
// on as slices of the input. After kError or a premature end of the bytes the
// connection must not be used again; nor when bytes follow kEnd.
class RecordDecoder {
 public:
  enum class Result : uint8_t { kMore, kEnd, kError };

  // Slices are never empty and are valid during the call only. Implementers are final.
  class Sink {
   public:
    virtual void OnStdout(std::string_view bytes) = 0;
    virtual void OnStderr(std::string_view bytes) = 0;

   protected:
    ~Sink() = default;
  };

  // END_REQUEST's protocolStatus (§5.5).
  static constexpr uint8_t kRequestComplete = 0;
  static constexpr uint8_t kCantMultiplex = 1;
  static constexpr uint8_t kOverloaded = 2;
  static constexpr uint8_t kUnknownRole = 3;

  // kMore: all was consumed, the answer goes on. kEnd: END_REQUEST was read
  // whole, *consumed says up to where. kError: these bytes are not a FastCGI
  // answer to our request; every later call says so too, until Reset.
  Result Decode(std::string_view bytes, Sink& sink, size_t* consumed);

  // Valid after kEnd.
  uint8_t protocol_status() const { return protocol_status_; }
  uint32_t app_status() const { return app_status_; }
  // The empty STDOUT record has been seen. PHP-FPM leaves it out.
  bool stdout_closed() const { return stdout_closed_; }
  // A record with our request's id has come: until then, bad bytes are not of its answer.
  bool started() const { return started_; }

  // Ready for the answer to the request with this id; before the first call, id 1.
  void Reset(uint16_t id) {
    *this = RecordDecoder();
    id_ = id;
  }

 private:
  enum class State : uint8_t { kHeader, kContent, kPadding, kEnded, kFailed };

  bool BeginRecord();
  void TakeContent(std::string_view slice, Sink& sink);
  bool EndRecord();

  std::array<uint8_t, kRecordHeaderSize> buffer_{};  // a header, or END_REQUEST's content, in pieces
  State state_ = State::kHeader;
  uint8_t have_ = 0;  // bytes in buffer_
  uint8_t type_ = 0;
  uint8_t padding_ = 0;
  uint16_t content_ = 0;  // bytes of content still to come
  uint16_t id_ = RequestId(0);
  bool started_ = false;
  bool stdout_closed_ = false;
  bool stderr_closed_ = false;
  uint8_t protocol_status_ = 0;
  uint32_t app_status_ = 0;
};

}  // namespace serin
