#include "sim/gateway_model.h"

#include <algorithm>

namespace spillway::sim {

void GatewayModel::Prepare(const std::string& node, Time ready_at, bool fails) {
  Run& run = runs_[node];
  if (run.key != Key::kNone || run.failed) return;
  if (fails) {
    run.failed = true;
    return;
  }
  run.key = Key::kAlive;
  run.prepared_at = ready_at;
}

void GatewayModel::DestroyKey(const std::string& node, Time at) {
  Run& run = runs_[node];
  if (run.key == Key::kDestroyed) return;
  run.key = Key::kDestroyed;
  run.destroyed_at = at;
}

void GatewayModel::Certify(const std::string& node, bool loss) {
  Run& run = runs_[node];
  if (!run.certificate.empty()) return;
  run.certificate = node + ".json";
  run.certified_loss = loss;
}

bool GatewayModel::Receive(const std::string& node, int pod) {
  Run& run = runs_[node];
  if (run.key != Key::kAlive) return false;  // it cannot be opened any more
  if (!Has(node, pod)) run.results.push_back(pod);
  return true;
}

const Run* GatewayModel::Find(const std::string& node) const {
  const auto it = runs_.find(node);
  return it == runs_.end() ? nullptr : &it->second;
}

bool GatewayModel::KeyAlive(const std::string& node) const {
  const Run* run = Find(node);
  return run != nullptr && run->key == Key::kAlive;
}

bool GatewayModel::Has(const std::string& node, int pod) const {
  const Run* run = Find(node);
  return run != nullptr &&
         std::find(run->results.begin(), run->results.end(), pod) != run->results.end();
}

control::RunReport GatewayModel::Report(const std::string& node, Time now) const {
  control::RunReport report;
  const Run* run = Find(node);
  if (run == nullptr) return report;
  report.prepared = run->key == Key::kAlive && run->prepared_at <= now;
  if (run->failed) report.failed = Error{Code::kNotFound, "the source is missing", {}};
  report.bytes_in = report.prepared ? 1 << 20 : 0;
  report.bytes_out = static_cast<std::int64_t>(run->results.size()) << 20;
  report.results_receipted = static_cast<int>(run->results.size());
  report.key_destroyed = run->key == Key::kDestroyed;
  report.key_destroyed_at = run->destroyed_at;
  report.certificate = run->certificate;
  return report;
}

}  // namespace spillway::sim
