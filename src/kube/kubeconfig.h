// Where the API server is and who we are: kubeconfig files and the service account of a pod.
// https://kubernetes.io/docs/reference/config-api/kubeconfig.v1/
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/json.h"
#include "base/result.h"
#include "data/secret_text.h"
#include "kube/object.h"

namespace spillway::kube {

// A program that hands out credentials.
// https://kubernetes.io/docs/reference/access-authn-authz/authentication/#client-go-credential-plugins
struct ExecPlugin {
  std::string api_version;  // client.authentication.k8s.io/v1 or v1beta1
  std::vector<std::string> argv;
  std::vector<std::pair<std::string, std::string>> env;  // values can be secret: never shown
  std::string install_hint;
  bool provide_cluster_info = false;
};

// How to reach one cluster as one user. A file named here is absolute and is read when needed, so
// that what is renewed on disk is seen.
struct Access {
  std::string origin;       // "context prod of /home/a/.kube/config", "the pod's service account"
  std::string server;       // "https://10.0.0.1:6443", may have a path, no slash at the end
  std::string proxy_url;    // empty: direct; the environment's proxies are not used
  bool in_cluster = false;  // a pod's account, with the address that only the cluster can reach
  std::string tls_server_name;
  std::string ca_pem;  // empty: the system's authorities
  bool insecure = false;
  std::string default_namespace = "default";

  // At most one way of each kind; see credentials.h for how they are used.
  std::string client_certificate_pem, client_certificate_file;
  data::SecretText client_key_pem;
  std::string client_key_file;
  data::SecretText token;
  std::string token_file;
  std::optional<ExecPlugin> exec;
  std::vector<std::pair<std::string, std::string>> impersonate;  // header fields
};

// What of the process's environment counts; empty means unset.
struct Surroundings {
  std::string kubeconfig;  // KUBECONFIG: a list with colons
  std::string home;
  std::string service_host, service_port;  // KUBERNETES_SERVICE_HOST and _PORT
  std::string service_account_directory = "/var/run/secrets/kubernetes.io/serviceaccount";

  static Surroundings OfProcess();
};

// Merges the files as kubectl does (the first file that names an entry wins; of several files some
// may be missing) and resolves `context`, or the current one if it is empty. kInvalid and kNotFound
// name file, field, value and remedy, and never a credential.
Result<Access> LoadKubeconfig(const std::vector<std::string>& files, const std::string& context);

// The service account of the pod we run in.
Result<Access> InClusterAccess(const Surroundings& surroundings);

// In this order: `kubeconfig` (of the command line), KUBECONFIG, ~/.kube/config, the pod's service
// account.
Result<Access> FindAccess(const std::string& kubeconfig, const std::string& context,
                          const Surroundings& surroundings);

// Reads a small file (1 MiB at most); the error names it.
Result<std::string> ReadSmallFile(const std::string& path);

}  // namespace spillway::kube
