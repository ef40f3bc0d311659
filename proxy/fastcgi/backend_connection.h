#pragma once
// One connection to a PHP-FPM pool, one request at a time on it. Opened when a
// request is ready to be written (a silent connection holds an FPM worker for
// 5 s), written at once, closed or kept as its pool decides. Recycled by its
// pool. One thread.

#include <span>
#include <string>
#include <string_view>

#include "proxy/base/spool.h"
#include "proxy/base/timer_wheel.h"
#include "proxy/event_loop.h"
#include "proxy/fastcgi/record.h"
#include "proxy/settings.h"
#include "proxy/split/observation.h"

namespace serin {

class BackendConnection;

// Whose request it is. After OnBackendEnd or OnBackendError the connection is
// no longer the user's. A user may call Abort in any of these.
class BackendUser {
 public:
  virtual void OnStdout(std::string_view bytes) = 0;
  virtual void OnStderr(std::string_view bytes) = 0;
  // The bytes of the OnStdout calls so far die when this returns; more is to come.
  virtual void OnBlock() = 0;
  // END_REQUEST came: the answer is whole. Bytes as with OnBlock.
  virtual void OnBackendEnd() = 0;
  // `stale`: a kept connection that PHP-FPM closed (pm.max_requests, a reload),
  // or that had something left over from before, and nothing of this request's
  // answer has come: it may be tried on a new one.
  virtual void OnBackendError(BackendError error, bool stale) = 0;

 protected:
  ~BackendUser() = default;
};

// How a request left its connection.
enum class Ended : uint8_t {
  kWhole,      // the answer was whole, nothing is left over: it can be used again
  kBroken,     // it cannot, and PHP-FPM knows that the request is over
  kAbandoned,  // we gave up; the script may run on until its next output
};

// Who decides what becomes of the connection when its request is over.
class BackendOwner {
 public:
  // Also called when an idle connection ends: kBroken when PHP-FPM closed it,
  // kWhole when its time is over. The owner may put the connection to its next
  // use at once.
  virtual void OnConnectionFree(BackendConnection& connection, Ended ended) = 0;

 protected:
  ~BackendOwner() = default;
};

struct BackendHost {
  EventLoop& loop;
  TimerWheel& wheel;
  std::span<char> receive_scratch;  // answers; valid during one callback
  std::span<char> send_scratch;     // bodies on their way from a file
};

class BackendConnection final : private TimerWheel::Entry,
                                private EventLoop::TurnEnd,
                                private RecordDecoder::Sink {
 public:
  BackendConnection(const BackendHost& host, BackendOwner& owner) : host_(host), owner_(owner) {}

  // Opens a non-blocking connection. kNone: connected, or under way.
  BackendError Connect(const PoolSettings& settings);
  // Where BEGIN_REQUEST and PARAMS go before Send, with this id.
  std::string& send_buffer() { return send_buffer_; }
  uint16_t request_id() const { return RequestId(answered_); }
  // Sends send_buffer and `body` at the end of the turn, when a burst of requests
  // leaves together, then reads the answer. Both references are borrowed until
  // the request is over. Errors come by OnBackendError.
  void Send(BackendUser& user, const Spool& body, const PoolSettings& settings);
  // The user loses interest, before Send or after. A request that PHP-FPM has
  // whole it runs to its end (FCGI_ABORT_REQUEST means nothing to it), and a
  // connection more in the meantime would be one too many: the answer is read
  // and dropped for a while, before the connection is closed.
  void Abort();
  // Ends the request under way, if there is one, as read_timeout would.
  void CutOff() {
    if (user_ != nullptr) Fail(BackendError::kReadTimeout);
  }
  // Back-pressure: stop and go on reading the answer.
  void PauseReading();
  void ResumeReading();
  // Between requests: kept until `deadline` or until PHP-FPM closes it.
  void WaitIdle(Instant deadline);
  void Close();

  bool open() const { return static_cast<bool>(fd_); }

 private:
  enum class Sent : uint8_t { kAll, kBlocked, kBroken, kNoBody };

  void OnStdout(std::string_view bytes) override;
  void OnStderr(std::string_view bytes) override;
  void OnDeadline() override;
  void OnTurnEnd() override { Pump(); }
  static void OnReady(void* self, bool readable, bool writable);
  bool FinishConnect();
  void Pump();
  Sent SendSome();
  bool NextBodyPart(std::string_view& part);
  bool KeepUnsent(std::span<const iovec> slices, size_t taken);
  void Receive();
  void Linger();
  void Drop();
  bool TakeBlock(std::string_view bytes);
  void Fail(BackendError error);
  void ArmDeadline(absl::Duration limit);

  const BackendHost& host_;
  BackendOwner& owner_;
  BackendUser* user_ = nullptr;  // null: idle or closed
  const PoolSettings* settings_ = nullptr;
  const Spool* body_ = nullptr;
  UniqueFd fd_;
  IoWatch watch_;
  RecordDecoder decoder_;
  std::string send_buffer_;  // from send_offset_ on: not taken by the socket yet
  size_t send_offset_ = 0;
  uint64_t body_offset_ = 0;  // of body_: already in records
  Instant total_deadline_;
  uint64_t answered_ = 0;  // requests on it so far
  bool connecting_ = false;
  bool sending_ = false;       // the request is not all with the socket yet
  bool body_ended_ = false;    // the empty STDIN record has been queued
  bool received_any_ = false;  // of this request's answer
  bool paused_ = false;
  bool lingering_ = false;  // without a user, until the script has ended
};

}  // namespace serin
