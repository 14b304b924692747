#include "kube/credentials.h"

#include <algorithm>

#include "base/encoding.h"
#include "net/http_message.h"
#include "process/program.h"
#include "schema/problem.h"

namespace spillway::kube {
namespace {

std::string Trimmed(std::string text) {
  const auto space = [](char c) { return c == ' ' || c == '\n' || c == '\r' || c == '\t'; };
  while (!text.empty() && space(text.back())) text.pop_back();
  text.erase(text.begin(), std::find_if_not(text.begin(), text.end(), space));
  return text;
}

// RFC 3339 with an offset; Kubernetes writes Z, plugins in other languages may not.
Result<Time> ParseAnyTime(std::string_view text) {
  if (text.size() > 6 && (text[text.size() - 6] == '+' || text[text.size() - 6] == '-')) {
    const std::string_view offset = text.substr(text.size() - 6);
    const auto digit = [&](std::size_t i) { return offset[i] - '0'; };
    SPW_ASSIGN(const Time local, ParseTime(std::string(text.substr(0, text.size() - 6)) + "Z"));
    for (const std::size_t i : {1u, 2u, 4u, 5u})
      if (digit(i) < 0 || digit(i) > 9) return ParseTime(text);
    const Duration shift = std::chrono::hours(digit(1) * 10 + digit(2)) +
                           std::chrono::minutes(digit(4) * 10 + digit(5));
    return offset[0] == '+' ? local - shift : local + shift;
  }
  return ParseTime(text);
}

json::object ExecInfo(const Access& access, const ExecPlugin& plugin) {
  json::object spec{{"interactive", false}};
  if (plugin.provide_cluster_info) {
    json::object cluster{{"server", access.server}};
    if (!access.ca_pem.empty())
      cluster["certificate-authority-data"] = Base64(AsBytes(access.ca_pem));
    if (!access.tls_server_name.empty()) cluster["tls-server-name"] = access.tls_server_name;
    if (access.insecure) cluster["insecure-skip-tls-verify"] = true;
    spec["cluster"] = std::move(cluster);
  }
  return {{"apiVersion", plugin.api_version}, {"kind", "ExecCredential"}, {"spec", spec}};
}

}  // namespace

Result<ExecCredential> ParseExecCredential(std::string_view text, std::string_view api_version) {
  const auto value = ParseJson(text);
  if (!value) return Fail(Code::kDenied, "what it printed is not JSON");
  if (StringOr(*value, "kind", "") != "ExecCredential" ||
      StringOr(*value, "apiVersion", "") != api_version)
    return Fail(Code::kDenied,
                "what it printed is not an ExecCredential of " + std::string(api_version));
  const json::object* status = FindObject(*value, "status");
  if (status == nullptr) return Fail(Code::kDenied, "its ExecCredential has no status");
  ExecCredential result;
  result.credentials.token = data::SecretText(Trimmed(std::string(StringOr(*status, "token", ""))));
  result.credentials.certificate_pem = StringOr(*status, "clientCertificateData", "");
  result.credentials.key_pem =
      data::SecretText(std::string(StringOr(*status, "clientKeyData", "")));
  if (result.credentials.certificate_pem.empty() != result.credentials.key_pem.empty())
    return Fail(Code::kDenied, "its ExecCredential has a certificate or a key without the other");
  if (result.credentials.token.empty() && result.credentials.certificate_pem.empty())
    return Fail(Code::kDenied, "its ExecCredential has neither a token nor a certificate");
  if (!net::IsHeaderSafe(result.credentials.token.Reveal()))
    return Fail(Code::kDenied, "its token has control characters");
  if (const std::string_view expiry = StringOr(*status, "expirationTimestamp", "");
      !expiry.empty()) {
    SPW_ASSIGN(result.expires, ParseAnyTime(expiry));
  }
  return result;
}

CredentialSource::CredentialSource(const Access& access, const Clock& clock,
                                   CredentialLimits limits)
    : access_(access), clock_(clock), limits_(limits) {}

Result<Credentials> CredentialSource::ReadFiles() const {
  Credentials read{access_.client_certificate_pem, access_.client_key_pem, access_.token};
  const auto file = [&](const std::string& path) -> Result<std::string> {
    auto text = ReadSmallFile(path);
    if (!text) return Fail(Code::kDenied, access_.origin + ": " + text.error().message);
    if (text->empty()) return Fail(Code::kDenied, access_.origin + ": " + path + " is empty");
    return text;
  };
  if (!access_.client_certificate_file.empty()) {
    SPW_ASSIGN(read.certificate_pem, file(access_.client_certificate_file));
  }
  if (!access_.client_key_file.empty()) {
    SPW_ASSIGN(std::string key, file(access_.client_key_file));
    read.key_pem = data::SecretText(std::move(key));
  }
  if (!access_.token_file.empty()) {
    SPW_ASSIGN(std::string token, file(access_.token_file));
    read.token = data::SecretText(Trimmed(std::move(token)));
  }
  if (!net::IsHeaderSafe(read.token.Reveal()))
    return Fail(Code::kDenied, access_.origin + ": the token has control characters");
  return read;
}

Status CredentialSource::RunPlugin(Credentials* credentials) {
  const ExecPlugin& plugin = *access_.exec;
  auto set = plugin.env;
  set.emplace_back("KUBERNETES_EXEC_INFO", json::serialize(ExecInfo(access_, plugin)));
  process::ProgramPlan plan;
  plan.command = {plugin.argv, process::EnvironmentWith(set), ""};
  plan.timeout = limits_.exec_timeout;
  plan.grace = 0ms;
  plan.max_output = limits_.exec_bytes;
  // Standard error is meant for people and is all that says why; a plugin that prints its token
  // there has published it itself, so only its first line is taken.
  std::string complaint;
  plan.said = [&](std::string_view line) {
    if (complaint.empty()) complaint = line;
  };
  const std::string who = access_.origin + ": exec plugin " + plugin.argv.front();
  const auto refuse = [&](const std::string& why) { return Fail(Code::kDenied, who + ": " + why); };
  const auto result = process::RunProgram(plan);
  if (!result) {
    const bool missing = result.error().code == Code::kNotFound && !plugin.install_hint.empty();
    return refuse(result.error().message +
                  (missing ? "; " + schema::Printable(plugin.install_hint, 300) : ""));
  }
  if (result->how != process::ProgramEnd::How::kExited || result->status != 0)
    return refuse(result->Describe(plan) +
                  (complaint.empty() ? "" : ": " + schema::Printable(complaint, 200)));
  auto parsed = ParseExecCredential(result->output, plugin.api_version);
  if (!parsed) return Fail(parsed.error().In(who));
  if (!parsed->credentials.token.empty()) credentials->token = parsed->credentials.token;
  if (!parsed->credentials.certificate_pem.empty()) {
    credentials->certificate_pem = parsed->credentials.certificate_pem;
    credentials->key_pem = parsed->credentials.key_pem;
  }
  expires_ = parsed->expires;
  return Ok();
}

Result<Credentials> CredentialSource::Read() {
  SPW_ASSIGN(Credentials read, ReadFiles());
  if (!access_.exec) return read;
  if (plugin_failure_ && clock_.SteadyNow() - plugin_failed_at_ < limits_.exec_retry)
    return Fail(*plugin_failure_);
  const Status ran = RunPlugin(&read);
  plugin_failure_.reset();
  if (ran) return read;
  plugin_failure_ = ran.error();
  plugin_failed_at_ = clock_.SteadyNow();
  return Fail(ran.error());
}

Result<std::shared_ptr<const Credentials>> CredentialSource::Get() {
  const std::lock_guard lock(mutex_);
  const Duration now = clock_.SteadyNow();
  if (current_ && !rejected_ && (!fresh_until_ || now < *fresh_until_)) return current_;
  auto read = Read();
  if (!read) {
    // A file being replaced, for example; a refused or an expired credential helps nobody.
    if (current_ && !rejected_ && !access_.exec) return current_;
    return Fail(read.error());
  }
  current_ = std::make_shared<const Credentials>(*std::move(read));
  rejected_ = false;
  const bool files = !access_.token_file.empty() || !access_.client_certificate_file.empty() ||
                     !access_.client_key_file.empty();
  fresh_until_.reset();
  if (files) fresh_until_ = now + limits_.file_cache;
  if (access_.exec && expires_)
    fresh_until_ = now + std::max<Duration>(1s, *expires_ - clock_.Now() - limits_.expiry_margin);
  return current_;
}

void CredentialSource::Rejected(const std::shared_ptr<const Credentials>& used) {
  const std::lock_guard lock(mutex_);
  if (used == current_) rejected_ = true;
}

}  // namespace spillway::kube
