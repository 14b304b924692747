// An AWS shared credentials file: profiles with keys, as users have it from other tools.
// https://docs.aws.amazon.com/sdkref/latest/guide/file-format.html
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>

#include "base/result.h"
#include "s3/signer.h"

namespace spillway::s3 {

// [profile] sections with aws_access_key_id, aws_secret_access_key and, of temporary credentials,
// aws_session_token; endpoint_url names the only store that the keys are for. Other settings are
// left alone. kInvalid names file, line and mistake, never a value.
Result<std::map<std::string, Credentials>> ReadCredentials(std::string_view text,
                                                           const std::string& file);

// The file, read again when it has changed, so that keys can be renewed while a program runs.
// Thread-safe.
class CredentialsFile {
 public:
  static constexpr std::size_t kMaxBytes = 1 << 20;

  explicit CredentialsFile(std::string path) : path_(std::move(path)) {}

  // Ok if it can be read.
  Status Check();
  // kDenied names the file and what is missing in it: also when it cannot be read.
  Result<Credentials> Find(const std::string& profile);

 private:
  struct Seen;
  Status Refresh();

  const std::string path_;
  std::mutex mutex_;
  std::shared_ptr<const Seen> seen_;  // of what was read last
  std::map<std::string, Credentials> profiles_;
};

}  // namespace spillway::s3
