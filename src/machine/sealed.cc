#include "machine/sealed.h"

#include <fmt/format.h>
#include <openssl/crypto.h>
#include <openssl/rand.h>
#include <sys/statvfs.h>

#include <array>
#include <filesystem>

#include "machine/texts.h"
#include "tunnel/tool.h"

namespace spillway::machine {
namespace {

namespace fs = std::filesystem;
using tunnel::RunTool;

constexpr const char* kVolume = "spillway-sealed";
constexpr const char* kDevice = "/dev/mapper/spillway-sealed";
constexpr std::array<const char*, 5> kPlaces = {"/var/lib/kubelet", "/var/lib/containerd",
                                                "/var/log/pods", "/var/log/containers", "/var/tmp"};
constexpr Duration kFormatTime = 5min;
constexpr std::uint64_t kLeastBytes = std::uint64_t{256} << 20;

// AES-256 in XTS needs two keys.
Status OpenVolume(const std::string& loop) {
  std::array<unsigned char, 64> key{};
  SPW_CHECK(RAND_bytes(key.data(), key.size()) == 1, "the system has no randomness");
  const auto opened =
      RunTool({"cryptsetup", "open", "--type", "plain", "--cipher", "aes-xts-plain64", "--key-size",
               "512", "--key-file", "-", "--keyfile-size", "64", loop, kVolume},
              {reinterpret_cast<const char*>(key.data()), key.size()});
  OPENSSL_cleanse(key.data(), key.size());
  if (!opened) return Fail(opened.error());
  return Ok();
}

Status PutOn(const std::string& place) {
  std::error_code error;
  const std::string inside = fmt::format("{}{}", kSealed, place);
  fs::create_directories(place, error);
  if (!error) fs::create_directories(inside, error);
  if (error) return Fail(Code::kInternal, place + ": " + error.message());
  SPW_TRY(RunTool({"mount", "--bind", inside, place}));
  SPW_TRY(RunTool({"mount", "--make-rshared", place}));
  return Ok();
}

}  // namespace

Status MountSealed(const std::string& directory) {
  std::error_code error;
  fs::create_directories(directory, error);
  struct statvfs space{};
  if (error || ::statvfs(directory.c_str(), &space) != 0)
    return Fail(Code::kInternal, directory + ": cannot be used");
  const std::uint64_t bytes = std::uint64_t{space.f_bavail} * space.f_frsize / 10 * 9;
  if (bytes < kLeastBytes)
    return Fail(Code::kInternal, fmt::format("{}: only {} MiB are free", directory, bytes >> 20));
  const std::string file = directory + "/sealed";
  const std::string mounted(kSealed);
  fs::remove(file, error);
  SPW_TRY(RunTool({"truncate", "--size", fmt::format("{}", bytes), file}));
  SPW_ASSIGN(std::string loop, RunTool({"losetup", "--find", "--show", file}));
  while (loop.ends_with('\n')) loop.pop_back();
  SPW_TRY(OpenVolume(loop));
  SPW_TRY(RunTool({"mkfs.ext4", "-q", "-O", "^has_journal", "-E", "nodiscard,lazy_itable_init=1",
                   "-m", "0", kDevice},
                  "", kFormatTime));
  fs::create_directories(mounted, error);
  SPW_TRY(RunTool({"mount", "-o", "noatime", kDevice, mounted}));
  for (const char* place : kPlaces) SPW_TRY(PutOn(place));
  SPW_TRY(RunTool({"chmod", "1777", "/var/tmp"}));
  SPW_TRY(RunTool({"mount", "-t", "tmpfs", "-o", "mode=1777,nosuid,nodev", "tmpfs", "/tmp"}));
  return Ok();
}

Status DestroySealed() {
  std::error_code error;
  if (!fs::exists(kDevice, error)) return Ok();
  SPW_TRY(RunTool({"dmsetup", "suspend", "--noflush", "--nolockfs", kVolume}));
  SPW_TRY(RunTool({"dmsetup", "message", kVolume, "0", "key", "wipe"}));
  // What was not written yet fails from here on. If it waited, the last sync before the power goes
  // would wait for ever, and the machine would be paid for ever.
  SPW_TRY(RunTool({"dmsetup", "wipe_table", "--noflush", "--nolockfs", kVolume}));
  return Ok();
}

}  // namespace spillway::machine
