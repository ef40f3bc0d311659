#pragma once
// Tells systemd how the service is doing (Type=notify). Ours instead of
// libsystemd: the protocol is one datagram, the library drags in five others.

#include <string_view>

namespace serin {

// Sends `state` ("READY=1", "STOPPING=1", "RELOADING=1\nMONOTONIC_USEC=…") to
// $NOTIFY_SOCKET; does nothing without one. See sd_notify(3). Any thread.
void NotifySystemd(std::string_view state);

}  // namespace serin
