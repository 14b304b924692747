#include "gateway/cipher_speed.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace spillway::gateway {
namespace {

using ::testing::HasSubstr;

TEST(CipherSpeed, NamesTheLibraryInUse) {
  const std::string before(data::AeadBackendName(data::DefaultAeadBackend()));
  ASSERT_TRUE(data::UseAeadBackend("openssl"));
  EXPECT_THAT(DescribeCipher(), HasSubstr("AES-256-GCM by openssl: "));
  EXPECT_THAT(DescribeCipher(), HasSubstr("ipsec-mb"));
  if (data::AeadBackendAvailable(data::AeadBackend::kIpsecMb)) {
    ASSERT_TRUE(data::UseAeadBackend("ipsec-mb"));
    EXPECT_THAT(DescribeCipher(), HasSubstr("AES-256-GCM by ipsec-mb: "));
  }
  const CipherSpeed speed = MeasureCipher(data::AeadBackend::kOpenSsl);
  EXPECT_GT(speed.sealed_gb_per_s, 0);
  EXPECT_GT(speed.opened_gb_per_s, 0);
  ASSERT_TRUE(data::UseAeadBackend(before));
}

}  // namespace
}  // namespace spillway::gateway
