#include "plan/bindable.h"

#include <algorithm>

namespace spillway::plan {

std::vector<std::size_t> Unbindable(Placement& ground, const std::vector<Bound>& pods) {
  std::vector<std::size_t> failed;
  for (std::size_t i = 0; i < pods.size(); ++i) {
    const auto& [shape, node] = pods[i];
    ground.Remove(shape, node);
    if (!ground.Fits(shape, node, Entry::kAdmitted)) failed.push_back(i);
    ground.Put(shape, node);
  }
  for (const auto& [shape, node] : pods) ground.Remove(shape, node);
  std::vector<std::size_t> waiting;
  for (std::size_t i = 0; i < pods.size(); ++i) waiting.push_back(i);
  for (bool progress = true; progress && !waiting.empty();) {
    progress = false;
    std::erase_if(waiting, [&](std::size_t i) {
      if (!ground.Fits(pods[i].first, pods[i].second, Entry::kAdmitted)) return false;
      ground.Put(pods[i].first, pods[i].second);
      return progress = true;
    });
  }
  for (const std::size_t i : waiting) ground.Put(pods[i].first, pods[i].second);
  failed.insert(failed.end(), waiting.begin(), waiting.end());
  std::sort(failed.begin(), failed.end());
  failed.erase(std::unique(failed.begin(), failed.end()), failed.end());
  return failed;
}

}  // namespace spillway::plan
