#include "proxy/fastcgi/params.h"

#include <gtest/gtest.h>

#include <map>
#include <string>

namespace serin {
namespace {

using Params = std::map<std::string, std::string>;

class ParamsTest : public testing::Test {
 protected:
  ParamsTest() : request(limits), pool("/srv/app/v2/public", "serin/0.1.0", {}) {
    request.set_method("GET");
    request.set_target("/shop/list?page=2");
    request.set_path("/shop/list");
    request.set_query("page=2");
    request.set_authority("shop.example:8443");
    context.script_name = "/index.php";
    context.authority = request.authority();
    context.remote_address = "203.0.113.7";
    context.remote_port = 40000;
    context.server_address = "192.0.2.1";
    context.server_port = 8443;
    context.pool = &pool;
  }

  // The params as PHP-FPM reads them. Fails when a name comes twice.
  Params Sent() {
    std::string out;
    ParamsWriter writer(out, 1);
    context.authority = request.authority();
    EXPECT_TRUE(AppendParams(writer, request, context));
    writer.Finish();
    Params params;
    for (size_t at = 0; at < out.size();) {
      const size_t size = Byte(out, at + 4) << 8 | Byte(out, at + 5);
      at += kRecordHeaderSize;
      for (const size_t end = at + size; at < end;) {
        const size_t name_size = Length(out, at);
        const size_t value_size = Length(out, at);
        const std::string name = out.substr(at, name_size);
        EXPECT_TRUE(params.emplace(name, out.substr(at + name_size, value_size)).second)
            << name << " came twice";
        at += name_size + value_size;
      }
    }
    return params;
  }

  Spool::Limits limits;
  Request request;
  PoolParams pool;
  ParamsContext context;

