#include "listen.h"

#include <fmt/format.h>

#include <charconv>

#include "base/log.h"

namespace spillway {

Status ReadAddress(const std::string& flag, const std::string& text, net::ServerOptions* options) {
  const std::size_t colon = text.rfind(':');
  if (colon == std::string::npos)
    return Fail(Code::kInvalid, fmt::format("{} {}: it must be ADDRESS:PORT", flag, text));
  options->tcp_host = text.substr(0, colon);
  if (options->tcp_host.starts_with('[') && options->tcp_host.ends_with(']'))
    options->tcp_host = options->tcp_host.substr(1, options->tcp_host.size() - 2);
  const char* end = text.data() + text.size();
  const auto [parsed_to, error] = std::from_chars(text.data() + colon + 1, end, options->tcp_port);
  if (error != std::errc{} || parsed_to != end || options->tcp_port < 0 ||
      options->tcp_port > 65535)
    return Fail(Code::kInvalid,
                fmt::format("{} {}: the port must be a number from 0 to 65535", flag, text));
  return Ok();
}

Result<std::unique_ptr<net::HttpServer>> StartProbes(const std::string& address,
                                                     const server::Probes& probes) {
  if (address.empty()) return nullptr;
  net::ServerOptions options;
  SPW_TRY(ReadAddress("--metrics-listen", address, &options));
  options.tcp_loopback_only = options.tcp_token_required = false;
  options.worker_threads = 2;
  options.max_connections = 16;
  options.body_bytes = 0;
  auto server = std::make_unique<net::HttpServer>(std::move(options), probes.MakeRouter());
  if (const Status started = server->Start(); !started)
    return Fail(started.error().In("--metrics-listen " + address));
  log::Info("metrics are served", {{"port", server->tcp_port()}});
  return server;
}

}  // namespace spillway
