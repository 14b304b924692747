#include "control/sweep.h"

#include <algorithm>
#include <string_view>

namespace spillway::control {
namespace {

const BurstNode* LiveNamed(const std::vector<BurstNode>& nodes, std::string_view name) {
  const auto it =
      std::lower_bound(nodes.begin(), nodes.end(), name,
                       [](const BurstNode& n, std::string_view key) { return n.name < key; });
  return it != nodes.end() && it->name == name && it->Live() ? &*it : nullptr;
}

// A side object's id starts with the BurstNode's name ("bn-00007/disk-1"), and MakeBurstNode makes
// the names: a prefix and digits. An id of another form is its own name.
std::string_view OwnerName(std::string_view id) {
  const std::size_t dash = id.find('-');
  if (dash == std::string_view::npos) return id;
  const std::size_t end = id.find_first_not_of("0123456789", dash + 1);
  return end == dash + 1 ? id : id.substr(0, end);
}

struct Sweeper {
  const OrphansSeen& before;
  Time now;
  Sweep out;

  void Found(const std::string& provider, Time read_at, const std::string& id,
             const std::string& instance_id, std::string_view name) {
    const std::string key = provider + "/" + id;
    const auto it = before.find(key);
    const Time first = it == before.end() ? read_at : std::min(it->second, read_at);
    out.seen.emplace(key, first);
    if (read_at - first < kOrphanGrace) return;
    LedgerEntry entry;
    entry.node = name;
    entry.step = "orphan-" + id;
    entry.at = now;
    entry.provider = provider;
    entry.text = "deletes " + id + " at " + provider + ": it has our tag and no live BurstNode";
    out.orphans.push_back(
        {DeleteOrphan{provider, instance_id, std::string(name)}, std::move(entry)});
  }
};

}  // namespace

Sweep SweepOrphans(const std::map<std::string, ports::Inventory>& inventories,
                   const std::vector<BurstNode>& nodes, const OrphansSeen& seen, Time now) {
  Sweeper sweeper{seen, now, {}};
  // Providers that were not listed this time keep what their last listing showed.
  for (const auto& [key, first] : seen)
    if (!inventories.contains(key.substr(0, key.find('/')))) sweeper.out.seen.emplace(key, first);
  for (const auto& [provider, inventory] : inventories) {
    for (const ports::Instance& instance : inventory.instances) {
      const BurstNode* node = LiveNamed(nodes, instance.name);
      const bool ours = node != nullptr && node->offer.provider == provider &&
                        (node->instance_id.empty() || node->instance_id == instance.id);
      if (!ours)
        sweeper.Found(provider, inventory.read_at, instance.id, instance.id, instance.name);
    }
    for (const SideObject& object : inventory.stray) {
      const std::string_view name = OwnerName(object.id);
      const BurstNode* node = LiveNamed(nodes, name);
      const bool ours = node != nullptr && node->offer.provider == provider;
      if (!ours && !object.gone) sweeper.Found(provider, inventory.read_at, object.id, "", name);
    }
  }
  return std::move(sweeper.out);
}

}  // namespace spillway::control
