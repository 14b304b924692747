#include "runtime/frames.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace spillway::runtime {
namespace {

constexpr std::size_t kHeaderBytes = 5;
constexpr std::uint32_t kMaxListItems = 100'000;

void PutU32(std::string& out, std::uint32_t value) {
  for (int i = 0; i < 4; ++i) out.push_back(static_cast<char>((value >> (8 * i)) & 0xff));
}
void PutI64(std::string& out, std::int64_t value) {
  const auto bits = static_cast<std::uint64_t>(value);
  PutU32(out, static_cast<std::uint32_t>(bits));
  PutU32(out, static_cast<std::uint32_t>(bits >> 32));
}
void PutText(std::string& out, std::string_view text) {
  PutU32(out, static_cast<std::uint32_t>(text.size()));
  out.append(text);
}

// Reads fields from untrusted bytes. After the first missing byte everything reads as zero or
// empty and Done() is false, so that callers check once.
class Fields {
 public:
  explicit Fields(std::string_view bytes) : rest_(bytes) {}

  std::uint32_t U32() {
    const std::string_view bytes = Take(4);
    std::uint32_t value = 0;
    for (std::size_t i = 0; i < bytes.size(); ++i)
      value |= static_cast<std::uint32_t>(static_cast<unsigned char>(bytes[i])) << (8 * i);
    return value;
  }
  std::int64_t I64() {
    const std::uint64_t low = U32();
    const std::uint64_t high = U32();
    return static_cast<std::int64_t>(low | (high << 32));
  }
  std::string Text() { return std::string(Take(U32())); }
  std::vector<std::string> List() {
    std::vector<std::string> items;
    const std::uint32_t count = U32();
    if (count > kMaxListItems) ok_ = false;
    for (std::uint32_t i = 0; ok_ && i < count; ++i) items.push_back(Text());
    return items;
  }
  bool ok() const { return ok_; }
  bool Done() const { return ok_ && rest_.empty(); }

 private:
  std::string_view Take(std::size_t count) {
    if (!ok_ || count > rest_.size()) {
      ok_ = false;
      return {};
    }
    const std::string_view taken = rest_.substr(0, count);
    rest_.remove_prefix(count);
    return taken;
  }

  std::string_view rest_;
  bool ok_ = true;
};

tl::unexpected<Error> Malformed(std::string_view what) {
  return Fail(Code::kCorrupt, fmt::format("pod channel: malformed {} frame", what));
}

bool KnownType(std::uint8_t type) {
  return type >= static_cast<std::uint8_t>(FrameType::kConfig) &&
         type <= static_cast<std::uint8_t>(FrameType::kEnd);
}

void PutList(std::string& out, const std::vector<std::string>& items) {
  PutU32(out, static_cast<std::uint32_t>(items.size()));
  for (const std::string& item : items) PutText(out, item);
}

}  // namespace

void AppendFrame(std::string& out, FrameType type, std::string_view payload) {
  SPW_CHECK(payload.size() <= kMaxFrameBytes, "frame too large");
  out.push_back(static_cast<char>(type));
  PutText(out, payload);
}

void FrameReader::Feed(std::string_view bytes) {
  buffer_.erase(0, position_);
  position_ = 0;
  buffer_.append(bytes);
}

Result<std::optional<Frame>> FrameReader::Next() {
  if (corrupt_) return Malformed("earlier");
  const std::string_view rest = std::string_view(buffer_).substr(position_);
  if (rest.size() < kHeaderBytes) return std::nullopt;
  const auto type = static_cast<std::uint8_t>(rest[0]);
  const std::size_t size = Fields(rest.substr(1, 4)).U32();
  if (!KnownType(type) || size > kMaxFrameBytes) {
    corrupt_ = true;
    return Fail(
        Code::kCorrupt,
        fmt::format("pod channel: frame of type {} with {} bytes is not allowed", type, size));
  }
  if (rest.size() < kHeaderBytes + size) return std::nullopt;
  position_ += kHeaderBytes + size;
  return Frame{static_cast<FrameType>(type), std::string(rest.substr(kHeaderBytes, size))};
}

Status CheckRelativePath(std::string_view path) {
  const auto bad = [&](std::string_view why) {
    return Fail(Code::kInvalid, fmt::format("path '{}': {}", path.substr(0, 200), why));
  };
  if (path.empty()) return bad("is empty");
  if (path.size() > kMaxPathBytes) return bad("is longer than 4095 bytes");
  if (path.front() == '/') return bad("must be relative to the volume");
  if (path.find('\0') != std::string_view::npos) return bad("contains a NUL byte");
  int depth = 0;
  for (std::size_t begin = 0; begin <= path.size();) {
    const std::size_t end = std::min(path.find('/', begin), path.size());
    const std::string_view name = path.substr(begin, end - begin);
    if (name.empty() || name == "." || name == "..")
      return bad("must not contain an empty name, '.' or '..'");
    if (name.size() > kMaxNameBytes) return bad("has a name longer than 255 bytes");
    if (++depth > kMaxPathDepth) return bad("is nested deeper than 64 directories");
    begin = end + 1;
  }
  return Ok();
}

