// api/openapi.yaml as it was when the library was built.
#pragma once

#include <string>

namespace spillway::server {

const std::string& ApiDocument();

}  // namespace spillway::server
