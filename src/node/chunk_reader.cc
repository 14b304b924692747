#include "node/chunk_reader.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

namespace spillway::node {
namespace {

class ClaimSource final : public runtime::InputSource {
 public:
  ClaimSource(std::shared_ptr<ChunkReader> reader, const std::string& claim)
      : reader_(std::move(reader)), prefix_(claim + "/") {}

  Result<std::optional<runtime::InputFile>> Next() override {
    const std::vector<data::PackedFile>& files = reader_->manifest().files;
    while (next_ < files.size() && !files[next_].entry.path.starts_with(prefix_)) ++next_;
    if (next_ == files.size()) return std::nullopt;
    file_ = &files[next_++];
    extent_ = 0;
    done_ = 0;
    const data::FileEntry& entry = file_->entry;
    return runtime::InputFile{entry.path.substr(prefix_.size()), entry.mode, entry.mtime,
                              entry.size_bytes};
  }

  Result<std::size_t> Read(char* to, std::size_t size) override {
    if (size == 0 || file_ == nullptr || extent_ == file_->extents.size()) return 0;
    const data::Extent& extent = file_->extents[extent_];
    const auto left = static_cast<std::size_t>(extent.length - done_);
    const std::size_t take = std::min(size, left);
    SPW_TRY(reader_->Read(extent.chunk, extent.offset + done_, {to, take}));
    done_ += static_cast<std::int64_t>(take);
    if (take == left) {
      ++extent_;
      done_ = 0;
    }
    return take;
  }

 private:
  const std::shared_ptr<ChunkReader> reader_;
  const std::string prefix_;
  std::size_t next_ = 0;
  const data::PackedFile* file_ = nullptr;
  std::size_t extent_ = 0;
  std::int64_t done_ = 0;  // of the extent
};

}  // namespace

ChunkReader::ChunkReader(std::shared_ptr<CacheFile> cache, const RunKey& key,
                         std::shared_ptr<const StagedData> data, std::int64_t limit_bytes)
    : cache_(std::move(cache)), key_(key), data_(std::move(data)), limit_bytes_(limit_bytes) {}

ChunkReader::~ChunkReader() {
  Close();
}

void ChunkReader::Close() {
  const std::lock_guard lock(mutex_);
  closed_ = true;
  while (!opened_.empty()) DropOldest();
}

void ChunkReader::DropOldest() {
  opened_bytes_ -= std::ssize(opened_.back().plain);
  data::Cleanse(opened_.back().plain);
  opened_.pop_back();
}

Status ChunkReader::Read(std::uint32_t index, std::int64_t offset, std::span<char> out) {
  const std::lock_guard lock(mutex_);
  SPW_ASSIGN(const Opened* chunk, Find(index));
  const auto start = static_cast<std::size_t>(offset);
  if (start > chunk->plain.size() || out.size() > chunk->plain.size() - start)
    return Fail(Code::kInvalid,
                fmt::format("chunk {} has no bytes {}+{}", index, start, out.size()));
  std::memcpy(out.data(), chunk->plain.data() + start, out.size());
  return Ok();
}

Result<const ChunkReader::Opened*> ChunkReader::Find(std::uint32_t index) {
  if (closed_) return Fail(Code::kDenied, "the inputs of this run are closed");
  const auto found = std::find_if(opened_.begin(), opened_.end(),
                                  [index](const Opened& o) { return o.index == index; });
  if (found != opened_.end()) {
    opened_.splice(opened_.begin(), opened_, found);
    return &opened_.front();
  }
  if (index >= data_->offsets.size())
    return Fail(Code::kInvalid, fmt::format("there is no chunk {}", index));
  const data::ManifestChunk& chunk = data_->manifest.chunks[index];
  while (!opened_.empty() && opened_bytes_ + chunk.plain_bytes > limit_bytes_) DropOldest();
  ByteBuffer sealed(static_cast<std::size_t>(chunk.sealed_bytes));
  SPW_TRY(cache_->Load(data_->offsets[index], sealed));
  SPW_ASSIGN(ByteBuffer plain, key_.Open(data_->names.Chunk(index), sealed));
  opened_bytes_ += std::ssize(plain);
  opened_.push_front({index, std::move(plain)});
  return &opened_.front();
}

std::shared_ptr<runtime::InputSource> OpenClaim(std::shared_ptr<ChunkReader> reader,
                                                const std::string& claim) {
  return std::make_shared<ClaimSource>(std::move(reader), claim);
}

}  // namespace spillway::node
