// Writes the generated documents to standard output:
//
//   docs_tool objects > docs/reference/objects.md
//   docs_tool providers > docs/reference/providers.md
#include <cstdio>
#include <string_view>

#include "objects_reference.h"
#include "providers_reference.h"

int main(int argc, char** argv) {
  using namespace spillway;
  const std::string_view what = argc == 2 ? argv[1] : "";
  if (what != "objects" && what != "providers") {
    std::fputs("usage: docs_tool objects|providers > docs/reference/NAME.md\n", stderr);
    return 2;
  }
  const std::string text =
      what == "objects"
          ? docs::ObjectsReference(schema::Schemas::Embedded())
          : docs::ProvidersReference(SPILLWAY_SOURCE_DIR "/tests/contract/cloud/outcomes");
  const bool written = std::fputs(text.c_str(), stdout) >= 0 && std::fflush(stdout) == 0;
  return written ? 0 : 1;
}
