#include "gateway/certify.h"

#include <gmock/gmock.h>

#include "gateway/gateway_test_util.h"

namespace spillway::gateway {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

const Time kNow{Duration(1'800'000'000'000)};

class CertifyTest : public ::testing::Test {
 protected:
  CertifyTest() : site_(*OpenSigningKey(dir_ / "site")) { Reopen(); }
  void Reopen() {
    certifier_.reset();
    auto opened = Certifier::Open({.evidence_dir = dir_ / "evidence"}, site_);
    ASSERT_TRUE(opened) << opened.error().message;
    certifier_ = std::move(*opened);
  }
  static WipeFacts Facts(const std::string& name) {
    WipeFacts facts;
    facts.node.name = name;
    facts.node.offer.provider = "scaleway";
    facts.node.offer.region = "fr-par-2";
    facts.node.offer.instance_type = "H100-1-80G";
    facts.node.instance_id = "i-1";
    facts.simulated = true;
    facts.key = {"0011", kNow - 1h, kNow - 1min, false};
    auto run = std::make_shared<RunRecord>();
    run->run = name;
    run->dataset_version = "v1";
    run->data_class = DataClass::kInternal;
    run->datasets = {"vision/digits"};
    facts.run = run;
    facts.last_heartbeat = kNow - 1s;
    return facts;
  }
  static StatedWipe Wipe() {
    StatedWipe wipe;
    wipe.statement.method = "AES-256-CTR keystream";
    wipe.statement.filesystem = "ext4";
    wipe.statement.device = "/dev/vda1";
    wipe.statement.cache_bytes = 1 << 20;
    wipe.statement.bytes_requested = wipe.statement.bytes_written = 8192;
    wipe.statement.bytes_read_back = 8192;
    wipe.statement.used = {{0, 4096}, {65536, 4096}};
    wipe.statement.seed_commitment = std::string(64, 'a');
    wipe.statement.keys = "zeroised";
    wipe.started = kNow - 30s;
    wipe.ended = kNow - 10s;
    return wipe;
  }
  data::Certificate Read(const CertificateInfo& info) {
    const auto verified =
        data::VerifyCertificate(ReadText(dir_ / ("evidence/" + info.file)), site_.public_key());
    EXPECT_TRUE(verified) << verified.error().message;
    return verified->certificate;
  }
  data::Certificate CertifyAndRead(const WipeFacts& facts) {
    const auto info = certifier_->Certify(facts, kNow);
    EXPECT_TRUE(info) << info.error().message;
    return Read(*info);
  }

