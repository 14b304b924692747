// spillway-demo: the demonstration that scripts/demo runs. Everything it does is in src/demo.
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <csignal>
#include <filesystem>
#include <iostream>

#include "demo/demo.h"

namespace {

std::atomic<bool> stop{false};

void OnSignal(int) {
  stop = true;
}

}  // namespace

int main(int argc, char** argv) {
  namespace fs = std::filesystem;
  spillway::demo::DemoOptions options;
  options.programs = fs::read_symlink("/proc/self/exe").parent_path().string();
  options.repository = (fs::path(options.programs) / "../..").lexically_normal().string();
  std::string directory;
  CLI::App app("A whole burst on one machine: see examples/README.md for what happens, and why.");
  app.add_flag("--keep", options.keep, "Leave the daemon running");
  app.add_option("--repository", options.repository, "Directory with examples/ and catalog/");
  app.add_option("--directory", directory, "Where everything goes; default: REPOSITORY/build/demo");
  app.add_option("--time-scale", options.time_scale, "How many times faster its clock runs")
      ->check(CLI::Range(1, 100));
  app.add_option("--data", options.data, "Directory of the data sets; default: DIRECTORY/data");
  app.add_option("--kubeconfig", options.kubeconfig,
                 "Administrator of a real cluster to run it on, instead of the embedded mode");
  app.add_option("--install", options.install, "Kustomization that installs Spillway there");
  app.add_option("--daemon-argument", options.daemon_arguments,
                 "Instead of --install: an argument of a spillwayd on this machine; repeatable");
  app.add_option("--job", options.jobs,
                 "A file of examples/jobs to show; repeatable; default: all");
  app.add_option("--later", options.later,
                 "A file of examples/jobs that begins when all before it have ended; repeatable");
  app.add_option("--providers", options.providers, "File in the place of examples/providers.yaml");
  app.add_option("--scans", options.scans, "Directory with what others found on rented disks");
  app.add_option("--adjust", options.adjust,
                 "--name=value that takes the place of --name=anything in the jobs; repeatable");
  int minutes = 0;
  app.add_option("--limit", minutes, "Minutes that all of it may take")->check(CLI::Range(1, 120));
  CLI11_PARSE(app, argc, argv);
  if (options.kubeconfig.empty() != (options.install.empty() && options.daemon_arguments.empty())) {
    std::cerr << "error: --kubeconfig goes with --install or --daemon-argument\n";
    return 2;
  }
  if (!options.kubeconfig.empty()) options.limit = std::chrono::minutes(15);
  if (minutes > 0) options.limit = std::chrono::minutes(minutes);
  options.repository = fs::absolute(options.repository).lexically_normal().string();
  if (options.repository.ends_with('/')) options.repository.pop_back();
  options.directory = directory.empty() ? options.repository + "/build/demo"
                                        : fs::absolute(directory).lexically_normal().string();
  std::signal(SIGINT, OnSignal);
  std::signal(SIGTERM, OnSignal);
  std::signal(SIGPIPE, SIG_IGN);
  try {
    return spillway::demo::RunDemo(options, std::cout, spillway::cli::LookAtTerminal(STDOUT_FILENO),
                                   stop);
  } catch (const std::exception& error) {
    std::cerr << "error: " << error.what() << "\n";
    return 1;
  }
}
