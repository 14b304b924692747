#include "store/store.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "base/encoding.h"

namespace spillway::store {
namespace {

using ::testing::HasSubstr;

class StoreTest : public ::testing::Test {
 protected:
  StoreTest() : clock_(*ParseTime("2026-11-24T08:00:00Z")) {
    char dir[] = "/tmp/spillway-store-XXXXXX";
    dir_ = mkdtemp(dir);
  }
  ~StoreTest() override { std::filesystem::remove_all(dir_); }

  // A stand-in for Ed25519 with the same shape: only who knows the key can make it.
  static std::string Sign(std::string_view message) {
    return Sha256Hex("key" + std::string(message));
  }
  static bool Verify(std::string_view message, std::string_view signature, std::string_view) {
    return Sign(message) == signature;
  }

  std::unique_ptr<Store> Open() {
    auto store = Store::Open(
        {.path = dir_ + "/state.db", .clock = &clock_, .sign = Sign, .public_key = "pk"});
    EXPECT_TRUE(store) << store.error().message;
    return std::move(*store);
  }
  AuditReport Audit(const std::string& file) {
    return *VerifyLedger(dir_ + "/" + file, Verify, std::nullopt);
  }

  LedgerEntry Entry(const std::string& node, const std::string& step) {
    return {.node = node,
            .step = step,
            .at = clock_.Now(),
            .ns = "vision",
            .spent = Money::Micro(5),
            .text = "t"};
  }
  void Fill(Store& store) {
    std::vector<BurstNode> none;
    ASSERT_TRUE(store.Commit(none, {Entry("bn-1", "Planned"), Entry("bn-1", "Requested"),
                                    Entry("bn-2", "Planned"), Entry("bn-2", "Gone")}));
  }

