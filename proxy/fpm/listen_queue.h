#pragma once
// How many connections wait in the backlog of a listening unix socket, whoever
// owns it: asked of the kernel (sock_diag(7)), because PHP-FPM does not know.

#include <cstdint>
#include <optional>
#include <string>

namespace serin {

// nullopt: nobody listens there, as far as this network namespace can see, or
// the kernel does not say. Bounded in time (0.2 s); a thread that may wait.
std::optional<uint32_t> UnixListenQueue(const std::string& path);

}  // namespace serin
