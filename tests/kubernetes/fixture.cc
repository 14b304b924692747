#include "tests/kubernetes/fixture.h"

#include <fmt/format.h>
#include <signal.h>
#include <sys/wait.h>

#include <algorithm>
#include <filesystem>
#include <map>

#include "base/encoding.h"
#include "net/http_client.h"

namespace spillway::kubernetes_test {
namespace {

namespace fs = std::filesystem;

int case_number = 0;

constexpr std::string_view kRules = R"yaml(
apiVersion: v1
kind: Namespace
metadata: {name: NS}
---
apiVersion: spillway.dev/v1alpha1
kind: CloudProvider
metadata: {name: scaleway}
spec: PROVIDER
---
apiVersion: spillway.dev/v1alpha1
kind: BurstPolicy
metadata: {name: NS}
spec:
  namespaces: [NS]
  dataClasses: [public, internal]
  jurisdiction: {regions: [EU], usNexus: none}
  price: {maxPerGpuHour: 4 EUR}
  wait: {atMost: 0s}
---
apiVersion: spillway.dev/v1alpha1
kind: Budget
metadata: {name: NS}
spec: {namespaces: [NS], amount: 50 EUR, period: month, warnAt: 80, onExhausted: wait}
---
apiVersion: spillway.dev/v1alpha1
kind: Dataset
metadata: {name: pictures, namespace: NS}
spec: {source: {directory: pictures}, class: internal, include: ["train/**"]}
---
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: in, namespace: NS, annotations: {spillway.dev/dataset: pictures}}
spec:
  storageClassName: spillway
  accessModes: [ReadOnlyMany]
  resources: {requests: {storage: 1Gi}}
---
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: out, namespace: NS, annotations: {spillway.dev/results: NS}}
spec:
  storageClassName: spillway
  accessModes: [ReadWriteMany]
  resources: {requests: {storage: 1Gi}}
)yaml";

constexpr const char* kSimulated =
    "{type: simulated, catalog: scaleway, regions: [fr-par-2], simulated: {seed: 7}}";

constexpr std::string_view kJob = R"yaml(
apiVersion: batch/v1
kind: Job
metadata: {name: NAME, namespace: NS}
spec:
  backoffLimit: 6
  template:
    metadata: {annotations: {spillway.dev/expected-duration: 10m}}
    spec:
      restartPolicy: Never
      terminationGracePeriodSeconds: 2
      containers:
        - name: main
          image: registry.local/training/numpy:12
          command: [/bin/sh, -c, "GATE cat /data/train/* | sha256sum > /results/NAME && echo hashed"]
          resources: {limits: {nvidia.com/gpu: "GPUS"}, requests: {cpu: 100m, memory: 64Mi}}
          volumeMounts:
            - {name: data, mountPath: /data, readOnly: true}
            - {name: results, mountPath: /results}
      volumes:
        - {name: data, persistentVolumeClaim: {claimName: in, readOnly: true}}
        - {name: results, persistentVolumeClaim: {claimName: out}}
)yaml";

bool HasCondition(const json::value& object, std::string_view type) {
  const json::value* status = Find(object, "status");
  const json::array* conditions = status == nullptr ? nullptr : FindArray(*status, "conditions");
  return conditions != nullptr && std::ranges::any_of(*conditions, [&](const json::value& c) {
           return StringOr(c, "type", "") == type && StringOr(c, "status", "") == "True";
         });
}

bool BeingDeleted(const json::value& object) {
  return !Text(object, {"metadata", "deletionTimestamp"}).empty();
}

}  // namespace

std::string Filled(std::string_view form, const std::map<std::string, std::string>& values) {
  std::string text(form);
  for (const auto& [name, value] : values)
    for (std::size_t at = text.find(name); at != std::string::npos;
         at = text.find(name, at + value.size()))
      text.replace(at, name.size(), value);
  return text;
}

std::string Text(const json::value& object, std::initializer_list<std::string_view> path) {
  const json::value* value = FindPath(object, path);
  return value != nullptr && value->is_string() ? std::string(View(value->get_string())) : "";
}
std::string NameOf(const json::value& object) {
  return Text(object, {"metadata", "name"});
}
std::string UidOf(const json::value& object) {
  return Text(object, {"metadata", "uid"});
}

