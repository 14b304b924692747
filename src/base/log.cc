#include "base/log.h"

#include <unistd.h>

#include <atomic>
#include <boost/json.hpp>
#include <chrono>

#include "base/time.h"

namespace spillway::log {
namespace {

std::atomic<Level> g_level{Level::kInfo};
std::string g_program = "spillway";

constexpr std::string_view Name(Level level) {
  switch (level) {
    case Level::kDebug:
      return "debug";
    case Level::kInfo:
      return "info";
    case Level::kWarn:
      return "warn";
    case Level::kError:
      return "error";
  }
  return "error";
}

}  // namespace

void SetLevel(Level level) {
  g_level = level;
}
void SetProgram(std::string_view name) {
  g_program = name;
}

void Write(Level level, std::string_view message, Fields fields) {
  if (level < g_level.load(std::memory_order_relaxed)) return;
  const auto now = std::chrono::time_point_cast<Duration>(std::chrono::system_clock::now());
  boost::json::object line;
  line["time"] = FormatTime(now);
  line["level"] = Name(level);
  line["program"] = g_program;
  line["message"] = message;
  for (const Field& field : fields)
    std::visit([&](const auto& value) { line[field.key] = value; }, field.value);
  const std::string text = boost::json::serialize(line) + "\n";
  [[maybe_unused]] const auto written = write(STDERR_FILENO, text.data(), text.size());
}

}  // namespace spillway::log
