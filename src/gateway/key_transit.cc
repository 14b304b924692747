#include "gateway/key_transit.h"

#include <fmt/format.h>
#include <time.h>

#include <algorithm>
#include <array>
#include <fstream>

#include "base/json.h"
#include "data/secret.h"
#include "gateway/files.h"

namespace spillway::gateway {
namespace {

constexpr std::size_t kMaxTokenBytes = 4096;
constexpr std::size_t kMaxWrappedBytes = 4096;
constexpr std::int64_t kMaxAnswerBytes = 64 << 10;
constexpr std::size_t kMaxReasonBytes = 300;

std::span<std::uint8_t> Bytes(std::string& text) {
  return {reinterpret_cast<std::uint8_t*>(text.data()), text.size()};
}

Result<std::string> ReadToken(const std::string& path) {
  auto read = ReadFile(path, kMaxTokenBytes);
  // Never "not found", which would be said of a key.
  if (!read) return Fail(Code::kDenied, "token of the key service: " + read.error().message);
  std::string token = std::move(*read);
  if (const std::size_t end = token.find_first_of("\r\n"); end != std::string::npos)
    token.resize(end);
  if (token.empty() || !net::IsHeaderSafe(token))
    return Fail(Code::kDenied, fmt::format("{}: its first line is no token", path));
  return token;
}

bool IsKeyName(std::string_view text) {
  return !text.empty() && std::ranges::all_of(text, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_' || c == '.';
  });
}

// A path of the API: one or more names, each as above.
bool IsPath(std::string_view text) {
  while (true) {
    const std::size_t slash = text.find('/');
    const std::string_view name = text.substr(0, slash);
    if (!IsKeyName(name) || name == "." || name == "..") return false;
    if (slash == std::string_view::npos) return true;
    text.remove_prefix(slash + 1);
  }
}

// {"errors": ["...", ...]}
std::string Reason(const std::string& body) {
  std::string reason;
  if (const auto parsed = ParseJson(body))
    if (const json::array* errors = FindArray(*parsed, "errors"))
      for (const json::value& error : *errors)
        if (error.is_string())
          reason += (reason.empty() ? "" : "; ") + std::string(View(error.get_string()));
  for (char& c : reason)
    if (static_cast<unsigned char>(c) < ' ') c = ' ';
  return reason.substr(0, kMaxReasonBytes);
}

// As the engine writes it, "vault:v1:<base64>"; nothing in it needs escaping in JSON.
bool IsWrapped(std::string_view text) {
  return text.starts_with("vault:v") && text.size() <= kMaxWrappedBytes &&
         std::ranges::all_of(text, [](char c) {
           return IsKeyName({&c, 1}) || c == ':' || c == '+' || c == '/' || c == '=';
         });
}

// The code for what is not a success.
Code CodeOf(int status, const std::string& reason) {
  if (status == 404) return Code::kNotFound;
  if (status == 403 || status == 401) return Code::kDenied;
  if (status == 429) return Code::kThrottled;
  if (status == 400 && reason.find("not found") != std::string::npos) return Code::kNotFound;
  // Sealed, standby, not initialised, or broken: all of them may pass.
  if (status >= 500 || status == 412 || status == 472 || status == 473) return Code::kUnavailable;
  return Code::kInvalid;
}

// The members of "data" in an answer that holds a key; they live in memory that is wiped.
class SecretAnswer {
 public:
  explicit SecretAnswer(const std::string& body) {
    try {
      boost::system::error_code error;
      value_ = json::parse(body, error, json::storage_ptr(&memory_));
      if (error) value_ = nullptr;
    } catch (const std::bad_alloc&) {  // more than the buffer holds is no answer with a key
      value_ = nullptr;
    }
  }
  ~SecretAnswer() { data::Cleanse(buffer_); }
  SecretAnswer(const SecretAnswer&) = delete;
  SecretAnswer& operator=(const SecretAnswer&) = delete;

  std::string_view Text(std::string_view key) const {
    const json::value* found = FindPath(value_, {"data", key});
    return found != nullptr && found->is_string() ? View(found->get_string()) : std::string_view();
  }
  // Base64 of exactly one key.
  bool Key(std::string_view key, ports::KeyBytes out) const {
    auto bytes = ParseBase64(Text(key));
    if (!bytes) return false;
    const data::CleanseGuard guard(*bytes);
    if (bytes->size() != out.size()) return false;
    std::ranges::copy(*bytes, out.begin());
    return true;
  }

 private:
  std::array<std::uint8_t, 32 << 10> buffer_;
  json::static_resource memory_{buffer_.data(), buffer_.size()};
  json::value value_ = json::value(json::storage_ptr(&memory_));
};

}  // namespace

