// First boot: the script that a provider hands to a bare machine as user data (cloud-init runs it).
#pragma once

#include <string>

#include "base/result.h"
#include "door/user_data.h"

namespace spillway::machine {

// The name of spillway-node's archive among the files of a MachineSetup: a .tar.zst with the
// executable spillway-node at its top (scripts/machine-files makes it).
inline constexpr std::string_view kAgentFile = "spillway-node.tar.zst";

// The script with everything in it. `data` needs tunnel and machine, and a kAgentFile. kInvalid:
// something is missing, or it is more than door::kMaxUserDataBytes.
Result<std::string> FirstBoot(const door::UserData& data);

// The JSON inside such a script, for a look at what was handed out. kInvalid if it is none.
Result<std::string> UserDataIn(std::string_view script);

}  // namespace spillway::machine
