#include "net/http_server.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <condition_variable>
#include <deque>
#include <list>
#include <mutex>
#include <set>
#include <system_error>
#include <thread>

#include "base/encoding.h"
#include "base/log.h"
#include "net/connection.h"
#include "net/http_codec.h"
#include "net/outgoing.h"
#include "net/request_id.h"
#include "net/socket.h"
#include "net/socket_stream.h"

namespace spillway::net {
namespace {

// How long a connection is read on, and thrown away, after its last response: closing with unread
// input would reset it and could destroy the response on its way.
constexpr Duration kDrainTime = 1s;
// Connections beyond max_connections that are being told so at one time.
constexpr int kRefusedConnections = 16;
// After the process ran out of descriptors, accepting rests for so long.
constexpr Duration kAcceptPause = 100ms;
constexpr std::size_t kReadBytes = 64 << 10;

std::int64_t PeerUid(int fd) {
  ucred credentials{};
  socklen_t size = sizeof(credentials);
  if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &credentials, &size) != 0) return -1;
  return credentials.uid;
}

// "localhost", "127.0.0.1" and "[::1]", with or without a port.
bool IsLoopbackHost(std::string_view host) {
  const std::size_t colon = host.rfind(':');
  if (colon != std::string_view::npos && host.find(']', colon) == std::string_view::npos)
    host = host.substr(0, colon);
  return host == "localhost" || host == "127.0.0.1" || host == "[::1]";
}

// OpenSSL writes to sockets without MSG_NOSIGNAL.
void IgnoreBrokenPipes() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGPIPE);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
}

}  // namespace

class HttpServer::Impl {
 public:
  Impl(ServerOptions options, Router router)
      : options_(std::move(options)), router_(std::move(router)) {}

  Status Start();
  void Stop();
  bool stopping() const { return stopping_; }
  int tcp_port() const { return tcp_port_; }

 private:
  struct StreamTask {
    ConnectionPtr connection;
    std::function<void(EventStream&)> run;
    std::thread thread;
    std::atomic<bool> done{false};
  };

  Status CheckOptions() const;
  void StopLocked();

  // The receiving thread.
  void ReceiveLoop();
  void Look(Connection* connection, short events);
  void WaitForInput(std::vector<pollfd>* entries);
  void AcceptAll(int listener, PeerKind peer);
  void TakeReturned();
  void Receive(Connection* connection);
  void Advance(Connection* connection);
  std::optional<Refusal> Admit(Connection* connection);
  void Refuse(Connection* connection, const Refusal& refusal);
  void Expire(Connection* connection);
  void StartDraining(Connection* connection);
  void Enqueue(ConnectionPtr connection);

  // The workers.
  void WorkLoop();
  void Serve(ConnectionPtr connection);
  void Continue(ConnectionPtr connection);
  void Queue(ConnectionPtr connection);
  Duration Patience(Duration timeout, std::int64_t bytes) const;
  Response Handle(Request* request);
  void StartStream(ConnectionPtr connection, Response response);
  void RunStream(StreamTask* task);
  void Return(ConnectionPtr connection);

  void Wake();

  const ServerOptions options_;
  const Router router_;
  const SystemClock clock_;

  std::mutex stop_mutex_;  // serialises Start() and Stop(), taken before mutex_
  bool started_ = false;
  std::atomic<bool> stopping_{false};
  std::atomic<int> tcp_port_{0};

  UnixListener unix_listener_;
  Fd tcp_listener_;
  Fd wake_;
  std::atomic<std::int64_t> open_connections_{0};
  std::atomic<std::int64_t> refused_connections_{0};
  std::atomic<std::int64_t> body_bytes_{0};

  // Of the receiving thread; an entry is null after its connection moved on or was closed.
  std::vector<ConnectionPtr> connections_;
  Duration accept_after_{};

  std::mutex mutex_;  // guards what follows
  std::condition_variable changed_;
  std::deque<ConnectionPtr> queue_;  // something to serve or to send; at most max_connections
  bool receiver_ended_ = false;
  std::vector<ConnectionPtr> returned_;
  std::set<int> serving_;  // descriptors workers are using
  std::list<std::unique_ptr<StreamTask>> streams_;

