#include "site_mode.h"

#include <fmt/format.h>
#include <unistd.h>

#include <array>
#include <memory>
#include <optional>
#include <random>

#include "base/log.h"
#include "csi/plugin.h"
#include "gateway/source_s3.h"
#include "home/bucket_volumes.h"
#include "home/home_buckets.h"
#include "home/results_events.h"
#include "home/site_volumes.h"
#include "kube/client.h"
#include "model/decode.h"
#include "s3/access.h"

namespace spillway {
namespace {

const kube::Resource kDatasets{"spillway.dev", "v1alpha1", "datasets", true};

// A store that is away for longer is asked again when the kubelet asks again: what waits here takes
// the room of calls for other pods.
constexpr s3::Patience kPatience{.total = 20s};

std::string HostName() {
  std::array<char, 256> name{};
  return ::gethostname(name.data(), name.size() - 1) == 0 ? name.data() : "";
}

// Everything that volumes in buckets need, in the order in which one stands on the other.
class Buckets {
 public:
  static Result<std::unique_ptr<Buckets>> Open(const SiteFlags& flags, const std::string& node) {
    std::unique_ptr<Buckets> all(new Buckets(flags));
    SPW_TRY(all->access_.Check());
    SPW_ASSIGN(const kube::Access api,
               kube::FindAccess(flags.kubeconfig, "", kube::Surroundings::OfProcess()));
    log::Info("reads Datasets and writes Events", {{"server", api.server}, {"as", api.origin}});
    all->client_ = std::make_unique<kube::Client>(
        api, kube::Timing{&all->clock_, &all->waiter_, std::random_device{}()});
    all->events_ = std::make_unique<home::ResultsEvents>(*all->client_, node);
    const std::string directory =
        flags.buckets.empty()
            ? fmt::format("{}/plugins/{}/buckets", flags.kubelet_directory, csi::kDriverName)
            : flags.buckets;
    SPW_ASSIGN(all->buckets_,
               home::HomeBuckets::Open({.directory = directory,
                                        .open_bucket =
                                            [access = &all->access_](const S3Place& place) {
                                              return gateway::OpenBucket(place, *access, kPatience);
                                            },
                                        .pods_live_on = true}));
    SPW_ASSIGN(all->volumes_,
               home::BucketVolumes::Open(
                   {.directory = directory + "/volumes",
                    .dataset = [all = all.get()](
                                   const std::string& ns,
                                   const std::string& name) { return all->DatasetOf(ns, name); },
                    .tell = [events = all->events_.get()](
                                const home::ResultsNews& news) { events->Tell(news); }},
                   *all->buckets_));
    return all;
  }

  home::BucketVolumes& volumes() { return *volumes_; }
  // Ends what waits for a store.
  void Stop() { access_.Stop(); }

 private:
  explicit Buckets(const SiteFlags& flags)
      : access_({flags.s3_credentials, flags.s3_ca_file}, clock_) {}

  Result<DatasetInfo> DatasetOf(const std::string& ns, const std::string& name) const {
    const auto object = client_->Get(kDatasets, {ns, name});
    if (!object) return Fail(object.error().In(fmt::format("Dataset {}/{}", ns, name)));
    return DecodeDataset(*object);
  }

  kube::BootClock clock_;
  kube::RealWaiter waiter_;
  s3::Access access_;
  std::unique_ptr<kube::Client> client_;
  std::unique_ptr<home::ResultsEvents> events_;
  std::unique_ptr<home::HomeBuckets> buckets_;
  std::unique_ptr<home::BucketVolumes> volumes_;
};

Status Serve(const SiteFlags& flags, const sigset_t& signals) {
  csi::PluginOptions options;
  options.kubelet_directory = flags.kubelet_directory;
  options.node_id = flags.node_name.empty() ? HostName() : flags.node_name;
  // Another process that serves here is the one whose files these are.
  if (csi::Plugin::Answers(options))
    return Fail(Code::kConflict, fmt::format("another process serves '{}': stop it first",
                                             csi::Plugin::CsiSocket(options)));
  std::unique_ptr<Buckets> buckets;
  if (!flags.s3_credentials.empty()) {
    SPW_ASSIGN(buckets, Buckets::Open(flags, options.node_id));
  }
  SPW_ASSIGN(const auto volumes,
             home::SiteVolumes::Open(flags.data_root, flags.results_root,
                                     buckets == nullptr ? nullptr : &buckets->volumes()));
  SPW_ASSIGN(const auto plugin, csi::Plugin::Start(options, *volumes));
  log::Info("serving volumes of the site",
            {{"node", options.node_id}, {"buckets", buckets != nullptr}});
  int signal = 0;
  ::sigwait(&signals, &signal);
  if (buckets != nullptr) buckets->Stop();
  return Ok();
}

}  // namespace

Status CheckSiteFlags(const SiteFlags& flags) {
  if (flags.data_root.empty() || flags.results_root.empty())
    return Fail(Code::kInvalid, "--data-root and --results-root are required");
  if (flags.s3_credentials.empty() &&
      !(flags.s3_ca_file.empty() && flags.buckets.empty() && flags.kubeconfig.empty()))
    return Fail(Code::kInvalid, "--s3-ca-file, --buckets and --kubeconfig need --s3-credentials");
  if (!flags.buckets.empty() && !flags.buckets.starts_with('/'))
    return Fail(Code::kInvalid, fmt::format("--buckets {}: must begin with /", flags.buckets));
  return Ok();
}

int RunSite(const SiteFlags& flags, const sigset_t& signals) {
  const Status served = Serve(flags, signals);
  if (!served) log::Error("volumes cannot be served", {{"why", served.error().message}});
  return served ? 0 : 1;
}

}  // namespace spillway
