#include "cli/evidence.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sstream>

#include "cli/test_support.h"
#include "data/certificate.h"

namespace spillway::cli {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

data::SigningKey SiteKey() {
  ByteBuffer seed(32, 7);
  return data::SigningKey::FromSeed(*data::Secret::FromBytes(seed));
}

// A ledger of three records at dir/state.db, and its export.
std::string MakeLedger(const TempDir& dir) {
  auto db = store::Database::Open(dir.path() + "/state.db");
  EXPECT_TRUE(db && store::CreateLedgerTables(*db));
  const data::SigningKey key = SiteKey();
  std::vector<LedgerEntry> entries(3);
  for (std::size_t i = 0; i < entries.size(); ++i) {
    entries[i].node = "bn-00001";
    entries[i].step = "step-" + std::to_string(i);
    entries[i].spent = Money::Cents(static_cast<std::int64_t>(i));
  }
  const auto sign = [&](std::string_view message) { return Hex(key.Sign(AsBytes(message))); };
  EXPECT_TRUE(store::AppendEntries(*db, entries, sign, key.public_key().Hex()));
  return *store::ExportLedger(*db);
}

Ran Audit(std::vector<std::string> words) {
  words.insert(words.begin(), "audit");
  return RunWords(words, "/nowhere");
}

TEST(AuditVerify, WholeLedgersVerifyOffline) {
  const TempDir dir;
  const std::string file = dir.Write("ledger.jsonl", MakeLedger(dir));
  const std::string key = SiteKey().public_key().Hex();
  for (const std::string& path : {file, dir.path() + "/state.db"}) {
    const Ran ran = Audit({"verify", path, "--key", key});
    EXPECT_EQ(ran.code, 0) << ran.err;
    EXPECT_THAT(ran.out, HasSubstr("verified: " + path));
    EXPECT_THAT(ran.out, HasSubstr("records     3\n"));
    EXPECT_THAT(ran.out, HasSubstr(key + "  (as asked)"));
  }
}

TEST(AuditVerify, NamesTheRecordThatIsWrong) {
  const TempDir dir;
  const std::string good = MakeLedger(dir);
  const std::size_t second = good.find('\n') + 1, third = good.find('\n', second) + 1;
  std::string flipped = good;
  flipped[good.find("step-1") + 5] = '7';
  const std::string removed = good.substr(0, second) + good.substr(third);
  const std::size_t fourth = good.find('\n', third) + 1;
  const std::string moved = good.substr(0, second) + good.substr(third, fourth - third) +
                            good.substr(second, third - second) + good.substr(fourth);
  for (const std::string& text : {flipped, removed, moved}) {
    const Ran ran = Audit({"verify", dir.Write("bad", text)});
    EXPECT_EQ(ran.code, 1);
    EXPECT_THAT(ran.err, HasSubstr("not verified: record 2"));
  }
}

TEST(AuditVerify, AnotherKeyIsNotTrusted) {
  const TempDir dir;
  const std::string file = dir.Write("ledger.jsonl", MakeLedger(dir));
  EXPECT_EQ(Audit({"verify", file, "--key", std::string(64, 'a')}).code, 1);
  const Ran wrong = Audit({"verify", file, "--key", "xyz"});
  EXPECT_EQ(wrong.code, 2);
  EXPECT_THAT(wrong.err, HasSubstr("--key"));
  EXPECT_EQ(Audit({"verify", dir.path() + "/none"}).code, 1);
}

data::Certificate NodeLost() {
  const Time at = *ParseTime("2026-11-24T09:00:00Z");
  data::Certificate c;
  c.id = "wipe-bn-00003";
  c.issued = at;
  c.issuer = "site-a/spillwayd";
  c.controller_version = c.agent_version = "0.1.0";
  c.node = "bn-00003";
  c.medium = {true,           "exoscale", "ch-gva-2", "", "i-1", "gpu3.small",
              "cache.extent", "",         1'000,      0,  {}};
  c.data = {"bn-00003", "internal", {{"nlp/digits", "v1", Sha256(AsBytes("root"))}}, {}, 0};
  c.keys = {"bn-00003/1", at - 1h, at - 1min, "Held in memory only."};
  data::Technique erase;
  erase.name = data::kCryptoErase;
  erase.result = data::TechniqueResult::kDone;
  erase.started = erase.ended = at - 1min;
  data::Technique overwrite;
  overwrite.name = data::kOverwrite;
  overwrite.detail = "node lost";
  c.techniques = {erase, overwrite};
  c.out_of_scope = {"spare cells of flash media"};
  c.reasons = {"the node stopped answering"};
  c.last_heartbeat = at - 2min;
  return c;
}

TEST(AuditCertificate, ChecksAFileAlone) {
  const TempDir dir;
  const auto text = data::IssueCertificate(NodeLost(), SiteKey());
  ASSERT_TRUE(text) << text.error().message;
  const Ran ran =
      Audit({"certificate", dir.Write("c.json", *text), "--key", SiteKey().public_key().Hex()});
  EXPECT_EQ(ran.code, 0) << ran.err;
  EXPECT_THAT(ran.out, HasSubstr("verified: wipe-bn-00003, issued 2026-11-24T09:00:00Z"));
  EXPECT_THAT(ran.out, HasSubstr("exoscale/ch-gva-2/gpu3.small (simulated)\n"));
  EXPECT_THAT(ran.out, HasSubstr("wipe        crypto-erase only\n"));
  EXPECT_THAT(ran.out, HasSubstr("not more    the node stopped answering\n"));

  std::string forged = *text;
  forged.replace(forged.find("gpu3.small"), 10, "gpu3.large");
  const Ran bad = Audit({"certificate", dir.Write("f.json", forged)});
  EXPECT_EQ(bad.code, 1);
  EXPECT_THAT(bad.err, HasSubstr("f.json: not verified: "));
}

// Every object is where the table of the document says.
void ExpectSoundPdf(const std::string& pdf) {
  ASSERT_TRUE(pdf.starts_with("%PDF-1.7\n") && pdf.ends_with("%%EOF\n"));
  const std::size_t table = std::stoul(pdf.substr(pdf.rfind("startxref\n") + 10));
  ASSERT_EQ(pdf.substr(table, 5), "xref\n");
  std::istringstream lines(pdf.substr(table + 5));
  std::size_t zero = 0, count = 0;
  lines >> zero >> count;
  ASSERT_GT(count, 8u);
  std::string offset, generation, kind;
  lines >> offset >> generation >> kind;
  for (std::size_t number = 1; number < count; ++number) {
    lines >> offset >> generation >> kind;
    EXPECT_EQ(pdf.find(std::to_string(number) + " 0 obj\n"), std::stoul(offset));
  }
}

TEST(AuditCertificate, IsExportedAsJsonHtmlAndPdf) {
  const TempDir dir;
  data::Certificate certificate = NodeLost();
  certificate.data.datasets[0].name = "nlp/<script>é数";
  certificate.keys.service = data::KeyServiceStatement{
      "transit engine at https://bao:8200, mount transit", 3, certificate.keys.created,
      certificate.keys.destroyed, "transit/keys/x was deleted, and was not found afterwards"};
  const std::string text = *data::IssueCertificate(certificate, SiteKey());
  const std::string file = dir.Write("c.json", text);
  const auto as = [&](const std::string& form) {
    const Ran ran = Audit({"certificate", file, "-o", form});
    EXPECT_EQ(ran.code, 0) << ran.err;
    return ran.out;
  };
  EXPECT_EQ(as("json"), text) << "what was signed, to the byte";

  const std::string html = as("html"), pdf = as("pdf");
  ExpectSoundPdf(pdf);
  for (const char* words :
       {"Wipe certificate wipe-bn-00003", "crypto-erase only", "SIMULATED MACHINE", "Medium",
        "Method", "Verification", "Keys", "Out of scope", "spare cells of flash media", "exoscale",
        "the node stopped answering", "NIST SP 800-88 Rev. 2", "CON.6", "PI-03",
        "transit engine at https://bao:8200", "was not found afterwards"}) {
    EXPECT_THAT(html, HasSubstr(words));
    EXPECT_THAT(pdf, HasSubstr(words));
  }
  EXPECT_THAT(html, Not(HasSubstr("<script>")));
  EXPECT_THAT(html, HasSubstr("nlp/&lt;script&gt;é数"));
  EXPECT_THAT(pdf, HasSubstr("nlp/<script>\xE9<U+6570>")) << "in the encoding of its fonts";
  EXPECT_THAT(pdf, HasSubstr("stream\n" + text + "\nendstream")) << "the record is attached";

  std::string forged = text;
  forged.replace(forged.find("gpu3.small"), 10, "gpu3.large");
  for (const char* form : {"json", "html", "pdf"}) {
    const Ran bad = Audit({"certificate", dir.Write("f.json", forged), "-o", form});
    EXPECT_EQ(bad.code, 1) << form;
    EXPECT_EQ(bad.out, "") << "nothing is exported that does not verify";
  }
  EXPECT_EQ(Audit({"certificate", file, "-o", "docx"}).code, 2);
}

TEST(AuditCertificate, LongListsAndTextsKeepToThePagesOfThePdf) {
  data::Certificate certificate = NodeLost();
  certificate.out_of_scope.assign(60, std::string(300, 'w') + " " + std::string(150, '('));
  const TempDir dir;
  const Ran ran =
      Audit({"certificate", dir.Write("c.json", *data::IssueCertificate(certificate, SiteKey())),
             "-o", "pdf"});
  ASSERT_EQ(ran.code, 0) << ran.err;
  ExpectSoundPdf(ran.out);
  std::size_t pages = 0;
  for (std::size_t at = 0; (at = ran.out.find("/Type /Page ", at)) != std::string::npos; ++at)
    ++pages;
  EXPECT_GT(pages, 5u);
  EXPECT_LT(pages, 20u);
}

TEST(AuditCertificate, AsksTheDaemonByNodeToo) {
  FakeDaemon daemon;
  daemon.On("GET", "/api/v1/certificates", R"({"items":["certificates/bn-00003.json"]})");
  daemon.On("GET", "/api/v1/certificates/certificates%2Fbn-00003.json",
            *data::IssueCertificate(NodeLost(), SiteKey()));
  EXPECT_EQ(daemon.Do({"audit", "certificate", "bn-00003"}).code, 0);
  const Ran none = daemon.Do({"audit", "certificate", "bn-9"});
  EXPECT_EQ(none.code, 1);
  EXPECT_THAT(none.err, HasSubstr("bn-9: there is no such file here"));
}

TEST(AuditScan, FindsAPlantedWindowAndSaysWhere) {
  const TempDir dir;
  std::string secret;
  for (int i = 0; i < 40; ++i) secret += static_cast<char>('A' + i * 7 % 50);
  dir.Write("sample/part.csv", secret);
  dir.Write("disk/cache.extent", std::string(1000, '\x11') + secret.substr(3, 32) + "tail");
  const Ran found =
      Audit({"scan", "--sample", dir.path() + "/sample", "--disk", dir.path() + "/disk"});
  EXPECT_EQ(found.code, 1);
  EXPECT_THAT(found.err, HasSubstr("cache.extent at byte 1000: 32 bytes of "));
  EXPECT_THAT(found.err, HasSubstr("part.csv from byte 3 on"));
  EXPECT_THAT(found.out, HasSubstr(": 1 found"));

  dir.Write("clean/cache.extent", std::string(1000, '\x11') + secret.substr(3, 31));
  const Ran clean =
      Audit({"scan", "--sample", dir.path() + "/sample", "--disk", dir.path() + "/clean"});
  EXPECT_EQ(clean.code, 0) << clean.err;
  dir.Write("empty/file", "");
  EXPECT_EQ(
      Audit({"scan", "--sample", dir.path() + "/sample", "--disk", dir.path() + "/empty"}).code, 1)
      << "nothing to scan proves nothing";
}

}  // namespace
}  // namespace spillway::cli
