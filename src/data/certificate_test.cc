#include "data/certificate.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>

#include "data/record.h"
#include "data/test_util.h"

namespace spillway::data {
namespace {

using ::testing::HasSubstr;

Time At(std::string_view clock) {
  return *ParseTime("2026-11-24T" + std::string(clock) + "Z");
}

Certificate Full() {
  Certificate c;
  c.id = "wipe-burst-a1";
  c.issued = At("10:00:00");
  c.issuer = "site-a/spillwayd";
  c.controller_version = c.agent_version = "0.1.0";
  c.node = "burst-a1";
  c.wipe_class = WipeClass::kFull;
  c.verified = true;
  c.medium = {true,
              "scaleway",
              "fr-par-2",
              "",
              "i-1",
              "H100-1",
              "cache.extent",
              "ext4",
              1'000'000,
              6'000,
              {{0, 4'000}, {8'000, 2'000}}};
  c.data = {"run-7",
            "internal",
            {{"vision/digits", "v3", Sha256(AsBytes("root"))}},
            Sha256(AsBytes("receipts")),
            3};
  c.keys = {"run-7/1", At("08:00:00"), At("09:00:00"), "Held in memory only; never exported."};
  c.keys.service = KeyServiceStatement{"transit engine at https://bao:8200", 1, At("08:00:01"),
                                       At("08:59:59"), "deleted, and not found afterwards"};
  Technique erase;
  erase.name = kCryptoErase;
  erase.result = TechniqueResult::kDone;
  erase.started = erase.ended = At("09:00:00");
  const WipeReport report{6'000, 6'000, 6'000, 0, SeedCommitment(CountingSecret(1)), {}};
  Technique sanitize;
  sanitize.name = kSanitize;
  sanitize.result = TechniqueResult::kNotAvailable;
  sanitize.detail = "no controller access from a virtual machine";
  c.techniques = {erase, OverwriteTechnique(report, At("09:00:01"), At("09:00:05")), sanitize};
  c.out_of_scope = {"spare cells of flash media", "the provider's memory"};
  c.last_heartbeat = At("09:00:06");
  return c;
}

Certificate CryptoEraseOnly() {
  Certificate c = Full();
  c.wipe_class = WipeClass::kCryptoEraseOnly;
  c.verified = false;
  Technique none;
  none.name = kOverwrite;
  none.detail = "node lost";
  c.techniques[1] = none;
  c.reasons = {"the node stopped answering at 09:00:06"};
  return c;
}

TEST(Certificate, IssuesAndVerifiesBothClasses) {
  const SigningKey key = TestSigner();
  for (const Certificate& certificate : {Full(), CryptoEraseOnly()}) {
    const auto text = IssueCertificate(certificate, key);
    ASSERT_TRUE(text) << text.error().message;
    for (const std::string& form : {*text, PrettyJson(*ParseJson(*text))}) {
      const auto verified = VerifyCertificate(form, key.public_key());
      ASSERT_TRUE(verified) << verified.error().message;
      EXPECT_EQ(verified->certificate, certificate);
      EXPECT_EQ(verified->signer, key.public_key());
      EXPECT_TRUE(VerifyCertificate(form));
      EXPECT_EQ(*CertificateDigest(form), *CertificateDigest(*text));
    }
    EXPECT_EQ(SupportedClass(certificate), certificate.wipe_class);
  }
  EXPECT_THAT(*IssueCertificate(CryptoEraseOnly(), key), HasSubstr("\"crypto-erase only\""));
}

TEST(Certificate, AnyChangeBreaksTheSignature) {
  const SigningKey key = TestSigner();
  const std::string text = *IssueCertificate(Full(), key);
  std::string changed = text;
  changed.replace(changed.find("scaleway"), 8, "Scaleway");
  EXPECT_EQ(VerifyCertificate(changed).error().code, Code::kCorrupt);
  EXPECT_THAT(VerifyCertificate(changed).error().message, HasSubstr("signature"));
  EXPECT_EQ(VerifyCertificate(text, TestSigner(9).public_key()).error().code, Code::kDenied);
  EXPECT_FALSE(VerifyCertificate(text.substr(0, text.size() - 1)));
  EXPECT_FALSE(VerifyCertificate(""));
  EXPECT_FALSE(VerifyCertificate(std::string(kMaxCertificateBytes + 1, ' ')));
}

// Each claim is checked by issuer and verifier alike: a signature does not make it true.
TEST(Certificate, ClaimsNoMoreThanItProves) {
  using Change = std::function<void(Certificate&)>;
  const std::pair<Change, const char*> cases[] = {
      {[](auto& c) { c.verified = false; }, "class: is \"full\", but verified is false"},
      {[](auto& c) { c.techniques[1].mismatched_bytes = 1; }, "but 1 bytes read back differ"},
      {[](auto& c) { c.techniques[1].bytes_read_back = 5'999; }, "5999 of 6000 bytes were read"},
      {[](auto& c) { c.techniques[1].bytes_done = 0; }, "0 of 6000 bytes were overwritten"},
      {[](auto& c) {
         c.techniques[1].bytes_requested = c.techniques[1].bytes_done =
             c.techniques[1].bytes_read_back = 5'000;
       },
       "5000 bytes were to be overwritten, 6000 were used"},
      {[](auto& c) { c.techniques[1].result = TechniqueResult::kFailed; }, "\"failed\""},
      {[](auto& c) { c.techniques.erase(c.techniques.begin() + 1); }, "no overwrite is recorded"},
      {[](auto& c) { c.techniques.erase(c.techniques.begin()); }, "without a crypto-erase"},
      {[](auto& c) { c.techniques[0].result = TechniqueResult::kFailed; },
       "without a crypto-erase"},
      {[](auto& c) { c.techniques.push_back(c.techniques[0]); }, "recorded twice"},
      {[](auto& c) { c.techniques[0].name = "magic"; }, "\"magic\" is not known"},
      {[](auto& c) { c.techniques[0].ended.reset(); }, "start and end"},
      {[](auto& c) { c.techniques[2].started = At("09:00:00"); }, "start and end"},
      {[](auto& c) { c.techniques[1].ended = At("08:00:00"); }, "not in order"},
      {[](auto& c) { c.techniques[1].ended = At("11:00:00"); }, "not in order"},
      {[](auto& c) { c.techniques[1].seed_commitment = ""; }, "seedCommitment"},
      {[](auto& c) { c.techniques[2].bytes_requested = 5; }, "only an overwrite"},
      {[](auto& c) { c.techniques[1].bytes_read_back = 7'000; }, "contradict"},
      {[](auto& c) { c.keys.destroyed = At("10:00:01"); }, "keys.destroyed"},
      {[](auto& c) { c.keys.destroyed = At("07:00:00"); }, "keys.destroyed"},
      {[](auto& c) { c.keys.service->destroyed = At("08:00:00"); }, "keys.service.destroyed"},
      {[](auto& c) { c.out_of_scope.clear(); }, "outOfScope"},
      {[](auto& c) { c.wipe_class = WipeClass::kCryptoEraseOnly; }, "verified: is true"},
      {[](auto& c) {
         c = CryptoEraseOnly();
         c.reasons.clear();
       },
       "reasons: must say why"},
      {[](auto& c) {
         c = CryptoEraseOnly();
         c.wipe_class = WipeClass::kFull;
       },
       "\"not performed\""},
      {[](auto& c) { c.medium.used_bytes = 5'999; }, "medium.usedBytes"},
      {[](auto& c) { c.medium.extents[1].offset = 3'999; }, "medium.extents"},
      {[](auto& c) { c.medium.size_bytes = 9'000; }, "medium.extents"},
      {[](auto& c) { c.medium.provider = ""; }, "medium.provider"},
      {[](auto& c) { c.node = ""; }, "node: must not be empty"},
      {[](auto& c) { c.data.run_id = ""; }, "data.runId"},
  };
  const SigningKey key = TestSigner();
  for (const auto& [change, reason] : cases) {
    Certificate certificate = Full();
    change(certificate);
    const auto issued = IssueCertificate(certificate, key);
    ASSERT_FALSE(issued) << reason;
    EXPECT_EQ(issued.error().code, Code::kInvalid);
    EXPECT_THAT(issued.error().message, HasSubstr(reason));
  }
}

// A body changed and signed again by the right key.
std::string Forge(const std::function<void(json::object&)>& change, const SigningKey& key) {
  json::value envelope = *ParseJson(*IssueCertificate(Full(), key));
  json::object& body = envelope.get_object()["body"].get_object();
  change(body);
  return SignRecord(kCertificateType, body, key);
}

TEST(Certificate, VerifierNamesTheFieldOfASignedForgery) {
  const SigningKey key = TestSigner();
  auto error = [&](const std::function<void(json::object&)>& change) {
    const auto verified = VerifyCertificate(Forge(change, key), key.public_key());
    EXPECT_FALSE(verified);
    return verified ? std::string() : verified.error().message;
  };
  for (const char* field : {"id", "issued", "issuer", "controllerVersion", "agentVersion", "node",
                            "class", "verified", "medium", "data", "keys", "techniques",
                            "outOfScope", "reasons", "lastHeartbeat", "previous"})
    EXPECT_THAT(error([&](auto& o) { o.erase(field); }),
                HasSubstr(std::string(field) + ": is missing"));
  EXPECT_THAT(error([](auto& o) { o["class"] = "purged"; }), HasSubstr("\"purged\" is not known"));
  EXPECT_THAT(error([](auto& o) { o["verified"] = false; }), HasSubstr("verified is false"));
  EXPECT_THAT(error([](auto& o) { o["verified"] = 1; }), HasSubstr("verified: must be true or"));
  EXPECT_THAT(error([](auto& o) { o["keys"].get_object().erase("destroyed"); }),
              HasSubstr("keys.destroyed: is missing"));
  EXPECT_THAT(error([](auto& o) { o["keys"].get_object()["service"].get_object().erase("name"); }),
              HasSubstr("keys.service.name: is missing"));
  EXPECT_THAT(error([](auto& o) { o["keys"].get_object()["service"] = nullptr; }),
              HasSubstr("keys.service"));
  EXPECT_THAT(error([](auto& o) { o["issued"] = "yesterday"; }), HasSubstr("issued: "));
  EXPECT_THAT(error([](auto& o) { o["grade"] = "A"; }), HasSubstr("grade: is not a known member"));
  EXPECT_THAT(
      error([](auto& o) { o["techniques"].get_array()[1].get_object()["mismatchedBytes"] = 3; }),
      HasSubstr("3 bytes read back differ"));
}

TEST(Certificate, WithoutAKeyServiceItVerifiesAsEarlierOnesDo) {
  const SigningKey key = TestSigner();
  const auto verified = VerifyCertificate(
      Forge([](auto& o) { o["keys"].get_object().erase("service"); }, key), key.public_key());
  ASSERT_TRUE(verified) << verified.error().message;
  EXPECT_EQ(verified->certificate.keys.service, std::nullopt);
}

TEST(Certificate, AnIncompleteWipeSupportsOnlyTheLesserClass) {
  Certificate certificate = Full();
  WipeReport report{6'000,
                    5'000,
                    6'000,
                    900,
                    SeedCommitment(CountingSecret(1)),
                    Error{Code::kUnavailable, "overwrite at 0: I/O error", {}}};
  certificate.techniques[1] = OverwriteTechnique(report, At("09:00:01"), At("09:00:05"));
  EXPECT_EQ(certificate.techniques[1].result, TechniqueResult::kFailed);
  EXPECT_EQ(SupportedClass(certificate), WipeClass::kCryptoEraseOnly);
  certificate.wipe_class = SupportedClass(certificate);
  certificate.verified = false;
  certificate.reasons = {report.failure->message};
  EXPECT_TRUE(IssueCertificate(certificate, TestSigner()));
}

TEST(Certificate, TheChainShowsWhatWasRemovedOrMoved) {
  const SigningKey key = TestSigner();
  std::vector<std::string> texts;
  Certificate certificate = Full();
  for (int i = 0; i < 4; ++i) {
    certificate.id = "wipe-" + std::to_string(i);
    texts.push_back(*IssueCertificate(certificate, key));
    certificate.previous = *CertificateDigest(texts.back());
  }
  EXPECT_TRUE(VerifyCertificateChain(texts, key.public_key()));
  EXPECT_TRUE(VerifyCertificateChain({}, key.public_key()));
  auto removed = texts;
  removed.erase(removed.begin() + 1);
  EXPECT_THAT(VerifyCertificateChain(removed, key.public_key()).error().message,
              HasSubstr("certificate 1 (wipe-2)"));
  auto moved = texts;
  std::swap(moved[2], moved[3]);
  EXPECT_EQ(VerifyCertificateChain(moved, key.public_key()).error().code, Code::kCorrupt);
  auto headless = texts;
  headless.erase(headless.begin());
  EXPECT_FALSE(VerifyCertificateChain(headless, key.public_key()));
  auto changed = texts;
  changed[2].replace(changed[2].find("H100"), 4, "H200");
  EXPECT_THAT(VerifyCertificateChain(changed, key.public_key()).error().message,
              HasSubstr("certificate 2: signature"));
}

}  // namespace
}  // namespace spillway::data
