// clouds.yaml: the file in which people keep their OpenStack accounts.
// https://docs.openstack.org/openstacksdk/latest/user/config/configuration.html
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

#include "base/result.h"

namespace spillway::openstack {

enum class AuthType { kPassword, kApplicationCredential };

// A name or an id of something in Keystone; the id counts where both are known.
struct NameOrId {
  std::string name, id;
  bool empty() const { return name.empty() && id.empty(); }
};

// One entry below `clouds`. `password` and `secret` go to Keystone and nowhere else.
struct CloudConfig {
  std::string name;      // of the entry
  std::string file;      // that it stands in, for messages
  std::string auth_url;  // ends with /v3
  AuthType auth_type = AuthType::kPassword;
  NameOrId user, user_domain, project, project_domain;
  std::string password;
  NameOrId credential;  // application credential
  std::string secret;
  std::string region_name;           // empty: the only one of the service catalogue
  std::string interface = "public";  // public, internal or admin
  std::string ca_file;
  bool verify = true;
};

// The entry `cloud` of clouds.yaml text; `secure_text` is that of secure.yaml and may be empty.
// What stands in it fills the gaps of the first. kInvalid with "file:line:col: field: what is
// wrong: what would be right", kNotFound if there is no such entry. A value that is a secret is
// never repeated.
Result<CloudConfig> ReadClouds(std::string_view file, std::string_view text,
                               std::string_view secure_text, std::string_view cloud);

// The same from a file of at most 1 MiB, with the secure.yaml beside it if there is one.
Result<CloudConfig> LoadClouds(const std::filesystem::path& file, std::string_view cloud);

}  // namespace spillway::openstack
