#include "clouds/openstack/clouds_yaml.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <fstream>
#include <iterator>
#include <optional>
#include <vector>

#include "net/web_client.h"
#include "schema/yaml.h"

namespace spillway::openstack {
namespace {

constexpr std::uintmax_t kMaxFileBytes = 1u << 20;
constexpr std::size_t kMaxValueBytes = 8u << 10;

// A mapping of the file with the place of each member.
struct Node {
  const json::object* object = nullptr;
  const schema::Place* place = nullptr;
  std::string path;  // "clouds.lab.auth"

  const json::value* Find(std::string_view key, const schema::Place** where) const {
    if (object == nullptr) return nullptr;
    std::size_t index = 0;
    for (const auto& member : *object) {
      if (std::string_view(member.key()) == key) {
        *where = &place->Child(index);
        return &member.value();
      }
      ++index;
    }
    return nullptr;
  }
  Node In(std::string_view key) const {
    const schema::Place* where = nullptr;
    const json::value* value = Find(key, &where);
    Node inner{nullptr, nullptr, path.empty() ? std::string(key) : path + "." + std::string(key)};
    if (value == nullptr || !value->is_object()) return inner;
    inner.object = &value->get_object();
    inner.place = where;
    return inner;
  }
};

// Reads one entry from its place in clouds.yaml and, for what is missing there, in secure.yaml.
class EntryReader {
 public:
  EntryReader(std::string_view file, Node entry, Node secure)
      : file_(file), entry_(std::move(entry)), secure_(std::move(secure)) {}

  Result<CloudConfig> Read(std::string_view name) {
    CloudConfig config;
    config.name = name;
    config.file = file_;
    ReadKind(config);
    config.auth_url = Text("auth", "auth_url");
    if (config.auth_url.empty())
      Missing("auth.auth_url", "the address of Keystone, https://HOST:5000/v3");
    FixUrl(config.auth_url);
    if (config.auth_type == AuthType::kPassword)
      ReadPassword(config);
    else
      ReadCredential(config);
    config.region_name = Text("", "region_name");
    ReadInterface(config);
    config.ca_file = Text("", "cacert");
    config.verify = Flag("verify", true);
    if (problem_) return Fail(std::move(*problem_));
    return config;
  }

 private:
  void Wrong(const schema::Position& at, std::string field, std::string wrong, std::string right) {
    if (problem_) return;
    problem_ = Error{Code::kInvalid,
                     schema::FormatProblem({std::string(file_), at, std::move(field),
                                            std::move(wrong), std::move(right)}),
                     std::nullopt};
  }
  void Missing(std::string_view field, std::string right) {
    Wrong(entry_.place->at, entry_.path + "." + std::string(field), "is missing", std::move(right));
  }

  // A scalar as text; what was written for one that is not a string, since "password: 007" means
  // these three characters.
  std::string Text(std::string_view group, std::string_view key) {
    for (const Node* root : {&entry_, &secure_}) {
      const Node node = group.empty() ? *root : root->In(group);
      const schema::Place* where = nullptr;
      const json::value* value = node.Find(key, &where);
      if (value == nullptr || value->is_null()) continue;
      std::string text;
      if (value->is_string())
        text = View(value->get_string());
      else if (!value->is_object() && !value->is_array())
        text = where->raw;
      if (text.empty() || text.size() > kMaxValueBytes || !net::IsHeaderSafe(text))
        Wrong(where->at, node.path + "." + std::string(key), "is not a text of one line",
              "a text in quotes");
      return text;
    }
    return {};
  }
  std::string Text(std::string_view key) { return Text("auth", key); }

  bool Flag(std::string_view key, bool fallback) {
    const schema::Place* where = nullptr;
    const json::value* value = entry_.Find(key, &where);
    if (value == nullptr || value->is_null()) return fallback;
    if (value->is_bool()) return value->get_bool();
    Wrong(where->at, entry_.path + "." + std::string(key), "is not true or false",
          "true, or leave it out");
    return fallback;
  }

  void ReadKind(CloudConfig& config) {
    const std::string type = Text("", "auth_type");
    if (type == "v3applicationcredential")
      config.auth_type = AuthType::kApplicationCredential;
    else if (type.empty() || type == "password" || type == "v3password")
      config.auth_type = AuthType::kPassword;
    else
      Wrong(entry_.place->at, entry_.path + ".auth_type",
            fmt::format("\"{}\" is not supported", schema::Printable(type)),
            "password or v3applicationcredential");
  }

  void FixUrl(std::string& url) {
    if (url.empty()) return;
    while (url.ends_with('/')) url.pop_back();
    if (!net::SplitUrl(url) || url.find('?') != std::string::npos)
      return Wrong(entry_.place->at, entry_.path + ".auth.auth_url", "is not an address",
                   "https://HOST:5000/v3");
    if (url.ends_with("/v2.0"))
      return Wrong(entry_.place->at, entry_.path + ".auth.auth_url",
                   "is version 2 of the Identity API", "the address that ends with /v3");
    if (!url.ends_with("/v3")) url += "/v3";
    if (!net::IsPrivateUrl(url))
      Wrong(entry_.place->at, entry_.path + ".auth.auth_url",
            "would send the password without encryption", "an https address");
  }

  NameOrId Named(std::string_view name, std::string_view id) { return {Text(name), Text(id)}; }

