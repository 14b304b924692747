// A process by a descriptor, which its number cannot be reused under: pidfd_open(2).
#pragma once

#include <sys/syscall.h>
#include <sys/types.h>

#include "base/fd.h"

namespace spillway::process {

// A descriptor that becomes readable when the process ends; none with errno if it fails. By number
// because glibc 2.36 declares pidfd_open without C linkage.
inline Fd PidfdOpen(pid_t pid) {
  return Fd(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
}
// Sends a signal to exactly the process the descriptor was opened for.
inline bool PidfdSignal(const Fd& pidfd, int signal) {
  return ::syscall(SYS_pidfd_send_signal, pidfd.get(), signal, nullptr, 0) == 0;
}

}  // namespace spillway::process
