#include "node/input_content.h"

#include <fmt/format.h>
#include <sys/mman.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <memory>
#include <tuple>

#include "base/log.h"

namespace spillway::node {
namespace {

constexpr std::size_t kMostOpeners = 64, kMostSegments = 32;
constexpr std::int64_t kMostTold = 1000;  // lines of the log
constexpr auto kSegment = static_cast<std::int64_t>(data::kSegmentBytes);
constexpr std::int64_t kSegmentsAtOnce = 4;
constexpr std::size_t kSealedBytes = kSegmentsAtOnce * (data::kSegmentBytes + data::kTagBytes);
constexpr std::size_t kHugePage = 2 << 20;
static_assert(fuse::kMaxReadBytes + kSealedBytes <= kHugePage);

std::uint64_t NumberOf(std::uint32_t chunk, std::int64_t segment) {
  return std::uint64_t{chunk} << 32 | static_cast<std::uint64_t>(segment);
}

class ClaimSource final : public runtime::InputSource {
 public:
  ClaimSource(InputContent& content, const RunFiles& files, const std::string& claim)
      : reader_(content.NewReader()), files_(files), prefix_bytes_(claim.size() + 1) {
    std::tie(next_, end_) = files.OfClaim(claim);
  }

  Result<std::optional<runtime::InputFile>> Next() override {
    if (next_ == end_) return std::nullopt;
    file_ = next_++;
    at_ = 0;
    const fuse::FileTree::Attributes about = files_.tree().Of(files_.tree().NodeOf(file_));
    size_ = about.size_bytes;
    return runtime::InputFile{files_.Path(file_).substr(prefix_bytes_), about.mode, about.mtime,
                              about.size_bytes};
  }

  Result<std::size_t> Read(char* to, std::size_t size) override {
    const auto take = std::min({size, fuse::kMaxReadBytes, static_cast<std::size_t>(size_ - at_)});
    if (take == 0) return 0;
    const auto got = reader_->Read(file_, at_, take);
    if (got && *got) std::copy_n((*got)->begin(), take, to);
    reader_->Done();
    if (!got) return Fail(got.error());
    if (!*got) return Fail(Code::kUnavailable, "an input is not staged");
    at_ += static_cast<std::int64_t>(take);
    return take;
  }

 private:
  const std::unique_ptr<fuse::Reader> reader_;
  const RunFiles& files_;
  const std::size_t prefix_bytes_;
  std::uint32_t next_ = 0, end_ = 0, file_ = 0;
  std::int64_t at_ = 0, size_ = 0;
};

// A huge page, if the kernel has one to give: it takes every page that it copies an answer from by
// itself, and with those of one huge page the server needs a fifth less of the processor.
class HugePage {
 public:
  HugePage() : bytes_(static_cast<std::uint8_t*>(std::aligned_alloc(kHugePage, kHugePage))) {
    SPW_CHECK(bytes_ != nullptr, "memory for an answer");
    ::madvise(bytes_.get(), kHugePage, MADV_HUGEPAGE);
  }
  std::span<std::uint8_t> bytes() const { return {bytes_.get(), kHugePage}; }

 private:
  struct Free {
    void operator()(std::uint8_t* bytes) const { std::free(bytes); }
  };
  std::unique_ptr<std::uint8_t, Free> bytes_;
};

// Zeroises and frees once nobody reads it any more.
std::shared_ptr<const ByteBuffer> Cleansing(ByteBuffer plain) {
  return {new ByteBuffer(std::move(plain)), [](const ByteBuffer* bytes) {
            auto* mutable_bytes = const_cast<ByteBuffer*>(bytes);
            data::Cleanse(*mutable_bytes);
            delete mutable_bytes;
          }};
}

}  // namespace

// One thread's buffers.
class InputContent::From final : public fuse::Reader {
 public:
  explicit From(InputContent& content) : content_(content) {}
  ~From() override {
    {
      const std::lock_guard lock(content_.mutex_);
      content_.readers_.erase(this);
    }
    Cleanse();
  }
  void Cleanse() {
    data::Cleanse(answer);
    data::Cleanse(spare);
  }

  Result<std::optional<ByteView>> Read(std::uint32_t file, std::int64_t offset,
                                       std::size_t size) override {
    gate_ = std::shared_lock(content_.gate_);
    if (content_.closed_) return Fail(Code::kDenied, "the keys of this run are destroyed");
    const std::span<std::uint8_t> out = answer.first(size);
    std::size_t done = 0;
    bool here = true;
    for (const RunFiles::Piece& piece : content_.data_->files.PiecesFrom(file, offset)) {
      if (done == size) break;
      const std::int64_t skip = std::max<std::int64_t>(offset - piece.at, 0);
      const auto take = std::min(size - done, static_cast<std::size_t>(piece.length - skip));
      const Result<bool> got =
          content_.ReadChunk(piece.chunk, piece.offset + skip, out.subspan(done, take), *this);
      if (!got) {
        content_.Tell(file, piece.chunk, got.error());
        return Fail(got.error());
      }
      // All that is missing is asked for at once.
      if (!*got) content_.data_->cache->Want(piece.chunk);
      here = here && *got;
      done += take;
    }
    if (!here) return std::nullopt;
    if (done != size) return Fail(Code::kInternal, "a file is shorter than it says");
    return ByteView(out);
  }
  void Done() override { gate_ = {}; }

