// Accounts: one cloud adapter per CloudProvider object, with its newest listing and offers.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "ports/cloud.h"
#include "store/store.h"

namespace spillway::daemon {

// Made by apps, which alone know the adapters.
struct OpenedCloud {
  std::shared_ptr<ports::Cloud> cloud;
  // Lets a simulated cloud's time pass; empty for real ones. True: something changed.
  std::function<Result<bool>()> tick;
  // Its machines are bare and dial home through the tunnel: their user data is a first boot.
  // Otherwise it is JSON for a spillway-node that somebody else starts.
  bool tunnelled = false;
};
using CloudFactory = std::function<Result<OpenedCloud>(const json::value& cloud_provider)>;

// Thread-safe.
class Accounts {
 public:
  Accounts(std::string cluster_id, const Clock& clock, CloudFactory factory);

  // Opens an adapter for every new CloudProvider object and closes those whose object is gone and
  // that have no live node (names in `in_use`). A changed object is opened anew under the same
  // rule.
  void Sync(const std::vector<store::ObjectPtr>& providers, const std::vector<std::string>& in_use);

  // Ticks simulated clouds. True: look again now.
  bool Tick();
  // Lists every account named in `names` (all if empty) and refreshes offers that are older than
  // `offers_age` of the clock. Blocks. True: something is different from the last listing.
  bool Poll(const std::vector<std::string>& names, Duration offers_age);

  std::shared_ptr<ports::Cloud> Find(const std::string& provider) const;  // nullptr: none
  bool Tunnelled(const std::string& provider) const;
  std::map<std::string, ports::Inventory> Inventories() const;
  std::vector<Offer> Offers() const;                    // of all accounts, by Key()
  std::map<std::string, std::string> NotReady() const;  // provider -> why
  std::vector<std::string> Names() const;
  // Every account was listed once, or is known not to answer.
  bool AllPolled() const;
  const std::string& cluster_id() const { return cluster_id_; }

 private:
  struct Account {
    std::string spec;  // canonical text of what it was opened from
    OpenedCloud opened;
    std::optional<ports::Inventory> inventory;
    std::string inventory_text;  // to tell changes
    std::vector<Offer> offers;
    std::optional<Time> offers_read;
    std::string not_ready;
    bool polled = false;
    bool list_failed = false;
    Duration opened_at{0};  // steady time of the last try
  };
  bool PollOne(const std::string& name, const OpenedCloud& opened, bool read_offers);

  const std::string cluster_id_;
  const Clock& clock_;
  const CloudFactory factory_;
  mutable std::mutex mutex_;
  std::map<std::string, Account> accounts_;
};

}  // namespace spillway::daemon
