// Lines of a pod's log.
#pragma once

#include <algorithm>
#include <functional>
#include <string>
#include <string_view>

namespace spillway::runtime {

// A longer line is delivered in pieces of this size.
inline constexpr std::size_t kMaxLogLineBytes = 16 << 10;

// Cuts a stream into lines of bounded length. Holds at most one line. Not thread-safe.
class LineCutter {
 public:
  void Feed(std::string_view bytes, const std::function<void(std::string_view)>& line) {
    while (!bytes.empty()) {
      const std::size_t end = bytes.find('\n');
      const std::size_t room = kMaxLogLineBytes - pending_.size();
      const std::size_t take = std::min({end, bytes.size(), room});
      pending_.append(bytes.substr(0, take));
      bytes.remove_prefix(take);
      const bool newline = !bytes.empty() && bytes.front() == '\n';
      if (newline) bytes.remove_prefix(1);
      if (newline || pending_.size() == kMaxLogLineBytes) Emit(line);
    }
  }
  void Emit(const std::function<void(std::string_view)>& line) {
    line(pending_);
    pending_.clear();
  }
  bool empty() const { return pending_.empty(); }

 private:
  std::string pending_;
};

}  // namespace spillway::runtime
