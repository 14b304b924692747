#include "csi/plugin.h"

#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <filesystem>

#include "csi/services.h"

namespace spillway::csi {
namespace {

constexpr int kMaxMessageBytes = 64 * 1024;
// Beyond the calls of the handler: polling, and calls that are answered at once.
constexpr int kMoreThreads = 16;
constexpr auto kShutdownGrace = std::chrono::seconds(1);

constexpr std::size_t kMaxSocketBytes = sizeof(sockaddr_un::sun_path) - 1;

// 0: somebody answers at the socket; else why not. `path` has at most kMaxSocketBytes.
int Knock(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  path.copy(address.sun_path, kMaxSocketBytes);
  const int probe = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const int failed =
      ::connect(probe, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0 ? 0
                                                                                         : errno;
  ::close(probe);
  return failed;
}

// Makes room for a socket that nobody serves any more.
Status ClearSocket(const std::string& path) {
  if (path.size() > kMaxSocketBytes)
    return Fail(Code::kInvalid, fmt::format("'{}' is too long for a socket: at most {} bytes", path,
                                            kMaxSocketBytes));
  std::error_code error;
  std::filesystem::create_directories(std::filesystem::path(path).parent_path(), error);
  if (error)
    return Fail(Code::kInternal,
                fmt::format("cannot make the directory of '{}': {}", path, error.message()));
  const int why = Knock(path);
  if (why == 0)
    return Fail(Code::kConflict, fmt::format("another process serves '{}': stop it first", path));
  if (why != ENOENT && why != ECONNREFUSED)
    return Fail(Code::kInternal, fmt::format("'{}' is in the way: {}", path, std::strerror(why)));
  ::unlink(path.c_str());
  return Ok();
}

}  // namespace

struct Plugin::Impl {
  Impl(const PluginOptions& plugin_options, VolumeHandler& handler)
      : options(plugin_options),
        identity(options.driver),
        node(options, handler),
        registration(options.driver, CsiSocket(options)) {}

  const PluginOptions options;
  IdentityService identity;
  NodeService node;
  RegistrationService registration;
  std::unique_ptr<grpc::Server> server;  // last: its threads use everything above
};

bool Plugin::Answers(const PluginOptions& options) {
  const std::string path = CsiSocket(options);
  return path.size() <= kMaxSocketBytes && Knock(path) == 0;
}

std::string Plugin::CsiSocket(const PluginOptions& options) {
  return fmt::format("{}/plugins/{}/csi.sock", options.kubelet_directory, options.driver);
}

std::string Plugin::RegistrationSocket(const PluginOptions& options) {
  return fmt::format("{}/plugins_registry/{}-reg.sock", options.kubelet_directory, options.driver);
}

Plugin::Plugin(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

Plugin::~Plugin() {
  Stop();
}

Result<std::unique_ptr<Plugin>> Plugin::Start(PluginOptions options, VolumeHandler& handler) {
  auto impl = std::make_unique<Impl>(options, handler);
  grpc::ResourceQuota quota("csi");
  quota.SetMaxThreads(options.max_calls + kMoreThreads);
  grpc::ServerBuilder builder;
  builder.SetResourceQuota(quota);
  builder.SetMaxReceiveMessageSize(kMaxMessageBytes);
  builder.SetSyncServerOption(grpc::ServerBuilder::NUM_CQS, 1);
  // The registration's socket comes last: when the kubelet sees it, everything else is there.
  for (const std::string& path : {CsiSocket(options), RegistrationSocket(options)}) {
    SPW_TRY(ClearSocket(path));
    builder.AddListeningPort("unix:" + path, grpc::InsecureServerCredentials());
  }
  builder.RegisterService(&impl->identity);
  builder.RegisterService(&impl->node);
  builder.RegisterService(&impl->registration);
  impl->server = builder.BuildAndStart();
  if (impl->server == nullptr)
    return Fail(Code::kInternal, fmt::format("cannot serve the volume plug-in below '{}'",
                                             options.kubelet_directory));
  for (const std::string& path : {CsiSocket(options), RegistrationSocket(options)})
    ::chmod(path.c_str(), 0600);
  return std::unique_ptr<Plugin>(new Plugin(std::move(impl)));
}

void Plugin::Stop() {
  if (impl_->server == nullptr) return;
  ::unlink(RegistrationSocket(impl_->options).c_str());
  impl_->server->Shutdown(std::chrono::system_clock::now() + kShutdownGrace);
  impl_->server->Wait();
  impl_->server.reset();
  ::unlink(CsiSocket(impl_->options).c_str());
}

bool Plugin::registered() const {
  return impl_->registration.registered();
}

}  // namespace spillway::csi
