#include "fuse/requests.h"

#include <fmt/format.h>
#include <linux/fuse.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

namespace spillway::fuse {
namespace {

constexpr std::size_t kPage = 4096;
constexpr std::array<std::uint8_t, 8> kMagic = {'S', 'P', 'W', 'F', 'U', 'S', 'E', '1'};
constexpr std::size_t kInitBytesAt = 8, kInitAt = 16, kMostInitBytes = 512;
constexpr std::size_t kParkedStride = 128;
constexpr std::size_t kParkedAt = kPage;
constexpr std::size_t kBuffersAt = kParkedAt + Requests::kParked * kParkedStride;
constexpr std::size_t kBufferStride = Requests::kBufferBytes + kPage;
constexpr std::size_t kTotal = kBuffersAt + Requests::kThreads * kBufferStride;
static_assert(Requests::kParkedBytes == sizeof(fuse_in_header) + sizeof(fuse_read_in));
static_assert(kBuffersAt % kPage == 0);

// The length of the request at `bytes`, 0 if there is none.
std::size_t LengthOf(const std::uint8_t* bytes, std::size_t most) {
  fuse_in_header header;
  std::memcpy(&header, bytes, sizeof header);
  const bool there = header.unique != 0 && header.len >= sizeof header && header.len <= most;
  return there ? header.len : 0;
}

}  // namespace

Result<Fd> Requests::NewMemory() {
  Fd memory(::memfd_create("spillway-fuse", MFD_CLOEXEC));
  if (!memory || ::ftruncate(memory.get(), kTotal) != 0 ||
      ::pwrite(memory.get(), kMagic.data(), kMagic.size(), 0) != std::ssize(kMagic))
    return Fail(Code::kInternal,
                fmt::format("memory for a mount's requests: {}", std::strerror(errno)));
  return memory;
}

Result<Requests> Requests::Open(const Fd& memory) {
  struct stat info{};
  if (::fstat(memory.get(), &info) != 0 || info.st_size != static_cast<off_t>(kTotal))
    return Fail(Code::kInvalid, "this is not the memory of a mount");
  void* mapped = ::mmap(nullptr, kTotal, PROT_READ | PROT_WRITE, MAP_SHARED, memory.get(), 0);
  if (mapped == MAP_FAILED)
    return Fail(Code::kInternal, fmt::format("map a mount's memory: {}", std::strerror(errno)));
  Requests requests(static_cast<std::uint8_t*>(mapped));
  if (!std::equal(kMagic.begin(), kMagic.end(), requests.base_))
    return Fail(Code::kInvalid, "this is not the memory of a mount");
  return requests;
}

Requests::Requests(Requests&& other) noexcept : base_(std::exchange(other.base_, nullptr)) {}

Requests::~Requests() {
  if (base_ != nullptr) ::munmap(base_, kTotal);
}

ByteView Requests::init() const {
  std::uint32_t length = 0;
  std::memcpy(&length, base_ + kInitBytesAt, sizeof length);
  return {base_ + kInitAt, std::min<std::size_t>(length, kMostInitBytes)};
}

void Requests::KeepInit(ByteView request) {
  SPW_CHECK(request.size() <= kMostInitBytes, "an INIT request is short");
  std::copy(request.begin(), request.end(), base_ + kInitAt);
  const auto length = static_cast<std::uint32_t>(request.size());
  std::memcpy(base_ + kInitBytesAt, &length, sizeof length);
}

std::span<std::uint8_t> Requests::buffer(std::size_t thread) const {
  return {base_ + kBuffersAt + thread * kBufferStride, kBufferBytes};
}

void Requests::ClearBuffer(std::size_t thread) const {
  std::memset(buffer(thread).data(), 0, sizeof(fuse_in_header));
}

std::uint8_t* Requests::parked(std::size_t place) const {
  return base_ + kParkedAt + place * kParkedStride;
}

void Requests::Park(std::size_t place, ByteView request) const {
  SPW_CHECK(request.size() <= kParkedBytes, "only reads are parked");
  std::copy(request.begin(), request.end(), parked(place));
}

void Requests::Unpark(std::size_t place) const {
  std::memset(parked(place), 0, kParkedStride);
}

std::vector<ByteBuffer> Requests::TakeUnanswered() const {
  std::vector<ByteBuffer> all;
  for (std::size_t i = 0; i < kParked; ++i) {
    if (const std::size_t length = LengthOf(parked(i), kParkedBytes))
      all.emplace_back(parked(i), parked(i) + length);
    Unpark(i);
  }
  for (std::size_t i = 0; i < kThreads; ++i) {
    const std::uint8_t* bytes = buffer(i).data();
    if (const std::size_t length = LengthOf(bytes, kBufferBytes)) {
      // It may be parked already.
      ByteBuffer request(bytes, bytes + length);
      if (std::find(all.begin(), all.end(), request) == all.end())
        all.push_back(std::move(request));
    }
    ClearBuffer(i);
  }
  return all;
}

}  // namespace spillway::fuse
