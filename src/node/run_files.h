// The files of a run in little memory: the manifest's names and where their bytes are.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "data/manifest.h"
#include "fuse/file_tree.h"

namespace spillway::node {

// Never changes once made; read by any number of threads.
class RunFiles {
 public:
  // A stretch of a file: `length` bytes from `at` on lie at `offset` in the plaintext of `chunk`.
  struct Piece {
    std::int64_t at = 0;
    std::uint32_t chunk = 0;
    std::uint32_t offset = 0;
    std::uint32_t length = 0;
  };

  // Of a manifest that was checked. kInvalid if there are more files or pieces than are counted.
  static Result<RunFiles> Make(const std::vector<data::PackedFile>& files);

  // Numbers, paths, sizes. The first name of every path is the claim's.
  const fuse::FileTree& tree() const { return tree_; }
  std::string Path(std::uint32_t file) const { return tree_.Path(tree_.NodeOf(file)); }
  // All pieces of a file, one after the other; an empty file has none.
  std::span<const Piece> Pieces(std::uint32_t file) const;
  // Those from the one that holds byte `offset` on.
  std::span<const Piece> PiecesFrom(std::uint32_t file, std::int64_t offset) const;
  // The files of a claim: numbers [first, second), because they stand together.
  std::pair<std::uint32_t, std::uint32_t> OfClaim(const std::string& claim) const;

 private:
  fuse::FileTree tree_;
  std::vector<std::uint32_t> first_;  // of file i in pieces_; one more at the end
  std::vector<Piece> pieces_;
};

}  // namespace spillway::node
