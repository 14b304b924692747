#include "kubernetes/optional_kinds.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "base/log.h"
#include "base/time.h"

namespace spillway::kubernetes {
namespace {

constexpr Duration kLookAgain{std::chrono::minutes(1)};
constexpr Duration kAfterTrouble{std::chrono::seconds(2)};

}  // namespace

const Resource* OptionalKind(std::string_view store_kind) {
  const auto it = std::ranges::find_if(
      kOptional, [&](const Resource* resource) { return StoreKind(*resource) == store_kind; });
  return it == kOptional.end() ? nullptr : *it;
}

json::value WithoutTemplates(const Resource& resource, json::value object) {
  json::value* spec = object.get_object().if_contains("spec");
  if (spec == nullptr || !spec->is_object()) return object;
  if (resource.group == kJobSets.group) {
    json::value* list = spec->get_object().if_contains("replicatedJobs");
    if (list == nullptr || !list->is_array()) return object;
    for (json::value& one : list->get_array())
      if (json::object* job = one.if_object())
        if (json::value* form = job->if_contains("template"); form != nullptr && form->is_object())
          if (json::value* inner = form->get_object().if_contains("spec");
              inner != nullptr && inner->is_object())
            inner->get_object().erase("template");
  }
  if (resource.group == kPyTorchJobs.group)
    for (const char* specs : {"pytorchReplicaSpecs", "mpiReplicaSpecs"})
      if (json::value* roles = spec->get_object().if_contains(specs);
          roles != nullptr && roles->is_object())
        for (auto& role : roles->get_object())
          if (json::object* one = role.value().if_object()) one->erase("template");
  return object;
}

void OptionalKinds::Start() {
  thread_ = std::jthread([this](const std::stop_token& stop) { Run(stop); });
}

void OptionalKinds::Stop() {
  if (!thread_.joinable()) return;
  thread_.request_stop();
  thread_.join();
}

std::optional<std::set<std::string>> OptionalKinds::Watched() const {
  const std::lock_guard lock(mutex_);
  if (!known_) return std::nullopt;
  std::set<std::string> kinds;
  for (const auto& [kind, resource] : watched_) kinds.insert(kind);
  return kinds;
}

void OptionalKinds::Run(const std::stop_token& stop) {
  while (!stop.stop_requested()) {
    const Status looked = Look();
    if (!looked)
      log::Warn("it is not known which kinds the API server has; asked again",
                {{"error", looked.error().message}});
    std::unique_lock lock(mutex_);
    known_ = known_ || looked;
    changed_.wait_for(lock, stop, looked ? kLookAgain : kAfterTrouble, [] { return false; });
  }
}

Status OptionalKinds::Look() {
  std::map<std::string, const Resource*> served;
  for (const Resource* resource : kOptional) {
    if (served.contains(StoreKind(*resource))) continue;
    if (resource == &kPodTemplates && !served.contains(StoreKind(kProvisioningRequests))) continue;
    SPW_ASSIGN(const bool there, api_.Serves(*resource));
    if (there) served.emplace(StoreKind(*resource), resource);
  }
  std::map<std::string, const Resource*> before;
  {
    // Counted as watched before the first list comes, so that nobody decides without it.
    const std::lock_guard lock(mutex_);
    before = std::exchange(watched_, served);
  }
  for (const auto& [kind, resource] : before) {
    const auto now = served.find(kind);
    if (now != served.end() && now->second == resource) continue;
    watches_.End(*resource);
    log::Info("a kind is served no longer", {{"kind", kind}});
    sink_.Listed(*resource, {});
  }
  for (const auto& [kind, resource] : served) {
    const auto earlier = before.find(kind);
    if (earlier != before.end() && earlier->second == resource) continue;
    log::Info("a kind is watched", {{"kind", kind}, {"version", resource->version}});
    SPW_TRY(watches_.Start({resource}, sink_));
  }
  return Ok();
}

}  // namespace spillway::kubernetes
