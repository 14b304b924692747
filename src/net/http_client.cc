#include "net/http_client.h"

#include <curl/curl.h>
#include <fcntl.h>
#include <openssl/ssl.h>
#include <sys/socket.h>

#include <cstring>
#include <thread>

namespace spillway::net {
namespace {

constexpr int kStopLookMs = 100;
constexpr std::size_t kErrorBodyBytes = 64 << 10;
// Of libcurl, for bodies that a sink takes: few calls for many bytes.
constexpr long kSinkBufferBytes = 256 << 10;
// When bytes for a sink arrive, more are waited for: a long link brings them a packet at a time,
// and waking up for each costs more than opening them.
constexpr Duration kGather = 4ms;

// Once per process; libcurl's own initialisation is not safe to race.
void InitCurl() {
  static const CURLcode code = curl_global_init(CURL_GLOBAL_DEFAULT);
  SPW_CHECK(code == CURLE_OK, "curl_global_init failed");
}

struct FreeEasy {
  void operator()(CURL* easy) const { curl_easy_cleanup(easy); }
};
struct FreeMulti {
  void operator()(CURLM* multi) const { curl_multi_cleanup(multi); }
};
struct FreeList {
  void operator()(curl_slist* list) const { curl_slist_free_all(list); }
};
struct FreeUrl {
  void operator()(CURLU* url) const { curl_url_cleanup(url); }
};
using Easy = std::unique_ptr<CURL, FreeEasy>;
using HeaderList = std::unique_ptr<curl_slist, FreeList>;

// The connections of one request that a dialer makes. libcurl insists on connecting a socket itself
// (7.88 does so even for CURL_SOCKOPT_ALREADY_CONNECTED), so it gets one whose connect does
// nothing, a datagram socket, which becomes the dialer's connection before anything is sent.
struct Dialling {
  Dialer* dialer = nullptr;
  CURL* easy = nullptr;
  bool safe = true;
  curl_socket_t socket = CURL_SOCKET_BAD;  // libcurl's
  Fd made;                                 // what it is to become
  std::optional<Error> failure;
};

// What the callbacks of one transfer fill in.
struct Transfer {
  CURL* easy = nullptr;
  std::int64_t body_limit_bytes = 0;
  HttpResponse response;
  bool too_long = false;
  const BodySink* sink = nullptr;
  std::int64_t sunk_bytes = 0;
  bool ended_by_sink = false;
  // For OnProgress.
  std::optional<Duration> stall_timeout;
  const std::atomic<bool>* stop = nullptr;
  std::int64_t moved_bytes = 0;
  std::chrono::steady_clock::time_point moved_at = std::chrono::steady_clock::now();
  bool stalled = false;
  Dialling dialling;
  // For event streams only.
  const HttpClient::EventCallback* on_event = nullptr;
  SseParser parser;
  Status failure;
  bool ended_by_callback = false;
};

std::size_t OnHeader(char* data, std::size_t, std::size_t size, void* user) {
  auto* transfer = static_cast<Transfer*>(user);
  transfer->response.headers.TakeLine({data, size});
  return size;
}

int StatusOf(CURL* easy) {
  long status = 0;
  curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
  return static_cast<int>(status);
}

std::size_t OnBody(char* data, std::size_t, std::size_t size, void* user) {
  auto* transfer = static_cast<Transfer*>(user);
  std::string& body = transfer->response.body;
  if (transfer->sink != nullptr && StatusOf(transfer->easy) / 100 == 2) {
    transfer->sunk_bytes += static_cast<std::int64_t>(size);
    if ((*transfer->sink)({data, size})) return size;
    transfer->ended_by_sink = true;
    return CURL_WRITEFUNC_ERROR;
  }
  if (static_cast<std::int64_t>(body.size() + size) > transfer->body_limit_bytes) {
    transfer->too_long = true;
    return CURL_WRITEFUNC_ERROR;
  }
  body.append(data, size);
  return size;
}

std::size_t OnStreamBody(char* data, std::size_t unit, std::size_t size, void* user) {
  auto* transfer = static_cast<Transfer*>(user);
  if (StatusOf(transfer->easy) != 200) return OnBody(data, unit, size, user);
  const auto events = transfer->parser.Feed({data, size});
  if (!events) {
    transfer->failure = Fail(events.error());
    return CURL_WRITEFUNC_ERROR;
  }
  for (const SseEvent& event : *events) {
    if ((*transfer->on_event)(event)) continue;
    transfer->ended_by_callback = true;
    return CURL_WRITEFUNC_ERROR;
  }
  return size;
}

bool IsSafe(const HttpRequest& request) {
  return request.repeatable || request.method == "GET" || request.method == "HEAD";
}

// Looked at by libcurl at least once a second. Its own limit, CURLOPT_LOW_SPEED_TIME, remembers a
// stall while connecting (7.88) and ends every later transfer of the handle at once.
int OnProgress(void* user, curl_off_t, curl_off_t came_bytes, curl_off_t, curl_off_t sent_bytes) {
  auto* transfer = static_cast<Transfer*>(user);
  const auto now = std::chrono::steady_clock::now();
  if (const std::int64_t moved = came_bytes + sent_bytes; moved != transfer->moved_bytes) {
    transfer->moved_bytes = moved;
    transfer->moved_at = now;
  }
  transfer->stalled =
      transfer->stall_timeout && now - transfer->moved_at >= *transfer->stall_timeout;
  const bool stopped = transfer->stop != nullptr && *transfer->stop;
  return transfer->stalled || stopped ? 1 : 0;
}

// Of each new connection: who we are.
CURLcode OnTls(CURL*, void* context, void* user) {
  auto* tls = static_cast<SSL_CTX*>(context);
  const auto* identity = static_cast<const TlsIdentity*>(user);
  return identity == nullptr || UseIdentity(tls, *identity) ? CURLE_OK : CURLE_SSL_CERTPROBLEM;
}

curl_socket_t OnOpenSocket(void* user, curlsocktype, curl_sockaddr*) {
  auto* dialling = static_cast<Dialling*>(user);
  long sent_bytes = 0;
  curl_easy_getinfo(dialling->easy, CURLINFO_REQUEST_SIZE, &sent_bytes);
  if (!dialling->safe && sent_bytes > 0) {
    dialling->failure = Error{Code::kMaybeApplied, "the connection broke before the answer", {}};
    return CURL_SOCKET_BAD;
  }
  Result<Fd> made = dialling->dialer->Dial();
  if (!made) {
    dialling->failure = std::move(made.error());
    return CURL_SOCKET_BAD;
  }
  dialling->made = std::move(*made);
  ::fcntl(dialling->made.get(), F_SETFL, O_NONBLOCK);
  return dialling->socket = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
}

int OnConnected(void* user, char*, char*, int, int) {
  auto* dialling = static_cast<Dialling*>(user);
  if (!dialling->made.valid()) return CURL_PREREQFUNC_OK;  // a kept connection
  const int same = ::dup3(dialling->made.get(), dialling->socket, O_CLOEXEC);
  dialling->made.Close();
  return same < 0 ? CURL_PREREQFUNC_ABORT : CURL_PREREQFUNC_OK;
}

// Host and scheme of a base URL decide whether a token may go there.
Status CheckEndpoint(const Endpoint& endpoint) {
  if (!IsHeaderSafe(endpoint.token))
    return Fail(Code::kInvalid, "the token has control characters");
  if (!endpoint.unix_path.empty() || endpoint.dialer != nullptr) return Ok();
  const std::unique_ptr<CURLU, FreeUrl> url(curl_url());
  const auto part = [&](CURLUPart which) {
    char* text = nullptr;
    if (curl_url_get(url.get(), which, &text, 0) != CURLUE_OK) return std::string();
    std::string copy(text);
    curl_free(text);
    return copy;
  };
  const bool parsed =
      curl_url_set(url.get(), CURLUPART_URL, endpoint.base_url.c_str(), 0) == CURLUE_OK;
  const std::string scheme = part(CURLUPART_SCHEME);
  const std::string path = part(CURLUPART_PATH);
  if (!parsed || (scheme != "http" && scheme != "https") || path != "/" ||
      !part(CURLUPART_QUERY).empty() || !part(CURLUPART_USER).empty())
    return Fail(Code::kInvalid,
                "'" + endpoint.base_url + "' is not a server address; write http(s)://host[:port]");
  const std::string host = part(CURLUPART_HOST);
  const bool loopback = host == "localhost" || host == "127.0.0.1" || host == "[::1]";
  if (scheme == "http" && !loopback && !endpoint.tunnelled && !endpoint.token.empty())
    return Fail(Code::kInvalid,
                "a token is not sent to " + host + " without encryption: use https");
  return Ok();
}

Result<HeaderList> BuildHeaders(const Endpoint& endpoint, const HttpRequest& request) {
  HeaderList list;
  const auto add = [&](const std::string& line) {
    curl_slist* longer = curl_slist_append(list.get(), line.c_str());
    SPW_CHECK(longer != nullptr, "out of memory");
    (void)list.release();
    list.reset(longer);
  };
  add("Expect:");  // no pause before large bodies
  if (!endpoint.token.empty()) add("Authorization: Bearer " + endpoint.token);
  // Without a body there is no type either; libcurl would name that of a form, and Nova refuses it.
  add(request.body.empty() ? "Content-Type:" : "Content-Type: " + request.content_type);
  if (!IsHeaderSafe(request.content_type))
    return Fail(Code::kInvalid, "the content type has control characters");
  for (const auto& [name, value] : request.headers.all()) {
    if (name.empty() || !IsHeaderSafe(name) || !IsHeaderSafe(value))
      return Fail(Code::kInvalid, "request header '" + PercentEncode(name) + "' is malformed");
    add(value.empty() ? name + ";" : name + ": " + value);
  }
  return list;
}

}  // namespace

class HttpClient::Impl {
 public:
  Impl(Endpoint endpoint, ClientOptions options)
      : endpoint_(std::move(endpoint)), options_(std::move(options)) {
    InitCurl();
    easy_.reset(curl_easy_init());
    SPW_CHECK(easy_ != nullptr, "curl_easy_init failed");
    const bool url = endpoint_.unix_path.empty() && endpoint_.dialer == nullptr;
    base_ = url                           ? endpoint_.base_url
            : options_.pinned_key.empty() ? "http://localhost"
                                          : "https://localhost";
    while (base_.ends_with('/')) base_.pop_back();
    name_ = (endpoint_.unix_path.empty() ? "" : "unix:") + endpoint_.Name();
  }

