#include "kube/kubeconfig.h"

#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <map>

#include "base/encoding.h"
#include "net/http_message.h"
#include "schema/yaml.h"

namespace spillway::kube {
namespace {

constexpr std::size_t kFileBytes = 1 << 20;

// One entry of a list of named things, with the file it stands in.
struct Entry {
  std::string file, name, list;  // list: "clusters", "users", "contexts"
  json::object body;

  std::string Field(std::string_view member) const {
    const std::string kind = list.substr(0, list.size() - 1);
    return list + "[name=" + name + "]." + kind + "." + std::string(member);
  }
  tl::unexpected<Error> Wrong(std::string_view member, std::string wrong, std::string right) const {
    return Fail(Code::kInvalid, schema::FormatProblem(
                                    {file, {}, Field(member), std::move(wrong), std::move(right)}));
  }
  // Text of a member, empty if it is missing; anything but text is an error.
  Result<std::string> Text(std::string_view member) const {
    const json::value* value = body.if_contains(member);
    if (value == nullptr || value->is_null()) return std::string();
    if (!value->is_string()) return Wrong(member, "is not text", "write it in quotes");
    return std::string(View(value->get_string()));
  }
  Result<bool> Flag(std::string_view member) const {
    const json::value* value = body.if_contains(member);
    if (value == nullptr || value->is_null()) return false;
    if (!value->is_bool()) return Wrong(member, "is not true or false", "write true or false");
    return value->get_bool();
  }
  // A path, relative to the file that names it.
  Result<std::string> Path(std::string_view member) const {
    SPW_ASSIGN(const std::string text, Text(member));
    if (text.empty()) return text;
    return (std::filesystem::path(file).parent_path() / text).lexically_normal().string();
  }
  Result<std::string> Base64Text(std::string_view member) const {
    SPW_ASSIGN(const std::string text, Text(member));
    auto bytes = ParseBase64(text);
    if (!bytes) return Wrong(member, "is not base64", "write the PEM text through base64 -w0");
    return std::string(AsText(*bytes));
  }
};

using Entries = std::map<std::string, Entry, std::less<>>;

struct Merged {
  Entries clusters, users, contexts;
  std::string current_context;
  std::string files;  // for messages
};

Status MergeList(const json::value& document, const std::string& file, const std::string& list,
                 Entries* into) {
  const json::value* found = Find(document, list);
  if (found == nullptr || found->is_null()) return Ok();
  if (!found->is_array())
    return Fail(Code::kInvalid, schema::FormatProblem({file, {}, list, "is not a list", ""}));
  for (const json::value& item : found->get_array()) {
    const std::string name(StringOr(item, "name", ""));
    const json::object* body = FindObject(item, std::string_view(list).substr(0, list.size() - 1));
    if (name.empty())
      return Fail(Code::kInvalid,
                  schema::FormatProblem({file, {}, list, "an entry has no name", "add name:"}));
    into->try_emplace(name, Entry{file, name, list, body != nullptr ? *body : json::object()});
  }
  return Ok();
}

Status MergeFile(const std::string& file, Merged* merged) {
  SPW_ASSIGN(const std::string text, ReadSmallFile(file));
  const auto documents = schema::ReadYaml(file, text);
  if (!documents) return Fail(Code::kInvalid, schema::FormatProblem(documents.error()));
  if (documents->empty()) return Ok();
  const json::value& root = documents->front().value;
  if (!root.is_object() || documents->size() > 1)
    return Fail(Code::kInvalid, file +
                                    ": is not a kubeconfig: one mapping with clusters, users "
                                    "and contexts is expected");
  if (merged->current_context.empty())
    merged->current_context = StringOr(root, "current-context", "");
  SPW_TRY(MergeList(root, file, "clusters", &merged->clusters));
  SPW_TRY(MergeList(root, file, "users", &merged->users));
  return MergeList(root, file, "contexts", &merged->contexts);
}

Result<Merged> Merge(const std::vector<std::string>& files) {
  Merged merged;
  int found = 0;
  for (const std::string& file : files) {
    merged.files += (merged.files.empty() ? "" : ", ") + file;
    const Status status = MergeFile(file, &merged);
    if (status) ++found;
    // kubectl skips missing files of a list as well.
    if (!status && !(status.error().code == Code::kNotFound && files.size() > 1))
      return Fail(status.error());
  }
  if (found == 0)
    return Fail(Code::kNotFound, "there is no kubeconfig: looked at " +
                                     (merged.files.empty() ? "nothing" : merged.files) +
                                     "; set KUBECONFIG or --kubeconfig");
  return merged;
}

Result<const Entry*> Lookup(const Entries& entries, const std::string& name,
                            const std::string& said_by, const std::string& what) {
  const auto found = entries.find(name);
  if (found != entries.end()) return &found->second;
  std::vector<std::string_view> known;
  for (const auto& [other, entry] : entries) known.push_back(other);
  return Fail(
      Code::kNotFound,
      said_by + ": there is no " + what + " named '" + schema::Printable(name) + "': " +
          (known.empty() ? "the file has none" : schema::Suggest(name, known, "there are ")));
}

bool LooksLikePem(std::string_view text) {
  return text.find("-----BEGIN ") != std::string_view::npos;
}

Status ReadCluster(const Entry& cluster, Access* access) {
  SPW_ASSIGN(access->server, cluster.Text("server"));
  while (access->server.ends_with('/')) access->server.pop_back();
  if (!access->server.starts_with("https://") && !access->server.starts_with("http://"))
    return cluster.Wrong("server", "'" + schema::Printable(access->server) + "' is no address",
                         "write https://host:port");
  if (access->server.find('@') != std::string::npos)
    return cluster.Wrong("server", "the address holds a user name", "use users[].user instead");
  SPW_ASSIGN(access->proxy_url, cluster.Text("proxy-url"));
  SPW_ASSIGN(access->tls_server_name, cluster.Text("tls-server-name"));
  SPW_ASSIGN(access->insecure, cluster.Flag("insecure-skip-tls-verify"));
  SPW_ASSIGN(access->ca_pem, cluster.Base64Text("certificate-authority-data"));
  SPW_ASSIGN(const std::string ca_file, cluster.Path("certificate-authority"));
  // Data takes precedence over the file, as in kubectl.
  const bool from_file = access->ca_pem.empty() && !ca_file.empty();
  if (from_file) {
    auto text = ReadSmallFile(ca_file);
    if (!text)
      return Fail(text.error().In(cluster.file + ": " + cluster.Field("certificate-authority")));
    access->ca_pem = *std::move(text);
  }
  const bool has_ca = from_file || !access->ca_pem.empty();
  if (has_ca && !LooksLikePem(access->ca_pem))
    return cluster.Wrong(from_file ? "certificate-authority" : "certificate-authority-data",
                         "holds no certificate in PEM form", "it begins with -----BEGIN");
  if (has_ca && access->insecure)
    return cluster.Wrong("insecure-skip-tls-verify", "contradicts the certificate authority",
                         "remove one of the two");
  return Ok();
}

Status ReadExec(const Entry& user, const json::object& exec, Access* access) {
  ExecPlugin plugin;
  plugin.api_version = StringOr(exec, "apiVersion", "");
  if (plugin.api_version != "client.authentication.k8s.io/v1" &&
      plugin.api_version != "client.authentication.k8s.io/v1beta1")
    return user.Wrong("exec.apiVersion",
                      "'" + schema::Printable(plugin.api_version) + "' is not understood",
                      "write client.authentication.k8s.io/v1");
  std::string command(StringOr(exec, "command", ""));
  if (command.empty()) return user.Wrong("exec.command", "is missing", "name the program");
  if (command.find('/') != std::string::npos)
    command = (std::filesystem::path(user.file).parent_path() / command).lexically_normal();
  plugin.argv.push_back(std::move(command));
  if (const json::array* args = FindArray(exec, "args"))
    for (const json::value& arg : *args) {
      if (!arg.is_string()) return user.Wrong("exec.args", "has an item that is not text", "");
      plugin.argv.emplace_back(View(arg.get_string()));
    }
  if (const json::array* env = FindArray(exec, "env"))
    for (const json::value& item : *env)
      plugin.env.emplace_back(StringOr(item, "name", ""), StringOr(item, "value", ""));
  if (StringOr(exec, "interactiveMode", "IfAvailable") == "Always")
    return user.Wrong("exec.interactiveMode", "Always needs a person at a terminal",
                      "use a service account or a client certificate here");
  plugin.install_hint = StringOr(exec, "installHint", "");
  plugin.provide_cluster_info = BoolOr(exec, "provideClusterInfo", false);
  access->exec = std::move(plugin);
  return Ok();
}

Status ReadCertificate(const Entry& user, Access* access) {
  SPW_ASSIGN(access->client_certificate_pem, user.Base64Text("client-certificate-data"));
  SPW_ASSIGN(access->client_certificate_file, user.Path("client-certificate"));
  SPW_ASSIGN(std::string key, user.Base64Text("client-key-data"));
  SPW_ASSIGN(access->client_key_file, user.Path("client-key"));
  if (!access->client_certificate_pem.empty()) access->client_certificate_file.clear();
  if (!key.empty()) access->client_key_file.clear();
  if (!access->client_certificate_pem.empty() && !LooksLikePem(access->client_certificate_pem))
    return user.Wrong("client-certificate-data", "holds no certificate in PEM form", "");
  if (!key.empty() && !LooksLikePem(key))
    return user.Wrong("client-key-data", "holds no key in PEM form", "");
  const bool has_certificate =
      !access->client_certificate_pem.empty() || !access->client_certificate_file.empty();
  const bool has_key = !key.empty() || !access->client_key_file.empty();
  if (has_certificate != has_key)
    return user.Wrong(has_key ? "client-certificate" : "client-key", "is missing",
                      "a client certificate and its key go together");
  access->client_key_pem = data::SecretText(std::move(key));
  return Ok();
}

Status ReadUser(const Entry& user, Access* access) {
  for (const char* gone : {"username", "password", "auth-provider"})
    if (user.body.contains(gone))
      return user.Wrong(gone, "is no longer understood by Kubernetes",
                        "use a token, a client certificate or exec");
  SPW_TRY(ReadCertificate(user, access));
  SPW_ASSIGN(access->token_file, user.Path("tokenFile"));
  SPW_ASSIGN(std::string token, user.Text("token"));
  // The file takes precedence: it is what gets renewed.
  if (access->token_file.empty()) access->token = data::SecretText(std::move(token));
  if (const json::value* exec = user.body.if_contains("exec"); exec && exec->is_object())
    SPW_TRY(ReadExec(user, exec->get_object(), access));
  SPW_ASSIGN(const std::string as, user.Text("as"));
  SPW_ASSIGN(const std::string as_uid, user.Text("as-uid"));
  if (!as.empty()) access->impersonate.emplace_back("Impersonate-User", as);
  if (!as_uid.empty()) access->impersonate.emplace_back("Impersonate-Uid", as_uid);
  if (const json::array* groups = FindArray(user.body, "as-groups"))
    for (const json::value& group : *groups)
      if (group.is_string())
        access->impersonate.emplace_back("Impersonate-Group", View(group.get_string()));
  for (const auto& [name, value] : access->impersonate)
    if (!net::IsHeaderSafe(value)) return user.Wrong("as", "has control characters", "");
  return Ok();
}

// A credential over plain http is readable by everyone between here and there.
Status CheckEncryption(const Access& access) {
  const bool plain = access.server.starts_with("http://");
  const bool credential = !access.token.empty() || !access.token_file.empty() || access.exec;
  const std::string host = plain ? access.server.substr(7) : "";
  const bool loopback =
      host.starts_with("127.0.0.1") || host.starts_with("localhost") || host.starts_with("[::1]");
  if (plain && credential && !loopback)
    return Fail(Code::kInvalid, access.origin + ": a token is not sent to " + access.server +
                                    " without encryption: use https");
  return Ok();
}

}  // namespace

Surroundings Surroundings::OfProcess() {
  const auto get = [](const char* name) {
    const char* value = std::getenv(name);
    return std::string(value == nullptr ? "" : value);
  };
  Surroundings found;
  found.kubeconfig = get("KUBECONFIG");
  found.home = get("HOME");
  found.service_host = get("KUBERNETES_SERVICE_HOST");
  found.service_port = get("KUBERNETES_SERVICE_PORT");
  return found;
}

Result<std::string> ReadSmallFile(const std::string& path) {
  std::error_code ignored;
  if (std::filesystem::is_directory(path, ignored))
    return Fail(Code::kInvalid, path + ": is a directory");
  std::ifstream file(path, std::ios::binary);
  if (!file) {
    const int reason = errno;
    return Fail(reason == ENOENT ? Code::kNotFound : Code::kDenied,
                path + ": " + std::strerror(reason));
  }
  std::string text(kFileBytes + 1, '\0');
  file.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<std::size_t>(file.gcount()));
  if (text.size() > kFileBytes) return Fail(Code::kInvalid, path + ": is longer than 1 MiB");
  return text;
}

