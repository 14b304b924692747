// ExecCloud: a cloud that an executable speaks for. Every call starts the executable once, as
//   command... offers|preflight|create|resume|list|delete
// with the request on standard input; docs/reference/exec-provider.md is the contract.
//
// When a call with an effect (create, resume, delete) ends without an answer that can be read, it
// is kMaybeApplied; any other call is then kUnavailable. Secrets never are arguments, and pieces of
// the user data and of handed-on environment variables are not repeated in logs and errors.
#pragma once

#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/json.h"
#include "catalog/catalog.h"
#include "clouds/exec/messages.h"
#include "ports/cloud.h"
#include "process/program.h"

namespace spillway::exec {

struct ExecOptions {
  OfferFrame frame;                      // `now` is set with every call
  std::vector<std::string> command;      // absolute path and arguments
  std::vector<std::string> environment;  // NAME=value, all there is
  std::vector<std::string> secrets;      // never repeated in logs and errors
  Duration timeout{5min};                // of create, resume, delete; real time
  Duration read_timeout{30s};            // of offers, preflight, list; real time
  Duration grace{5s};
  std::size_t max_output = 4 << 20;
};

// Value of a variable of this process; nullopt: not set.
using Environment = std::function<std::optional<std::string>(const std::string& name)>;

// The account that a CloudProvider object of type "exec" describes. Executables must lie below
// `directory` (empty: none may run), after symbolic links, and not be writable by everybody.
// kInvalid names the field; kNotFound: no such catalogue entry.
Result<ExecOptions> ExecOptionsFrom(const json::value& cloud_provider,
                                    const catalog::Catalog& catalog,
                                    const std::filesystem::path& directory,
                                    const Environment& environment);

// Thread-safe; calls run side by side.
class ExecCloud final : public ports::Cloud {
 public:
  // `clock` must outlive the cloud.
  ExecCloud(ExecOptions options, const Clock& clock);

  Result<std::vector<Offer>> Offers() override;
  Status Preflight() override;
  Result<ports::Instance> Create(const ports::InstanceSpec& spec) override;
  Status Resume(const std::string& instance_id) override;
  Result<ports::Inventory> List(const std::string& cluster_id) override;
  Result<ports::DeleteProgress> Delete(const std::string& instance_id, const std::string& name,
                                       const std::string& cluster_id) override;

 private:
  struct Call;
  Result<json::value> Run(const Call& call, const std::string& request,
                          std::vector<std::string> secrets) const;
  Error Unclear(const Call& call, std::string_view why) const;

  const ExecOptions options_;
  const Clock& clock_;
};

}  // namespace spillway::exec
