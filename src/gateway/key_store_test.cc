#include "gateway/key_store.h"

#include <sys/stat.h>

#include "gateway/files.h"
#include "gateway/gateway_test_util.h"
#include "gateway/key_files.h"

namespace spillway::gateway {
namespace {

const Time kNow{Duration(1'800'000'000'000)};

// A store over key files, as a site without a key service has it.
struct FileStore {
  std::unique_ptr<KeyFiles> files;
  std::unique_ptr<KeyStore> store;

  KeyStore* operator->() const { return store.get(); }
  KeyStore& operator*() const { return *store; }
};

FileStore OpenIn(const TempDir& dir) {
  FileStore opened;
  opened.files = std::move(*KeyFiles::Open(dir / "keys"));
  auto store = KeyStore::Open(dir / "keys", *opened.files, kNow);
  EXPECT_TRUE(store) << store.error().message;
  opened.store = std::move(*store);
  return opened;
}

std::string KeyHex(KeyStore& store, const std::string& run) {
  std::string hex;
  const Status used = store.Use(run, [&](const data::Secret& key) {
    hex = Hex(key.bytes());
    return Ok();
  });
  return used ? hex : std::string(CodeName(used.error().code));
}

TEST(KeyStore, AKeyIsMadeOnceAndSurvives) {
  TempDir dir;
  auto store = OpenIn(dir);
  EXPECT_EQ(KeyHex(*store, "bn-1"), "not-found");
  ASSERT_TRUE(store->Create("bn-1", kNow));
  const std::string key = KeyHex(*store, "bn-1");
  EXPECT_EQ(key.size(), 64u);
  ASSERT_TRUE(store->Create("bn-1", kNow + 1h));
  EXPECT_EQ(KeyHex(*store, "bn-1"), key);
  store = OpenIn(dir);
  EXPECT_EQ(KeyHex(*store, "bn-1"), key);
  const auto facts = store->Look("bn-1");
  ASSERT_TRUE(facts && *facts);
  EXPECT_TRUE((*facts)->usable);
  EXPECT_EQ((*facts)->created, kNow);
  EXPECT_EQ((*facts)->key_id.size(), 32u);
  EXPECT_EQ(key.find((*facts)->key_id), std::string::npos);
  struct stat info{};
  ASSERT_EQ(stat((dir / "keys/bn-1.key").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777u, 0600u);
  ASSERT_TRUE(store->Create("bn-2", kNow));
  EXPECT_NE(KeyHex(*store, "bn-2"), key);
}

TEST(KeyStore, DestroyedIsForEver) {
  TempDir dir;
  auto store = OpenIn(dir);
  ASSERT_TRUE(store->Create("bn-1", kNow));
  const std::string id = (*store->Look("bn-1"))->key_id;
  ASSERT_TRUE(store->Destroy("bn-1", kNow + 1h));
  ASSERT_TRUE(store->Destroy("bn-1", kNow + 2h)) << "idempotent";
  for (int i = 0; i < 2; ++i) {
    EXPECT_EQ(KeyHex(*store, "bn-1"), "conflict");
    const Status again = store->Create("bn-1", kNow + 3h);
    ASSERT_FALSE(again);
    EXPECT_EQ(again.error().code, Code::kConflict);
    const auto facts = *store->Look("bn-1");
    EXPECT_EQ(facts->destroyed, kNow + 1h);
    EXPECT_EQ(facts->created, kNow);
    EXPECT_EQ(facts->key_id, id);
    EXPECT_FALSE(std::filesystem::exists(dir / "keys/bn-1.key"));
    store = OpenIn(dir);
  }
}

TEST(KeyStore, DestroyedBeforeItWasMade) {
  TempDir dir;
  auto store = OpenIn(dir);
  ASSERT_TRUE(store->Destroy("bn-1", kNow));
  EXPECT_FALSE(store->Create("bn-1", kNow));
  EXPECT_EQ((*store->Look("bn-1"))->created, std::nullopt);
  EXPECT_EQ((*store->Look("bn-1"))->destroyed, kNow);
}

TEST(KeyStore, ACrashWhileDestroyingIsFinishedByTheNextStart) {
  TempDir dir;
  auto store = OpenIn(dir);
  ASSERT_TRUE(store->Create("bn-1", kNow));
  // As it is after the tombstone and before the shredding.
  WriteText(dir / "keys/bn-1.gone",
            R"({"run":"bn-1","keyId":"abc","createdMs":1,"destroyedMs":null})");
  EXPECT_EQ(KeyHex(*store, "bn-1"), "conflict") << "the tombstone alone ends every use";
  EXPECT_EQ((*store->Look("bn-1"))->destroyed, std::nullopt) << "but it is not destroyed yet";
  store = OpenIn(dir);
  EXPECT_FALSE(std::filesystem::exists(dir / "keys/bn-1.key"));
  EXPECT_EQ((*store->Look("bn-1"))->destroyed, kNow);
  EXPECT_EQ((*store->Look("bn-1"))->key_id, "abc");
}

TEST(KeyStore, KeyFilesOfAnEarlierVersionAreTakenOver) {
  TempDir dir;
  std::array<std::uint8_t, 32> key{};
  {
    const auto files = std::move(*KeyFiles::Open(dir / "keys"));
    for (const char* run : {"bn-1", "bn-2"}) ASSERT_TRUE(files->Create(run, kNow - 5h, key));
    // Destroyed, as an earlier version wrote it, but for the end.
    WriteText(dir / "keys/bn-1.gone",
              R"({"run":"bn-1","keyId":"abc","createdMs":1,"destroyedMs":null})");
  }
  const auto store = OpenIn(dir);
  EXPECT_EQ(KeyHex(*store, "bn-2"), Hex(key));
  EXPECT_EQ((*store->Look("bn-2"))->created, kNow - 5h);
  EXPECT_EQ(KeyHex(*store, "bn-1"), "conflict");
  EXPECT_EQ((*store->Look("bn-1"))->destroyed, kNow);
  EXPECT_FALSE(std::filesystem::exists(dir / "keys/bn-1.key"));
}

TEST(KeyStore, AKeyBelongsToTheServiceThatMadeIt) {
  TempDir dir;
  {
    const auto store = OpenIn(dir);
    for (const char* run : {"bn-1", "bn-2"}) ASSERT_TRUE(store->Create(run, kNow));
  }
  class Other final : public ports::KeyService {
   public:
    std::string Name() const override { return "another service"; }
    Status Check() override { return Ok(); }
    Result<ports::KeyRecord> Create(const std::string&, Time, ports::KeyBytes) override {
      return Fail(Code::kInternal, "asked");
    }
    Status Unwrap(const std::string&, const std::string&, ports::KeyBytes) override {
      return Fail(Code::kInternal, "asked");
    }
    Result<ports::KeyEnd> Destroy(const std::string&, Time now) override {
      return ports::KeyEnd{now, "I have no such key, so it is gone"};
    }
  } other;
  {
    const auto store = std::move(*KeyStore::Open(dir / "keys", other, kNow));
    EXPECT_EQ(KeyHex(*store, "bn-1"), "denied");
    EXPECT_EQ(store->Destroy("bn-1", kNow).error().code, Code::kDenied);
    EXPECT_EQ((*store->Look("bn-1"))->destroyed, std::nullopt) << "it cannot know";
  }
  const auto store = OpenIn(dir);
  EXPECT_EQ((*store->Look("bn-1"))->destroyed, kNow) << "by the one that can";
  EXPECT_EQ(KeyHex(*store, "bn-2").size(), 64u);
}

TEST(KeyStore, NamesThatAreNoNamesAreRefused) {
  TempDir dir;
  auto store = OpenIn(dir);
  for (const char* name : {"", "../x", "a/b", "A", "a.b"}) {
    EXPECT_FALSE(store->Create(name, kNow)) << name;
    EXPECT_FALSE(store->Destroy(name, kNow)) << name;
  }
}

TEST(KeyStore, ADamagedKeyIsNamed) {
  TempDir dir;
  auto store = OpenIn(dir);
  WriteText(dir / "keys/bn-1.key", "short");
  const Status made = store->Create("bn-1", kNow);
  ASSERT_FALSE(made);
  EXPECT_EQ(made.error().code, Code::kCorrupt);
}

TEST(SigningKey, IsMadeOnce) {
  TempDir dir;
  const auto first = OpenSigningKey(dir.path());
  ASSERT_TRUE(first);
  const auto second = OpenSigningKey(dir.path());
  ASSERT_TRUE(second);
  EXPECT_EQ(first->public_key(), second->public_key());
  EXPECT_EQ(ReadText(dir / "site.pub"), first->public_key().Hex() + "\n");
  WriteText(dir / "site.key", "damaged");
  EXPECT_FALSE(OpenSigningKey(dir.path())) << "never replaced silently";
}

TEST(Files, AFullDiskIsUnavailable) {
  EXPECT_EQ(FileError("write", "/x", ENOSPC).code, Code::kUnavailable);
  EXPECT_EQ(FileError("write", "/x", EDQUOT).code, Code::kUnavailable);
  EXPECT_EQ(FileError("write", "/x", EIO).code, Code::kInternal);
}

}  // namespace
}  // namespace spillway::gateway
