// The site's side of the same volumes: directories below the site's roots, shown to pods.
#pragma once

#include <memory>
#include <string>

#include "csi/plugin.h"
#include "runtime/fd.h"

namespace spillway::node {

// Bind mounts `directory` of a volume's attributes: datasets read-only from below the data root,
// results from below the results root, made if missing (mode 0777, because pods run as any user).
// Holds nothing in memory, so it may be started again at any time. Thread-safe.
class SiteVolumes final : public csi::VolumeHandler {
 public:
  // kInvalid if a root is not a directory.
  static Result<std::unique_ptr<SiteVolumes>> Open(const std::string& data_root,
                                                   const std::string& results_root);

  Status Publish(const csi::PublishRequest& request) override;
  Status Unpublish(const std::string& volume_id, const std::string& target_path) override;

 private:
  SiteVolumes(runtime::Fd data, runtime::Fd results)
      : data_(std::move(data)), results_(std::move(results)) {}

  const runtime::Fd data_, results_;  // O_PATH
};

}  // namespace spillway::node
