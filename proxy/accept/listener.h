#pragma once
// Accepts on one listening socket and hands each connection on. Several
// workers may watch the same unix socket; TCP ones have a socket each. Owned
// by a worker or the main thread; that thread only.

#include <functional>

#include "proxy/event_loop.h"
#include "proxy/message.h"
#include "proxy/socket.h"

namespace serin {

class Listener {
 public:
  using OnAccept = std::function<void(UniqueFd fd, ConnectionInfo info)>;

  // `fd` is borrowed: the server owns listening sockets, so that a reload can
  // keep them while workers come and go.
  Listener(EventLoop& loop, int fd, const ListenerSettings& settings, OnAccept on_accept);

  // Stops accepting until Resume: out of descriptors or at the connection limit.
  void Pause() { watch_.Set(false, false); }
  void Resume() { watch_.Set(true, false); }
  // For good: later clients are refused, those that the kernel has connected
  // already are still accepted. They may have sent a request by now.
  void Finish();
  const ListenerSettings& settings() const { return settings_; }

 private:
  static void OnReady(void* self, bool readable, bool writable);
  bool AcceptSome();

  int fd_;
  ListenerSettings settings_;
  OnAccept on_accept_;
  std::string local_address_;  // of a listener bound to one address
  uint16_t local_port_ = 0;
  bool any_address_ = false;
  IoWatch watch_;
};

}  // namespace serin