 private:
  InputContent& content_;
  std::shared_lock<std::shared_mutex> gate_;
  const HugePage memory_;

 public:
  const std::span<std::uint8_t> answer = memory_.bytes().first(fuse::kMaxReadBytes);
  const std::span<std::uint8_t> sealed =  // kSegmentsAtOnce of them
      memory_.bytes().subspan(fuse::kMaxReadBytes, kSealedBytes);
  ByteBuffer spare;  // a segment
};

InputContent::InputContent(std::shared_ptr<const StagedData> data, const RunKey& key,
                           std::function<void(std::string)> problem)
    : data_(std::move(data)), key_(key), problem_(std::move(problem)) {}

InputContent::~InputContent() {
  Close();
}

std::unique_ptr<fuse::Reader> InputContent::NewReader() {
  auto reader = std::make_unique<From>(*this);
  const std::lock_guard lock(mutex_);
  readers_.insert(reader.get());
  return reader;
}

void InputContent::Close() {
  closed_ = true;
  const std::unique_lock gate(gate_);
  const std::lock_guard lock(mutex_);
  openers_.clear();
  for (Segment& segment : segments_) data::Cleanse(segment.plain);
  segments_.clear();
  wholes_.clear();
  whole_bytes_ = 0;
  for (From* reader : readers_) reader->Cleanse();
}

void InputContent::Tell(std::uint32_t file, std::optional<std::uint32_t> chunk,
                        const Error& error) {
  const std::string path = data_->files.Path(file);
  const std::string text =
      chunk ? fmt::format("input '{}' cannot be read: chunk {}: {}", path, *chunk, error.message)
            : fmt::format("input '{}' cannot be read: {}", path, error.message);
  {
    const std::lock_guard lock(mutex_);
    if (++told_ <= kMostTold) log::Error("an input cannot be read", {{"why", text}});
  }
  problem_(text);
}

void InputContent::GaveUp(std::uint32_t file) {
  if (!closed_)
    Tell(file, {}, {Code::kUnavailable, "its bytes did not arrive from the site in time", {}});
}

// ---- chunks

Result<bool> InputContent::ReadChunk(std::uint32_t chunk, std::int64_t offset,
                                     std::span<std::uint8_t> out, From& reader) {
  const auto pin = data_->cache->Find(chunk);
  if (!pin) return false;
  SPW_ASSIGN(const OpenerPtr opener, Opener(chunk, *pin));
  if (opener->codec() != data::Codec::kNone) {
    SPW_ASSIGN(const Whole whole, OpenWhole(*opener, *pin, chunk));
    std::copy_n(whole->begin() + offset, out.size(), out.begin());
    return true;
  }
  SPW_TRY(std::ssize(out) < kSegment ? ReadSmall(*opener, *pin, chunk, offset, out, reader)
                                     : ReadLarge(*opener, *pin, offset, out, reader));
  return true;
}

// A few segments at a time, so that what was read is still in the processor's cache.
Status InputContent::ReadLarge(const data::ChunkOpener& opener, const ChunkCache::Pin& pin,
                               std::int64_t offset, std::span<std::uint8_t> out, From& reader) {
  while (!out.empty()) {
    const std::int64_t until = (offset / kSegment + kSegmentsAtOnce) * kSegment;
    const auto part = out.first(std::min(out.size(), static_cast<std::size_t>(until - offset)));
    SPW_ASSIGN(const auto cover, opener.CoverOf(offset, std::ssize(part)));
    const auto sealed = reader.sealed.first(static_cast<std::size_t>(cover.sealed_bytes));
    SPW_TRY(pin.Load(cover.sealed_offset, sealed));
    SPW_TRY(opener.OpenRange(offset, sealed, part));
    offset += std::ssize(part);
    out = out.subspan(part.size());
  }
  return Ok();
}

Status InputContent::ReadSmall(const data::ChunkOpener& opener, const ChunkCache::Pin& pin,
                               std::uint32_t chunk, std::int64_t offset,
                               std::span<std::uint8_t> out, From& reader) {
  while (!out.empty()) {
    const std::int64_t segment = offset / kSegment, begin = segment * kSegment;
    const std::int64_t bytes = std::min(kSegment, opener.plain_bytes() - begin);
    const auto from = static_cast<std::size_t>(offset - begin);
    const auto take = std::min(out.size(), static_cast<std::size_t>(bytes) - from);
    const std::uint64_t number = NumberOf(chunk, segment);
    if (!CopySegment(number, from, out.first(take))) {
      SPW_ASSIGN(const auto cover, opener.CoverOf(begin, bytes));
      const auto sealed = reader.sealed.first(static_cast<std::size_t>(cover.sealed_bytes));
      SPW_TRY(pin.Load(cover.sealed_offset, sealed));
      reader.spare.resize(data::kSegmentBytes);
      const auto plain = std::span(reader.spare).first(static_cast<std::size_t>(bytes));
      SPW_TRY(opener.OpenRange(begin, sealed, plain));
      std::copy_n(plain.begin() + static_cast<std::ptrdiff_t>(from), take, out.begin());
      KeepSegment(number, reader.spare);
    }
    out = out.subspan(take);
    offset += static_cast<std::int64_t>(take);
  }
  return Ok();
}

Result<InputContent::OpenerPtr> InputContent::Opener(std::uint32_t chunk,
                                                     const ChunkCache::Pin& pin) {
  {
    const std::lock_guard lock(mutex_);
    const auto found = std::find_if(openers_.begin(), openers_.end(),
                                    [chunk](const Keyed& k) { return k.chunk == chunk; });
    if (found != openers_.end()) {
      openers_.splice(openers_.begin(), openers_, found);
      return found->opener;
    }
  }
  std::array<std::uint8_t, data::kChunkHeaderBytes> header;
  SPW_TRY(pin.Load(0, header));
  SPW_ASSIGN(data::ChunkOpener made,
             key_.Opener(data_->names.Chunk(chunk), header, pin.sealed_bytes()));
  // The sizes are those of the signed manifest, whatever the disk says.
  if (made.plain_bytes() != data_->manifest.chunks[chunk].plain_bytes)
    return Fail(Code::kCorrupt,
                fmt::format("it says that it has {} bytes, the manifest {}", made.plain_bytes(),
                            data_->manifest.chunks[chunk].plain_bytes));
  auto opener = std::make_shared<const data::ChunkOpener>(std::move(made));
  const std::lock_guard lock(mutex_);
  openers_.push_front({chunk, opener});
  if (openers_.size() > kMostOpeners) openers_.pop_back();
  return opener;
}

Result<InputContent::Whole> InputContent::OpenWhole(const data::ChunkOpener& opener,
                                                    const ChunkCache::Pin& pin,
                                                    std::uint32_t chunk) {
  {
    const std::lock_guard lock(mutex_);
    const auto found = std::find_if(wholes_.begin(), wholes_.end(),
                                    [chunk](const Opened& o) { return o.chunk == chunk; });
    if (found != wholes_.end()) {
      wholes_.splice(wholes_.begin(), wholes_, found);
      return found->plain;
    }
  }
  ByteBuffer sealed(static_cast<std::size_t>(pin.sealed_bytes()));
  SPW_TRY(pin.Load(0, sealed));
  SPW_ASSIGN(ByteBuffer plain, opener.Open(sealed));
  Whole whole = Cleansing(std::move(plain));
  const std::lock_guard lock(mutex_);
  whole_bytes_ += std::ssize(*whole);
  wholes_.push_front({chunk, whole});
  while (wholes_.size() > 1 && whole_bytes_ > kMostWholeBytes) {
    whole_bytes_ -= std::ssize(*wholes_.back().plain);
    wholes_.pop_back();
  }
  return whole;
}

bool InputContent::CopySegment(std::uint64_t number, std::size_t from,
                               std::span<std::uint8_t> out) {
  const std::lock_guard lock(mutex_);
  const auto found = std::find_if(segments_.begin(), segments_.end(),
                                  [number](const Segment& s) { return s.number == number; });
  if (found == segments_.end()) return false;
  segments_.splice(segments_.begin(), segments_, found);
  std::copy_n(found->plain.begin() + static_cast<std::ptrdiff_t>(from), out.size(), out.begin());
  return true;
}

// Swaps: the reader gets the buffer of the segment that goes, and overwrites it with its next one.
void InputContent::KeepSegment(std::uint64_t number, ByteBuffer& plain) {
  const std::lock_guard lock(mutex_);
  if (segments_.size() < kMostSegments) {
    segments_.push_front({number, std::move(plain)});
    plain = {};
    return;
  }
  segments_.splice(segments_.begin(), segments_, std::prev(segments_.end()));
  segments_.front().number = number;
  segments_.front().plain.swap(plain);
}

std::shared_ptr<runtime::InputSource> OpenClaim(InputContent& content, const RunFiles& files,
                                                const std::string& claim) {
  return std::make_shared<ClaimSource>(content, files, claim);
}

}  // namespace spillway::node
