// Door: the site's side of door/protocol.h, the only thing a rented node can reach.
//
// What is desired of a node is asked from a DoorBackend at every heartbeat; the door adds lease and
// data, hands out the run key, takes results, logs and the wipe statement, and remembers what must
// survive a restart (tokens as hashes, public keys, hardware, wipes). It speaks TLS 1.3 alone; how
// it and the nodes prove themselves is told in door/protocol.h and gateway/callers.h.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/time.h"
#include "control/observation.h"
#include "data/sign.h"
#include "door/protocol.h"
#include "gateway/announcer.h"
#include "gateway/callers.h"
#include "gateway/certify.h"
#include "gateway/machine_files.h"
#include "gateway/node_records.h"
#include "gateway/rate_limit.h"
#include "gateway/results.h"
#include "gateway/run_store.h"
#include "net/http_server.h"

namespace spillway::gateway {

// What the site wants of a node, and who it is.
struct DesiredState {
  door::Want want = door::Want::kPowerOff;
  std::vector<door::PodOrder> pods;
  BurstNode node;          // facts for the certificate; overwrite and verify for the wipe
  bool simulated = false;  // the provider is a simulated one
};

// Implemented by whoever owns the BurstNodes. Called by several threads at once, without any lock
// of the door, and may call the door.
class DoorBackend {
 public:
  virtual ~DoorBackend() = default;
  // nullopt: no such BurstNode. It and one that is being deleted or gone get want=power-off.
  virtual std::optional<DesiredState> DesiredFor(const std::string& node) = 0;
  virtual void OnPodStatuses(const std::string& node,
                             const std::vector<door::PodStatus>& statuses) = 0;
  // Kubernetes only, at every heartbeat that names any: uids of pods of which nothing is left on
  // the node (door::Heartbeat::released), those of earlier calls among them.
  virtual void OnReleased(const std::string& /*node*/, const std::vector<std::string>& /*uids*/) {}
  // Log bytes of a pod; `offset` from its beginning, repeats are possible.
  virtual void OnLog(const std::string& node, const std::string& uid, std::int64_t offset,
                     std::string_view bytes) = 0;
  // Something in Report(node) or in the run's report became true or changed.
  virtual void OnChange(const std::string& node) = 0;
  // A machine with the right token shows its tunnel key, before it is answered and before the
  // token is used up: what fails here fails the registration, which may be tried again.
  virtual Status OnRegister(const std::string& /*node*/, const std::string& /*tunnel_key*/) {
    return Ok();
  }
  // Once, before want=wipe is handed out for the first time, on a thread of its own: until it
  // returns the node is told want=return, so that its lease goes on. May block for some seconds.
  // A restart in the middle repeats it.
  virtual void BeforeWipe(const std::string& node) = 0;
};

struct DoorOptions {
  std::string socket_path;
  std::string address;  // IPv4, besides the socket: only inside a tunnel or VPN. Empty: none
  int port = 0;
  std::int64_t run_bytes_per_s = 0;  // of sealed data to one node, in real time; 0: no limit
  const MachineFiles* machine_files = nullptr;  // outlives the door; nullptr: none
  std::string state_dir;
  std::string results_root;
  BucketOpener open_bucket = nullptr;  // for results in buckets
  // In the time of the daemon's clock, which runs `clock_scale` times faster than real time; the
  // node is told real milliseconds.
  Duration lease = 90s, heartbeat = 10s, token_life = 1h;
  int clock_scale = 1;
};

// What people see of a node's transfers.
struct NodeProgress {
  std::int64_t staged_bytes = 0, sealed_bytes = 0;
  std::int64_t stage_bytes_per_s = 0;
  double wipe_progress = 0;
  int results_pending = 0;
  std::string problem;
};

// Thread-safe. The referenced objects outlive it.
class Door {
 public:
  static Result<std::unique_ptr<Door>> Open(DoorOptions options, Runs& runs, Certifier& certifier,
                                            const data::SigningKey& site,
                                            const data::NodeAuthority& authority,
                                            const Clock& clock, DoorBackend& backend);
  ~Door();

