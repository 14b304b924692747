// Carrying out control's commands against the adapters. What cannot be done now is logged and asked
// again by a later round; what it answers becomes an observation.
#include <fmt/format.h>

#include <algorithm>

#include "base/log.h"
#include "daemon/daemon.h"
#include "machine/first_boot.h"
#include "model/decode.h"
#include "site/objects.h"
#include "site/promises.h"
#include "site/shards.h"

namespace spillway::daemon {
namespace {

template <class... Fs>
struct Overloaded : Fs... {
  using Fs::operator()...;
};
template <class... Fs>
Overloaded(Fs...) -> Overloaded<Fs...>;

}  // namespace

bool Daemon::IsSimulated(const std::string& provider) const {
  const store::ObjectPtr object = store_->Get({"CloudProvider", "", provider});
  return object == nullptr || StringOr(site::SpecOf(object->body), "type", "") == "simulated";
}

Result<BurstNode> Daemon::NodeNamed(const std::string& name) const {
  const store::ObjectPtr object = store_->Get({"BurstNode", "", name});
  if (object == nullptr)
    return Fail(Code::kNotFound, fmt::format("BurstNode {} does not exist", name));
  return DecodeBurstNode(object->body);
}

void Daemon::Run(const control::Command& command) {
  if (!cluster_->MayAct()) return;  // whoever leads now asks again
  const Status done = std::visit(
      Overloaded{
          [&](const control::CreateInstance& c) -> Status {
            SPW_ASSIGN(const BurstNode node, NodeNamed(c.node));
            return Create(node);
          },
          [&](const control::ResumeInstance& c) -> Status {
            SPW_ASSIGN(const BurstNode node, NodeNamed(c.node));
            const auto cloud = accounts_->Find(node.offer.provider);
            if (cloud == nullptr) return Fail(Code::kUnavailable, "its account is not open");
            return cloud->Resume(c.instance_id);
          },
          [&](const control::DeleteInstance& c) -> Status {
            SPW_ASSIGN(const BurstNode node, NodeNamed(c.node));
            return DeletePass(node, c.instance_id);
          },
          [&](const control::DeleteOrphan& c) -> Status {
            const auto cloud = accounts_->Find(c.provider);
            if (cloud == nullptr) return Fail(Code::kUnavailable, "its account is not open");
            const auto progress = cloud->Delete(c.instance_id, c.name, accounts_->cluster_id());
            return progress ? Ok() : Status(tl::unexpected(progress.error()));
          },
          [&](const control::PrepareRun& c) -> Status {
            SPW_ASSIGN(const BurstNode node, NodeNamed(c.node));
            return Prepare(node);
          },
          [&](const control::DestroyRunKey& c) { return gateway_->DestroyRunKey(c.node); },
          [&](const control::CertifyLoss& c) -> Status {
            SPW_ASSIGN(const BurstNode node, NodeNamed(c.node));
            return gateway_->CertifyLoss(node, IsSimulated(node.offer.provider));
          },
          [&](const control::AdmitPods& c) { return cluster_->AdmitPods(c.node, c.pods); },
          [&](const control::EvictPods& c) {
            return cluster_->EvictPods(c.node, c.pods, c.reason);
          },
          [&](const control::RemoveNode& c) -> Status {
            SPW_TRY(cluster_->RemoveNode(c.node));
            const Result<BurstNode> node = NodeNamed(c.node);
            if (!node || node->Live()) return Ok();
            if (tunnels_) SPW_TRY(tunnels_->Remove(c.node));
            return gateway_->Forget(c.node);
          },
      },
      command);
  const std::string what = control::Describe(command);
  const bool waits = !done && done.error().code == Code::kThrottled;
  if (!waits) wait_log_.Ended(what);
  // By the time of the people who read the log, whatever the daemon's own clock makes of it.
  if (!done && (!waits || wait_log_.Say(what, SystemClock().SteadyNow())))
    log::Warn("a command was not carried out; it is asked again while it is needed",
              {{"command", what},
               {"code", CodeName(done.error().code)},
               {"error", done.error().message}});
  Wake();
}

Status Daemon::Create(const BurstNode& node) {
  control::CreateAnswer answer;
  // The command may have waited; a node that was given up meanwhile must not get a machine.
  if (node.phase != Phase::kRequested || node.Failed())
    return Fail(Code::kConflict, "the node is not waiting for a machine any more");
  const auto cloud = accounts_->Find(node.offer.provider);
  std::chrono::nanoseconds joining{0};
  Result<std::string> user_data = UserDataFor(node, joining);
  if (cloud == nullptr) {
    answer.error = Error{Code::kUnavailable, "its account is not open", std::nullopt};
  } else if (!user_data) {
    answer.error = Error{Code::kUnavailable, user_data.error().message, std::nullopt};
  } else {
    ports::InstanceSpec spec;
    spec.name = node.name;
    spec.cluster_id = accounts_->cluster_id();
    spec.region = node.offer.region;
    spec.instance_type = node.offer.instance_type;
    spec.spot = node.offer.capacity == CapacityType::kSpot;
    spec.user_data = std::move(*user_data);
    // As late as can be: a process that was paused since may lead no more.
    if (!cluster_->MayAct()) return Fail(Code::kUnavailable, "another replica leads");
    reaction_.Asked(node.pods, Reaction::Moment::clock::now(), joining);
    Result<ports::Instance> instance = cloud->Create(spec);
    if (instance)
      answer.instance = std::move(*instance);
    else
      answer.error = instance.error();
  }
  const Status outcome = answer.error ? Status(tl::unexpected(*answer.error)) : Ok();
  const std::lock_guard lock(answers_mutex_);
  created_[node.name] = {++answer_serial_, std::move(answer)};
  return outcome;
}

Result<std::string> Daemon::UserDataFor(const BurstNode& node, std::chrono::nanoseconds& joining) {
  const metrics::Stopwatch watch;
  SPW_ASSIGN(std::optional<door::KubernetesJoin> join, cluster_->PrepareJoin(node));
  joining = watch.Read();
  SPW_ASSIGN(door::UserData data, gateway_->UserDataFor(node.name));
  data.kubernetes = std::move(join);
  if (accounts_->Tunnelled(node.offer.provider)) return FirstBootOf(node, std::move(data));
  return door::EncodeUserData(data);
}

Result<std::string> Daemon::FirstBootOf(const BurstNode& node, door::UserData data) {
  if (!tunnels_ || !data.kubernetes)
    return Fail(Code::kInvalid, "machines of this account need the tunnel of a cluster");
  SPW_ASSIGN(data.tunnel, tunnels_->Grant(node.name));
  data.door = gateway_->NetworkDoor();
  door::MachineSetup setup;
  setup.files = gateway_->MachineFileList();
  setup.labels = {{"node.kubernetes.io/instance-type", node.offer.instance_type},
                  {"topology.kubernetes.io/region", node.offer.region}};
  setup.provider_id = fmt::format("spillway://{}/{}", node.offer.provider, node.name);
  SPW_ASSIGN(setup.pod_network, tunnels_->PodNetwork(node.name));
  setup.hosts = options_.machine_hosts;
  setup.cluster_dns = options_.cluster_dns;
  setup.cluster_domain = options_.cluster_domain;
  data.machine = std::move(setup);
  return machine::FirstBoot(data);
}

Status Daemon::DeletePass(const BurstNode& node, const std::string& instance_id) {
  const auto cloud = accounts_->Find(node.offer.provider);
  if (cloud == nullptr) return Fail(Code::kUnavailable, "its account is not open");
  const Result<ports::DeleteProgress> progress =
      cloud->Delete(instance_id, node.name, accounts_->cluster_id());
  control::DeleteAnswer answer;
  if (progress)
    answer.progress = *progress;
  else
    answer.error = progress.error();
  const std::lock_guard lock(answers_mutex_);
  deleted_[node.name] = {++answer_serial_, std::move(answer)};
  if (!progress) return Fail(progress.error());
  // It has no business at the site any more, whether or not its power is cut already.
  return tunnels_ && progress->accepted ? tunnels_->Remove(node.name) : Ok();
}

// `key` is "namespace/name".
Result<DatasetInfo> Daemon::DatasetNamed(const std::string& ns, const std::string& key) const {
  const store::ObjectPtr object = store_->Get({"Dataset", ns, key.substr(ns.size() + 1)});
  if (object == nullptr) return Fail(Code::kNotFound, fmt::format("Dataset {} was deleted", key));
  return DecodeDataset(object->body);
}

Status Daemon::AddOutput(const std::string& ns, const std::string& claim,
                         const site::ClaimTarget& target, gateway::RunRequest& request) const {
  gateway::RunOutput output{claim, target.directory};
  if (!target.dataset.empty()) {
    SPW_ASSIGN(const DatasetInfo bucket, DatasetNamed(ns, target.dataset));
    output.s3 = bucket.s3;
  }
  if (std::find(request.outputs.begin(), request.outputs.end(), output) == request.outputs.end())
    request.outputs.push_back(output);
  return Ok();
}

// What the pod takes of it is added to what others of the run take.
Status Daemon::AddInput(const store::StoredObject& pod, const std::string& mounted,
                        const site::ClaimTarget& target, gateway::RunRequest& request) const {
  const std::string claim = pod.key.ns + "/" + mounted;
  auto input = std::ranges::find(request.inputs, claim, &gateway::RunInput::claim);
  if (input == request.inputs.end()) {
    SPW_ASSIGN(const DatasetInfo dataset, DatasetNamed(pod.key.ns, target.dataset));
    if (dataset.directory.empty() && !dataset.s3)
      return Fail(Code::kInvalid, fmt::format("Dataset {} has no source", target.dataset));
    gateway::RunInput fresh;
    fresh.claim = claim;
    fresh.dataset = target.dataset;
    fresh.data_class = dataset.data_class;
    fresh.directory = dataset.directory;
    fresh.include = dataset.include;
    fresh.exclude = dataset.exclude;
    fresh.s3 = dataset.s3;
    fresh.start_when_readable = dataset.start_when_readable;
    input = request.inputs.insert(input, std::move(fresh));
  }
  if (auto narrowing = site::NarrowingOf(*store_, pod, mounted))
    data::AddNarrowing(input->needs, *std::move(narrowing));
  else
    input->unopened = narrowing.error();
  return Ok();
}

Status Daemon::Prepare(const BurstNode& node) {
  gateway::RunRequest request;
  request.run = node.name;
  std::optional<Error> lost;
  for (const PodRef& ref : node.pods) {
    const store::ObjectPtr pod = site::FindPod(*store_, ref);
    if (pod == nullptr) {
      lost = Error{Code::kNotFound,
                   fmt::format("pod {} is gone before its shard of the data was prepared", ref.key),
                   {}};
      continue;
    }
    SPW_ASSIGN(const std::vector<site::Mount> mounts, site::MountsOf(pod->body));
    for (const site::Mount& mount : mounts) {
      if (mount.claim.empty()) continue;
      SPW_ASSIGN(const site::ClaimTarget target, site::ResolveClaim(*store_, node.ns, mount.claim));
      if (target.results)
        SPW_TRY(AddOutput(node.ns, node.ns + "/" + mount.claim, target, request));
      else
        SPW_TRY(AddInput(*pod, mount.claim, target, request));
    }
  }
  // Its index is not known any more, and the pod that replaces it will look for its shard here.
  if (lost && !node.shards.empty())
    for (gateway::RunInput& input : request.inputs) input.unopened = lost;
  return gateway_->Prepare(std::move(request));
}

}  // namespace spillway::daemon
