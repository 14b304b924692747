#include "model/decode_volumes.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "base/quantity.h"
#include "model/decode.h"
#include "model/decode_parts.h"

namespace spillway {
namespace {

constexpr std::string_view kZone = "topology.kubernetes.io/zone";
constexpr std::string_view kRegion = "topology.kubernetes.io/region";
constexpr std::string_view kOldZone = "failure-domain.beta.kubernetes.io/zone";
constexpr std::string_view kOldRegion = "failure-domain.beta.kubernetes.io/region";

// Volume types of old that have rules of their own in kube-scheduler, or are counted as CSI volumes
// of another name.
constexpr std::array<std::string_view, 9> kOldTypes = {
    "gcePersistentDisk", "awsElasticBlockStore", "rbd", "iscsi", "azureDisk", "azureFile", "cinder",
    "vsphereVolume",     "portworxVolume"};

std::string_view Annotation(const json::value& object, std::string_view key) {
  const json::value* all = FindPath(object, {"metadata", "annotations"});
  return all == nullptr ? std::string_view() : StringOr(*all, key, "");
}

const json::value& Spec(const json::value& object) {
  static const json::value kNone = json::object{};
  const json::value* spec = Find(object, "spec");
  return spec == nullptr ? kNone : *spec;
}

std::string_view ClassOf(const json::value& object) {
  const std::string_view old = Annotation(object, "volume.beta.kubernetes.io/storage-class");
  return old.empty() ? StringOr(Spec(object), "storageClassName", "") : old;
}

bool HasMode(const json::value& object, std::string_view mode) {
  const std::vector<std::string> modes = DecodeStrings(Spec(object), "accessModes");
  return std::find(modes.begin(), modes.end(), mode) != modes.end();
}

std::int64_t Storage(const json::value* amount) {
  return amount == nullptr ? 0 : ParseWhole(QuantityText(*amount)).value_or(0);
}

void Nowhere(PodShape& shape, std::string why) {
  if (shape.nowhere.empty()) shape.nowhere = std::move(why);
}

void NotUnderstood(PodShape& shape, std::string what) {
  if (std::find(shape.not_understood.begin(), shape.not_understood.end(), what) ==
      shape.not_understood.end())
    shape.not_understood.push_back(std::move(what));
}

// spec.nodeAffinity of a PersistentVolume; a volume without one can be used anywhere.
Status AddNodeAffinity(const json::value& volume, VolumeRule& rule) {
  const json::value* required = FindPath(Spec(volume), {"nodeAffinity", "required"});
  if (required == nullptr) {
    rule.any_node = true;
    return Ok();
  }
  if (const json::array* terms = FindArray(*required, "nodeSelectorTerms"))
    for (const json::value& term : *terms) {
      SPW_ASSIGN(SelectorTerm decoded, DecodeSelectorTerm(term));
      // kube-scheduler compares volumes with the labels of a node only: it passes over matchFields.
      rule.any_node |= decoded.labels.empty() && !decoded.fields.empty();
      decoded.fields.clear();
      rule.terms.push_back(std::move(decoded));
    }
  return Ok();
}

// "a__b" names two zones. An empty name makes the label void, as in Kubernetes.
std::vector<std::string> ZonesOf(std::string_view text) {
  std::vector<std::string> zones;
  for (std::size_t at = 0; at <= text.size();) {
    const std::size_t end = std::min(text.find("__", at), text.size());
    std::string_view zone = text.substr(at, end - at);
    while (!zone.empty() && zone.front() == ' ') zone.remove_prefix(1);
    while (!zone.empty() && zone.back() == ' ') zone.remove_suffix(1);
    if (zone.empty()) return {};
    zones.emplace_back(zone);
    at = end + 2;
  }
  return zones;
}

// Labels of a volume name its zone and region. A node without any such label takes every volume; a
// label of old on the volume also matches today's label of the node.
void AddZoneRule(const json::value& volume, PodShape& shape) {
  const Labels labels = DecodeLabels(FindPath(volume, {"metadata", "labels"}));
  std::vector<SelectorTerm> terms(1);
  for (const auto& [key, today] : {std::pair(kOldZone, kZone), std::pair(kOldRegion, kRegion),
                                   std::pair(kZone, kZone), std::pair(kRegion, kRegion)}) {
    const auto it = labels.find(key);
    const std::vector<std::string> zones =
        it == labels.end() ? std::vector<std::string>() : ZonesOf(it->second);
    if (zones.empty()) continue;
    std::vector<SelectorTerm> grown;
    for (const SelectorTerm& term : terms) {
      grown.push_back(term);
      grown.back().labels.push_back({std::string(key), SelectorOperator::kIn, zones});
      if (key == today) continue;
      grown.push_back(term);
      grown.back().labels.push_back({std::string(key), SelectorOperator::kDoesNotExist, {}});
      grown.back().labels.push_back({std::string(today), SelectorOperator::kIn, zones});
    }
    terms = std::move(grown);
  }
  if (terms.front().labels.empty()) return;
  SelectorTerm unlabelled;
  for (const std::string_view key : {kOldZone, kOldRegion, kZone, kRegion})
    unlabelled.labels.push_back({std::string(key), SelectorOperator::kDoesNotExist, {}});
  terms.push_back(std::move(unlabelled));
  shape.volume_rules.push_back({"", false, std::move(terms)});
}

// What the class can make: everything, or what fits its allowedTopologies; nothing without a
// provisioner.
void AddProvisioning(const json::value& storage_class, VolumeRule& rule) {
  const std::string_view provisioner = StringOr(storage_class, "provisioner", "");
  if (provisioner.empty() || provisioner == "kubernetes.io/no-provisioner") return;
  const json::array* topologies = FindArray(storage_class, "allowedTopologies");
  if (topologies == nullptr || topologies->empty()) {
    rule.any_node = true;
    return;
  }
  for (const json::value& topology : *topologies) {
    SelectorTerm term;
    if (const json::array* expressions = FindArray(topology, "matchLabelExpressions"))
      for (const json::value& expression : *expressions)
        term.labels.push_back({std::string(StringOr(expression, "key", "")), SelectorOperator::kIn,
                               DecodeStrings(expression, "values")});
    rule.terms.push_back(std::move(term));
  }
}

bool BoundTo(const json::value& volume, std::string_view ns, std::string_view name,
             std::string_view uid) {
  const json::value* ref = Find(Spec(volume), "claimRef");
  if (ref == nullptr || StringOr(*ref, "name", "") != name || StringOr(*ref, "namespace", "") != ns)
    return false;
  const std::string_view owner = StringOr(*ref, "uid", "");
  return owner.empty() || owner == uid;
}

// An ephemeral volume's claim must belong to the pod.
bool OwnedBy(const json::value& claim, std::string_view pod_uid) {
  const json::value* metadata = Find(claim, "metadata");
  const json::array* owners =
      metadata == nullptr ? nullptr : FindArray(*metadata, "ownerReferences");
  if (owners == nullptr) return false;
  return std::any_of(owners->begin(), owners->end(), [&](const json::value& owner) {
    return BoolOr(owner, "controller", false) && StringOr(owner, "uid", "") == pod_uid;
  });
}

}  // namespace

VolumeBook::VolumeBook(const PodObjects& objects) {
  for (const json::value* claim : objects.claims)
    claims_.emplace(fmt::format("{}/{}", NamespaceOf(*claim), NameOf(*claim)), claim);
  for (const json::value* volume : objects.volumes) {
    volumes_.emplace(NameOf(*volume), volume);
    volumes_of_class_[std::string(ClassOf(*volume))].push_back(volume);
  }
  for (const json::value* item : objects.storage_classes) classes_.emplace(NameOf(*item), item);
  for (const json::value* item : objects.csi_drivers) drivers_.emplace(NameOf(*item), item);
}

Status VolumeBook::Describe(const json::value& pod, PodShape& shape) const {
  const json::array* volumes = FindArray(Spec(pod), "volumes");
  if (volumes == nullptr) return Ok();
  const json::value* metadata = Find(pod, "metadata");
  std::set<std::string> wanted;  // volumes that its unbound claims may be bound to
  for (const json::value& volume : *volumes) {
    for (const std::string_view type : kOldTypes)
      if (Find(volume, type) != nullptr) NotUnderstood(shape, fmt::format("volumes.{}", type));
    Use use;
    std::string name;
    if (const json::value* claim = Find(volume, "persistentVolumeClaim")) {
      name = StringOr(*claim, "claimName", "");
    } else if (Find(volume, "ephemeral") != nullptr) {
      name = fmt::format("{}-{}", NameOf(pod), StringOr(volume, "name", ""));
      use.ephemeral = true;
    } else {
      continue;
    }
    use.key = fmt::format("{}/{}", NamespaceOf(pod), name);
    const auto it = claims_.find(use.key);
    if (it == claims_.end()) {
      Nowhere(shape, fmt::format("persistentvolumeclaim \"{}\" not found", name));
      continue;
    }
    use.claim = it->second;
    if (use.ephemeral && !OwnedBy(*use.claim, metadata ? StringOr(*metadata, "uid", "") : ""))
      Nowhere(shape, fmt::format("persistentvolumeclaim \"{}\" was not created for the pod", name));
    SPW_TRY(DescribeClaim(use, shape, wanted));
  }
  std::sort(shape.volume_rules.begin(), shape.volume_rules.end());
  std::sort(shape.exclusive_claims.begin(), shape.exclusive_claims.end());
  shape.exclusive_claims.erase(
      std::unique(shape.exclusive_claims.begin(), shape.exclusive_claims.end()),
      shape.exclusive_claims.end());
  std::sort(shape.attached.begin(), shape.attached.end());
  shape.attached.erase(std::unique(shape.attached.begin(), shape.attached.end()),
                       shape.attached.end());
  return Ok();
}

Status VolumeBook::DescribeClaim(const Use& use, PodShape& shape,
                                 std::set<std::string>& wanted) const {
  const json::value& claim = *use.claim;
  const std::string_view name = NameOf(claim);
  if (const json::value* phase = FindPath(claim, {"status", "phase"});
      phase != nullptr && phase->is_string() && View(phase->get_string()) == "Lost")
    Nowhere(shape,
            fmt::format("persistentvolumeclaim \"{}\" is bound to a volume that is gone", name));
  if (FindPath(claim, {"metadata", "deletionTimestamp"}) != nullptr)
    Nowhere(shape, fmt::format("persistentvolumeclaim \"{}\" is being deleted", name));
  DescribeAttached(use, shape);
  if (!use.ephemeral && HasMode(claim, "ReadWriteOncePod"))
    shape.exclusive_claims.push_back(use.key);
  const json::value* annotations = FindPath(claim, {"metadata", "annotations"});
  const bool complete =
      annotations != nullptr && Find(*annotations, "pv.kubernetes.io/bind-completed") != nullptr;
  const bool has_volume = !StringOr(Spec(claim), "volumeName", "").empty();
  if (has_volume && complete) return DescribeBound(use, shape);
  // Datasets and results places are ours: they come to wherever the pod runs.
  if (!Annotation(claim, "spillway.dev/dataset").empty() ||
      !Annotation(claim, "spillway.dev/results").empty())
    return Ok();
  const auto it = classes_.find(ClassOf(claim));
  if (has_volume || it == classes_.end() ||
      StringOr(*it->second, "volumeBindingMode", "Immediate") != "WaitForFirstConsumer") {
    Nowhere(shape, "pod has unbound immediate PersistentVolumeClaims");
    return Ok();
  }
  return DescribeUnbound(use, shape, wanted);
}

Status VolumeBook::DescribeBound(const Use& use, PodShape& shape) const {
  const std::string_view name = StringOr(Spec(*use.claim), "volumeName", "");
  const auto it = volumes_.find(name);
  if (it == volumes_.end()) {
    Nowhere(shape, fmt::format("persistentvolume \"{}\" not found", name));
    return Ok();
  }
  const json::value& volume = *it->second;
  for (const std::string_view type : kOldTypes)
    if (Find(Spec(volume), type) != nullptr)
      NotUnderstood(shape, fmt::format("a volume of type {}", type));
  VolumeRule rule;
  SPW_TRY(AddNodeAffinity(volume, rule));
  if (!rule.any_node) shape.volume_rules.push_back(std::move(rule));
  if (!use.ephemeral) AddZoneRule(volume, shape);
  return Ok();
}

void VolumeBook::DescribeAttached(const Use& use, PodShape& shape) const {
  if (const auto it = volumes_.find(StringOr(Spec(*use.claim), "volumeName", ""));
      it != volumes_.end()) {
    if (const json::value* csi = Find(Spec(*it->second), "csi"))
      shape.attached.push_back({std::string(StringOr(*csi, "driver", "")),
                                std::string(StringOr(*csi, "volumeHandle", ""))});
    return;
  }
  // Of a claim whose volume is not there yet, or no more, the class tells the driver.
  const auto it = classes_.find(ClassOf(*use.claim));
  if (it != classes_.end())
    shape.attached.push_back(
        {std::string(StringOr(*it->second, "provisioner", "")), "claim " + use.key});
}

Status VolumeBook::DescribeUnbound(const Use& use, PodShape& shape,
                                   std::set<std::string>& wanted) const {
  const json::value& claim = *use.claim;
  const std::string_view class_name = ClassOf(claim);
  const json::value& storage_class = *classes_.find(class_name)->second;
  const std::string provisioner(StringOr(storage_class, "provisioner", ""));
  if (const auto driver = drivers_.find(provisioner);
      driver != drivers_.end() && BoolOr(Spec(*driver->second), "storageCapacity", false))
    NotUnderstood(shape, "CSIStorageCapacity");
  VolumeRule rule;
  rule.node = Annotation(claim, "volume.kubernetes.io/selected-node");
  if (rule.node.empty())
    for (const json::value* candidate : Candidates(claim, class_name)) {
      SPW_TRY(AddNodeAffinity(*candidate, rule));
      // Which of the claims would get it is the scheduler's choice.
      if (!wanted.insert(std::string(NameOf(*candidate))).second)
        NotUnderstood(shape, "several unbound claims for the same volumes");
    }
  AddProvisioning(storage_class, rule);
  if (rule.any_node) rule.terms.clear();
  if (!rule.any_node || !rule.node.empty()) shape.volume_rules.push_back(std::move(rule));
  return Ok();
}

std::vector<const json::value*> VolumeBook::Candidates(const json::value& claim,
                                                       std::string_view class_name) const {
  std::vector<const json::value*> out;
  const auto it = volumes_of_class_.find(class_name);
  if (it == volumes_of_class_.end()) return out;
  const std::string_view ns = NamespaceOf(claim), name = NameOf(claim);
  const json::value* metadata = Find(claim, "metadata");
  const std::string_view uid = metadata == nullptr ? "" : StringOr(*metadata, "uid", "");
  const std::int64_t size = Storage(FindPath(Spec(claim), {"resources", "requests", "storage"}));
  const json::value* selector = Find(Spec(claim), "selector");
  const auto chosen = selector ? DecodeLabelSelector(*selector) : std::vector<Requirement>();
  for (const json::value* volume : it->second) {
    const json::value& spec = Spec(*volume);
    const bool ours = BoundTo(*volume, ns, name, uid);
    if ((Find(spec, "claimRef") != nullptr && !ours) ||
        Storage(FindPath(spec, {"capacity", "storage"})) < size ||
        StringOr(spec, "volumeMode", "Filesystem") !=
            StringOr(Spec(claim), "volumeMode", "Filesystem") ||
        StringOr(spec, "volumeAttributesClassName", "") !=
            StringOr(Spec(claim), "volumeAttributesClassName", "") ||
        FindPath(*volume, {"metadata", "deletionTimestamp"}) != nullptr)
      continue;
    if (ours) return {volume};
    const json::value* status = Find(*volume, "status");
    const Labels labels = DecodeLabels(FindPath(*volume, {"metadata", "labels"}));
    const std::vector<std::string> modes = DecodeStrings(Spec(claim), "accessModes");
    if (status == nullptr || StringOr(*status, "phase", "") != "Available" || !chosen ||
        !std::all_of(chosen->begin(), chosen->end(),
                     [&](const Requirement& r) { return Matches(r, labels); }) ||
        !std::all_of(modes.begin(), modes.end(),
                     [&](const std::string& mode) { return HasMode(*volume, mode); }))
      continue;
    out.push_back(volume);
  }
  return out;
}

std::map<std::string, std::int32_t> DecodeVolumeLimits(const json::value& csi_node) {
  std::map<std::string, std::int32_t> limits;
  if (const json::array* drivers = FindArray(Spec(csi_node), "drivers"))
    for (const json::value& driver : *drivers)
      if (const json::value* count = FindPath(driver, {"allocatable", "count"});
          count != nullptr && count->is_int64())
        limits[std::string(StringOr(driver, "name", ""))] =
            static_cast<std::int32_t>(count->get_int64());
  return limits;
}

}  // namespace spillway
