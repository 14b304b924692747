// The most memory that this process takes, as the kernel has seen it.
#pragma once

#include <malloc.h>

#include <cstdint>
#include <fstream>
#include <string>
#include <string_view>

namespace spillway::integration {

// False where a sanitizer needs memory of its own: nothing is to be said about ours then.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
inline constexpr bool kMemoryIsOurs = false;
#else
inline constexpr bool kMemoryIsOurs = true;
#endif

// While the object is there, beyond what it took before.
class PeakMemory {
 public:
  PeakMemory() {
    malloc_trim(0);                                 // what is free already would hide what is taken
    std::ofstream("/proc/self/clear_refs") << "5";  // forgets the peak so far
    before_kib_ = StatusKib("VmRSS");
  }
  std::int64_t bytes() const { return (StatusKib("VmHWM") - before_kib_) * 1024; }

 private:
  static std::int64_t StatusKib(std::string_view name) {
    std::ifstream status("/proc/self/status");
    for (std::string line; std::getline(status, line);)
      if (line.starts_with(name)) return std::stoll(line.substr(name.size() + 1));
    return 0;
  }

  std::int64_t before_kib_ = 0;
};

}  // namespace spillway::integration
