#include "runtime/plain.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>

#include "runtime/support.h"
#include "runtime/tree.h"

namespace spillway::runtime {

Result<PlainDirectory> PlainDirectory::Make(std::uint64_t number) {
  std::string path = fmt::format("{}/{}{}-{}-XXXXXX", kPlainParent, kPodPrefix, ::getpid(), number);
  if (::mkdtemp(path.data()) == nullptr)
    return Fail(Code::kUnavailable, fmt::format("cannot make a private memory directory in {}: {}",
                                                kPlainParent, std::strerror(errno)));
  PlainDirectory made;
  made.path_ = std::move(path);
  made.lock_ = Fd(::open(made.path_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!made.lock_ || ::flock(made.lock_.get(), LOCK_EX | LOCK_NB) != 0)
    return Fail(Code::kUnavailable,
                fmt::format("cannot lock '{}': {}", made.path_, std::strerror(errno)));
  return made;
}

void PlainDirectory::Remove() {
  if (!path_.empty()) RemoveTree(std::exchange(path_, {}));
  lock_.Close();
}

Result<std::vector<PlainMount>> MakePlainMounts(const PodSpec& spec, const std::string& root) {
  std::vector<PlainMount> mounts;
  for (std::size_t i = 0; i < spec.volumes.size(); ++i) {
    const Volume& volume = spec.volumes[i];
    std::string real = fmt::format("{}/{}", root, i);
    if (const auto* bind = std::get_if<BindReadOnly>(&volume.kind)) real = bind->host_directory;
    if (const auto* bind = std::get_if<BindReadWrite>(&volume.kind)) real = bind->host_directory;
    if (real.starts_with(root + "/") && ::mkdir(real.c_str(), 0700) != 0)
      return Fail(Code::kUnavailable,
                  fmt::format("cannot make '{}': {}", real, std::strerror(errno)));
    mounts.push_back({volume.mount_path, real});
  }
  return mounts;
}

void MakePlain(InitConfig& config, const PodSpec& spec, const std::string& root,
               const std::vector<PlainMount>& mounts) {
  config.plain = true;
  config.plain_root = root;
  for (std::string& word : config.argv) word = RewriteForPlain(word, mounts);
  for (std::string& variable : config.env) {
    const std::size_t equals = variable.find('=') + 1;
    variable = variable.substr(0, equals) + RewriteForPlain(variable.substr(equals), mounts);
  }
  config.working_dir = RewriteForPlain(config.working_dir, mounts);
  for (std::size_t i = 0; i < mounts.size(); ++i) {
    config.volumes[i].path = mounts[i].real_directory;
    config.env.push_back(PlainMountVariable(spec.volumes[i].name) + "=" + mounts[i].real_directory);
  }
}

}  // namespace spillway::runtime
