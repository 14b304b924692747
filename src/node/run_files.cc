#include "node/run_files.h"

#include <algorithm>

namespace spillway::node {

Result<RunFiles> RunFiles::Make(const std::vector<data::PackedFile>& files) {
  std::size_t pieces = 0;
  for (const data::PackedFile& file : files) pieces += file.extents.size();
  if (files.size() >= UINT32_MAX || pieces >= UINT32_MAX)
    return Fail(Code::kInvalid, "the manifest has too many files or extents");
  RunFiles made;
  made.first_.reserve(files.size() + 1);
  made.pieces_.reserve(pieces);
  for (const data::PackedFile& file : files) {
    // Readable for everybody, whose only way there is the pod's own volume.
    SPW_TRY(made.tree_.Add(file.entry.path, file.entry.size_bytes, (file.entry.mode & 0555) | 0444,
                           file.entry.mtime));
    made.first_.push_back(static_cast<std::uint32_t>(made.pieces_.size()));
    std::int64_t at = 0;
    for (const data::Extent& extent : file.extents) {
      made.pieces_.push_back({at, extent.chunk, static_cast<std::uint32_t>(extent.offset),
                              static_cast<std::uint32_t>(extent.length)});
      at += extent.length;
    }
  }
  made.first_.push_back(static_cast<std::uint32_t>(made.pieces_.size()));
  made.tree_.Finish();
  return made;
}

std::span<const RunFiles::Piece> RunFiles::Pieces(std::uint32_t file) const {
  return std::span(pieces_).subspan(first_[file], first_[file + 1] - first_[file]);
}

std::span<const RunFiles::Piece> RunFiles::PiecesFrom(std::uint32_t file,
                                                      std::int64_t offset) const {
  const std::span<const Piece> all = Pieces(file);
  const auto after = std::upper_bound(all.begin(), all.end(), offset,
                                      [](std::int64_t o, const Piece& p) { return o < p.at; });
  return all.subspan(
      static_cast<std::size_t>(std::max<std::ptrdiff_t>(after - all.begin() - 1, 0)));
}

std::pair<std::uint32_t, std::uint32_t> RunFiles::OfClaim(const std::string& claim) const {
  const auto directory = tree_.Find(fuse::FileTree::kRoot, claim);
  if (!directory || !tree_.IsDirectory(*directory)) return {0, 0};
  // Files were added in the order of their paths, so those below a directory stand together.
  const auto below = [&](std::uint32_t file) {
    fuse::FileTree::Node node = tree_.NodeOf(file);
    while (tree_.Parent(node) != fuse::FileTree::kRoot) node = tree_.Parent(node);
    return node;
  };
  const auto files = static_cast<std::uint32_t>(tree_.files());
  std::uint32_t first = 0;
  while (first < files && below(first) != *directory) ++first;
  std::uint32_t end = first;
  while (end < files && below(end) == *directory) ++end;
  return {first, end};
}

}  // namespace spillway::node
