// What somebody gets who has taken over a rented machine before it joined: its bootstrap token, and
// then the credential of its node. Exactly the one node, and nothing else.
#include <fmt/format.h>
#include <gmock/gmock.h>

#include <algorithm>
#include <filesystem>

#include "base/encoding.h"
#include "tests/kubernetes/fixture.h"

namespace spillway::kubernetes_test {
namespace {

using ::testing::HasSubstr;

constexpr std::string_view kClient = "kubernetes.io/kube-apiserver-client-kubelet";
constexpr std::string_view kServing = "kubernetes.io/kubelet-serving";

class IntrudersTest : public KubernetesTest {
 protected:
  // A kubectl with nothing but `credential`, which are its arguments.
  Outcome As(const std::vector<std::string>& credential, std::vector<std::string> args,
             const std::string& input = "") const {
    args.insert(args.begin(), {"--kubeconfig=/dev/null", "--server", k().server(),
                               "--certificate-authority", k().ca_file()});
    args.insert(args.end(), credential.begin(), credential.end());
    return k().Kubectl(args, input);
  }

  // The text of a certificate request by a key of its own, which is kept in dir_.
  std::string Request(const std::string& name, const std::string& subject,
                      const std::string& names = "") const {
    const std::string key = dir_ + "/" + name + ".key";
    std::vector<std::string> argv = {
        "openssl", "req",    "-new",     "-newkey",
        "ec",      "-nodes", "-pkeyopt", "ec_paramgen_curve:prime256v1",
        "-keyout", key,      "-subj",    subject};
    if (!names.empty()) argv.insert(argv.end(), {"-addext", "subjectAltName=" + names});
    const Outcome made = RunProgram(argv);
    EXPECT_EQ(made.exit, 0) << made.err;
    return made.out;
  }

  static std::string Csr(const std::string& name, std::string_view signer, std::string_view usage,
                         const std::string& pem) {
    return fmt::format(
        "---\napiVersion: certificates.k8s.io/v1\nkind: CertificateSigningRequest\n"
        "metadata: {{name: {}}}\nspec:\n  signerName: {}\n  request: {}\n"
        "  usages: [digital signature, {}]\n",
        name, signer, Base64(AsBytes(pem)), usage);
  }

  // "Approved", "Denied", or "" while nobody has decided.
  std::string Verdict(const std::string& csr) const {
    const auto found = k().Find(kRequests, "", csr);
    const json::value* conditions = found ? FindPath(*found, {"status", "conditions"}) : nullptr;
    if (conditions == nullptr || !conditions->is_array() || conditions->get_array().empty())
      return "";
    return std::string(StringOr(conditions->get_array().front(), "type", ""));
  }
  std::string Certificate(const std::string& csr) const {
    const auto found = k().Find(kRequests, "", csr);
    return found ? Text(*found, {"status", "certificate"}) : "";
  }