  void ReadPassword(CloudConfig& config) {
    config.user = Named("username", "user_id");
    config.user_domain = Named("user_domain_name", "user_domain_id");
    config.project = Named("project_name", "project_id");
    if (config.project.empty()) config.project = Named("tenant_name", "tenant_id");
    config.project_domain = Named("project_domain_name", "project_domain_id");
    const std::string domain = Text("domain_name"), domain_id = Text("domain_id");
    const std::string fallback_id = Text("default_domain_id");
    for (NameOrId* which : {&config.user_domain, &config.project_domain}) {
      if (!which->empty()) continue;
      *which = {domain, domain_id.empty() ? fallback_id : domain_id};
      if (which->empty()) which->id = "default";
    }
    config.password = Text("password");
    if (config.user.empty()) Missing("auth.username", "the user's name");
    if (config.password.empty())
      Missing("auth.password", "the password, here or in secure.yaml beside it");
    if (config.project.empty()) Missing("auth.project_name", "the project that machines go into");
  }

  void ReadCredential(CloudConfig& config) {
    config.credential = Named("application_credential_name", "application_credential_id");
    config.secret = Text("application_credential_secret");
    config.user = Named("username", "user_id");
    config.user_domain = Named("user_domain_name", "user_domain_id");
    if (config.user_domain.empty()) config.user_domain.id = "default";
    if (config.credential.empty())
      Missing("auth.application_credential_id", "the id of the application credential");
    if (config.secret.empty())
      Missing("auth.application_credential_secret", "its secret, here or in secure.yaml beside it");
    if (config.credential.id.empty() && config.user.empty())
      Missing("auth.username", "whose credential it is, or application_credential_id");
  }

  void ReadInterface(CloudConfig& config) {
    std::string text = Text("", "interface");
    if (text.empty()) text = Text("", "endpoint_type");
    if (text.empty()) return;
    if (text.ends_with("URL")) text.resize(text.size() - 3);  // as it was once written
    static constexpr std::array<std::string_view, 3> kKnown = {"public", "internal", "admin"};
    if (std::find(kKnown.begin(), kKnown.end(), text) == kKnown.end())
      return Wrong(entry_.place->at, entry_.path + ".interface",
                   fmt::format("\"{}\" is not an interface", schema::Printable(text)),
                   "public, internal or admin");
    config.interface = text;
  }

  std::string_view file_;
  Node entry_, secure_;
  std::optional<Error> problem_;
};

Result<std::vector<schema::Document>> Parse(std::string_view file, std::string_view text) {
  schema::YamlLimits limits;
  limits.max_bytes = kMaxFileBytes;
  limits.max_documents = 1;
  auto documents = schema::ReadYaml(file, text, limits);
  if (!documents) return Fail(Code::kInvalid, schema::FormatProblem(documents.error()));
  return std::move(*documents);
}

Node RootOf(const std::vector<schema::Document>& documents) {
  if (documents.empty() || !documents[0].value.is_object()) return {};
  return {&documents[0].value.get_object(), &documents[0].place, ""};
}

Result<std::string> ReadText(const std::filesystem::path& path) {
  std::error_code error;
  const std::uintmax_t size = std::filesystem::file_size(path, error);
  if (error) return Fail(Code::kInvalid, fmt::format("{}: {}", path.string(), error.message()));
  if (size > kMaxFileBytes)
    return Fail(Code::kInvalid, fmt::format("{}: is larger than 1 MiB", path.string()));
  std::ifstream in(path, std::ios::binary);
  std::string text((std::istreambuf_iterator<char>(in)), std::istreambuf_iterator<char>());
  if (in.bad() || text.size() != size)
    return Fail(Code::kInvalid, fmt::format("{}: cannot be read", path.string()));
  return text;
}

}  // namespace

Result<CloudConfig> ReadClouds(std::string_view file, std::string_view text,
                               std::string_view secure_text, std::string_view cloud) {
  SPW_ASSIGN(const std::vector<schema::Document> documents, Parse(file, text));
  SPW_ASSIGN(const std::vector<schema::Document> secure, Parse("secure.yaml", secure_text));
  const Node clouds = RootOf(documents).In("clouds");
  if (clouds.object == nullptr)
    return Fail(Code::kInvalid, fmt::format("{}: clouds: is missing: clouds: {{NAME: {{auth: "
                                            "{{auth_url: https://HOST:5000/v3, ...}}}}}}",
                                            file));
  Node entry = clouds.In(cloud);
  if (entry.object == nullptr) {
    std::vector<std::string_view> names;
    for (const auto& member : *clouds.object) names.emplace_back(member.key());
    return Fail(Code::kNotFound,
                fmt::format("{}: clouds.{}: is not there: {}", file, schema::Printable(cloud),
                            schema::Suggest(cloud, names, "there is ")));
  }
  return EntryReader(file, std::move(entry), RootOf(secure).In("clouds").In(cloud)).Read(cloud);
}

Result<CloudConfig> LoadClouds(const std::filesystem::path& file, std::string_view cloud) {
  SPW_ASSIGN(const std::string text, ReadText(file));
  std::string secure_text;
  const std::filesystem::path secure = file.parent_path() / "secure.yaml";
  std::error_code ignored;
  if (std::filesystem::exists(secure, ignored)) {
    SPW_ASSIGN(secure_text, ReadText(secure));
  }
  return ReadClouds(file.string(), text, secure_text, cloud);
}

}  // namespace spillway::openstack