  Result<HttpResponse> Do(const HttpRequest& request);
  Status Stream(const HttpRequest& request, const EventCallback& callback,
                const std::atomic<bool>* stop);

 private:
  // Sets everything but the timeouts; the list must live as long as the transfer.
  Result<HeaderList> Prepare(CURL* easy, const HttpRequest& request, Transfer* transfer);
  void PrepareTls(CURL* easy, bool* fresh);
  // Performs a transfer into a sink.
  CURLcode Gather(CURL* easy, const Transfer& transfer);
  // Drives a stream until it ends; nullopt if `stop` ended it.
  std::optional<CURLcode> Drive(CURL* easy, const std::atomic<bool>* stop);
  Error Explain(CURL* easy, CURLcode code, const HttpRequest& request,
                const Transfer& transfer) const;

  Endpoint endpoint_;
  ClientOptions options_;
  std::unique_ptr<CURLM, FreeMulti> gathering_;  // has the kept connection of transfers into sinks
  Easy easy_;
  std::string base_;
  std::string name_;                             // of the server, for messages
  std::shared_ptr<const TlsIdentity> identity_;  // of the kept connection
};

void HttpClient::Impl::PrepareTls(CURL* easy, bool* fresh) {
  curl_easy_setopt(easy, CURLOPT_SSLVERSION, static_cast<long>(CURL_SSLVERSION_TLSv1_2));
  curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, options_.verify ? 1L : 0L);
  curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, options_.verify ? 2L : 0L);
  if (!options_.ca_file.empty()) curl_easy_setopt(easy, CURLOPT_CAINFO, options_.ca_file.c_str());
  if (options_.pinned_key.empty()) return;
  curl_easy_setopt(easy, CURLOPT_SSLVERSION, static_cast<long>(CURL_SSLVERSION_TLSv1_3));
  curl_easy_setopt(easy, CURLOPT_TLS13_CIPHERS, kTlsSuites);
  curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, 0L);
  curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 0L);
  curl_easy_setopt(easy, CURLOPT_PINNEDPUBLICKEY, ("sha256//" + options_.pinned_key).c_str());
  curl_easy_setopt(easy, CURLOPT_SSL_SESSIONID_CACHE, 0L);
  std::shared_ptr<const TlsIdentity> now = options_.identity ? options_.identity() : nullptr;
  *fresh = now != identity_;
  identity_ = std::move(now);
  curl_easy_setopt(easy, CURLOPT_SSL_CTX_FUNCTION, &OnTls);
  curl_easy_setopt(easy, CURLOPT_SSL_CTX_DATA, const_cast<TlsIdentity*>(identity_.get()));
}

