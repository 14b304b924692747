#include "s3/credentials.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <vector>

#include "net/http_message.h"
#include "net/socket.h"
#include "schema/problem.h"

namespace spillway::s3 {
namespace {

std::string_view Trim(std::string_view text) {
  constexpr std::string_view kBlank = " \t\r";
  const std::size_t first = text.find_first_not_of(kBlank);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kBlank) - first + 1);
}

// One "name = value" of a profile.
Status TakeSetting(std::string_view name, std::string_view value, std::string_view where,
                   Credentials& profile) {
  const bool known = name == "aws_access_key_id" || name == "aws_secret_access_key" ||
                     name == "aws_session_token" || name == "endpoint_url";
  if (!known) return Ok();
  if (value.empty() || !net::IsHeaderSafe(value) || value.find(' ') != std::string_view::npos)
    return Fail(Code::kInvalid, fmt::format("{}: {} must be one word", where, name));
  if (name == "aws_access_key_id")
    profile.access_key_id = value;
  else if (name == "aws_secret_access_key")
    profile.secret_access_key = data::SecretText(std::string(value));
  else if (name == "endpoint_url")
    profile.endpoint = value.substr(0, value.find_last_not_of('/') + 1);
  else
    profile.session_token = data::SecretText(std::string(value));
  return Ok();
}

}  // namespace

// Tells one state of the file from another.
struct CredentialsFile::Seen {
  dev_t device;
  ino_t inode;
  off_t size;
  timespec modified, changed;

  static Seen Of(const struct stat& info) {
    return {info.st_dev, info.st_ino, info.st_size, info.st_mtim, info.st_ctim};
  }
  bool operator==(const Seen& other) const {
    const auto same = [](const timespec& a, const timespec& b) {
      return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec;
    };
    return device == other.device && inode == other.inode && size == other.size &&
           same(modified, other.modified) && same(changed, other.changed);
  }
};

Result<std::map<std::string, Credentials>> ReadCredentials(std::string_view text,
                                                           const std::string& file) {
  std::map<std::string, Credentials> profiles;
  Credentials* profile = nullptr;
  for (int number = 1; !text.empty(); ++number) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    const std::string_view words = Trim(line);
    // Indented lines are nested settings of the one above, which is none of ours.
    const bool nested = profile != nullptr && (line.starts_with(' ') || line.starts_with('\t'));
    if (words.empty() || words.front() == '#' || words.front() == ';' || nested) continue;
    const std::string where = fmt::format("{}: line {}", file, number);
    if (words.front() == '[') {
      const std::size_t close = words.find(']');
      const std::string_view name =
          Trim(words.substr(1, close == std::string_view::npos ? 0 : close - 1));
      if (name.empty())
        return Fail(Code::kInvalid, fmt::format("{}: a profile is written [name]", where));
      profile = &profiles[std::string(name)];
      continue;
    }
    const std::size_t equals = words.find('=');
    if (profile == nullptr || equals == std::string_view::npos)
      return Fail(Code::kInvalid,
                  fmt::format("{}: is neither [profile] nor, below one, name = value", where));
    SPW_TRY(TakeSetting(Trim(words.substr(0, equals)), Trim(words.substr(equals + 1)), where,
                        *profile));
  }
  return profiles;
}

Status CredentialsFile::Refresh() {
  const net::Fd fd(open(path_.c_str(), O_RDONLY | O_CLOEXEC));
  struct stat info{};
  if (!fd.valid() || fstat(fd.get(), &info) != 0)
    return Fail(Code::kDenied, fmt::format("S3 credentials {}: {}", path_, std::strerror(errno)));
  const Seen now = Seen::Of(info);
  if (seen_ && *seen_ == now) return Ok();
  std::string text(kMaxBytes + 1, '\0');
  const data::CleanseGuard wipe({reinterpret_cast<std::uint8_t*>(text.data()), text.size()});
  std::size_t length = 0;
  while (length < text.size()) {
    const ssize_t n = read(fd.get(), text.data() + length, text.size() - length);
    if (n < 0)
      return Fail(Code::kDenied, fmt::format("S3 credentials {}: {}", path_, std::strerror(errno)));
    if (n == 0) break;
    length += static_cast<std::size_t>(n);
  }
  if (length > kMaxBytes)
    return Fail(Code::kDenied,
                fmt::format("S3 credentials {}: has more than {} bytes", path_, kMaxBytes));
  auto profiles = ReadCredentials(std::string_view(text).substr(0, length), path_);
  if (!profiles) return Fail(Code::kDenied, "S3 credentials " + profiles.error().message);
  profiles_ = std::move(*profiles);
  seen_ = std::make_shared<const Seen>(now);
  return Ok();
}

Status CredentialsFile::Check() {
  const std::lock_guard lock(mutex_);
  return Refresh();
}

Result<Credentials> CredentialsFile::Find(const std::string& profile) {
  const std::lock_guard lock(mutex_);
  SPW_TRY(Refresh());
  const auto it = profiles_.find(profile);
  if (it == profiles_.end()) {
    std::vector<std::string_view> names;
    for (const auto& [name, credentials] : profiles_) names.push_back(name);
    return Fail(
        Code::kDenied,
        fmt::format(
            "S3 credentials {}: there is no profile [{}]: {}", path_, schema::Printable(profile),
            names.empty() ? "the file is empty" : schema::Suggest(profile, names, "there is ")));
  }
  for (const auto& [missing, name] :
       {std::pair(it->second.access_key_id.empty(), "aws_access_key_id"),
        std::pair(it->second.secret_access_key.empty(), "aws_secret_access_key")})
    if (missing)
      return Fail(Code::kDenied,
                  fmt::format("S3 credentials {}: profile [{}] has no {}", path_, profile, name));
  return it->second;
}

}  // namespace spillway::s3
