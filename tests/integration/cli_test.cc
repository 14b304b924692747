// The spillway program against a daemon that has rented a machine: its habits, and its checks of
// the evidence that is left when everything has stopped.
#include <fmt/format.h>
#include <gmock/gmock.h>

#include <algorithm>
#include <filesystem>
#include <memory>
#include <random>

#include "data/certificate.h"
#include "store/database.h"
#include "tests/integration/burst_manifests.h"
#include "tests/integration/daemon_process.h"
#include "tests/integration/declared_objects.h"
#include "tests/integration/program.h"

namespace spillway::integration {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::ContainsRegex;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

std::vector<std::string> Lines(const std::string& text) {
  std::vector<std::string> lines;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = std::min(text.find('\n', at), text.size());
    lines.push_back(text.substr(at, end - at));
    at = end + 1;
  }
  return lines;
}

std::string Joined(const std::vector<std::string>& lines) {
  std::string text;
  for (const std::string& line : lines) text += line + "\n";
  return text;
}

// What stands behind the label in "  signed by   HEX  (...)".
std::string SignerIn(const std::string& text) {
  const std::string label = "signed by   ";
  const std::size_t at = text.find(label);
  return at == std::string::npos ? "" : text.substr(at + label.size(), 64);
}

// One burst, done once for all tests, which then use the daemon or what it left.
class AfterABurst : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    DaemonSetup setup;
    setup.extra = {"--inspect-rented-disks"};
    daemon_ = std::make_unique<Daemon>(setup);
    WritePictures(*daemon_);
    std::string large;
    for (int i = 0; i < 4'000; ++i) large += Sha256Hex("large " + std::to_string(i)) + "\n";
    daemon_->WriteFile(daemon_->data() + "/pictures/train/large.txt", large);
    daemon_->Start();
    if (HasFatalFailure()) return;
    const auto applied = daemon_->Apply(BurstManifests(false));
    ASSERT_TRUE(applied) << applied.error().message;
    ASSERT_TRUE(
        daemon_->WaitFor([] { return BurstComplete(*daemon_) && AllNodesGone(*daemon_); }, 60s))
        << daemon_->Log();
    done_ = true;
  }
  static void TearDownTestSuite() { daemon_.reset(); }

  void SetUp() override { ASSERT_TRUE(done_) << "the burst did not end well"; }

  static void NeedDaemon() {
    if (!daemon_->Alive()) daemon_->Start();
  }
  // Stops it and gives the path of its ledger.
  static std::string StoppedLedger() {
    const bool alive = daemon_->Alive();
    EXPECT_EQ(alive ? daemon_->Terminate() : 0, 0);
    return daemon_->state() + "/state.db";
  }

  static Outcome Cli(std::vector<std::string> args) {
    args.insert(args.begin(), {"--socket", daemon_->dir() + "/spillway.sock"});
    return RunProgram("spillway", args);
  }
  // Writes `text` and lets the program check it.
  static Outcome Verify(const std::string& text) {
    const std::string path = daemon_->dir() + "/checked";
    daemon_->WriteFile(path, text);
    return Cli({"audit", "verify", path});
  }
  static std::string Certificate() {
    for (const auto& entry :
         fs::recursive_directory_iterator(daemon_->evidence() + "/certificates"))
      if (entry.is_regular_file()) return entry.path();
    return "";
  }
  // The daemon's own export, taken once.
  static std::string Export() {
    static const std::string text = [] {
      NeedDaemon();
      const Outcome exported = Cli({"audit", "export"});
      EXPECT_EQ(exported.exit, 0) << exported.err;
      return exported.out;
    }();
    return text;
  }
  static std::string Objects() { return DeclaredObjects(*daemon_); }

  static std::unique_ptr<Daemon> daemon_;
  static bool done_;
};
std::unique_ptr<Daemon> AfterABurst::daemon_;
bool AfterABurst::done_ = false;

// Exit 1, and the record is named as "record N".
void ExpectNamed(const Outcome& outcome, std::size_t record, const std::string& what) {
  EXPECT_EQ(outcome.exit, 1) << what;
  EXPECT_EQ(outcome.out, "") << what;
  EXPECT_THAT(outcome.err, AllOf(HasSubstr("not verified"),
                                 ContainsRegex(fmt::format("record {}[^0-9]", record))))
      << what;
}

