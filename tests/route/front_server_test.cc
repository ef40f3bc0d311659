#include "proxy/route/front_server.h"

#include <gtest/gtest.h>

#include <string>

namespace serin {
namespace {

struct FrontServerTest : testing::Test {
  FrontServerTest() { request.protocol = Protocol::kFastCgi; }
  FrontServer Of(std::string_view root, std::string_view script) {
    request.Clear();
    request.protocol = Protocol::kFastCgi;
    request.AddParam("DOCUMENT_ROOT", root);
    request.AddParam("SCRIPT_FILENAME", script);
    return FrontServerOf(request);
  }

  Spool::Limits limits;
  Request request{limits};
};

TEST_F(FrontServerTest, TellsRootAndScript) {
  const FrontServer front = Of("/srv/app/public", "/srv/app/public/wp-admin/index.php");
  EXPECT_EQ(front.root, "/srv/app/public");
  EXPECT_EQ(front.script, "/wp-admin/index.php");
}

TEST_F(FrontServerTest, SlashesTooManyDoNoHarm) {
  const FrontServer front = Of("/srv/app/public/", "/srv/app/public//index.php");
  EXPECT_EQ(front.root, "/srv/app/public");
  EXPECT_EQ(front.script, "/index.php");
}

TEST_F(FrontServerTest, AScriptElsewhereIsNone) {
  for (const char* script :
       {"", "index.php", "/srv/app/public", "/srv/app/public2/index.php", "/srv/index.php"}) {
    EXPECT_EQ(Of("/srv/app/public", script).script, "") << script;
  }
}

TEST_F(FrontServerTest, ARootThatIsNoFolderIsNone) {
  for (const char* root : {"", "/", "//", "relative"}) {
    const FrontServer front = Of(root, "/srv/index.php");
    EXPECT_EQ(front.root, "") << root;
    EXPECT_EQ(front.script, "") << root;
  }
}

TEST_F(FrontServerTest, OfAParamGivenTwiceTheLastCounts) {
  request.AddParam("DOCUMENT_ROOT", "/a");
  request.AddParam("SCRIPT_FILENAME", "/a/first.php");
  request.AddParam("SCRIPT_FILENAME", "/a/last.php");
  EXPECT_EQ(FrontServerOf(request).script, "/last.php");
  EXPECT_EQ(request.FindParam(CgiParam::kScriptName), std::nullopt);
}

TEST_F(FrontServerTest, OnlyAFastCgiClientIsAFrontServer) {
  request.protocol = Protocol::kHttp11;
  request.AddParam("DOCUMENT_ROOT", "/a");
  EXPECT_EQ(FrontServerOf(request).root, "");
}

}  // namespace
}  // namespace serin
