// libfuse's low level (fuse_lowlevel.h of 3.14), over descriptors and buffers of our own.
#define FUSE_USE_VERSION FUSE_MAKE_VERSION(3, 12)
#include "fuse/server.h"

#include <fmt/format.h>
#include <fuse_lowlevel.h>
#include <linux/fuse.h>
#include <pthread.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/uio.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdarg>
#include <cstring>
#include <thread>
#include <vector>

#include "base/log.h"
#include "fuse/parking.h"
#include "fuse/requests.h"

namespace spillway::fuse {
namespace {

constexpr double kForever = 1e7;  // seconds: nothing ever changes
constexpr std::uint32_t kBlockBytes = 4096;
constexpr unsigned kBackground = 64, kCongestion = 48;
constexpr Duration kNudge = 10ms;

int NudgeSignal() {
  return SIGRTMIN + 5;
}

// A thread that waits in read(2) for a request comes back.
void InstallNudge() {
  static const bool installed = [] {
    struct sigaction action{};
    action.sa_handler = [](int) {};
    return ::sigaction(NudgeSignal(), &action, nullptr) == 0;
  }();
  SPW_CHECK(installed, "a real-time signal can be handled");
}

void LogLine(enum fuse_log_level level, const char* format, va_list values) {
  std::array<char, 512> line{};
  std::vsnprintf(line.data(), line.size(), format, values);
  std::string_view text(line.data());
  while (text.ends_with('\n')) text.remove_suffix(1);
  log::Write(level <= FUSE_LOG_ERR ? log::Level::kWarn : log::Level::kDebug, "libfuse",
             {{"says", text}});
}

fuse_ino_t InodeOf(FileTree::Node node) {
  return fuse_ino_t{node} + FUSE_ROOT_ID;
}

}  // namespace

class Server::Impl {
 public:
  Impl(Connection connection, Requests requests, const FileTree& tree, Content& content,
       const ServerOptions& options)
      : connection_(std::move(connection)),
        requests_(std::move(requests)),
        tree_(tree),
        content_(content),
        options_(options),
        parking_(requests_, content, options.patience),
        read_((tree.files() + 63) / 64) {}

  ~Impl() { Stop(); }

  Status Start(const std::string& directory);
  void Stop();
  void Wake() { parking_.Wake(); }
  void ForgetPages();

 private:
  // The thread that runs now, for the callbacks of libfuse.
  struct Worker {
    std::size_t number = 0;
    std::unique_ptr<Reader> reader;
    ByteBuffer listing;
  };
  static thread_local Worker* worker_;
  // The request that is being processed, as it came.
  static thread_local ByteView request_;

  static Impl& Of(fuse_req_t request) { return *static_cast<Impl*>(fuse_req_userdata(request)); }
  static const fuse_lowlevel_ops& Operations();
  static ssize_t Receive(int fd, void* to, size_t size, void* self);
  static ssize_t Send(int fd, iovec* parts, int count, void* self);

  Status OpenSession();
  Status Greet();
  void Process(ByteView request);
  void ForgetInterrupts();
  void Run(std::size_t number);

  bool Known(fuse_ino_t inode) const {
    return inode >= FUSE_ROOT_ID && inode - FUSE_ROOT_ID < tree_.nodes();
  }
  static FileTree::Node NodeOf(fuse_ino_t inode) {
    return static_cast<FileTree::Node>(inode - FUSE_ROOT_ID);
  }
  struct stat StatOf(FileTree::Node node) const;
  fuse_entry_param EntryOf(FileTree::Node node) const;
  void Lookup(fuse_req_t request, fuse_ino_t parent, const char* name);
  void List(fuse_req_t request, fuse_ino_t inode, std::size_t size, off_t offset, bool plus);
  void Read(fuse_req_t request, fuse_ino_t inode, std::size_t size, off_t offset);
  void StatFileSystem(fuse_req_t request);

