// Running the system's network tools: ip(8), wg(8), iptables(8) and their like.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/time.h"

namespace spillway::tunnel {

// Runs it to its end, `patience` at most, and returns what it wrote. `input` is its standard
// input: the way for secrets, which never stand in arguments. kUnavailable: it does not exist;
// kDenied: it may not (needs CAP_NET_ADMIN); kInternal: it failed, with what it said.
Result<std::string> RunTool(const std::vector<std::string>& argv, std::string_view input = "",
                            Duration patience = 20s);

}  // namespace spillway::tunnel