void Replica::Start() {
  pid_ = Spawn(argv_, log_);
}

void Replica::Signal(int signal) const {
  ASSERT_GT(pid_, 0);
  kill(pid_, signal);
}

void Replica::End() {
  if (pid_ <= 0) return;
  kill(pid_, SIGKILL);
  waitpid(pid_, &status_, 0);
  pid_ = -1;
}

bool Replica::Alive() {
  if (pid_ > 0 && waitpid(pid_, &status_, WNOHANG) == pid_) pid_ = -1;
  return pid_ > 0;
}

Result<json::value> Replica::Get(const std::string& path) const {
  net::HttpClient client({.unix_path = socket_}, {});
  return client.DoJson(net::HttpRequest::Get(path));
}

std::string Replica::Metrics() const {
  net::HttpClient client({.unix_path = socket_}, {});
  const auto page = client.Do(net::HttpRequest::Get("/metrics"));
  return page ? page->body : "";
}

bool Replica::Leads() const {
  return pid_ > 0 && Get("/healthz").has_value();
}

void KubernetesTest::SetUp() {
  if (TestCluster::Get() == nullptr) GTEST_SKIP() << TestCluster::Absence();
  ns_ = fmt::format("vision-{}", ++case_number);
  char dir[] = "/tmp/spillway-kt-case-XXXXXX";
  dir_ = mkdtemp(dir);
  pictures_.clear();
  for (int i = 0; i < 5; ++i) {
    const std::string text = fmt::format("picture {} {}\n", i, Sha256Hex(std::to_string(i)));
    WriteFile(fmt::format("{}/pictures/train/{}.txt", k().data(), i), text);
    pictures_ += text;
  }
  WriteFile(k().data() + "/pictures/private/names.txt", "Ada Lovelace, Emmy Noether\n");
}

void KubernetesTest::TearDown() {
  if (TestCluster::Get() == nullptr) return;
  if (HasFailure()) fmt::print("{}\nstate kept in {}\n", Story(), dir_);
  replicas_.clear();
  fs::remove(k().hold_file());
  for (const std::string& node : k().RentedNodes()) k().PowerOff(node);
  for (const json::value& node : k().List(kNodes))
    if (NameOf(node) != kSiteNode) k().Kubectl({"delete", "node", NameOf(node), "--wait=false"});
  for (const json::value& node : BurstNodes())
    if (FindPath(node, {"metadata", "finalizers"}) != nullptr)
      k().Kubectl({"patch", "burstnode", NameOf(node), "--type=merge", "-p",
                   R"({"metadata":{"finalizers":null}})"});
  k().Kubectl(
      {"delete", "burstnodes,csr,burstpolicies,budgets,cloudproviders", "--all", "--wait=false"});
  k().Kubectl({"delete", "secrets", "-n", "kube-system", "-l", "spillway.dev/burst"});
  k().Kubectl({"delete", "namespace", ns_, "--ignore-not-found", "--wait=false"});
  std::error_code error;
  if (!HasFailure()) fs::remove_all(dir_, error);
}

std::vector<std::string> KubernetesTest::CommandOf(const Daemons& daemons,
                                                   const std::string& socket) const {
  std::vector<std::string> argv = daemons.through;
  argv.insert(argv.end(),
              {Program("spillwayd"),
               "--kubernetes",
               "--kubeconfig",
               daemons.kubeconfig.empty() ? k().daemon_kubeconfig() : daemons.kubeconfig,
               "--node-api-server",
               k().server(),
               "--state",
               dir_ + "/state",
               "--data-root",
               k().data(),
               "--results-root",
               k().results(),
               "--evidence",
               dir_ + "/evidence",
               "--catalog",
               daemons.catalog.empty() ? k().quick_catalog() : daemons.catalog,
               "--socket",
               socket,
               "--time-scale",
               std::to_string(daemons.time_scale),
               "--node-program",
               k().machine_program()});
  argv.insert(argv.end(), daemons.extra.begin(), daemons.extra.end());
  if (!daemons.phase_hook.empty()) argv.insert(argv.end(), {"--phase-hook", daemons.phase_hook});
  return argv;
}

