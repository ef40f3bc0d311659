#pragma once
// Sockets as values: opened, bound, connected, named. Any thread.

#include <sys/socket.h>
#include <sys/uio.h>

#include <span>
#include <string>

#include "absl/status/statusor.h"
#include "proxy/base/unique_fd.h"
#include "proxy/settings.h"

namespace serin {

// A socket address as the kernel wants it.
struct RawAddress {
  sockaddr_storage storage{};
  socklen_t size = 0;
  const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&storage); }
  int family() const { return storage.ss_family; }
};

// InvalidArgument for a host that is not a numeric address or a path that is
// too long for sun_path (107 bytes).
absl::StatusOr<RawAddress> ToRaw(const SocketAddress& address);
// "203.0.113.7" and its port; "" and 0 for a unix socket.
void NameOf(const sockaddr_storage& storage, std::string& host, uint16_t& port);

// Sends the slices in one call, as sendmsg(2) with `flags` does, without SIGPIPE.
// A single slice spares the kernel the message header.
ssize_t SendSlices(int fd, std::span<const iovec> slices, int flags = 0);
// Appends to `rest` what is left of the slices behind their first `taken` bytes.
void AppendUnsent(std::string& rest, std::span<const iovec> slices, size_t taken);

// A listening, non-blocking socket. TCP: SO_REUSEPORT, so that every worker has
// one of its own. Unix: a stale socket file (nobody accepts on it) is replaced;
// one that answers is AlreadyExists; the file gets `mode`.
absl::StatusOr<UniqueFd> Listen(const ListenerSettings& settings);

}  // namespace serin
