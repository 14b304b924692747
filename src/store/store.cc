#include "store/store.h"

#include <fmt/format.h>
#include <openssl/rand.h>

#include <algorithm>
#include <array>
#include <set>

#include "base/encoding.h"
#include "model/decode.h"

namespace spillway::store {
namespace {

std::string NewUid() {
  std::array<std::uint8_t, 16> bytes{};
  SPW_CHECK(RAND_bytes(bytes.data(), bytes.size()) == 1, "the system has no randomness");
  bytes[6] = static_cast<std::uint8_t>((bytes[6] & 0x0f) | 0x40);  // RFC 9562, version 4
  bytes[8] = static_cast<std::uint8_t>((bytes[8] & 0x3f) | 0x80);
  const std::string hex = Hex(bytes);
  return fmt::format("{}-{}-{}-{}-{}", hex.substr(0, 8), hex.substr(8, 4), hex.substr(12, 4),
                     hex.substr(16, 4), hex.substr(20));
}

std::string Text(const ObjectKey& key) {
  return key.ns.empty() ? fmt::format("{} \"{}\"", key.kind, key.name)
                        : fmt::format("{} \"{}/{}\"", key.kind, key.ns, key.name);
}

ObjectKey BurstNodeKey(const std::string& name) {
  return {"BurstNode", "", name};
}

}  // namespace

Store::Store(StoreOptions options, Database db)
    : options_(std::move(options)), db_(std::move(db)) {}

Result<std::unique_ptr<Store>> Store::Open(StoreOptions options) {
  SPW_CHECK(options.clock != nullptr && options.sign, "a store needs a clock and a signer");
  SPW_ASSIGN(Database db, Database::Open(options.path));
  std::unique_ptr<Store> store(new Store(std::move(options), std::move(db)));
  SPW_TRY(store->Migrate());
  SPW_TRY(store->Load());
  return store;
}

Status Store::Migrate() {
  SPW_TRY(db_.Execute(
      "CREATE TABLE IF NOT EXISTS objects(kind TEXT NOT NULL, ns TEXT NOT NULL, name TEXT NOT "
      "NULL, uid TEXT NOT NULL,"
      " version INTEGER NOT NULL, body TEXT NOT NULL, PRIMARY KEY(kind, ns, name)) STRICT;"
      "CREATE TABLE IF NOT EXISTS meta(key TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT;"
      "CREATE TABLE IF NOT EXISTS events(id INTEGER PRIMARY KEY, first INTEGER NOT NULL, last "
      "INTEGER NOT NULL,"
      " kind TEXT NOT NULL, ns TEXT NOT NULL, name TEXT NOT NULL, warning INTEGER NOT NULL, reason "
      "TEXT NOT NULL,"
      " message TEXT NOT NULL, count INTEGER NOT NULL, UNIQUE(kind, ns, name, reason, message)) "
      "STRICT;"));
  return CreateLedgerTables(db_);
}

Status Store::Load() {
  SPW_ASSIGN(Statement revision, db_.Prepare("SELECT value FROM meta WHERE key='revision'"));
  SPW_ASSIGN(const bool has_revision, revision.Step());
  revision_ = has_revision ? revision.Int(0) : 0;
  SPW_ASSIGN(Statement rows, db_.Prepare("SELECT kind, ns, name, uid, version, body FROM objects"));
  while (true) {
    SPW_ASSIGN(const bool row, rows.Step());
    if (!row) break;
    auto object = std::make_shared<StoredObject>();
    object->key = {rows.Text(0), rows.Text(1), rows.Text(2)};
    object->uid = rows.Text(3);
    object->resource_version = rows.Int(4);
    SPW_ASSIGN(object->body, ParseJson(rows.Text(5)));
    const ObjectKey key = object->key;
    objects_[key] = std::move(object);
  }
  SPW_ASSIGN(Statement events, db_.Prepare("SELECT first, last, kind, ns, name, warning, reason, "
                                           "message, count FROM events ORDER BY last"));
  while (true) {
    SPW_ASSIGN(const bool row, events.Step());
    if (!row) break;
    events_.push_back({Time{Duration{events.Int(0)}},
                       Time{Duration{events.Int(1)}},
                       {events.Text(2), events.Text(3), events.Text(4)},
                       events.Int(5) != 0,
                       events.Text(6),
                       events.Text(7),
                       events.Int(8)});
  }
  return Ok();
}

Result<std::unique_ptr<Store>> Store::Copy() const {
  StoreOptions options = options_;
  options.path = ":memory:";
  SPW_ASSIGN(std::unique_ptr<Store> copy, Open(std::move(options)));
  const std::lock_guard lock(mutex_);
  for (const auto& [key, object] : objects_)
    SPW_TRY(
        copy->db_.Run("INSERT INTO objects(kind, ns, name, uid, version, body) VALUES(?,?,?,?,?,?)",
                      std::string_view(key.kind), std::string_view(key.ns),
                      std::string_view(key.name), std::string_view(object->uid),
                      object->resource_version, std::string_view(json::serialize(object->body))));
  copy->objects_ = objects_;
  copy->revision_ = revision_;
  copy->events_ = events_;
  return copy;
}

std::vector<ObjectPtr> Store::List(const std::string& kind, const std::string& ns) const {
  const std::lock_guard lock(mutex_);
  std::vector<ObjectPtr> found;
  for (auto it = objects_.lower_bound({kind, ns, ""});
       it != objects_.end() && it->first.kind == kind; ++it) {
    if (!ns.empty() && it->first.ns != ns) break;
    found.push_back(it->second);
  }
  return found;
}

ObjectPtr Store::Get(const ObjectKey& key) const {
  const std::lock_guard lock(mutex_);
  const auto it = objects_.find(key);
  return it == objects_.end() ? nullptr : it->second;
}

Result<ObjectPtr> Store::WriteOne(Write& write) {
  const auto it = objects_.find(write.key);
  const ObjectPtr current = it == objects_.end() ? nullptr : it->second;
  const std::int64_t version = current == nullptr ? 0 : current->resource_version;
  if (write.expected && *write.expected != version)
    return Fail(Code::kConflict,
                *write.expected == 0 ? fmt::format("{} already exists", Text(write.key))
                : version == 0
                    ? fmt::format("{} was deleted meanwhile", Text(write.key))
                    : fmt::format("{} was changed meanwhile: read it again", Text(write.key)));
  if (write.remove) {
    if (current == nullptr) return ObjectPtr();
    SPW_TRY(db_.Run("DELETE FROM objects WHERE kind=? AND ns=? AND name=?",
                    std::string_view(write.key.kind), std::string_view(write.key.ns),
                    std::string_view(write.key.name)));
    return current;
  }
  if (!write.body.is_object())
    return Fail(Code::kInvalid, fmt::format("{} is not an object", Text(write.key)));
  auto object = std::make_shared<StoredObject>();
  object->key = write.key;
  object->uid = current == nullptr ? NewUid() : current->uid;
  object->resource_version = ++revision_;
  object->body = std::move(write.body);
  json::object& root = object->body.get_object();
  if (!root["metadata"].is_object()) root["metadata"] = json::object{};
  json::object& metadata = root["metadata"].get_object();
  metadata["name"] = write.key.name;
  if (!write.key.ns.empty()) metadata["namespace"] = write.key.ns;
  metadata["uid"] = object->uid;
  metadata["resourceVersion"] = std::to_string(object->resource_version);
  metadata["creationTimestamp"] = current == nullptr
                                      ? json::value(FormatTime(options_.clock->Now()))
                                      : current->body.at("metadata").at("creationTimestamp");
  SPW_TRY(
      db_.Run("INSERT INTO objects(kind, ns, name, uid, version, body) VALUES(?,?,?,?,?,?)"
              " ON CONFLICT(kind, ns, name) DO UPDATE SET uid=excluded.uid, "
              "version=excluded.version, body=excluded.body",
              std::string_view(write.key.kind), std::string_view(write.key.ns),
              std::string_view(write.key.name), std::string_view(object->uid),
              object->resource_version, std::string_view(json::serialize(object->body))));
  return ObjectPtr(std::move(object));
}

void Store::Remember(const std::vector<ObjectPtr>& changed, const std::vector<bool>& removed) {
  for (std::size_t i = 0; i < changed.size(); ++i)
    if (changed[i] != nullptr) Put(changed[i]->key, removed[i] ? nullptr : changed[i]);
}

void Store::Put(const ObjectKey& key, ObjectPtr object) {
  const auto index = indexes_.find(key.kind);
  const auto it = objects_.find(key);
  if (index != indexes_.end() && it != objects_.end()) index->second->Remove(it->second);
  if (index != indexes_.end() && object != nullptr) index->second->Add(object);
  if (object != nullptr)
    objects_.insert_or_assign(it, key, std::move(object));
  else if (it != objects_.end())
    objects_.erase(it);
}

void Store::Tell(std::vector<ObjectPtr> changed, bool removed) const {
  std::erase(changed, nullptr);  // of what was to be removed and was not there
  if (on_change_ && !changed.empty()) on_change_(changed, removed);
}

Result<std::vector<ObjectPtr>> Store::Apply(std::vector<Write> writes, Survives survives) {
  std::vector<ObjectPtr> changed;
  bool any_removed = false;
  {
    const std::lock_guard lock(mutex_);
    std::optional<Database::Relaxed> relaxed;
    if (survives == Survives::kEndOfProcess) relaxed.emplace(db_);
    const std::int64_t revision_before = revision_;
    auto run = [&]() -> Status {
      SPW_ASSIGN(Transaction transaction, Transaction::Begin(db_));
      std::vector<bool> removed;
      for (Write& write : writes) {
        SPW_ASSIGN(ObjectPtr object, WriteOne(write));
        changed.push_back(std::move(object));
        removed.push_back(write.remove);
        any_removed = any_removed || (write.remove && changed.back() != nullptr);
      }
      SPW_TRY(
          db_.Run("INSERT INTO meta(key, value) VALUES('revision', ?) ON CONFLICT(key) DO UPDATE "
                  "SET value=excluded.value",
                  revision_));
      SPW_TRY(transaction.Commit());
      Remember(changed, removed);
      return Ok();
    };
    if (Status status = run(); !status) {
      revision_ = revision_before;
      return Fail(std::move(status).error());
    }
  }
  Tell(changed, any_removed);
  return changed;
}

Status Store::Update(const ObjectKey& key, const std::function<bool(json::value& body)>& change) {
  constexpr int kMaxTries = 16;
  for (int attempt = 0; attempt < kMaxTries; ++attempt) {
    const ObjectPtr current = Get(key);
    if (current == nullptr)
      return Fail(Code::kNotFound, fmt::format("{} does not exist", Text(key)));
    json::value body = current->body;
    if (!change(body)) return Ok();
    const auto written = Apply({Write{key, std::move(body), current->resource_version}});
    if (written) return Ok();
    if (written.error().code != Code::kConflict) return Fail(written.error());
  }
  return Fail(Code::kConflict, fmt::format("{} keeps changing; try again", Text(key)));
}

ObjectPtr Store::MirrorOne(Mirrored object) {
  const auto it = objects_.find(object.key);
  if (object.body.is_null()) {
    if (it == objects_.end()) return nullptr;
    ObjectPtr gone = it->second;
    Put(gone->key, nullptr);
    return gone;
  }
  if (it != objects_.end() && it->second->body == object.body) return nullptr;
  auto stored = std::make_shared<StoredObject>();
  stored->key = object.key;
  const json::value* metadata = Find(object.body, "metadata");
  stored->uid = metadata == nullptr ? "" : StringOr(*metadata, "uid", "");
  stored->resource_version = ++revision_;
  stored->body = std::move(object.body);
  Put(object.key, stored);
  return stored;
}

void Store::Mirror(std::vector<Mirrored> objects) {
  std::vector<ObjectPtr> changed;
  bool removed = false;
  {
    const std::lock_guard lock(mutex_);
    for (Mirrored& object : objects) {
      const bool gone = object.body.is_null();
      if (ObjectPtr one = MirrorOne(std::move(object))) {
        changed.push_back(std::move(one));
        removed = removed || gone;
      }
    }
  }
  Tell(std::move(changed), removed);
}

void Store::MirrorAll(const std::string& kind, std::vector<Mirrored> objects) {
  std::set<ObjectKey> there;
  for (const Mirrored& object : objects) there.insert(object.key);
  for (const ObjectPtr& object : List(kind))
    if (!there.contains(object->key)) objects.push_back({object->key, nullptr});
  Mirror(std::move(objects));
}

void Store::AddEvent(const ObjectKey& about, bool warning, std::string reason,
                     std::string message) {
  const std::lock_guard lock(mutex_);
  const Time now = options_.clock->Now();
  const auto same = std::find_if(events_.rbegin(), events_.rend(), [&](const Event& e) {
    return e.about == about && e.reason == reason && e.message == message;
  });
  if (same != events_.rend()) {
    same->last = now;
    ++same->count;
  } else {
    events_.push_back({now, now, about, warning, reason, message, 1});
    if (events_.size() > kMaxEvents) events_.erase(events_.begin());
  }
  const Database::Relaxed relaxed(db_);
  // Events inform people; losing one to a full disk must not stop the work.
  [[maybe_unused]] const Status ignored = db_.Run(
      "INSERT INTO events(first, last, kind, ns, name, warning, reason, message, count) "
      "VALUES(?,?,?,?,?,?,?,?,1)"
      " ON CONFLICT(kind, ns, name, reason, message) DO UPDATE SET last=excluded.last, "
      "count=count+1",
      now.time_since_epoch().count(), now.time_since_epoch().count(), std::string_view(about.kind),
      std::string_view(about.ns), std::string_view(about.name), static_cast<std::int64_t>(warning),
      std::string_view(reason), std::string_view(message));
  [[maybe_unused]] const Status trimmed =
      db_.Run("DELETE FROM events WHERE id <= (SELECT MAX(id) FROM events) - ?",
              static_cast<std::int64_t>(kMaxEvents));
}

std::vector<Event> Store::Events(const ObjectKey& about) const {
  const std::lock_guard lock(mutex_);
  std::vector<Event> found;
  for (const Event& event : events_)
    if (event.about == about) found.push_back(event);
  return found;
}

std::vector<Event> Store::RecentEvents(std::size_t limit) const {
  const std::lock_guard lock(mutex_);
  std::vector<Event> recent = events_;
  std::stable_sort(recent.begin(), recent.end(),
                   [](const Event& a, const Event& b) { return a.last < b.last; });
  if (recent.size() > limit)
    recent.erase(recent.begin(), recent.end() - static_cast<std::ptrdiff_t>(limit));
  return recent;
}

void Store::OnChange(std::function<void(const std::vector<ObjectPtr>&, bool)> callback) {
  on_change_ = std::move(callback);
}

std::int64_t Store::Revision() const {
  const std::lock_guard lock(mutex_);
  return revision_;
}

Result<std::vector<LedgerRow>> Store::Ledger() const {
  const std::lock_guard lock(mutex_);
  return ReadLedger(db_);
}

Result<std::int64_t> Store::LedgerRecords() const {
  const std::lock_guard lock(mutex_);
  return CountRecords(db_);
}

Result<std::string> Store::LedgerExport() const {
  const std::lock_guard lock(mutex_);
  return ExportLedger(db_);
}

Status Store::Commit(std::vector<BurstNode>& nodes, const std::vector<LedgerEntry>& entries) {
  std::vector<ObjectPtr> changed;
  {
    const std::lock_guard lock(mutex_);
    const std::int64_t revision_before = revision_;
    auto run = [&]() -> Status {
      SPW_ASSIGN(Transaction transaction, Transaction::Begin(db_));
      std::int64_t last_serial = 0;
      for (const BurstNode& node : nodes) {
        Write write{BurstNodeKey(node.name), EncodeBurstNode(node), node.resource_version};
        SPW_ASSIGN(ObjectPtr object, WriteOne(write));
        changed.push_back(std::move(object));
        last_serial = std::max(last_serial, node.serial);
      }
      SPW_ASSIGN(const int ignored,
                 AppendEntries(db_, entries, options_.sign, options_.public_key));
      static_cast<void>(ignored);
      SPW_TRY(
          db_.Run("INSERT INTO meta(key, value) VALUES('revision', ?) ON CONFLICT(key) DO UPDATE "
                  "SET value=excluded.value",
                  revision_));
      SPW_TRY(
          db_.Run("INSERT INTO meta(key, value) VALUES('serial', ?) ON CONFLICT(key) DO UPDATE SET "
                  "value=max(value, excluded.value)",
                  last_serial));
      SPW_TRY(transaction.Commit());
      return Ok();
    };
    if (Status status = run(); !status) {
      revision_ = revision_before;
      return status;
    }
    Remember(changed, std::vector<bool>(changed.size(), false));
    for (std::size_t i = 0; i < nodes.size(); ++i) {
      nodes[i].resource_version = changed[i]->resource_version;
      decoded_[nodes[i].name] = {nodes[i], nodes[i].resource_version};
    }
  }
  Tell(std::move(changed), false);
  return Ok();
}

Result<std::vector<BurstNode>> Store::Nodes(Time gone_since) {
  const std::lock_guard lock(mutex_);
  std::vector<BurstNode> nodes;
  for (auto it = objects_.lower_bound({"BurstNode", "", ""});
       it != objects_.end() && it->first.kind == "BurstNode"; ++it) {
    auto& [node, version] = decoded_[it->first.name];
    if (version != it->second->resource_version) {
      SPW_ASSIGN(node, DecodeBurstNode(it->second->body));
      version = node.resource_version = it->second->resource_version;
    }
    if (node.Live() || node.phase_since >= gone_since) nodes.push_back(node);
  }
  return nodes;
}

Result<std::int64_t> Store::LastSerial() {
  const std::lock_guard lock(mutex_);
  SPW_ASSIGN(Statement statement, db_.Prepare("SELECT value FROM meta WHERE key='serial'"));
  SPW_ASSIGN(const bool found, statement.Step());
  return found ? statement.Int(0) : 0;
}

}  // namespace spillway::store
