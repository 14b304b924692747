// spillway: the command line. Everything it does is in src/cli.
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <cstdio>
#include <exception>
#include <iostream>
#include <string>
#include <vector>

#include "cli/commands.h"
#include "cli/paths.h"

namespace {

std::atomic<bool> stop{false};

// The first Ctrl-C ends -w and -f in good order, the second one ends the program.
void OnSignal(int signal) {
  if (stop.exchange(true)) std::signal(signal, SIG_DFL), std::raise(signal);
}

}  // namespace

int main(int argc, char** argv) {
  std::signal(SIGINT, OnSignal);
  std::signal(SIGTERM, OnSignal);
  std::ios::sync_with_stdio(false);
  spillway::cli::Io io{std::cin, std::cout, std::cerr, spillway::cli::LookAtTerminal(STDOUT_FILENO),
                       &stop};
  try {
    std::vector<std::string> words(argv + 1, argv + argc);
    const auto invocation =
        spillway::cli::InvocationAs(argv[0], words, spillway::cli::RealSurroundings());
    const int code = spillway::cli::Run(words, invocation, io);
    std::cout.flush();
    return code;
  } catch (const std::exception& error) {
    std::cerr << "error: " << error.what() << "\n";
    return 1;
  }
}
