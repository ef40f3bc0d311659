#include "proxy/respond/error_page.h"

#include <array>

namespace serin {
namespace {

struct Page {
  uint16_t status;
  std::string_view text;
};

// Literals joined by the compiler: the pages are constants, not built at start.
#define SERIN_PAGE(code, title, sentence)                                                                \
  Page {                                                                                                 \
    code,                                                                                                \
        "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">"                              \
        "<meta name=\"viewport\" content=\"width=device-width\"><meta name=\"color-scheme\" "            \
        "content=\"light dark\"><title>" title                                                           \
        "</title></head>\n<body style=\"font:1rem/1.5 system-ui,sans-serif;max-width:32rem;margin:15vh " \
        "auto;"                                                                                          \
        "padding:0 1rem\"><h1>" title "</h1><p>" sentence "</p></body></html>\n"                         \
  }

constexpr std::array kPages = {
    SERIN_PAGE(400, "Bad request", "The server could not understand this request."),
    SERIN_PAGE(403, "Forbidden", "This page cannot be shown."),
    SERIN_PAGE(404, "Not found", "There is no page at this address."),
    SERIN_PAGE(405, "Method not allowed", "This address does not take requests of this kind."),
    SERIN_PAGE(408, "Request timed out", "The request took too long to arrive. Please try again."),
    SERIN_PAGE(413, "Too large", "The upload is larger than this server accepts."),
    SERIN_PAGE(414, "Address too long", "The address is longer than this server accepts."),
    SERIN_PAGE(431, "Header too large",
               "The request header is larger than this server accepts. "
               "Deleting the cookies of this site may help."),
    SERIN_PAGE(500, "Server error", "Something went wrong on the server. Please try again later."),
    SERIN_PAGE(501, "Not implemented", "The server does not know requests of this kind."),
    SERIN_PAGE(502, "Bad gateway", "The server received no valid answer. Please try again later."),
    SERIN_PAGE(503, "Service unavailable", "The server is busy. Please try again in a few seconds."),
    SERIN_PAGE(504, "Gateway timed out", "The server took too long to answer. Please try again later."),
    SERIN_PAGE(505, "Version not supported", "The server does not speak this version of HTTP."),
};

#undef SERIN_PAGE

constexpr std::string_view kRetrySeconds = "5";  // a queue of ten seconds' length has moved by then

}  // namespace

std::string_view ErrorPage(uint16_t status) {
  for (const Page& page : kPages) {
    if (page.status == status) return page.text;
  }
  return ErrorPage(status < 500 ? 400 : 500);
}

void FillErrorHead(uint16_t status, ResponseHead& head) {
  head.Clear();
  head.status = status;
  head.content_length = ErrorPage(status).size();
  head.fields.push_back({"content-type", "text/html; charset=utf-8"});
  head.fields.push_back({"cache-control", "no-store"});
  if (status == 503) head.fields.push_back({"retry-after", kRetrySeconds});
}

}  // namespace serin
