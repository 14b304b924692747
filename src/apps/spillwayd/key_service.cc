#include "key_service.h"

#include "gateway/key_transit.h"

namespace spillway {

void AddKeyServiceOptions(CLI::App& app, KeyServiceFlags& flags) {
  app.add_option("--key-service", flags.url,
                 "URL of an OpenBao or Vault whose transit engine keeps the run keys (default: "
                 "files of the state directory)");
  app.add_option("--key-service-token-file", flags.token_file,
                 "file with the token for it; read again for each request");
  app.add_option("--key-service-mount", flags.mount, "where the transit engine is mounted")
      ->capture_default_str();
  app.add_option("--key-service-namespace", flags.name_space, "namespace of the transit engine");
  app.add_option("--key-service-ca-file", flags.ca_file,
                 "certificates to trust for it (PEM; default: the system's)");
}

Result<std::shared_ptr<ports::KeyService>> OpenKeyService(const KeyServiceFlags& flags,
                                                          const std::string& cluster_id) {
  if (flags.url.empty()) {
    if (flags.token_file.empty() && flags.name_space.empty() && flags.ca_file.empty())
      return nullptr;
    return Fail(Code::kInvalid,
                "--key-service-token-file, -namespace and -ca-file belong to --key-service");
  }
  gateway::TransitOptions options;
  options.url = flags.url;
  options.mount = flags.mount;
  options.name_space = flags.name_space;
  options.token_file = flags.token_file;
  options.ca_file = flags.ca_file;
  options.key_prefix = "spillway-" + cluster_id;
  SPW_ASSIGN(std::unique_ptr<gateway::Transit> transit, gateway::Transit::Open(std::move(options)));
  return std::shared_ptr<ports::KeyService>(std::move(transit));
}

}  // namespace spillway
