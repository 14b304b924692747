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

Comparison::Comparison(const SourceListing& listed, bool may_grow,
                       std::function<std::string(const std::string& path)> name)
    : listed_(listed),
      may_grow_(may_grow),
      name_(std::move(name)),
      next_(listed.selected.begin()) {}

Status Comparison::Next(const SourceFile& there) {
  if (next_ == listed_.selected.end() || there.path < next_->path)
    return may_grow_ ? Ok() : Changed(there, "was added");
  if (next_->path != there.path) return Changed(*next_, "was deleted");
  if (*next_ != there) return Changed(there, "changed");
  ++next_;
  return Ok();
}

Status Comparison::End() const {
  return next_ == listed_.selected.end() ? Ok() : Changed(*next_, "was deleted");
}

Status Comparison::Changed(const SourceFile& file, std::string_view what) const {
  return Fail(SourceChanged(name_(file.path), what));
}

}  // namespace spillway::gateway
