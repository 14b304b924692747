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

void Write(store::Store& store, store::Write write) {
  const store::ObjectKey key = write.key;
  const auto written = store.Apply({std::move(write)});
  if (!written)
    log::Warn("a decision was not kept",
              {{"workload", key.ns + "/" + key.name}, {"error", written.error().message}});
}

}  // namespace

void KeepDecision(store::Store& store, const std::string& workload, const json::value& record) {
  if (record.is_null()) return;
  Write(store, {RecordKey(workload), json::object{{"record", record}}, std::nullopt, false});
}

json::value KeptDecision(const store::Store& store, const std::string& workload) {
  const store::ObjectPtr kept = store.Get(RecordKey(workload));
  const json::value* record = kept == nullptr ? nullptr : Find(kept->body, "record");
  return record == nullptr ? json::value(nullptr) : *record;
}

void ForgetDecisions(store::Store& store) {
  for (const store::ObjectPtr& kept : store.List(std::string(kKind)))
    if (store.Get(WorkloadKey(kept->key)) == nullptr)
      Write(store, {kept->key, nullptr, std::nullopt, true});
}

}  // namespace spillway::daemon
