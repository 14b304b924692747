// Answers the kernel's requests about one mount.
#pragma once

#include <memory>
#include <string>

#include "base/time.h"
#include "fuse/connection.h"
#include "fuse/content.h"
#include "fuse/file_tree.h"

namespace spillway::fuse {

struct ServerOptions {
  std::size_t threads = 4;            // at most Requests::kThreads
  Duration patience = 120s;           // of a read that waits for its bytes, real time
  std::int64_t read_ahead = 1 << 20;  // of the mount; only set by the first server of a mount
};

// Thread-safe.
class Server {
 public:
  // Begins to answer; requests that an earlier server took and did not answer come first. `tree`
  // must be the same for every server of a mount. `directory` is where it is mounted. `tree` and
  // `content` outlive the server.
  static Result<std::unique_ptr<Server>> Start(Connection connection, const std::string& directory,
                                               const FileTree& tree, Content& content,
                                               ServerOptions options = {});
  // Ends the threads. If another process holds the connection the mount stays, and requests wait.
  ~Server();

  // Bytes that a read may be waiting for have come, or never will.
  void Wake();
  // Makes the kernel forget the bytes of every file that was ever read, also where a process has it
  // open or mapped. The content must refuse reads by now.
  void ForgetPages();

 private:
  class Impl;
  explicit Server(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace spillway::fuse
