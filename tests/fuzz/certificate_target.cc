// Wipe certificates and receipts: nothing that verifies claims more than its numbers prove.
#include "base/json.h"
#include "data/certificate.h"
#include "data/receipt.h"
#include "data/record.h"
#include "tests/fuzz/fuzz.h"

namespace spillway::fuzz {
namespace {

Time At(int hour) {
  return Time{Duration(1'800'000'000'000)} + std::chrono::hours(hour);
}

const data::SigningKey& Site() {
  static const data::SigningKey key =
      data::SigningKey::FromSeed(*data::Secret::FromBytes(ByteBuffer(32, 5)));
  return key;
}

data::Certificate Example() {
  data::Certificate c;
  c.id = c.node = "bn-00007";
  c.issued = At(9);
  c.issuer = "spillwayd";
  c.controller_version = c.agent_version = "1";
  c.wipe_class = data::WipeClass::kFull;
  c.verified = true;
  c.medium = {false,      "provider", "region", "zone", "i-1",      "type",
              "/dev/vdb", "ext4",     8192,     4096,   {{0, 4096}}};
  c.data = {"bn-00007", "internal", {{"vision/digits", "v3", {}}}, {}, 2};
  c.keys = {"key", At(1), At(5), "held in memory",
            data::KeyServiceStatement{"service", 1, At(1), At(5), "deleted"}};
  c.techniques = {{std::string(data::kCryptoErase), data::TechniqueResult::kDone, At(5), At(5),
                   "done", 0, 0, 0, 0, ""},
                  {std::string(data::kOverwrite), data::TechniqueResult::kDone, At(6), At(7), "",
                   4096, 4096, 4096, 0, std::string(64, 'a')}};
  c.out_of_scope = {"what the provider keeps"};
  return c;
}

}  // namespace

std::vector<std::string> Seeds() {
  const std::string text = *data::IssueCertificate(Example(), Site());
  return {text, CanonicalJson(ParseJson(text)->at("body"))};
}

void Try(std::string_view input) {
  (void)data::VerifyCertificate(input);
  (void)data::CertificateDigest(input);
  (void)data::VerifyReceipt(input, Site().public_key());
  const auto parsed = ParseJson(input);
  if (!parsed || !parsed->is_object()) return;
  // Whoever signs: the body decides.
  if (!data::RecordDigest(input, data::kMaxCertificateBytes)) return;  // it has no canonical form
  const std::string text = data::SignRecord(data::kCertificateType, *parsed, Site());
  const auto verified = data::VerifyCertificate(text, Site().public_key());
  if (!verified) return;
  const data::Certificate& c = verified->certificate;
  SPW_CHECK(c.wipe_class == data::WipeClass::kCryptoEraseOnly ||
                data::SupportedClass(c) == data::WipeClass::kFull,
            "it claims more than it proves");
  SPW_CHECK(c.verified == (c.wipe_class == data::WipeClass::kFull));
  SPW_CHECK(data::IssueCertificate(c, Site()).has_value());
}

}  // namespace spillway::fuzz
