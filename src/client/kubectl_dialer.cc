#include "client/kubectl_dialer.h"

#include <fmt/format.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstring>

#include "base/json.h"
#include "process/program.h"

namespace spillway::client {
namespace {

constexpr Duration kLook = 100ms;       // how often Ctrl-C is looked at
constexpr Duration kFarewell = 300ms;   // for a kubectl whose connection is closed
constexpr std::size_t kMaxSaid = 2048;  // bytes of what a kubectl says that are shown
constexpr std::size_t kMaxLease = 64 << 10;

// Text of another program in one printable line, without its own "error: ".
std::string OneLine(std::string_view text) {
  std::string line;
  for (const char c : text) {
    const bool printable = static_cast<unsigned char>(c) >= 0x20 && c != 0x7f;
    if (printable && !(c == ' ' && line.ends_with(' ')))
      line += c;
    else if (c == '\n' && !line.empty())
      line += ' ';
  }
  while (line.ends_with(' ')) line.pop_back();
  for (const std::string_view prefix : {"error: ", "Error from server "})
    if (line.starts_with(prefix)) line.erase(0, prefix.size());
  return line;
}

bool Says(const std::string& text, std::string_view word) {
  return text.find(word) != std::string::npos;
}

std::string Contents(const Fd& file) {
  std::string text(kMaxSaid, '\0');
  const ssize_t got = ::pread(file.get(), text.data(), text.size(), 0);
  text.resize(static_cast<std::size_t>(std::max<ssize_t>(got, 0)));
  return OneLine(text);
}

tl::unexpected<Error> Refused(const Error& error) {
  return tl::unexpected<Error>(error);
}

}  // namespace

KubectlDialer::~KubectlDialer() {
  // Their connections are closed, so they end by themselves; what does not is ended.
  for (Connection& connection : connections_) (void)connection.child.Wait(kFarewell);
}

std::string KubectlDialer::Name() const {
  const std::lock_guard lock(mutex_);
  return (leader_.empty() ? "spillwayd" : "pod " + leader_) + " in " + Where();
}

std::string KubectlDialer::Complaint() {
  const std::lock_guard lock(mutex_);
  // The connection may break a moment before its kubectl has said why.
  for (Connection& connection : connections_)
    if (connection.child.Wait(kFarewell))
      if (std::string said = Contents(connection.said); !said.empty()) return said;
  return {};
}

std::string KubectlDialer::Where() const {
  std::string where = "namespace " + options_.ns;
  if (!options_.context.empty()) where += " of context " + options_.context;
  return where;
}

std::vector<std::string> KubectlDialer::Kubectl(const std::vector<std::string>& words) const {
  std::vector<std::string> argv{options_.kubectl};
  if (!options_.kubeconfig.empty()) argv.push_back("--kubeconfig=" + options_.kubeconfig);
  if (!options_.context.empty()) argv.push_back("--context=" + options_.context);
  argv.insert(argv.end(), words.begin(), words.end());
  return argv;
}

Error KubectlDialer::Forbidden(const std::string& said) const {
  return {Code::kDenied,
          fmt::format("you may not talk to spillwayd in {}: it takes get on the Lease {} and on "
                      "pods, and create on pods/exec there, which the Role spillway-user of "
                      "deploy/kubernetes/user-role.yaml gives ({})",
                      Where(), options_.lease, said),
          {}};
}

// A raw request, because kubectl then asks the API server nothing else.
Result<std::string> KubectlDialer::FindLeader() const {
  process::ProgramPlan plan;
  plan.command = {Kubectl({"get", "--raw",
                           fmt::format("/apis/coordination.k8s.io/v1/namespaces/{}/leases/{}",
                                       options_.ns, options_.lease)}),
                  process::EnvironmentWith({}), ""};
  plan.timeout = options_.patience;
  plan.grace = 0ms;
  plan.max_output = kMaxLease;
  std::string text;
  plan.said = [&](std::string_view line) {
    if (text.size() < kMaxSaid) text.append(line) += '\n';
  };
  const auto end = process::RunProgram(plan);
  if (!end && end.error().code == Code::kNotFound)
    return Fail(Code::kUnavailable,
                fmt::format("{} is not on PATH: it carries the connection into the cluster; "
                            "install it, or name spillwayd's socket with --socket",
                            options_.kubectl));
  if (!end) return Refused(end.error());
  const std::string said = OneLine(text);
  if (end->how != process::ProgramEnd::How::kExited)
    return Fail(Code::kUnavailable,
                fmt::format("{} {} while it looked for the Lease {} in {}", options_.kubectl,
                            end->Describe(plan), options_.lease, Where()));
  if (end->status != 0 && Says(said, "(NotFound)"))
    return Fail(Code::kNotFound,
                fmt::format("Spillway is not installed in {}, or has never run there: there is no "
                            "Lease {}; docs/kubernetes.md says how to install it",
                            Where(), options_.lease));
  if (end->status != 0 && Says(said, "(Forbidden)")) return Refused(Forbidden(said));
  if (end->status != 0)
    return Fail(Code::kUnavailable, fmt::format("kubectl does not reach the cluster: {}", said));
  const auto lease = ParseJson(end->output);
  const json::value* spec = lease ? Find(*lease, "spec") : nullptr;
  const std::string holder(spec == nullptr ? "" : StringOr(*spec, "holderIdentity", ""));
  if (holder.empty())
    return Fail(Code::kUnavailable,
                fmt::format("no spillwayd leads at the moment: nobody holds the Lease {} in {}; "
                            "see `kubectl get pods -n {}`",
                            options_.lease, Where(), options_.ns));
  // HOST_NUMBER, and a pod's name has no underscore.
  return holder.substr(0, holder.find('_'));
}

Error KubectlDialer::Explain(const std::string& pod, const std::string& said) const {
  if (Says(said, "(Forbidden)")) return Forbidden(said);
  if (Says(said, "(NotFound)") || Says(said, "not found in pod") || Says(said, "completed pod"))
    return {Code::kUnavailable,
            fmt::format("{}, which leads, is no running pod with a container {} in {}: if it just "
                        "went, try again in some seconds; a spillwayd beside the cluster is "
                        "reached with --socket on its machine ({})",
                        pod, options_.container, Where(), said),
            {}};
  return {Code::kUnavailable,
          fmt::format("pod {} in {} did not connect us to spillwayd: {}", pod, Where(),
                      said.empty() ? "kubectl exec ended without a word" : said),
          {}};
}

Status KubectlDialer::Greet(int fd, Connection& connection, const std::string& pod) const {
  std::string heard;
  const auto deadline = std::chrono::steady_clock::now() + options_.patience;
  while (!heard.ends_with('\n') && heard.size() <= kDialGreeting.size()) {
    const auto left = std::chrono::ceil<Duration>(deadline - std::chrono::steady_clock::now());
    const bool stopped = options_.stop != nullptr && *options_.stop;
    if (left <= 0ms || stopped)
      return Fail(Code::kUnavailable,
                  stopped ? "stopped while connecting"
                          : fmt::format("pod {} in {} did not answer within {}", pod, Where(),
                                        HumanDuration(options_.patience)));
    pollfd entry{fd, POLLIN, 0};
    if (::poll(&entry, 1, static_cast<int>(std::min<Duration>(left, kLook).count())) <= 0) continue;
    char byte = 0;  // one at a time: what follows the line belongs to the connection
    const ssize_t got = ::recv(fd, &byte, 1, 0);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) {
      (void)connection.child.Wait(kFarewell);
      return Refused(Explain(pod, Contents(connection.said)));
    }
    heard += byte;
  }
  if (heard == kDialGreeting) return Ok();
  return Fail(Code::kUnavailable,
              fmt::format("pod {} in {} speaks another language: it said \"{}\"; are the versions "
                          "of spillway here and there the same?",
                          pod, Where(), OneLine(heard)));
}

