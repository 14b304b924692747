// Traffic that was recorded at a real OpenStack (Zed), errors included. The recordings are no part
// of this repository: SPILLWAY_RECORDINGS names their folder, or they lie beside it in
// shared/recordings.
#pragma once

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>
#include <string>

#include "net/http_message.h"
#include "net/web_client.h"

namespace spillway::openstack {

struct Exchange {
  std::string name, method, target;
  net::HttpResponse response;
};

inline std::filesystem::path Folder() {
  const char* named = std::getenv("SPILLWAY_RECORDINGS");
  return std::filesystem::path(named != nullptr ? named
                                                : SPILLWAY_SOURCE_DIR "/../shared/recordings") /
         "openstack";
}

// "NNN-name.http": request, a line of 72 dashes, status line and headers, empty line, body.
inline Exchange ReadExchange(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream all;
  all << file.rdbuf();
  const std::string text = all.str();
  Exchange exchange;
  exchange.name = path.filename();
  std::istringstream head(text);
  head >> exchange.method >> exchange.target;
  std::size_t at = text.find("\n" + std::string(72, '-') + "\n");
  if (at == std::string::npos) return exchange;
  at += 74;
  for (bool first = true; at < text.size(); first = false) {
    const std::size_t end = std::min(text.find('\n', at), text.size());
    const std::string line = text.substr(at, end - at);
    at = end + 1;
    if (line.empty()) break;
    if (first && line.starts_with("HTTP/"))
      exchange.response.status = std::stoi(line.substr(line.find(' ') + 1));
    exchange.response.headers.TakeLine(line + "\r\n");
  }
  if (at < text.size()) exchange.response.body = text.substr(at);
  return exchange;
}

// By number; empty where there are none.
inline const std::map<int, Exchange>& Recordings() {
  static const std::map<int, Exchange> all = [] {
    std::map<int, Exchange> read;
    std::error_code none;
    for (const auto& entry : std::filesystem::directory_iterator(Folder(), none))
      if (entry.path().extension() == ".http")
        read.emplace(std::stoi(entry.path().filename().string().substr(0, 3)),
                     ReadExchange(entry.path()));
    return read;
  }();
  return all;
}

}  // namespace spillway::openstack
