#include "plan/items.h"

#include <algorithm>

namespace spillway::plan {

Item ItemMaker::Make(std::int32_t pod_index, int policy) {
  const Snapshot& snapshot = index_.snapshot;
  const Pod& pod = snapshot.pods[static_cast<std::size_t>(pod_index)];
  const Workload& workload = snapshot.workloads[static_cast<std::size_t>(pod.workload)];
  Item item;
  item.pod = pod_index;
  item.workload = pod.workload;
  item.shape = pod.shape;
  item.input_bytes = workload.input_bytes;
  item.own_bytes = pod.shards.empty() ? 0 : workload.shard_bytes;
  item.result_bytes = workload.output_bytes_guess;
  item.run = ExpectedRun(workload, index_.options);
  item.worst_run = WorstRun(workload, snapshot.policies[static_cast<std::size_t>(policy)]);
  item.input = inputs_
                   .try_emplace({workload.data_class_source, workload.input_bytes},
                                static_cast<int>(inputs_.size()))
                   .first->second;
  item.kind = kinds_
                  .try_emplace({item.shape, item.input, item.own_bytes, item.result_bytes, item.run,
                                item.worst_run},
                               static_cast<int>(kinds_.size()))
                  .first->second;
  return item;
}

void SortForPacking(const Index& index, std::vector<Item>& items) {
  auto gpus = [&](const Item& item) {
    return index.snapshot.shapes[static_cast<std::size_t>(item.shape)].requests.gpus;
  };
  std::stable_sort(items.begin(), items.end(), [&](const Item& a, const Item& b) {
    return std::tuple(-gpus(a), -a.run, -a.worst_run, a.kind) <
           std::tuple(-gpus(b), -b.run, -b.worst_run, b.kind);
  });
}

Bundle BundleOf(const Index& index, const std::vector<Item>& items, int first, int count) {
  Bundle bundle;
  for (int i = first; i < first + count; ++i) {
    const Item& item = items[static_cast<std::size_t>(i)];
    bundle.load.run = std::max(bundle.load.run, item.run);
    bundle.load.worst_run = std::max(bundle.load.worst_run, item.worst_run);
    bundle.load.result_bytes += item.result_bytes;
    bundle.requests += index.snapshot.shapes[static_cast<std::size_t>(item.shape)].requests;
    bundle.load.stage_bytes += item.own_bytes;
    bool seen = item.input_bytes == 0;
    for (int j = first; j < i && !seen; ++j)
      seen = items[static_cast<std::size_t>(j)].input == item.input;
    if (!seen) bundle.load.stage_bytes += item.input_bytes;
  }
  return bundle;
}

}  // namespace spillway::plan
