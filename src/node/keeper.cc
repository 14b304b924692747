#include "node/keeper.h"

#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <optional>

#include "base/log.h"
#include "data/secret.h"
#include "node/stopper.h"

namespace spillway::node {
namespace {

// A message: what, length of the name (2 bytes, low first), name, bytes; descriptors beside it.
constexpr char kPut = 'p', kDrop = 'd', kDropAll = 'a', kEnd = 'e';
constexpr std::size_t kHeadBytes = 3, kMostName = 4096;
constexpr std::size_t kMessageBytes = kHeadBytes + kMostName + Kept::kMostBytes;

struct Message {
  char what = 0;
  std::string name;
  KeptItem item;
};

bool SendMessage(int socket, char what, std::string_view name, ByteView bytes,
                 const std::vector<int>& fds) {
  std::array<std::uint8_t, kHeadBytes> head = {static_cast<std::uint8_t>(what),
                                               static_cast<std::uint8_t>(name.size() & 0xFF),
                                               static_cast<std::uint8_t>(name.size() >> 8)};
  std::array<iovec, 3> parts = {{{head.data(), head.size()},
                                 {const_cast<char*>(name.data()), name.size()},
                                 {const_cast<std::uint8_t*>(bytes.data()), bytes.size()}}};
  msghdr message{};
  message.msg_iov = parts.data();
  message.msg_iovlen = parts.size();
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int) * Kept::kMostFds)> control{};
  if (!fds.empty()) {
    message.msg_control = control.data();
    message.msg_controllen = CMSG_SPACE(sizeof(int) * fds.size());
    cmsghdr* rights = CMSG_FIRSTHDR(&message);
    rights->cmsg_level = SOL_SOCKET;
    rights->cmsg_type = SCM_RIGHTS;
    rights->cmsg_len = CMSG_LEN(sizeof(int) * fds.size());
    std::memcpy(CMSG_DATA(rights), fds.data(), sizeof(int) * fds.size());
  }
  ssize_t sent = 0;
  do {
    sent = ::sendmsg(socket, &message, MSG_NOSIGNAL);
  } while (sent < 0 && errno == EINTR);
  return sent >= 0;
}

// Nothing at the other's end, or if the message is none of ours.
std::optional<Message> ReceiveMessage(int socket) {
  ByteBuffer bytes(kMessageBytes);
  const data::CleanseGuard guard(bytes);
  iovec part = {bytes.data(), bytes.size()};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int) * Kept::kMostFds)> control{};
  message.msg_control = control.data();
  message.msg_controllen = control.size();
  ssize_t got = 0;
  do {
    got = ::recvmsg(socket, &message, MSG_CMSG_CLOEXEC);
  } while (got < 0 && errno == EINTR);
  Message out;
  if (cmsghdr* rights = got < 0 ? nullptr : CMSG_FIRSTHDR(&message); rights != nullptr)
    for (std::size_t at = CMSG_LEN(0); at + sizeof(int) <= rights->cmsg_len; at += sizeof(int)) {
      int fd = -1;
      std::memcpy(&fd, reinterpret_cast<const char*>(rights) + at, sizeof fd);
      out.item.fds.emplace_back(fd);
    }
  const auto size = static_cast<std::size_t>(std::max<ssize_t>(got, 0));
  if (size < kHeadBytes) return std::nullopt;
  const std::size_t name = bytes[1] + (std::size_t{bytes[2]} << 8);
  if (kHeadBytes + name > size) return std::nullopt;
  out.what = static_cast<char>(bytes[0]);
  out.name = AsText(std::span(bytes).subspan(kHeadBytes, name));
  out.item.bytes.assign(bytes.begin() + static_cast<std::ptrdiff_t>(kHeadBytes + name),
                        bytes.begin() + static_cast<std::ptrdiff_t>(size));
  return out;
}

sigset_t Watched() {
  sigset_t signals;
  ::sigemptyset(&signals);
  for (const int signal : {SIGTERM, SIGINT, SIGHUP, SIGCHLD}) ::sigaddset(&signals, signal);
  return signals;
}

class Keeper {
 public:
  explicit Keeper(const std::function<int(Kept&)>& agent) : agent_(agent) {}
  ~Keeper() {
    while (!items_.empty()) Forget(items_.begin());
  }

