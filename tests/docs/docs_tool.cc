// Writes the generated documents to standard output:
//
//   docs_tool objects > docs/reference/objects.md
#include <cstdio>
#include <string_view>

#include "objects_reference.h"

int main(int argc, char** argv) {
  using namespace spillway;
  if (argc != 2 || std::string_view(argv[1]) != "objects") {
    std::fputs("usage: docs_tool objects > docs/reference/objects.md\n", stderr);
    return 2;
  }
  const std::string text = docs::ObjectsReference(schema::Schemas::Embedded());
  const bool written = std::fputs(text.c_str(), stdout) >= 0 && std::fflush(stdout) == 0;
  return written ? 0 : 1;
}
