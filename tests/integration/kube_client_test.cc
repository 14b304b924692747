// The Kubernetes client against a real API server. SPILLWAY_TEST_KUBECONFIG names the kubeconfig of
// a cluster that may be written to (scripts/partners/kubernetes-up); without it everything here is
// skipped. Each test works in a name space of its own and deletes it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <set>
#include <thread>

#include "kube/election.h"
#include "kube/informer.h"
#include "kube/line_reader.h"

namespace spillway::kube {
namespace {

using testing::HasSubstr;

const Resource kNamespaces{"", "v1", "namespaces", false};
const Resource kConfigMaps{"", "v1", "configmaps", true};
const Resource kPods{"", "v1", "pods", true};

std::string Kubeconfig() {
  const char* path = std::getenv("SPILLWAY_TEST_KUBECONFIG");
  return path == nullptr ? "" : path;
}

int OpenSockets() {
  int count = 0;
  for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) {
    std::error_code ignored;
    const auto target = std::filesystem::read_symlink(entry, ignored);
    count += target.string().starts_with("socket:");
  }
  return count;
}

class KubeClientTest : public testing::Test {
 protected:
  void SetUp() override {
    if (Kubeconfig().empty())
      GTEST_SKIP() << "SPILLWAY_TEST_KUBECONFIG is not set: no Kubernetes to test against";
    const auto access = LoadKubeconfig({Kubeconfig()}, "");
    ASSERT_TRUE(access) << access.error().message;
    access_ = *access;
    timing_ = {&clock_, &waiter_,
               static_cast<std::uint64_t>(clock_.Now().time_since_epoch().count())};
    client_ = std::make_unique<Client>(access_, timing_);
    space_ = "spw-kube-" + Rng(timing_.seed ^ static_cast<std::uint64_t>(::getpid())).Suffix(8);
    const auto made = client_->Create(
        kNamespaces, "",
        {{"apiVersion", "v1"}, {"kind", "Namespace"}, {"metadata", {{"name", space_}}}});
    ASSERT_TRUE(made) << made.error().message;
  }
  void TearDown() override {
    if (client_ != nullptr) (void)client_->Delete(kNamespaces, {"", space_});
  }

  json::object ConfigMap(const std::string& name, const std::string& value) const {
    return {{"apiVersion", "v1"},
            {"kind", "ConfigMap"},
            {"metadata", {{"name", name}, {"namespace", space_}}},
            {"data", {{"k", value}}}};
  }
  json::object Pod(const std::string& name) const {
    return {{"apiVersion", "v1"},
            {"kind", "Pod"},
            {"metadata", {{"name", name}, {"namespace", space_}}},
            {"spec",
             {{"nodeSelector", {{"spillway.test/none", "true"}}},
              {"automountServiceAccountToken", false},
              {"containers", json::array{{{"name", "c"}, {"image", "none.invalid/none"}}}}}}};
  }
  // Pods need the name space's service account, which a controller makes.
  Result<json::object> CreatePod(const std::string& name) const {
    const Resource accounts{"", "v1", "serviceaccounts", true};
    for (int i = 0; i < 100 && !client_->Get(accounts, {space_, "default"}); ++i)
      std::this_thread::sleep_for(100ms);
    return client_->Create(kPods, space_, Pod(name));
  }

