// Test program: pod-init for the library's tests, and a parent that can be killed.
#include <poll.h>

#include <cstdio>
#include <string_view>

#include "runtime/pod_init.h"
#include "runtime/pod_process.h"

namespace {

using namespace spillway::runtime;

// hold-pod sandbox|plain <directory> <script>: runs `sh -c script` with the directory at /shared
// and waits to be killed.
int HoldPod(bool sandbox, const char* directory, const char* script) {
  PodSpec spec;
  spec.name = "held";
  spec.argv = {"/bin/sh", "-c", script};
  spec.volumes = {{"shared", "/shared", BindReadWrite{directory}}};
  auto pod = PodProcess::Start(spec, sandbox ? Probe() : SandboxSupport{}, {});
  if (!pod) {
    std::fprintf(stderr, "%s\n", pod.error().message.c_str());
    return 1;
  }
  ::poll(nullptr, 0, -1);
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  const std::string_view mode = argc > 1 ? argv[1] : "";
  if (mode == "pod-init") return spillway::runtime::PodInitMain(argc, argv);
  if (mode == "hold-pod" && argc == 5)
    return HoldPod(std::string_view(argv[2]) == "sandbox", argv[3], argv[4]);
  std::fprintf(stderr,
               "usage: runtime_pod_init pod-init | hold-pod sandbox|plain DIRECTORY SCRIPT\n");
  return 2;
}
