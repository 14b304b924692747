#include "sim/providers.h"

namespace spillway::sim {

using simulated::kNever;
using simulated::Machine;

Providers::Providers(Context& context)
    : context_(context), boot_noted_(context.scenario.providers.size()) {
  for (std::size_t i = 0; i < context.scenario.providers.size(); ++i)
    clouds_.emplace_back(Options(i, false));
}

simulated::CloudOptions Providers::Options(std::size_t provider, bool calm) const {
  const ProviderPlan& plan = context_.scenario.providers[provider];
  simulated::CloudOptions options;
  options.goods = plan.goods;
  if (!calm) options.faults = plan.faults;
  options.quota = plan.quota;
  options.unique_names = plan.unique_names;
  options.seed = context_.scenario.seed * 31 + provider;
  return options;
}

std::size_t Providers::Find(const std::string& name) const {
  for (std::size_t i = 0; i < clouds_.size(); ++i)
    if (clouds_[i].facts().id == name) return i;
  SPW_CHECK(false, "a BurstNode's provider exists");
  return 0;
}

void Providers::CountRefusal(const Error& error) {
  switch (error.code) {
    case Code::kCapacity:
      return context_.dice.Count(Fault::kCapacityRefused);
    case Code::kQuota:
      return context_.dice.Count(Fault::kQuotaRefused);
    case Code::kUnavailable:
    case Code::kThrottled:
    case Code::kDenied:
      return context_.dice.Count(Fault::kApiRefused);
    default:
      return;
  }
}

Result<ports::Instance> Providers::Create(std::size_t provider, const ports::InstanceSpec& spec) {
  simulated::CloudModel& cloud = clouds_[provider];
  const std::size_t before = cloud.machines().size();
  Result<ports::Instance> result = cloud.Create(context_.now(), spec);
  if (!result && result.error().code == Code::kMaybeApplied)
    context_.dice.Count(Fault::kCreateUnknown);
  else if (!result)
    CountRefusal(result.error());
  if (cloud.machines().size() > before + 1) context_.dice.Count(Fault::kCreateDoubled);
  for (std::size_t i = before; i < cloud.machines().size(); ++i) {
    const Machine& machine = cloud.machines()[i];
    if (machine.created > context_.now()) context_.dice.Count(Fault::kCreateLate);
    if (machine.failed != kNever)
      context_.dice.Count(machine.fault == Code::kCapacity ? Fault::kCapacityLate
                                                           : Fault::kBootFailed);
  }
  NoteBoots(provider);
  return result;
}

Status Providers::Resume(std::size_t provider, const std::string& instance_id) {
  const Status status = clouds_[provider].Resume(context_.now(), instance_id);
  if (!status) CountRefusal(status.error());
  NoteBoots(provider);
  return status;
}

void Providers::NoteBoots(std::size_t provider) {
  std::vector<bool>& noted = boot_noted_[provider];
  for (const Machine& machine : clouds_[provider].machines()) {
    if (machine.running == kNever && machine.failed == kNever) continue;
    if (noted.size() <= machine.number) noted.resize(machine.number + 1);
    if (noted[machine.number]) continue;
    noted[machine.number] = true;
    if (machine.running == kNever) continue;
    if (machine.died != kNever) context_.dice.Count(Fault::kNodeDied);
    if (machine.died != kNever && machine.gone == machine.died)
      context_.dice.Count(Fault::kInstanceVanished);
    context_.agenda.At(machine.running, EventKind::kBoot, static_cast<std::int32_t>(provider),
                       static_cast<std::int32_t>(machine.number));
  }
}

Result<ports::Inventory> Providers::List(std::size_t provider) {
  simulated::CloudModel& cloud = clouds_[provider];
  Result<ports::Inventory> result = cloud.List(context_.now(), kCluster);
  if (!result) {
    CountRefusal(result.error());
    return result;
  }
  std::size_t existing = 0;
  for (const Machine& machine : cloud.machines()) existing += machine.Exists(context_.now());
  if (existing != result->instances.size()) context_.dice.Count(Fault::kListingStale);
  return result;
}

Result<ports::DeleteProgress> Providers::Delete(std::size_t provider,
                                                const std::string& instance_id,
                                                const std::string& name) {
  simulated::CloudModel& cloud = clouds_[provider];
  Result<ports::DeleteProgress> result = cloud.Delete(context_.now(), instance_id, name, kCluster);
  if (!result) {
    if (result.error().code == Code::kMaybeApplied)
      context_.dice.Count(Fault::kDeleteUnknown);
    else if (result.error().code == Code::kUnavailable)
      context_.dice.Count(Fault::kDeleteRefused);
    return result;
  }
  if (result->instance_gone && !result->left.empty()) context_.dice.Count(Fault::kSideObjectLeft);
  const Machine* machine = cloud.FindMachine(instance_id);
  if (machine != nullptr && machine->shown_deleting_from == context_.now())
    context_.dice.Count(Fault::kDeleteIgnored);
  return result;
}

void Providers::Calm() {
  for (std::size_t i = 0; i < clouds_.size(); ++i) {
    Result<simulated::CloudModel> calm =
        simulated::CloudModel::Decode(Options(i, true), clouds_[i].Encode());
    SPW_CHECK(calm.has_value(), "a cloud reads what it wrote");
    clouds_[i] = std::move(*calm);
  }
}

bool Providers::Empty() const {
  for (const simulated::CloudModel& cloud : clouds_)
    if (!cloud.Left(context_.now()).None()) return false;
  return true;
}

}  // namespace spillway::sim