  BootClock clock_;
  RealWaiter waiter_;
  Timing timing_;
  Access access_;
  std::unique_ptr<Client> client_;
  std::string space_;
};

TEST_F(KubeClientTest, ManyCallsAtOnceShareAConnection) {
  const auto version = client_->Raw("/version");
  ASSERT_TRUE(version) << version.error().message;
  EXPECT_THAT(*version, HasSubstr("gitVersion"));
  const int before = OpenSockets();
  std::atomic<int> good = 0, most = 0;
  std::vector<std::jthread> threads;
  for (int i = 0; i < 20; ++i)
    threads.emplace_back([&] {
      good += client_->Get(kNamespaces, {"", space_}).has_value();
      most = std::max(most.load(), OpenSockets());
    });
  threads.clear();
  EXPECT_EQ(good, 20);
  EXPECT_EQ(most, before);
  CallOptions lease;
  lease.lane = Lane::kLease;
  ASSERT_TRUE(client_->Get(kNamespaces, {"", space_}, "", lease));
  EXPECT_EQ(OpenSockets(), before + 1);
}

TEST_F(KubeClientTest, ApplyConflictsAndTakesOver) {
  WriteOptions one, two;
  one.field_manager = "one";
  two.field_manager = "two";
  ASSERT_TRUE(client_->Apply(kConfigMaps, ConfigMap("m", "1"), one));
  ASSERT_TRUE(client_->Apply(kConfigMaps, ConfigMap("m", "1"), one));
  const auto conflict = client_->Apply(kConfigMaps, ConfigMap("m", "2"), two);
  ASSERT_FALSE(conflict);
  EXPECT_EQ(conflict.error().code, Code::kConflict);
  EXPECT_THAT(conflict.error().message, HasSubstr("\"one\""));
  two.force = true;
  two.dry_run = true;
  ASSERT_TRUE(client_->Apply(kConfigMaps, ConfigMap("m", "3"), two));
  two.dry_run = false;
  ASSERT_TRUE(client_->Apply(kConfigMaps, ConfigMap("m", "2"), two));
  const auto read = client_->Get(kConfigMaps, {space_, "m"});
  EXPECT_EQ(*FindPath(*read, {"data", "k"}), "2");
}

TEST_F(KubeClientTest, EveryPatchKindAndWhatIsRefused) {
  ASSERT_TRUE(client_->Create(kConfigMaps, space_, ConfigMap("m", "1")));
  const ObjectName name{space_, "m"};
  EXPECT_EQ(client_->Create(kConfigMaps, space_, ConfigMap("m", "1")).error().code,
            Code::kConflict);
  const auto add = [](const char* path, json::value value, const char* op = "add") {
    return json::object{{"op", op}, {"path", path}, {"value", std::move(value)}};
  };
  EXPECT_TRUE(
      client_->Patch(kConfigMaps, name, PatchKind::kJson, json::array{add("/data/j", "1")}));
  EXPECT_TRUE(client_->Patch(kConfigMaps, name, PatchKind::kMerge,
                             json::object{{"data", {{"m", "1"}, {"k", nullptr}}}}));
  const auto last = client_->Patch(kConfigMaps, name, PatchKind::kStrategicMerge,
                                   json::object{{"data", {{"s", "1"}}}});
  ASSERT_TRUE(last) << last.error().message;
  EXPECT_EQ(json::serialize(last->at("data")), R"({"j":"1","m":"1","s":"1"})");
  EXPECT_EQ(client_
                ->Patch(kConfigMaps, name, PatchKind::kJson,
                        json::array{add("/metadata/uid", "no", "test")})
                .error()
                .code,
            Code::kInvalid);
  EXPECT_EQ(client_
                ->Patch(kConfigMaps, name, PatchKind::kJson,
                        json::array{add("/metadata/resourceVersion", "1")})
                .error()
                .code,
            Code::kConflict);
  const auto unknown =
      client_->Patch(kConfigMaps, name, PatchKind::kMerge, json::object{{"datum", 1}});
  ASSERT_FALSE(unknown);
  EXPECT_EQ(unknown.error().code, Code::kInvalid);
  EXPECT_THAT(unknown.error().message, HasSubstr("datum"));
  DeleteOptions other;
  other.uid = "00000000-0000-0000-0000-000000000000";
  EXPECT_EQ(client_->Delete(kConfigMaps, name, other).error().code, Code::kConflict);
  EXPECT_TRUE(client_->Delete(kConfigMaps, name));
  EXPECT_EQ(client_->Delete(kConfigMaps, name).error().code, Code::kNotFound);
}

TEST_F(KubeClientTest, AWaitingPodGetsATolerationAndAStatus) {
  const auto made = CreatePod("p");
  ASSERT_TRUE(made) << made.error().message;
  const json::object toleration{
      {"key", "spillway.dev/burst"}, {"value", "b"}, {"effect", "NoSchedule"}};
  const auto patched =
      client_->Patch(kPods, {space_, "p"}, PatchKind::kJson,
                     json::array{json::object{
                         {"op", "add"}, {"path", "/spec/tolerations/-"}, {"value", toleration}}});
  ASSERT_TRUE(patched) << patched.error().message;
  EXPECT_EQ(FindPath(*patched, {"spec", "tolerations"})->as_array().size(), 3u);
  WriteOptions status;
  status.subresource = "status";
  const json::object condition{{"type", "spillway.dev/Test"}, {"status", "True"}};
  const auto told =
      client_->Patch(kPods, {space_, "p"}, PatchKind::kStrategicMerge,
                     json::object{{"status", {{"conditions", json::array{condition}}}}}, status);
  ASSERT_TRUE(told) << told.error().message;
  EXPECT_THAT(json::serialize(*FindPath(*told, {"status", "conditions"})),
              HasSubstr("spillway.dev/Test"));
}

TEST_F(KubeClientTest, AReplaceWithAnOldVersionLosesNothing) {
  auto object = client_->Create(kConfigMaps, space_, ConfigMap("m", "1"));
  ASSERT_TRUE(object) << object.error().message;
  ASSERT_TRUE(client_->Patch(kConfigMaps, {space_, "m"}, PatchKind::kMerge,
                             json::object{{"data", {{"other", "x"}}}}));
  EXPECT_EQ(client_->Replace(kConfigMaps, *object).error().code, Code::kConflict);
}

TEST_F(KubeClientTest, ListsInPages) {
  for (int i = 0; i < 25; ++i)
    ASSERT_TRUE(client_->Create(kConfigMaps, space_, ConfigMap("m" + std::to_string(i), "x")));
  std::set<std::string> names;
  ListOptions pages;
  pages.page_size = 7;
  ListQuery query;
  query.name_space = space_;
  const auto version = ListAll(
      *client_, kConfigMaps, query, [&] { names.clear(); },
      [&](json::object&& object) { names.insert(NameOf(object).name); }, {}, pages);
  ASSERT_TRUE(version) << version.error().message;
  EXPECT_FALSE(version->empty());
  names.erase("kube-root-ca.crt");  // a controller's
  EXPECT_EQ(names.size(), 25u);
}

// What an informer of config maps told, without the one that every name space has.
class Told {
 public:
  void Add(const Change<std::string>& change) {
    const std::lock_guard lock(mutex_);
    if (change.key.ends_with("kube-root-ca.crt")) return;
    lines_.push_back(std::to_string(static_cast<int>(change.kind)) +
                     (change.object ? " " + *change.object : ""));
    told_.notify_all();
  }
  std::vector<std::string> Await(std::size_t count) {
    std::unique_lock lock(mutex_);
    told_.wait_for(lock, 20s, [&] { return lines_.size() >= count; });
    return lines_;
  }

