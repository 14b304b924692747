#include "kubernetes/kube_api.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <thread>

#include "base/log.h"
#include "kube/watch.h"
#include "kubernetes/kubernetes_cluster.h"

namespace spillway::kubernetes {
namespace {

kube::Resource ResourceOf(const Resource& resource) {
  return {std::string(resource.group), std::string(resource.version), std::string(resource.plural),
          resource.namespaced};
}

// Items of a list do not say what they are.
json::value WithKind(const Resource& resource, json::object object) {
  object["kind"] = resource.kind;
  object["apiVersion"] = ResourceOf(resource).ApiVersion();
  return object;
}

Result<json::value> Answer(const Resource& resource, Result<json::object> result) {
  if (!result) return Fail(std::move(result).error());
  return WithKind(resource, std::move(*result));
}

kube::PatchKind KindOf(PatchKind kind) {
  switch (kind) {
    case PatchKind::kJson:
      return kube::PatchKind::kJson;
    case PatchKind::kMerge:
      return kube::PatchKind::kMerge;
    case PatchKind::kStrategic:
      return kube::PatchKind::kStrategicMerge;
    case PatchKind::kApply:
      return kube::PatchKind::kApply;
  }
  return kube::PatchKind::kMerge;
}

class KubeApi final : public Api {
 public:
  explicit KubeApi(std::shared_ptr<kube::Client> client) : client_(std::move(client)) {}

  Result<json::value> Get(const Resource& resource, const std::string& ns,
                          const std::string& name) override {
    return Answer(resource, client_->Get(ResourceOf(resource), {ns, name}));
  }
  Result<json::value> Create(const Resource& resource, const std::string& ns,
                             const json::value& object) override {
    return Answer(resource, client_->Create(ResourceOf(resource), ns, object.get_object(),
                                            {.field_manager = std::string(kFieldManager)}));
  }
  Result<json::value> Replace(const Resource& resource, const std::string&, const std::string&,
                              std::string_view subresource, const json::value& object) override {
    return Answer(resource, client_->Replace(ResourceOf(resource), object.get_object(),
                                             {.field_manager = std::string(kFieldManager),
                                              .subresource = std::string(subresource)}));
  }
  Result<json::value> Patch(const Resource& resource, const std::string& ns,
                            const std::string& name, std::string_view subresource, PatchKind kind,
                            const json::value& patch) override {
    return Answer(resource, client_->Patch(ResourceOf(resource), {ns, name}, KindOf(kind), patch,
                                           {.field_manager = std::string(kFieldManager),
                                            .force = kind == PatchKind::kApply,
                                            .subresource = std::string(subresource)}));
  }
  Status Delete(const Resource& resource, const std::string& ns, const std::string& name,
                const std::string& uid, int grace_seconds) override {
    kube::DeleteOptions how;
    how.uid = uid;
    if (resource.kind == kJobs.kind) how.propagation = "Background";
    if (grace_seconds >= 0) how.grace_seconds = grace_seconds;
    return client_->Delete(ResourceOf(resource), {ns, name}, how);
  }
  Result<bool> Serves(const Resource& resource) override {
    if (resource.group.empty()) return true;
    const Result<std::string> text =
        client_->Raw(fmt::format("/apis/{}/{}", resource.group, resource.version));
    if (!text && text.error().code == Code::kNotFound) return false;
    if (!text) return Fail(text.error());
    SPW_ASSIGN(const json::value list, ParseJson(*text));
    const json::array* kinds = FindArray(list, "resources");
    return kinds != nullptr && std::ranges::any_of(*kinds, [&](const json::value& kind) {
             return StringOr(kind, "name", "") == resource.plural;
           });
  }
  Result<std::string> Log(const std::string& ns, const std::string& pod,
                          const std::string& container, std::int64_t limit_bytes) override {
    return client_->Raw(fmt::format("/api/v1/namespaces/{}/pods/{}/log?container={}&limitBytes={}",
                                    ns, pod, container, limit_bytes));
  }

 private:
  const std::shared_ptr<kube::Client> client_;
};

// One kind, on a thread of its own.
class OneWatch final : private kube::WatchSink {
 public:
  OneWatch(kube::Client& client, const Resource& resource, kubernetes::WatchSink& sink)
      : resource_(resource), sink_(sink), watcher_(client, ResourceOf(resource), {}, *this) {
    thread_ = std::jthread([this](const std::stop_token& stop) { watcher_.Run(stop); });
  }
  ~OneWatch() override {
    thread_.request_stop();
    thread_.join();
  }
  const Resource& resource() const { return resource_; }

 private:
  void Restart() override {
    listing_ = true;
    objects_.clear();
  }
  void Apply(const json::object& object) override {
    json::value whole = WithKind(resource_, object);
    // The largest part of most objects, which nobody here reads.
    if (json::value* metadata = whole.get_object().if_contains("metadata"))
      if (metadata->is_object()) metadata->get_object().erase("managedFields");
    whole = sink_.Kept(resource_, std::move(whole));
    if (listing_)
      objects_[kube::KeyOf(object)] = std::move(whole);
    else
      sink_.Changed(resource_, std::move(whole), false);
  }
  void Remove(const json::object& object) override {
    if (listing_)
      objects_.erase(kube::KeyOf(object));
    else
      sink_.Changed(resource_, WithKind(resource_, object), true);
  }
  void Synced() override {
    listing_ = false;
    std::vector<json::value> all;
    for (auto& [key, object] : objects_) all.push_back(std::move(object));
    objects_.clear();
    sink_.Listed(resource_, std::move(all));
  }
  void Heard() override {}
  void Trouble(const Error& error, Duration wait) override {
    log::Warn(
        "a watch broke and is tried again",
        {{"resource", resource_.plural}, {"error", error.message}, {"wait", FormatDuration(wait)}});
  }

  const Resource& resource_;
  kubernetes::WatchSink& sink_;
  bool listing_ = false;  // of the watching thread only, as the next
  std::map<std::string, json::value> objects_;
  kube::Watcher watcher_;
  std::jthread thread_;
};

class KubeWatches final : public Watches {
 public:
  explicit KubeWatches(std::shared_ptr<kube::Client> client) : client_(std::move(client)) {}
  ~KubeWatches() override { Stop(); }

  Status Start(const std::vector<const Resource*>& resources,
               kubernetes::WatchSink& sink) override {
    for (const Resource* resource : resources)
      watches_.push_back(std::make_unique<OneWatch>(*client_, *resource, sink));
    return Ok();
  }
  void End(const Resource& resource) override {
    std::erase_if(watches_, [&](const auto& watch) { return &watch->resource() == &resource; });
  }
  void Stop() override { watches_.clear(); }

 private:
  const std::shared_ptr<kube::Client> client_;
  std::vector<std::unique_ptr<OneWatch>> watches_;
};

}  // namespace

std::shared_ptr<Api> MakeApi(std::shared_ptr<kube::Client> client) {
  return std::make_shared<KubeApi>(std::move(client));
}

std::shared_ptr<Watches> MakeWatches(std::shared_ptr<kube::Client> client) {
  return std::make_shared<KubeWatches>(std::move(client));
}

}  // namespace spillway::kubernetes
