// What the machine has, as it is shown to the site when the node registers.
#pragma once

#include <string>

#include "model/scheduling.h"

#include "base/result.h"

namespace spillway::node {

struct Hardware {
  Resources resources;
  Labels labels;
};

inline constexpr const char* kSimulatedLabel = "spillway.dev/simulated";

// A simulated machine's hardware: {"resources": <as in the register message>, "labels": {...}}.
// Always carries spillway.dev/simulated=true, whatever the file says. kInvalid names the file.
Result<Hardware> ReadSimulatedHardware(const std::string& file);

// This machine's processors, memory and disk; GPUs are those of /proc/driver/nvidia/gpus.
Hardware LookAtMachine(const std::string& disk);

}  // namespace spillway::node
