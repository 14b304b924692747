// Who keeps the run keys: --key-service and what belongs to it.
#pragma once

#include <CLI/CLI.hpp>
#include <memory>
#include <string>

#include "base/result.h"
#include "ports/key_service.h"

namespace spillway {

struct KeyServiceFlags {
  std::string url, token_file, name_space, ca_file;
  std::string mount = "transit";
};

void AddKeyServiceOptions(CLI::App& app, KeyServiceFlags& flags);

// nullptr: key files of the state directory. kInvalid names the option that cannot be.
Result<std::shared_ptr<ports::KeyService>> OpenKeyService(const KeyServiceFlags& flags,
                                                          const std::string& cluster_id);

}  // namespace spillway
