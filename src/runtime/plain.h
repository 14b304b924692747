// Pods without a sandbox, where a machine forbids namespaces: a private directory in memory instead
// of mounts, and rewritten words instead of mount paths.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "base/result.h"
#include "runtime/fd.h"
#include "runtime/frames.h"
#include "runtime/pod_spec.h"

namespace spillway::runtime {

// A directory of mode 0700 below kPlainParent, removed with all it holds when destroyed. While it
// lives it holds a lock that keeps RemoveLeftovers away.
class PlainDirectory {
 public:
  // `number` makes the name unique in this process. kUnavailable names the directory.
  static Result<PlainDirectory> Make(std::uint64_t number);
  PlainDirectory() = default;
  PlainDirectory(PlainDirectory&& other) noexcept
      : path_(std::exchange(other.path_, {})), lock_(std::move(other.lock_)) {}
  PlainDirectory& operator=(PlainDirectory&& other) noexcept {
    std::swap(path_, other.path_);
    std::swap(lock_, other.lock_);
    return *this;
  }
  ~PlainDirectory() { Remove(); }
  void Remove();
  const std::string& path() const { return path_; }

 private:
  std::string path_;
  Fd lock_;
};

// Where each volume really is: binds at their host directory, the others in a new directory below
// `root`. In the order of spec.volumes.
Result<std::vector<PlainMount>> MakePlainMounts(const PodSpec& spec, const std::string& root);

// Changes the configuration of a sandbox into that of a plain pod. Pure.
void MakePlain(InitConfig& config, const PodSpec& spec, const std::string& root,
               const std::vector<PlainMount>& mounts);

}  // namespace spillway::runtime
