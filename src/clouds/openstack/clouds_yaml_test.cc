#include "clouds/openstack/clouds_yaml.h"

#include <gmock/gmock.h>
#include <stdlib.h>

#include <fstream>

namespace spillway::openstack {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

constexpr const char* kPassword = R"(
clouds:
  lab:
    region_name: RegionOne
    interface: internal
    cacert: /etc/ssl/lab.pem
    verify: true
    auth:
      auth_url: https://lab.example:5000
      username: adapter
      password: 1e3
      project_name: gpu-demo
      user_domain_name: Default
      project_domain_id: default
)";

constexpr const char* kCredential = R"(
clouds:
  lab:
    auth_type: v3applicationcredential
    auth:
      auth_url: https://lab.example:5000/v3/
      application_credential_id: b3ef99acb46549feb7f4a2643f6532f1
)";

std::string Complaint(const std::string& text, const std::string& secure = "") {
  const auto read = ReadClouds("clouds.yaml", text, secure, "lab");
  return read ? "" : read.error().message;
}

// kPassword with one line replaced.
std::string With(const std::string& line, const std::string& other) {
  std::string text = kPassword;
  const std::size_t at = text.find(line);
  EXPECT_NE(at, std::string::npos) << line;
  return text.replace(at, line.size(), other);
}

TEST(Clouds, APasswordAccountIsRead) {
  const auto cloud = ReadClouds("clouds.yaml", kPassword, "", "lab");
  ASSERT_TRUE(cloud) << cloud.error().message;
  EXPECT_EQ(cloud->auth_url, "https://lab.example:5000/v3");
  EXPECT_EQ(cloud->auth_type, AuthType::kPassword);
  EXPECT_EQ(cloud->user.name, "adapter");
  EXPECT_EQ(cloud->password, "1e3");  // as written, not the number 1000
  EXPECT_EQ(cloud->user_domain.name, "Default");
  EXPECT_EQ(cloud->project_domain.id, "default");
  EXPECT_EQ(cloud->region_name, "RegionOne");
  EXPECT_EQ(cloud->interface, "internal");
  EXPECT_EQ(cloud->ca_file, "/etc/ssl/lab.pem");
  EXPECT_TRUE(cloud->verify);
}

TEST(Clouds, SecureYamlFillsTheGaps) {
  const auto cloud = ReadClouds(
      "clouds.yaml", kCredential,
      "clouds: {lab: {auth: {application_credential_secret: s3cr3t, auth_url: http://other}}}",
      "lab");
  ASSERT_TRUE(cloud) << cloud.error().message;
  EXPECT_EQ(cloud->auth_type, AuthType::kApplicationCredential);
  EXPECT_EQ(cloud->auth_url, "https://lab.example:5000/v3");
  EXPECT_EQ(cloud->secret, "s3cr3t");
  EXPECT_EQ(cloud->interface, "public");
}

TEST(Clouds, WhatIsWrongNamesFileFieldAndRemedy) {
  EXPECT_THAT(Complaint(kCredential),
              AllOf(HasSubstr("clouds.yaml:4:"),
                    HasSubstr("clouds.lab.auth.application_credential_secret: is missing")));
  EXPECT_THAT(Complaint(With("password: 1e3", "x: 1")),
              HasSubstr("clouds.lab.auth.password: is missing: the password, here or in "
                        "secure.yaml beside it"));
  EXPECT_THAT(Complaint(With("project_name: gpu-demo", "x: 1")), HasSubstr("auth.project_name"));
  EXPECT_THAT(Complaint(With("interface: internal", "interface: intranet")),
              HasSubstr("\"intranet\" is not an interface: public, internal or admin"));
  EXPECT_THAT(Complaint(With("verify: true", "verify: maybe")), HasSubstr("true or false"));
  EXPECT_THAT(Complaint(With("https://lab.example:5000", "http://lab.example:5000")),
              HasSubstr("without encryption: an https address"));
  EXPECT_THAT(Complaint(With("https://lab.example:5000", "https://lab.example:5000/v2.0")),
              HasSubstr("version 2 of the Identity API"));
  EXPECT_THAT(
      Complaint(With("region_name: RegionOne", "auth_type: v3oidcpassword")),
      HasSubstr("\"v3oidcpassword\" is not supported: password or v3applicationcredential"));
  EXPECT_THAT(Complaint("clouds: {laab: {}}"), HasSubstr("clouds.lab: is not there: did you mean"));
  EXPECT_THAT(Complaint("clouds: [1]"), HasSubstr("clouds: is missing"));
  EXPECT_THAT(Complaint(""), HasSubstr("clouds: is missing"));
  EXPECT_THAT(Complaint("clouds: {lab: {auth: [}"), HasSubstr("clouds.yaml:1:"));
}

TEST(Clouds, ASecretIsNotRepeated) {
  const std::string text = With("password: 1e3", "password: [hunter2]");
  EXPECT_THAT(Complaint(text), AllOf(HasSubstr("auth.password"), Not(HasSubstr("hunter2"))));
  EXPECT_THAT(Complaint(With("password: 1e3", "password: \"hun\\nter2\"")),
              AllOf(HasSubstr("auth.password"), Not(HasSubstr("ter2"))));
}

TEST(Clouds, FilesAreReadTogether) {
  char name[] = "/tmp/clouds-yaml-XXXXXX";
  ASSERT_NE(::mkdtemp(name), nullptr);
  const std::filesystem::path directory = name;
  std::ofstream(directory / "clouds.yaml") << kCredential;
  std::ofstream(directory / "secure.yaml")
      << "clouds: {lab: {auth: {application_credential_secret: s3cr3t}}}\n";
  const auto cloud = LoadClouds(directory / "clouds.yaml", "lab");
  EXPECT_TRUE(cloud) << cloud.error().message;
  EXPECT_EQ(LoadClouds(directory / "clouds.yaml", "other").error().code, Code::kNotFound);
  EXPECT_THAT(LoadClouds(directory / "absent.yaml", "lab").error().message,
              HasSubstr("absent.yaml: "));
  std::filesystem::remove_all(directory);
}

}  // namespace
}  // namespace spillway::openstack