  void ExpectDenied(const std::string& csr) {
    EXPECT_TRUE(Eventually([&] { return !Verdict(csr).empty(); }, 20s)) << csr << " waits";
    EXPECT_EQ(Verdict(csr), "Denied") << csr;
    EXPECT_EQ(Certificate(csr), "") << csr;
  }
};

TEST_F(IntrudersTest, GetOneNodeAndNothingElse) {
  WriteFile(k().hold_file(), "");
  StartDaemons(4);  // the machine's deadline to join must not end this
  ApplyRules();
  ApplyJob({});
  if (HasFatalFailure()) return;
  std::filesystem::remove(k().held_file());
  ASSERT_TRUE(Eventually([&] { return std::filesystem::exists(k().held_file()); }, 120s))
      << Story();
  const auto user_data = ParseJson(ReadFile(k().held_file()));
  ASSERT_TRUE(user_data);
  const std::string node = Text(*user_data, {"name"});
  const std::vector<std::string> bearer = {"--token",
                                           Text(*user_data, {"kubernetes", "bootstrapToken"})};

  // The token sees and changes nothing.
  for (const char* resource : {"secrets", "pods", "nodes", "burstnodes"})
    EXPECT_THAT(As(bearer, {"get", resource, "-A"}).err, HasSubstr("Forbidden")) << resource;

  const std::string own = "/O=system:nodes/CN=system:node:" + node;
  const Outcome asked =
      As(bearer, {"create", "-f", "-"},
         Csr("foreign", kClient, "client auth",
             Request("foreign", "/O=system:nodes/CN=system:node:home")) +
             Csr("names", kClient, "client auth", Request("names", own, "DNS:kubernetes.default")) +
             Csr("server", kClient, "server auth", Request("server", own)) +
             Csr("early", kServing, "server auth", Request("early", own, "DNS:" + node)));
  EXPECT_THAT(asked.out, ::testing::AllOf(HasSubstr("foreign"), HasSubstr("names")));
  for (const char* csr : {"foreign", "names", "server"})
    if (k().Find(kRequests, "", csr)) ExpectDenied(csr);
  // The API server itself refuses another group for this signer; if it did not, Spillway must.
  As(bearer, {"create", "-f", "-"},
     Csr("masters", kClient, "client auth",
         Request("masters", "/O=system:masters/CN=system:node:" + node)));
  if (k().Find(kRequests, "", "masters")) ExpectDenied("masters");
  EXPECT_EQ(Certificate("masters"), "");
  // Another signer is not ours to decide, and nobody decides.
  As(bearer, {"create", "-f", "-"},
     Csr("admin", "kubernetes.io/kube-apiserver-client", "client auth",
         Request("admin", "/O=system:masters/CN=admin")));
  EXPECT_EQ(Certificate("admin"), "");

  // Two at once: one of them.
  As(bearer, {"create", "-f", "-"},
     Csr("first", kClient, "client auth", Request("first", own)) +
         Csr("second", kClient, "client auth", Request("second", own)));
  ASSERT_TRUE(
      Eventually([&] { return !Verdict("first").empty() && !Verdict("second").empty(); }, 20s))
      << Story();
  EXPECT_NE(Verdict("first"), Verdict("second"));
  const std::string good = Verdict("first") == "Approved" ? "first" : "second";
  ExpectDenied(good == "first" ? "second" : "first");
  ASSERT_TRUE(Eventually([&] { return !Certificate(good).empty(); }, 20s)) << Story();
  // Used once, gone.
  EXPECT_TRUE(Eventually(
      [&] {
        return As(bearer, {"get", "csr"}).err.find("Unauthorized") != std::string::npos ||
               As(bearer, {"get", "csr"}).err.find("must be logged in") != std::string::npos;
      },
      20s));

  // The node's own credential.
  const auto certificate = ParseBase64(Certificate(good));
  ASSERT_TRUE(certificate);
  WriteFile(dir_ + "/node.crt", std::string(certificate->begin(), certificate->end()));
  const std::vector<std::string> kubelet = {"--client-certificate", dir_ + "/node.crt",
                                            "--client-key", dir_ + "/" + good + ".key"};
  auto node_object = [&](const std::string& labels, const std::string& taint = "burst") {
    return fmt::format(
        "apiVersion: v1\nkind: Node\nmetadata: {{name: {}, labels: {{{}}}}}\n"
        "spec: {{taints: [{{key: spillway.dev/{}, value: {}, effect: NoSchedule}}]}}\n",
        node, labels, taint, node);
  };
  const std::string trust = "node-restriction.kubernetes.io/spillway-burst";
  EXPECT_THAT(As(kubelet, {"create", "-f", "-"}, node_object(trust + ": " + node)).err,
              HasSubstr("Forbidden"));
  // Without its taint any pod could land there.
  EXPECT_THAT(As(kubelet, {"create", "-f", "-"}, node_object("", "other")).err,
              HasSubstr("joins with the taint"));
  const Outcome registered = As(kubelet, {"create", "-f", "-"}, node_object(""));
  ASSERT_EQ(registered.exit, 0) << registered.err;
  EXPECT_THAT(As(kubelet, {"label", "node", node, trust + "=mine"}).err, HasSubstr("Forbidden"));
  EXPECT_THAT(As(kubelet, {"label", "node", "home", "spillway.dev/burst=mine"}).err,
              HasSubstr("Forbidden"));
  EXPECT_THAT(As(kubelet, {"taint", "node", node, "spillway.dev/burst-"}).err,
              HasSubstr("Forbidden"));
  EXPECT_THAT(As(kubelet, {"get", "secrets", "-n", "kube-system"}).err, HasSubstr("Forbidden"));
  EXPECT_THAT(As(kubelet, {"delete", "node", "home"}).err, HasSubstr("Forbidden"));

  // It replaces the whole node, and the node's controller writes taints beside it at any time.
  Outcome addressed;
  EXPECT_TRUE(Eventually(
      [&] {
        auto object = k().Find(kNodes, "", node);
        if (!object) return false;
        object->get_object()["status"] = json::object{
            {"addresses",
             json::array{json::object{{"type", "InternalIP"}, {"address", "10.0.0.77"}}}}};
        object->at("metadata").get_object().erase("resourceVersion");
        addressed =
            As(kubelet, {"replace", "--raw", "/api/v1/nodes/" + node + "/status", "-f", "-"},
               json::serialize(*object));
        return addressed.exit == 0;
      },
      20s))
      << addressed.err;
  As(kubelet, {"create", "-f", "-"},
     Csr("serving-foreign", kServing, "server auth",
         Request("serving-foreign", own, "DNS:" + node + ",IP:10.0.0.1")) +
         Csr("serving-name", kServing, "server auth",
             Request("serving-name", own, "DNS:kubernetes.default,IP:10.0.0.77")));
  ExpectDenied("serving-foreign");
  ExpectDenied("serving-name");
  if (k().Find(kRequests, "", "early")) ExpectDenied("early");  // made by the token, not the node

  // Told, each of them.
  EXPECT_TRUE(Eventually(
      [&] {
        int refused = 0;
        for (const json::value& event : EventsOf("BurstNode", node))
          refused += Text(event, {"reason"}) == "JoinRefused" ? 1 : 0;
        return refused >= 5;
      },
      10s))
      << Story();

  // What somebody makes of the node is not believed, and it goes with the work.
  EXPECT_EQ(PhaseOf(node), "Provisioned");
  k().Kubectl({"delete", "job", "-n", ns_, "hash"});
  std::filesystem::remove(k().hold_file());
  EXPECT_EQ(ExpectNothingLeft(120s), 1);
  // Nobody can revoke its certificate, but the node does not come back with it.
  EXPECT_EQ(As(kubelet, {"create", "-f", "-"}, node_object("")).exit, 0);
  EXPECT_TRUE(Eventually([&] { return !k().Find(kNodes, "", node); }, 20s)) << Story();
  EXPECT_TRUE(Eventually(
      [&] {
        return std::ranges::any_of(EventsOf("BurstNode", node), [](const json::value& event) {
          return Text(event, {"reason"}) == "NodeReturned";
        });
      },
      10s))
      << Story();
}

}  // namespace
}  // namespace spillway::kubernetes_test
