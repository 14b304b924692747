// A directory of this machine as the source of a Dataset.
#pragma once

#include <memory>
#include <string>

#include "gateway/source.h"

namespace spillway::gateway {

// Links are never followed. A new file in a directory is a new version of all of it.
std::unique_ptr<Source> OpenDirectorySource(std::string directory);

}  // namespace spillway::gateway
