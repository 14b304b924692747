#include "gateway/source.h"

#include <fmt/format.h>

namespace spillway::gateway {

Error SourceChanged(const std::string& name, std::string_view what) {
  return {Code::kCorrupt,
          fmt::format("{}: {} while it was read; a run gets one version of a dataset or none, so "
                      "leave it alone and submit again",
                      name, what),
          {}};
}

Status CompareListings(const Source& source, const SourceListing& listed, const SourceListing& now,
                       bool may_grow) {
  const auto changed = [&](const SourceFile& file, std::string_view what) {
    return Fail(SourceChanged(fmt::format("{}/{}", source.Name(), file.path), what));
  };
  auto there = now.selected.begin();
  for (const SourceFile& file : listed.selected) {
    for (; there != now.selected.end() && there->path < file.path; ++there)
      if (!may_grow) return changed(*there, "was added");
    if (there == now.selected.end() || there->path != file.path)
      return changed(file, "was deleted");
    if (*there != file) return changed(file, "changed");
    ++there;
  }
  if (there != now.selected.end() && !may_grow) return changed(*there, "was added");
  return Ok();
}

}  // namespace spillway::gateway
