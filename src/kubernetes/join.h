// Joining: how a rented machine's kubelet gets into the cluster, and nobody else with it.
//
// Kubernetes' own TLS bootstrap
// (https://kubernetes.io/docs/reference/access-authn-authz/kubelet-tls-bootstrapping/): the machine
// gets a bootstrap token that is good for asking, minutes long; with it the kubelet asks for a
// client certificate, later for a serving certificate. What is asked for is compared field by field
// with what this one node may ask. Pure functions, except for chance in NewBootstrapToken.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "base/result.h"
#include "base/time.h"

namespace spillway::kubernetes {

inline constexpr std::string_view kTokenNamespace = "kube-system";
// The group of our tokens. Nothing is granted to it but asking (deploy/install.yaml), so that no
// approver of the cluster's own takes our machines for its own.
inline constexpr std::string_view kBootstrapGroup = "system:bootstrappers:spillway";
inline constexpr std::string_view kClientSigner = "kubernetes.io/kube-apiserver-client-kubelet";
inline constexpr std::string_view kServingSigner = "kubernetes.io/kubelet-serving";
// A token lives as long as its machine may take to boot, within these.
inline constexpr Duration kTokenLife{std::chrono::minutes(15)};
inline constexpr Duration kTokenMost{std::chrono::hours(1)};

// https://kubernetes.io/docs/reference/access-authn-authz/bootstrap-tokens/
struct BootstrapToken {
  std::string id;      // 6 of [a-z0-9]; not secret
  std::string secret;  // 16 of [a-z0-9]
  std::string Text() const { return id + "." + secret; }
};
BootstrapToken NewBootstrapToken();
std::string TokenSecretName(std::string_view id);  // "bootstrap-token-ID"
std::string TokenUser(std::string_view id);        // "system:bootstrap:ID"

// The Secret that makes the token valid until `expires`, for one BurstNode.
json::object TokenSecret(const BootstrapToken& token, const std::string& node, Time expires);

// Ok if this CertificateSigningRequest asks for exactly the client certificate of `node`, by the
// holder of its token: signer, user, subject, usages, key, and no names besides. kDenied says what
// is wrong.
Status CheckClientRequest(const json::value& csr, const std::string& node,
                          const std::string& token_id);

// Ok if it asks for exactly the serving certificate of `node`, by the node itself, for its name and
// some of its addresses.
Status CheckServingRequest(const json::value& csr, const std::string& node,
                           const std::vector<std::string>& addresses);

// The node a request of one of our signers is about ("system:node:NAME" in its subject or as its
// user); empty when it is about none or cannot be read.
std::string NodeOfRequest(const json::value& csr);

// Neither approved nor denied yet.
bool Undecided(const json::value& csr);

// The request with one more condition, for PUT .../approval.
json::value Decided(const json::value& csr, bool approve, std::string_view reason,
                    std::string_view message, Time now);

}  // namespace spillway::kubernetes
