#include "gateway/sealed_contents.h"

#include <fcntl.h>
#include <fmt/format.h>

#include <algorithm>
#include <cerrno>

#include "base/fd.h"
#include "data/manifest.h"
#include "door/protocol.h"
#include "gateway/files.h"

namespace spillway::gateway {

void SealedContent::Append(std::int64_t end) {
  const std::lock_guard lock(mutex_);
  ends_.push_back(end);
  changed_.notify_all();
}

void SealedContent::End() {
  const std::lock_guard lock(mutex_);
  ended_ = true;
  changed_.notify_all();
}

Result<ByteBuffer> SealedContent::Open(std::size_t index, KeyStore& keys) {
  std::int64_t first = 0, end = 0;
  {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return ended_ || index < ends_.size(); });
    if (index >= ends_.size())
      return Fail(Code::kNotFound, fmt::format("run {} has not sealed chunk {}", run_, index));
    first = index == 0 ? 0 : ends_[index - 1];
    end = ends_[index];
  }
  const Fd fd(open(file_.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd.valid()) return Fail(FileError("open", file_, errno));
  ByteBuffer sealed(static_cast<std::size_t>(end - first)), plain;
  SPW_TRY(ReadAt(fd.get(), file_, first, sealed));
  const data::ChunkContext context =
      data::DataChunkContext(run_, fmt::format("{}/{}", door::kRunDatasetNamespace, run_),
                             dataset_version_, static_cast<std::uint32_t>(index));
  SPW_TRY(keys.Use(run_, [&](const data::Secret& key) -> Status {
    SPW_ASSIGN(plain, data::OpenChunk(key, context, sealed));
    return Ok();
  }));
  return plain;
}

std::shared_ptr<SealedContent> SealedContents::Join(const Digest& content,
                                                    std::shared_ptr<SealedContent> own) {
  const std::lock_guard lock(mutex_);
  const auto known = std::find_if(entries_.begin(), entries_.end(),
                                  [&](const Entry& entry) { return entry.content == content; });
  const std::shared_ptr<SealedContent> before = known == entries_.end() ? nullptr : known->sealed;
  entries_.push_back({content, std::move(own)});
  if (entries_.size() > kMaxContents) entries_.pop_front();
  return before;
}

void SealedContents::Drop(const std::string& run) {
  const std::lock_guard lock(mutex_);
  entries_.remove_if([&](const Entry& entry) { return entry.sealed->run() == run; });
}

}  // namespace spillway::gateway
