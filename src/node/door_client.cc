#include "node/door_client.h"

#include <fmt/format.h>

#include "base/log.h"
#include "net/request_id.h"

namespace spillway::node {
namespace {

constexpr std::string_view kUnixPrefix = "unix:", kHttpsPrefix = "https://";
// A body of many bytes may take so much longer than a short call.
constexpr std::int64_t kSlowestBytesPerSecond = 32 << 10;

net::HttpRequest Bytes(std::string method, std::string target, std::string_view body) {
  net::HttpRequest request;
  request.method = std::move(method);
  request.target = std::move(target);
  request.body = body;
  request.repeatable = true;
  request.content_type = "application/octet-stream";
  return request;
}

tl::unexpected<Error> BadAnswer(std::string_view call, const Error& error) {
  return Fail(Code::kCorrupt,
              fmt::format("the site's answer to {} is wrong: {}", call, error.message));
}

}  // namespace

Result<std::unique_ptr<DoorAccess>> DoorAccess::Make(const door::UserData& data,
                                                     Duration request_timeout) {
  net::Endpoint endpoint;
  const std::string& door = data.door;
  if (door.starts_with(kUnixPrefix) && door.size() > kUnixPrefix.size()) {
    endpoint.unix_path = door.substr(kUnixPrefix.size());
  } else if (door.starts_with(kHttpsPrefix) && door.size() > kHttpsPrefix.size()) {
    endpoint.base_url = door;
  } else {
    return Fail(
        Code::kInvalid,
        fmt::format("user data: door: '{}' is neither unix:/path nor https://address:port", door));
  }
  SPW_ASSIGN(data::TlsKey key, data::TlsKey::Generate());
  return std::unique_ptr<DoorAccess>(
      new DoorAccess(data, std::move(endpoint), std::move(key), request_timeout));
}

Status DoorAccess::SetCertificate(std::string_view hex) {
  const auto der = ParseHex(hex);
  if (!der || der->empty())
    return Fail(Code::kCorrupt, "the site's certificate is not hexadecimal");
  const std::lock_guard lock(mutex_);
  if (!key_) return Fail(Code::kDenied, "the node's key is gone");
  identity_ = std::make_shared<const net::TlsIdentity>(
      net::TlsIdentity{key_->get(), std::string(AsText(*der))});
  return Ok();
}

std::string DoorAccess::KeyPem() const {
  const std::lock_guard lock(mutex_);
  return key_ ? key_->Pem() : "";
}

Status DoorAccess::Resume(std::string_view key_pem, std::string_view certificate_hex) {
  SPW_ASSIGN(data::TlsKey key, data::TlsKey::FromPem(key_pem));
  {
    const std::lock_guard lock(mutex_);
    key_ = std::move(key);
  }
  return SetCertificate(certificate_hex);
}

void DoorAccess::Forget() {
  const std::lock_guard lock(mutex_);
  key_.reset();
  identity_.reset();
}

net::ClientOptions DoorAccess::Options(std::int64_t answer_bytes) const {
  net::ClientOptions options;
  options.connect_timeout = request_timeout_;
  options.total_timeout = request_timeout_;
  options.response_bytes = answer_bytes;
  options.pinned_key = door_key_;
  options.identity = [this] {
    const std::lock_guard lock(mutex_);
    return identity_;
  };
  return options;
}

bool IsDefinite(const Error& error) {
  return error.code == Code::kInvalid || error.code == Code::kDenied ||
         error.code == Code::kNotFound || error.code == Code::kConflict ||
         error.code == Code::kQuota;
}

DoorClient::DoorClient(DoorAccess& access, std::int64_t answer_bytes)
    : access_(access), http_(access.endpoint(), access.Options(answer_bytes)) {}

// With the name under which the site's log knows it.
Result<net::HttpResponse> DoorClient::Send(net::HttpRequest request) {
  const std::string id = net::RequestId();
  request.headers.Add(std::string(door::kNodeHeader), access_.node());
  request.headers.Add("X-Request-Id", id);
  Result<net::HttpResponse> response = http_.Do(request);
  const std::string path = request.target.substr(0, request.target.find('?'));
  if (!response)
    log::Info("a call had no answer",
              {{"id", id}, {"path", path}, {"why", response.error().message}});
  else if (response->status >= 400)
    log::Info("a call was refused", {{"id", id}, {"path", path}, {"status", response->status}});
  return response;
}

Result<std::string> DoorClient::Call(net::HttpRequest request) {
  SPW_ASSIGN(net::HttpResponse response, Send(std::move(request)));
  if (response.status == 401) access_.MarkRefused();
  if (response.status < 200 || response.status > 299)
    return Fail(net::ErrorFromResponse(response.status, response.headers, response.body));
  return std::move(response.body);
}

Result<json::value> DoorClient::CallJson(net::HttpRequest request) {
  const std::string what = request.method + " " + request.target.substr(0, 64);
  SPW_ASSIGN(const std::string body, Call(std::move(request)));
  auto parsed = ParseJson(body);
  if (!parsed) return BadAnswer(what, parsed.error());
  return parsed;
}

Result<door::RegisterAnswer> DoorClient::Register(const door::RegisterRequest& request) {
  SPW_ASSIGN(const json::value answer,
             CallJson(net::HttpRequest::Json("POST", "/node/v1/register", door::Encode(request))));
  auto decoded = door::DecodeRegisterAnswer(answer);
  if (!decoded) return BadAnswer("register", decoded.error());
  return decoded;
}

Result<door::Desired> DoorClient::Beat(const door::Heartbeat& heartbeat, Duration timeout) {
  net::HttpRequest request =
      net::HttpRequest::Json("POST", "/node/v1/heartbeat", door::Encode(heartbeat));
  request.repeatable = true;
  request.timeout = timeout;
  SPW_ASSIGN(const json::value answer, CallJson(std::move(request)));
  auto decoded = door::DecodeDesired(answer);
  if (!decoded) return BadAnswer("heartbeat", decoded.error());
  return decoded;
}

Result<std::string> DoorClient::SealedManifest() {
  return Call(net::HttpRequest::Get("/node/v1/manifest"));
}

Status DoorClient::SealedChunk(std::size_t index, std::int64_t size_bytes,
                               const ChunkLimits& limits, std::string& chunk) {
  const auto whole = static_cast<std::size_t>(size_bytes);
  if (chunk.size() >= whole) chunk.clear();
  chunk.reserve(whole);
  net::HttpRequest request = net::HttpRequest::Get(fmt::format("/node/v1/chunks/{}", index));
  const std::size_t begin = chunk.size();
  request.headers.Add("Range", fmt::format("bytes={}-{}", begin, whole - 1));
  request.timeout = limits.total;
  request.stall_timeout = limits.stall;
  request.stop = limits.stop;
  request.sink = [&](std::string_view piece) {
    if (piece.size() > whole - chunk.size()) return false;
    chunk += piece;
    if (limits.on_bytes) limits.on_bytes(piece.size());
    return true;
  };
  const auto sent = Send(std::move(request));
  if (!sent) {
    // More than was asked for came: none of it is what it seems.
    if (sent.error().code != Code::kUnavailable) chunk.clear();
    return Fail(sent.error());
  }
  const net::HttpResponse& response = *sent;
  if (response.status == 401) access_.MarkRefused();
  if (response.status < 200 || response.status > 299)
    return Fail(net::ErrorFromResponse(response.status, response.headers, response.body));
  const std::string expected = fmt::format("bytes {}-{}/{}", begin, whole - 1, whole);
  if (response.status == 206 && response.headers.Get("Content-Range") == expected &&
      chunk.size() == whole)
    return Ok();
  chunk.clear();
  return Fail(Code::kCorrupt,
              fmt::format("the site's answer is not {} of chunk {}", expected, index));
}

Result<std::optional<std::string>> DoorClient::PutResult(const ResultChunk& chunk,
                                                         ByteView sealed) {
  const std::string target = fmt::format(
      "/node/v1/"
      "results?pod={}&uid={}&claim={}&path={}&mode={}&size={}&sha256={}&chunk={}&chunks={}",
      net::PercentEncode(chunk.pod), net::PercentEncode(chunk.uid), net::PercentEncode(chunk.claim),
      net::PercentEncode(chunk.path), chunk.mode, chunk.size_bytes, chunk.sha256, chunk.chunk,
      chunk.chunks);
  net::HttpRequest request = Bytes("PUT", target, AsText(sealed));
  request.timeout =
      access_.request_timeout() + Duration(std::ssize(sealed) * 1000 / kSlowestBytesPerSecond);
  SPW_ASSIGN(const json::value answer, CallJson(std::move(request)));
  const json::object* receipt = FindObject(answer, "receipt");
  if (receipt == nullptr) return std::nullopt;
  return json::serialize(*receipt);
}

Status DoorClient::PostLog(const std::string& pod, const std::string& uid, std::int64_t offset,
                           std::string_view bytes) {
  const std::string target = fmt::format("/node/v1/logs?pod={}&uid={}&offset={}",
                                         net::PercentEncode(pod), net::PercentEncode(uid), offset);
  SPW_TRY(Call(Bytes("POST", target, bytes)));
  return Ok();
}

Result<std::string> DoorClient::PostWiped(const door::WipeStatement& statement) {
  SPW_ASSIGN(const json::value answer,
             CallJson(net::HttpRequest::Json("POST", "/node/v1/wiped", door::Encode(statement))));
  return std::string(StringOr(answer, "certificate", ""));
}

}  // namespace spillway::node
