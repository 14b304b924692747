// The rights of deploy/kubernetes/install.yaml: each is needed, and no other is used.
//
// The API server's audit log has every call of the daemon's account during the other cases of this
// program, which are therefore linked, and run, before.
#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <sstream>

#include "tests/kubernetes/fixture.h"

namespace spillway::kubernetes_test {
namespace {

const kube::Resource kReviews{"authorization.k8s.io", "v1", "subjectaccessreviews", false};
const kube::Resource kClusterRoles{"rbac.authorization.k8s.io", "v1", "clusterroles", false};
const kube::Resource kRoles{"rbac.authorization.k8s.io", "v1", "roles", true};

// One thing that may be done.
struct Right {
  std::string ns, group, resource, subresource, name, verb;
  auto operator<=>(const Right&) const = default;
  std::string Words() const {
    return fmt::format("{} {}{}{}{}{}{}", verb, resource, subresource.empty() ? "" : "/",
                       subresource, group.empty() ? "" : ".", group,
                       (name.empty() ? "" : " " + name) + (ns.empty() ? "" : " in " + ns));
  }
};

std::vector<std::string> Words(const json::value& rule, std::string_view key) {
  std::vector<std::string> words;
  if (const json::array* list = FindArray(rule, key))
    for (const json::value& word : *list) words.emplace_back(View(word.as_string()));
  return words;
}

// Every single right of a rule.
std::vector<Right> RightsOf(const json::value& rule, const std::string& ns) {
  std::vector<Right> rights;
  std::vector<std::string> names = Words(rule, "resourceNames");
  if (names.empty()) names.emplace_back();
  for (const std::string& group : Words(rule, "apiGroups"))
    for (const std::string& resource : Words(rule, "resources"))
      for (const std::string& name : names)
        for (const std::string& verb : Words(rule, "verbs")) {
          const std::size_t slash = resource.find('/');
          rights.push_back({ns, group, resource.substr(0, slash),
                            slash == std::string::npos ? "" : resource.substr(slash + 1), name,
                            verb});
        }
  return rights;
}

bool Reads(const std::string& verb) {
  return verb == "get" || verb == "list" || verb == "watch";
}

class RightsTest : public KubernetesTest {
 protected:
  bool Allowed(const std::string& account, const Right& right) const {
    json::object resource{
        {"group", right.group}, {"resource", right.resource}, {"subresource", right.subresource},
        {"name", right.name},   {"verb", right.verb},         {"namespace", right.ns}};
    const auto answer = k().client().Create(
        kReviews, "",
        json::object{
            {"apiVersion", "authorization.k8s.io/v1"},
            {"kind", "SubjectAccessReview"},
            {"spec", json::object{{"user", "system:serviceaccount:spillway-system:" + account},
                                  {"groups", json::array{"system:serviceaccounts",
                                                         "system:serviceaccounts:spillway-system",
                                                         "system:authenticated"}},
                                  {"resourceAttributes", std::move(resource)}}}});
    EXPECT_TRUE(answer) << answer.error().message;
    const json::value* status = answer ? answer->if_contains("status") : nullptr;
    return status != nullptr && BoolOr(*status, "allowed", false);
  }

  std::vector<json::value> RulesOf(const kube::Resource& resource, const std::string& ns,
                                   const std::string& name) const {
    const auto role = k().Find(resource, ns, name);
    const json::array* rules = role ? FindArray(*role, "rules") : nullptr;
    EXPECT_NE(rules, nullptr) << name;
    return rules == nullptr ? std::vector<json::value>{}
                            : std::vector<json::value>(rules->begin(), rules->end());
  }

