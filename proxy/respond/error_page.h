#pragma once
// What a client sees when there is no answer from a pool. Says what the status
// says and nothing of the inside. Constant text; any thread.

#include <cstdint>
#include <string_view>

#include "proxy/message.h"

namespace serin {

// A small HTML page, static. A status without a page of its own has that of its class.
std::string_view ErrorPage(uint16_t status);

// Fills the head that goes with ErrorPage(status): its type and length, never
// cached; Retry-After with 503 (RFC 9110 §15.6.4).
void FillErrorHead(uint16_t status, ResponseHead& head);

}  // namespace serin
