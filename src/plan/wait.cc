#include "plan/wait.h"

#include <algorithm>
#include <map>
#include <string_view>

namespace spillway::plan {
namespace {

// Gangs are tried as a whole at every release; more than these many are not looked into.
constexpr std::size_t kMaxGangs = 64;

struct Release {
  Time at;
  std::int32_t node;
  std::int32_t shape;
  bool spreads;
};

// The pods of one shape that wait alone, as (rank of the waiter, pod).
struct Queue {
  std::int32_t shape = 0;
  std::vector<bool> node_allowed;
  std::vector<std::pair<std::size_t, std::int32_t>> pods;
  std::size_t head = 0;
};

struct Gang {
  std::size_t rank = 0;
  const Waiter* waiter = nullptr;
  std::int64_t gpus = 0;
  bool started = false;
};

class Sweep {
 public:
  Sweep(const Snapshot& snapshot, SiteRoom& room, const std::vector<Waiter>& waiters)
      : snapshot_(snapshot), room_(room), trial_(room.ground()), starts_(snapshot.pods.size()) {
    for (std::size_t i = 0; i < snapshot.nodes.size(); ++i)
      if (!snapshot.nodes[i].rented)
        free_gpus_ += std::max<std::int64_t>(trial_.free(static_cast<std::int32_t>(i)).gpus, 0);
    std::map<std::int32_t, std::size_t> queue_of_shape;
    for (std::size_t rank = 0; rank < waiters.size(); ++rank) {
      if (waiters[rank].gang) {
        if (gangs_.size() < kMaxGangs) AddGang(rank, waiters[rank]);
        continue;
      }
      for (const std::int32_t pod : waiters[rank].pods) {
        const std::int32_t shape = snapshot.pods[static_cast<std::size_t>(pod)].shape;
        const auto [it, fresh] = queue_of_shape.try_emplace(shape, queues_.size());
        if (fresh) AddQueue(shape);
        queues_[it->second].pods.emplace_back(rank, pod);
      }
    }
  }

  std::vector<std::optional<Time>> Run() {
    for (const Release& release : Releases()) {
      trial_.Remove(release.shape, release.node, release.spreads);
      free_gpus_ += Requests(release.shape).gpus;
      Fill(release.node, release.at);
    }
    return std::move(starts_);
  }

 private:
  const Resources& Requests(std::int32_t shape) const {
    return snapshot_.shapes[static_cast<std::size_t>(shape)].requests;
  }

  void AddGang(std::size_t rank, const Waiter& waiter) {
    Gang& gang = gangs_.emplace_back(Gang{rank, &waiter});
    for (const std::int32_t pod : waiter.pods)
      gang.gpus += Requests(snapshot_.pods[static_cast<std::size_t>(pod)].shape).gpus;
  }

  void AddQueue(std::int32_t shape) {
    Queue& queue = queues_.emplace_back();
    queue.shape = shape;
    queue.node_allowed.resize(snapshot_.nodes.size());
    for (const std::int32_t node : room_.NodesFor(shape))
      queue.node_allowed[static_cast<std::size_t>(node)] = true;
  }

  std::vector<Release> Releases() const {
    std::map<std::string_view, std::int32_t> node_by_name;
    for (std::size_t i = 0; i < snapshot_.nodes.size(); ++i)
      if (!snapshot_.nodes[i].rented)
        node_by_name.emplace(snapshot_.nodes[i].name, static_cast<std::int32_t>(i));
    std::vector<Release> releases;
    for (const Pod& pod : snapshot_.pods) {
      if (pod.node.empty()) continue;
      const auto node = node_by_name.find(pod.node);
      const std::optional<Time> at = ExpectedRelease(pod, snapshot_.now);
      if (at && node != node_by_name.end())
        releases.push_back({*at, node->second, pod.shape, !pod.deleting});
    }
    // Stable: equal times keep the order of pod keys.
    std::stable_sort(releases.begin(), releases.end(),
                     [](const Release& a, const Release& b) { return a.at < b.at; });
    return releases;
  }

  // Gives the room of a node to the waiting, lowest rank first.
  void Fill(std::int32_t node, Time at) {
    std::size_t next_gang = 0;
    for (;;) {
      Queue* first = FirstFitting(node);
      const std::size_t rank = first == nullptr ? ~std::size_t{0} : first->pods[first->head].first;
      bool gang_started = false;
      while (!gang_started && next_gang < gangs_.size() && gangs_[next_gang].rank < rank)
        gang_started = TryGang(gangs_[next_gang++], at);
      if (gang_started) continue;  // it took room: look again who fits
      if (first == nullptr) return;
      starts_[static_cast<std::size_t>(first->pods[first->head].second)] = at;
      trial_.Put(first->shape, node);
      free_gpus_ -= Requests(first->shape).gpus;
      ++first->head;
    }
  }

  Queue* FirstFitting(std::int32_t node) {
    Queue* first = nullptr;
    for (Queue& queue : queues_) {
      if (queue.head == queue.pods.size() || !queue.node_allowed[static_cast<std::size_t>(node)] ||
          !trial_.Fits(queue.shape, node))
        continue;
      if (first == nullptr || queue.pods[queue.head] < first->pods[first->head]) first = &queue;
    }
    return first;
  }

  // False also for a gang that started before.
  bool TryGang(Gang& gang, Time at) {
    if (gang.started || gang.gpus > free_gpus_) return false;
    std::vector<std::pair<std::int32_t, std::int32_t>> placed;  // node, shape
    for (const std::int32_t pod : gang.waiter->pods) {
      const std::int32_t shape = snapshot_.pods[static_cast<std::size_t>(pod)].shape;
      std::int32_t found = -1;
      for (const std::int32_t node : room_.NodesFor(shape)) {
        if (!trial_.Fits(shape, node)) continue;
        found = node;
        break;
      }
      if (found < 0) {
        for (const auto& [node, taken] : placed) trial_.Remove(taken, node);
        return false;
      }
      trial_.Put(shape, found);
      placed.emplace_back(found, shape);
    }
    gang.started = true;
    free_gpus_ -= gang.gpus;
    for (const std::int32_t pod : gang.waiter->pods) starts_[static_cast<std::size_t>(pod)] = at;
    return true;
  }

  const Snapshot& snapshot_;
  SiteRoom& room_;
  Placement trial_;  // what the site will be
  std::int64_t free_gpus_ = 0;
  std::vector<std::optional<Time>> starts_;
  std::vector<Queue> queues_;
  std::vector<Gang> gangs_;
};

}  // namespace

std::optional<Time> ExpectedRelease(const Pod& pod, Time now) {
  if (!pod.expected_end) return std::nullopt;
  if (*pod.expected_end > now) return pod.expected_end;
  const Duration length = pod.started ? *pod.expected_end - *pod.started : Duration{0};
  if (now - *pod.expected_end > length) return std::nullopt;
  return now + std::max<Duration>(1min, length / 10);
}

std::vector<std::optional<Time>> ExpectedStarts(const Snapshot& snapshot, SiteRoom& room,
                                                const std::vector<Waiter>& waiters) {
  return Sweep(snapshot, room, waiters).Run();
}

}  // namespace spillway::plan
