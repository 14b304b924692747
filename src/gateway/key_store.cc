#include "gateway/key_store.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <functional>
#include <mutex>

#include "base/json.h"
#include "data/bytes.h"
#include "gateway/files.h"
#include "net/socket.h"

namespace spillway::gateway {
namespace {

constexpr std::size_t kTimeBytes = 8;
constexpr std::size_t kKeyFileBytes = kTimeBytes + data::Secret::kSize;
constexpr std::size_t kMaxTombstoneBytes = 4096;
constexpr std::string_view kNoKeyId = "none";

struct KeyFile {
  Time created;
  data::Secret key;
};

Result<KeyFile> ReadKeyFile(const std::string& path) {
  SPW_ASSIGN(std::string bytes, ReadFile(path, kKeyFileBytes));
  const data::CleanseGuard guard({reinterpret_cast<std::uint8_t*>(bytes.data()), bytes.size()});
  if (bytes.size() != kKeyFileBytes)
    return Fail(Code::kCorrupt, fmt::format("{}: {} bytes instead of {}; the run key is lost", path,
                                            bytes.size(), kKeyFileBytes));
  const ByteView view = AsBytes(bytes);
  const Time created{Duration(
      static_cast<std::int64_t>(data::ReadBigEndian<std::uint64_t>(view.first(kTimeBytes))))};
  SPW_ASSIGN(data::Secret key, data::Secret::FromBytes(view.subspan(kTimeBytes)));
  return KeyFile{created, std::move(key)};
}

std::string KeyId(const data::Secret& key) {
  std::array<std::uint8_t, 16> id;
  data::HkdfExpand(key, AsBytes("spillway key id"), id);
  return Hex(id);
}

tl::unexpected<Error> Destroyed(const std::string& run) {
  return Fail(Code::kConflict, fmt::format("the key of run {} is destroyed", run));
}

json::value TimeOrNull(const std::optional<Time>& time) {
  if (!time) return nullptr;
  return time->time_since_epoch().count();
}

std::optional<Time> ReadTime(const json::value& value, std::string_view key) {
  const json::value* found = Find(value, key);
  if (found == nullptr || !found->is_int64()) return std::nullopt;
  return Time{Duration(found->get_int64())};
}

}  // namespace

struct KeyStore::Tombstone {
  std::string key_id;
  std::optional<Time> created, destroyed;
};

Result<std::unique_ptr<KeyStore>> KeyStore::Open(std::string directory, Time now) {
  SPW_TRY(MakeDirectory(directory));
  std::unique_ptr<KeyStore> store(new KeyStore(std::move(directory)));
  SPW_ASSIGN(const std::vector<std::string> gone, ListFiles(store->directory_, ".gone"));
  for (const std::string& run : gone) SPW_TRY(store->Destroy(run, now));
  return store;
}

std::shared_mutex& KeyStore::LockOf(const std::string& run) const {
  return locks_[std::hash<std::string>{}(run) % locks_.size()];
}

Result<std::optional<KeyStore::Tombstone>> KeyStore::ReadTombstone(const std::string& run) const {
  const std::string path = TombstonePath(run);
  const auto text = ReadFile(path, kMaxTombstoneBytes);
  if (!text && text.error().code == Code::kNotFound) return std::nullopt;
  if (!text) return Fail(text.error());
  const auto parsed = ParseJson(*text);
  // Whatever it says, its being there ends the key.
  if (!parsed) return Tombstone{std::string(kNoKeyId), {}, {}};
  return Tombstone{std::string(StringOr(*parsed, "keyId", kNoKeyId)),
                   ReadTime(*parsed, "createdMs"), ReadTime(*parsed, "destroyedMs")};
}

Status KeyStore::WriteTombstone(const std::string& run, const Tombstone& tombstone) {
  const std::string text =
      PrettyJson(json::object{{"run", run},
                              {"keyId", tombstone.key_id},
                              {"createdMs", TimeOrNull(tombstone.created)},
                              {"destroyedMs", TimeOrNull(tombstone.destroyed)}});
  return WriteDurably(TombstonePath(run), AsBytes(text));
}

Status KeyStore::Create(const std::string& run, Time now) {
  SPW_TRY(CheckName(run));
  const std::unique_lock lock(LockOf(run));
  SPW_ASSIGN(const std::optional<Tombstone> tombstone, ReadTombstone(run));
  if (tombstone) return Destroyed(run);
  const auto existing = ReadKeyFile(KeyPath(run));
  if (existing) return Ok();
  if (existing.error().code != Code::kNotFound) return Fail(existing.error());
  SPW_ASSIGN(const data::Secret key, data::Secret::Generate());
  ByteBuffer bytes;
  bytes.reserve(kKeyFileBytes);
  const data::CleanseGuard guard({bytes.data(), kKeyFileBytes});
  data::AppendBigEndian(bytes, static_cast<std::uint64_t>(now.time_since_epoch().count()));
  data::AppendBytes(bytes, key.bytes());
  return WriteDurably(KeyPath(run), bytes);
}

Status KeyStore::Use(const std::string& run,
                     const std::function<Status(const data::Secret&)>& use) {
  SPW_TRY(CheckName(run));
  const std::shared_lock lock(LockOf(run));
  SPW_ASSIGN(const std::optional<Tombstone> tombstone, ReadTombstone(run));
  if (tombstone) return Destroyed(run);
  SPW_ASSIGN(const KeyFile file, ReadKeyFile(KeyPath(run)));
  return use(file.key);
}

Status KeyStore::Destroy(const std::string& run, Time now) {
  SPW_TRY(CheckName(run));
  const std::unique_lock lock(LockOf(run));
  SPW_ASSIGN(std::optional<Tombstone> tombstone, ReadTombstone(run));
  if (tombstone && tombstone->destroyed) return Ok();
  if (!tombstone) {
    tombstone = Tombstone{std::string(kNoKeyId), {}, {}};
    if (const auto file = ReadKeyFile(KeyPath(run))) {
      tombstone->key_id = KeyId(file->key);
      tombstone->created = file->created;
    }
    SPW_TRY(WriteTombstone(run, *tombstone));
  }
  SPW_TRY(Shred(run));
  // A clock that was set back meanwhile must not make a key that ended before it began.
  tombstone->destroyed = tombstone->created ? std::max(*tombstone->created, now) : now;
  return WriteTombstone(run, *tombstone);
}

Status KeyStore::Shred(const std::string& run) {
  for (const std::string& path : {KeyPath(run), KeyPath(run) + ".tmp"}) {
    const net::Fd fd(open(path.c_str(), O_WRONLY | O_CLOEXEC | O_NOFOLLOW));
    if (!fd.valid() && errno == ENOENT) continue;
    if (!fd.valid()) return Fail(FileError("open", path, errno));
    SPW_TRY(WriteAt(fd.get(), path, 0, RandomBytes(kKeyFileBytes)));
    if (fsync(fd.get()) != 0) return Fail(FileError("fsync", path, errno));
    SPW_TRY(Remove(path));
  }
  return SyncDirectory(directory_);
}

Result<std::optional<KeyFacts>> KeyStore::Look(const std::string& run) const {
  SPW_TRY(CheckName(run));
  const std::shared_lock lock(LockOf(run));
  SPW_ASSIGN(const std::optional<Tombstone> tombstone, ReadTombstone(run));
  if (tombstone)
    return KeyFacts{tombstone->key_id, tombstone->created, tombstone->destroyed, false};
  const auto file = ReadKeyFile(KeyPath(run));
  if (file) return KeyFacts{KeyId(file->key), file->created, {}, true};
  if (file.error().code == Code::kNotFound) return std::nullopt;
  return Fail(file.error());
}

Result<data::SigningKey> OpenSigningKey(const std::string& directory) {
  SPW_TRY(MakeDirectory(directory));
  const std::string path = directory + "/site.key";
  auto bytes = ReadFile(path, data::Secret::kSize);
  if (!bytes && bytes.error().code == Code::kNotFound) {
    SPW_ASSIGN(const data::Secret seed, data::Secret::Generate());
    SPW_TRY(WriteDurably(path, seed.bytes()));
    bytes = std::string(AsText(seed.bytes()));
  }
  if (!bytes) return Fail(bytes.error());
  const data::CleanseGuard guard({reinterpret_cast<std::uint8_t*>(bytes->data()), bytes->size()});
  const auto seed = data::Secret::FromBytes(AsBytes(*bytes));
  if (!seed)
    return Fail(Code::kCorrupt,
                fmt::format("{}: is not a signing key; restore it from a backup, or remove it to "
                            "sign with a new key, which nobody trusts yet",
                            path));
  data::SigningKey key = data::SigningKey::FromSeed(*seed);
  SPW_TRY(WriteDurably(directory + "/site.pub", AsBytes(key.public_key().Hex() + "\n")));
  return key;
}

}  // namespace spillway::gateway
