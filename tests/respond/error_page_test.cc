#include "proxy/respond/error_page.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>

namespace serin {
namespace {

bool HasField(const ResponseHead& head, std::string_view name) {
  return std::any_of(head.fields.begin(), head.fields.end(),
                     [name](const Field& f) { return f.name == name; });
}

TEST(ErrorPageTest, SaysWhatTheStatusSays) {
  EXPECT_NE(ErrorPage(502).find("<h1>Bad gateway</h1>"), std::string_view::npos);
  EXPECT_NE(ErrorPage(404).find("<title>Not found</title>"), std::string_view::npos);
}

TEST(ErrorPageTest, AnyStatusHasAPageAndNoneNamesTheInside) {
  for (uint16_t status = 400; status < 600; ++status) {
    const std::string_view page = ErrorPage(status);
    EXPECT_TRUE(page.starts_with("<!DOCTYPE html>"));
    EXPECT_TRUE(page.ends_with("</html>\n"));
    for (const char* word : {"serin", "Serin", "php", "PHP", "pool", "canary", "blue", "green", "FastCGI"}) {
      EXPECT_EQ(page.find(word), std::string_view::npos) << status << ' ' << word;
    }
  }
  EXPECT_EQ(ErrorPage(499), ErrorPage(400));
  EXPECT_EQ(ErrorPage(599), ErrorPage(500));
}

TEST(ErrorPageTest, ItsHeadIsCompleteAndNeverCached) {
  ResponseHead head;
  head.fields.push_back({"left", "over"});
  FillErrorHead(502, head);
  EXPECT_EQ(head.status, 502);
  EXPECT_EQ(head.content_length, ErrorPage(502).size());
  EXPECT_TRUE(HasField(head, "content-type"));
  EXPECT_TRUE(HasField(head, "cache-control"));
  EXPECT_FALSE(HasField(head, "retry-after"));
  EXPECT_FALSE(HasField(head, "left"));
}

TEST(ErrorPageTest, A503SaysWhenToComeBack) {
  ResponseHead head;
  FillErrorHead(503, head);
  EXPECT_TRUE(HasField(head, "retry-after"));
}

}  // namespace
}  // namespace serin