  const Connection connection_;
  Requests requests_;
  const FileTree& tree_;
  Content& content_;
  const ServerOptions options_;
  fuse_session* session_ = nullptr;
  bool mute_ = false;  // answers go nowhere: the kernel did not ask, or has its answer
  std::atomic<std::size_t> interrupts_ = 0;  // that were read
  std::atomic<bool> stopping_ = false;
  Parking parking_;
  std::vector<std::atomic<std::uint64_t>> read_;  // a bit for each file that was ever read
  std::vector<std::thread> threads_;
  std::atomic<std::size_t> running_ = 0;
};

thread_local Server::Impl::Worker* Server::Impl::worker_ = nullptr;
thread_local ByteView Server::Impl::request_;

// ---- life

Status Server::Impl::OpenSession() {
  fuse_set_log_func(LogLine);
  InstallNudge();
  const std::string max_read = fmt::format("max_read={}", kMaxReadBytes);
  std::array<std::string, 3> words = {"spillway", "-o", max_read};
  std::array<char*, 3> pointers = {words[0].data(), words[1].data(), words[2].data()};
  fuse_args arguments = FUSE_ARGS_INIT(static_cast<int>(pointers.size()), pointers.data());
  session_ = fuse_session_new(&arguments, &Operations(), sizeof(fuse_lowlevel_ops), this);
  fuse_opt_free_args(&arguments);
  if (session_ == nullptr) return Fail(Code::kInternal, "libfuse makes no session");
  const fuse_custom_io io = {.writev = Send, .read = Receive};
  Fd device(::dup(connection_.device.get()));
  if (!device || fuse_session_custom_io(session_, &io, device.get()) != 0)
    return Fail(Code::kInternal, "libfuse takes no descriptor");
  device.Release();
  return Ok();
}

// INIT comes once in the life of a mount: what a later session needs of it is replayed.
Status Server::Impl::Greet() {
  const ByteView kept = requests_.init();
  if (!kept.empty()) {
    mute_ = true;  // the kernel has its answer already
    Process(kept);
    mute_ = false;
    return Ok();
  }
  const std::span<std::uint8_t> buffer = requests_.buffer(0);
  fuse_buf received{.size = buffer.size(), .mem = buffer.data(), .fd = -1};
  const int length = fuse_session_receive_buf(session_, &received);
  if (length <= 0)
    return Fail(Code::kInternal,
                fmt::format("the mount does not speak: {}", std::strerror(-length)));
  requests_.KeepInit(buffer.first(static_cast<std::size_t>(length)));
  Process(buffer.first(static_cast<std::size_t>(length)));
  requests_.ClearBuffer(0);
  return Ok();
}

Status Server::Impl::Start(const std::string& directory) {
  const bool first = requests_.init().empty();
  SPW_TRY(OpenSession());
  SPW_TRY(Greet());
  {
    Worker own{0, content_.NewReader(), {}};
    worker_ = &own;
    for (const ByteBuffer& request : requests_.TakeUnanswered()) Process(request);
    worker_ = nullptr;
  }
  for (std::size_t i = 0; i < options_.threads; ++i) {
    ++running_;
    threads_.emplace_back([this, i] { Run(i); });
  }
  if (!first) return Ok();
  if (const Status set = SetReadAhead(directory, options_.read_ahead); !set)
    log::Warn("the kernel reads ahead less than it should", {{"why", set.error().message}});
  return Ok();
}

void Server::Impl::Stop() {
  stopping_ = true;
  parking_.Stop();
  while (running_ > 0) {
    for (std::thread& thread : threads_) ::pthread_kill(thread.native_handle(), NudgeSignal());
    std::this_thread::sleep_for(kNudge);
  }
  for (std::thread& thread : threads_) thread.join();
  threads_.clear();
  if (session_ == nullptr) return;
  ForgetInterrupts();
  fuse_session_destroy(session_);
  session_ = nullptr;
}

// An interrupt that is read after its request was answered stays in libfuse's list until another
// request comes, which takes one from there; the end of the session would leak it.
void Server::Impl::ForgetInterrupts() {
  fuse_in_header any{};
  any.len = sizeof(any);
  any.opcode = FUSE_STATFS;
  any.nodeid = FUSE_ROOT_ID;
  mute_ = true;
  for (std::size_t left = interrupts_.exchange(0); left > 0; --left)
    Process({reinterpret_cast<const std::uint8_t*>(&any), sizeof(any)});
}

void Server::Impl::Process(ByteView request) {
  request_ = request;
  if (reinterpret_cast<const fuse_in_header*>(request.data())->opcode == FUSE_INTERRUPT)
    ++interrupts_;
  const fuse_buf buffer{
      .size = request.size(), .mem = const_cast<std::uint8_t*>(request.data()), .fd = -1};
  fuse_session_process_buf(session_, &buffer);
}

void Server::Impl::Run(std::size_t number) {
  Worker own{number, content_.NewReader(), {}};
  worker_ = &own;
  const std::span<std::uint8_t> buffer = requests_.buffer(number);
  fuse_buf received{.size = buffer.size(), .mem = buffer.data(), .fd = -1};
  while (!stopping_) {
    const int length = fuse_session_receive_buf(session_, &received);
    if (length == -EINTR) continue;
    if (length <= 0) break;  // the mount is gone
    Process(buffer.first(static_cast<std::size_t>(length)));
    if (!stopping_) requests_.ClearBuffer(number);
  }
  worker_ = nullptr;
  --running_;
}

ssize_t Server::Impl::Receive(int fd, void* to, size_t size, void* /*self*/) {
  return ::read(fd, to, size);
}

ssize_t Server::Impl::Send(int fd, iovec* parts, int count, void* self) {
  if (!static_cast<Impl*>(self)->mute_) return ::writev(fd, parts, count);
  ssize_t all = 0;
  for (int i = 0; i < count; ++i) all += static_cast<ssize_t>(parts[i].iov_len);
  return all;
}

void Server::Impl::ForgetPages() {
  for (std::size_t word = 0; word < read_.size(); ++word) {
    std::uint64_t bits = read_[word].exchange(0);
    for (std::size_t bit = 0; bits != 0; ++bit, bits >>= 1)
      if ((bits & 1) != 0) {
        const FileTree::Node node = tree_.NodeOf(static_cast<std::uint32_t>(word * 64 + bit));
        fuse_lowlevel_notify_inval_inode(session_, InodeOf(node), 0, 0);
      }
  }
}

// ---- requests

const fuse_lowlevel_ops& Server::Impl::Operations() {
  static const fuse_lowlevel_ops operations = [] {
    fuse_lowlevel_ops ops{};
    ops.init = [](void*, fuse_conn_info* about) {
      // Not FUSE_CAP_ASYNC_DIO: who waits for a direct read of that kind cannot be killed.
      about->want = FUSE_CAP_ASYNC_READ | FUSE_CAP_PARALLEL_DIROPS | FUSE_CAP_READDIRPLUS |
                    FUSE_CAP_NO_OPEN_SUPPORT | FUSE_CAP_NO_OPENDIR_SUPPORT;
      about->want &= about->capable;
      about->max_read = kMaxReadBytes;
      about->max_write = kMaxReadBytes;  // libfuse takes the most pages of a request from it
      about->max_readahead = kMaxReadBytes;
      about->max_background = kBackground;
      about->congestion_threshold = kCongestion;
    };
    ops.lookup = [](fuse_req_t r, fuse_ino_t parent, const char* name) {
      Of(r).Lookup(r, parent, name);
    };
    ops.getattr = [](fuse_req_t r, fuse_ino_t inode, fuse_file_info*) {
      const Impl& self = Of(r);
      if (!self.Known(inode)) return void(fuse_reply_err(r, ESTALE));
      const struct stat attributes = self.StatOf(NodeOf(inode));
      fuse_reply_attr(r, &attributes, kForever);
    };
    ops.open = [](fuse_req_t r, fuse_ino_t, fuse_file_info*) { fuse_reply_err(r, ENOSYS); };
    ops.opendir = ops.open;
    ops.read = [](fuse_req_t r, fuse_ino_t inode, size_t size, off_t offset, fuse_file_info*) {
      Of(r).Read(r, inode, size, offset);
    };
    ops.readdir = [](fuse_req_t r, fuse_ino_t inode, size_t size, off_t offset, fuse_file_info*) {
      Of(r).List(r, inode, size, offset, false);
    };
    ops.readdirplus = [](fuse_req_t r, fuse_ino_t inode, size_t size, off_t offset,
                         fuse_file_info*) { Of(r).List(r, inode, size, offset, true); };
    ops.statfs = [](fuse_req_t r, fuse_ino_t) { Of(r).StatFileSystem(r); };
    return ops;
  }();
  return operations;
}

struct stat Server::Impl::StatOf(FileTree::Node node) const {
  const FileTree::Attributes about = tree_.Of(node);
  const std::int64_t ms = about.mtime.time_since_epoch().count();
  const std::int64_t seconds = ms >= 0 ? ms / 1000 : (ms - 999) / 1000;
  struct stat out{};
  out.st_ino = InodeOf(node);
  out.st_mode = (about.directory ? S_IFDIR : S_IFREG) | about.mode;
  out.st_nlink = about.links;
  out.st_size = about.size_bytes;
  out.st_blocks = (about.size_bytes + 511) / 512;
  out.st_blksize = kBlockBytes;
  out.st_mtim = out.st_atim = out.st_ctim = {seconds, (ms - seconds * 1000) * 1'000'000};
  return out;
}

fuse_entry_param Server::Impl::EntryOf(FileTree::Node node) const {
  fuse_entry_param entry{};
  entry.ino = InodeOf(node);
  entry.generation = 1;
  entry.attr = StatOf(node);
  entry.attr_timeout = entry.entry_timeout = kForever;
  return entry;
}

void Server::Impl::Lookup(fuse_req_t request, fuse_ino_t parent, const char* name) {
  if (!Known(parent) || !tree_.IsDirectory(NodeOf(parent))) {
    fuse_reply_err(request, ESTALE);
    return;
  }
  const auto found = tree_.Find(NodeOf(parent), name);
  fuse_entry_param entry{};
  entry.entry_timeout = kForever;  // a name that is not there is remembered, too
  if (found) entry = EntryOf(*found);
  fuse_reply_entry(request, &entry);
}

// Offsets: 1 is after ".", 2 after "..", 3 after the first child.
void Server::Impl::List(fuse_req_t request, fuse_ino_t inode, std::size_t size, off_t offset,
                        bool plus) {
  if (!Known(inode) || !tree_.IsDirectory(NodeOf(inode))) {
    fuse_reply_err(request, ENOTDIR);
    return;
  }
  const FileTree::Node directory = NodeOf(inode);
  const std::span<const FileTree::Node> children = tree_.Children(directory);
  ByteBuffer& out = worker_->listing;
  out.resize(std::min(size, kMaxReadBytes));
  std::size_t used = 0;
  for (auto at = static_cast<std::size_t>(std::max<off_t>(offset, 0)); at < children.size() + 2;
       ++at) {
    const bool dots = at < 2;
    const FileTree::Node node = at == 0   ? directory
                                : at == 1 ? tree_.Parent(directory)
                                          : children[at - 2];
    const std::string name(at == 0 ? "." : at == 1 ? ".." : tree_.Name(node));
    fuse_entry_param entry = EntryOf(node);
    if (dots) entry.ino = 0;  // no look-up of these is counted
    auto* to = reinterpret_cast<char*>(out.data() + used);
    const auto next = static_cast<off_t>(at + 1);
    const std::size_t bytes =
        plus ? fuse_add_direntry_plus(request, to, out.size() - used, name.c_str(), &entry, next)
             : fuse_add_direntry(request, to, out.size() - used, name.c_str(), &entry.attr, next);
    if (bytes > out.size() - used) break;
    used += bytes;
  }
  fuse_reply_buf(request, reinterpret_cast<const char*>(out.data()), used);
}

void Server::Impl::Read(fuse_req_t request, fuse_ino_t inode, std::size_t size, off_t offset) {
  if (!Known(inode) || tree_.IsDirectory(NodeOf(inode)) || offset < 0) {
    fuse_reply_err(request, EINVAL);
    return;
  }
  const FileTree::Node node = NodeOf(inode);
  const std::int64_t left = tree_.Of(node).size_bytes - offset;
  if (left <= 0 || size == 0) {
    fuse_reply_buf(request, nullptr, 0);
    return;
  }
  const std::uint32_t file = tree_.FileOf(node);
  const auto take = std::min({size, static_cast<std::size_t>(left), kMaxReadBytes});
  std::atomic<std::uint64_t>& word = read_[file / 64];
  const std::uint64_t bit = std::uint64_t{1} << (file % 64);
  if ((word.load(std::memory_order_relaxed) & bit) == 0) word |= bit;
  const auto bytes = worker_->reader->Read(file, offset, take);
  if (!bytes) {
    fuse_reply_err(request, EIO);
  } else if (*bytes) {
    fuse_reply_buf(request, reinterpret_cast<const char*>((*bytes)->data()), (*bytes)->size());
  } else {
    worker_->reader->Done();
    parking_.Add({request, file, offset, take}, request_);
    return;
  }
  worker_->reader->Done();
}

void Server::Impl::StatFileSystem(fuse_req_t request) {
  struct statvfs out{};
  out.f_bsize = out.f_frsize = kBlockBytes;
  out.f_blocks = static_cast<fsblkcnt_t>((tree_.total_bytes() + kBlockBytes - 1) / kBlockBytes);
  out.f_files = tree_.nodes();
  out.f_namemax = 255;
  fuse_reply_statfs(request, &out);
}

// ---- Server

Server::Server(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Server::~Server() = default;

Result<std::unique_ptr<Server>> Server::Start(Connection connection, const std::string& directory,
                                              const FileTree& tree, Content& content,
                                              ServerOptions options) {
  SPW_CHECK(options.threads >= 1 && options.threads <= Requests::kThreads);
  SPW_ASSIGN(Requests requests, Requests::Open(connection.memory));
  auto impl =
      std::make_unique<Impl>(std::move(connection), std::move(requests), tree, content, options);
  SPW_TRY(impl->Start(directory));
  return std::unique_ptr<Server>(new Server(std::move(impl)));
}

void Server::Wake() {
  impl_->Wake();
}

void Server::ForgetPages() {
  impl_->ForgetPages();
}

}  // namespace spillway::fuse