 private:
  static size_t Byte(const std::string& s, size_t at) { return static_cast<unsigned char>(s.at(at)); }
  static size_t Length(const std::string& s, size_t& at) {
    size_t n = Byte(s, at++);
    if (n < 128) return n;
    n &= 127;
    for (int i = 0; i < 3; ++i) n = n << 8 | Byte(s, at++);
    return n;
  }
};

TEST_F(ParamsTest, DescribesAPlainGet) {
  const Params expected = {{"GATEWAY_INTERFACE", "CGI/1.1"},
                           {"SERVER_SOFTWARE", "serin/0.1.0"},
                           {"REDIRECT_STATUS", "200"},
                           {"DOCUMENT_ROOT", "/srv/app/v2/public"},
                           {"SERVER_PROTOCOL", "HTTP/1.1"},
                           {"REQUEST_METHOD", "GET"},
                           {"REQUEST_URI", "/shop/list?page=2"},
                           {"REQUEST_SCHEME", "http"},
                           {"QUERY_STRING", "page=2"},
                           {"CONTENT_LENGTH", ""},
                           {"CONTENT_TYPE", ""},
                           {"SCRIPT_FILENAME", "/srv/app/v2/public/index.php"},
                           {"SCRIPT_NAME", "/index.php"},
                           {"DOCUMENT_URI", "/index.php"},
                           {"REMOTE_ADDR", "203.0.113.7"},
                           {"REMOTE_PORT", "40000"},
                           {"SERVER_ADDR", "192.0.2.1"},
                           {"SERVER_PORT", "8443"},
                           {"SERVER_NAME", "shop.example"},
                           {"HTTP_HOST", "shop.example:8443"}};
  EXPECT_EQ(Sent(), expected);
}

TEST_F(ParamsTest, SendsTheBodysSizeHoweverItWasFramed) {
  request.AddField("transfer-encoding", "chunked");
  request.AddField("content-type", "application/json");
  ASSERT_TRUE(request.body.Append("{}"));
  const Params params = Sent();
  EXPECT_EQ(params.at("CONTENT_LENGTH"), "2");
  EXPECT_EQ(params.at("CONTENT_TYPE"), "application/json");
  EXPECT_FALSE(params.contains("HTTP_TRANSFER_ENCODING"));
  EXPECT_FALSE(params.contains("HTTP_CONTENT_TYPE"));
}

TEST_F(ParamsTest, NeverBelievesTheContentLengthField) {
  request.AddField("content-length", "99");
  ASSERT_TRUE(request.body.Append("hello"));
  const Params params = Sent();
  EXPECT_EQ(params.at("CONTENT_LENGTH"), "5");
  EXPECT_FALSE(params.contains("HTTP_CONTENT_LENGTH"));
}

TEST_F(ParamsTest, SendsPathInfoOnlyWhenThereIsOne) {
  EXPECT_FALSE(Sent().contains("PATH_INFO"));
  context.script_name = "/tools/run.php";
  context.path_info = "/a/b";
  const Params params = Sent();
  EXPECT_EQ(params.at("SCRIPT_FILENAME"), "/srv/app/v2/public/tools/run.php");
  EXPECT_EQ(params.at("SCRIPT_NAME"), "/tools/run.php");
  EXPECT_EQ(params.at("PATH_INFO"), "/a/b");
  EXPECT_EQ(params.at("PATH_TRANSLATED"), "/srv/app/v2/public/a/b");
}

TEST_F(ParamsTest, SaysHttpsOnlyWhenItIs) {
  EXPECT_FALSE(Sent().contains("HTTPS"));
  context.https = true;
  const Params params = Sent();
  EXPECT_EQ(params.at("HTTPS"), "on");
  EXPECT_EQ(params.at("REQUEST_SCHEME"), "https");
}

TEST_F(ParamsTest, SpellsFieldsAsCgiDoes) {
  request.AddField("X-Forwarded-For", "198.51.100.1");
  request.AddField("accept-language", "de");
  request.AddField("x-empty", "");
  const Params params = Sent();
  EXPECT_EQ(params.at("HTTP_X_FORWARDED_FOR"), "198.51.100.1");
  EXPECT_EQ(params.at("HTTP_ACCEPT_LANGUAGE"), "de");
  EXPECT_EQ(params.at("HTTP_X_EMPTY"), "");
}

TEST_F(ParamsTest, JoinsRepeatedFieldsInTheirOrder) {
  request.AddField("cookie", "a=1");
  request.AddField("x-test", "1");
  request.AddField("Cookie", "b=2");
  request.AddField("x-text", "of the same length, first and last byte");
  request.AddField("x-test", "");
  request.AddField("x-test", "3");
  const Params params = Sent();
  EXPECT_EQ(params.at("HTTP_COOKIE"), "a=1; b=2");
  EXPECT_EQ(params.at("HTTP_X_TEST"), "1, , 3");
  EXPECT_EQ(params.at("HTTP_X_TEXT"), "of the same length, first and last byte");
}

TEST_F(ParamsTest, NeverSendsHttpProxy) {
  request.AddField("Proxy", "http://evil.example:3128");
  EXPECT_FALSE(Sent().contains("HTTP_PROXY"));
}

TEST_F(ParamsTest, WithholdsTheConnectionsOwnFields) {
  for (std::string_view name : {"connection", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade",
                                "proxy-connection", "http2-settings"}) {
    request.AddField(name, "x");
  }
  for (const auto& [name, value] : Sent()) {
    EXPECT_TRUE(!name.starts_with("HTTP_") || name == "HTTP_HOST") << name;
  }
}

TEST_F(ParamsTest, DropsNamesThatCouldPassForOthers) {
  request.AddField("x-real-ip", "10.0.0.1");
  request.AddField("x_real_ip", "6.6.6.6");
  request.AddField("x.real.ip", "6.6.6.6");
  request.AddField("x real-ip", "6.6.6.6");
  request.AddField("x-odd!", "6.6.6.6");
  request.AddField("content_length", "5");
  request.AddField("", "6.6.6.6");
  const Params params = Sent();
  EXPECT_EQ(params.at("HTTP_X_REAL_IP"), "10.0.0.1");
  EXPECT_FALSE(params.contains("HTTP_CONTENT_LENGTH"));
  EXPECT_FALSE(params.contains("HTTP_X_ODD!"));
  EXPECT_FALSE(params.contains("HTTP_"));
}

TEST_F(ParamsTest, AFieldCannotPassForAParam) {
  request.AddField("Remote-Addr", "6.6.6.6");
  request.AddField("Https", "on");
  request.AddField("script-filename", "/etc/passwd");
  const Params params = Sent();
  EXPECT_EQ(params.at("REMOTE_ADDR"), "203.0.113.7");
  EXPECT_FALSE(params.contains("HTTPS"));
  EXPECT_EQ(params.at("SCRIPT_FILENAME"), "/srv/app/v2/public/index.php");
}

TEST_F(ParamsTest, TakesTheHostFromTheEffectiveAuthorityOnly) {
  request.AddField("host", "other.example");
  EXPECT_EQ(Sent().at("HTTP_HOST"), "shop.example:8443");
  request.set_authority("[2001:db8::1]:8080");
  EXPECT_EQ(Sent().at("SERVER_NAME"), "[2001:db8::1]");
  request.set_authority("[2001:db8::1]");
  EXPECT_EQ(Sent().at("SERVER_NAME"), "[2001:db8::1]");
}

TEST_F(ParamsTest, WithoutAHostNamesTheServerByItsAddress) {
  request.set_authority("");
  request.protocol = Protocol::kHttp10;
  const Params params = Sent();
  EXPECT_FALSE(params.contains("HTTP_HOST"));
  EXPECT_EQ(params.at("SERVER_NAME"), "192.0.2.1");
  EXPECT_EQ(params.at("SERVER_PROTOCOL"), "HTTP/1.0");
}

TEST_F(ParamsTest, OnAUnixSocketSpeaksOfTheLocalMachine) {
  context.remote_address = context.server_address = "";
  context.remote_port = context.server_port = 0;
  context.https = true;
  const Params params = Sent();
  EXPECT_EQ(params.at("REMOTE_ADDR"), "127.0.0.1");
  EXPECT_EQ(params.at("SERVER_ADDR"), "127.0.0.1");
  EXPECT_EQ(params.at("SERVER_PORT"), "443");
  EXPECT_FALSE(params.contains("REMOTE_PORT"));
}

TEST_F(ParamsTest, ThePoolsOwnParamsWin) {
  pool = PoolParams("/srv/app", "serin/0.1.0",
                    {{"APP_ENV", "first"},
                     {"APP_ENV", "canary"},
                     {"DOCUMENT_ROOT", "/in/container"},
                     {"SCRIPT_FILENAME", "/in/container/index.php"},
                     {"HTTP_X_REAL_IP", "0.0.0.0"},
                     {"HTTP_HOST", "fixed.example"},
                     {"CONTENT_LENGTH", "7"}});
  request.AddField("x-real-ip", "10.0.0.1");
  const Params params = Sent();
  EXPECT_EQ(params.at("APP_ENV"), "canary");
  EXPECT_EQ(params.at("DOCUMENT_ROOT"), "/in/container");
  EXPECT_EQ(params.at("SCRIPT_FILENAME"), "/in/container/index.php");
  EXPECT_EQ(params.at("HTTP_X_REAL_IP"), "0.0.0.0");
  EXPECT_EQ(params.at("HTTP_HOST"), "fixed.example");
  EXPECT_EQ(params.at("CONTENT_LENGTH"), "") << "a wrong length stalls PHP-FPM";
}

TEST_F(ParamsTest, PoolParamsBeyondOneRecordAreSeenWhenThePoolIsOpened) {
  EXPECT_TRUE(pool.fits());
  EXPECT_FALSE(PoolParams("/srv", "serin", {{"BIG", std::string(65536, 'x')}}).fits());
}

TEST_F(ParamsTest, ParamsThatCameByFastCgiWinButForTheScriptAndTheBody) {
  request.protocol = Protocol::kFastCgi;
  request.AddParam("SERVER_PROTOCOL", "HTTP/2.0");
  request.AddParam("REMOTE_ADDR", "198.51.100.9");
  request.AddParam("HTTPS", "on");
  request.AddParam("GEOIP_COUNTRY", "first");
  request.AddParam("GEOIP_COUNTRY", "CH");  // as with PHP-FPM, the last counts
  request.AddParam("SCRIPT_FILENAME", "/var/www/html/index.php");
  request.AddParam("DOCUMENT_ROOT", "/var/www/html");
  request.AddParam("CONTENT_LENGTH", "12");
  request.AddParam("HTTP_PROXY", "evil");
  const Params params = Sent();
  EXPECT_EQ(params.at("SERVER_PROTOCOL"), "HTTP/2.0");
  EXPECT_EQ(params.at("REMOTE_ADDR"), "198.51.100.9");
  EXPECT_EQ(params.at("HTTPS"), "on");
  EXPECT_EQ(params.at("GEOIP_COUNTRY"), "CH");
  EXPECT_EQ(params.at("SCRIPT_FILENAME"), "/srv/app/v2/public/index.php");
  EXPECT_EQ(params.at("DOCUMENT_ROOT"), "/srv/app/v2/public");
  EXPECT_EQ(params.at("CONTENT_LENGTH"), "");
  EXPECT_FALSE(params.contains("HTTP_PROXY"));
}

// nginx with "root /var/www/html" in front of a pool whose release is elsewhere.
class FrontParamsTest : public ParamsTest {
 protected:
  FrontParamsTest() {
    request.protocol = Protocol::kFastCgi;
    request.AddParam("DOCUMENT_ROOT", "/var/www/html");
    request.AddParam("SCRIPT_FILENAME", "/var/www/html/blog/index.php");
    request.AddParam("SCRIPT_NAME", "/blog/index.php");
    request.AddParam("DOCUMENT_URI", "/blog/index.php/archive");
    request.AddParam("PATH_INFO", "/archive");
    request.AddParam("PATH_TRANSLATED", "/var/www/html/archive");
    request.AddParam("SERVER_SOFTWARE", "nginx/1.22.1");
    context.front_root = "/var/www/html";
    context.front_script = true;
    context.script_name = "/blog/index.php";
  }
};

TEST_F(FrontParamsTest, PathsMoveFromTheFrontServersRootToTheRelease) {
  request.AddParam("CONTEXT_DOCUMENT_ROOT", "/var/www/html");
  request.AddParam("CONFIG", "/var/www/html/../shared/config.php");
  request.AddParam("OTHER", "/var/www/html2/index.php");
  const Params params = Sent();
  EXPECT_EQ(params.at("DOCUMENT_ROOT"), "/srv/app/v2/public");
  EXPECT_EQ(params.at("SCRIPT_FILENAME"), "/srv/app/v2/public/blog/index.php");
  EXPECT_EQ(params.at("PATH_TRANSLATED"), "/srv/app/v2/public/archive");
  EXPECT_EQ(params.at("CONTEXT_DOCUMENT_ROOT"), "/srv/app/v2/public");
  EXPECT_EQ(params.at("CONFIG"), "/srv/app/v2/public/../shared/config.php");
  EXPECT_EQ(params.at("OTHER"), "/var/www/html2/index.php");
}

TEST_F(FrontParamsTest, WhatTheFrontServerSaysOfThePathStands) {
  const Params params = Sent();
  EXPECT_EQ(params.at("SCRIPT_NAME"), "/blog/index.php");
  EXPECT_EQ(params.at("DOCUMENT_URI"), "/blog/index.php/archive");
  EXPECT_EQ(params.at("PATH_INFO"), "/archive");
  EXPECT_EQ(params.at("SERVER_SOFTWARE"), "nginx/1.22.1");
  EXPECT_EQ(params.at("GATEWAY_INTERFACE"), "CGI/1.1");
  EXPECT_EQ(params.at("REDIRECT_STATUS"), "200");
}

TEST_F(FrontParamsTest, AScriptOfOurChoiceComesWithAPathOfOurs) {
  context.front_script = false;
  context.script_name = "/index.php";
  const Params params = Sent();
  EXPECT_EQ(params.at("SCRIPT_FILENAME"), "/srv/app/v2/public/index.php");
  EXPECT_EQ(params.at("SCRIPT_NAME"), "/index.php");
  EXPECT_EQ(params.at("DOCUMENT_URI"), "/index.php");
  EXPECT_FALSE(params.contains("PATH_INFO"));
  EXPECT_FALSE(params.contains("PATH_TRANSLATED"));
  EXPECT_EQ(params.at("SERVER_SOFTWARE"), "nginx/1.22.1");
}

TEST_F(FrontParamsTest, AVisitorsUrlIsNeverMoved) {
  request.AddParam("REDIRECT_URL", "/var/www/html/x");
  request.set_target("/var/www/html/x");
  const Params params = Sent();
  EXPECT_EQ(params.at("REDIRECT_URL"), "/var/www/html/x");
  EXPECT_EQ(params.at("REQUEST_URI"), "/var/www/html/x");
}

TEST_F(FrontParamsTest, ThePoolsOwnParamsStillWin) {
  pool =
      PoolParams("/srv/app/v2/public", "serin/0.1.0", {{"SERVER_SOFTWARE", "none"}, {"APP_ENV", "canary"}});
  request.AddParam("APP_ENV", "production");
  const Params params = Sent();
  EXPECT_EQ(params.at("SERVER_SOFTWARE"), "none");
  EXPECT_EQ(params.at("APP_ENV"), "canary");
}

TEST_F(ParamsTest, IdsOfOursReplaceTheFieldsOfTheirNames) {
  request.AddField("x-request-id", "bad id");
  request.AddField("traceparent", "bad");
  request.AddField("tracestate", "vendor=1");
  context.request_id = "0123456789abcdef0123456789abcdef";
  context.traceparent = "00-0123456789abcdef0123456789abcdef-0123456789abcdef-01";
  const Params params = Sent();
  EXPECT_EQ(params.at("HTTP_X_REQUEST_ID"), context.request_id);
  EXPECT_EQ(params.at("HTTP_TRACEPARENT"), context.traceparent);
  EXPECT_FALSE(params.contains("HTTP_TRACESTATE"));
}

TEST_F(ParamsTest, IdsOfTheClientStandWithoutOnesOfOurs) {
  request.AddField("x-request-id", "from-the-client");
  request.AddField("tracestate", "vendor=1");
  const Params params = Sent();
  EXPECT_EQ(params.at("HTTP_X_REQUEST_ID"), "from-the-client");
  EXPECT_EQ(params.at("HTTP_TRACESTATE"), "vendor=1");
  EXPECT_FALSE(params.contains("HTTP_TRACEPARENT"));
}

TEST_F(ParamsTest, APoolsOwnRequestIdWinsOverOurs) {
  pool = PoolParams("/srv/app", "serin", {{"HTTP_X_REQUEST_ID", "fixed"}});
  context.request_id = "0123456789abcdef0123456789abcdef";
  EXPECT_EQ(Sent().at("HTTP_X_REQUEST_ID"), "fixed");
}

TEST_F(ParamsTest, SpreadsALargeHeadOverSeveralRecords) {
  for (int i = 0; i < 100; ++i) request.AddField("x-" + std::to_string(i), std::string(1000, 'v'));
  const Params params = Sent();
  for (int i = 0; i < 100; ++i) EXPECT_EQ(params.at("HTTP_X_" + std::to_string(i)).size(), 1000U);
}

TEST_F(ParamsTest, RefusesAFieldThatFitsIntoNoRecord) {
  request.AddField("x-big", std::string(40000, 'v'));
  request.AddField("x-big", std::string(40000, 'v'));
  context.authority = request.authority();
  std::string out;
  ParamsWriter writer(out, 1);
  EXPECT_FALSE(AppendParams(writer, request, context));
}

TEST_F(ParamsTest, DoesNotAllocateOnceTheBufferHasGrown) {
  request.AddField("accept", "*/*");
  context.authority = request.authority();
  std::string out;
  for (int i = 0; i < 2; ++i) {
    out.clear();
    ParamsWriter writer(out, 1);
    const char* before = out.data();
    ASSERT_TRUE(AppendParams(writer, request, context));
    EXPECT_TRUE(i == 0 || out.data() == before);
  }
}

}  // namespace
}  // namespace serin