  // One life of the agent: the status of waitpid(2).
  int Live() {
    std::array<int, 2> pair{};
    SPW_CHECK(::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair.data()) == 0);
    Fd ours(pair[0]), theirs(pair[1]);
    const sigset_t watched = Watched();
    sigset_t before;
    ::sigprocmask(SIG_BLOCK, &watched, &before);
    const Fd signals(::signalfd(-1, &watched, SFD_CLOEXEC | SFD_NONBLOCK));
    const pid_t keeper = ::getpid(), child = ::fork();
    SPW_CHECK(child >= 0 && signals.valid(), "a process and a descriptor more");
    if (child == 0) {
      ours.Close();
      ::sigprocmask(SIG_SETMASK, &before, nullptr);
      ::prctl(PR_SET_PDEATHSIG, SIGTERM);
      if (::getppid() != keeper) ::_exit(1);
      Be(std::move(theirs));
    }
    theirs.Close();
    for (const auto& [name, item] : items_) {
      std::vector<int> fds;
      for (const Fd& fd : item.fds) fds.push_back(fd.get());
      SendMessage(ours.get(), kPut, name, item.bytes, fds);
    }
    SendMessage(ours.get(), kEnd, "", {}, {});
    return Watch(ours, signals, child);
  }
  bool empty() const { return items_.empty(); }

 private:
  // The child.
  [[noreturn]] void Be(Fd socket) {
    items_.clear();  // the copies of fork(2)
    KeptItems left;
    while (auto message = ReceiveMessage(socket.get())) {
      if (message->what != kPut) break;
      left[message->name] = std::move(message->item);
    }
    Kept kept(std::move(socket), std::move(left));
    std::exit(agent_(kept));
  }

  int Watch(Fd& socket, const Fd& signals, pid_t child) {
    int status = 0;
    while (true) {
      std::array<pollfd, 2> fds = {{{socket.get(), POLLIN, 0}, {signals.get(), POLLIN, 0}}};
      ::poll(fds.data(), fds.size(), -1);
      if (fds[0].revents != 0 && !Take(socket)) socket.Close();
      signalfd_siginfo info;
      while (::read(signals.get(), &info, sizeof info) == sizeof info)
        if (info.ssi_signo != SIGCHLD) ::kill(child, static_cast<int>(info.ssi_signo));
      if (::waitpid(child, &status, WNOHANG) != child) continue;
      while (socket && Take(socket)) {
      }
      return status;
    }
  }

  // False at the other's end.
  bool Take(const Fd& socket) {
    auto message = ReceiveMessage(socket.get());
    if (!message) return false;
    if (message->what == kDropAll)
      while (!items_.empty()) Forget(items_.begin());
    if (message->what != kPut && message->what != kDrop) return true;
    if (const auto it = items_.find(message->name); it != items_.end()) Forget(it);
    if (message->what == kPut && items_.size() < Kept::kMostItems) {
      KeptItem& item = items_[message->name] = std::move(message->item);
      ::mlock(item.bytes.data(), item.bytes.size());
    }
    return true;
  }
  void Forget(KeptItems::iterator it) {
    data::Cleanse(it->second.bytes);
    items_.erase(it);
  }

  const std::function<int(Kept&)>& agent_;
  KeptItems items_;
};

}  // namespace

void Kept::Send(char what, std::string_view name, ByteView bytes, const std::vector<int>& fds) {
  SPW_CHECK(name.size() <= kMostName && bytes.size() <= kMostBytes && fds.size() <= kMostFds,
            "what is kept is small");
  const std::lock_guard lock(mutex_);
  if (!SendMessage(socket_.get(), what, name, bytes, fds))
    log::Warn("the keeper takes nothing", {{"why", std::strerror(errno)}});
}

void Kept::Put(std::string_view name, ByteView bytes, const std::vector<int>& fds) {
  Send(kPut, name, bytes, fds);
}

void Kept::Drop(std::string_view name) {
  Send(kDrop, name, {}, {});
}

void Kept::DropAll() {
  Send(kDropAll, "", {}, {});
}

int RunKept(const std::function<int(Kept&)>& agent, const std::function<void()>& give_up,
            KeeperOptions options) {
  Keeper keeper(agent);
  std::deque<Duration> restarts;
  while (true) {
    const int status = keeper.Live();
    if (WIFEXITED(status)) return WEXITSTATUS(status);
    const Duration now = BootNow();
    while (!restarts.empty() && now - restarts.front() > options.window) restarts.pop_front();
    const bool again = !keeper.empty() && std::ssize(restarts) < options.most_restarts;
    log::Error("the agent was killed", {{"signal", WTERMSIG(status)}, {"follows", again}});
    if (!again) break;
    restarts.push_back(now);
  }
  give_up();
  return 1;
}

}  // namespace spillway::node
