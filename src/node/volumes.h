// Volumes of pods that a kubelet runs on a rented node: inputs opened into memory, results taken
// out of memory and sent home.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "csi/plugin.h"
#include "node/keeper.h"
#include "node/mounts.h"
#include "node/pod.h"
#include "node/volume_files.h"
#include "node/volume_request.h"

namespace spillway::node {

struct VolumeLimits {
  std::int64_t input_bytes = 0;  // plaintext of all mounted claims; 0: 3/4 of the memory
  std::int64_t output_bytes = std::int64_t{8} << 30;  // of one results volume in memory
  // On a volume that is sealed with a key in memory only: results volumes are directories below
  // it, as large as it has room. Empty: they are in memory.
  std::string sealed_directory;
  // Where results volumes are kept between their unpublishing and their receipts; made if it is
  // missing, its parent is not.
  std::string held_directory;
  std::size_t held = 32;  // results volumes kept so; beyond, unpublishing waits
  std::size_t volumes = 256;
  Duration longest_call = 20s;  // then the kubelet is told to ask again
  Duration retry = 2s;          // between two attempts to hand over what found no room
};

// Thread-safe. Publish and Unpublish come from the plug-in's threads, all else from the agent's.
//
// A claim that several pods use is opened into memory once and shown to each of them.
//
// A results volume that is unpublished is frozen and held: it leaves its pod at once, whose end
// must not hang on the way home, and stays at a place of the agent's own until the site's receipts
// for all its files are here. Released() and Empty() count it until then, so the machine waits.
class Volumes final : public csi::VolumeHandler {
 public:
  // `on_change` is called from several threads when Released() or Empty() changed.
  // `kept`, if there is one, is told what is mounted, for Restore() of the next process.
  Volumes(VolumeLimits limits, std::function<void()> on_change, Kept* kept = nullptr);
  ~Volumes() override;

  // Goes on with what an agent before had mounted, out of what it kept. Before any other call.
  // Results that were being handed over are handed over again.
  void Restore(const KeptItems& left);
  // The data is staged. `services` outlives Close().
  void Open(const PodServices& services);
  // Whether volumes may be published now.
  void Allow(bool publish);
  // A result got its receipt: who waits for it looks again.
  void Poke();
  // The keys are gone, and whatever used them ends by itself: empties and unmounts everything.
  // Nothing is published any more; what was not sent is lost.
  void Close();

  // Nothing is published or held, so nothing is left to send.
  bool Empty() const;
  // See door::Heartbeat::released.
  std::vector<std::string> Released() const;
  // Why a volume cannot be served, for people; "" while all is well.
  std::string problem() const;

  Status Publish(const csi::PublishRequest& request) override;
  Status Unpublish(const std::string& volume_id, const std::string& target_path) override;

 private:
  enum class Stage {
    kPublished,
    kCollecting,  // held; waits for the collecting thread or is with it
    kCollected,   // held; every file is with the sender
    kFailed,      // held; not every file could be handed over, which is tried again
    kLeaving,     // being unmounted, or moved to where it is held
  };
  struct Volume {
    std::string volume_id;
    VolumeRequest asked;
    bool gives_results = false;
    Identity identity;       // of the mounted directory
    std::string sealed;      // the directory of a results volume that is not in memory
    std::int64_t bytes = 0;  // of an input claim
    Stage stage = Stage::kPublished;
    bool held = false;
    Collection collection;
  };
  using Lock = std::unique_lock<std::mutex>;

  // True: it is published already.
  Result<bool> MayPublish(const csi::PublishRequest& request, const VolumeRequest& asked) const;
  Status Mount(const csi::PublishRequest& request, Volume& volume);
  Status TakeTurn();
  Status MountInput(const std::string& target, Volume& volume);
  Status FillInput(const std::string& target, Volume& volume);
  Status MountResults(const std::string& target, Volume& volume);
  // Another mount of the same claim.
  std::optional<std::pair<std::string, Volume>> Mounted(const VolumeRequest& asked) const;
  Status CheckRoom(std::int64_t bytes) const;
  static Volume Held(Volume volume, const std::string& place);
  // The volume leaves the pod and is held from then on.
  Status Hold(Lock& lock, const std::string& target);
  Result<std::string> MoveToHeld(const std::string& target, const Volume& volume) const;
  Status Leave(Lock& lock, const std::string& place);
  void CollectAll();
  std::optional<std::string> Receipted() const;
  void CollectNext(Lock& lock);
  Status CollectOne(const VolumeRequest& asked, Collection& collection);
  void Note(const std::string& what, const Status& status);
  void Keep(const std::string& target, const Volume& volume) const;
  void KeepReleased() const;

  const VolumeLimits limits_;
  const std::function<void()> on_change_;
  Kept* const kept_;
  mutable std::mutex mutex_;  // guards everything below
  std::condition_variable changed_;
  const PodServices* services_ = nullptr;
  bool allowed_ = false, closed_ = false;
  int publishing_ = 0;                     // calls that mount or move just now
  bool filling_ = false;                   // one of them mounts an input
  std::map<std::string, Volume> volumes_;  // by target, or by the place where it is held
  std::deque<std::string> queue_;          // places to collect, at most one entry each
  std::chrono::steady_clock::time_point retry_at_;
  std::deque<std::string> released_;  // uids, the oldest first
  std::string problem_;
  std::thread collector_;  // from Open() to Close()
};

}  // namespace spillway::node
