#include "daemon/tunnels.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "base/log.h"
#include "tunnel/key.h"

namespace spillway::daemon {
namespace {

constexpr const char* kKind = "Tunnel";

tunnel::Network One(std::uint32_t address) {
  return {address, 32};
}

}  // namespace

Result<std::unique_ptr<Tunnels>> Tunnels::Open(TunnelOptions options, store::Store& store,
                                               const std::vector<std::string>& live) {
  std::unique_ptr<Tunnels> tunnels(new Tunnels(std::move(options), store));
  SPW_TRY(tunnels->Load(live));
  return tunnels;
}

Status Tunnels::Load(const std::vector<std::string>& live) {
  std::set<std::string> keys;
  for (const store::ObjectPtr& object : store_.List(kKind)) {
    const std::string& node = object->key.name;
    const Record record{static_cast<int>(IntOr(object->body, "index", -1)),
                        std::string(StringOr(object->body, "bootKey", "")),
                        std::string(StringOr(object->body, "nodeKey", ""))};
    const bool fits = record.index >= 0 && record.index < options_.addresses.most();
    if (!fits || std::ranges::find(live, node) == live.end()) {
      SPW_TRY(store_.Apply({{object->key, {}, std::nullopt, true}}));
      continue;
    }
    SPW_TRY(SetBoot(record));
    SPW_TRY(SetNode(record));
    keys.insert({record.boot_key, record.node_key});
    records_[node] = record;
  }
  return options_.hub->KeepOnly(keys);
}

Status Tunnels::SetBoot(const Record& record) {
  if (record.boot_key.empty()) return Ok();
  return options_.hub->Set({record.boot_key, {One(options_.addresses.boot(record.index))}});
}

Status Tunnels::SetNode(const Record& record) {
  if (record.node_key.empty()) return Ok();
  tunnel::Peer peer{record.node_key, {One(options_.addresses.node(record.index))}};
  if (options_.addresses.has_pods())
    peer.networks.push_back(options_.addresses.pods_of(record.index));
  return options_.hub->Set(peer);
}

Status Tunnels::Write(const std::string& node, const Record& record) {
  SPW_TRY(store_.Apply(
      {{{kKind, "", node},
        json::object{
            {"index", record.index}, {"bootKey", record.boot_key}, {"nodeKey", record.node_key}},
        std::nullopt}}));
  records_[node] = record;
  return Ok();
}

Result<int> Tunnels::FreeIndex() const {
  std::set<int> taken;
  for (const auto& [node, record] : records_) taken.insert(record.index);
  for (int index = 0; index < options_.addresses.most(); ++index)
    if (!taken.contains(index)) return index;
  return Fail(Code::kQuota, fmt::format("all {} addresses of the tunnel are taken: a larger "
                                        "--tunnel-network or --tunnel-pods has more",
                                        options_.addresses.most()));
}

Result<door::TunnelGrant> Tunnels::Grant(const std::string& node) {
  const std::lock_guard lock(mutex_);
  Record record;
  if (const auto known = records_.find(node); known != records_.end()) {
    record = known->second;
    SPW_TRY(options_.hub->Remove(record.boot_key));
  } else {
    SPW_ASSIGN(record.index, FreeIndex());
  }
  tunnel::KeyPair pair = tunnel::NewKeyPair();
  record.boot_key = pair.public_key;
  // Known before it works, so that a crash leaves no peer that nobody removes.
  SPW_TRY(Write(node, record));
  SPW_TRY(SetBoot(record));
  const tunnel::AddressPlan& plan = options_.addresses;
  return door::TunnelGrant{options_.endpoint,
                           options_.hub->public_key(),
                           tunnel::AddressText(plan.hub()),
                           std::move(pair.private_key),
                           tunnel::AddressText(plan.boot(record.index)),
                           tunnel::AddressText(plan.node(record.index)),
                           options_.networks};
}

Result<std::string> Tunnels::PodNetwork(const std::string& node) const {
  const std::lock_guard lock(mutex_);
  const auto known = records_.find(node);
  if (known == records_.end()) return Fail(Code::kNotFound, node + " has no tunnel");
  if (!options_.addresses.has_pods()) return "";
  return options_.addresses.pods_of(known->second.index).Text();
}

Status Tunnels::Enroll(const std::string& node, const std::string& public_key) {
  if (!tunnel::IsKey(public_key))
    return Fail(Code::kInvalid, "tunnelKey is no public key of WireGuard");
  const std::lock_guard lock(mutex_);
  const auto known = records_.find(node);
  if (known == records_.end()) return Fail(Code::kNotFound, node + " has no tunnel");
  for (const auto& [name, record] : records_)
    if (record.boot_key == public_key || (name != node && record.node_key == public_key))
      return Fail(Code::kInvalid, "tunnelKey is another peer's");
  Record record = known->second;
  if (record.node_key != public_key) SPW_TRY(options_.hub->Remove(record.node_key));
  record.node_key = public_key;
  SPW_TRY(Write(node, record));
  return SetNode(record);
}

void Tunnels::Settle(const std::string& node) {
  const std::lock_guard lock(mutex_);
  const auto known = records_.find(node);
  if (known == records_.end() || known->second.boot_key.empty() || known->second.node_key.empty())
    return;
  Record record = known->second;
  Status ended = options_.hub->Remove(record.boot_key);
  record.boot_key.clear();
  if (ended) ended = Write(node, record);
  if (!ended)
    log::Warn("a boot key of the tunnel stays; the next heartbeat ends it",
              {{"node", node}, {"why", ended.error().message}});
}

Status Tunnels::Remove(const std::string& node) {
  const std::lock_guard lock(mutex_);
  const auto known = records_.find(node);
  if (known == records_.end()) return Ok();
  SPW_TRY(options_.hub->Remove(known->second.boot_key));
  SPW_TRY(options_.hub->Remove(known->second.node_key));
  SPW_TRY(store_.Apply({{{kKind, "", node}, {}, std::nullopt, true}}));
  records_.erase(known);
  return Ok();
}

int Tunnels::peers() const {
  const std::lock_guard lock(mutex_);
  return static_cast<int>(records_.size());
}

}  // namespace spillway::daemon
