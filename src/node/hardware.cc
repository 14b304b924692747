#include "node/hardware.h"

#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "door/protocol.h"
#include "process/program.h"

namespace spillway::node {
namespace {

constexpr std::uintmax_t kMaxFileBytes = 64 * 1024;

std::string AskNvidia() {
  process::ProgramPlan plan;
  plan.command = {{"nvidia-smi", "--query-gpu=name,memory.total,driver_version",
                   "--format=csv,noheader,nounits"},
                  process::EnvironmentWith({}),
                  ""};
  plan.timeout = 60s;  // the first call loads the driver
  const auto end = process::RunProgram(plan);
  return end && end->how == process::ProgramEnd::How::kExited && end->status == 0 ? end->output
                                                                                  : "";
}

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
  json::value message =
      door::Encode(door::RegisterRequest{"x", "x", std::string(64, '0'), {}, {}, "", "00"});
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
  if (hardware.resources.gpus > 0) hardware.labels = GpuLabels(AskNvidia());
  return hardware;
}

Labels GpuLabels(std::string_view csv) {
  std::istringstream lines{std::string(csv)};
  std::string first;
  int count = 0;
  bool alike = true;
  for (std::string line; std::getline(lines, line);) {
    if (line.empty()) continue;
    if (count++ == 0) first = line;
    alike = alike && line == first;
  }
  Labels labels;
  if (count == 0) return labels;
  labels["nvidia.com/gpu.count"] = std::to_string(count);
  const std::size_t one = first.find(", "), two = first.find(", ", one + 2);
  if (!alike || one == std::string::npos || two == std::string::npos) return labels;
  std::string product = first.substr(0, one), driver = first.substr(two + 2);
  std::replace(product.begin(), product.end(), ' ', '-');
  labels["nvidia.com/gpu.product"] = product;
  labels["nvidia.com/gpu.memory"] = first.substr(one + 2, two - one - 2);
  labels["nvidia.com/cuda.driver.major"] = driver.substr(0, driver.find('.'));
  return labels;
}

Status PretendGpus(const std::string& file, Hardware& hardware) {
  std::error_code error;
  if (!std::filesystem::exists(file, error)) return Ok();
  std::ostringstream text;
  text << std::ifstream(file).rdbuf();
  const auto parsed = ParseJson(text.str());
  if (!parsed) return Fail(parsed.error().In(file));
  const json::value* gpus = FindPath(*parsed, {"resources", "gpus"});
  const json::object* labels = FindObject(*parsed, "labels");
  if (gpus == nullptr || !gpus->is_int64() || labels == nullptr)
    return Fail(Code::kInvalid, file + R"(: must be {"resources": {"gpus": N}, "labels": {...}})");
  hardware.resources.gpus = gpus->get_int64();
  hardware.labels.clear();
  for (const auto& label : *labels)
    if (label.value().is_string()) hardware.labels[label.key()] = View(label.value().get_string());
  hardware.labels[kSimulatedLabel] = "true";
  return Ok();
}

}  // namespace spillway::node
