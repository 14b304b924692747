#include "daemon/decisions.h"

#include "base/log.h"

namespace spillway::daemon {
namespace {

constexpr std::string_view kKind = "Decision";

// "ns/Job/name" is kept under the name "Job/name" in ns.
store::ObjectKey RecordKey(const std::string& workload) {
  const std::size_t slash = workload.find('/');
  SPW_CHECK(slash != std::string::npos, "a workload's key has a namespace");
  return {std::string(kKind), workload.substr(0, slash), workload.substr(slash + 1)};
}

store::ObjectKey WorkloadKey(const store::ObjectKey& record) {
  const std::size_t slash = record.name.find('/');
  return {record.name.substr(0, slash), record.ns, record.name.substr(slash + 1)};
}

void Apply(store::Store& store, std::vector<store::Write> writes) {
  if (writes.empty()) return;
  const auto written = store.Apply(std::move(writes), store::Survives::kEndOfProcess);
  if (!written) log::Warn("decisions were not kept", {{"error", written.error().message}});
}

}  // namespace

void KeepDecisions(store::Store& store, std::map<std::string, json::value> records) {
  std::vector<store::Write> writes;
  for (auto& [workload, record] : records)
    if (!record.is_null())
      // As text: a record is long, and as values it takes several times the memory.
      writes.push_back(
          {RecordKey(workload), json::object{{"record", json::serialize(record)}}, std::nullopt});
  Apply(store, std::move(writes));
}

json::value KeptDecision(const store::Store& store, const std::string& workload) {
  const store::ObjectPtr kept = store.Get(RecordKey(workload));
  if (kept == nullptr) return nullptr;
  const auto record = ParseJson(StringOr(kept->body, "record", "null"));
  return record ? *record : json::value(nullptr);
}

void ForgetDecisions(store::Store& store) {
  std::vector<store::Write> writes;
  for (const store::ObjectPtr& kept : store.List(std::string(kKind)))
    if (store.Get(WorkloadKey(kept->key)) == nullptr)
      writes.push_back({kept->key, nullptr, std::nullopt, true});
  Apply(store, std::move(writes));
}

}  // namespace spillway::daemon