TEST_F(AfterABurst, AnEndedJobIsExplainedByTheDecisionThatWasMade) {
  NeedDaemon();
  const Outcome outcome = Cli({"explain", "job/hash", "-n", "vision", "-o", "json"});
  const auto explained = ParseJson(outcome.out);
  ASSERT_TRUE(explained) << outcome.out;
  EXPECT_EQ(StringOr(*explained, "judged", ""), "past");
  EXPECT_THAT(StringOr(*Find(*explained, "past"), "sentence", ""), StartsWith("rents "));
  const json::array& offers = *FindArray(*explained, "offers");
  ASSERT_FALSE(offers.empty());
  EXPECT_EQ(StringOr(offers.front(), "reason", ""), "chosen");
  EXPECT_THAT(Cli({"explain", "job/hash", "-n", "vision"}).out, HasSubstr("when it was decided"));
}

TEST_F(AfterABurst, ADatasetTellsWhatMayLeave) {
  NeedDaemon();
  const auto dataset = daemon_->Get("/api/v1/objects/datasets/pictures?namespace=vision");
  ASSERT_TRUE(dataset) << dataset.error().message;
  const json::value* status = Find(*dataset, "status");
  ASSERT_NE(status, nullptr);
  EXPECT_EQ(StringOr(*status, "source", ""), "directory pictures");
  EXPECT_EQ(IntOr(*status, "files", -1), 6);
  EXPECT_GT(IntOr(*status, "bytes", -1), 4'000 * 65);
  EXPECT_THAT(json::serialize(*status), HasSubstr("1 files with 41 B stay"));
}

TEST_F(AfterABurst, TheLedgerIsRightOffline) {
  const std::string exported = Export();
  const std::string ledger = StoppedLedger();
  const Outcome verified = Cli({"audit", "verify", ledger});
  EXPECT_EQ(verified.exit, 0) << verified.err;
  const std::string key = SignerIn(verified.out);
  ASSERT_EQ(key.size(), 64u) << verified.out;
  EXPECT_EQ(Cli({"audit", "verify", ledger, "--key", key}).exit, 0);
  EXPECT_EQ(Cli({"audit", "verify", ledger, "--key", std::string(64, 'a')}).exit, 1);

  const Outcome copy = Verify(exported);
  EXPECT_EQ(copy.exit, 0) << copy.err;
  EXPECT_EQ(SignerIn(copy.out), key);
  EXPECT_EQ(Cli({"audit", "verify", daemon_->dir() + "/none"}).exit, 1);
}

TEST_F(AfterABurst, AnExportWithAChangeNamesTheRecord) {
  const std::vector<std::string> lines = Lines(Export());
  ASSERT_GE(lines.size(), 8u);
  const std::size_t records = lines.size() - 1;  // the last line is the signed head
  for (std::size_t i = 0; i < records; ++i) {
    std::vector<std::string> changed = lines;
    changed[i][changed[i].size() / 2] ^= 1;
    ExpectNamed(Verify(Joined(changed)), i + 1, "flipped: " + changed[i]);

    changed = lines;
    changed.erase(changed.begin() + static_cast<std::ptrdiff_t>(i));
    ExpectNamed(Verify(Joined(changed)), i + 1, "removed: " + lines[i]);

    if (i + 1 == records) continue;
    changed = lines;
    std::swap(changed[i], changed[i + 1]);
    ExpectNamed(Verify(Joined(changed)), i + 1, "reordered: " + lines[i]);
  }
}

// Whoever renumbers the records still breaks the chain.
TEST_F(AfterABurst, ReorderedRecordsWithTheRightNumbersAreFound) {
  std::vector<std::string> lines = Lines(Export());
  ASSERT_GE(lines.size(), 5u);
  const auto renumbered = [](const std::string& line, int seq) {
    json::value value = ParseJson(line).value();
    value.as_object()["seq"] = seq;
    return CanonicalJson(value);
  };
  std::swap(lines[1], lines[2]);
  lines[1] = renumbered(lines[1], 2);
  lines[2] = renumbered(lines[2], 3);
  ExpectNamed(Verify(Joined(lines)), 2, "renumbered");
}

TEST_F(AfterABurst, AChangedDatabaseNamesTheRecord) {
  const std::size_t records = Lines(Export()).size() - 1;
  const std::string ledger = StoppedLedger();
  const std::string copy = daemon_->dir() + "/copy.db";
  const auto changed = [&](const char* sql) {
    for (const char* suffix : {"", "-wal", "-shm"}) fs::remove(copy + suffix);
    fs::copy_file(ledger, copy);
    {
      auto db = store::Database::Open(copy);
      EXPECT_TRUE(db) << db.error().message;
      EXPECT_FALSE(db->Execute("UPDATE ledger SET body='{}' WHERE seq=3")) << "append-only";
      EXPECT_TRUE(db->Execute("DROP TRIGGER ledger_no_update; DROP TRIGGER ledger_no_delete"));
      const Status done = db->Execute(sql);
      EXPECT_TRUE(done) << done.error().message;
    }
    return Cli({"audit", "verify", copy});
  };
  EXPECT_EQ(changed("SELECT 1").exit, 0);
  ExpectNamed(changed("UPDATE ledger SET body = replace(body, '\"bytes\":', '\"bytes\":1') "
                      "WHERE seq=3"),
              3, "changed");
  ExpectNamed(changed("UPDATE ledger SET step = 'Wiped' WHERE seq=3"), 3, "column changed");
  ExpectNamed(changed("DELETE FROM ledger WHERE seq=4"), 4, "removed");
  ExpectNamed(changed("DELETE FROM ledger WHERE seq=(SELECT max(seq) FROM ledger)"), records,
              "end removed");
  ExpectNamed(changed("UPDATE ledger SET seq=-1 WHERE seq=2; UPDATE ledger SET seq=2 WHERE seq=3;"
                      "UPDATE ledger SET seq=3 WHERE seq=-1"),
              2, "reordered");
}

TEST_F(AfterABurst, AFlippedByteOfTheDatabaseFileNamesTheRecord) {
  const std::string record = [] {
    const json::value line = ParseJson(Lines(Export())[4]).value();
    return CanonicalJson(*Find(line, "record"));
  }();
  std::string file = daemon_->ReadFile(StoppedLedger());
  int places = 0;
  for (std::size_t at = file.find(record); at != std::string::npos; at = file.find(record, at)) {
    file[at + record.size() / 2] ^= 1;
    ++places;
  }
  ASSERT_GE(places, 1) << "the record is not in the file as text";
  ExpectNamed(Verify(file), 5, record);
}

TEST_F(AfterABurst, ACertificateStandsAlone) {
  StoppedLedger();
  const std::string path = Certificate();
  ASSERT_NE(path, "");
  const Outcome verified = Cli({"audit", "certificate", path});
  ASSERT_EQ(verified.exit, 0) << verified.err;
  EXPECT_THAT(verified.out, AllOf(HasSubstr("bn-00001"), HasSubstr("(simulated)")));
  const std::string key = SignerIn(verified.out);
  ASSERT_EQ(key.size(), 64u) << verified.out;
  EXPECT_EQ(Cli({"audit", "certificate", path, "--key", key}).exit, 0);
  const Outcome other = Cli({"audit", "certificate", path, "--key", std::string(64, 'a')});
  EXPECT_EQ(other.exit, 1);
  EXPECT_THAT(other.err, HasSubstr("not verified"));

  const std::string text = daemon_->ReadFile(path);
  const std::string changed = daemon_->dir() + "/changed.json";
  int checked = 0;
  for (std::size_t at = 0; at < text.size(); ++at) {
    if (std::isspace(static_cast<unsigned char>(text[at]))) continue;
    std::string damaged = text;
    damaged[at] ^= 1;
    EXPECT_FALSE(data::VerifyCertificate(damaged))
        << "byte " << at << ": " << damaged.substr(at, 40);
    if (at % 199 != 0) continue;
    daemon_->WriteFile(changed, damaged);
    EXPECT_EQ(Cli({"audit", "certificate", changed}).exit, 1) << "byte " << at;
    ++checked;
  }
  EXPECT_GE(checked, 5);
}

TEST_F(AfterABurst, NoPlaintextWasOnTheRentedDisk) {
  NeedDaemon();
  const auto report = daemon_->Get("/api/v1/report");
  ASSERT_TRUE(report) << report.error().message;
  EXPECT_EQ(IntOr(*report, "plaintextFoundOnRentedDisks", -1), 0);
  // 260 kB of input, looked at before the wipe and after it.
  EXPECT_GE(IntOr(*report, "scannedBytes", 0), 2 * 250'000);
  EXPECT_EQ(IntOr(*report, "leftovers", -1), 0);
}

TEST_F(AfterABurst, TheScannerFindsOneWindow) {
  const std::string disk = daemon_->dir() + "/disk";
  std::mt19937_64 random(11);
  const auto noise = [&](std::size_t size) {
    std::string bytes(size, '\0');
    for (char& byte : bytes) byte = static_cast<char>(random());
    return bytes;
  };
  daemon_->WriteFile(disk + "/a/clean", noise(300'000));
  const std::string cache = noise(3'000'000);
  const auto scan = [&] {
    return Cli({"audit", "scan", "--sample", daemon_->data(), "--disk", disk});
  };
  daemon_->WriteFile(disk + "/cache.extent", cache);
  const Outcome clean = scan();
  EXPECT_EQ(clean.exit, 0) << clean.err;
  EXPECT_THAT(clean.out, HasSubstr("0 found"));

  const std::string sample = daemon_->ReadFile(daemon_->data() + "/pictures/train/large.txt");
  const std::size_t at = 1'500'007;
  for (const std::size_t length : {31u, 32u}) {
    std::string planted = cache;
    planted.replace(at, length, sample, 100'003, length);
    // The neighbours must not make the window longer by chance.
    planted[at - 1] = planted[at + length] = '\xff';
    daemon_->WriteFile(disk + "/cache.extent", planted);
    const Outcome found = scan();
    EXPECT_EQ(found.exit, length == 32 ? 1 : 0) << found.out << found.err;
    if (length != 32) continue;
    EXPECT_THAT(found.err, AllOf(HasSubstr(fmt::format("{}/cache.extent at byte {}", disk, at)),
                                 HasSubstr("large.txt"), Not(HasSubstr("a/clean"))));
  }
}

TEST_F(AfterABurst, EveryQuestionIsAnswered) {
  NeedDaemon();
  const std::vector<std::vector<std::string>> questions = {
      {"get", "jobs", "-n", "vision"},
      {"get", "job/hash", "-n", "vision"},
      {"get", "jobs", "-n", "vision", "-o", "yaml"},
      {"get", "pods", "-A", "-o", "wide"},
      {"get", "bn"},
      {"get", "bn", "-o", "name"},
      {"describe", "job", "hash", "-n", "vision"},
      {"describe", "bn/bn-00001"},
      {"wait", "job/hash", "--for", "condition=Complete", "-n", "vision"},
      {"status"},
      {"offers"},
      {"offers", "--policy", "vision"},
      {"explain", "job/hash", "-n", "vision"},
      {"explain", "bn/bn-00001"},
      {"plan"},
      {"cost"},
      {"cost", "--by", "node"},
      {"version"},
      {"completion", "bash"},
      {"help-all"},
      {"apply", "--help"},
      {"audit", "verify"},
      {"audit", "certificate", "bn-00001"}};
  for (const auto& question : questions) {
    const Outcome outcome = Cli(question);
    EXPECT_EQ(outcome.exit, 0) << fmt::format("{}: {}", fmt::join(question, " "), outcome.err);
    EXPECT_NE(outcome.out, "") << fmt::format("{}", fmt::join(question, " "));
    EXPECT_THAT(outcome.out, Not(HasSubstr("\x1b"))) << "colour, and no terminal";
  }
  const Outcome logs = Cli({"logs", "job/hash", "-n", "vision"});
  EXPECT_EQ(logs.exit, 0) << logs.err;
  EXPECT_EQ(logs.out, "hashed\n");
}

TEST_F(AfterABurst, JsonParses) {
  NeedDaemon();
  const std::vector<std::vector<std::string>> questions = {{"get", "jobs", "-n", "vision"},
                                                           {"get", "job", "hash", "-n", "vision"},
                                                           {"get", "bn"},
                                                           {"status"},
                                                           {"offers"},
                                                           {"explain", "job/hash", "-n", "vision"},
                                                           {"plan"},
                                                           {"cost"},
                                                           {"version"}};
  for (auto question : questions) {
    question.insert(question.end(), {"-o", "json"});
    const Outcome outcome = Cli(question);
    EXPECT_EQ(outcome.exit, 0) << fmt::format("{}: {}", fmt::join(question, " "), outcome.err);
    const auto value = ParseJson(outcome.out);
    EXPECT_TRUE(value && value->is_object() && !value->get_object().empty())
        << fmt::format("{}: {}", fmt::join(question, " "), outcome.out);
  }
  // Whether everything works depends on the machine; that the exit status says so does not.
  const Outcome doctor = Cli({"doctor", "-o", "json"});
  const auto findings = ParseJson(doctor.out);
  ASSERT_TRUE(findings) << doctor.out << doctor.err;
  EXPECT_EQ(doctor.exit, BoolOr(*findings, "ok", false) ? 0 : 1);
  EXPECT_THAT(doctor.out, Not(HasSubstr("apply one"))) << "the examples are there";
  const Outcome for_people = Cli({"doctor"});
  EXPECT_EQ(for_people.exit, doctor.exit);
  EXPECT_NE(for_people.out, "");
}

TEST_F(AfterABurst, ExitStatusesTellWhatWentWrong) {
  NeedDaemon();
  const std::pair<int, std::vector<std::string>> cases[] = {
      {2, {"frobnicate"}},
      {2, {}},
      {2, {"get", "jobs", "--no-such-flag"}},
      {2, {"get", "unicorns"}},
      {2, {"get", "jobs", "-o", "xml"}},
      {2, {"completion", "tcsh"}},
      {2, {"wait", "hash", "--for", "delete"}},
      {2, {"apply", "-f", "/nonexistent.yaml"}},
      {1, {"get", "job", "nothere", "-n", "vision"}},
      {1, {"describe", "bn", "bn-99999"}},
      {1, {"logs", "nothere-0", "-n", "vision"}},
      {1, {"explain", "job/nothere", "-n", "vision"}},
      {1, {"delete", "job", "nothere", "-n", "vision"}},
      {1, {"audit", "certificate", "bn-99999"}},
      {1, {"wait", "job/hash", "--for", "condition=Failed", "--timeout", "10ms", "-n", "vision"}}};
  for (const auto& [exit, words] : cases) {
    const Outcome outcome = Cli(words);
    EXPECT_EQ(outcome.exit, exit) << fmt::format("{}", fmt::join(words, " "));
    EXPECT_EQ(outcome.out, "") << fmt::format("{}", fmt::join(words, " "));
    EXPECT_THAT(outcome.err, HasSubstr("error: ")) << fmt::format("{}", fmt::join(words, " "));
  }
  const Outcome nobody =
      RunProgram("spillway", {"--socket", daemon_->dir() + "/nobody.sock", "status"});
  EXPECT_EQ(nobody.exit, 1);
  EXPECT_THAT(nobody.err, HasSubstr("nobody.sock"));
}

TEST_F(AfterABurst, DryRunsChangeNothing) {
  NeedDaemon();
  std::string more = BurstManifests(false);
  more.replace(more.find("name: hash,"), 11, "name: more,");
  const std::string file = daemon_->dir() + "/more.yaml";
  daemon_->WriteFile(file, more);
  const std::string before = Objects();

  Outcome outcome = Cli({"delete", "job", "hash", "-n", "vision", "--dry-run"});
  EXPECT_EQ(outcome.exit, 0) << outcome.err;
  EXPECT_THAT(outcome.out, HasSubstr("(dry run)"));
  outcome = Cli({"delete", "-f", file, "--dry-run"});
  EXPECT_EQ(outcome.exit, 1) << "Job more is not there";
  outcome = Cli({"apply", "-f", file, "--dry-run"});
  EXPECT_EQ(outcome.exit, 0) << outcome.err;
  EXPECT_THAT(outcome.out, HasSubstr("job/more -n vision created (dry run)"));
  outcome = Cli({"plan", "--dry-run", "-f", file, "-o", "json"});
  ASSERT_EQ(outcome.exit, 0) << outcome.err;
  const json::value plan = ParseJson(outcome.out).value();
  const json::array* rentals = FindArray(plan, "rentals");
  ASSERT_NE(rentals, nullptr);
  EXPECT_EQ(rentals->size(), 1u) << "it would rent a machine";

  // A round of the planner that began after the dry runs rents nothing.
  const auto now = [](const char* path) {
    const auto answer = daemon_->Get(path);
    return answer ? std::string(StringOr(*answer, "now", "")) : std::string();
  };
  const std::string asked = now("/api/v1/version");
  ASSERT_NE(asked, "");
  ASSERT_TRUE(daemon_->WaitFor([&] { return now("/api/v1/plan") > asked; }, 20s))
      << "no round since " << asked;
  EXPECT_EQ(daemon_->Items("burstnodes").size(), 1u);
  EXPECT_EQ(Objects(), before);
}

}  // namespace
}  // namespace spillway::integration
