// docs/reference/providers.md, written out of what each adapter showed in the conformance suite
// (tests/contract/cloud/outcomes/).
#pragma once

#include <filesystem>
#include <string>

namespace spillway::docs {

// The whole document. An adapter whose file is missing has an empty column. Equal files give equal
// text.
std::string ProvidersReference(const std::filesystem::path& outcomes);

}  // namespace spillway::docs
