// From a CloudProvider object to the executable it names.
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include "clouds/exec/exec_cloud.h"

namespace spillway::exec {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kShortestSecret = 6;  // shorter values are no secrets and occur by chance

std::vector<std::string> Texts(const json::value& value, std::string_view key) {
  std::vector<std::string> texts;
  if (const json::array* list = FindArray(value, key))
    for (const json::value& item : *list)
      if (item.is_string()) texts.emplace_back(View(item.get_string()));
  return texts;
}

// Below `directory` after symbolic links, so that an object cannot make the daemon run just
// anything that is on its machine.
Result<std::string> Executable(const std::string& path, const fs::path& directory) {
  const auto wrong = [&](std::string_view why) {
    return Fail(Code::kInvalid, fmt::format("spec.exec.command[0]: {} {}", path, why));
  };
  if (directory.empty()) return wrong("may not run: start spillwayd with --exec-directory");
  std::error_code error;
  const fs::path place = fs::canonical(directory, error);
  if (error)
    return wrong(fmt::format("may not run: the directory {} of --exec-directory: {}",
                             directory.string(), error.message()));
  const fs::path real = fs::canonical(path, error);
  if (error) return wrong("cannot be found: " + error.message());
  const auto [end, unused] = std::mismatch(place.begin(), place.end(), real.begin(), real.end());
  if (end != place.end())
    return wrong(fmt::format("is not below {}, the directory of --exec-directory", place.string()));
  struct stat info{};
  if (::stat(real.c_str(), &info) != 0 || !S_ISREG(info.st_mode) ||
      ::access(real.c_str(), X_OK) != 0)
    return wrong("is not an executable file");
  if ((info.st_mode & S_IWOTH) != 0) return wrong("may be written by everybody: chmod o-w");
  return real.string();
}

Status ReadEnvironment(const json::value& exec, const Environment& environment,
                       ExecOptions& options) {
  options.environment = {"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
                         "LANG=C.UTF-8"};
  const auto set = [&](const std::string& name, const std::string& value) {
    std::erase_if(options.environment,
                  [&](const std::string& entry) { return entry.starts_with(name + "="); });
    options.environment.push_back(name + "=" + value);
  };
  if (const json::array* variables = FindArray(exec, "environment"))
    for (const json::value& variable : *variables)
      set(std::string(StringOr(variable, "name", "")),
          std::string(StringOr(variable, "value", "")));
  for (const std::string& name : Texts(exec, "passEnvironment")) {
    const std::optional<std::string> value = environment(name);
    if (!value)
      return Fail(
          Code::kInvalid,
          fmt::format("spec.exec.passEnvironment: {} is not set where spillwayd runs", name));
    set(name, *value);
    if (value->size() >= kShortestSecret) options.secrets.push_back(*value);
  }
  return Ok();
}

Result<Duration> Span(const json::value& exec, std::string_view key, Duration fallback) {
  const std::string_view text = StringOr(exec, key, "");
  if (text.empty()) return fallback;
  const Result<Duration> span = ParseDuration(text);
  if (!span) return Fail(span.error().In(fmt::format("spec.exec.{}", key)));
  if (*span < 1s || *span > 1h)
    return Fail(Code::kInvalid, fmt::format("spec.exec.{}: {} is not within 1s and 1h", key, text));
  return span;
}

Status ReadExec(const json::value& spec, const fs::path& directory, const Environment& environment,
                ExecOptions& options) {
  const json::value* exec = Find(spec, "exec");
  if (exec == nullptr) return Fail(Code::kInvalid, "spec.exec: is missing");
  options.command = Texts(*exec, "command");
  if (options.command.empty()) return Fail(Code::kInvalid, "spec.exec.command: is missing");
  SPW_ASSIGN(options.command[0], Executable(options.command[0], directory));
  SPW_TRY(ReadEnvironment(*exec, environment, options));
  SPW_ASSIGN(options.timeout, Span(*exec, "timeout", options.timeout));
  SPW_ASSIGN(options.read_timeout, Span(*exec, "readTimeout", options.read_timeout));
  return Ok();
}

}  // namespace

Result<ExecOptions> ExecOptionsFrom(const json::value& cloud_provider,
                                    const catalog::Catalog& catalog, const fs::path& directory,
                                    const Environment& environment) {
  SPW_ASSIGN(const catalog::Entry* const entry, catalog.EntryOf(cloud_provider));
  const json::value& spec = cloud_provider.at("spec");
  ExecOptions options;
  options.frame.provider = StringOr(cloud_provider.at("metadata"), "name", "");
  options.frame.catalog = entry->facts.id;
  options.frame.places = entry->regions;
  options.frame.regions = Texts(spec, "regions");
  if (const Status read = ReadExec(spec, directory, environment, options); !read)
    return Fail(read.error().In("CloudProvider/" + options.frame.provider));
  return options;
}

}  // namespace spillway::exec
