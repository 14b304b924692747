#include "tests/ceph/lab.h"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <fstream>

#include "base/encoding.h"

namespace spillway::ceph {
namespace {

std::string Endpoint() {
  std::ifstream file(Directory() + "/s3.env");
  constexpr std::string_view kName = "S3_ENDPOINT=";
  for (std::string line; std::getline(file, line);)
    if (line.starts_with(kName)) return line.substr(kName.size());
  return "http://127.0.0.1:1";
}

}  // namespace

std::string Directory() {
  const char* directory = std::getenv("SPILLWAY_TEST_CEPH");
  return directory == nullptr ? "" : directory;
}

Lab::Lab() : access_({.credentials_file = credentials_file(), .ca_file = ""}, clock_) {
  static std::atomic<int> serial = 0;
  bucket_.endpoint = Endpoint();
  bucket_.name =
      fmt::format("t-{}-{}-{}", getpid(), clock_.Now().time_since_epoch().count(), ++serial);
  bucket_.profile = "dev";
  const auto made = Ask("PUT", "/" + bucket_.name, {});
  EXPECT_TRUE(made) << made.error().message;
}

Result<std::string> Lab::Ask(const std::string& method, const std::string& path,
                             const s3::Pairs& query, const std::string& service,
                             const std::string& body) {
  s3::CredentialsFile file(credentials_file());
  SPW_ASSIGN(const s3::Credentials credentials, file.Find(bucket_.profile));
  s3::ToSign sign{method, path, query, {}, Sha256Hex(body)};
  sign.headers = {{"Host", bucket_.endpoint.substr(bucket_.endpoint.find("://") + 3)},
                  {"x-amz-content-sha256", sign.payload},
                  {"x-amz-date", s3::AmzDate(clock_.Now())}};
  net::WebRequest request;
  request.method = method;
  request.url = bucket_.endpoint + path;
  if (!query.empty()) request.url += "?" + s3::CanonicalQuery(query);
  for (const auto& [name, value] : sign.headers) request.headers.Add(name, value);
  request.headers.Add("Authorization",
                      s3::Authorization(sign, credentials, {"us-east-1", service, clock_.Now()}));
  request.body = body;
  net::WebClient web;
  SPW_ASSIGN(const net::HttpResponse response, web.Do(request));
  if (response.status / 100 == 2) return response.body;
  return Fail(s3::ErrorOf(response, method + " " + path));
}

bool Lab::Power(std::string_view words) {
  return std::system(fmt::format("{}/scripts/partners/ceph-power --dir {} {} >/dev/null",
                                 SPILLWAY_SOURCE_DIR, Directory(), words)
                         .c_str()) == 0;
}

}  // namespace spillway::ceph
