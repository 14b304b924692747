#include "gateway/key_store.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <functional>

#include "base/json.h"
#include "base/log.h"
#include "gateway/files.h"
#include "gateway/key_files.h"

namespace spillway::gateway {
namespace {

constexpr std::size_t kMaxFileBytes = 16 << 10;
constexpr std::size_t kMaxKept = 1024;
constexpr std::string_view kNoKeyId = "none";

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

// One form for both files of a run: what a wrapped key knows is a part of what its tombstone does.
json::object Encode(const std::string& run, const KeyFacts& facts) {
  return {{"run", run},
          {"keyId", facts.key_id},
          {"createdMs", TimeOrNull(facts.created)},
          {"destroyedMs", TimeOrNull(facts.destroyed)},
          {"service", facts.service},
          {"version", facts.version},
          {"serviceCreatedMs", TimeOrNull(facts.service_created)},
          {"serviceDestroyedMs", TimeOrNull(facts.service_destroyed)},
          {"statement", facts.statement}};
}

KeyFacts Decode(const json::value& value) {
  KeyFacts facts;
  facts.key_id = StringOr(value, "keyId", kNoKeyId);
  facts.created = ReadTime(value, "createdMs");
  facts.destroyed = ReadTime(value, "destroyedMs");
  facts.service = StringOr(value, "service", KeyFiles::kName);
  facts.version = IntOr(value, "version", 1);
  facts.service_created = ReadTime(value, "serviceCreatedMs");
  facts.service_destroyed = ReadTime(value, "serviceDestroyedMs");
  facts.statement = StringOr(value, "statement", "");
  return facts;
}

// nullopt when there is no such file; null when it is not JSON.
Result<std::optional<json::value>> ReadJsonFile(const std::string& path) {
  const auto text = ReadFile(path, kMaxFileBytes);
  if (!text && text.error().code == Code::kNotFound) return std::nullopt;
  if (!text) return Fail(text.error());
  auto parsed = ParseJson(*text);
  return parsed ? std::move(*parsed) : json::value(nullptr);
}

// Whatever a tombstone says, its being there ends the key.
Result<std::optional<KeyFacts>> ReadTombstone(const std::string& path) {
  SPW_ASSIGN(const std::optional<json::value> value, ReadJsonFile(path));
  if (!value) return std::nullopt;
  return Decode(*value);
}

struct WrappedKey {
  KeyFacts facts;
  std::string wrapped;
};

Result<std::optional<WrappedKey>> ReadWrapped(const std::string& path) {
  SPW_ASSIGN(const std::optional<json::value> value, ReadJsonFile(path));
  if (!value) return std::nullopt;
  if (Find(*value, "wrapped") == nullptr)
    return Fail(Code::kCorrupt, fmt::format("{}: is damaged; the run key is lost", path));
  WrappedKey key{Decode(*value), std::string(StringOr(*value, "wrapped", ""))};
  key.facts.usable = true;
  return key;
}

}  // namespace

Result<std::unique_ptr<KeyStore>> KeyStore::Open(std::string directory, ports::KeyService& service,
                                                 Time now) {
  SPW_TRY(MakeDirectory(directory));
  std::unique_ptr<KeyStore> store(new KeyStore(std::move(directory), service));
  SPW_TRY(store->TakeOver(now));
  SPW_TRY(store->FinishDestructions(now));
  return store;
}

// Key files of a version that wrote nothing beside them.
Status KeyStore::TakeOver(Time now) {
  SPW_ASSIGN(const std::vector<std::string> runs, ListFiles(directory_, ".key"));
  if (service_.Name() != KeyFiles::kName) return Ok();
  for (const std::string& run : runs)
    if (!IsGone(run)) SPW_TRY(Create(run, now));
  return Ok();
}

Status KeyStore::FinishDestructions(Time now) {
  SPW_ASSIGN(const std::vector<std::string> runs, ListFiles(directory_, ".gone"));
  for (const std::string& run : runs) {
    const Status done = Destroy(run, now);
    if (done) continue;
    // Whoever needs it asks again; a service that is down must not keep the site from starting.
    log::Warn("keys wait for their destruction", {{"run", run}, {"why", done.error().message}});
    return Ok();
  }
  return Ok();
}

std::shared_mutex& KeyStore::LockOf(const std::string& run) const {
  return locks_[std::hash<std::string>{}(run) % locks_.size()];
}

bool KeyStore::IsGone(const std::string& run) const {
  const auto tombstone = ReadTombstone(TombstonePath(run));
  return !tombstone || tombstone->has_value();  // when in doubt, yes
}

Status KeyStore::Create(const std::string& run, Time now) {
  SPW_TRY(CheckName(run));
  if (IsGone(run)) return Destroyed(run);
  SPW_ASSIGN(const std::optional<WrappedKey> existing, ReadWrapped(WrappedPath(run)));
  if (existing) return Ok();
  std::array<std::uint8_t, data::Secret::kSize> bytes;
  const data::CleanseGuard guard(bytes);
  SPW_ASSIGN(const ports::KeyRecord record, service_.Create(run, now, bytes));
  KeyFacts facts;
  facts.key_id = record.key_id;
  facts.service = service_.Name();
  facts.created = facts.service == KeyFiles::kName ? record.created : now;
  facts.version = record.version;
  facts.service_created = record.created;
  json::object text = Encode(run, facts);
  text["wrapped"] = record.wrapped;

  std::unique_lock lock(LockOf(run));
  if (IsGone(run)) {
    lock.unlock();
    // Its destroyer may have asked the service before this key was made.
    if (const auto ended = service_.Destroy(run, now); !ended)
      log::Warn("a key that nobody has used stays at the key service",
                {{"run", run}, {"why", ended.error().message}});
    return Destroyed(run);
  }
  SPW_ASSIGN(const std::optional<WrappedKey> other, ReadWrapped(WrappedPath(run)));
  if (other) return Ok();  // somebody made one meanwhile, and it may be in use
  SPW_TRY(WriteDurably(WrappedPath(run), AsBytes(PrettyJson(text))));
  SPW_ASSIGN(data::Secret key, data::Secret::FromBytes(bytes));
  Keep(run, std::make_shared<const data::Secret>(std::move(key)));
  return Ok();
}

void KeyStore::Keep(const std::string& run, std::shared_ptr<const data::Secret> key) {
  const std::lock_guard lock(kept_mutex_);
  if (kept_.size() < kMaxKept) kept_[run] = std::move(key);
}

Result<std::shared_ptr<const data::Secret>> KeyStore::Unwrapped(const std::string& run) {
  {
    const std::lock_guard lock(kept_mutex_);
    if (const auto it = kept_.find(run); it != kept_.end()) return it->second;
  }
  SPW_ASSIGN(const std::optional<WrappedKey> known, ReadWrapped(WrappedPath(run)));
  if (!known) return Fail(Code::kNotFound, fmt::format("run {} has no key", run));
  if (known->facts.service != service_.Name())
    return Fail(Code::kDenied,
                fmt::format("the key of run {} is kept by another key service, the {}; start with "
                            "that one until the run is over",
                            run, known->facts.service));
  std::array<std::uint8_t, data::Secret::kSize> bytes;
  const data::CleanseGuard guard(bytes);
  SPW_TRY(service_.Unwrap(run, known->wrapped, bytes));
  SPW_ASSIGN(data::Secret key, data::Secret::FromBytes(bytes));
  return std::make_shared<const data::Secret>(std::move(key));
}

Status KeyStore::Use(const std::string& run,
                     const std::function<Status(const data::Secret&)>& use) {
  SPW_TRY(CheckName(run));
  if (IsGone(run)) return Destroyed(run);
  SPW_ASSIGN(const std::shared_ptr<const data::Secret> key, Unwrapped(run));
  const std::shared_lock lock(LockOf(run));
  if (IsGone(run)) return Destroyed(run);
  Keep(run, key);
  return use(*key);
}

Status KeyStore::Destroy(const std::string& run, Time now) {
  SPW_TRY(CheckName(run));
  KeyFacts tombstone;
  {
    const std::unique_lock lock(LockOf(run));
    SPW_ASSIGN(std::optional<KeyFacts> existing, ReadTombstone(TombstonePath(run)));
    if (existing && existing->destroyed) return Ok();
    if (!existing) {
      const auto key = ReadWrapped(WrappedPath(run));
      existing = key && *key ? (*key)->facts : KeyFacts{.key_id = std::string(kNoKeyId)};
      if (existing->service.empty()) existing->service = service_.Name();
      SPW_TRY(WriteDurably(TombstonePath(run), AsBytes(PrettyJson(Encode(run, *existing)))));
    }
    tombstone = std::move(*existing);
    const std::lock_guard kept(kept_mutex_);
    kept_.erase(run);
  }
  if (tombstone.service != service_.Name())
    return Fail(Code::kDenied,
                fmt::format("the key of run {} is to be destroyed by another key service, the {}; "
                            "start with that one until it is done",
                            run, tombstone.service));
  SPW_ASSIGN(const ports::KeyEnd end, service_.Destroy(run, now));

  const std::unique_lock lock(LockOf(run));
  SPW_ASSIGN(const std::optional<KeyFacts> other, ReadTombstone(TombstonePath(run)));
  if (other && other->destroyed) return Ok();  // by somebody else meanwhile: the first time stays
  SPW_TRY(Remove(WrappedPath(run)));
  SPW_TRY(SyncDirectory(directory_));
  // A clock that was set back meanwhile must not make a key that ended before it began.
  tombstone.destroyed = tombstone.created ? std::max(*tombstone.created, now) : now;
  tombstone.service_destroyed = end.destroyed;
  tombstone.statement = end.statement;
  return WriteDurably(TombstonePath(run), AsBytes(PrettyJson(Encode(run, tombstone))));
}

Result<std::optional<KeyFacts>> KeyStore::Look(const std::string& run) const {
  SPW_TRY(CheckName(run));
  // The tombstone is there before the wrapped key goes, so one of them is found.
  for (int attempt = 0; attempt < 2; ++attempt) {
    SPW_ASSIGN(std::optional<KeyFacts> tombstone, ReadTombstone(TombstonePath(run)));
    if (tombstone) return tombstone;
    SPW_ASSIGN(std::optional<WrappedKey> key, ReadWrapped(WrappedPath(run)));
    if (key) return std::move(key->facts);
  }
  return std::nullopt;
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