struct Transit::Answer {
  int status = 0;
  std::string body;
  std::optional<Time> date;  // by its clock

  bool good() const { return status >= 200 && status < 300; }
  Answer() = default;
  Answer(Answer&&) = default;
  Answer& operator=(Answer&&) = default;
  ~Answer() { data::Cleanse(Bytes(body)); }
};

Result<Time> ParseHttpDate(const std::string& text) {
  tm parts{};
  const char* end = strptime(text.c_str(), "%a, %d %b %Y %H:%M:%S GMT", &parts);
  if (end == nullptr || *end != '\0')
    return Fail(Code::kInvalid, fmt::format("\"{}\" is no date of HTTP", text.substr(0, 64)));
  return Time{std::chrono::seconds(timegm(&parts))};
}

Transit::Transit(TransitOptions options)
    : options_(std::move(options)),
      client_({.connect_timeout = options_.timeout,
               .response_bytes = kMaxAnswerBytes,
               .ca_file = options_.ca_file}) {}

Result<std::unique_ptr<Transit>> Transit::Open(TransitOptions options) {
  if (auto parts = net::SplitUrl(options.url); !parts)
    return Fail(parts.error().In("key service"));
  else if (parts->target != "/" && !parts->target.empty())
    return Fail(
        Code::kInvalid,
        fmt::format("key service: {} has a path; it must be SCHEME://HOST:PORT", options.url));
  else
    options.url = parts->origin;
  if (!net::IsPrivateUrl(options.url))
    return Fail(Code::kInvalid,
                fmt::format("key service: over {} anybody on the way could read keys and token; "
                            "use https",
                            options.url));
  if (options.token_file.empty())
    return Fail(Code::kInvalid, "key service: it needs a file with a token");
  if (!IsPath(options.mount))
    return Fail(Code::kInvalid,
                fmt::format("key service: mount \"{}\" is no path of names", options.mount));
  if (!options.name_space.empty() && !IsPath(options.name_space))
    return Fail(Code::kInvalid, fmt::format("key service: namespace \"{}\" is no path of names",
                                            options.name_space));
  if (!IsKeyName(options.key_prefix) || options.key_prefix.size() > 80)
    return Fail(Code::kInvalid,
                fmt::format("key service: keys cannot be named after \"{}\": use letters, digits, "
                            "'-', '_' and '.', at most 80",
                            options.key_prefix));
  return std::unique_ptr<Transit>(new Transit(std::move(options)));
}

std::string Transit::Name() const {
  return fmt::format("transit engine at {}, mount {}{}{}", options_.url, options_.mount,
                     options_.name_space.empty() ? "" : ", namespace ", options_.name_space);
}

std::string Transit::KeyPath(const std::string& run) const {
  return fmt::format("{}/keys/{}-{}", options_.mount, options_.key_prefix, run);
}

Result<Transit::Answer> Transit::Send(const std::string& method, const std::string& path,
                                      std::string body) {
  SPW_ASSIGN(std::string token, ReadToken(options_.token_file));
  net::WebRequest request;
  request.method = method;
  request.url = options_.url + "/v1/" + path;
  request.headers.Add("X-Vault-Token", token);
  // An agent in between may insist on it, so that no page in a browser speaks to it.
  request.headers.Add("X-Vault-Request", "true");
  if (!options_.name_space.empty()) request.headers.Add("X-Vault-Namespace", options_.name_space);
  request.body = std::move(body);
  request.timeout = options_.timeout;
  auto answered = client_.Do(request);
  data::Cleanse(Bytes(token));
  if (!answered) {
    Error error = answered.error().In(fmt::format("{}: {}", Name(), path));
    // Every request of this file may be repeated.
    if (error.code == Code::kMaybeApplied || error.code == Code::kInternal)
      error.code = Code::kUnavailable;
    return Fail(std::move(error));
  }
  Answer answer;
  answer.status = answered->status;
  answer.body = std::move(answered->body);
  if (const auto date = ParseHttpDate(std::string(answered->headers.Get("Date"))))
    answer.date = *date;
  return answer;
}

Error Transit::Refused(const std::string& path, const Answer& answer) const {
  const std::string reason = Reason(answer.body);
  return {CodeOf(answer.status, reason),
          fmt::format("{}: {}: HTTP {}{}{}", Name(), path, answer.status,
                      reason.empty() ? "" : ": ", reason),
          std::nullopt};
}

Result<Transit::Answer> Transit::Ask(const std::string& method, const std::string& path,
                                     std::string body) {
  SPW_ASSIGN(Answer answer, Send(method, path, std::move(body)));
  if (!answer.good()) return Fail(Refused(path, answer));
  return answer;
}

