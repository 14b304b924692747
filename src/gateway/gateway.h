// Gateway: the site's side of the data plane in one object, for a program that holds it in process.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "control/observation.h"
#include "door/user_data.h"
#include "gateway/door.h"
#include "gateway/selection_cache.h"
#include "model/rules.h"
#include "ports/key_service.h"
#include "s3/access.h"

namespace spillway::gateway {

struct GatewayOptions {
  std::string state_dir;     // keys, sealed chunks, what is known of nodes; made with mode 0700
  std::string data_root;     // Dataset directories are relative to it
  std::string results_root;  // results places are relative to it; must exist
  std::string evidence_dir;  // certificates and the site's public key
  std::string socket_path;   // the door
  // The door on a network, inside a tunnel or VPN: an address of this machine, "" for none.
  std::string address;
  int port = 0;
  std::int64_t run_bytes_per_s = 0;  // as DoorOptions has it
  std::string machine_files;  // directory of what bare machines get from here; empty: nothing
  // For Datasets in buckets; nullptr: there are none. Outlives the gateway.
  s3::Access* s3 = nullptr;
  // Of the clock in UseClock(), as DoorOptions has them.
  Duration lease = 90s, heartbeat = 10s, token_life = 1h;
  int clock_scale = 1;
  // Keeps the run keys; null: files below state_dir do.
  std::shared_ptr<ports::KeyService> key_service;
};

// Thread-safe, except that UseClock() comes before everything but Sign() and PublicKey().
class Gateway {
 public:
  // `backend` outlives it. Checks keys and certificates. Errors name what cannot be used.
  static Result<std::unique_ptr<Gateway>> Open(GatewayOptions options, DoorBackend& backend);
  ~Gateway();

  // The site's signature (hex) and public key (hex).
  std::string Sign(std::string_view message) const;
  std::string PublicKey() const;

  // Opens everything that needs the time; `clock` outlives the gateway. Once, before Start().
  Status UseClock(const Clock& clock);
  Status Start();
  void Stop();

  // control::Command and what they ask of the gateway. A directory in the request may be relative
  // to data_root; the sources are opened here. All are idempotent.
  Status Prepare(RunRequest request);                         // PrepareRun
  Status DestroyRunKey(const std::string& run);               // DestroyRunKey
  Status CertifyLoss(const BurstNode& node, bool simulated);  // CertifyLoss
  // User data with a fresh token, for CreateInstance: name, door, token, public keys.
  Result<door::UserData> UserDataFor(const std::string& node);
  // The door as machines on the network reach it ("https://ADDRESS:PORT"); empty: they do not.
  std::string NetworkDoor() const;
  const std::vector<door::MachineFile>& MachineFileList() const { return machine_files_.list(); }
  // For a node that is gone: its certificates end. Evidence stays.
  Status Forget(const std::string& node);

  std::optional<control::NodeReport> NodeReport(const std::string& node) const;
  control::RunReport RunReport(const std::string& run) const;
  NodeProgress Progress(const std::string& node) const;

  // Where the files of a Dataset are. kInvalid if it is a bucket and the site uses none.
  Result<std::shared_ptr<Source>> SourceOf(const std::string& directory,
                                           const std::optional<S3Place>& s3) const;
  // What a run with this narrowing reads of a Dataset, in bytes; 0 while it is not known.
  std::int64_t SelectedBytes(const DatasetInfo& dataset, const std::vector<std::string>& narrow);
  Result<SelectionCache::Size> SelectedSize(const DatasetInfo& dataset,
                                            const std::vector<std::string>& narrow);
  // Looks at buckets that have ended so far: a larger number means that SelectedSize() knows more.
  std::uint64_t FarLooks() const { return selections_.FarLooks(); }

  // For `spillway doctor`: who keeps the run keys, and whether it answers. May block for seconds.
  std::string KeyServiceName() const { return options_.key_service->Name(); }
  Status CheckKeyService() const { return options_.key_service->Check(); }

  // Certificates: file names below the evidence directory, oldest first; and one text. kNotFound.
  Result<std::vector<std::string>> Certificates() const;
  Result<std::string> Certificate(const std::string& file) const;

 private:
  Gateway(GatewayOptions options, DoorBackend& backend, data::SigningKey site,
          data::NodeAuthority authority);
  std::string DirectoryOf(const std::string& directory) const;

  const GatewayOptions options_;
  DoorBackend& backend_;
  const data::SigningKey site_;
  const data::NodeAuthority authority_;
  const Clock* clock_ = nullptr;
  SelectionCache selections_;
  std::unique_ptr<KeyStore> keys_;
  std::unique_ptr<Certifier> certifier_;
  std::unique_ptr<Runs> runs_;
  MachineFiles machine_files_;
  std::unique_ptr<Door> door_;
};

}  // namespace spillway::gateway
