// What the site does with the data of a run, end to end: files of a directory are read, tried with
// zstd, sealed, named in a signed manifest, and written. GB/s of one core's CPU time, kernel
// included, with a plain copy of the same bytes in the same run.
//
//   run_bench [--mib N] [--rounds N] [--directory DIR]
//
// Where there is an rclone, "rclone copy" of the same files onto its crypt layer, too.
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <random>
#include <string>
#include <vector>

#include "base/log.h"
#include "gateway/files.h"
#include "gateway/key_files.h"
#include "gateway/key_store.h"
#include "gateway/run_store.h"

namespace {

using namespace spillway;
namespace fs = std::filesystem;

constexpr int kFiles = 16;

[[noreturn]] void Die(std::string_view what) {
  fmt::print(stderr, "run_bench: {}\n", what);
  std::exit(1);
}

template <typename T>
T Need(Result<T> result, std::string_view what) {
  if (!result) Die(fmt::format("{}: {}", what, result.error().message));
  if constexpr (!std::is_void_v<T>) return std::move(*result);
}

double CpuSeconds(int who) {
  rusage usage{};
  getrusage(who, &usage);
  const auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) * 1e-6;
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

void MakeFiles(const std::string& directory, std::int64_t bytes) {
  fs::create_directories(directory);
  std::mt19937_64 random(1);
  std::vector<std::uint64_t> block((1 << 20) / 8);
  for (int i = 0; i < kFiles; ++i) {
    std::ofstream file(fmt::format("{}/shard-{:02}", directory, i), std::ios::binary);
    for (std::int64_t left = bytes / kFiles; left > 0; left -= 1 << 20) {
      std::ranges::generate(block, random);
      file.write(reinterpret_cast<const char*>(block.data()),
                 std::min<std::int64_t>(left, 1 << 20));
    }
    if (!file.flush()) Die(directory + " is full");
  }
}

// What reading and writing alone cost, in pieces of 4 MiB.
void Copy(const std::string& from, const std::string& to) {
  ByteBuffer buffer(4 << 20);
  const Fd out(open(to.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
  std::int64_t at = 0;
  for (const auto& entry : fs::directory_iterator(from)) {
    const Fd in(open(entry.path().c_str(), O_RDONLY | O_CLOEXEC));
    const auto size = static_cast<std::int64_t>(entry.file_size());
    for (std::int64_t offset = 0; offset < size;) {
      const auto part = std::span(buffer).first(
          static_cast<std::size_t>(std::min(size - offset, std::ssize(buffer))));
      Need(gateway::ReadAt(in.get(), entry.path(), offset, part), "reading");
      Need(gateway::WriteAt(out.get(), to, at, part), "writing");
      offset += std::ssize(part);
      at += std::ssize(part);
    }
  }
  if (fsync(out.get()) != 0) Die("fsync " + to);
}

void Seal(const std::string& from, const std::string& work) {
  const auto service = Need(gateway::KeyFiles::Open(work + "/keys"), "key service");
  const auto keys = Need(gateway::KeyStore::Open(work + "/store", *service, Time{1s}), "keys");
  const data::SigningKey site = Need(gateway::OpenSigningKey(work + "/site"), "site's key");
  const auto runs = Need(gateway::Runs::Open(work + "/runs", *keys, site), "runs");
  Need(runs->Prepare(
           {"bench", {{"bench/data", "bench/data", DataClass::kInternal, from, {}, {}, {}}}, {}},
           Time{2s}),
       "sealing");
}

void RcloneCrypt(const std::string& from, const std::string& to) {
  const std::string command = fmt::format(
      "export RCLONE_CONFIG=/dev/null RCLONE_CONFIG_C_TYPE=crypt RCLONE_CONFIG_C_REMOTE='{}' "
      "RCLONE_CONFIG_C_PASSWORD=$(rclone obscure benchmark); "
      "exec rclone copy '{}' c: --transfers 1 --log-level ERROR",
      to, from);
  if (std::system(command.c_str()) != 0) Die("rclone failed");
}

struct Contestant {
  std::string name;
  int who;  // whose CPU time it is
  std::function<void(const std::string& to)> once;
  std::vector<double> gb_per_s;
};

void Report(std::vector<Contestant>& contestants) {
  fmt::print("{:40} {:>10} {:>14}\n", "", "GB/CPU s", "CPU s per GiB");
  for (Contestant& one : contestants) {
    std::ranges::sort(one.gb_per_s);
    const double median = one.gb_per_s[one.gb_per_s.size() / 2];
    fmt::print("{:40} {:>10.2f} {:>14.2f}\n", one.name, median, 1.073741824 / median);
  }
}

}  // namespace

int main(int argc, char** argv) {
  std::int64_t mib = 1024, rounds = 5;
  std::string parent = "/dev/shm";
  for (int i = 1; i < argc; i += 2) {
    const std::string_view option = argv[i], value = i + 1 < argc ? argv[i + 1] : "";
    std::int64_t* number = option == "--mib" ? &mib : option == "--rounds" ? &rounds : nullptr;
    if (option == "--directory" && !value.empty()) {
      parent = value;
    } else if (number == nullptr ||
               std::from_chars(value.data(), value.data() + value.size(), *number).ptr !=
                   value.data() + value.size() ||
               *number < 1) {
      fmt::print(stderr, "usage: run_bench [--mib N] [--rounds N] [--directory DIR]\n");
      return 2;
    }
  }
  log::SetLevel(log::Level::kError);
  const std::string work = parent + "/spillway-run-bench", files = work + "/files";
  fs::remove_all(work);
  MakeFiles(files, mib << 20);
  sync();  // nobody of them pays for what was written before
  std::vector<Contestant> contestants = {
      {"copy", RUSAGE_SELF, [&](const std::string& to) { Copy(files, to + "/copy"); }, {}},
      {"a run: read, sealed, named, written",
       RUSAGE_SELF,
       [&](const std::string& to) { Seal(files, to); },
       {}}};
  if (std::system("command -v rclone >/dev/null") == 0)
    contestants.push_back({"rclone copy to crypt",
                           RUSAGE_CHILDREN,
                           [&](const std::string& to) { RcloneCrypt(files, to); },
                           {}});
  for (std::int64_t round = 0; round < rounds; ++round)
    for (Contestant& one : contestants) {
      const std::string to = work + "/to";
      fs::create_directories(to);
      sync();
      const double began = CpuSeconds(one.who);
      one.once(to);
      one.gb_per_s.push_back(static_cast<double>(mib << 20) / 1e9 / (CpuSeconds(one.who) - began));
      fs::remove_all(to);
    }
  Report(contestants);
  fs::remove_all(work);
  return 0;
}
