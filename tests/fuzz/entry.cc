// What libFuzzer and driver.cc call: https://llvm.org/docs/LibFuzzer.html.
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "tests/fuzz/fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  spillway::fuzz::Try({reinterpret_cast<const char*>(data), size});
  return 0;
}

// "--write-seeds DIR" writes the seeds there, for libFuzzer, and ends.
extern "C" int LLVMFuzzerInitialize(int* argc, char*** argv) {
  if (*argc != 3 || std::string_view((*argv)[1]) != "--write-seeds") return 0;
  std::filesystem::create_directories((*argv)[2]);
  int number = 0;
  for (const std::string& seed : spillway::fuzz::Seeds()) {
    std::ofstream file(std::filesystem::path((*argv)[2]) / std::to_string(number++),
                       std::ios::binary);
    if (!(file << seed).flush()) {
      std::fprintf(stderr, "%s: a seed cannot be written there\n", (*argv)[2]);
      std::exit(1);
    }
  }
  std::exit(0);
}
