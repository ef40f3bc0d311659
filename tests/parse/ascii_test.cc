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

TEST(AsciiTest, FindsBadValuesWhereverTheyStand) {
  for (int byte = 0; byte < 256; ++byte) {
    for (size_t size : {1, 7, 8, 9, 16, 23}) {
      for (size_t at = 0; at < size; ++at) {
        std::string text(size, 'x');
        text[at] = static_cast<char>(byte);
        EXPECT_EQ(IsFieldValue(text), AllAre(kValueChar, text)) << byte << " at " << at << " of " << size;
      }
    }
  }
  EXPECT_TRUE(IsFieldValue("a\tvalue with a tab, and \xC3\xA4 in the middle"));
  EXPECT_FALSE(IsFieldValue("a\tvalue with a tab, and later\x7F a delete"));
}

}  // namespace
}  // namespace serin
