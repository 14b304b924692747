// Volumes of the site's nodes whose files are in buckets: a pod is shown a directory of its node.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "csi/plugin.h"
#include "node/volume_request.h"
#include "ports/buckets.h"

namespace spillway::home {

// What has become of the results of one volume.
struct ResultsNews {
  enum class What : std::uint8_t {
    kWaiting,  // some are not in the bucket; they stay on the node and are tried again
    kKept,     // some can never be there; all are kept on the node for a person
    kHome,     // all are in the bucket
  };
  What what = What::kHome;
  std::string owner;       // of the volume's files: another one for each volume of each pod
  std::string claim, pod;  // "namespace/name"
  std::string place;       // "s3://bucket/prefix/directory"
  ports::ResultFiles home, waiting;
  std::optional<Error> why;  // unless kHome; also says where the files are
};

struct BucketVolumesOptions {
  std::string directory;  // of the records; made if it is missing
  // The Dataset as it is now. Called with a namespace and a name; blocks for a bounded time.
  std::function<Result<DatasetInfo>(const std::string& ns, const std::string& name)> dataset;
  Duration longest_call{20s};  // then the kubelet is told to ask again
  Duration next_try{1min};     // of results that nobody asks about any more
  // Called after each try to bring results home, if there are any; from several threads. Must not
  // block.
  std::function<void(const ResultsNews& news)> tell = [](const ResultsNews&) {};
};

// A Dataset is fetched before its volume is mounted, read-only, and removed after. Results are
// brought into their bucket before their volume is gone; until then they stay on the node's disk,
// and its pod stays. What is mounted where is a record on the disk, so this process may end in any
// way and at any time: the next one goes on, and brings home on its own what belongs to volumes
// that the kubelet has forgotten. Thread-safe.
class BucketVolumes {
 public:
  // `buckets` outlives it, and leaves its files to the next process.
  static Result<std::unique_ptr<BucketVolumes>> Open(BucketVolumesOptions options,
                                                     ports::Buckets& buckets);
  // Waits for the call of `buckets` that is under way.
  ~BucketVolumes();

  // As csi::VolumeHandler. kUnavailable while the data is fetched; kInvalid if the Dataset is in no
  // bucket now; errors of Buckets and of reading the Dataset.
  Status Publish(const node::VolumeRequest& asked, const csi::PublishRequest& request);
  // Something of this volume is here.
  bool Has(const std::string& target_path) const;
  // As csi::VolumeHandler, of a volume that Has(). Fails, and leaves everything as it is, until its
  // results are in their bucket.
  Status Unpublish(const std::string& target_path);

 private:
  struct Record {
    std::string target, volume;
    std::string claim, pod;                       // "namespace/name"
    std::optional<ports::BucketResults> results;  // where they go, if it is a volume of results
  };
  class Turn;

  BucketVolumes(BucketVolumesOptions options, ports::Buckets& buckets)
      : options_(std::move(options)), buckets_(buckets) {}
  std::string PathOf(const std::string& owner) const;
  Result<Record> Read(const std::string& owner) const;
  Status Write(const std::string& owner, const Record& record) const;
  static Record RecordOf(const node::VolumeRequest& asked, const csi::PublishRequest& request);
  Status ShowDataset(const std::string& owner, const node::VolumeRequest& asked,
                     const DatasetInfo& dataset, const csi::PublishRequest& request);
  Status ShowResults(const std::string& owner, const node::VolumeRequest& asked,
                     const DatasetInfo& dataset, const csi::PublishRequest& request);
  Status End(const std::string& owner);
  Status BringHome(const std::string& owner, const Record& record);
  std::vector<std::string> Forgotten() const;
  void BringForgotten(std::vector<std::string> owners);

  const BucketVolumesOptions options_;
  ports::Buckets& buckets_;
  std::mutex mutex_;  // guards the two below
  std::condition_variable changed_;
  std::set<std::string> busy_;  // owners
  bool ending_ = false;
  std::thread forgotten_;
};

}  // namespace spillway::home
