// Descriptors as this folder names them.
#pragma once

#include "base/fd.h"
#include "process/pidfd.h"

namespace spillway::runtime {

using process::PidfdOpen;
using process::PidfdSignal;
using ::spillway::Fd;

}  // namespace spillway::runtime