Result<Access> LoadKubeconfig(const std::vector<std::string>& files, const std::string& context) {
  SPW_ASSIGN(const Merged merged, Merge(files));
  const std::string name = context.empty() ? merged.current_context : context;
  if (name.empty())
    return Fail(Code::kInvalid, merged.files +
                                    ": current-context is not set: run kubectl config "
                                    "use-context, or give --context");
  SPW_ASSIGN(const Entry* chosen, Lookup(merged.contexts, name, merged.files, "context"));
  Access access;
  access.origin = "context " + name + " of " + chosen->file;
  SPW_ASSIGN(const std::string cluster_name, chosen->Text("cluster"));
  SPW_ASSIGN(const std::string user_name, chosen->Text("user"));
  SPW_ASSIGN(std::string name_space, chosen->Text("namespace"));
  if (!name_space.empty()) access.default_namespace = std::move(name_space);
  SPW_ASSIGN(const Entry* cluster,
             Lookup(merged.clusters, cluster_name, chosen->file + ": " + chosen->Field("cluster"),
                    "cluster"));
  SPW_TRY(ReadCluster(*cluster, &access));
  if (!user_name.empty()) {
    SPW_ASSIGN(const Entry* user, Lookup(merged.users, user_name,
                                         chosen->file + ": " + chosen->Field("user"), "user"));
    SPW_TRY(ReadUser(*user, &access));
  }
  SPW_TRY(CheckEncryption(access));
  return access;
}