Result<Fd> KubectlDialer::Open(const std::string& pod) {
  std::array<int, 2> ends{};
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) != 0)
    return Fail(Code::kInternal, fmt::format("no socket left: {}", std::strerror(errno)));
  Fd ours(ends[0]), theirs(ends[1]);
  Fd said(::memfd_create("kubectl", MFD_CLOEXEC));
  if (!said) return Fail(Code::kInternal, "no descriptor left");
  SPW_ASSIGN(process::Child child,
             process::Child::Start({Kubectl({"exec", "-i", "-n", options_.ns, pod, "-c",
                                             options_.container, "--", "spillway", "dial-stdio"}),
                                    process::EnvironmentWith({}), ""},
                                   {theirs.get(), theirs.get(), said.get()}));
  theirs.Close();
  Connection connection{std::move(child), std::move(said)};
  SPW_TRY(Greet(ours.get(), connection, pod));
  connections_.push_back(std::move(connection));
  return ours;
}

Result<Fd> KubectlDialer::Dial() {
  const std::lock_guard lock(mutex_);
  std::erase_if(connections_, [](Connection& c) { return c.child.Wait(0ms).has_value(); });
  if (leader_.empty()) {
    SPW_ASSIGN(leader_, FindLeader());
  }
  auto made = Open(leader_);
  if (made || made.error().code == Code::kDenied) return made;
  // The leader may have changed since; a leader that is still the same is not asked twice.
  const auto now = FindLeader();
  if (!now || *now == leader_) return made;
  leader_ = *now;
  return Open(leader_);
}

}  // namespace spillway::client
