#include "kube/transport.h"

#include <curl/curl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <condition_variable>
#include <cstring>
#include <mutex>
#include <thread>
#include <vector>

#include "net/http_message.h"

namespace spillway::kube {
namespace {

constexpr std::int64_t kErrorBodyBytes = 64 << 10;
constexpr int kLoopMs = 1000;  // an upper bound; every change wakes the loop

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
using Multi = std::unique_ptr<CURLM, FreeMulti>;
using List = std::unique_ptr<curl_slist, FreeList>;

void Append(List& list, const std::string& line) {
  curl_slist* longer = curl_slist_append(list.get(), line.c_str());
  SPW_CHECK(longer != nullptr, "out of memory");
  (void)list.release();
  list.reset(longer);
}

// One request and what its callbacks fill in.
struct Transfer {
  const WireRequest* request = nullptr;
  Easy easy;
  List headers, connect_to;
  std::array<char, CURL_ERROR_SIZE> complaint{};
  std::size_t sent_bytes = 0;  // of the body
  net::HttpResponse response;
  std::int64_t body_limit_bytes = 0;
  bool too_long = false;
  bool answered = false;  // a byte of the answer arrived
  // Of streams only.
  const Transport::OnBytes* on_bytes = nullptr;
  Status consumed;
  std::chrono::steady_clock::time_point heard;
  // Of shared transfers, guarded by the mutex of the loop.
  bool done = false, cancelled = false;
  CURLcode code = CURLE_OK;

  int StatusCode() const {
    long status = 0;
    curl_easy_getinfo(easy.get(), CURLINFO_RESPONSE_CODE, &status);
    return static_cast<int>(status);
  }
};

std::size_t OnHeader(char* data, std::size_t, std::size_t size, void* user) {
  auto* transfer = static_cast<Transfer*>(user);
  transfer->answered = true;
  transfer->heard = std::chrono::steady_clock::now();
  transfer->response.headers.TakeLine({data, size});
  return size;
}

std::size_t OnBody(char* data, std::size_t, std::size_t size, void* user) {
  auto* transfer = static_cast<Transfer*>(user);
  transfer->heard = std::chrono::steady_clock::now();
  if (transfer->on_bytes != nullptr && transfer->StatusCode() / 100 == 2) {
    transfer->consumed = (*transfer->on_bytes)({data, size});
    return transfer->consumed ? size : CURL_WRITEFUNC_ERROR;
  }
  std::string& body = transfer->response.body;
  if (static_cast<std::int64_t>(body.size() + size) > transfer->body_limit_bytes) {
    transfer->too_long = true;
    return CURL_WRITEFUNC_ERROR;
  }
  body.append(data, size);
  return size;
}

// Hands out the body once. There is no way back, on purpose: libcurl, which would silently repeat a
// request when a kept connection dies, then fails with CURLE_SEND_FAIL_REWIND instead.
std::size_t OnSend(char* into, std::size_t, std::size_t room, void* user) {
  auto* transfer = static_cast<Transfer*>(user);
  const std::string& body = transfer->request->body;
  const std::size_t size = std::min(room, body.size() - transfer->sent_bytes);
  std::memcpy(into, body.data() + transfer->sent_bytes, size);
  transfer->sent_bytes += size;
  return size;
}

int OnSocket(void* user, curl_socket_t socket, curlsocktype) {
  const auto milliseconds = static_cast<unsigned>(static_cast<const Duration*>(user)->count());
  // A Unix-domain or test socket may refuse; it works without.
  (void)::setsockopt(socket, IPPROTO_TCP, TCP_USER_TIMEOUT, &milliseconds, sizeof(milliseconds));
  return CURL_SOCKOPT_OK;
}

curl_blob Blob(const std::string& text) {
  return {const_cast<char*>(text.data()), text.size(), CURL_BLOB_COPY};
}

// Host and port of an address.
Result<std::pair<std::string, std::string>> SplitServer(const std::string& server) {
  const std::unique_ptr<CURLU, FreeUrl> url(curl_url());
  const auto part = [&](CURLUPart which) {
    char* text = nullptr;
    if (curl_url_get(url.get(), which, &text, CURLU_DEFAULT_PORT) != CURLUE_OK)
      return std::string();
    std::string copy(text);
    curl_free(text);
    return copy;
  };
  if (curl_url_set(url.get(), CURLUPART_URL, server.c_str(), 0) != CURLUE_OK ||
      part(CURLUPART_HOST).empty() || !part(CURLUPART_QUERY).empty())
    return Fail(Code::kInvalid,
                "'" + server + "' is not a server address; write https://host:port");
  return std::make_pair(part(CURLUPART_HOST), part(CURLUPART_PORT));
}

bool IsGet(const WireRequest& request) {
  return request.method == "GET";
}

}  // namespace

class Transport::Impl {
 public:
  Impl(const Access& access, TransportOptions options) : access_(access), options_(options) {
    static const CURLcode code = curl_global_init(CURL_GLOBAL_DEFAULT);
    SPW_CHECK(code == CURLE_OK, "curl_global_init failed");
    multi_.reset(curl_multi_init());
    SPW_CHECK(multi_ != nullptr, "curl_multi_init failed");
    curl_multi_setopt(multi_.get(), CURLMOPT_PIPELINING, CURLPIPE_MULTIPLEX);
    curl_multi_setopt(multi_.get(), CURLMOPT_MAXCONNECTS, 16L);
    thread_ = std::thread([this] { Loop(); });
  }
  ~Impl() {
    {
      const std::lock_guard lock(mutex_);
      SPW_CHECK(incoming_.empty() && active_.empty(), "a call is still running");
      ending_ = true;
    }
    curl_multi_wakeup(multi_.get());
    thread_.join();
  }

