// Lines of a stream that comes in pieces of any size.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

namespace spillway::kube {

// Holds at most one unfinished line. Not thread-safe.
class LineReader {
 public:
  explicit LineReader(std::size_t max_line_bytes) : max_line_bytes_(max_line_bytes) {}

  // Calls `on_line` for each line that is complete, without its end; a line is valid during the
  // call only. kCorrupt for a line that is too long; an error of `on_line` comes back as it is.
  template <typename OnLine>
  Status Feed(std::string_view bytes, const OnLine& on_line) {
    while (!bytes.empty()) {
      const std::size_t end = bytes.find('\n');
      const std::string_view piece = bytes.substr(0, end);
      if (pending_.size() + piece.size() > max_line_bytes_)
        return Fail(Code::kCorrupt,
                    "a line has more than " + std::to_string(max_line_bytes_) + " bytes");
      if (end == std::string_view::npos) {
        pending_.append(piece);
        break;
      }
      bytes.remove_prefix(end + 1);
      std::string_view line = piece;
      if (!pending_.empty()) line = pending_.append(piece);
      const Status status = line.empty() ? Ok() : on_line(line);
      pending_.clear();
      // One huge object must not stay in memory for the rest of the stream.
      if (pending_.capacity() > kKeepBytes) pending_ = {};
      SPW_TRY(status);
    }
    return Ok();
  }

 private:
  static constexpr std::size_t kKeepBytes = 256 << 10;

  std::size_t max_line_bytes_;
  std::string pending_;
};

}  // namespace spillway::kube
