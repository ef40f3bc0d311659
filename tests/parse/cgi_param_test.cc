#include "proxy/cgi_param.h"

#include <gtest/gtest.h>

#include <string>
#include <utility>

#include "proxy/message.h"

namespace serin {
namespace {

TEST(CgiParamTest, FindsEachByItsNameAndNothingElse) {
  for (size_t i = 0; i < kCgiParamCount; ++i) {
    const std::string name(kCgiParamNames[i]);
    EXPECT_EQ(FindCgiParam(name), static_cast<CgiParam>(i)) << name;
    std::string other = name;
    for (char& c : other) {  // the same ends, the same length, another name
      const char kept = std::exchange(c, '*');
      EXPECT_EQ(FindCgiParam(other), CgiParam::kOther) << other;
      c = kept;
    }
    EXPECT_EQ(FindCgiParam(name + "S"), CgiParam::kOther);
    EXPECT_EQ(FindCgiParam(name.substr(1)), CgiParam::kOther);
  }
  for (const char* name : {"", "X", "HTTP", "https", "A_NAME_THAT_IS_LONGER_THAN_ALL_OF_THEM"})
    EXPECT_EQ(FindCgiParam(name), CgiParam::kOther) << name;
}

TEST(CgiParamTest, ARequestKnowsTheLastOfEach) {
  const Spool::Limits limits;
  Request request{limits};
  EXPECT_EQ(request.FindParam(CgiParam::kHttps), std::nullopt);
  request.AddParam("HTTPS", "on");
  request.AddParam("APP_ENV", "test");
  request.AddParam("HTTPS", "");
  EXPECT_EQ(request.FindParam(CgiParam::kHttps), "");
  EXPECT_TRUE(request.IsOverridden(0));
  EXPECT_FALSE(request.IsOverridden(2));
  EXPECT_EQ(request.param_id(1), CgiParam::kOther);
  request.Clear();
  EXPECT_EQ(request.FindParam(CgiParam::kHttps), std::nullopt);
}

}  // namespace
}  // namespace serin