 private:
  std::mutex mutex_;
  std::condition_variable told_;
  std::vector<std::string> lines_;
};

class InformerTest : public KubeClientTest, public testing::WithParamInterface<bool> {};

TEST_P(InformerTest, FollowsEveryChangeAcrossTheServersOwnEnds) {
  if (IsSkipped()) return;
  ASSERT_TRUE(client_->Create(kConfigMaps, space_, ConfigMap("m", "1")));
  Told told;
  WatchOptions options;
  options.streaming_list = GetParam();
  options.server_timeout = 2s;  // ends every one to two seconds
  options.healthy_after = 500ms;
  ListQuery query;
  query.name_space = space_;
  Informer<std::string> informer(
      *client_, kConfigMaps, query,
      [](const json::object& object) -> std::optional<std::string> {
        const json::value* value = FindPath(object, {"data", "k"});
        return value == nullptr ? "" : std::string(View(value->as_string()));
      },
      [&](const Change<std::string>& change) { told.Add(change); },
      [](const Error& error, Duration) { ADD_FAILURE() << error.message; }, options);
  informer.Start();
  ASSERT_TRUE(informer.WaitSynced(20s));
  std::vector<std::string> expected{"0 1", "3"};
  for (int i = 2; i <= 8; ++i) {
    const std::string value = std::to_string(i);
    ASSERT_TRUE(client_->Patch(kConfigMaps, {space_, "m"}, PatchKind::kMerge,
                               json::object{{"data", {{"k", value}}}}));
    expected.push_back("1 " + value);
    ASSERT_EQ(told.Await(expected.size()), expected);
    std::this_thread::sleep_for(500ms);  // so that the server ends watches in between
  }
  ASSERT_TRUE(client_->Delete(kConfigMaps, {space_, "m"}));
  expected.push_back("2 8");
  EXPECT_EQ(told.Await(expected.size()), expected);
  EXPECT_LT(informer.Silence(), 10s);
}
INSTANTIATE_TEST_SUITE_P(Lists, InformerTest, testing::Bool(),
                         [](const auto& which) { return which.param ? "InTheStream" : "InPages"; });

// SPILLWAY_TEST_KUBERNETES_RESTART is a shell command that kills the API server and etcd and starts
// them again.
TEST_F(KubeClientTest, GoesOnAfterTheServerWasKilled) {
  if (IsSkipped()) return;
  const char* restart = std::getenv("SPILLWAY_TEST_KUBERNETES_RESTART");
  if (restart == nullptr) GTEST_SKIP() << "SPILLWAY_TEST_KUBERNETES_RESTART is not set";
  ASSERT_TRUE(client_->Create(kConfigMaps, space_, ConfigMap("m", "before")));
  std::atomic<int> troubles = 0;
  Told told;
  ListQuery query;
  query.name_space = space_;
  query.field_selector = "metadata.name=m";
  Informer<std::string> informer(
      *client_, kConfigMaps, query,
      [](const json::object& object) -> std::optional<std::string> {
        return std::string(View(FindPath(object, {"data", "k"})->as_string()));
      },
      [&](const Change<std::string>& change) { told.Add(change); },
      [&](const Error&, Duration) { ++troubles; });
  informer.Start();
  ASSERT_TRUE(informer.WaitSynced(20s));
  ASSERT_EQ(std::system(restart), 0);  // NOLINT(cert-env33-c): the tester's own command
  const Duration back = clock_.SteadyNow();
  Status changed;
  do {
    changed = client_
                  ->Patch(kConfigMaps, {space_, "m"}, PatchKind::kMerge,
                          json::object{{"data", {{"k", "after"}}}})
                  .transform([](const auto&) {});
  } while (!changed && clock_.SteadyNow() - back < 30s && waiter_.Wait(100ms, {}));
  ASSERT_TRUE(changed) << changed.error().message;
  const auto deadline = clock_.SteadyNow() + 40s;
  while (*informer.Find(space_ + "/m") != "after" && clock_.SteadyNow() < deadline)
    waiter_.Wait(50ms, {});
  RecordProperty("until_seen_ms", static_cast<int>((clock_.SteadyNow() - back).count()));
  EXPECT_EQ(*informer.Find(space_ + "/m"), "after");
  EXPECT_GE(troubles, 1);
}

TEST_F(KubeClientTest, AWatchFromTheBeginningOfTimeIsExpired) {
  LineReader reader(1 << 20);
  std::string first;
  const Status ended = client_->Watch(
      kPods, "", Query({{"watch", "1"}, {"resourceVersion", "1"}, {"timeoutSeconds", "2"}}), 10s,
      [&](std::string_view bytes) {
        return reader.Feed(bytes, [&](std::string_view line) {
          if (first.empty()) first = line;
          return Ok();
        });
      },
      {});
  if (ended && !first.starts_with(R"({"type":"ERROR")"))
    GTEST_SKIP() << "a young server that remembers everything: nothing is expired";
  if (ended)
    EXPECT_THAT(first, HasSubstr("\"code\":410"));
  else
    EXPECT_EQ(ended.error().code, Code::kConflict) << ended.error().message;
}

TEST_F(KubeClientTest, ElectsOneLeaderAndTheNextAfterSilenceOrRelease) {
  const auto join = [&](const std::string& identity) {
    ElectionOptions options;
    options.lease = {space_, "leader"};
    options.identity = identity;
    options.lease_duration = 3s;
    options.renew_deadline = 2s;
    options.retry_period = 200ms;
    options.call_timeout = 1s;
    return std::make_unique<Election>(*client_, options);
  };
  const auto a = join("a"), b = join("b");
  a->Step();
  ASSERT_TRUE(a->IsLeader()) << a->Trouble().value_or(Error{}).message;
  const Fence fence = a->Token();
  const Duration silent_since = clock_.SteadyNow();
  while (!b->IsLeader() && clock_.SteadyNow() - silent_since < 20s) {
    const Duration wait = b->Step();
    EXPECT_FALSE(a->IsLeader() && b->IsLeader());
    waiter_.Wait(wait, {});
  }
  EXPECT_TRUE(b->IsLeader());
  EXPECT_GE(clock_.SteadyNow() - silent_since, 2900ms);
  EXPECT_FALSE(fence.Holds());
  const Status released = b->Release();
  EXPECT_TRUE(released) << released.error().message;
  a->Step();
  EXPECT_TRUE(a->IsLeader()) << a->Trouble().value_or(Error{}).message;
  const auto lease = client_->Get(kLeases, {space_, "leader"});
  EXPECT_EQ(*FindPath(*lease, {"spec", "leaseTransitions"}), 2);
}

TEST_F(KubeClientTest, RefusesServersThatAreNotTheOneMeant) {
  Access other = access_;
  other.tls_server_name = "kubernetes.default.svc";
  EXPECT_TRUE(Client(other, timing_).Get(kNamespaces, {"", space_}));
  other.tls_server_name = "other.example";
  const auto wrong_name = Client(other, timing_).Get(kNamespaces, {"", space_});
  ASSERT_FALSE(wrong_name);
  EXPECT_EQ(wrong_name.error().code, Code::kDenied) << wrong_name.error().message;
  other = access_;
  other.ca_pem.clear();  // the system's authorities
  const auto wrong_authority = Client(other, timing_).Get(kNamespaces, {"", space_});
  ASSERT_FALSE(wrong_authority);
  EXPECT_EQ(wrong_authority.error().code, Code::kDenied) << wrong_authority.error().message;
  EXPECT_THAT(wrong_authority.error().message, HasSubstr("certificate-authority"));
}

TEST_F(KubeClientTest, NobodyMayDoNothing) {
  Access nobody = access_;
  nobody.impersonate = {{"Impersonate-User", "nobody"}};
  const auto denied = Client(nobody, timing_).Get(kNamespaces, {"", space_});
  ASSERT_FALSE(denied);
  EXPECT_EQ(denied.error().code, Code::kDenied);
  EXPECT_THAT(denied.error().message, HasSubstr("User \"nobody\" cannot get"));
}

}  // namespace
}  // namespace spillway::kube
