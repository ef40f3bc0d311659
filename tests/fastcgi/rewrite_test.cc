#include "proxy/fastcgi/rewrite.h"

#include <gtest/gtest.h>

namespace serin {
namespace {

TEST(BelowFrontRootTest, TellsWhatLiesBelowTheRoot) {
  EXPECT_EQ(BelowFrontRoot("SCRIPT_FILENAME", "/srv/app/index.php", "/srv/app"), "/index.php");
  EXPECT_EQ(BelowFrontRoot("DOCUMENT_ROOT", "/srv/app", "/srv/app"), "");
  EXPECT_EQ(BelowFrontRoot("DOCUMENT_ROOT", "/srv/app/", "/srv/app"), "/");
}

TEST(BelowFrontRootTest, ANameThatOnlyBeginsLikeTheRootIsAnother) {
  EXPECT_EQ(BelowFrontRoot("SCRIPT_FILENAME", "/srv/app2/index.php", "/srv/app"), std::nullopt);
  EXPECT_EQ(BelowFrontRoot("SCRIPT_FILENAME", "/srv", "/srv/app"), std::nullopt);
  EXPECT_EQ(BelowFrontRoot("SCRIPT_FILENAME", "", "/srv/app"), std::nullopt);
}

TEST(BelowFrontRootTest, WithoutARootNothingIsBelow) {
  EXPECT_EQ(BelowFrontRoot("SCRIPT_FILENAME", "/srv/app/index.php", ""), std::nullopt);
}

TEST(BelowFrontRootTest, UrlsAreNotFiles) {
  for (const char* name : {"REQUEST_URI", "DOCUMENT_URI", "SCRIPT_NAME", "PATH_INFO", "QUERY_STRING"}) {
    EXPECT_EQ(BelowFrontRoot(name, "/srv/app/x", "/srv/app"), std::nullopt) << name;
  }
}

}  // namespace
}  // namespace serin
