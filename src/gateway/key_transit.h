// Run keys under the transit engine of OpenBao or HashiCorp Vault, which speak one API.
//
// Every run has a key of its own there, which never leaves; the run key is a data key wrapped by
// it, and only the wrapped form is kept at the site. Deleting the key there ends the run key
// wherever a copy of the wrapped form may be. What the token must be allowed is in
// docs/operations.md.
#pragma once

#include <memory>
#include <string>

#include "base/result.h"
#include "net/web_client.h"
#include "ports/key_service.h"

namespace spillway::gateway {

struct TransitOptions {
  std::string url;  // of the server: "https://bao.example:8200", without a path
  std::string mount = "transit";
  std::string name_space;  // empty: none is named
  std::string token_file;  // its first line; read for each request, so that it may be renewed
  std::string ca_file;     // certificates to trust (PEM); empty: the system's
  std::string key_prefix;  // keys are called PREFIX-RUN: 1 to 80 of a-z, A-Z, 0-9, '-', '_', '.'
  Duration timeout = 10s;  // of one request
};

class Transit final : public ports::KeyService {
 public:
  // Does not connect. kInvalid names the option that cannot be, also a URL over which the token
  // could be read on the way.
  static Result<std::unique_ptr<Transit>> Open(TransitOptions options);

  std::string Name() const override;
  Status Check() override;
  Result<ports::KeyRecord> Create(const std::string& run, Time now, ports::KeyBytes key) override;
  Status Unwrap(const std::string& run, const std::string& wrapped, ports::KeyBytes key) override;
  Result<ports::KeyEnd> Destroy(const std::string& run, Time now) override;

 private:
  struct Answer;
  explicit Transit(TransitOptions options);
  std::string KeyPath(const std::string& run) const;
  // `path` below "/v1/". Whatever the status of HTTP; the answer's body is wiped with it.
  Result<Answer> Send(const std::string& method, const std::string& path, std::string body = "");
  // The same, and what is no success is an error.
  Result<Answer> Ask(const std::string& method, const std::string& path, std::string body = "");
  Error Refused(const std::string& path, const Answer& answer) const;
  // Ok when its key is there and can be neither read out nor backed up.
  Result<ports::KeyRecord> LookAt(const std::string& run, Time now);

  const TransitOptions options_;
  net::WebClient client_;
};

// "Sun, 06 Nov 1994 08:49:37 GMT" (RFC 9110 section 5.6.7); kInvalid otherwise.
Result<Time> ParseHttpDate(const std::string& text);

}  // namespace spillway::gateway