Result<HeaderList> HttpClient::Impl::Prepare(CURL* easy, const HttpRequest& request,
                                             Transfer* transfer) {
  SPW_TRY(CheckEndpoint(endpoint_));
  if (!request.target.starts_with('/') || !IsHeaderSafe(request.target) ||
      request.target.find_first_of(" #") != std::string::npos)
    return Fail(Code::kInvalid, "request target '" + PercentEncode(request.target) +
                                    "' must start with '/' and be percent-encoded");
  SPW_ASSIGN(HeaderList headers, BuildHeaders(endpoint_, request));
  transfer->easy = easy;
  curl_easy_reset(easy);  // keeps connections
  curl_easy_setopt(easy, CURLOPT_URL, (base_ + request.target).c_str());
  if (endpoint_.dialer != nullptr) {
    transfer->dialling.dialer = endpoint_.dialer.get();
    transfer->dialling.easy = easy;
    transfer->dialling.safe = IsSafe(request);
    curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, &OnOpenSocket);
    curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, &transfer->dialling);
    curl_easy_setopt(easy, CURLOPT_PREREQFUNCTION, &OnConnected);
    curl_easy_setopt(easy, CURLOPT_PREREQDATA, &transfer->dialling);
    curl_easy_setopt(easy, CURLOPT_IPRESOLVE, static_cast<long>(CURL_IPRESOLVE_V4));
  } else if (!endpoint_.unix_path.empty()) {
    curl_easy_setopt(easy, CURLOPT_UNIX_SOCKET_PATH, endpoint_.unix_path.c_str());
  }
  curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
  bool another = false;
  PrepareTls(easy, &another);
  curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, static_cast<long>(CURL_HTTP_VERSION_1_1));
  curl_easy_setopt(easy, CURLOPT_NOPROXY, "*");
  curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(easy, CURLOPT_PATH_AS_IS, 1L);
  curl_easy_setopt(easy, CURLOPT_HTTPHEADER, headers.get());
  // A dialer has a limit of its own.
  curl_easy_setopt(
      easy, CURLOPT_CONNECTTIMEOUT_MS,
      endpoint_.dialer != nullptr ? 0L : static_cast<long>(options_.connect_timeout.count()));
  curl_easy_setopt(easy, CURLOPT_MAXCONNECTS, 1L);
  curl_easy_setopt(easy, CURLOPT_FRESH_CONNECT,
                   !another && (IsSafe(request) || endpoint_.dialer != nullptr) ? 0L : 1L);
  curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, &OnHeader);
  curl_easy_setopt(easy, CURLOPT_HEADERDATA, transfer);
  curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, &OnBody);
  curl_easy_setopt(easy, CURLOPT_WRITEDATA, transfer);
  if (request.sink) {
    transfer->sink = &request.sink;
    curl_easy_setopt(easy, CURLOPT_BUFFERSIZE, kSinkBufferBytes);
  }
  if (request.stop != nullptr || request.stall_timeout) {
    transfer->stop = request.stop;
    transfer->stall_timeout = request.stall_timeout;
    curl_easy_setopt(easy, CURLOPT_NOPROGRESS, 0L);
    curl_easy_setopt(easy, CURLOPT_XFERINFOFUNCTION, &OnProgress);
    curl_easy_setopt(easy, CURLOPT_XFERINFODATA, transfer);
  }
  if (request.method == "HEAD") {
    curl_easy_setopt(easy, CURLOPT_NOBODY, 1L);
  } else if (request.method != "GET") {
    curl_easy_setopt(easy, CURLOPT_POST, 1L);
    curl_easy_setopt(easy, CURLOPT_POSTFIELDS, request.body.data());
    curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE,
                     static_cast<curl_off_t>(request.body.size()));
    curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, request.method.c_str());
  }
  return headers;
}