std::string EncodeFile(const FileHeader& file) {
  std::string out;
  PutU32(out, file.volume);
  PutU32(out, file.mode);
  PutI64(out, file.mtime_ms);
  PutI64(out, file.size_bytes);
  PutText(out, file.path);
  return out;
}

Result<FileHeader> DecodeFile(std::string_view payload) {
  Fields fields(payload);
  FileHeader file;
  file.volume = fields.U32();
  file.mode = fields.U32();
  file.mtime_ms = fields.I64();
  file.size_bytes = fields.I64();
  file.path = fields.Text();
  if (!fields.Done()) return Malformed("file");
  if (Status path = CheckRelativePath(file.path); !path)
    return Fail(Code::kCorrupt, "pod channel: " + path.error().message);
  if (file.mode > 0777) return Malformed("file (mode)");
  if (file.size_bytes < 0 || file.size_bytes > kMaxFileBytes) return Malformed("file (size)");
  return file;
}

std::string EncodeConfig(const InitConfig& config) {
  std::string out;
  PutList(out, config.argv);
  PutList(out, config.env);
  PutText(out, config.working_dir);
  PutU32(out, static_cast<std::uint32_t>(config.volumes.size()));
  for (const InitVolume& volume : config.volumes) {
    PutText(out, volume.path);
    PutU32(out, static_cast<std::uint32_t>(volume.role));
  }
  PutI64(out, config.data_limit_bytes);
  PutI64(out, config.input_limit_bytes);
  PutI64(out, config.output_limit_bytes);
  PutU32(out, config.plain ? 1 : 0);
  PutText(out, config.plain_root);
  return out;
}

Result<InitConfig> DecodeConfig(std::string_view payload) {
  Fields fields(payload);
  InitConfig config;
  config.argv = fields.List();
  config.env = fields.List();
  config.working_dir = fields.Text();
  const std::uint32_t count = fields.U32();
  if (count > kMaxListItems) return Malformed("config (volumes)");
  for (std::uint32_t i = 0; i < count && fields.ok(); ++i) {
    InitVolume volume;
    volume.path = fields.Text();
    const std::uint32_t role = fields.U32();
    if (role > static_cast<std::uint32_t>(InitVolume::Role::kOutput))
      return Malformed("config (role)");
    volume.role = static_cast<InitVolume::Role>(role);
    config.volumes.push_back(std::move(volume));
  }
  config.data_limit_bytes = fields.I64();
  config.input_limit_bytes = fields.I64();
  config.output_limit_bytes = fields.I64();
  config.plain = fields.U32() != 0;
  config.plain_root = fields.Text();
  if (!fields.Done() || config.argv.empty()) return Malformed("config");
  return config;
}

std::string EncodeCommandEnded(const CommandEnded& ended) {
  std::string out;
  PutU32(out, static_cast<std::uint32_t>(ended.code));
  PutU32(out, static_cast<std::uint32_t>(ended.signal));
  PutI64(out, ended.started_ms);
  PutI64(out, ended.ended_ms);
  PutI64(out, ended.max_rss_bytes);
  return out;
}

Result<CommandEnded> DecodeCommandEnded(std::string_view payload) {
  Fields fields(payload);
  CommandEnded ended;
  ended.code = static_cast<std::int32_t>(fields.U32());
  ended.signal = static_cast<std::int32_t>(fields.U32());
  ended.started_ms = fields.I64();
  ended.ended_ms = fields.I64();
  ended.max_rss_bytes = fields.I64();
  if (!fields.Done() || ended.code < 0 || ended.code > 255 || ended.signal < 0 ||
      ended.signal > 64 || ended.max_rss_bytes < 0)
    return Malformed("command-ended");
  return ended;
}

std::string EncodeGrace(std::int64_t grace_ms) {
  std::string out;
  PutI64(out, grace_ms);
  return out;
}

Result<std::int64_t> DecodeGrace(std::string_view payload) {
  Fields fields(payload);
  const std::int64_t grace_ms = fields.I64();
  if (!fields.Done() || grace_ms < 0) return Malformed("terminate");
  return grace_ms;
}

Status FileStreamGuard::OnFile(const FileHeader& file) {
  SPW_TRY(OnEnd());
  if (file.volume >= limits_.volumes) return Malformed("file (volume)");
  if (files_ >= limits_.max_files)
    return Fail(Code::kQuota, fmt::format("more than {} files", limits_.max_files));
  if (file.size_bytes > limits_.total_bytes - bytes_)
    return Fail(Code::kQuota, fmt::format("'{}' ({} bytes) passes the limit of {} bytes in all",
                                          file.path, file.size_bytes, limits_.total_bytes));
  ++files_;
  bytes_ += file.size_bytes;
  remaining_ = file.size_bytes;
  return Ok();
}

Status FileStreamGuard::OnData(std::size_t bytes) {
  if (static_cast<std::int64_t>(bytes) > remaining_)
    return Fail(Code::kCorrupt, "pod channel: a file is longer than announced");
  remaining_ -= static_cast<std::int64_t>(bytes);
  return Ok();
}

Status FileStreamGuard::OnEnd() const {
  if (remaining_ > 0)
    return Fail(Code::kCorrupt,
                fmt::format("pod channel: a file is {} bytes shorter than announced", remaining_));
  return Ok();
}

}  // namespace spillway::runtime
