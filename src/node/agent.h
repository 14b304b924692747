// The agent of a rented node, from its first call to its end.
#pragma once

#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "data/wrap.h"
#include "door/user_data.h"
#include "node/hardware.h"
#include "node/keeper.h"
#include "node/log_sender.h"
#include "node/pod.h"
#include "node/result_sender.h"
#include "node/stager.h"
#include "node/volumes.h"
#include "node/wiper.h"

namespace spillway::node {

// Exit codes of spillway-node. Whatever the code, the keys are gone.
enum class End : int {
  kPowerOff = 0,     // the site said so
  kFailed = 1,       // the machine or the site's public key is not what was promised
  kRefused = 3,      // registration refused: the token was used before, by us or somebody else
  kLeaseOver = 4,    // nobody renewed the lease, or the certificate was refused: cache overwritten
  kNeverJoined = 5,  // the door did not answer within the boot lease
  kShutdown = 6,     // the machine was told to stop; cache overwritten as far as time allowed
};

// Durations are real time.
struct AgentOptions {
  door::UserData user_data;
  std::string disk;  // directory; holds cache.extent and nothing else
  Hardware hardware;
  runtime::SandboxSupport support;
  std::string pod_init_program;  // empty: the running program
  // Of a kubelet that runs the pods, which are then served volumes; empty: there is none.
  std::string kubelet_directory;
  VolumeLimits volumes;
  // Of a bare machine that joins through a tunnel: the WireGuard key it shows, what is to be done
  // once it has registered (on the agent's thread, before the first heartbeat; an error ends the
  // agent), and what is told to the site when the machine does not get on.
  std::string tunnel_key;
  std::function<Status()> on_registered;
  std::function<std::string()> machine_problem;

  // What lets the next process go on if this one is killed; outlives the agent. Null: nothing does,
  // the end of the process is the end of the node. Only with a kubelet: pods that this process
  // starts die with it.
  Kept* kept = nullptr;
  // From when on a killed agent may be followed; empty: once it has registered.
  std::function<bool()> settled;

  Duration boot_lease = 10min;    // until registered
  Duration request_timeout = 5s;  // of one call except chunks
  Duration shutdown_wipe = 5s;    // for the overwrite after SIGTERM
  StagerOptions stage;
  ResultStoreLimits results;
  // Where the inputs are mounted, if this machine can; else they are copied into memory. Empty:
  // they are copied.
  std::string inputs_directory;
  std::size_t log_bytes = 4 << 20;  // unsent log of one pod
  Duration retry_first = 100ms, retry_most = 5s;
};

// Run() is the main loop, called once. Keys are destroyed and pods dead when it returns; threads
// that wait for an answer of the door are joined by the destructor. RequestShutdown() may come from
// any thread and destroys the run key at once.
class Agent {
 public:
  explicit Agent(AgentOptions options);
  ~Agent();

  End Run();
  void RequestShutdown();

 private:
  enum class Beat { kAnswered, kUnanswered, kRefused };

  End Live();
  // Begins anew (nothing), or goes on as the agent that was killed; what it left is in `kept`.
  std::optional<End> Begin();
  Status Restore(KeptItem self, const KeptItem* lease, const KeptItem* certificate);
  void KeepSelf();
  void KeepLease();
  void KeepCertificate(const std::string& certificate);
  Status ServeVolumes();
  std::optional<End> Register();
  std::optional<End> Attempt(const door::RegisterRequest& request, Duration sent);
  std::optional<End> DestroyLeftCache();
  // Waits for the next heartbeat's time, an event worth telling, a shutdown, or the lease's end.
  void WaitForBeat();
  bool LeaseOver() const;
  void Wake();

  Beat SendHeartbeat(DoorClient& client);
  door::Heartbeat Describe();
  bool EverythingReturned() const;
  void Apply(const door::Desired& desired);
  void TakeKey(const door::Desired& desired);
  void Stage(const door::Desired& desired);
  void OpenForPods();
  void OpenInputs();
  void SyncPods(const door::Desired& desired);
  void StartPods();
  std::optional<std::vector<int>> FreeGpus(int count) const;

  // Keys of running work, pods: gone when it returns.
  void DestroyKeysAndPods();
  void BeginWipe(const door::Desired& desired);
  std::shared_ptr<CacheFile> Cache() const;
  // The unsupervised end: keys, pods, cache, in this order.
  End EndAlone(End end, std::string_view why, std::optional<Duration> wipe_within = {});
  End PowerOff();

  const AgentOptions options_;
  std::optional<data::VerifyKey> site_;
  std::unique_ptr<DoorAccess> access_;
  std::optional<data::NodeKey> node_key_;
  std::string certificate_;                  // the newest, as the site sent it
  std::optional<data::Secret> node_secret_;  // of node_key_, until it is kept
  RunKey key_;
  Duration lease_{0}, heartbeat_{0};
  Duration lease_since_{0};  // BootNow() when the last answered call was sent
  Duration last_beat_{0};    // likewise, of the last heartbeat, answered or not
  std::int64_t sequence_ = 0;
  door::Want want_ = door::Want::kStage;
  bool self_kept_ = false;
  KeptItems left_;          // of the agent before, until each is used
  bool destroyed_ = false;  // no key is taken and no pod started any more
  std::string key_problem_;
  mutable std::mutex input_mutex_;
  std::string input_problem_;  // guarded by input_mutex_: the first input that could not be read

  std::mutex wake_mutex_;  // guards the two below
  std::condition_variable woken_;
  bool wake_ = false, shutdown_ = false;

  // Everything that has threads, in the order in which it must outlive what follows.
  std::unique_ptr<Volumes> volumes_;  // only with a kubelet; uses what follows until Close()
  std::unique_ptr<Stager> stager_;
  bool start_when_readable_ = false;       // the newest answer's wish, if it can be met here
  std::unique_ptr<InputContent> content_;  // once there is something to read
  std::unique_ptr<InputMount> mount_;
  std::unique_ptr<LogSender> logs_;
  std::unique_ptr<ResultSender> results_;
  std::optional<PodServices> services_;  // once staged
  struct Entry {
    std::unique_ptr<Pod> pod;
    bool forgotten = false;  // the site does not ask for it any more
  };
  std::map<std::string, Entry> pods_;  // by uid
  std::unique_ptr<Wiper> wiper_;
  std::unique_ptr<csi::Plugin> plugin_;  // its calls use volumes_
};

}  // namespace spillway::node
