// What a pod's parent and the first process inside its sandbox (pod-init) say to each other over
// one socket: frames of [type: 1 byte][payload length: 4 bytes, little endian][payload].
//
//   parent -> pod-init   Config, { File, Data* }*, InputsEnd, and later at most some Terminate
//   pod-init -> parent   Note*, Started, CommandEnded, { Skipped | File, Data* }*, End
//                        or Failure at any time: nothing follows it
//
// Both sides treat the other as hostile: every length, path, mode and order is checked.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace spillway::runtime {

enum class FrameType : std::uint8_t {
  kConfig = 1,        // InitConfig
  kFile = 2,          // FileHeader; exactly size_bytes of kData follow
  kData = 3,          // bytes of the file
  kInputsEnd = 4,     // nothing
  kTerminate = 5,     // grace, ms
  kNote = 6,          // a sentence for people
  kStarted = 7,       // nothing: the command runs
  kFailure = 8,       // a sentence: pod-init gives up
  kCommandEnded = 9,  // CommandEnded
  kSkipped = 10,      // a sentence: an output that is not brought back, and why
  kEnd = 11,          // nothing: every output was sent
};

inline constexpr std::size_t kMaxFrameBytes = 1 << 20;
inline constexpr std::size_t kDataFrameBytes = 64 << 10;
inline constexpr std::size_t kMaxPathBytes = 4095;
inline constexpr std::size_t kMaxNameBytes = 255;
inline constexpr int kMaxPathDepth = 64;
inline constexpr std::int64_t kMaxFileBytes = std::int64_t{1} << 40;

struct Frame {
  FrameType type;
  std::string payload;
};

// Appends one frame. The payload must not be larger than kMaxFrameBytes.
void AppendFrame(std::string& out, FrameType type, std::string_view payload);

// Cuts a byte stream into frames. Holds at most one frame and one feed. After an error it stays
// in error (kCorrupt). Not thread-safe.
class FrameReader {
 public:
  void Feed(std::string_view bytes);
  // The next whole frame, or nothing if more bytes are needed.
  Result<std::optional<Frame>> Next();
  // True if the stream may end here, that is, not in the middle of a frame.
  bool AtBoundary() const { return position_ == buffer_.size(); }

 private:
  std::string buffer_;
  std::size_t position_ = 0;
  bool corrupt_ = false;
};

// A path inside a volume: relative, at most kMaxPathDepth names, no "", ".", "..", NUL or overlong
// name. kInvalid names the path and what is wrong.
Status CheckRelativePath(std::string_view path);

struct FileHeader {
  std::uint32_t volume = 0;   // index in the pod's volumes
  std::string path;           // relative to the volume
  std::uint32_t mode = 0644;  // permission bits only
  std::int64_t mtime_ms = 0;  // since 1970, UTC
  std::int64_t size_bytes = 0;
};
std::string EncodeFile(const FileHeader& file);
Result<FileHeader> DecodeFile(std::string_view payload);  // kCorrupt

struct InitVolume {
  enum class Role : std::uint8_t { kOther = 0, kInput = 1, kOutput = 2 };
  std::string path;  // where it is, as pod-init sees it
  Role role = Role::kOther;
};
struct InitConfig {
  std::vector<std::string> argv;
  std::vector<std::string> env;  // NAME=value, the whole environment
  std::string working_dir;
  std::vector<InitVolume> volumes;
  std::int64_t data_limit_bytes = 0;    // RLIMIT_DATA per process; 0: none
  std::int64_t input_limit_bytes = 0;   // all inputs together
  std::int64_t output_limit_bytes = 0;  // all outputs together
  bool plain = false;                   // no namespaces: pod-init is not process 1
  std::string plain_root;               // removed by pod-init if its parent dies; empty: none
};
std::string EncodeConfig(const InitConfig& config);
Result<InitConfig> DecodeConfig(std::string_view payload);  // kCorrupt

struct CommandEnded {
  std::int32_t code = 0;           // exit code; 128 + signal if killed by one
  std::int32_t signal = 0;         // 0: exited by itself
  std::int64_t started_ms = 0;     // CLOCK_MONOTONIC
  std::int64_t ended_ms = 0;       // CLOCK_MONOTONIC
  std::int64_t max_rss_bytes = 0;  // largest of the command and the children it waited for
};
std::string EncodeCommandEnded(const CommandEnded& ended);
Result<CommandEnded> DecodeCommandEnded(std::string_view payload);  // kCorrupt

std::string EncodeGrace(std::int64_t grace_ms);
Result<std::int64_t> DecodeGrace(std::string_view payload);  // kCorrupt

// Checks the order and the sums of File and Data frames; the same rules for both directions.
class FileStreamGuard {
 public:
  struct Limits {
    std::size_t volumes = 0;       // volume must be below
    std::int64_t max_files = 0;    // all volumes together
    std::int64_t total_bytes = 0;  // all files together
  };
  explicit FileStreamGuard(Limits limits) : limits_(limits) {}

  // kCorrupt: the last file is not complete; kQuota: a limit would be passed.
  Status OnFile(const FileHeader& file);
  Status OnData(std::size_t bytes);  // kCorrupt: more than announced
  Status OnEnd() const;              // kCorrupt: the last file is not complete

  std::int64_t remaining() const { return remaining_; }  // bytes missing of the current file
  std::int64_t files() const { return files_; }
  std::int64_t bytes() const { return bytes_; }

 private:
  Limits limits_;
  std::int64_t remaining_ = 0;
  std::int64_t files_ = 0;
  std::int64_t bytes_ = 0;  // announced
};

inline constexpr std::int64_t kMaxFilesPerPod = 1'000'000;

}  // namespace spillway::runtime