  ManualClock clock_;
  std::string dir_;
};

TEST_F(StoreTest, ObjectsSurviveReopeningWithVersionsAndUids) {
  std::string uid;
  {
    auto store = Open();
    auto written = store->Apply({{{"Job", "vision", "a"}, json::object{{"kind", "Job"}}, 0}});
    ASSERT_TRUE(written);
    uid = (*written)[0]->uid;
    EXPECT_EQ((*written)[0]->resource_version, 1);
  }
  auto store = Open();
  const ObjectPtr job = store->Get({"Job", "vision", "a"});
  ASSERT_NE(job, nullptr);
  EXPECT_EQ(job->uid, uid);
  EXPECT_EQ(StringOr(job->body.at("metadata"), "creationTimestamp", ""), "2026-11-24T08:00:00Z");
  EXPECT_EQ(store->Revision(), 1);
}

TEST_F(StoreTest, ApplyIsAllOrNothing) {
  auto store = Open();
  ASSERT_TRUE(store->Apply({{{"Job", "v", "a"}, json::object{}, 0}}));
  const auto result = store->Apply(
      {{{"Job", "v", "b"}, json::object{}, 0}, {{"Job", "v", "a"}, json::object{}, 0}});
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, Code::kConflict);
  EXPECT_EQ(store->Get({"Job", "v", "b"}), nullptr);
  EXPECT_EQ(store->Revision(), 1);
}

TEST_F(StoreTest, WhoIsToldOfChangesHearsOnlyOfWhatIsOrWasThere) {
  auto store = Open();
  std::vector<std::string> told;
  store->OnChange([&](const std::vector<ObjectPtr>& changed, bool removed) {
    for (const ObjectPtr& object : changed)
      told.push_back((removed ? "-" : "+") + (object == nullptr ? "nothing" : object->key.name));
  });
  const auto remove = [](const char* name) {
    Write write{{"Node", "", name}, {}, std::nullopt};
    write.remove = true;
    return write;
  };
  ASSERT_TRUE(store->Apply({{{"Node", "", "a"}, json::object{}, 0}}));
  ASSERT_TRUE(store->Apply({remove("a")}));
  const auto again = store->Apply({remove("a")});
  ASSERT_TRUE(again);
  EXPECT_EQ((*again)[0], nullptr);
  ASSERT_TRUE(store->Apply({remove("a"), {{"Node", "", "b"}, json::object{}, 0}}));
  EXPECT_EQ(told, (std::vector<std::string>{"+a", "-a", "+b"}));
}

TEST_F(StoreTest, UpdateRetriesOnConflictAndListsByNamespace) {
  auto store = Open();
  ASSERT_TRUE(store->Apply(
      {{{"Pod", "a", "1"}, json::object{}, 0}, {{"Pod", "b", "1"}, json::object{}, 0}}));
  bool first = true;
  ASSERT_TRUE(store->Update({"Pod", "a", "1"}, [&](json::value& body) {
    if (std::exchange(first, false)) {
      EXPECT_TRUE(store->Apply({{{"Pod", "a", "1"}, json::object{{"other", 1}}, std::nullopt}}));
    }
    body.get_object()["mine"] = 2;
    return true;
  }));
  EXPECT_EQ(IntOr(store->Get({"Pod", "a", "1"})->body, "other", 0), 1);
  EXPECT_EQ(store->List("Pod", "a").size(), 1u);
  EXPECT_EQ(store->List("Pod").size(), 2u);
}

TEST_F(StoreTest, BurstNodeAndLedgerAreOneTransaction) {
  auto store = Open();
  BurstNode node;
  node.name = "bn-00001";
  node.serial = 1;
  std::vector<BurstNode> nodes = {node};
  ASSERT_TRUE(store->Commit(nodes, {Entry("bn-00001", "Planned")}));
  // The same node with a stale version: neither node nor entry may be written.
  std::vector<BurstNode> stale = {node};
  ASSERT_FALSE(store->Commit(stale, {Entry("bn-00001", "Requested")}));
  EXPECT_EQ(store->Ledger()->size(), 1u);
  // Replaying the same step writes nothing twice.
  ASSERT_TRUE(store->Commit(nodes, {Entry("bn-00001", "Planned")}));
  EXPECT_EQ(store->Ledger()->size(), 1u);
  EXPECT_EQ(*store->LastSerial(), 1);
  EXPECT_EQ(store->Nodes(Time{})->at(0).name, "bn-00001");
}

TEST_F(StoreTest, AuditAcceptsTheFileAndItsExport) {
  auto store = Open();
  Fill(*store);
  std::ofstream(dir_ + "/export") << *store->LedgerExport();
  EXPECT_TRUE(Audit("state.db").ok) << Audit("state.db").problem;
  EXPECT_TRUE(Audit("export").ok) << Audit("export").problem;
  EXPECT_EQ(Audit("export").records, 4);
}

TEST_F(StoreTest, EveryFlippedByteOfAnExportIsFound) {
  auto store = Open();
  Fill(*store);
  const std::string text = *store->LedgerExport();
  for (std::size_t i = 0; i < text.size(); ++i) {
    std::string damaged = text;
    damaged[i] = static_cast<char>(damaged[i] ^ 1);
    EXPECT_FALSE(VerifyExport(damaged, Verify, std::nullopt).ok) << "byte " << i;
  }
}

TEST_F(StoreTest, RemovedReorderedAndCutRecordsAreNamed) {
  auto store = Open();
  Fill(*store);
  std::vector<std::string> lines;
  std::string text = *store->LedgerExport();
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = text.find('\n', at);
    lines.push_back(text.substr(at, end - at + 1));
    at = end + 1;
  }
  auto check = [&](std::vector<std::string> changed) {
    std::ofstream out(dir_ + "/export", std::ios::trunc);
    for (const auto& line : changed) out << line;
    out.close();
    const AuditReport report = Audit("export");
    EXPECT_FALSE(report.ok);
    return report.problem;
  };
  EXPECT_THAT(check({lines[0], lines[2], lines[3], lines[4]}), HasSubstr("record 2 is missing"));
  EXPECT_THAT(check({lines[0], lines[2], lines[1], lines[3], lines[4]}),
              HasSubstr("record 2 is missing"));
  EXPECT_THAT(check({lines[0], lines[1], lines[2], lines[4]}), HasSubstr("record 4 is missing"));
  EXPECT_THAT(check({lines[0], lines[1], lines[2], lines[3]}), HasSubstr("head"));
}

TEST_F(StoreTest, ChangedRowsInTheDatabaseAreNamed) {
  for (const char* sql : {"UPDATE ledger SET body=replace(body, '\"spentMicroEuro\":5', "
                          "'\"spentMicroEuro\":4') WHERE seq=2",
                          "DELETE FROM ledger WHERE seq=2", "DELETE FROM ledger WHERE seq=4",
                          "UPDATE ledger SET seq=9 WHERE seq=2"}) {
    std::filesystem::remove(dir_ + "/state.db");
    {
      auto store = Open();
      Fill(*store);
    }
    auto db = Database::Open(dir_ + "/state.db");
    ASSERT_TRUE(db);
    EXPECT_FALSE(db->Execute(sql)) << "the ledger is append-only";
    ASSERT_TRUE(db->Execute("DROP TRIGGER ledger_no_update; DROP TRIGGER ledger_no_delete;"));
    ASSERT_TRUE(db->Execute(sql));
    const AuditReport report = Audit("state.db");
    EXPECT_FALSE(report.ok) << sql;
    EXPECT_THAT(report.problem, HasSubstr("record ")) << sql;
  }
}

TEST_F(StoreTest, RepeatedEventsAreCounted) {
  auto store = Open();
  for (int i = 0; i < 3; ++i) store->AddEvent({"Pod", "v", "p"}, false, "Waiting", "no room");
  ASSERT_EQ(store->Events({"Pod", "v", "p"}).size(), 1u);
  EXPECT_EQ(store->Events({"Pod", "v", "p"})[0].count, 3);
}

}  // namespace
}  // namespace spillway::store
