// Run keys in files of the site, for a site without a key service.
//
// One file per run, mode 0600: time of creation and key. Destroying it overwrites the file, removes
// it and syncs the directory. On a file system that copies on write, or a disk that remaps, the
// overwrite may miss the old block: keep the directory on a disk of the site that is encrypted or
// destroyed in the end.
#pragma once

#include <memory>
#include <string>

#include "base/result.h"
#include "ports/key_service.h"

namespace spillway::gateway {

class KeyFiles final : public ports::KeyService {
 public:
  static constexpr std::string_view kName = "key files of the site";

  // Makes the directory if needed.
  static Result<std::unique_ptr<KeyFiles>> Open(std::string directory);

  std::string Name() const override { return std::string(kName); }
  Status Check() override;
  Result<ports::KeyRecord> Create(const std::string& run, Time now, ports::KeyBytes key) override;
  Status Unwrap(const std::string& run, const std::string& wrapped, ports::KeyBytes key) override;
  Result<ports::KeyEnd> Destroy(const std::string& run, Time now) override;

 private:
  explicit KeyFiles(std::string directory) : directory_(std::move(directory)) {}
  std::string PathOf(const std::string& run) const { return directory_ + "/" + run + ".key"; }

  const std::string directory_;
};

}  // namespace spillway::gateway