  std::set<Right> Granted() const {
    std::set<Right> granted;
    auto add = [&](const kube::Resource& resource, const std::string& ns, const std::string& name) {
      for (const json::value& rule : RulesOf(resource, ns, name))
        for (Right& right : RightsOf(rule, ns)) granted.insert(std::move(right));
    };
    add(kClusterRoles, "", "spillway");
    add(kRoles, "kube-system", "spillway-tokens");
    add(kRoles, "spillway-system", "spillway-leader");
    return granted;
  }
};

// Without a rule its rights are gone: no rule is there twice, and none of the cluster's own roles
// gives them to every account.
TEST_F(RightsTest, EachRuleOfTheClusterRoleIsNeeded) {
  const std::vector<json::value> rules = RulesOf(kClusterRoles, "", "spillway");
  Apply(
      "apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRoleBinding\n"
      "metadata: {name: spillway-trial}\n"
      "roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: spillway-trial}\n"
      "subjects: [{kind: ServiceAccount, name: trial, namespace: spillway-system}]\n");
  for (std::size_t without = 0; without < rules.size(); ++without) {
    json::array rest;
    for (std::size_t i = 0; i < rules.size(); ++i)
      if (i != without) rest.push_back(rules[i]);
    const auto applied =
        k().client().Apply(kClusterRoles,
                           json::object{{"apiVersion", "rbac.authorization.k8s.io/v1"},
                                        {"kind", "ClusterRole"},
                                        {"metadata", json::object{{"name", "spillway-trial"}}},
                                        {"rules", rest}},
                           {.field_manager = "test", .force = true});
    ASSERT_TRUE(applied) << applied.error().message;
    for (const Right& right : RightsOf(rules[without], "")) {
      EXPECT_TRUE(Allowed("spillway", right)) << right.Words();
      // The authorizer learns of the change through a watch.
      EXPECT_TRUE(Eventually([&] { return !Allowed("trial", right); }, 10s)) << right.Words();
    }
  }
  k().Kubectl({"delete", "clusterrolebinding,clusterrole", "spillway-trial"});
}

TEST_F(RightsTest, NothingBesides) {
  for (const Right& right :
       std::vector<Right>{{"", "", "secrets", "", "", "get"},
                          {"", "", "secrets", "", "", "list"},
                          {"kube-system", "", "secrets", "", "", "get"},
                          {"kube-system", "", "secrets", "", "", "list"},
                          {"spillway-system", "", "secrets", "", "", "create"},
                          {"", "", "pods", "", "", "create"},
                          {"", "", "pods", "binding", "", "create"},
                          {"", "", "pods", "exec", "", "create"},
                          {"", "", "pods", "exec", "", "get"},
                          {"", "", "pods", "status", "", "patch"},
                          {"", "", "nodes", "", "", "create"},
                          {"", "", "nodes", "proxy", "", "get"},
                          {"", "", "nodes", "status", "", "patch"},
                          {"", "", "namespaces", "", "", "patch"},
                          {"", "", "serviceaccounts", "token", "", "create"},
                          {"", "batch", "jobs", "", "", "patch"},
                          {"", "batch", "jobs", "", "", "delete"},
                          {"", "", "persistentvolumes", "", "", "delete"},
                          {"", "spillway.dev", "burstpolicies", "", "", "patch"},
                          {"", "spillway.dev", "burstnodes", "", "", "delete"},
                          {"", "certificates.k8s.io", "signers", "",
                           "kubernetes.io/kube-apiserver-client", "approve"},
                          {"", "rbac.authorization.k8s.io", "clusterroles", "", "", "escalate"}})
    EXPECT_FALSE(Allowed("spillway", right)) << right.Words();
}

// What the daemon did in all other cases of this program, by the API server's own record.
TEST_F(RightsTest, UsedIsWhatIsGranted) {
  // Cases with parameters run after these, and add nothing.
  const ::testing::UnitTest& all = *::testing::UnitTest::GetInstance();
  for (int i = 0; i < all.total_test_suite_count(); ++i) {
    const ::testing::TestSuite& suite = *all.GetTestSuite(i);
    if (std::string_view(suite.name()).find('/') == std::string_view::npos &&
        suite.test_to_run_count() != suite.total_test_count())
      GTEST_SKIP() << "needs " << suite.name() << ": what the other cases use is compared";
  }
  std::set<Right> used;
  std::istringstream lines(ReadFile(k().audit_log()));
  for (std::string line; std::getline(lines, line);) {
    const auto event = ParseJson(line);
    if (!event || Find(*event, "objectRef") == nullptr) continue;
    const json::value& about = event->at("objectRef");
    Right right{std::string(StringOr(about, "namespace", "")),
                std::string(StringOr(about, "apiGroup", "")),
                std::string(StringOr(about, "resource", "")),
                std::string(StringOr(about, "subresource", "")),
                "",
                std::string(StringOr(*event, "verb", ""))};
    const std::string decision = Text(*event, {"annotations", "authorization.k8s.io/decision"});
    EXPECT_NE(decision, "forbid") << right.Words();
    if (decision == "allow") used.insert(std::move(right));
  }
  ASSERT_FALSE(used.empty()) << k().audit_log();
  for (const Right& right : Granted()) {
    // The API server itself asks for these: at each approval, and when an apply makes an object.
    if (right.verb == "approve" || (right.resource == "burstnodes" && right.verb == "create"))
      continue;
    const bool seen = std::ranges::any_of(used, [&](Right u) {
      if (right.ns.empty()) u.ns.clear();
      // Who may watch everything reads everything. Lists are streamed by the watch where the API
      // server can do that.
      if (Reads(right.verb) && Reads(u.verb)) u.verb = right.verb;
      return u == right;
    });
    EXPECT_TRUE(seen) << "granted and never used: " << right.Words();
  }
}

}  // namespace
}  // namespace spillway::kubernetes_test
