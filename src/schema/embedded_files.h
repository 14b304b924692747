// The files of deploy/crds and deploy/embedded as they were when the library was built.
#pragma once

#include <string_view>
#include <vector>

namespace spillway::schema {

struct EmbeddedFile {
  std::string_view name;  // "crds/budgets.spillway.dev.yaml", "embedded/job.yaml"
  std::string_view text;
};

// Sorted by folder and name. Lives for ever.
const std::vector<EmbeddedFile>& EmbeddedFiles();

}  // namespace spillway::schema