  // Opens the socket. kConflict when another program answers there.
  Status Start();
  // Takes no more requests and waits for those that run.
  void Stop();

  // A fresh token for a node that has not registered; earlier ones stop working. kConflict once it
  // has registered.
  Result<std::string> IssueToken(const std::string& node);
  // nullopt until it has registered.
  std::optional<control::NodeReport> Report(const std::string& node) const;
  NodeProgress Progress(const std::string& node) const;
  // Destroys the run's key, its sealed data and unfinished results.
  Status DestroyRun(const std::string& run);
  // The certificate of a node that could not be wiped; the key must be destroyed. An existing
  // certificate of the node is returned.
  Result<CertificateInfo> CertifyLoss(const BurstNode& node, bool simulated);
  // Ends the node's certificates and drops what is known of it: for a node that is gone.
  Status Forget(const std::string& node);

  // The TCP port it listens on once started; 0: none.
  int port() const { return server_->tcp_port(); }
  // The routes, for a comparison with the documents.
  std::vector<std::string> Routes() const;

 private:
  // What is known of a node in memory.
  struct Live {
    std::int64_t sequence = -1;  // of the newest heartbeat
    std::optional<Time> last_heartbeat;
    door::Heartbeat said;
    std::string wrapped_key;  // hex, once asked for
    std::shared_ptr<RateLimit> limit;
  };

  Door(DoorOptions options, Runs& runs, Certifier& certifier, const data::SigningKey& site,
       const data::NodeAuthority& authority, const Clock& clock, DoorBackend& backend,
       NodeRecords records);
  net::Router MakeRouter();
  std::int64_t RealMs(Duration d) const;

  // Wraps a handler of a registered node: 401 unless the certificate is a node's, 403 if it is
  // another's than the one that is addressed.
  using NodeHandler =
      std::function<Result<net::Response>(const std::string& node, const net::Request&)>;
  net::Handler ForNode(NodeHandler handler);
  Result<data::NodeCertificate> Caller(const net::Request& request) const;
  std::shared_ptr<RateLimit> LimitOf(const std::string& node);

  Result<net::Response> Register(const net::Request& request);
  // Under the mutex. kDenied, with one answer for every reason.
  Result<NodeRecord> CheckToken(const std::string& node, const std::string& token,
                                bool wanted) const;
  Result<net::Response> Heartbeat(const std::string& node, const net::Request& request);
  Result<net::Response> PutResult(const std::string& node, const net::Request& request);
  Result<net::Response> PostLog(const std::string& node, const net::Request& request);
  Result<net::Response> PostWiped(const std::string& node, const net::Request& request);

  enum class News { kStale, kNone, kSome };
  News Note(const std::string& node, const door::Heartbeat& heartbeat);
  Result<door::Desired> DesiredAnswer(const std::string& node);
  // The next certificate (hex) of who shows one that is to be renewed; else empty.
  Result<std::string> Renewal(const net::Request& request) const;
  // True once the hook before the wipe is over; asks for it otherwise.
  bool MayWipe(const std::string& node);
  void AnnounceWipe(const std::string& node);
  Result<std::string> WrappedKey(const std::string& node);
  Result<WipeFacts> FactsOf(const BurstNode& node, bool simulated);
  // Durable before anything is made of it.
  Status KeepStatement(const std::string& node, door::WipeStatement statement);
  Status RecordWipe(const std::string& node, const CertificateInfo& certificate);

  const DoorOptions options_;
  Runs& runs_;
  Certifier& certifier_;
  const data::SigningKey& site_;
  const data::NodeAuthority& authority_;
  const Clock& clock_;
  DoorBackend& backend_;
  Results results_;
  mutable std::mutex mutex_;  // guards the two below
  NodeRecords records_;
  std::map<std::string, Live> live_;
  std::vector<std::string> routes_;
  Announcer announcer_;
  std::unique_ptr<net::HttpServer> server_;  // last: its threads use everything above
};

}  // namespace spillway::gateway
