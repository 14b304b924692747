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

Status AskRoom(const Room& room, const SourceListing& listing) {
  // Before the next thousand.
  const bool due = std::ssize(listing.selected) % kRoomFiles == 1;
  return room && due ? room(kRoomFiles) : Ok();
}

Status CompareListings(const Source& source, const SourceListing& listed,
                       const SourceListing& now) {
  const auto changed = [&](const SourceFile& file, std::string_view what) {
    return Fail(SourceChanged(fmt::format("{}/{}", source.Name(), file.path), what));
  };
  auto there = now.selected.begin();
  for (const SourceFile& file : listed.selected) {
    if (there != now.selected.end() && there->path < file.path) return changed(*there, "was added");
    if (there == now.selected.end() || there->path != file.path)
      return changed(file, "was deleted");
    if (*there != file) return changed(file, "changed");
    ++there;
  }
  if (there != now.selected.end()) return changed(*there, "was added");
  return Ok();
}

}  // namespace spillway::gateway
