// Directory trees written or left behind by a pod. Nothing here follows a symbolic link.
#pragma once

#include <sys/stat.h>

#include <functional>
#include <string>

#include "base/result.h"
#include "runtime/fd.h"

namespace spillway::runtime {

struct TreeVisitor {
  // A regular file, open for reading at offset 0; the descriptor stays the walk's.
  std::function<Status(const std::string& path, int fd, const struct stat& info)> file;
  // Anything else that is not a directory (links, sockets, pipes, devices), and what could not be
  // opened or is nested too deep.
  std::function<Status(const std::string& path, const std::string& why)> skipped;
};

// Visits everything below `root` in byte order of the names, depth first. The tree must be at rest:
// its writers have ended. Files and directories that their owner made unreadable are made readable.
// Ends at the first error of the visitor; kInternal if `root` cannot be read.
Status WalkTree(const std::string& root, const TreeVisitor& visitor);

// Makes the file `path` (see CheckRelativePath) below `root`, mode 0600 and open for writing, and
// the directories that are missing, mode 0755. kInternal if it exists or a link lies in the way.
Result<Fd> CreateBelow(const std::string& root, const std::string& path);

// Takes the write permission from every file and directory below and including `root`.
Status MakeTreeReadOnly(const std::string& root);

// Removes `root` and all below it, also where MakeTreeReadOnly was. Missing is fine. Best effort.
void RemoveTree(const std::string& root);

}  // namespace spillway::runtime
