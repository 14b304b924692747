// Stands in for libFuzzer where there is no clang: changes the seeds at random, always the same way
// for the same seed of chance, and takes a few of libFuzzer's flags.
//
//   fuzz_NAME [-runs=N] [-max_total_time=SECONDS] [-seed=N] [FILE | DIRECTORY ...]
//
// Files are tried as they are and nothing else; the files of directories are more seeds. An input
// that ends the process is left as crash-NAME in the current directory.
#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "base/rng.h"
#include "tests/fuzz/fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);
extern "C" int LLVMFuzzerInitialize(int* argc, char*** argv);

namespace {

namespace fs = std::filesystem;

constexpr std::size_t kMaxInputBytes = 128 << 10;
constexpr std::size_t kMaxSeeds = 10'000;

// For the handler of a crash, which may not allocate.
std::string crash_file;
const char* input_data = nullptr;
std::size_t input_size = 0;

void KeepInput(int signal) {
  const int fd = open(crash_file.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
  if (fd >= 0 && write(fd, input_data, input_size) == static_cast<ssize_t>(input_size)) {
    constexpr char kSaid[] = "the input is left in ";
    (void)!write(STDERR_FILENO, kSaid, sizeof kSaid - 1);
    (void)!write(STDERR_FILENO, crash_file.c_str(), crash_file.size());
    (void)!write(STDERR_FILENO, "\n", 1);
  }
  ::signal(signal, SIG_DFL);
  raise(signal);
}

void Run(const std::string& input) {
  // A copy of exactly this size, so that reading over the end is seen by AddressSanitizer.
  const std::vector<std::uint8_t> bytes(input.begin(), input.end());
  input_data = input.data();
  input_size = input.size();
  LLVMFuzzerTestOneInput(bytes.data(), bytes.size());
}

class Mutator {
 public:
  Mutator(std::uint64_t seed, const std::vector<std::string>& seeds) : rng_(seed), seeds_(seeds) {}

  std::string Next() {
    std::string input = Any();
    const std::size_t changes = 1 + Below(4);
    for (std::size_t i = 0; i < changes; ++i) Change(input);
    if (input.size() > kMaxInputBytes) input.resize(kMaxInputBytes);
    return input;
  }

 private:
  std::size_t Below(std::size_t n) { return n == 0 ? 0 : rng_.Next() % n; }
  const std::string& Any() { return seeds_[Below(seeds_.size())]; }

  void Change(std::string& input) {
    static constexpr char kBytes[] = {0,    1,   '\n', '\r', ' ',    '"',    '%',   '-',
                                      '.',  '/', '0',  '9',  ':',    '<',    '>',   '[',
                                      '\\', ']', '{',  '}',  '\x7f', '\x80', '\xff'};
    static constexpr std::string_view kNumbers[] = {
        "0", "-1", "9223372036854775807", "18446744073709551616", "1e999", "4294967296"};
    const std::size_t at = Below(input.size() + 1), rest = input.size() - at;
    switch (Below(9)) {
      case 0:
        if (rest > 0) input[at] = static_cast<char>(input[at] ^ (1 << Below(8)));
        return;
      case 1:
        if (rest > 0) input[at] = kBytes[Below(std::size(kBytes))];
        return;
      case 2:
        input.insert(at, 1, kBytes[Below(std::size(kBytes))]);
        return;
      case 3:
        input.erase(at, 1 + Below(std::min<std::size_t>(rest, 64)));
        return;
      case 4:
        input.resize(at);
        return;
      case 5:  // once more, up to many times
        if (rest > 0) {
          const std::string part = input.substr(at, 1 + Below(std::min<std::size_t>(rest, 64)));
          for (std::size_t n = std::size_t{1} << Below(8); n > 0; --n) input.insert(at, part);
        }
        return;
      case 6: {  // a part of another
        const std::string& other = Any();
        const std::size_t from = Below(other.size() + 1);
        input.insert(at, other, from, 1 + Below(256));
        return;
      }
      case 7: {  // the end of another
        const std::string& other = Any();
        input.resize(at);
        input += other.substr(Below(other.size() + 1));
        return;
      }
      default: {  // another number in the place of one
        const std::size_t digit = input.find_first_of("0123456789", at);
        if (digit == std::string::npos) return;
        const std::size_t end =
            std::min(input.find_first_not_of("0123456789", digit), input.size());
        input.replace(digit, end - digit, kNumbers[Below(std::size(kNumbers))]);
      }
    }
  }

  spillway::Rng rng_;
  const std::vector<std::string>& seeds_;
};

std::string ReadAll(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

bool ReadNumber(std::string_view argument, std::string_view flag, std::uint64_t& number) {
  if (!argument.starts_with(flag)) return false;
  argument.remove_prefix(flag.size());
  const auto [end, error] =
      std::from_chars(argument.data(), argument.data() + argument.size(), number);
  return error == std::errc{} && end == argument.data() + argument.size();
}

}  // namespace

int main(int argc, char** argv) {
  LLVMFuzzerInitialize(&argc, &argv);
  const std::string name = fs::path(argv[0]).filename();
  crash_file = "crash-" + name;
  for (const int signal : {SIGABRT, SIGSEGV, SIGBUS, SIGFPE, SIGILL}) ::signal(signal, KeepInput);
  std::uint64_t runs = 0, seconds = 0, seed = 1;
  std::vector<std::string> seeds = spillway::fuzz::Seeds(), files;
  for (int i = 1; i < argc; ++i) {
    const std::string_view argument = argv[i];
    if (ReadNumber(argument, "-runs=", runs) || ReadNumber(argument, "-max_total_time=", seconds) ||
        ReadNumber(argument, "-seed=", seed))
      continue;
    if (fs::is_directory(argument)) {
      for (const auto& entry : fs::directory_iterator(argument))
        if (entry.is_regular_file() && seeds.size() < kMaxSeeds) seeds.push_back(ReadAll(entry));
    } else if (fs::is_regular_file(argument)) {
      files.push_back(ReadAll(argument));
    } else {
      fmt::print(stderr,
                 "{}: unknown argument {}; known are -runs=N, -max_total_time=SECONDS, -seed=N, "
                 "files and directories\n",
                 name, argument);
      return 2;
    }
  }
  for (const std::string& file : files) Run(file);
  if (!files.empty()) return 0;
  for (const std::string& each : seeds) Run(each);
  Mutator mutator(seed, seeds);
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(seconds);
  std::uint64_t done = 0;
  while ((runs > 0 && done < runs) || (runs == 0 && std::chrono::steady_clock::now() < end)) {
    Run(mutator.Next());
    ++done;
  }
  fmt::print("{}: {} seeds, {} changed inputs, nothing found\n", name, seeds.size(), done);
  return 0;
}
