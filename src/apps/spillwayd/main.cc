// spillwayd: the daemon of the embedded mode. Wiring only: here the ports meet their adapters.
#include <fcntl.h>
#include <fmt/format.h>
#include <malloc.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <condition_variable>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <mutex>
#include <optional>
#include <stop_token>
#include <thread>

#include "base/encoding.h"
#include "base/log.h"
#include "base/quantity.h"
#include "cli/paths.h"
#include "clouds/exec/exec_cloud.h"
#include "clouds/openstack/openstack_cloud.h"
#include "clouds/simulated/simulated_cloud.h"
#include "daemon/daemon.h"
#include "data/aead.h"
#include "embedded/embedded_cluster.h"
#include "key_service.h"
#include "kubernetes_mode.h"
#include "listen.h"
#include "net/http_server.h"
#include "runtime/pod_init.h"
#include "s3/access.h"
#include "server/probes.h"
#include "server/router.h"
#include "tunnel_mode.h"

namespace spillway {
namespace {

namespace fs = std::filesystem;

constexpr Duration kStatePatience{std::chrono::minutes(1)};
constexpr std::int64_t kLeastRunBandwidth = 64 << 10;

struct Flags {
  std::string state, data_root, results_root, evidence, catalog, socket, node_program,
      exec_directory, openstack_clouds, s3_credentials, s3_ca_file, log_file, listen, token_file,
      metrics_listen, phase_hook;
  std::string cluster_id = "site", run_bandwidth;
  int time_scale = 1;
  bool inspect = false, verbose = false;
  KubernetesFlags kubernetes;
  TunnelFlags tunnel;
  KeyServiceFlags key_service;
};

fs::path ProgramDirectory() {
  return fs::read_symlink("/proc/self/exe").parent_path();
}

std::optional<std::string> Variable(const std::string& name) {
  const char* value = std::getenv(name.c_str());
  return value == nullptr ? std::nullopt : std::optional<std::string>(value);
}

// The adapters by the type of their CloudProvider. Simulated accounts are remembered, to let the
// inspection find a machine's disk.
class Clouds {
 public:
  explicit Clouds(const catalog::Catalog& catalog) : catalog_(catalog) {}

  Result<daemon::OpenedCloud> Open(const json::value& provider, const Flags& flags,
                                   const Clock& clock, daemon::Daemon** daemon) {
    const std::string type(StringOr(provider.at("spec"), "type", ""));
    if (type == "simulated") return OpenSimulated(provider, flags, clock, daemon);
    if (type == "exec") {
      SPW_ASSIGN(exec::ExecOptions options,
                 exec::ExecOptionsFrom(provider, catalog_, flags.exec_directory, Variable));
      return daemon::OpenedCloud{
          std::make_shared<exec::ExecCloud>(std::move(options), clock), {}, false};
    }
    if (type == "openstack") {
      SPW_ASSIGN(openstack::OpenStackOptions options,
                 openstack::OpenStackOptionsFrom(provider, catalog_, flags.openstack_clouds));
      SPW_ASSIGN(const bool tunnelled, Tunnelled(provider, flags));
      openstack::Send send = openstack::SendOver(options.cloud);
      return daemon::OpenedCloud{
          std::make_shared<openstack::OpenStackCloud>(std::move(options), std::move(send), clock),
          {},
          tunnelled};
    }
    return Fail(Code::kInvalid,
                fmt::format("CloudProvider {}: there is no adapter for type \"{}\" in this build",
                            StringOr(provider.at("metadata"), "name", ""), type));
  }

  std::optional<std::string> DiskOf(const std::string& node) const {
    const std::lock_guard lock(mutex_);
    for (const auto& weak : clouds_)
      if (const auto cloud = weak.lock())
        for (const simulated::MachineView& machine : cloud->Machines())
          if (machine.name == node) return machine.disk.string();
    return std::nullopt;
  }

 private:
  // spec.network; machines of a real cloud come through the tunnel unless it says otherwise.
  static Result<bool> Tunnelled(const json::value& provider, const Flags& flags) {
    if (StringOr(provider.at("spec"), "network", "wireguard") == "none") return false;
    if (flags.tunnel.on()) return true;
    return Fail(
        Code::kInvalid,
        fmt::format("CloudProvider {}: spec.network is wireguard (also when it is missing), "
                    "but spillwayd runs without --tunnel-endpoint: set it, or "
                    "spec.network to none where a VPN leads to the site",
                    StringOr(provider.at("metadata"), "name", "")));
  }