Status Transit::Check() {
  SPW_TRY(Ask("GET", "auth/token/lookup-self"));
  return Ok();
}

Result<ports::KeyRecord> Transit::LookAt(const std::string& run, Time now) {
  const std::string path = KeyPath(run);
  SPW_ASSIGN(const Answer answer, Ask("GET", path));
  const auto parsed = ParseJson(answer.body);
  const json::object* data = parsed ? FindObject(*parsed, "data") : nullptr;
  if (data == nullptr)
    return Fail(Code::kUnavailable,
                fmt::format("{}: {}: no answer of a transit engine", Name(), path));
  const json::value value(*data);
  if (BoolOr(value, "exportable", true) || BoolOr(value, "allow_plaintext_backup", true))
    return Fail(Code::kInvalid,
                fmt::format("{}: {}: the key may be exported or backed up in plaintext, so its "
                            "end would prove nothing; delete it there",
                            Name(), path));
  ports::KeyRecord record;
  record.key_id = path;
  record.created = now;
  if (const json::object* versions = FindObject(value, "keys"))
    for (const json::key_value_pair& version : *versions) {
      // Of a symmetric key: seconds since 1970.
      if (version.value().is_int64())
        record.created =
            std::min(record.created, Time{std::chrono::seconds(version.value().get_int64())});
    }
  record.version = IntOr(value, "latest_version", 1);
  return record;
}

Result<ports::KeyRecord> Transit::Create(const std::string& run, Time now, ports::KeyBytes key) {
  data::Cleanse(key);
  SPW_TRY(CheckName(run));
  // Of a key that is there already this changes nothing.
  SPW_TRY(Ask("POST", KeyPath(run),
              R"({"type":"aes256-gcm96","exportable":false,"allow_plaintext_backup":false})"));
  SPW_ASSIGN(ports::KeyRecord record, LookAt(run, now));
  const std::string path =
      fmt::format("{}/datakey/plaintext/{}-{}", options_.mount, options_.key_prefix, run);
  SPW_ASSIGN(const Answer answer, Ask("POST", path, R"({"bits":256})"));
  const SecretAnswer secret(answer.body);
  record.wrapped = secret.Text("ciphertext");
  if (IsWrapped(record.wrapped) && secret.Key("plaintext", key)) return record;
  data::Cleanse(key);
  return Fail(Code::kUnavailable,
              fmt::format("{}: {}: no answer of a transit engine", Name(), path));
}

Status Transit::Unwrap(const std::string& run, const std::string& wrapped, ports::KeyBytes key) {
  data::Cleanse(key);
  SPW_TRY(CheckName(run));
  if (!IsWrapped(wrapped))
    return Fail(Code::kCorrupt,
                fmt::format("the key of run {} was wrapped by another key service", run));
  const std::string path =
      fmt::format("{}/decrypt/{}-{}", options_.mount, options_.key_prefix, run);
  SPW_ASSIGN(const Answer answer,
             Send("POST", path, fmt::format(R"({{"ciphertext":"{}"}})", wrapped)));
  if (!answer.good()) {
    Error error = Refused(path, answer);
    // It knows the key, and this was not wrapped by it.
    if (error.code == Code::kInvalid) error.code = Code::kCorrupt;
    return Fail(std::move(error));
  }
  if (SecretAnswer(answer.body).Key("plaintext", key)) return Ok();
  data::Cleanse(key);
  return Fail(Code::kCorrupt, fmt::format("{}: {}: what it unwrapped is no key", Name(), path));
}

Result<ports::KeyEnd> Transit::Destroy(const std::string& run, Time now) {
  SPW_TRY(CheckName(run));
  const std::string path = KeyPath(run);
  SPW_ASSIGN(Answer look, Send("GET", path));
  std::optional<Time> deleted;
  if (look.good()) {
    SPW_TRY(Ask("POST", path + "/config", R"({"deletion_allowed":true})"));
    SPW_ASSIGN(const Answer gone, Ask("DELETE", path));
    deleted = gone.date.value_or(now);
    SPW_ASSIGN(look, Send("GET", path));
  }
  if (look.good())
    return Fail(Code::kUnavailable,
                fmt::format("{}: {}: still there after it was deleted", Name(), path));
  if (look.status != 404) return Fail(Refused(path, look));
  if (deleted)
    return ports::KeyEnd{*deleted,
                         fmt::format("{} was deleted, and was not found afterwards", path)};
  return ports::KeyEnd{
      look.date.value_or(now),
      fmt::format("{} was not found; it had been deleted before, or never made", path)};
}

}  // namespace spillway::gateway