  std::thread receiver_;
  std::vector<std::thread> workers_;
};

Status HttpServer::Impl::CheckOptions() const {
  if (options_.unix_path.empty() && options_.tcp_host.empty())
    return Fail(Code::kInvalid, "the server needs a Unix socket path or a TCP host to listen on");
  if (!options_.tcp_host.empty() && options_.tcp_token_required && options_.token.empty())
    return Fail(Code::kInvalid, "listening on TCP needs a bearer token");
  SPW_CHECK(options_.worker_threads > 0 && options_.max_connections > 0);
  return Ok();
}

Status HttpServer::Impl::Start() {
  const std::lock_guard lock(stop_mutex_);
  if (started_ || stopping_) return Fail(Code::kConflict, "the server was started before");
  SPW_TRY(CheckOptions());
  if (!options_.tcp_host.empty()) {
    int port = options_.tcp_port;
    SPW_ASSIGN(tcp_listener_, options_.tcp_loopback_only ? ListenLoopback(options_.tcp_host, &port)
                                                         : ListenAddress(options_.tcp_host, &port));
    tcp_port_ = port;
  }
  if (!options_.unix_path.empty()) {
    SPW_ASSIGN(unix_listener_, UnixListener::Bind(options_.unix_path));
  }
  wake_ = Fd(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!wake_.valid()) return Fail(Code::kInternal, "cannot make an event descriptor");
  started_ = true;
  try {
    for (int i = 0; i < options_.worker_threads; ++i) workers_.emplace_back([this] { WorkLoop(); });
    receiver_ = std::thread([this] { ReceiveLoop(); });
  } catch (const std::system_error& error) {
    {
      const std::lock_guard ended(mutex_);
      receiver_ended_ = true;
    }
    StopLocked();
    return Fail(Code::kInternal, std::string("cannot start the server's threads: ") + error.what());
  }
  return Ok();
}

void HttpServer::Impl::Stop() {
  const std::lock_guard lock(stop_mutex_);
  StopLocked();
}

void HttpServer::Impl::StopLocked() {
  if (!started_) return;
  started_ = false;
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_all();
  Wake();
  if (receiver_.joinable()) receiver_.join();
  {
    std::unique_lock lock(mutex_);
    for (const auto& task : streams_) shutdown(task->connection->fd(), SHUT_RDWR);
    changed_.wait_for(lock, options_.stop_grace,
                      [&] { return queue_.empty() && serving_.empty(); });
    if (!serving_.empty())
      log::Warn("requests still run at the end of the grace time", {{"requests", serving_.size()}});
    queue_.clear();
    for (const int fd : serving_) shutdown(fd, SHUT_RDWR);
  }
  for (std::thread& worker : workers_) worker.join();
  for (const auto& task : streams_) task->thread.join();
  streams_.clear();
  returned_.clear();
  tcp_listener_ = Fd();
  unix_listener_ = UnixListener();
}

void HttpServer::Impl::Wake() {
  const std::uint64_t one = 1;
  // A full counter means that a wake-up is pending already.
  [[maybe_unused]] const auto written = write(wake_.get(), &one, sizeof(one));
}

void HttpServer::Impl::ReceiveLoop() {
  IgnoreBrokenPipes();
  std::vector<pollfd> entries;
  while (!stopping_) {
    WaitForInput(&entries);
    if (entries[0].revents != 0) {
      std::uint64_t count = 0;
      [[maybe_unused]] const auto got = read(wake_.get(), &count, sizeof(count));
    }
    const std::size_t polled = entries.size() - 3;
    for (std::size_t i = 0; i < polled; ++i) {
      if (entries[i + 3].revents != 0) Look(connections_[i].get(), entries[i + 3].revents);
      if (connections_[i] && clock_.SteadyNow() >= connections_[i]->deadline)
        Expire(connections_[i].get());
    }
    TakeReturned();
    if (entries[1].revents != 0) AcceptAll(unix_listener_.fd(), PeerKind::kUnix);
    if (entries[2].revents != 0) AcceptAll(tcp_listener_.get(), PeerKind::kTcp);
    std::erase(connections_, nullptr);
  }
  // What is half sent is sent to its end.
  const std::lock_guard lock(mutex_);
  for (ConnectionPtr& connection : connections_)
    if (connection->outgoing) queue_.push_back(std::move(connection));
  connections_.clear();
  receiver_ended_ = true;
  changed_.notify_all();
}

