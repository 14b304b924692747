// GatewayModel: keys, receipts and results of the runs, one per BurstNode. Durable: what it said is
// on disk.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "control/observation.h"

namespace spillway::sim {

enum class Key : std::uint8_t { kNone, kAlive, kDestroyed };

struct Run {
  Key key = Key::kNone;
  Time prepared_at{};  // sealing takes a while
  bool failed = false;
  Time destroyed_at{};
  std::vector<int> results;  // pods whose result is here, receipted
  std::string certificate;
  bool certified_loss = false;
};

class GatewayModel {
 public:
  // A run whose key was destroyed is never prepared again.
  void Prepare(const std::string& node, Time ready_at, bool fails);
  void DestroyKey(const std::string& node, Time at);
  void Certify(const std::string& node, bool loss);
  // True: stored and receipted (again, if it was here before).
  bool Receive(const std::string& node, int pod);

  const Run* Find(const std::string& node) const;
  bool KeyAlive(const std::string& node) const;
  bool Has(const std::string& node, int pod) const;
  // `at` of DestroyKey is in the site's time; `now` is the true time, which sealing takes.
  control::RunReport Report(const std::string& node, Time now) const;

 private:
  std::map<std::string, Run> runs_;
};

}  // namespace spillway::sim