  Result<net::HttpResponse> Do(const WireRequest& request, const std::stop_token& stop);
  Result<net::HttpResponse> Stream(const WireRequest& request, Duration idle,
                                   const OnBytes& on_bytes, const std::stop_token& stop);

 private:
  Status Prepare(Transfer* transfer);
  void SetSecurity(Transfer* transfer);
  void SetHeaders(Transfer* transfer);
  void Loop();
  void Finish(Transfer* transfer, CURLcode code);
  Error Explain(const Transfer& transfer, CURLcode code, bool stopped) const;

  const Access access_;
  TransportOptions options_;
  Multi multi_;
  std::thread thread_;
  std::mutex mutex_;
  std::condition_variable finished_;
  std::vector<Transfer*> incoming_, active_;
  bool ending_ = false;
  std::atomic<bool> distrust_kept_ = false;  // a kept connection did not answer: make a new one
};

void Transport::Impl::SetSecurity(Transfer* transfer) {
  CURL* easy = transfer->easy.get();
  curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
  curl_easy_setopt(easy, CURLOPT_SSLVERSION, static_cast<long>(CURL_SSLVERSION_TLSv1_2));
  curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, access_.insecure ? 0L : 1L);
  curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, access_.insecure ? 0L : 2L);
  if (!access_.ca_pem.empty()) {
    curl_blob blob = Blob(access_.ca_pem);
    curl_easy_setopt(easy, CURLOPT_CAINFO_BLOB, &blob);
  }
  const auto& credentials = transfer->request->credentials;
  if (credentials == nullptr || credentials->certificate_pem.empty()) return;
  curl_blob certificate = Blob(credentials->certificate_pem);
  curl_blob key = Blob(credentials->key_pem.Reveal());
  curl_easy_setopt(easy, CURLOPT_SSLCERT_BLOB, &certificate);
  curl_easy_setopt(easy, CURLOPT_SSLKEY_BLOB, &key);
}

void Transport::Impl::SetHeaders(Transfer* transfer) {
  const WireRequest& request = *transfer->request;
  Append(transfer->headers, "Expect:");  // no pause before large bodies
  Append(transfer->headers, "Accept: " + request.accept);
  if (!IsGet(request)) Append(transfer->headers, "Content-Type: " + request.content_type);
  if (request.credentials != nullptr && !request.credentials->token.empty())
    Append(transfer->headers, "Authorization: Bearer " + request.credentials->token.Reveal());
  for (const auto& [name, value] : access_.impersonate)
    Append(transfer->headers, name + ": " + value);
}

