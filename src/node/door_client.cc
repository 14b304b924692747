#include "node/door_client.h"

#include <fmt/format.h>

#include "data/secret.h"

namespace spillway::node {
namespace {

constexpr std::string_view kUnixPrefix = "unix:", kHttpPrefix = "http://";

net::ClientOptions OptionsFor(const DoorAccess& access, std::int64_t answer_bytes) {
  net::ClientOptions options;
  options.connect_timeout = access.request_timeout();
  options.total_timeout = access.request_timeout();
  options.response_bytes = answer_bytes;
  return options;
}

net::HttpRequest Bytes(std::string method, std::string target, std::string_view body) {
  net::HttpRequest request;
  request.method = std::move(method);
  request.target = std::move(target);
  request.body = body;
  request.content_type = "application/octet-stream";
  return request;
}

tl::unexpected<Error> BadAnswer(std::string_view call, const Error& error) {
  return Fail(Code::kCorrupt,
              fmt::format("the site's answer to {} is wrong: {}", call, error.message));
}

}  // namespace

Result<std::unique_ptr<DoorAccess>> DoorAccess::Make(const std::string& door,
                                                     Duration request_timeout) {
  net::Endpoint endpoint;
  if (door.starts_with(kUnixPrefix) && door.size() > kUnixPrefix.size()) {
    endpoint.unix_path = door.substr(kUnixPrefix.size());
  } else if (door.starts_with(kHttpPrefix) && door.size() > kHttpPrefix.size()) {
    endpoint.base_url = door;
    endpoint.tunnelled = true;
  } else {
    return Fail(
        Code::kInvalid,
        fmt::format("user data: door: '{}' is neither unix:/path nor http://address:port", door));
  }
  return std::unique_ptr<DoorAccess>(new DoorAccess(std::move(endpoint), request_timeout));
}

void DoorAccess::SetCredential(std::string credential) {
  const std::lock_guard lock(mutex_);
  credential_ = std::move(credential);
}

std::string DoorAccess::credential() const {
  const std::lock_guard lock(mutex_);
  return credential_;
}

void DoorAccess::Forget() {
  const std::lock_guard lock(mutex_);
  data::Cleanse({reinterpret_cast<std::uint8_t*>(credential_.data()), credential_.size()});
  credential_.clear();
}

net::Endpoint DoorAccess::Endpoint() const {
  const std::lock_guard lock(mutex_);
  net::Endpoint endpoint = endpoint_;
  endpoint.token = credential_;
  return endpoint;
}

bool IsDefinite(const Error& error) {
  return error.code == Code::kInvalid || error.code == Code::kDenied ||
         error.code == Code::kNotFound || error.code == Code::kConflict ||
         error.code == Code::kQuota;
}

DoorClient::DoorClient(DoorAccess& access, std::int64_t answer_bytes)
    : access_(access), http_(access.Endpoint(), OptionsFor(access, answer_bytes)) {}

Result<std::string> DoorClient::Call(net::HttpRequest request) {
  SPW_ASSIGN(net::HttpResponse response, http_.Do(request));
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
  request.timeout = timeout;
  SPW_ASSIGN(const json::value answer, CallJson(std::move(request)));
  auto decoded = door::DecodeDesired(answer);
  if (!decoded) return BadAnswer("heartbeat", decoded.error());
  return decoded;
}

Result<std::string> DoorClient::SealedManifest() {
  return Call(net::HttpRequest::Get("/node/v1/manifest"));
}

Result<std::string> DoorClient::SealedChunk(std::size_t index, Duration timeout) {
  net::HttpRequest request = net::HttpRequest::Get(fmt::format("/node/v1/chunks/{}", index));
  request.timeout = timeout;
  return Call(std::move(request));
}

Result<std::optional<std::string>> DoorClient::PutResult(const ResultChunk& chunk,
                                                         ByteView sealed) {
  const std::string target = fmt::format(
      "/node/v1/"
      "results?pod={}&uid={}&claim={}&path={}&mode={}&size={}&sha256={}&chunk={}&chunks={}",
      net::PercentEncode(chunk.pod), net::PercentEncode(chunk.uid), net::PercentEncode(chunk.claim),
      net::PercentEncode(chunk.path), chunk.mode, chunk.size_bytes, chunk.sha256, chunk.chunk,
      chunk.chunks);
  SPW_ASSIGN(const json::value answer, CallJson(Bytes("PUT", target, AsText(sealed))));
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
