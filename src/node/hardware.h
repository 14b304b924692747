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

// This machine's processors, memory and disk; GPUs are those of /proc/driver/nvidia/gpus, with the
// labels of GPU feature discovery as nvidia-smi knows them.
Hardware LookAtMachine(const std::string& disk);

// Labels and number of GPUs from lines of `nvidia-smi --query-gpu=name,memory.total,driver_version
// --format=csv,noheader,nounits`. GPUs that differ give no labels but their number.
Labels GpuLabels(std::string_view csv);

// A machine of a test, whose GPUs are pretended: the file's GPUs and labels take the place of those
// seen, and the label kSimulatedLabel says so. kInvalid names the file.
Status PretendGpus(const std::string& file, Hardware& hardware);

}  // namespace spillway::node
