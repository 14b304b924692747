#include "gateway/node_records.h"

#include <fmt/format.h>

#include "data/record.h"
#include "gateway/files.h"

namespace spillway::gateway {
namespace {

constexpr std::size_t kMaxRecordBytes = 1 << 20;
// Stands where the token was when a registration is kept.
constexpr std::string_view kNoToken = "used";

json::value EncodeStated(const std::optional<StatedWipe>& stated) {
  if (!stated) return nullptr;
  return json::object{{"statement", door::Encode(stated->statement)},
                      {"startedMs", stated->started.time_since_epoch().count()},
                      {"endedMs", stated->ended.time_since_epoch().count()}};
}

Result<StatedWipe> DecodeStated(const json::value& value) {
  std::optional<Error> error;
  data::FieldReader reader(value, "stated", error);
  StatedWipe stated;
  SPW_ASSIGN(stated.statement, door::DecodeWipeStatement(reader.Object("statement")));
  stated.started = Time{Duration(reader.Int("startedMs", INT64_MIN, INT64_MAX))};
  stated.ended = Time{Duration(reader.Int("endedMs", INT64_MIN, INT64_MAX))};
  reader.Done();
  if (error) return Fail(*error);
  return stated;
}

std::string EncodeRecord(const NodeRecord& record) {
  json::value shown = nullptr;
  if (record.registered) {
    door::RegisterRequest request = record.shown;
    request.token = kNoToken;
    shown = door::Encode(request);
  }
  return PrettyJson(
      json::object{{"node", record.node},
                   {"tokenSha256", Hex(record.token_sha256)},
                   {"tokenExpiresMs", record.token_expires.time_since_epoch().count()},
                   {"shown", std::move(shown)},
                   {"registeredMs", record.registered_at.time_since_epoch().count()},
                   {"wipeAnnounced", record.wipe_announced},
                   {"stated", EncodeStated(record.stated)},
                   {"wiped", record.wiped},
                   {"wipeVerified", record.wipe_verified},
                   {"certificate", record.certificate}});
}

Result<NodeRecord> DecodeRecord(std::string_view text) {
  SPW_ASSIGN(const json::value parsed, ParseJson(text));
  std::optional<Error> error;
  data::FieldReader reader(parsed, "", error);
  NodeRecord record;
  record.node = reader.Text("node");
  record.token_sha256 = reader.Hash("tokenSha256");
  record.token_expires = Time{Duration(reader.Int("tokenExpiresMs", INT64_MIN, INT64_MAX))};
  record.registered = FindObject(parsed, "shown") != nullptr;
  if (record.registered) {
    SPW_ASSIGN(record.shown, door::DecodeRegisterRequest(reader.Object("shown")));
    record.shown.token.clear();
  } else {
    reader.Null("shown");
  }
  record.registered_at = Time{Duration(reader.Int("registeredMs", INT64_MIN, INT64_MAX))};
  record.wipe_announced = reader.Bool("wipeAnnounced");
  // Absent in records of older versions.
  if (FindObject(parsed, "stated") != nullptr) {
    SPW_ASSIGN(record.stated, DecodeStated(reader.Object("stated")));
  } else if (parsed.as_object().contains("stated")) {
    reader.Null("stated");
  }
  record.wiped = reader.Bool("wiped");
  record.wipe_verified = reader.Bool("wipeVerified");
  record.certificate = reader.TextOrEmpty("certificate");
  reader.Done();
  if (error) return Fail(*error);
  return record;
}

}  // namespace

Result<NodeRecords> NodeRecords::Open(std::string directory) {
  SPW_TRY(MakeDirectory(directory));
  NodeRecords records(std::move(directory));
  SPW_ASSIGN(const auto names, ListFiles(records.directory_, ".json"));
  for (const std::string& name : names) {
    const std::string path = fmt::format("{}/{}.json", records.directory_, name);
    SPW_ASSIGN(const std::string text, ReadFile(path, kMaxRecordBytes));
    auto record = DecodeRecord(text);
    if (!record) return Fail(Code::kCorrupt, path + ": " + record.error().message);
    records.records_.insert_or_assign(name, std::move(*record));
  }
  return records;
}

const NodeRecord* NodeRecords::Find(const std::string& node) const {
  const auto it = records_.find(node);
  return it == records_.end() ? nullptr : &it->second;
}

Status NodeRecords::Put(NodeRecord record) {
  SPW_TRY(CheckName(record.node));
  if (!records_.contains(record.node) && records_.size() >= kMaxNodes)
    return Fail(Code::kQuota, fmt::format("the door knows {} nodes already", records_.size()));
  SPW_TRY(WriteDurably(fmt::format("{}/{}.json", directory_, record.node),
                       AsBytes(EncodeRecord(record))));
  records_.insert_or_assign(record.node, std::move(record));
  return Ok();
}

Status NodeRecords::Remove(const std::string& node) {
  const auto it = records_.find(node);
  if (it == records_.end()) return Ok();
  SPW_TRY(gateway::Remove(fmt::format("{}/{}.json", directory_, node)));
  records_.erase(it);
  return SyncDirectory(directory_);
}

}  // namespace spillway::gateway
