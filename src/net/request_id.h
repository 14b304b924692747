// Names of requests, for the logs of both ends.
#pragma once

#include <string>
#include <string_view>

namespace spillway::net {

// `given` if it can stand in a log and a header (1 to 64 letters, digits, dots and dashes), else a
// fresh one. Thread-safe.
std::string RequestId(std::string_view given = {});

}  // namespace spillway::net