// Something happened at a connection's socket. May remove it from connections_.
void HttpServer::Impl::Look(Connection* connection, short events) {
  if (connection->phase != Phase::kSending && connection->phase != Phase::kPaused)
    return Receive(connection);
  ConnectionPtr& owner = *std::ranges::find(connections_, connection, &ConnectionPtr::get);
  if (connection->phase == Phase::kSending && (events & connection->waits_for) != 0)
    return Enqueue(std::move(owner));
  owner.reset();  // the peer is gone
}

// Entries: the wake-up, the two listeners (-1 is ignored by poll), then connections_ in order.
void HttpServer::Impl::WaitForInput(std::vector<pollfd>* entries) {
  const Duration now = clock_.SteadyNow();
  const bool accepting = now >= accept_after_;
  entries->clear();
  entries->push_back({wake_.get(), POLLIN, 0});
  entries->push_back({accepting ? unix_listener_.fd() : -1, POLLIN, 0});
  entries->push_back({accepting ? tcp_listener_.get() : -1, POLLIN, 0});
  Duration until = accepting ? now + 60s : accept_after_;
  for (const ConnectionPtr& connection : connections_) {
    entries->push_back({connection->fd(), connection->waits_for, 0});
    until = std::min(until, connection->deadline);
  }
  const Duration wait = std::max(Duration(0), until - now);
  if (poll(entries->data(), entries->size(), static_cast<int>(wait.count())) < 0)
    for (pollfd& entry : *entries) entry.revents = 0;  // interrupted: look again
}

