// The programs that a bare machine gets from the site before it can register: the kubelet, CNI
// plug-ins, spillway-node.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "base/result.h"
#include "door/user_data.h"
#include "gateway/run_store.h"

namespace spillway::gateway {

// A part of a file.
struct ByteSlice {
  std::string bytes;
  std::int64_t offset = 0, total = 0;
};

// Immutable after Open, so thread-safe.
class MachineFiles {
 public:
  static constexpr std::size_t kMostFiles = 64;
  static constexpr std::int64_t kMostBytes = std::int64_t{1} << 30;  // of one
  static constexpr std::int64_t kSliceBytes = 4 << 20;               // of one answer

  MachineFiles() = default;
  // Every regular file below the directory, by its path in it ("cni/bridge"); reads and hashes all.
  // kInvalid names what cannot be served.
  static Result<MachineFiles> Open(const std::string& directory);

  // By name.
  const std::vector<door::MachineFile>& list() const { return files_; }
  // kSliceBytes at most, whatever is asked for. kNotFound; kInvalid: a range beyond its end;
  // kCorrupt: it is not the file any more that was hashed.
  Result<ByteSlice> Read(const std::string& sha256, const SliceRequest& slice) const;

 private:
  std::vector<door::MachineFile> files_;
  std::map<std::string, std::string> path_of_;  // by hash
};

}  // namespace spillway::gateway
