#include "proxy/parse/target.h"

#include <gtest/gtest.h>

#include <string>

namespace serin {
namespace {

std::string Path(std::string_view raw) {
  std::string out;
  return NormalizePath(raw, out) == Refusal::kNone ? out : "(refused)";
}

TEST(NormalizePathTest, LeavesPlainPathsAlone) {
  for (std::string_view raw :
       {"/", "/a", "/a/", "/a/b.php", "/.htaccess", "/a..b/c.", "/a\\..\\b", "/..;/x", "/a:b@c", "/..."}) {
    EXPECT_EQ(Path(raw), raw);
  }
}

TEST(NormalizePathTest, DecodesOnceAndOnlyOnce) {
  EXPECT_EQ(Path("/caf%C3%A9"), "/caf\xC3\xA9");
  EXPECT_EQ(Path("/%7euser/%41%62"), "/~user/Ab");
  EXPECT_EQ(Path("/a%20b+c"), "/a b+c");
  EXPECT_EQ(Path("/%2541"), "/%41");
  EXPECT_EQ(Path("/index.php%2500.jpg"), "/index.php%00.jpg");
  EXPECT_EQ(Path("/%252e%252e/x"), "/%2e%2e/x");
  EXPECT_EQ(Path("/a%3Fb%23c"), "/a?b#c");
}

TEST(NormalizePathTest, RefusesBrokenEncodingsAndControls) {
  for (std::string_view raw : {"/%", "/%4", "/%zz", "/%4g", "/%%41", "/a%00", "/a%0a.php", "/a%0D", "/a%09",
                               "/a%1b", "/a%7f", "/a%u0041"}) {
    EXPECT_EQ(Path(raw), "(refused)") << raw;
  }
}

TEST(NormalizePathTest, ResolvesDotSegments) {
  EXPECT_EQ(Path("/a/./b"), "/a/b");
  EXPECT_EQ(Path("/a/b/../c"), "/a/c");
  EXPECT_EQ(Path("/a/b/.."), "/a/");
  EXPECT_EQ(Path("/a/."), "/a/");
  EXPECT_EQ(Path("/."), "/");
  EXPECT_EQ(Path("/a/.."), "/");
  EXPECT_EQ(Path("/a/b/../../c/"), "/c/");
  EXPECT_EQ(Path("/index.php/../secret.php"), "/secret.php");
}

TEST(NormalizePathTest, ResolvesThemInEveryDisguise) {
  EXPECT_EQ(Path("/a/%2e%2e/b"), "/b");
  EXPECT_EQ(Path("/a/.%2E/b"), "/b");
  EXPECT_EQ(Path("/a/%2e/b"), "/a/b");
  EXPECT_EQ(Path("/a/b/..%2Fc"), "/a/c");
  EXPECT_EQ(Path("/a%2fb%2F..%2fc"), "/a/c");
}

TEST(NormalizePathTest, RefusesToLeaveTheRoot) {
  for (std::string_view raw : {"/..", "/../", "/../a", "/a/../../b", "/%2e%2e/%2e%2e/b", "/..%2f..%2fb",
                               "/./..", "//..", "/a/b/../../../c", "/index.php/../../x", "/a/%2e%2e/.."}) {
    EXPECT_EQ(Path(raw), "(refused)") << raw;
  }
}

TEST(NormalizePathTest, MergesSlashes) {
  EXPECT_EQ(Path("//evil.example/x"), "/evil.example/x");
  EXPECT_EQ(Path("/a///b//"), "/a/b/");
  EXPECT_EQ(Path("/%2Fa%2f%2Fb"), "/a/b");
  EXPECT_EQ(Path("/a//../b"), "/b");  // as nginx: slashes merge before segments count
}

TEST(NormalizePathTest, TakesAnEmptyPathForTheRoot) { EXPECT_EQ(Path(""), "/"); }

TEST(NormalizePathTest, IsLinearInDotSegments) {
  std::string raw;
  for (int i = 0; i < 2000; ++i) raw += "/a/..";
  EXPECT_EQ(Path(raw), "/");
}

TEST(NormalizePathTest, AgreesWithIsPlainPath) {
  EXPECT_TRUE(IsPlainPath("/a/b.php"));
  EXPECT_TRUE(IsPlainPath("/"));
  for (std::string_view raw : {"", "a", "//", "/a//b", "/.a", "/a/.", "/%41"})
    EXPECT_FALSE(IsPlainPath(raw)) << raw;
}

Target Parse(std::string_view text, std::string_view method = "GET") {
  Target target;
  EXPECT_EQ(ParseTarget(method, text, target), Refusal::kNone) << text;
  return target;
}

TEST(ParseTargetTest, SplitsOriginForm) {
  const Target target = Parse("/a/b?c=d?e");
  EXPECT_EQ(target.form, TargetForm::kOrigin);
  EXPECT_EQ(target.path, "/a/b");
  EXPECT_EQ(target.query, "c=d?e");
  EXPECT_EQ(target.origin, "/a/b?c=d?e");
  EXPECT_EQ(Parse("/a?").query, "");
  EXPECT_EQ(Parse("/?//evil").path, "/");
}

TEST(ParseTargetTest, NeverLeavesTwoSlashesInFront) {
  EXPECT_EQ(Parse("//evil.example/a?b").origin, "/evil.example/a?b");
  EXPECT_EQ(Parse("////").origin, "/");
  EXPECT_EQ(Parse("http://a//evil").origin, "/evil");
}

TEST(ParseTargetTest, SplitsAbsoluteForm) {
  const Target target = Parse("HTTP://example.com:8080/a?b");
  EXPECT_EQ(target.form, TargetForm::kAbsolute);
  EXPECT_EQ(target.authority, "example.com:8080");
  EXPECT_EQ(target.origin, "/a?b");
  EXPECT_EQ(Parse("https://[::1]/").authority, "[::1]");
  EXPECT_EQ(Parse("http://a").path, "");
  EXPECT_EQ(Parse("http://a?b=/c").query, "b=/c");
  EXPECT_EQ(Parse("http://a?b=/c").authority, "a");
}

TEST(ParseTargetTest, TakesTheAsteriskForOptionsOnly) {
  EXPECT_EQ(Parse("*", "OPTIONS").form, TargetForm::kAsterisk);
  Target target;
  EXPECT_EQ(ParseTarget("GET", "*", target), Refusal::kBadRequest);
}

TEST(ParseTargetTest, RefusesTheRest) {
  Target target;
  for (std::string_view text : {"", "a", "?a", "example.com:443", "ftp://a/", "http:/a", "http//a", "http://",
                                "http:///a", "http://user@a/", "http://user:pw@a/", "http://a:b/",
                                "http://a\\b/", "http://a%00/", "**", "javascript:alert(1)", "\\\\a\\b"}) {
    EXPECT_EQ(ParseTarget("OPTIONS", text, target), Refusal::kBadRequest) << text;
  }
}

TEST(StoreTargetTest, FillsTheRequest) {
  const Spool::Limits limits;
  Request request(limits);
  std::string scratch;
  EXPECT_EQ(StoreTarget(Parse("//a%20b/./c?d=%20"), scratch, request), Refusal::kNone);
  EXPECT_EQ(request.target(), "/a%20b/./c?d=%20");
  EXPECT_EQ(request.path(), "/a b/c");
  EXPECT_EQ(request.query(), "d=%20");
  EXPECT_EQ(request.authority(), "");
  request.Clear();
  EXPECT_EQ(StoreTarget(Parse("http://a:80?b"), scratch, request), Refusal::kNone);
  EXPECT_EQ(request.target(), "/?b");
  EXPECT_EQ(request.path(), "/");
  EXPECT_EQ(request.authority(), "a:80");
  request.Clear();
  EXPECT_EQ(StoreTarget(Parse("/.."), scratch, request), Refusal::kBadRequest);
}

}  // namespace
}  // namespace serin