  Result<daemon::OpenedCloud> OpenSimulated(const json::value& provider, const Flags& flags,
                                            const Clock& clock, daemon::Daemon** daemon) {
    const std::string name(StringOr(provider.at("metadata"), "name", ""));
    simulated::SimulatedCloudOptions options;
    SPW_ASSIGN(options.cloud, simulated::CloudOptionsFrom(provider, catalog_));
    options.directory = fs::path(flags.state) / "clouds" / name;
    options.program = flags.node_program;
    if (flags.inspect)
      options.keep_disk = [daemon](const std::string& node, const fs::path& disk) {
        if (*daemon != nullptr) (*daemon)->InspectDisk(node, true, disk.string());
      };
    SPW_ASSIGN(std::unique_ptr<simulated::SimulatedCloud> opened,
               simulated::SimulatedCloud::Open(std::move(options), clock));
    const std::shared_ptr<simulated::SimulatedCloud> cloud = std::move(opened);
    const std::lock_guard lock(mutex_);
    clouds_.push_back(cloud);
    return daemon::OpenedCloud{cloud, [cloud] { return cloud->Tick(); }, false};
  }

  const catalog::Catalog& catalog_;
  mutable std::mutex mutex_;
  std::vector<std::weak_ptr<simulated::SimulatedCloud>> clouds_;
};

Status RedirectLog(const std::string& file) {
  if (file.empty()) return Ok();
  const int fd = open(file.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  if (fd < 0 || dup2(fd, STDERR_FILENO) < 0)
    return Fail(Code::kInvalid, fmt::format("--log {}: cannot be written", file));
  close(fd);
  return Ok();
}

Result<net::ServerOptions> ServerOptionsFrom(const Flags& flags) {
  net::ServerOptions options;
  options.unix_path = flags.socket;
  options.body_bytes = 8 << 20;
  if (flags.listen.empty()) return options;
  if (flags.token_file.empty())
    return Fail(Code::kInvalid,
                "--listen needs HOST:PORT of the loopback and --token-file FILE that holds the "
                "bearer token");
  SPW_TRY(ReadAddress("--listen", flags.listen, &options));
  std::ifstream file(flags.token_file);
  std::getline(file, options.token);
  if (options.token.size() < 16)
    return Fail(
        Code::kInvalid,
        fmt::format("--token-file {}: the first line must hold a token of at least 16 characters",
                    flags.token_file));
  return options;
}

// Runs "PROGRAM NODE PHASE FAILURE" and waits for it.
void RunPhaseHook(const std::string& program, const BurstNode& node) {
  const std::string phase(Name(node.phase)), failure(Name(node.failure));
  const pid_t child = fork();
  if (child == 0) {
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, nullptr);
    execl(program.c_str(), program.c_str(), node.name.c_str(), phase.c_str(), failure.c_str(),
          nullptr);
    _exit(127);
  }
  int status = 0;
  while (child > 0 && waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  if (child < 0 || status != 0)
    log::Warn("the phase hook failed", {{"program", program}, {"node", node.name}});
}

void AddTunnelOptions(CLI::App& app, TunnelFlags& tunnel) {
  app.add_option("--tunnel-endpoint", tunnel.endpoint,
                 "HOST:PORT (UDP) at which rented machines reach this host: opens the WireGuard "
                 "tunnel that they dial home through. With --kubernetes; needs CAP_NET_ADMIN");
  app.add_option("--tunnel-port", tunnel.port, "UDP port to listen on (default: the endpoint's)")
      ->check(CLI::Range(1, 65535));
  app.add_option("--tunnel-network", tunnel.network, "addresses inside the tunnel, /12 to /22")
      ->capture_default_str();
  app.add_option("--tunnel-pods", tunnel.pods,
                 "addresses of the pods of rented machines, /12 to /20, a /24 each; empty where a "
                 "DaemonSet of the cluster gives them theirs")
      ->capture_default_str();
  app.add_option("--tunnel-interface", tunnel.interface, "name of the network interface")
      ->capture_default_str();
  app.add_option(
      "--tunnel-allow", tunnel.allow,
      "NETWORK or NETWORK:PORT (TCP) of the site that rented machines and their pods may "
      "reach besides the API server and the door; repeatable");
  app.add_option("--tunnel-overlay", tunnel.overlay,
                 "NETWORK:PORT (UDP): the cluster's own pod network reaches to rented machines, "
                 "between nodes of the site in NETWORK and them (flannel's VXLAN: 8472). With "
                 "--tunnel-pods \"\"; repeatable");
  app.add_option("--door-port", tunnel.door_port, "TCP port of the site's door in the tunnel")
      ->capture_default_str()
      ->check(CLI::Range(1, 65535));
  app.add_option("--machine-files", tunnel.machine_files,
                 "directory of what bare machines get from the site (scripts/machine-files)");
  app.add_option("--cluster-dns", tunnel.cluster_dns,
                 "address of the cluster's DNS, for the kubelets of rented machines; repeatable");
  app.add_option("--cluster-domain", tunnel.cluster_domain, "the cluster's DNS domain")
      ->capture_default_str();
}

// SIGTERM and SIGINT as a stop token. Made before other threads are: it blocks both in all of them.
class StopSignal {
 public:
  StopSignal() {
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    pthread_sigmask(SIG_BLOCK, &signals, nullptr);
    std::thread([signals, source = source_]() mutable {
      int signal = 0;
      sigwait(&signals, &signal);
      log::Info("stopping", {{"signal", signal}});
      source.request_stop();
    }).detach();  // it ends with the process
  }
  std::stop_token token() const { return source_.get_token(); }
  void Wait() const {
    std::mutex mutex;
    std::condition_variable_any changed;
    std::unique_lock lock(mutex);
    changed.wait(lock, token(), [] { return false; });
  }

 private:
  std::stop_source source_;
};

// Another replica may act any moment now. What was begun is finished by whoever leads: everything
// is written before it is done.
void EndAtOnce() {
  log::Error("leadership is lost; this replica ends at once");
  std::_Exit(3);
}

Status RunDaemon(Flags flags) {
  SPW_TRY(RedirectLog(flags.log_file));
  if (flags.verbose) log::SetLevel(log::Level::kDebug);
  if (const auto cipher = Variable("SPILLWAY_CIPHER"))
    if (auto chosen = data::UseAeadBackend(*cipher); !chosen)
      return Fail(chosen.error().In("SPILLWAY_CIPHER"));
  ::signal(SIGPIPE, SIG_IGN);
  umask(077);

  const StopSignal stop;
  std::unique_ptr<KubernetesMode> kubernetes;
  if (flags.kubernetes.on) {
    SPW_ASSIGN(kubernetes, KubernetesMode::Connect(flags.kubernetes));
  }
  server::Probes probes(kubernetes == nullptr ? "embedded" : "kubernetes", [&] {
    return kubernetes == nullptr ? std::optional(Duration::max()) : kubernetes->Right();
  });
  SPW_ASSIGN(const std::unique_ptr<net::HttpServer> probe_server,
             StartProbes(flags.metrics_listen, probes));
  if (kubernetes != nullptr) {
    log::Info("waiting to lead", {{"lease", flags.kubernetes.lease}});
    // The state belongs to the leader, so it is opened afterwards.
    if (!kubernetes->Lead(stop.token(), EndAtOnce)) return Ok();
  }
  if (flags.tunnel.on() && kubernetes == nullptr)
    return Fail(Code::kInvalid,
                "--tunnel-endpoint needs --kubernetes: the embedded mode has no "
                "cluster that a machine could join");
  const SystemClock clock(flags.time_scale);
  SPW_ASSIGN(const catalog::Catalog catalog, catalog::Catalog::Load(flags.catalog));
  Clouds clouds(catalog);
  daemon::Daemon* running = nullptr;
  daemon::DaemonOptions options;
  options.state_dir = flags.state;
  options.data_root = flags.data_root;
  options.results_root = flags.results_root;
  options.evidence_dir = flags.evidence;
  options.catalog_dir = flags.catalog;
  options.cluster_id = flags.cluster_id;
  options.inspect_rented_disks = flags.inspect;
  SPW_ASSIGN(options.key_service, OpenKeyService(flags.key_service, flags.cluster_id));
  if (!flags.run_bandwidth.empty()) {
    auto bytes = ParseWhole(flags.run_bandwidth);
    if (bytes && *bytes < kLeastRunBandwidth)
      bytes = Fail(Code::kInvalid, fmt::format("\"{}\" is too little: at least 64Ki, or leave it "
                                               "away for no limit",
                                               flags.run_bandwidth));
    if (!bytes) return Fail(bytes.error().In("--run-bandwidth"));
    options.run_bytes_per_s = *bytes;
  }
  options.open_cloud = [&](const json::value& provider) {
    return clouds.Open(provider, flags, running->clock(), &running);
  };
  const SystemClock real;
  std::optional<s3::Access> s3;
  if (!flags.s3_credentials.empty()) {
    s3.emplace(s3::AccessOptions{flags.s3_credentials, flags.s3_ca_file}, real);
    SPW_TRY(s3->Check());
    options.s3 = &*s3;
  } else if (!flags.s3_ca_file.empty()) {
    return Fail(Code::kInvalid, "--s3-ca-file: needs --s3-credentials");
  }
  options.open_cluster = [&flags, access = options.s3](daemon::ClusterContext context) {
    return embedded::EmbeddedCluster::Open(std::move(context),
                                           {flags.data_root, flags.results_root, "", access});
  };
  if (kubernetes != nullptr) {
    options.open_cluster = kubernetes->Factory();
    options.state_patience = kStatePatience;
    if (flags.tunnel.on())
      SPW_TRY(UseTunnel(flags.tunnel, kubernetes->node_server(), kubernetes->version(), options));
  }
  options.disk_of = [&](const std::string& node) { return clouds.DiskOf(node); };
  if (!flags.phase_hook.empty())
    options.on_stored = [program = flags.phase_hook](const BurstNode& node) {
      RunPhaseHook(program, node);
    };
  SPW_ASSIGN(const std::unique_ptr<daemon::Daemon> daemon,
             daemon::Daemon::Open(std::move(options), clock));
  running = daemon.get();

  std::error_code error;
  fs::create_directories(fs::path(flags.socket).parent_path(), error);
  if (error)
    return Fail(Code::kInvalid, fmt::format("--socket {}: {}", flags.socket, error.message()));
  SPW_ASSIGN(net::ServerOptions server_options, ServerOptionsFrom(flags));
  net::Router router = server::MakeRouter(*daemon);
  probes.AddMetrics(&router);
  net::HttpServer server(std::move(server_options), std::move(router));
  SPW_TRY(daemon->Start());
  SPW_TRY(server.Start());
  probes.Serve(daemon.get());
  log::Info("ready",
            {{"socket", flags.socket}, {"state", flags.state}, {"timeScale", flags.time_scale}});
  stop.Wait();
  // Nothing new is taken while the daemon ends.
  server.Stop();
  probes.Serve(nullptr);
  if (s3) s3->Stop();
  daemon->Stop();
  if (kubernetes != nullptr) kubernetes->StepDown();
  return Ok();
}

// A connection of the door and the file it is served from: the usual 1024 would be too few.
void AllowDescriptors() {
  constexpr rlim_t kWanted = 8192;
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= kWanted) return;
  limit.rlim_cur = std::min(limit.rlim_max, kWanted);
  if (::setrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur < kWanted)
    log::Warn("few descriptors: not many machines can stage at one time",
              {{"limit", static_cast<std::int64_t>(limit.rlim_cur)}});
}

int Main(int argc, char** argv) {
  log::SetProgram("spillwayd");
  AllowDescriptors();
  Flags flags;
  CLI::App app(
      "Spillway's daemon: an embedded site with everything in one process, or with --kubernetes "
      "the "
      "cluster of a kubeconfig");
  app.add_option("--state", flags.state, "state directory")
      ->default_str(cli::DefaultStateDir(cli::RealSurroundings()));
  app.add_option("--data-root", flags.data_root,
                 "Dataset directories are relative to it (default STATE/data)");
  app.add_option("--results-root", flags.results_root,
                 "results places are relative to it (default STATE/results)");
  app.add_option("--evidence", flags.evidence,
                 "certificates and receipts (default STATE/evidence)");
  app.add_option("--catalog", flags.catalog, "directory of provider facts and prices");
  app.add_option("--socket", flags.socket,
                 "Unix socket of the API (default: where the spillway command looks for it)");
  app.add_flag("--kubernetes", flags.kubernetes.on,
               "serve the cluster of the kubeconfig (or of this pod) instead of an embedded one");
  app.add_option("--kubeconfig", flags.kubernetes.kubeconfig,
                 "kubeconfig file (default: KUBECONFIG, ~/.kube/config, the pod's account)");
  app.add_option("--context", flags.kubernetes.context, "context of the kubeconfig");
  app.add_option("--node-api-server", flags.kubernetes.node_server,
                 "URL of the API server as rented machines reach it (default: the kubeconfig's)");
  app.add_option("--lease", flags.kubernetes.lease,
                 "NAMESPACE/NAME of the Lease that says which replica leads")
      ->capture_default_str();
  app.add_option("--listen", flags.listen, "also serve the API on this loopback HOST:PORT");
  app.add_option("--token-file", flags.token_file, "file with the bearer token for --listen");
  app.add_option("--metrics-listen", flags.metrics_listen,
                 "serve /metrics, /healthz and /readyz, and nothing else, to everybody who reaches "
                 "this ADDRESS:PORT");
  app.add_option("--time-scale", flags.time_scale, "let the clock run so many times faster")
      ->check(CLI::Range(1, 1000));
  app.add_option("--cluster-id", flags.cluster_id, "tag of everything that is rented");
  app.add_option(
      "--node-program", flags.node_program,
      "program that runs on a simulated machine (default: spillway-node beside this program)");
  app.add_option(
      "--exec-directory", flags.exec_directory,
      "CloudProviders of type exec may run the executables below this directory; without "
      "it there are none");
  app.add_option("--openstack-clouds", flags.openstack_clouds,
                 "clouds.yaml with the accounts that CloudProviders of type openstack may use; "
                 "without it there are none");
  app.add_option("--run-bandwidth", flags.run_bandwidth,
                 "bytes per second that one rented machine may fetch at most, for example 100Mi "
                 "(default: no limit)");
  app.add_option("--s3-credentials", flags.s3_credentials,
                 "AWS shared credentials file with the profiles that Datasets in buckets may name; "
                 "without it there are none");
  app.add_option("--s3-ca-file", flags.s3_ca_file,
                 "certificates (PEM) to trust at S3 endpoints, in the place of the system's");
  AddTunnelOptions(app, flags.tunnel);
  AddKeyServiceOptions(app, flags.key_service);
  app.add_flag("--inspect-rented-disks", flags.inspect,
               "search the disks of simulated machines for plaintext before and after each wipe");
  app.add_option(
      "--phase-hook", flags.phase_hook,
      "program to run as PROGRAM NODE PHASE FAILURE whenever a BurstNode's new phase is stored");
  app.add_option("--log", flags.log_file, "write the log to this file instead of standard error");
  app.add_flag("--verbose", flags.verbose, "log more");
  CLI11_PARSE(app, argc, argv);
  if (flags.state.empty()) flags.state = cli::DefaultStateDir(cli::RealSurroundings());
  std::error_code error;
  fs::create_directories(flags.state, error);
  flags.state = fs::absolute(flags.state).string();
  auto fill = [&](std::string& value, const std::string& fallback) {
    value = value.empty() ? fallback : fs::absolute(value).string();
  };
  fill(flags.data_root, flags.state + "/data");
  fill(flags.results_root, flags.state + "/results");
  fill(flags.evidence, flags.state + "/evidence");
  fill(flags.socket, cli::DefaultSocket(cli::RealSurroundings()));
  fill(flags.node_program, (ProgramDirectory() / "spillway-node").string());
  const fs::path installed = ProgramDirectory() / "../share/spillway/catalog";
  const bool is_installed = fs::exists(installed, error);
  fill(flags.catalog, (is_installed ? installed : ProgramDirectory() / "../../catalog")
                          .lexically_normal()
                          .string());
  if (const Status status = RunDaemon(flags); !status) {
    fmt::print(stderr, "error: {}\n", status.error().message);
    return status.error().code == Code::kInvalid ? 2 : 1;
  }
  return 0;
}

}  // namespace
}  // namespace spillway

int main(int argc, char** argv) {
  if (argc > 1 && std::string_view(argv[1]) == "pod-init")
    return spillway::runtime::PodInitMain(argc, argv);
  // Dozens of threads mostly wait. An arena for each (glibc's default is 8 per processor) would
  // keep memory that nobody uses.
  mallopt(M_ARENA_MAX, 2);
  return spillway::Main(argc, argv);
}
