// The first process inside a pod's sandbox.
#pragma once

namespace spillway::runtime {

// The main() of `<program> pod-init`, started by PodProcess with its control socket as descriptor
// 3; every program that uses this library calls it first when argv[1] is "pod-init".
//
// It receives the configuration and the input files (frames.h), writes the files into their tmpfs,
// makes those mounts read-only, gives up every capability, starts the command without access to the
// control socket, reaps orphans, and forwards SIGTERM. When the command has ended it kills whatever
// is left in the sandbox and streams the regular files of the output volumes back. If the parent
// goes away, everything is killed. Ends with _exit: 0 if all was told to the parent, else 1.
int PodInitMain(int argc, char** argv);

}  // namespace spillway::runtime
