// The volumes of src/node on a node of the site: directories below the site's roots, and what is in
// buckets, shown to pods.
#pragma once

#include <memory>
#include <string>

#include "csi/plugin.h"
#include "home/bucket_volumes.h"
#include "runtime/fd.h"

namespace spillway::home {

// Bind mounts `directory` of a volume's attributes: datasets read-only from below the data root,
// results from below the results root, made if missing (mode 0777, because pods run as any user).
// Volumes in buckets are those of BucketVolumes. May be started again at any time. Thread-safe.
class SiteVolumes final : public csi::VolumeHandler {
 public:
  // kInvalid if a root is not a directory. `buckets` outlives it; nullptr: there are none here.
  static Result<std::unique_ptr<SiteVolumes>> Open(const std::string& data_root,
                                                   const std::string& results_root,
                                                   BucketVolumes* buckets);

  Status Publish(const csi::PublishRequest& request) override;
  Status Unpublish(const std::string& volume_id, const std::string& target_path) override;

 private:
  SiteVolumes(runtime::Fd data, runtime::Fd results, BucketVolumes* buckets)
      : data_(std::move(data)), results_(std::move(results)), buckets_(buckets) {}

  const runtime::Fd data_, results_;  // O_PATH
  BucketVolumes* const buckets_;
};

}  // namespace spillway::home