void KubernetesTest::StartDaemons(const Daemons& daemons) {
  for (int i = 0; i < daemons.replicas; ++i) {
    const std::size_t number = replicas_.size();
    const std::string socket = fmt::format("{}/spillway-{}.sock", dir_, number);
    replicas_.push_back(std::make_unique<Replica>(CommandOf(daemons, socket), socket,
                                                  fmt::format("{}/daemon-{}.log", dir_, number)));
    replicas_.back()->Start();
  }
  ASSERT_TRUE(Eventually([&] { return Leader() != nullptr; }, 90s)) << Story();
}

bool KubernetesTest::EventuallyRevived(const std::function<bool()>& done, Duration most) {
  return Eventually([&] { return Revive(), done(); }, most);
}

void KubernetesTest::Revive() {
  for (const auto& replica : replicas_)
    if (!replica->Alive()) replica->Start();
}

Replica* KubernetesTest::Leader() {
  for (const auto& replica : replicas_)
    if (replica->Alive() && replica->Leads()) return replica.get();
  return nullptr;
}

void KubernetesTest::Apply(const std::string& yaml) const {
  const Outcome applied = k().Kubectl({"apply", "-f", "-"}, yaml);
  ASSERT_EQ(applied.exit, 0) << applied.err;
}

void KubernetesTest::ApplyRules(const std::string& provider,
                                const std::function<void(std::string&)>& change) const {
  std::string text(kRules);
  if (change) change(text);
  Apply(Filled(text, {{"NS", ns_}, {"PROVIDER", provider.empty() ? kSimulated : provider}}));
}

void KubernetesTest::ApplyJob(const Job& job) const {
  Apply(Filled(kJob, {{"NAME", job.name},
                      {"NS", ns_},
                      {"GPUS", std::to_string(job.gpus)},
                      {"GATE", job.gated ? "until [ -e /tmp/open ]; do sleep 0.2; done;" : ""}}));
}

void KubernetesTest::OpenGate(const std::string& pod) const {
  const Outcome opened = k().Kubectl({"exec", "-n", ns_, pod, "--", "/bin/touch", "/tmp/open"});
  EXPECT_EQ(opened.exit, 0) << opened.err;
}

void KubernetesTest::OpenGates(const std::string& job) const {
  for (const json::value& pod : Pods(job))
    if (Running(pod))
      k().Kubectl({"exec", "-n", ns_, NameOf(pod), "--", "/bin/touch", "/tmp/open"});
}

std::vector<json::value> KubernetesTest::Pods(const std::string& job) const {
  std::vector<json::value> pods;
  for (json::value& pod : k().List(kPods, ns_))
    if (Text(pod, {"metadata", "labels", "batch.kubernetes.io/job-name"}) == job &&
        !BeingDeleted(pod))
      pods.push_back(std::move(pod));
  return pods;
}

std::vector<json::value> KubernetesTest::BurstNodes() const {
  return k().List(kBurstNodes);
}

std::string KubernetesTest::PhaseOf(const std::string& node) const {
  const auto found = k().Find(kBurstNodes, "", node);
  return found ? Text(*found, {"status", "phase"}) : "";
}

bool KubernetesTest::JobComplete(const std::string& name) const {
  const auto job = k().Find(kJobs, ns_, name);
  return job && HasCondition(*job, "Complete");
}

bool KubernetesTest::Running(const json::value& pod) const {
  return Text(pod, {"status", "phase"}) == "Running";
}

json::value KubernetesTest::AwaitRunning(const std::string& job, Duration most) {
  json::value running;
  const bool runs = Eventually(
      [&] {
        for (json::value& pod : Pods(job))
          if (Running(pod) && Text(pod, {"spec", "nodeName"}) != kSiteNode) {
            running = std::move(pod);
            return true;
          }
        return false;
      },
      most);
  EXPECT_TRUE(runs) << Story();
  return running;
}

bool KubernetesTest::AllGone() const {
  const std::vector<json::value> nodes = BurstNodes();
  return !nodes.empty() && std::ranges::all_of(nodes, [](const json::value& node) {
    return Text(node, {"status", "phase"}) == "Gone";
  });
}

std::vector<json::value> KubernetesTest::EventsOf(const std::string& kind,
                                                  const std::string& name) const {
  std::vector<json::value> events;
  for (json::value& event : k().List(kEvents))
    if (Text(event, {"involvedObject", "kind"}) == kind &&
        Text(event, {"involvedObject", "name"}) == name &&
        Text(event, {"source", "component"}) == "spillway")
      events.push_back(std::move(event));
  return events;
}