Error HttpClient::Impl::Explain(CURL* easy, CURLcode code, const HttpRequest& request,
                                const Transfer& transfer) const {
  if (transfer.dialling.failure) return *transfer.dialling.failure;
  long sent_bytes = 0, os_error = 0;
  curl_easy_getinfo(easy, CURLINFO_REQUEST_SIZE, &sent_bytes);
  curl_easy_getinfo(easy, CURLINFO_OS_ERRNO, &os_error);
  std::string message = request.method + " " + request.target + " at " + name_ + ": ";
  if (transfer.too_long) {
    message += "the response has more than " + std::to_string(options_.response_bytes) + " bytes";
    return {IsSafe(request) ? Code::kInternal : Code::kMaybeApplied, message, {}};
  }
  if (transfer.ended_by_sink) {
    message += "the response is not what was asked for";
    return {IsSafe(request) ? Code::kInternal : Code::kMaybeApplied, message, {}};
  }
  if (transfer.stalled) {
    message += "nothing has come for " + FormatDuration(*transfer.stall_timeout);
    return {IsSafe(request) ? Code::kUnavailable : Code::kMaybeApplied, message, {}};
  }
  if (code == CURLE_SSL_PINNEDPUBKEYNOTMATCH)
    return {Code::kUnavailable, message + "another key than the server's answers there", {}};
  const bool unconnected = code == CURLE_COULDNT_CONNECT || code == CURLE_COULDNT_RESOLVE_HOST;
  message += unconnected ? "cannot connect" : curl_easy_strerror(code);
  if (os_error != 0) message += std::string(" (") + std::strerror(static_cast<int>(os_error)) + ")";
  if (code == CURLE_URL_MALFORMAT || code == CURLE_UNSUPPORTED_PROTOCOL)
    return {Code::kInvalid, message, {}};
  if (code == CURLE_SSL_CACERT_BADFILE || code == CURLE_PEER_FAILED_VERIFICATION)
    message += options_.ca_file.empty() ? "; a private certificate authority needs a CA file"
                                        : "; CA file " + options_.ca_file;
  const std::string complaint =
      endpoint_.dialer == nullptr ? std::string() : endpoint_.dialer->Complaint();
  if (!complaint.empty()) message += ": " + complaint;
  const bool maybe = !unconnected && !IsSafe(request) && sent_bytes > 0;
  return {maybe ? Code::kMaybeApplied : Code::kUnavailable, message, {}};
}

