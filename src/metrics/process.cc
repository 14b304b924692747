#include "metrics/process.h"

#include <sys/resource.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <sstream>
#include <string>

namespace spillway::metrics {
namespace {

using std::chrono::nanoseconds;

// Seconds since 1970 at which the machine started; 0 if unknown.
std::int64_t BootTime() {
  std::ifstream file("/proc/stat");
  for (std::string line; std::getline(file, line);)
    if (line.starts_with("btime ")) return std::strtoll(line.c_str() + 6, nullptr, 10);
  return 0;
}

// proc(5): fields of /proc/self/stat behind the name in brackets, which may hold anything. The
// first one is field 3.
std::vector<std::string> StatFields() {
  std::ifstream file("/proc/self/stat");
  std::string text;
  std::getline(file, text);
  const std::size_t end = text.rfind(')');
  if (end == std::string::npos) return {};
  std::istringstream rest(text.substr(end + 1));
  return {std::istream_iterator<std::string>(rest), {}};
}

}  // namespace

void WriteProcess(Page& page) {
  static const std::int64_t boot = BootTime();
  const std::int64_t ticks = sysconf(_SC_CLK_TCK);
  const std::vector<std::string> stat = StatFields();
  if (stat.size() > 21 && ticks > 0) {
    const auto number = [&](std::size_t field) -> std::int64_t {
      return std::strtoll(stat[field - 3].c_str(), nullptr, 10);
    };
    const nanoseconds tick = nanoseconds(std::chrono::seconds(1)) / ticks;
    page.Add(kCpuSeconds, {}, (number(14) + number(15)) * tick);
    page.Add(kStartTime, {}, std::chrono::seconds(boot) + number(22) * tick);
    page.Add(kResidentMemory, {}, number(24) * sysconf(_SC_PAGESIZE));
  }
  std::error_code error;
  std::int64_t open = 0;
  for (auto it = std::filesystem::directory_iterator("/proc/self/fd", error);
       !error && it != std::filesystem::directory_iterator(); it.increment(error))
    ++open;
  if (!error) page.Add(kOpenFiles, {}, open);
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) == 0)
    page.Add(kMostFiles, {}, static_cast<std::int64_t>(limit.rlim_cur));
}

}  // namespace spillway::metrics
