#include "proxy/accept/proxy_protocol.h"

#include <gtest/gtest.h>

#include <string>

namespace serin {
namespace {

using Result = ProxyHeaderReader::Result;

struct Read {
  Result result = Result::kMore;
  std::optional<ProxiedAddresses> addresses;
  std::string rest;  // what the header left alone
};

// In pieces of `size` bytes.
Read ReadIn(std::string_view bytes, size_t size) {
  ProxyHeaderReader reader;
  Read read;
  while (!bytes.empty() && read.result == Result::kMore) {
    std::string_view in = bytes.substr(0, size);
    const size_t before = in.size();
    read.result = reader.Read(in);
    bytes.remove_prefix(before - in.size());
  }
  read.addresses = reader.addresses();
  read.rest = std::string(bytes);
  return read;
}

Read ReadWhole(std::string_view bytes) { return ReadIn(bytes, bytes.size()); }

std::string Binary(int command, int family, std::string_view payload) {
  std::string out("\r\n\r\n\0\r\nQUIT\n", 12);
  out += static_cast<char>(0x20 | command);
  out += static_cast<char>(family);
  out += static_cast<char>(payload.size() >> 8);
  out += static_cast<char>(payload.size());
  return out.append(payload);
}
const std::string kInet("\xcb\x00\x71\x07\xc0\x00\x02\x01\x9c\x40\x01\xbb", 12);
const std::string kInet6 = std::string("\x20\x01\x0d\xb8", 4) + std::string(11, '\0') + "\1" +
                           std::string("\x20\x01\x0d\xb8", 4) + std::string(11, '\0') + "\2" +
                           std::string("\x9c\x40\x01\xbb", 4);

// --- Version 1 -------------------------------------------------------------------

TEST(ProxyHeaderTest, ReadsTcp4) {
  const std::string line = "PROXY TCP4 203.0.113.7 192.0.2.1 40000 443\r\n";
  for (const size_t size : {1u, 2u, 11u, 1000u}) {
    const Read read = ReadIn(line + "GET / HTTP/1.1\r\n", size);
    ASSERT_EQ(read.result, Result::kDone) << size;
    ASSERT_TRUE(read.addresses);
    EXPECT_EQ(read.addresses->peer_address, "203.0.113.7");
    EXPECT_EQ(read.addresses->peer_port, 40000);
    EXPECT_EQ(read.addresses->local_address, "192.0.2.1");
    EXPECT_EQ(read.addresses->local_port, 443);
    EXPECT_EQ(read.rest, "GET / HTTP/1.1\r\n");
  }
}

TEST(ProxyHeaderTest, ReadsTcp6) {
  const Read read = ReadWhole("PROXY TCP6 2001:db8::1 2001:db8::2 1 65535\r\n");
  ASSERT_EQ(read.result, Result::kDone);
  EXPECT_EQ(read.addresses->peer_address, "2001:db8::1");
  EXPECT_EQ(read.addresses->local_port, 65535);
}

TEST(ProxyHeaderTest, AMappedAddressIsAnIpv4One) {
  const Read read = ReadWhole("PROXY TCP6 ::ffff:203.0.113.7 ::1 1 2\r\n");
  ASSERT_TRUE(read.addresses);
  EXPECT_EQ(read.addresses->peer_address, "203.0.113.7");
}

TEST(ProxyHeaderTest, UnknownVouchesForNobody) {
  for (const char* line : {"PROXY UNKNOWN\r\n", "PROXY UNKNOWN ffff::1 whatever 1 2\r\n"}) {
    const Read read = ReadWhole(line);
    EXPECT_EQ(read.result, Result::kDone) << line;
    EXPECT_FALSE(read.addresses);
  }
}

TEST(ProxyHeaderTest, ALineIsAtMost107BytesLong) {
  const std::string unknown = "PROXY UNKNOWN ";
  EXPECT_EQ(ReadWhole(unknown + std::string(107 - 2 - unknown.size(), 'x') + "\r\n").result, Result::kDone);
  EXPECT_EQ(ReadWhole(unknown + std::string(107 - 1 - unknown.size(), 'x') + "\r\n").result, Result::kBad);
  EXPECT_EQ(ReadIn(unknown + std::string(200, 'x'), 1).result, Result::kBad);
}

TEST(ProxyHeaderTest, RefusesLinesThatAreNotExact) {
  for (const char* line : {"PROXY \r\n", "PROXY TCP4\r\n", "PROXY TCP4 1.2.3.4 1.2.3.4 1\r\n",
                           "PROXY TCP4 1.2.3.4 1.2.3.4 1 2 3\r\n", "PROXY TCP4 1.2.3.4  1.2.3.4 1 2\r\n",
                           "PROXY TCP4 1.2.3.4 1.2.3.4 1 2 \r\n", "PROXY TCP4 01.2.3.4 1.2.3.4 1 2\r\n",
                           "PROXY TCP4 ::1 ::1 1 2\r\n", "PROXY TCP6 1.2.3.4 1.2.3.4 1 2\r\n",
                           "PROXY TCP4 1.2.3.4 1.2.3.4 01 2\r\n", "PROXY TCP4 1.2.3.4 1.2.3.4 1 65536\r\n",
                           "PROXY TCP4 1.2.3.4 1.2.3.4 -1 2\r\n", "PROXY tcp4 1.2.3.4 1.2.3.4 1 2\r\n",
                           "PROXY UDP4 1.2.3.4 1.2.3.4 1 2\r\n", "PROXY TCP4 1.2.3.4 1.2.3.4 1 2\n"}) {
    EXPECT_EQ(ReadWhole(line).result, Result::kBad) << line;
  }
}

TEST(ProxyHeaderTest, AClientWithoutAHeaderIsNotWaitedFor) {
  for (const char* bytes : {"G", "POST", "PRI * HTTP/2.0", "\x16\x03\x01", "proxy "}) {
    EXPECT_EQ(ReadWhole(bytes).result, Result::kBad) << bytes;
  }
  EXPECT_EQ(ReadWhole("PRO").result, Result::kMore);
}

// --- Version 2 -------------------------------------------------------------------

TEST(ProxyHeaderTest, ReadsBinaryInet) {
  const std::string tlv(300, 't');
  for (const size_t size : {1u, 13u, 17u, 10000u}) {
    const Read read = ReadIn(Binary(1, 0x11, kInet + tlv) + "\x16tls", size);
    ASSERT_EQ(read.result, Result::kDone) << size;
    ASSERT_TRUE(read.addresses);
    EXPECT_EQ(read.addresses->peer_address, "203.0.113.7");
    EXPECT_EQ(read.addresses->peer_port, 40000);
    EXPECT_EQ(read.addresses->local_address, "192.0.2.1");
    EXPECT_EQ(read.addresses->local_port, 443);
    EXPECT_EQ(read.rest, "\x16tls");
  }
}

TEST(ProxyHeaderTest, ReadsBinaryInet6) {
  const Read read = ReadIn(Binary(1, 0x21, kInet6) + "x", 7);
  ASSERT_EQ(read.result, Result::kDone);
  EXPECT_EQ(read.addresses->peer_address, "2001:db8::1");
  EXPECT_EQ(read.addresses->local_address, "2001:db8::2");
  EXPECT_EQ(read.addresses->peer_port, 40000);
  EXPECT_EQ(read.rest, "x");
}

TEST(ProxyHeaderTest, ABinaryHeaderMayVouchForNobody) {
  for (const std::string& header : {Binary(0, 0x00, ""), Binary(0, 0x11, kInet), Binary(1, 0x00, "anything"),
                                    Binary(1, 0x12, kInet), Binary(1, 0x31, std::string(216, 'u'))}) {
    const Read read = ReadIn(header + "rest", 3);
    EXPECT_EQ(read.result, Result::kDone);
    EXPECT_FALSE(read.addresses);
    EXPECT_EQ(read.rest, "rest");
  }
}

TEST(ProxyHeaderTest, RefusesBinaryHeadersThatAreNotAssigned) {
  std::string version = Binary(1, 0x11, kInet);
  version[12] = '\x31';
  for (const std::string& header :
       {version, Binary(2, 0x11, kInet), Binary(1, 0x41, kInet), Binary(1, 0x13, kInet),
        Binary(1, 0x11, kInet.substr(1)), Binary(1, 0x21, kInet6.substr(1)),
        Binary(1, 0x11, std::string(4097, 'x')), std::string("\r\n\r\nX")}) {
    EXPECT_EQ(ReadWhole(header).result, Result::kBad);
    EXPECT_EQ(ReadIn(header, 1).result, Result::kBad);
  }
}

TEST(ProxyHeaderTest, TakesTlvsUpToItsLimit) {
  const Read read = ReadWhole(Binary(1, 0x11, kInet + std::string(4096 - kInet.size(), 't')) + "x");
  EXPECT_EQ(read.result, Result::kDone);
  EXPECT_EQ(read.rest, "x");
}

}  // namespace
}  // namespace serin
