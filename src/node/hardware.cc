#include "node/hardware.h"

#include <sys/statvfs.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "door/protocol.h"

namespace spillway::node {
namespace {

constexpr std::uintmax_t kMaxFileBytes = 64 * 1024;

}  // namespace

Result<Hardware> ReadSimulatedHardware(const std::string& file) {
  std::error_code error;
  const std::uintmax_t size = std::filesystem::file_size(file, error);
  if (error) return Fail(Code::kInvalid, file + ": cannot be read: " + error.message());
  if (size > kMaxFileBytes) return Fail(Code::kInvalid, file + ": more than 64 KiB");
  std::ostringstream text;
  text << std::ifstream(file).rdbuf();
  auto parsed = ParseJson(text.str());
  if (!parsed) return Fail(parsed.error().In(file));
  const json::object* resources = FindObject(*parsed, "resources");
  const json::object* labels = FindObject(*parsed, "labels");
  if (resources == nullptr || labels == nullptr)
    return Fail(Code::kInvalid, file + R"(: must be {"resources": {...}, "labels": {...}})");
  // Through the message's own codec, so that there is one form of resources and one check.
  json::value message = door::Encode(door::RegisterRequest{"x", "x", std::string(64, '0'), {}, {}});
  message.as_object()["hardware"] = *resources;
  message.as_object()["labels"] = *labels;
  auto decoded = door::DecodeRegisterRequest(message);
  if (!decoded) return Fail(decoded.error().In(file));
  Hardware hardware{std::move(decoded->hardware), std::move(decoded->labels)};
  hardware.labels[kSimulatedLabel] = "true";
  return hardware;
}

Hardware LookAtMachine(const std::string& disk) {
  Hardware hardware;
  hardware.resources.cpu_milli = std::int64_t{::sysconf(_SC_NPROCESSORS_ONLN)} * 1000;
  hardware.resources.memory_bytes =
      std::int64_t{::sysconf(_SC_PHYS_PAGES)} * ::sysconf(_SC_PAGESIZE);
  struct statvfs space{};
  if (::statvfs(disk.c_str(), &space) == 0)
    hardware.resources.ephemeral_bytes =
        static_cast<std::int64_t>(space.f_blocks) * static_cast<std::int64_t>(space.f_frsize);
  std::error_code none;
  for (const auto& gpu : std::filesystem::directory_iterator("/proc/driver/nvidia/gpus", none)) {
    hardware.resources.gpus += gpu.is_directory(none) ? 1 : 0;
  }
  return hardware;
}

}  // namespace spillway::node