void KubernetesTest::ExpectComplete(const std::string& job, Duration most) {
  EXPECT_TRUE(Eventually([&] { return JobComplete(job); }, most)) << Story();
}

void KubernetesTest::ExpectResults(const std::string& job) const {
  EXPECT_EQ(ReadFile(ResultOf(job)), Sha256Hex(pictures_) + "  -\n");
}

void KubernetesTest::ExpectNodesGone(Duration most) {
  // An object that somebody deleted is not there any more.
  const bool gone = Eventually(
      [&] {
        const auto nodes = BurstNodes();
        return std::ranges::all_of(nodes, [](const json::value& node) {
          return Text(node, {"status", "phase"}) == "Gone" && !BeingDeleted(node) &&
                 FindPath(node, {"metadata", "finalizers"}) == nullptr;
        });
      },
      most);
  EXPECT_TRUE(gone) << Story();
  EXPECT_TRUE(Eventually([&] { return k().List(kNodes).size() == 1; }, 10s)) << Story();
  for (const json::value& secret : k().List(kSecrets, "kube-system"))
    EXPECT_EQ(FindPath(secret, {"metadata", "labels", "spillway.dev/burst"}), nullptr)
        << NameOf(secret);
  const Outcome ledger =
      RunProgram({Program("spillway"), "audit", "verify", dir_ + "/state/state.db"});
  EXPECT_EQ(ledger.exit, 0) << ledger.out << ledger.err;
}

int KubernetesTest::ExpectNothingLeft(Duration most) {
  ExpectNodesGone(most);
  std::string provider;
  int machines = 0;
  auto left = [&] {
    const auto account = ParseJson(ReadFile(dir_ + "/state/clouds/scaleway/account.json"));
    if (!account) return provider.empty() ? 0 : 1;
    provider = CanonicalJson(*account);
    int found = 0;
    std::map<std::string, int> by_name;
    const std::int64_t now = IntOr(*account, "providerTime", 0);
    const json::value& cloud = account->at("cloud");
    for (const json::value& machine : *FindArray(cloud, "machines")) {
      ++by_name[std::string(StringOr(machine, "name", ""))];
      const std::int64_t end = IntOr(machine, "gone", 0);
      found += end == 0 || end > now ? 1 : 0;
    }
    for (const json::value& side : *FindArray(cloud, "sideObjects")) {
      const std::int64_t end = IntOr(side, "gone", 0);
      found += end == 0 || end > now ? 1 : 0;
    }
    machines = static_cast<int>(by_name.size());
    for (const auto& [name, count] : by_name) EXPECT_EQ(count, 1) << name << " was rented twice";
    return found;
  };
  EXPECT_TRUE(Eventually([&] { return left() == 0; }, 20s)) << provider;
  EXPECT_TRUE(Eventually([&] { return k().RentedNodes().empty(); }, 30s)) << "machines still run";
  if (Replica* leader = Leader()) {
    const auto report = leader->Get("/api/v1/report");
    EXPECT_TRUE(report && IntOr(*report, "leftovers", -1) == 0)
        << (report ? CanonicalJson(*report) : report.error().message);
  }
  return machines;
}

std::string KubernetesTest::Story() const {
  std::string story;
  for (const std::vector<std::string>& args :
       std::vector<std::vector<std::string>>{{"get", "burstnodes", "-o", "wide"},
                                             {"get", "nodes,csr"},
                                             {"get", "pods,jobs,pvc", "-n", ns_, "-o", "wide"},
                                             {"get", "events", "-A", "--sort-by=.lastTimestamp",
                                              "--field-selector", "reason!=Scheduled"}}) {
    const Outcome said = k().Kubectl(args);
    story += said.out.substr(said.out.size() > 6000 ? said.out.size() - 6000 : 0) + said.err;
  }
  for (const auto& replica : replicas_) {
    const std::string log = ReadFile(replica->log());
    story += replica->log() + ":\n" + log.substr(log.size() > 5000 ? log.size() - 5000 : 0);
  }
  return story;
}

}  // namespace spillway::kubernetes_test
