#include "proxy/parse/ascii.h"

#include <gtest/gtest.h>

namespace serin {
namespace {

TEST(AsciiTest, FoldsNothingButAscii) {
  EXPECT_TRUE(EqualsIgnoreCase("ChUnKeD", "chunked"));
  EXPECT_FALSE(EqualsIgnoreCase("chun\xE2\x84\xAA", "chunk"));  // KELVIN SIGN
  EXPECT_EQ(TrimBlanks(" \t a b\t "), "a b");
  EXPECT_EQ(TrimBlanks(" \t "), "");
  EXPECT_EQ(TrimBlanks("\va"), "\va");
}

}  // namespace
}  // namespace serin
