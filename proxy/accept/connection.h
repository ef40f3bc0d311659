#pragma once
// One client connection: a socket, its session, and time limits. Moves bytes
// and knows nothing of their meaning. Allocated by Start, listed in its
// thread's ConnectionTable, freed at the end of a loop turn and never inside
// its own callback. One thread.

#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "proxy/accept/output_gather.h"
#include "proxy/accept/proxy_protocol.h"
#include "proxy/accept/tls_stream.h"
#include "proxy/base/intrusive_list.h"
#include "proxy/base/timer_wheel.h"
#include "proxy/base/unique_fd.h"
#include "proxy/event_loop.h"
#include "proxy/message.h"
#include "proxy/session.h"

namespace serin {

class Connection;

// All connections of one thread, for drain and shutdown.
class ConnectionTable {
 public:
  class Link : public ListNode {
   public:
    explicit Link(Connection& owner) : connection(&owner) {}
    Connection* const connection;
  };
  void Add(Link& link) {
    list_.PushBack(link);
    ++size_;
  }
  void Remove(Link& link) {
    link.Unlink();
    --size_;
  }
  template <typename Visit>
  void ForEach(Visit&& visit) {
    list_.ForEach([&](Link& link) { visit(*link.connection); });
  }
  int size() const { return size_; }

 private:
  IntrusiveList<Link> list_;
  int size_ = 0;
};

// What the connections of one thread share.
class ConnectionHost final : private EventLoop::TurnEnd {
 public:
  ConnectionHost(EventLoop& event_loop, TimerWheel& timer_wheel, std::span<char> receive_scratch)
      : loop(event_loop), wheel(timer_wheel), scratch(receive_scratch) {}

  // Sends what has been gathered, or parks it until the end of the turn if nothing
  // of it is borrowed: answers that leave together wake their receivers less often
  // than one now and then. Whoever lends bytes to SendBody calls this before they
  // die, and at the end of every callback.
  void FlushOutput();
  // Sends what is parked. Nothing may be gathered at the moment.
  void SendParked();

  EventLoop& loop;
  TimerWheel& wheel;
  const std::span<char> scratch;  // received bytes, valid during one callback
  ConnectionTable table;
  uint64_t received = 0, sent = 0;  // bytes of all connections so far
  std::string cipher;               // TLS records on their way out, during one call
  std::string plain;                // what goes into the next record
  OutputGather gather;              // of `sender`
  Connection* sender = nullptr;     // whose output is in `gather`; null: empty

 private:
  struct Parked {
    Connection* connection;
    std::string_view bytes;
  };
  // A burst of answers; more are sent in between, so that none waits for many.
  static constexpr int kMostParked = 64;

  void OnTurnEnd() override { SendParked(); }

  Parked parked_[kMostParked];
  int parked_count_ = 0;
};

// Makes the session of a new connection, which is its output, once the
// protocol is known: by the client's first bytes, or by ALPN.
class SessionMaker {
 public:
  // `first`: all that has been received so far, not empty. Null: more is
  // needed to tell (HTTP/2's preface is 24 bytes).
  virtual std::unique_ptr<Session> MakeSession(Connection& connection, std::string_view first) = 0;
  // Is that client, named by a PROXY header, one of the trusted proxies?
  virtual bool TrustsPeer(std::string_view /*peer_address*/) { return false; }
  // The connection is about to be freed.
  virtual void OnConnectionClosed() {}

 protected:
  ~SessionMaker() = default;
};

class Connection final : public SessionOutput, private TimerWheel::Entry, private EventLoop::TurnEnd {
 public:
  // Takes the socket and starts reading. `limits` and `maker` must outlive it.
  // `tls`: null for cleartext.
  static void Start(ConnectionHost& host, const ClientLimits& limits, UniqueFd fd, ConnectionInfo info,
                    SessionMaker& maker, std::shared_ptr<const TlsContext> tls = nullptr);

  const ConnectionInfo& info() const { return info_; }
  // What ALPN chose; "" without TLS or ALPN.
  std::string_view alpn() const { return tls_ ? tls_->protocol() : std::string_view(); }
  // Finishes what is in flight, then closes.
  void BeginDrain();
  // Gives up at the end of this turn, whatever is unsent.
  void Drop();

  // SessionOutput
  void Write(std::string_view bytes) override;
  void WriteBorrowed(std::string_view bytes) override;
  size_t Unsent() const override;
  void Flush() override;
  void CloseWhenSent() override;
  void Linger() override { linger_ = true; }
  void Reset() override;
  void AtTurnEnd() override { host_.loop.AtTurnEnd(*this); }

 private:
  friend class ConnectionHost;
  // kClosing: nothing more is read, the rest is being sent. kLingering: all is
  // sent and our side shut down. kDropped: dead, freed at the end of the turn.
  enum class State : uint8_t { kOpen, kClosing, kLingering, kDropped };

  Connection(ConnectionHost& host, const ClientLimits& limits, UniqueFd fd, ConnectionInfo info,
             SessionMaker& maker);
  ~Connection();

  void OnDeadline() override;
  void OnTurnEnd() override;
  static void OnReady(void* self, bool readable, bool writable);
  void OnReadable();
  void ReadProxyHeader();
  void ReadTls();
  void OnBytes(std::string_view bytes);
  void OnEof();
  void OnWritable();
  void Discard();
  bool BecomeSender();
  bool MakeRoom();
  void SendGathered();
  void SendParked(std::string_view bytes);
  void Send(std::span<const iovec> slices);
  void SendPlain(std::span<const iovec> slices);
  void SendEncrypted(std::span<const iovec> slices);
  bool HasUnsent() const { return parked_ > 0 || !unsent_.empty(); }
  int SendFlags() const;
  void SendRaw(std::string_view bytes);
  void SendReply(std::string_view bytes);
  void KeepUnsent(std::string_view bytes);
  void CountSent(size_t bytes) {
    sent_ += bytes;
    host_.sent += bytes;
  }
  void CloseTls();
  void Settle();
  void UpdateDeadline();

  ConnectionHost& host_;
  const ClientLimits& limits_;
  UniqueFd fd_;
  IoWatch watch_;
  ConnectionInfo info_;
  SessionMaker& maker_;
  std::unique_ptr<ProxyHeaderReader> proxy_;  // null: no header is expected, or no longer
  std::unique_ptr<TlsStream> tls_;            // null: cleartext
  std::unique_ptr<Session> session_;          // null: the protocol is not known yet
  std::string early_;                         // received until then
  std::string unsent_;                        // what the socket did not take, from unsent_offset_ on
  size_t unsent_offset_ = 0;
  size_t parked_ = 0;  // bytes of ours that are parked in host_
  uint64_t sent_ = 0;
  uint64_t discarded_ = 0;
  uint64_t sent_before_ = 0;  // sent_ when the half-closed client's deadline was set
  State state_ = State::kOpen;
  SessionPhase timed_phase_ = SessionPhase::kClosing;  // which phase the deadline belongs to
  bool linger_ = false;
  bool draining_ = false;
  bool half_closed_ = false;  // the client sends no more
  bool timing_send_ = false;  // the deadline is for unsent bytes
  ConnectionTable::Link table_link_{*this};
};

}  // namespace serin
