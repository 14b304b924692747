// For tests that mount, and put files into what they mounted.
#pragma once

#include <fstream>
#include <string>

#include "fuse/test_mount.h"

namespace spillway::node {

using fuse::PrivateMounts;

inline void Put(const std::string& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary) << bytes;
}

}  // namespace spillway::node
