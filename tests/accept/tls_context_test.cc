#include "proxy/accept/tls_context.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace serin {
namespace {

using testing::HasSubstr;

const absl::Time kStart = absl::FromUnixSeconds(1'700'000'000);
constexpr absl::Duration kDay = absl::Hours(24);

CertificateInfo LastingFor(absl::Duration lifetime) {
  return {"/etc/a.pem", {"a.example"}, kStart, kStart + lifetime, absl::InfiniteFuture()};
}

TEST(CertificateInfoTest, ComplainsOutsideTheLifetime) {
  const CertificateInfo info = LastingFor(90 * kDay);
  EXPECT_THAT(info.Trouble(kStart - absl::Seconds(1)),
              HasSubstr("/etc/a.pem is not valid before 2023-11-14 22:13 UTC"));
  EXPECT_EQ(info.Trouble(kStart + absl::Seconds(1)), "");
  EXPECT_THAT(info.Trouble(kStart + 90 * kDay + absl::Seconds(1)),
              HasSubstr("/etc/a.pem expired on 2024-02-12"));
}

TEST(CertificateInfoTest, ComplainsWhenRenewalIsOverdue) {
  EXPECT_EQ(LastingFor(90 * kDay).Trouble(kStart + 80 * kDay), "");
  EXPECT_THAT(LastingFor(90 * kDay).Trouble(kStart + 82 * kDay), HasSubstr("expires on"));
  EXPECT_EQ(LastingFor(400 * kDay).Trouble(kStart + 385 * kDay), "");
  EXPECT_THAT(LastingFor(400 * kDay).Trouble(kStart + 387 * kDay), HasSubstr("expires on"));
  EXPECT_EQ(LastingFor(6 * kDay).Trouble(kStart + 5 * kDay), "");
}

TEST(CertificateInfoTest, ComplainsOfAnOutdatedStaple) {
  CertificateInfo info = LastingFor(90 * kDay);
  info.ocsp_until = kStart + kDay;
  EXPECT_EQ(info.Trouble(kStart + kDay), "");
  EXPECT_THAT(info.Trouble(kStart + 2 * kDay), HasSubstr("the OCSP response for /etc/a.pem expired"));
}

TEST(TicketKeysTest, RotateAndOpenTicketsOfTheKeyBefore) {
  TicketKeys keys(kStart);
  const TicketKeys::Key first = keys.Current(kStart + absl::Hours(12));
  TicketKeys::Key found;
  bool renew = true;
  ASSERT_TRUE(keys.Find(first.name.data(), found, renew));
  EXPECT_FALSE(renew);
  EXPECT_EQ(found.cipher, first.cipher);
  const TicketKeys::Key second = keys.Current(kStart + absl::Hours(13));
  EXPECT_NE(second.name, first.name);
  EXPECT_NE(second.cipher, first.cipher);
  ASSERT_TRUE(keys.Find(first.name.data(), found, renew));
  EXPECT_TRUE(renew);
  EXPECT_EQ(found.mac, first.mac);
  keys.Current(kStart + absl::Hours(26));
  EXPECT_FALSE(keys.Find(first.name.data(), found, renew));
  EXPECT_TRUE(keys.Find(second.name.data(), found, renew));
}

}  // namespace
}  // namespace serin