void HttpServer::Impl::AcceptAll(int listener, PeerKind peer) {
  for (int i = 0; i < options_.max_connections; ++i) {
    Fd fd(accept4(listener, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
    if (!fd.valid()) {
      if (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS) {
        log::Error("out of descriptors: new connections wait");
        accept_after_ = clock_.SteadyNow() + kAcceptPause;
      }
      return;
    }
    const bool full = open_connections_ >= options_.max_connections;
    if (full && refused_connections_ >= kRefusedConnections) continue;
    auto connection = std::make_unique<Connection>();
    connection->peer = peer;
    if (peer == PeerKind::kUnix) {
      connection->peer_uid = PeerUid(fd.get());
    } else {
      const int on = 1;
      setsockopt(fd.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    }
    connection->channel = Channel(std::move(fd), options_.tls.get());
    connection->slot = Share(full ? &refused_connections_ : &open_connections_, 1);
    connection->deadline = clock_.SteadyNow() + options_.idle_timeout;
    connections_.push_back(std::move(connection));
    if (full)
      Refuse(connections_.back().get(),
             {503, {Code::kUnavailable, "the server has all the connections it takes", 1s}});
  }
}

void HttpServer::Impl::TakeReturned() {
  std::vector<ConnectionPtr> returned;
  {
    const std::lock_guard lock(mutex_);
    returned.swap(returned_);
  }
  for (ConnectionPtr& connection : returned) {
    Connection* raw = connection.get();
    connections_.push_back(std::move(connection));
    if (raw->phase == Phase::kDraining) {
      StartDraining(raw);
    } else if (raw->phase == Phase::kIdle) {
      raw->deadline = clock_.SteadyNow() + options_.idle_timeout;
      Advance(raw);  // a pipelined request may be waiting in the buffer
    }
  }
}

// Reads once; poll() tells when there is more. May remove the connection from connections_.
void HttpServer::Impl::Receive(Connection* connection) {
  std::array<char, kReadBytes> bytes;
  const Channel::Moved got = connection->channel.Receive(bytes);
  connection->waits_for = got.io == Channel::Io::kWantWrite ? POLLOUT : POLLIN;
  if (got.io == Channel::Io::kClosed)
    return std::ranges::find(connections_, connection, &ConnectionPtr::get)->reset();
  if (got.io != Channel::Io::kDone) return;
  if (connection->phase == Phase::kDraining) return;
  connection->buffer.append(bytes.data(), got.bytes);
  Advance(connection);
}

// Parses what has arrived and passes a complete request on.
void HttpServer::Impl::Advance(Connection* connection) {
  if (connection->buffer.empty()) return;
  if (connection->phase == Phase::kIdle) {
    connection->phase = Phase::kReceiving;
    connection->deadline = clock_.SteadyNow() + options_.receive_timeout;
    connection->parser = std::make_unique<RequestParser>(options_.header_bytes);
  }
  for (;;) {
    switch (connection->parser->Feed(&connection->buffer)) {
      case RequestParser::Outcome::kNeedMore:
        return;
      case RequestParser::Outcome::kRefused:
        return Refuse(connection, connection->parser->refusal());
      case RequestParser::Outcome::kHead:
        if (const auto refusal = Admit(connection)) return Refuse(connection, *refusal);
        break;
      case RequestParser::Outcome::kComplete:
        return Enqueue(
            std::move(*std::ranges::find(connections_, connection, &ConnectionPtr::get)));
    }
  }
}

// Decides on a request by its head: who may send a body, and how long it may be.
std::optional<Refusal> HttpServer::Impl::Admit(Connection* connection) {
  RequestParser& parser = *connection->parser;
  Request& request = parser.request();
  request.peer = connection->peer;
  request.peer_uid = connection->peer_uid;
  request.certificate = connection->channel.PeerCertificate();
  request.id = RequestId(request.headers.Get("X-Request-Id"));
  if (connection->peer == PeerKind::kTcp && options_.tcp_token_required) {
    // Both sides are hashed: comparing digests tells nothing about the length of the token.
    const std::string expected = Sha256Hex("Bearer " + options_.token);
    const std::string given = Sha256Hex(request.headers.Get("Authorization"));
    if (!EqualConstantTime(AsBytes(expected), AsBytes(given)))
      return Refusal{401, {Code::kDenied, "a valid bearer token is required on this port", {}}};
  } else if (connection->peer == PeerKind::kTcp && options_.tcp_loopback_only &&
             !IsLoopbackHost(request.headers.Get("Host"))) {
    return Refusal{403, {Code::kDenied, "the Host header must name a loopback address", {}}};
  }
  const std::int64_t limit =
      router_.BodyBytes(request.method, request.path).value_or(options_.body_bytes);
  parser.SetBodyLimit(limit);
  const std::int64_t expected_bytes = std::min(limit, parser.ContentLength().value_or(limit));
  if (body_bytes_ + expected_bytes > options_.buffered_body_bytes)
    return Refusal{503, {Code::kUnavailable, "too many request bodies are being received", 1s}};
  connection->body = Share(&body_bytes_, expected_bytes);
  connection->deadline += Patience(0ms, expected_bytes);
  if (parser.ExpectsContinue() && parser.ContentLength().value_or(1) <= limit &&
      connection->buffer.empty()) {
    // Without room in the socket buffer the client does not wait for this line anyway.
    (void)connection->channel.Send("HTTP/1.1 100 Continue\r\n\r\n");
  }
  return std::nullopt;
}

// Answers without waiting (the text fits any socket buffer that is not already full of answers
// the client does not read), then drains.
void HttpServer::Impl::Refuse(Connection* connection, const Refusal& refusal) {
  Response response = Response::Failure(refusal.error);
  response.status = refusal.status;
  if (refusal.status == 401) response.headers.Add("WWW-Authenticate", "Bearer");
  if (connection->channel.CanTalk())
    (void)connection->channel.Send(FormatHead(response, false) + response.body);
  StartDraining(connection);
}

void HttpServer::Impl::StartDraining(Connection* connection) {
  connection->channel.SendEnd();
  connection->phase = Phase::kDraining;
  connection->waits_for = POLLIN;
  connection->deadline = clock_.SteadyNow() + kDrainTime;
  connection->buffer.clear();
  connection->parser.reset();
  connection->body = Share();
}

void HttpServer::Impl::Expire(Connection* connection) {
  if (connection->phase == Phase::kPaused)
    return Enqueue(std::move(*std::ranges::find(connections_, connection, &ConnectionPtr::get)));
  if (connection->phase == Phase::kReceiving)
    return Refuse(connection,
                  {408,
                   {Code::kUnavailable,
                    "the request did not arrive within " + FormatDuration(options_.receive_timeout),
                    {}}});
  std::ranges::find(connections_, connection, &ConnectionPtr::get)->reset();
}

void HttpServer::Impl::Enqueue(ConnectionPtr connection) {
  {
    const std::lock_guard lock(mutex_);
    queue_.push_back(std::move(connection));
  }
  changed_.notify_one();  // only workers wait while requests come in
}

void HttpServer::Impl::WorkLoop() {
  IgnoreBrokenPipes();
  for (;;) {
    ConnectionPtr connection;
    {
      std::unique_lock lock(mutex_);
      changed_.wait(lock, [&] { return (stopping_ && receiver_ended_) || !queue_.empty(); });
      if (queue_.empty()) return;
      connection = std::move(queue_.front());
      queue_.pop_front();
      serving_.insert(connection->fd());
    }
    if (connection->outgoing)
      Continue(std::move(connection));
    else
      Serve(std::move(connection));
    if (stopping_) changed_.notify_all();
  }
}

void HttpServer::Impl::Serve(ConnectionPtr connection) {
  Request& request = connection->parser->request();
  const Duration start = clock_.SteadyNow();
  Response response = Handle(&request);
  log::Debug("request", {{"id", request.id},
                         {"method", request.method},
                         {"path", request.path},
                         {"status", response.status},
                         {"ms", (clock_.SteadyNow() - start).count()}});
  response.headers.Add("X-Request-Id", request.id);
  const bool head_only = request.method == "HEAD";
  if (response.stream && !head_only) return StartStream(std::move(connection), std::move(response));
  const bool keep_alive = connection->parser->KeepAlive() && !stopping_ && !response.stream;
  const Duration deadline =
      clock_.SteadyNow() + Patience(options_.send_timeout, BodyBytes(response));
  std::string head = FormatHead(response, keep_alive);
  connection->outgoing = std::make_unique<Outgoing>(std::move(head), std::move(response),
                                                    keep_alive, head_only, deadline);
  connection->parser.reset();
  connection->body = Share();
  Continue(std::move(connection));
}

// Sends what the socket takes and gives the connection back, with what is left.
void HttpServer::Impl::Continue(ConnectionPtr connection) {
  Outgoing& outgoing = *connection->outgoing;
  const Outgoing::State state = outgoing.Continue(connection->channel, clock_.SteadyNow());
  connection->waits_for = POLLIN;
  connection->deadline = outgoing.deadline();
  connection->phase = Phase::kSending;
  switch (state) {
    case Outgoing::State::kTurnOver:
      return Queue(std::move(connection));
    case Outgoing::State::kWantWrite:
      connection->waits_for = POLLOUT;
      break;
    case Outgoing::State::kWantRead:
      break;
    case Outgoing::State::kPaused:
      connection->waits_for = 0;
      connection->deadline = outgoing.resume_at();
      connection->phase = Phase::kPaused;
      break;
    case Outgoing::State::kSent:
    case Outgoing::State::kFailed:
      connection->phase = state == Outgoing::State::kSent && outgoing.keep_alive()
                              ? Phase::kIdle
                              : Phase::kDraining;
      connection->outgoing.reset();
      break;
  }
  if (!stopping_ || !connection->outgoing) return Return(std::move(connection));
  // Nobody polls any more; Stop() ends this wait when its patience does.
  pollfd entry{connection->fd(), connection->waits_for, 0};
  const Duration left = connection->deadline - clock_.SteadyNow();
  const int ready = poll(&entry, 1, static_cast<int>(std::clamp(left, 0ms, 60'000ms).count()));
  const bool paused = connection->phase == Phase::kPaused;
  if (paused ? entry.revents == 0 : ready > 0) return Queue(std::move(connection));
  const std::lock_guard lock(mutex_);
  serving_.erase(connection->fd());
}

// Back into the line of work, behind the others.
void HttpServer::Impl::Queue(ConnectionPtr connection) {
  {
    const std::lock_guard lock(mutex_);
    serving_.erase(connection->fd());
    queue_.push_back(std::move(connection));
  }
  changed_.notify_one();
}

Duration HttpServer::Impl::Patience(Duration timeout, std::int64_t bytes) const {
  return timeout + Duration(bytes * 1000 / options_.slowest_bytes_per_s);
}

Response HttpServer::Impl::Handle(Request* request) {
  const auto failed = [&](std::string_view reason) {
    log::Error("request handler failed",
               {{"method", request->method}, {"path", request->path}, {"reason", reason}});
    return Response::Failure({Code::kInternal, "internal error; see the log of the server", {}});
  };
  try {
    Response response = router_.Handle(request);
    if (!HeadIsSafe(response)) return failed("a status or header that cannot be sent");
    return response;
  } catch (const std::exception& error) {
    return failed(error.what());
  } catch (...) {
    return failed("an exception of unknown type");
  }
}

// Gives a connection back to the receiving thread, or closes it when the server stops.
void HttpServer::Impl::Return(ConnectionPtr connection) {
  connection->parser.reset();
  connection->body = Share();
  {
    const std::lock_guard lock(mutex_);
    serving_.erase(connection->fd());
    if (stopping_) return;
    returned_.push_back(std::move(connection));
  }
  Wake();
}

void HttpServer::Impl::StartStream(ConnectionPtr connection, Response response) {
  SPW_CHECK(!options_.tls, "event streams are not served over TLS");
  auto task = std::make_unique<StreamTask>();
  task->run = response.stream;
  {
    const std::lock_guard lock(mutex_);
    std::erase_if(streams_, [](const auto& old) {
      if (!old->done) return false;
      old->thread.join();
      return true;
    });
    if (!stopping_ && std::cmp_less(streams_.size(), options_.max_streams)) {
      serving_.erase(connection->fd());
      task->connection = std::move(connection);
      StreamTask* raw = task.get();
      try {
        raw->thread = std::thread([this, raw] { RunStream(raw); });
        streams_.push_back(std::move(task));
        return;
      } catch (const std::system_error& error) {
        log::Error("cannot start a stream thread", {{"reason", error.what()}});
        connection = std::move(task->connection);
        serving_.insert(connection->fd());
      }
    }
  }
  Response full =
      Response::Failure({Code::kUnavailable, "the server has all the event streams it takes", 5s});
  std::string text = FormatHead(full, false);
  connection->outgoing = std::make_unique<Outgoing>(std::move(text), std::move(full), false, false,
                                                    clock_.SteadyNow() + options_.send_timeout);
  Continue(std::move(connection));
}

void HttpServer::Impl::RunStream(StreamTask* task) {
  Response head;
  head.content_type = "text/event-stream";
  head.stream = task->run;
  const int fd = task->connection->fd();
  const std::string text = FormatHead(head, false);
  const std::array<std::string_view, 1> parts{text};
  if (SendAll(fd, parts, clock_, clock_.SteadyNow() + options_.send_timeout)) {
    SocketStream stream(fd, clock_, options_.heartbeat, options_.send_timeout, stopping_);
    try {
      task->run(stream);
    } catch (const std::exception& error) {
      log::Error("event stream failed", {{"reason", error.what()}});
    } catch (...) {
      log::Error("event stream failed", {{"reason", "an exception of unknown type"}});
    }
  }
  // Stop() may be using the descriptor; it is closed only when the task goes.
  shutdown(fd, SHUT_RDWR);
  task->connection->slot = Share();
  task->connection->body = Share();
  task->done = true;
}

HttpServer::HttpServer(ServerOptions options, Router router)
    : impl_(std::make_unique<Impl>(std::move(options), std::move(router))) {}

HttpServer::~HttpServer() {
  impl_->Stop();
}

Status HttpServer::Start() {
  return impl_->Start();
}

void HttpServer::Stop() {
  impl_->Stop();
}

bool HttpServer::Stopping() const {
  return impl_->stopping();
}

int HttpServer::tcp_port() const {
  return impl_->tcp_port();
}

}  // namespace spillway::net