Result<HttpResponse> HttpClient::Impl::Do(const HttpRequest& request) {
  Transfer transfer;
  transfer.body_limit_bytes = options_.response_bytes;
  SPW_ASSIGN(const HeaderList headers, Prepare(easy_.get(), request, &transfer));
  const Duration timeout = request.timeout.value_or(options_.total_timeout);
  curl_easy_setopt(easy_.get(), CURLOPT_TIMEOUT_MS, static_cast<long>(timeout.count()));
  const CURLcode code =
      request.sink ? Gather(easy_.get(), transfer) : curl_easy_perform(easy_.get());
  if (code != CURLE_OK) return Fail(Explain(easy_.get(), code, request, transfer));
  transfer.response.status = StatusOf(easy_.get());
  return std::move(transfer.response);
}

CURLcode HttpClient::Impl::Gather(CURL* easy, const Transfer& transfer) {
  if (gathering_ == nullptr) {
    gathering_.reset(curl_multi_init());
    SPW_CHECK(gathering_ != nullptr, "curl_multi_init failed");
    curl_multi_setopt(gathering_.get(), CURLMOPT_MAXCONNECTS, 1L);
  }
  curl_multi_add_handle(gathering_.get(), easy);
  std::optional<CURLcode> result;
  while (!result) {
    const std::int64_t before = transfer.sunk_bytes;
    int running = 0, left = 0;
    const CURLMcode code = curl_multi_perform(gathering_.get(), &running);
    if (code != CURLM_OK || running == 0) {
      const CURLMsg* message = curl_multi_info_read(gathering_.get(), &left);
      result = message != nullptr ? message->data.result : CURLE_FAILED_INIT;
    } else if (transfer.sunk_bytes == before) {
      curl_multi_poll(gathering_.get(), nullptr, 0, kStopLookMs, nullptr);
      if (before > 0) std::this_thread::sleep_for(kGather);
    }
  }
  curl_multi_remove_handle(gathering_.get(), easy);
  return *result;
}

