// Where spillwayd listens besides its socket.
#pragma once

#include <memory>
#include <string>

#include "net/http_server.h"
#include "server/probes.h"

namespace spillway {

// "ADDRESS:PORT", an IPv6 address in brackets, as `flag` has it. kInvalid names the flag.
Status ReadAddress(const std::string& flag, const std::string& text, net::ServerOptions* options);

// Serves the probes on this address to whoever reaches it; nullptr if it is empty.
Result<std::unique_ptr<net::HttpServer>> StartProbes(const std::string& address,
                                                     const server::Probes& probes);

}  // namespace spillway
