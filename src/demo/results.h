// Hashes of directories of results.
#pragma once

#include <map>
#include <string>

#include "base/result.h"

namespace spillway::demo {

// SHA-256 (hex) of every regular file below a directory, by path relative to it. Names that begin
// with a dot are left out. kNotFound if there is no directory, kUnavailable if a file cannot be
// read.
using FileHashes = std::map<std::string, std::string>;
Result<FileHashes> HashFiles(const std::string& directory);

// One hash for the trained models among the files: of a single model.bin its own, of several the
// SHA-256 of the lines "<path> <hash>\n" in the order of their paths. Empty if there is none.
std::string ModelHash(const FileHashes& files);

}  // namespace spillway::demo
