#include "proxy/parse/head_scanner.h"

#include <gtest/gtest.h>

#include <string>

namespace serin {
namespace {

Refusal ScanAll(std::string_view head, const ClientLimits& limits = {}) {
  HeadScanner scanner;
  size_t whole = 0;
  const Refusal refusal = scanner.Scan(head, limits, whole);
  EXPECT_TRUE(refusal != Refusal::kNone || (scanner.complete() && whole == head.size()));
  return refusal;
}

// As a connection does: what is not whole yet stays in front of what comes.
Refusal ScanByByte(std::string_view head, const ClientLimits& limits = {}) {
  HeadScanner scanner;
  std::string kept;
  for (char c : head) {
    kept.push_back(c);
    size_t whole = 0;
    const Refusal refusal = scanner.Scan(kept, limits, whole);
    if (refusal != Refusal::kNone) return refusal;
    kept.erase(0, whole);
  }
  EXPECT_TRUE(scanner.complete());
  return Refusal::kNone;
}

TEST(HeadScannerTest, FindsTheEndAndTheRequestLine) {
  HeadScanner scanner;
  size_t whole = 0;
  EXPECT_EQ(scanner.Scan("GET / HTTP/1.1\r\nA: b\r\n\r\nrest", {}, whole), Refusal::kNone);
  EXPECT_TRUE(scanner.complete());
  EXPECT_EQ(whole, 24u);
  EXPECT_EQ(scanner.request_line(), "GET / HTTP/1.1");
}

TEST(HeadScannerTest, HandsOutWholeLinesAsTheyCome) {
  HeadScanner scanner;
  size_t whole = 0;
  EXPECT_EQ(scanner.Scan("GET / HTTP/1.1\r\nA: b", {}, whole), Refusal::kNone);
  EXPECT_EQ(whole, 16u);
  EXPECT_EQ(scanner.Scan("A: b\r", {}, whole), Refusal::kNone);
  EXPECT_EQ(whole, 0u);
  EXPECT_EQ(scanner.request_line(), "");
  EXPECT_EQ(scanner.Scan("A: b\r\n\r\n", {}, whole), Refusal::kNone);
  EXPECT_EQ(whole, 8u);
  EXPECT_TRUE(scanner.complete());
}

TEST(HeadScannerTest, RefusesLinesThatLlhttpWouldTake) {
  for (std::string_view head :
       {"GET / HTTP/1.1\nA: b\r\n\r\n", "GET / HTTP/1.1\r\nA: b\n\r\n", "GET / HTTP/1.1\r\nA: b\r\n\n",
        "\nGET / HTTP/1.1\r\n\r\n", "GET / HTTP/1.1\r\nA: b\r\n c\r\n\r\n",
        "GET / HTTP/1.1\r\nA: b\r\n\tc\r\n\r\n", "GET / HTTP/1.1\r\n A: b\r\n\r\n",
        "GET / HTTP/1.1\r\nA: b\r\n \r\n\r\n", "GET / HTTP/1.1\r\n: b\r\n\r\n",
        "GET / HTTP/1.1\r\n:\r\n\r\n"}) {
    EXPECT_EQ(ScanAll(head), Refusal::kBadRequest) << head;
    EXPECT_EQ(ScanByByte(head), Refusal::kBadRequest) << head;
  }
}

TEST(HeadScannerTest, BoundsTheRequestLine) {
  ClientLimits limits;
  limits.request_line = 20;
  const std::string fits = "GET /45678 HTTP/1.1x", too_long = fits + "x";
  EXPECT_EQ(ScanAll(fits + "\r\n\r\n", limits), Refusal::kNone);
  EXPECT_EQ(ScanByByte(fits + "\r\n\r\n", limits), Refusal::kNone);
  EXPECT_EQ(ScanAll(too_long + "\r\n\r\n", limits), Refusal::kTargetTooLong);
  EXPECT_EQ(ScanByByte(too_long + "\r\n\r\n", limits), Refusal::kTargetTooLong);
  HeadScanner scanner;
  size_t whole = 0;
  EXPECT_EQ(scanner.Scan(std::string(22, 'a'), limits, whole), Refusal::kTargetTooLong)
      << "before its end is seen";
}

TEST(HeadScannerTest, BoundsTheHead) {
  ClientLimits limits;
  limits.head = 40;
  const std::string line = "GET / HTTP/1.1\r\n";
  EXPECT_EQ(ScanAll(line + "A: " + std::string(17, 'b') + "\r\n\r\n", limits), Refusal::kNone);
  EXPECT_EQ(ScanAll(line + "A: " + std::string(18, 'b') + "\r\n\r\n", limits), Refusal::kHeadTooLarge);
  EXPECT_EQ(ScanByByte(line + "A: " + std::string(18, 'b') + "\r\n\r\n", limits), Refusal::kHeadTooLarge);
  HeadScanner scanner;
  size_t whole = 0;
  EXPECT_EQ(scanner.Scan(line + std::string(30, 'b'), limits, whole), Refusal::kHeadTooLarge)
      << "within a line";
}

TEST(HeadScannerTest, BoundsTheNumberOfFields) {
  ClientLimits limits;
  limits.field_count = 3;
  EXPECT_EQ(ScanAll("GET / HTTP/1.1\r\nA: 1\r\nB: 2\r\nC: 3\r\n\r\n", limits), Refusal::kNone);
  EXPECT_EQ(ScanAll("GET / HTTP/1.1\r\nA: 1\r\nB: 2\r\nC: 3\r\nD: 4\r\n\r\n", limits),
            Refusal::kHeadTooLarge);
}

}  // namespace
}  // namespace serin
