#include "daemon/measured.h"

#include <type_traits>
#include <utility>

#include "metrics/instruments.h"

namespace spillway::daemon {
namespace {

class MeasuredCloud final : public ports::Cloud {
 public:
  MeasuredCloud(std::string provider, std::shared_ptr<ports::Cloud> cloud)
      : provider_(std::move(provider)), cloud_(std::move(cloud)) {}

  Result<std::vector<Offer>> Offers() override {
    return Call("offers", [&] { return cloud_->Offers(); });
  }
  Status Preflight() override {
    return Call("preflight", [&] { return cloud_->Preflight(); });
  }
  Result<ports::Instance> Create(const ports::InstanceSpec& spec) override {
    return Call("create", [&] { return cloud_->Create(spec); });
  }
  Status Resume(const std::string& instance_id) override {
    return Call("resume", [&] { return cloud_->Resume(instance_id); });
  }
  Result<ports::Inventory> List(const std::string& cluster_id) override {
    return Call("list", [&] { return cloud_->List(cluster_id); });
  }
  Result<ports::DeleteProgress> Delete(const std::string& instance_id, const std::string& name,
                                       const std::string& cluster_id) override {
    return Call("delete", [&] { return cloud_->Delete(instance_id, name, cluster_id); });
  }

 private:
  template <typename F>
  std::invoke_result_t<F> Call(std::string_view call, const F& run) {
    const metrics::Stopwatch watch;
    auto result = run();
    metrics::OfProcess().provider_seconds.Observe(watch.Read(), {provider_, call});
    metrics::OfProcess().provider_calls.Add(
        {provider_, call, result ? "ok" : CodeName(result.error().code)});
    return result;
  }

  const std::string provider_;
  const std::shared_ptr<ports::Cloud> cloud_;
};

}  // namespace

std::shared_ptr<ports::Cloud> Measured(std::string provider, std::shared_ptr<ports::Cloud> cloud) {
  return std::make_shared<MeasuredCloud>(std::move(provider), std::move(cloud));
}

Status MeasuredJournal::Commit(std::vector<BurstNode>& nodes,
                               const std::vector<LedgerEntry>& entries) {
  const metrics::Stopwatch watch;
  Status done = journal_.Commit(nodes, entries);
  commit_ += watch.Read();
  metrics::OfProcess().commit_seconds.Observe(watch.Read());
  if (!done) metrics::OfProcess().commit_failures.Add();
  return done;
}

Result<std::vector<BurstNode>> MeasuredJournal::Nodes(Time gone_since) {
  return journal_.Nodes(gone_since);
}

Result<std::int64_t> MeasuredJournal::LastSerial() {
  return journal_.LastSerial();
}

std::chrono::nanoseconds MeasuredJournal::TakeCommitTime() {
  return std::exchange(commit_, std::chrono::nanoseconds(0));
}

}  // namespace spillway::daemon
