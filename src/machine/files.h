// Programs of the machine: those its image has, and those that it gets from the site.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "base/time.h"
#include "door/user_data.h"

namespace spillway::machine {

// Where the files come from: the door and its key, as the user data has them.
struct Source {
  std::string door, door_key;
};

// Fetches `file` from the door to `path` (mode 0755), unless one of `there` or `path` itself is
// this very file already: then that one's path is returned. In pieces, each tried again until
// `patience` is over; never leaves half a file under that name. kCorrupt: it is not what its hash
// says.
Result<std::string> Provide(const Source& source, const door::MachineFile& file,
                            const std::vector<std::string>& there, const std::string& path,
                            Duration patience);

}  // namespace spillway::machine
