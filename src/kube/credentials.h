// What goes with each request: kept fresh from files and exec plugins.
#pragma once

#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "kube/kubeconfig.h"
#include "kube/timing.h"

namespace spillway::kube {

struct Credentials {
  std::string certificate_pem;
  data::SecretText key_pem;
  data::SecretText token;
};

struct CredentialLimits {
  Duration file_cache = 1min;   // files are read again after so long
  Duration exec_timeout = 30s;  // of one run of a plugin
  std::size_t exec_bytes = 256 << 10;
  Duration expiry_margin = 10s;  // a plugin's credential is renewed so long before its end
  Duration exec_retry = 5s;      // a failed plugin is not run again sooner
};

// Thread-safe. One caller at a time reads files or runs the plugin; others wait for it, at most for
// exec_timeout.
class CredentialSource {
 public:
  CredentialSource(const Access& access, const Clock& clock, CredentialLimits limits = {});

  // kDenied with file or plugin and remedy. While a file that was good before cannot be read, the
  // old content is used.
  Result<std::shared_ptr<const Credentials>> Get();

  // The server refused `used` (401): the next Get() reads again. Nothing happens if a newer one is
  // already there.
  void Rejected(const std::shared_ptr<const Credentials>& used);

 private:
  Result<Credentials> Read();
  Result<Credentials> ReadFiles() const;
  Status RunPlugin(Credentials* credentials);

  const Access access_;
  const Clock& clock_;
  const CredentialLimits limits_;
  std::mutex mutex_;
  std::shared_ptr<const Credentials> current_;
  std::optional<Duration> fresh_until_;  // steady; nullopt: for ever
  bool rejected_ = false;
  std::optional<Error> plugin_failure_;
  Duration plugin_failed_at_{0};
  std::optional<Time> expires_;  // of the plugin's credential
};

// The ExecCredential that a plugin printed. `api_version` must be the one asked for. Errors never
// repeat what the plugin said.
struct ExecCredential {
  Credentials credentials;
  std::optional<Time> expires;
};
Result<ExecCredential> ParseExecCredential(std::string_view text, std::string_view api_version);

}  // namespace spillway::kube
