// The machine's end of the tunnel, once it has registered.
#pragma once

#include <string>

#include "base/result.h"
#include "door/user_data.h"

namespace spillway::machine {

// Opens the interface of the node address with the machine's own key, routes hub and networks
// through it, and takes the boot interface away with its key.
Status OpenNodeLink(const door::TunnelGrant& tunnel, const std::string& private_key);

// The largest packet that fits through it.
Result<int> NodeLinkMtu();

}  // namespace spillway::machine
