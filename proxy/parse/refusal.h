#pragma once
// Why a request is turned away before any handler hears of it: the status of
// the answer. What the pure rules of this station return. Any thread.

#include <cstdint>

namespace serin {

enum class Refusal : uint16_t {
  kNone = 0,
  kBadRequest = 400,
  kMethodNotAllowed = 405,
  kTimeout = 408,
  kBodyTooLarge = 413,
  kTargetTooLong = 414,
  kExpectationFailed = 417,
  kHeadTooLarge = 431,
  kNotImplemented = 501,
  kVersionNotSupported = 505,
  kStorageFailed = 507,
};

constexpr uint16_t StatusOf(Refusal refusal) { return static_cast<uint16_t>(refusal); }

}  // namespace serin