  TempDir dir_;
  data::SigningKey site_;
  std::unique_ptr<Certifier> certifier_;
};

TEST_F(CertifyTest, AVerifiedOverwriteIsFull) {
  WipeFacts facts = Facts("bn-1");
  facts.wipe = Wipe();
  facts.staged_bytes = 8000;
  const auto info = certifier_->Certify(facts, kNow);
  ASSERT_TRUE(info) << info.error().message;
  EXPECT_EQ(info->file, "certificates/bn-1.json");
  EXPECT_TRUE(info->verified);
  const data::Certificate certificate = Read(*info);
  EXPECT_EQ(certificate.wipe_class, data::WipeClass::kFull);
  EXPECT_TRUE(certificate.medium.simulated);
  EXPECT_EQ(certificate.medium.used_bytes, 8192);
  EXPECT_EQ(certificate.medium.extents.size(), 2u);
  EXPECT_EQ(certificate.data.data_class, "internal");
  EXPECT_EQ(certificate.data.datasets[0].name, "vision/digits");
  EXPECT_EQ(certificate.keys.destroyed, kNow - 1min);
}

TEST_F(CertifyTest, NothingMoreIsClaimedThanWasDone) {
  const auto reason = [&](const std::string& name, auto change) {
    WipeFacts facts = Facts(name);
    facts.wipe = Wipe();
    change(facts);
    const data::Certificate certificate = CertifyAndRead(facts);
    EXPECT_EQ(certificate.wipe_class, data::WipeClass::kCryptoEraseOnly) << name;
    EXPECT_FALSE(certificate.verified) << name;
    return certificate.reasons.at(0);
  };
  EXPECT_THAT(reason("lost", [](WipeFacts& f) { f.wipe.reset(); }), HasSubstr("lost"));
  EXPECT_THAT(reason("mismatch", [](WipeFacts& f) { f.wipe->statement.mismatched_bytes = 3; }),
              HasSubstr("3 of them different"));
  EXPECT_THAT(reason("half", [](WipeFacts& f) { f.wipe->statement.bytes_read_back = 4096; }),
              HasSubstr("4096 read back"));
  EXPECT_THAT(reason("unknown", [](WipeFacts& f) { f.wipe->statement.used.clear(); }),
              HasSubstr("missing or too short"));
  EXPECT_THAT(reason("short", [](WipeFacts& f) { f.staged_bytes = 9000; }),
              HasSubstr("missing or too short"));
  EXPECT_THAT(reason("nothing",
                     [](WipeFacts& f) {
                       f.wipe->statement = {};
                       f.wipe->statement.keys = "zeroised";
                     }),
              HasSubstr("overwrote nothing"));
  EXPECT_THAT(reason("owed",
                     [](WipeFacts& f) {
                       f.wipe.reset();
                       f.node.key_owed_since = kNow - 10min;
                     }),
              HasSubstr("given back before it stated an overwrite"));
  EXPECT_THAT(reason("never",
                     [](WipeFacts& f) {
                       f.wipe.reset();
                       f.run = nullptr;
                       f.key = {"none", {}, kNow, false};
                       f.node.instance_id.clear();
                     }),
              HasSubstr("lost"));
}

TEST_F(CertifyTest, AKeyThatOutlivedItsMachineIsToldWithBothTimes) {
  WipeFacts facts = Facts("bn-1");
  facts.wipe = Wipe();
  facts.wipe->statement.keys = std::string(500, 'k');
  facts.node.key_owed_since = kNow - 10min;
  const data::Certificate certificate = CertifyAndRead(facts);
  EXPECT_EQ(certificate.keys.destroyed, kNow - 1min);
  EXPECT_THAT(certificate.keys.statement,
              HasSubstr("the machine was given back from " + FormatTime(kNow - 10min) +
                        " on, the key was destroyed at " + FormatTime(kNow - 1min)));
}

TEST_F(CertifyTest, TheWholeCacheCoversWhatIsNotKnown) {
  WipeFacts facts = Facts("bn-1");
  facts.wipe = Wipe();
  door::WipeStatement& said = facts.wipe->statement;
  said.used.clear();
  said.bytes_requested = said.bytes_written = said.bytes_read_back = said.cache_bytes;
  EXPECT_EQ(CertifyAndRead(facts).wipe_class, data::WipeClass::kFull);
}

TEST_F(CertifyTest, NotBeforeTheKeyIsDestroyed) {
  WipeFacts facts = Facts("bn-1");
  facts.key.destroyed.reset();
  EXPECT_EQ(certifier_->Certify(facts, kNow).error().code, Code::kConflict);
}

TEST_F(CertifyTest, AClockThatWasSetBackStillCertifies) {
  WipeFacts facts = Facts("bn-1");
  facts.wipe = Wipe();
  const auto info = certifier_->Certify(facts, kNow - 2h);
  ASSERT_TRUE(info) << info.error().message;
  EXPECT_EQ(Read(*info).issued, kNow - 10s);
}

TEST_F(CertifyTest, OneCertificatePerRunAndOneChainOverRestarts) {
  WipeFacts facts = Facts("bn-9");
  facts.wipe = Wipe();
  ASSERT_TRUE(certifier_->Certify(facts, kNow));
  const std::string text = ReadText(dir_ / "evidence/certificates/bn-9.json");
  Reopen();
  facts.wipe.reset();
  const auto again = certifier_->Certify(facts, kNow + 1h);
  ASSERT_TRUE(again);
  EXPECT_TRUE(again->verified) << "the one that exists";
  EXPECT_EQ(ReadText(dir_ / "evidence/certificates/bn-9.json"), text);
  ASSERT_TRUE(certifier_->Certify(Facts("bn-1"), kNow));
  Reopen();
  ASSERT_TRUE(certifier_->Certify(Facts("bn-5"), kNow));
  EXPECT_THAT(certifier_->Files(), ElementsAre("certificates/bn-9.json", "certificates/bn-1.json",
                                               "certificates/bn-5.json"));
  EXPECT_TRUE(data::VerifyCertificateChain(*certifier_->Chain(), site_.public_key()));
  EXPECT_EQ(*certifier_->Text("certificates/bn-9.json"), text);
  EXPECT_EQ(certifier_->Text("../site/site.key").error().code, Code::kNotFound);
}

TEST_F(CertifyTest, AGapInTheChainIsNamed) {
  for (const char* name : {"bn-1", "bn-2", "bn-3"})
    ASSERT_TRUE(certifier_->Certify(Facts(name), kNow));
  const std::string second = dir_ / "evidence/certificates/bn-2.json";
  const std::string text = ReadText(second);
  std::filesystem::remove(second);
  auto opened = Certifier::Open({.evidence_dir = dir_ / "evidence"}, site_);
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().code, Code::kCorrupt);
  EXPECT_THAT(opened.error().message, HasSubstr("bn-3.json"));
  std::string changed = text;
  changed[changed.find("scaleway")] = 'S';
  WriteText(second, changed);
  opened = Certifier::Open({.evidence_dir = dir_ / "evidence"}, site_);
  ASSERT_FALSE(opened);
  EXPECT_THAT(opened.error().message, HasSubstr("bn-2.json"));
  WriteText(second, text);
  EXPECT_TRUE(Certifier::Open({.evidence_dir = dir_ / "evidence"}, site_));
}

}  // namespace
}  // namespace spillway::gateway
