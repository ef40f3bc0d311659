#include "proxy/parse/method.h"

#include <llhttp.h>

#include <algorithm>

namespace serin {
namespace {

#define SERIN_METHOD_NAME(number, name, text) #text,
constexpr std::string_view kMethods[] = {HTTP_METHOD_MAP(SERIN_METHOD_NAME)};
#undef SERIN_METHOD_NAME

}  // namespace

bool IsKnownMethod(std::string_view method) {
  if (method == "GET" || method == "POST") return true;
  return std::find(std::begin(kMethods), std::end(kMethods), method) != std::end(kMethods);
}

}  // namespace serin