Result<Access> InClusterAccess(const Surroundings& surroundings) {
  if (surroundings.service_host.empty() || surroundings.service_port.empty())
    return Fail(Code::kNotFound,
                "not in a pod: KUBERNETES_SERVICE_HOST and "
                "KUBERNETES_SERVICE_PORT are not set");
  const std::string& directory = surroundings.service_account_directory;
  Access access;
  access.origin = "the pod's service account";
  access.in_cluster = true;
  const bool v6 = surroundings.service_host.find(':') != std::string::npos;
  access.server = "https://" +
                  (v6 ? "[" + surroundings.service_host + "]" : surroundings.service_host) + ":" +
                  surroundings.service_port;
  access.token_file = directory + "/token";
  const std::string remedy = ": is automountServiceAccountToken off for this pod?";
  auto token = ReadSmallFile(access.token_file);
  if (!token) return Fail(Code::kNotFound, token.error().message + remedy);
  auto ca = ReadSmallFile(directory + "/ca.crt");
  if (!ca) return Fail(Code::kNotFound, ca.error().message + remedy);
  access.ca_pem = *std::move(ca);
  if (auto name_space = ReadSmallFile(directory + "/namespace"); name_space) {
    while (name_space->ends_with('\n')) name_space->pop_back();
    if (!name_space->empty()) access.default_namespace = *std::move(name_space);
  }
  return access;
}

Result<Access> FindAccess(const std::string& kubeconfig, const std::string& context,
                          const Surroundings& surroundings) {
  if (!kubeconfig.empty()) return LoadKubeconfig({kubeconfig}, context);
  std::vector<std::string> files;
  std::string_view list = surroundings.kubeconfig;
  while (!list.empty()) {
    const std::size_t end = std::min(list.find(':'), list.size());
    if (end > 0) files.emplace_back(list.substr(0, end));
    list.remove_prefix(std::min(end + 1, list.size()));
  }
  if (!files.empty()) return LoadKubeconfig(files, context);
  const std::string usual = surroundings.home + "/.kube/config";
  std::error_code ignored;
  if (!surroundings.home.empty() && std::filesystem::exists(usual, ignored))
    return LoadKubeconfig({usual}, context);
  if (!surroundings.service_host.empty()) return InClusterAccess(surroundings);
  return Fail(Code::kNotFound, "no Kubernetes cluster is known: " +
                                   (surroundings.home.empty() ? "" : usual + " does not exist, ") +
                                   "KUBECONFIG is not set, and this is not a pod; set KUBECONFIG "
                                   "or give --kubeconfig");
}

}  // namespace spillway::kube
