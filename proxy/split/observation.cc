#include "proxy/split/observation.h"

#include <algorithm>

namespace serin {

std::string_view Name(BackendError error) {
  switch (error) {
    case BackendError::kNone:
      return "none";
    case BackendError::kRefused:
      return "refused";
    case BackendError::kSaturated:
      return "saturated";
    case BackendError::kConnectTimeout:
      return "connect_timeout";
    case BackendError::kSendTimeout:
      return "send_timeout";
    case BackendError::kReset:
      return "reset";
    case BackendError::kTruncated:
      return "truncated";
    case BackendError::kReadTimeout:
      return "read_timeout";
    case BackendError::kProtocol:
      return "protocol";
    case BackendError::kOverloaded:
      return "overloaded";
  }
  return "none";
}

void FailureDetail::set_script(std::string_view text) {
  if (text.size() > script_bytes.size()) text.remove_prefix(text.size() - script_bytes.size());
  script_size = static_cast<uint8_t>(text.size());
  std::copy_n(text.data(), text.size(), script_bytes.data());  // memcpy may not be given an empty view's null
}

void FailureDetail::set_message(std::string_view text) {
  text = text.substr(0, std::min(text.find('\n'), message_bytes.size()));
  message_size = static_cast<uint8_t>(text.size());
  std::copy_n(text.data(), text.size(), message_bytes.data());
}

}  // namespace serin