Status Transport::Impl::Prepare(Transfer* transfer) {
  const WireRequest& request = *transfer->request;
  SPW_ASSIGN(const auto host, SplitServer(access_.server));
  transfer->easy.reset(curl_easy_init());
  CURL* easy = transfer->easy.get();
  SPW_CHECK(easy != nullptr, "curl_easy_init failed");
  std::string server = access_.server;
  if (!access_.tls_server_name.empty()) {
    // The name in the address is what curl sends as SNI and checks; the connection goes elsewhere.
    const std::string port = ":" + host.second;
    Append(transfer->connect_to, access_.tls_server_name + port + ":" + host.first + port);
    const std::size_t at = server.find(host.first);
    server.replace(at, host.first.size(), access_.tls_server_name);
    curl_easy_setopt(easy, CURLOPT_CONNECT_TO, transfer->connect_to.get());
  }
  curl_easy_setopt(easy, CURLOPT_URL, (server + request.target).c_str());
  if (access_.proxy_url.empty())
    curl_easy_setopt(easy, CURLOPT_NOPROXY, "*");
  else
    curl_easy_setopt(easy, CURLOPT_PROXY, access_.proxy_url.c_str());
  SetSecurity(transfer);
  SetHeaders(transfer);
  curl_easy_setopt(easy, CURLOPT_HTTPHEADER, transfer->headers.get());
  curl_easy_setopt(easy, CURLOPT_USERAGENT, options_.user_agent.c_str());
  curl_easy_setopt(
      easy, CURLOPT_HTTP_VERSION,
      static_cast<long>(request.own_connection ? CURL_HTTP_VERSION_1_1 : CURL_HTTP_VERSION_2TLS));
  curl_easy_setopt(easy, CURLOPT_PIPEWAIT, request.own_connection ? 0L : 1L);
  curl_easy_setopt(easy, CURLOPT_FRESH_CONNECT, distrust_kept_.exchange(false) ? 1L : 0L);
  curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(easy, CURLOPT_PATH_AS_IS, 1L);
  curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, transfer->complaint.data());
  curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS,
                   static_cast<long>(options_.connect_timeout.count()));
  curl_easy_setopt(easy, CURLOPT_TCP_KEEPALIVE, 1L);
  curl_easy_setopt(easy, CURLOPT_TCP_KEEPIDLE, 15L);
  curl_easy_setopt(easy, CURLOPT_TCP_KEEPINTVL, 5L);
  curl_easy_setopt(easy, CURLOPT_SOCKOPTFUNCTION, &OnSocket);
  curl_easy_setopt(easy, CURLOPT_SOCKOPTDATA, &options_.dead_peer_timeout);
  curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, &OnHeader);
  curl_easy_setopt(easy, CURLOPT_HEADERDATA, transfer);
  curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, &OnBody);
  curl_easy_setopt(easy, CURLOPT_WRITEDATA, transfer);
  curl_easy_setopt(easy, CURLOPT_PRIVATE, transfer);
  if (!IsGet(request)) {
    curl_easy_setopt(easy, CURLOPT_POST, 1L);
    curl_easy_setopt(easy, CURLOPT_READFUNCTION, &OnSend);
    curl_easy_setopt(easy, CURLOPT_READDATA, transfer);
    curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE,
                     static_cast<curl_off_t>(request.body.size()));
    curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, request.method.c_str());
  }
  return Ok();
}

Error Transport::Impl::Explain(const Transfer& transfer, CURLcode code, bool stopped) const {
  const WireRequest& request = *transfer.request;
  long head_bytes = 0;
  curl_easy_getinfo(transfer.easy.get(), CURLINFO_REQUEST_SIZE, &head_bytes);
  const bool sent = head_bytes > 0 || transfer.sent_bytes > 0;
  std::string message = request.method + " " + request.target.substr(0, request.target.find('?')) +
                        " at " + access_.server + ": ";
  const Code lost = !IsGet(request) && sent ? Code::kMaybeApplied : Code::kUnavailable;
  if (transfer.too_long)
    return {IsGet(request) ? Code::kInternal : Code::kMaybeApplied,
            message + "the response has more than " + std::to_string(transfer.body_limit_bytes) +
                " bytes",
            {}};
  if (stopped) return {lost, message + "stopped", {}};
  const std::string_view detail(transfer.complaint.data());
  message += detail.empty() ? std::string_view(curl_easy_strerror(code)) : detail;
  switch (code) {
    case CURLE_URL_MALFORMAT:
    case CURLE_UNSUPPORTED_PROTOCOL:
      return {Code::kInvalid, message, {}};
    case CURLE_SSL_CERTPROBLEM:
      return {Code::kDenied, message + " (" + access_.origin + ": client certificate or key)", {}};
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CACERT_BADFILE:
      return {
          Code::kDenied,
          message + " (" + access_.origin + ": is certificate-authority the one of this server?)",
          {}};
    default:
      return {lost, message, {}};
  }
}

void Transport::Impl::Finish(Transfer* transfer, CURLcode code) {
  curl_multi_remove_handle(multi_.get(), transfer->easy.get());
  std::erase(active_, transfer);
  const std::lock_guard lock(mutex_);
  transfer->code = code;
  transfer->done = true;
  finished_.notify_all();
}

