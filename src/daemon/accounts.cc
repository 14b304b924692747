#include "daemon/accounts.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/log.h"
#include "daemon/measured.h"

namespace spillway::daemon {
namespace {

constexpr Duration kReopen{5min};  // of the clock: rest after an account could not be opened

std::string SpecText(const json::value& object) {
  const json::value* spec = Find(object, "spec");
  return spec == nullptr ? "" : json::serialize(*spec);
}

// Equal texts: nothing that a round looks at is different.
std::string TextOf(const ports::Inventory& inventory) {
  std::string text;
  auto side = [&](const SideObject& s) { text += fmt::format("{}:{}:{};", s.kind, s.id, s.gone); };
  for (const ports::Instance& i : inventory.instances) {
    text += fmt::format("{}/{}/{}/{}|", i.id, i.name, static_cast<int>(i.state),
                        i.fault ? i.fault->message : "");
    for (const SideObject& s : i.side_objects) side(s);
  }
  for (const SideObject& s : inventory.stray) side(s);
  return text;
}

}  // namespace

Accounts::Accounts(std::string cluster_id, const Clock& clock, CloudFactory factory)
    : cluster_id_(std::move(cluster_id)), clock_(clock), factory_(std::move(factory)) {}

void Accounts::Sync(const std::vector<store::ObjectPtr>& providers,
                    const std::vector<std::string>& in_use) {
  std::vector<store::ObjectPtr> to_open;
  {
    const std::lock_guard lock(mutex_);
    const Duration now = clock_.SteadyNow();
    const auto used = [&](const std::string& name) {
      return std::find(in_use.begin(), in_use.end(), name) != in_use.end();
    };
    std::erase_if(accounts_, [&](const auto& entry) {
      const auto& [name, account] = entry;
      const auto it = std::find_if(providers.begin(), providers.end(),
                                   [&](const auto& p) { return p->key.name == name; });
      const bool same = it != providers.end() && SpecText((*it)->body) == account.spec;
      const bool retry = !account.opened.cloud && now - account.opened_at >= kReopen;
      return (!same && !used(name)) || retry;
    });
    for (const store::ObjectPtr& provider : providers)
      if (!accounts_.contains(provider->key.name)) to_open.push_back(provider);
  }
  // Opening blocks: no lock is held. Only the polling thread opens.
  for (const store::ObjectPtr& provider : to_open) {
    Account account;
    account.spec = SpecText(provider->body);
    account.opened_at = clock_.SteadyNow();
    Result<OpenedCloud> opened = factory_(provider->body);
    if (opened) {
      account.opened = std::move(*opened);
      account.opened.cloud = Measured(provider->key.name, std::move(account.opened.cloud));
    } else {
      account.polled = true;
      account.not_ready = opened.error().message;
      log::Warn("a cloud account cannot be opened",
                {{"provider", provider->key.name}, {"error", account.not_ready}});
    }
    const std::lock_guard lock(mutex_);
    accounts_.insert_or_assign(provider->key.name, std::move(account));
  }
}

bool Accounts::Tick() {
  std::vector<std::function<Result<bool>()>> ticks;
  {
    const std::lock_guard lock(mutex_);
    for (const auto& [name, account] : accounts_)
      if (account.opened.tick) ticks.push_back(account.opened.tick);
  }
  bool changed = false;
  for (const auto& tick : ticks) {
    const Result<bool> result = tick();
    if (!result) log::Warn("a simulated cloud failed", {{"error", result.error().message}});
    changed = changed || (result && *result);
  }
  return changed;
}

bool Accounts::Poll(const std::vector<std::string>& names, Duration offers_age) {
  struct Work {
    std::string name;
    OpenedCloud opened;
    bool read_offers;
  };
  std::vector<Work> work;
  {
    const std::lock_guard lock(mutex_);
    for (const auto& [name, account] : accounts_) {
      if (!account.opened.cloud) continue;
      const bool read_offers =
          !account.offers_read || clock_.Now() - *account.offers_read >= offers_age;
      if (!names.empty() && !read_offers &&
          std::find(names.begin(), names.end(), name) == names.end())
        continue;
      work.push_back({name, account.opened, read_offers});
    }
  }
  bool changed = false;
  for (const Work& w : work) changed = PollOne(w.name, w.opened, w.read_offers) || changed;
  return changed;
}

bool Accounts::PollOne(const std::string& name, const OpenedCloud& opened, bool read_offers) {
  // The calls block: no lock is held.
  const Time asked = clock_.Now();
  Result<ports::Inventory> inventory = opened.cloud->List(cluster_id_);
  std::optional<Result<std::vector<Offer>>> offers;
  Status ready = Ok();
  if (read_offers) {
    ready = opened.cloud->Preflight();
    offers = opened.cloud->Offers();
  }
  const std::lock_guard lock(mutex_);
  const auto it = accounts_.find(name);
  if (it == accounts_.end() || it->second.opened.cloud != opened.cloud) return false;
  Account& account = it->second;
  bool changed = !account.polled;
  account.polled = true;
  if (inventory) {
    inventory->read_at = asked;
    std::string text = TextOf(*inventory);
    changed = changed || !account.inventory || text != account.inventory_text;
    account.inventory_text = std::move(text);
    account.inventory = std::move(*inventory);
    if (account.list_failed) account.not_ready.clear();
    account.list_failed = false;
  } else {
    if (!account.list_failed)
      log::Warn("an account cannot be listed",
                {{"provider", name}, {"error", inventory.error().message}});
    account.list_failed = true;
    account.not_ready = inventory.error().message;
  }
  if (offers && *offers) {
    changed = true;
    account.offers = std::move(**offers);
    account.offers_read = asked;
  }
  if (read_offers && !account.list_failed) {
    const Error* problem = !ready                 ? &ready.error()
                           : (offers && !*offers) ? &offers->error()
                                                  : nullptr;
    account.not_ready = problem == nullptr ? "" : problem->message;
  }
  return changed;
}

bool Accounts::Tunnelled(const std::string& provider) const {
  const std::lock_guard lock(mutex_);
  const auto it = accounts_.find(provider);
  return it != accounts_.end() && it->second.opened.tunnelled;
}

std::shared_ptr<ports::Cloud> Accounts::Find(const std::string& provider) const {
  const std::lock_guard lock(mutex_);
  const auto it = accounts_.find(provider);
  return it == accounts_.end() ? nullptr : it->second.opened.cloud;
}

std::map<std::string, ports::Inventory> Accounts::Inventories() const {
  const std::lock_guard lock(mutex_);
  std::map<std::string, ports::Inventory> out;
  for (const auto& [name, account] : accounts_)
    if (account.inventory) out.emplace(name, *account.inventory);
  return out;
}

std::vector<Offer> Accounts::Offers() const {
  std::vector<Offer> out;
  {
    const std::lock_guard lock(mutex_);
    for (const auto& [name, account] : accounts_)
      out.insert(out.end(), account.offers.begin(), account.offers.end());
  }
  std::sort(out.begin(), out.end(),
            [](const Offer& a, const Offer& b) { return a.Key() < b.Key(); });
  return out;
}

std::map<std::string, std::string> Accounts::NotReady() const {
  const std::lock_guard lock(mutex_);
  std::map<std::string, std::string> out;
  for (const auto& [name, account] : accounts_)
    if (!account.not_ready.empty()) out.emplace(name, account.not_ready);
  return out;
}

bool Accounts::AllPolled() const {
  const std::lock_guard lock(mutex_);
  return std::all_of(accounts_.begin(), accounts_.end(),
                     [](const auto& a) { return a.second.polled; });
}

std::vector<std::string> Accounts::Names() const {
  const std::lock_guard lock(mutex_);
  std::vector<std::string> out;
  for (const auto& [name, account] : accounts_) out.push_back(name);
  return out;
}

}  // namespace spillway::daemon
