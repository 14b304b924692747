// The inputs of a run as one mounted file system, from which each pod is shown its claims.
#pragma once

#include <memory>
#include <mutex>
#include <string>

#include "fuse/server.h"
#include "node/input_content.h"

namespace spillway::node {

// Whether this machine can serve inputs by FUSE: kDenied or kUnavailable says why not.
Status MayServeInputs();

class InputMount {
 public:
  // Mounts at `directory`, which is made if it is missing. With `left`, of an earlier process: goes
  // on with the mount that is there. References outlive the object.
  static Result<std::unique_ptr<InputMount>> Open(const std::string& directory,
                                                  std::shared_ptr<const StagedData> data,
                                                  InputContent& content,
                                                  fuse::Connection left = {});
  ~InputMount();

  const fuse::Connection& connection() const { return connection_; }
  const std::string& directory() const { return directory_; }
  std::string DirectoryOf(const std::string& claim) const { return directory_ + "/" + claim; }

  // The content is closed: reads that wait fail, and what was read is dropped from the page cache,
  // also where a process has it open or mapped. Unmounts; who still has it gets errors.
  void Close();

 private:
  InputMount(std::string directory, std::shared_ptr<const StagedData> data)
      : directory_(std::move(directory)), data_(std::move(data)) {}

  // What the cache calls, which may outlive this object.
  struct Bell {
    std::mutex mutex;
    fuse::Server* server = nullptr;
    void Ring() {
      const std::lock_guard lock(mutex);
      if (server != nullptr) server->Wake();
    }
  };

  const std::string directory_;
  const std::shared_ptr<const StagedData> data_;
  fuse::Connection connection_;
  const std::shared_ptr<Bell> bell_ = std::make_shared<Bell>();
  std::unique_ptr<fuse::Server> server_;
  bool closed_ = false;
};

}  // namespace spillway::node