void Transport::Impl::Loop() {
  for (;;) {
    std::vector<Transfer*> cancelled;
    {
      const std::lock_guard lock(mutex_);
      if (ending_) return;
      for (Transfer* transfer : incoming_) {
        active_.push_back(transfer);
        curl_multi_add_handle(multi_.get(), transfer->easy.get());
      }
      incoming_.clear();
      for (Transfer* transfer : active_)
        if (transfer->cancelled) cancelled.push_back(transfer);
    }
    for (Transfer* transfer : cancelled) Finish(transfer, CURLE_ABORTED_BY_CALLBACK);
    int running = 0, left = 0;
    curl_multi_perform(multi_.get(), &running);
    while (const CURLMsg* message = curl_multi_info_read(multi_.get(), &left)) {
      if (message->msg != CURLMSG_DONE) continue;
      Transfer* transfer = nullptr;
      const CURLcode code = message->data.result;
      curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &transfer);
      Finish(transfer, code);
    }
    curl_multi_poll(multi_.get(), nullptr, 0, kLoopMs, nullptr);
  }
}

Result<net::HttpResponse> Transport::Impl::Do(const WireRequest& request,
                                              const std::stop_token& stop) {
  Transfer transfer;
  transfer.request = &request;
  transfer.body_limit_bytes = request.response_bytes;
  SPW_TRY(Prepare(&transfer));
  curl_easy_setopt(transfer.easy.get(), CURLOPT_TIMEOUT_MS,
                   static_cast<long>(std::max<std::int64_t>(1, request.timeout.count())));
  {
    const std::lock_guard lock(mutex_);
    incoming_.push_back(&transfer);
  }
  curl_multi_wakeup(multi_.get());
  {
    const std::stop_callback cut(stop, [&] {
      const std::lock_guard lock(mutex_);
      transfer.cancelled = true;
      curl_multi_wakeup(multi_.get());
    });
    std::unique_lock lock(mutex_);
    finished_.wait(lock, [&] { return transfer.done; });
  }
  if (transfer.code != CURLE_OK) {
    if (transfer.code == CURLE_OPERATION_TIMEDOUT && !transfer.answered) distrust_kept_ = true;
    return Fail(Explain(transfer, transfer.code, transfer.code == CURLE_ABORTED_BY_CALLBACK));
  }
  transfer.response.status = transfer.StatusCode();
  return std::move(transfer.response);
}

Result<net::HttpResponse> Transport::Impl::Stream(const WireRequest& request, Duration idle,
                                                  const OnBytes& on_bytes,
                                                  const std::stop_token& stop) {
  const Multi multi(curl_multi_init());
  SPW_CHECK(multi != nullptr, "curl_multi_init failed");
  Transfer transfer;
  transfer.request = &request;
  transfer.body_limit_bytes = kErrorBodyBytes;
  transfer.on_bytes = &on_bytes;
  transfer.heard = std::chrono::steady_clock::now();
  SPW_TRY(Prepare(&transfer));
  curl_multi_add_handle(multi.get(), transfer.easy.get());
  CURLcode code = CURLE_OK;
  bool silent = false;
  {
    const std::stop_callback cut(stop, [&] { curl_multi_wakeup(multi.get()); });
    for (int running = 1; !stop.stop_requested();) {
      curl_multi_perform(multi.get(), &running);
      if (running == 0) break;
      const auto left =
          std::chrono::ceil<Duration>(transfer.heard + idle - std::chrono::steady_clock::now());
      silent = left <= 0ms;
      if (silent) break;
      curl_multi_poll(multi.get(), nullptr, 0,
                      static_cast<int>(std::min<std::int64_t>(left.count(), kLoopMs)), nullptr);
    }
  }
  int left = 0;
  if (const CURLMsg* message = curl_multi_info_read(multi.get(), &left))
    code = message->data.result;
  curl_multi_remove_handle(multi.get(), transfer.easy.get());
  if (!transfer.consumed) return tl::unexpected(transfer.consumed.error());
  const std::string what = request.target.substr(0, request.target.find('?'));
  if (stop.stop_requested()) return Fail(Code::kUnavailable, "watching " + what + ": stopped");
  if (silent)
    return Fail(Code::kUnavailable,
                "watching " + what + ": nothing came for " + FormatDuration(idle));
  if (code != CURLE_OK) return Fail(Explain(transfer, code, false));
  transfer.response.status = transfer.StatusCode();
  return std::move(transfer.response);
}

Transport::Transport(const Access& access, TransportOptions options)
    : impl_(std::make_unique<Impl>(access, std::move(options))) {}
Transport::~Transport() = default;

Result<net::HttpResponse> Transport::Do(const WireRequest& request, const std::stop_token& stop) {
  return impl_->Do(request, stop);
}

Result<net::HttpResponse> Transport::Stream(const WireRequest& request, Duration idle,
                                            const OnBytes& on_bytes, const std::stop_token& stop) {
  return impl_->Stream(request, idle, on_bytes, stop);
}

}  // namespace spillway::kube