std::optional<CURLcode> HttpClient::Impl::Drive(CURL* easy, const std::atomic<bool>* stop) {
  const std::unique_ptr<CURLM, FreeMulti> multi(curl_multi_init());
  SPW_CHECK(multi != nullptr, "curl_multi_init failed");
  curl_multi_add_handle(multi.get(), easy);
  std::optional<CURLcode> result;
  while (stop == nullptr || !*stop) {
    int running = 0;
    const CURLMcode code = curl_multi_perform(multi.get(), &running);
    if (code != CURLM_OK || running == 0) {
      int left = 0;
      const CURLMsg* message = curl_multi_info_read(multi.get(), &left);
      result = message != nullptr ? message->data.result : CURLE_FAILED_INIT;
      break;
    }
    curl_multi_poll(multi.get(), nullptr, 0, kStopLookMs, nullptr);
  }
  curl_multi_remove_handle(multi.get(), easy);
  return result;
}

Status HttpClient::Impl::Stream(const HttpRequest& request, const EventCallback& callback,
                                const std::atomic<bool>* stop) {
  const Easy easy(curl_easy_init());
  SPW_CHECK(easy != nullptr, "curl_easy_init failed");
  Transfer transfer;
  transfer.body_limit_bytes = kErrorBodyBytes;
  transfer.on_event = &callback;
  SPW_ASSIGN(const HeaderList headers, Prepare(easy.get(), request, &transfer));
  curl_easy_setopt(easy.get(), CURLOPT_WRITEFUNCTION, &OnStreamBody);
  curl_easy_setopt(easy.get(), CURLOPT_LOW_SPEED_LIMIT, 1L);
  const auto idle = std::chrono::ceil<std::chrono::seconds>(options_.stream_idle_timeout);
  curl_easy_setopt(easy.get(), CURLOPT_LOW_SPEED_TIME, static_cast<long>(idle.count()));
  const auto code = Drive(easy.get(), stop);
  if (!code || transfer.ended_by_callback) return Ok();
  if (!transfer.failure) return transfer.failure;
  if (*code != CURLE_OK) return Fail(Explain(easy.get(), *code, request, transfer));
  const int status = StatusOf(easy.get());
  if (status != 200)
    return Fail(ErrorFromResponse(status, transfer.response.headers, transfer.response.body));
  return Fail(Code::kUnavailable, name_ + " ended the event stream");
}

HttpRequest HttpRequest::Get(std::string target) {
  HttpRequest request;
  request.target = std::move(target);
  return request;
}

HttpRequest HttpRequest::Json(std::string method, std::string target, const json::value& body) {
  HttpRequest request;
  request.method = std::move(method);
  request.target = std::move(target);
  request.body = json::serialize(body);
  return request;
}

HttpClient::HttpClient(Endpoint endpoint, ClientOptions options)
    : impl_(std::make_unique<Impl>(std::move(endpoint), std::move(options))) {}
HttpClient::~HttpClient() = default;
HttpClient::HttpClient(HttpClient&&) noexcept = default;
HttpClient& HttpClient::operator=(HttpClient&&) noexcept = default;

Result<HttpResponse> HttpClient::Do(const HttpRequest& request) {
  return impl_->Do(request);
}

Result<json::value> HttpClient::DoJson(const HttpRequest& request) {
  SPW_ASSIGN(const HttpResponse response, impl_->Do(request));
  if (response.status < 200 || response.status > 299)
    return Fail(ErrorFromResponse(response.status, response.headers, response.body));
  if (response.body.empty()) return json::value(nullptr);
  auto value = ParseJson(response.body);
  if (value) return value;
  // The request was carried out; only its answer is unreadable.
  return Fail(IsSafe(request) ? Code::kInternal : Code::kMaybeApplied,
              "the answer to " + request.method + " " + request.target +
                  " is not JSON: " + value.error().message);
}

Status HttpClient::Stream(const HttpRequest& request, const EventCallback& callback,
                          const std::atomic<bool>* stop) {
  return impl_->Stream(request, callback, stop);
}

}  // namespace spillway::net
