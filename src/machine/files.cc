#include "machine/files.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <thread>

#include "base/log.h"
#include "base/sha256_stream.h"
#include "net/http_client.h"

namespace spillway::machine {
namespace {

namespace fs = std::filesystem;

constexpr std::int64_t kPieceBytes = 4 << 20;
constexpr Duration kPieceTime = 120s, kPause = 1s;

bool IsThere(const std::string& path, const door::MachineFile& file) {
  std::error_code error;
  if (fs::file_size(path, error) != static_cast<std::uintmax_t>(file.bytes) || error) return false;
  std::ifstream stream(path, std::ios::binary);
  Sha256Stream hash;
  std::string buffer(1 << 20, '\0');
  while (stream.read(buffer.data(), std::ssize(buffer)) || stream.gcount() > 0)
    hash.Add(AsBytes(buffer).first(static_cast<std::size_t>(stream.gcount())));
  return Hex(hash.Finish()) == file.sha256;
}

Result<std::string> Piece(net::HttpClient& http, const door::MachineFile& file, std::int64_t at) {
  net::HttpRequest request = net::HttpRequest::Get("/node/v1/files/" + file.sha256);
  const std::int64_t last = std::min(at + kPieceBytes, file.bytes) - 1;
  request.headers.Add("Range", fmt::format("bytes={}-{}", at, last));
  SPW_ASSIGN(net::HttpResponse response, http.Do(request));
  if (response.status != 206)
    return Fail(net::ErrorFromResponse(response.status, response.headers, response.body));
  if (std::ssize(response.body) != last - at + 1)
    return Fail(Code::kUnavailable, "a piece of another length than was asked for");
  return std::move(response.body);
}

Status Fetch(const Source& source, const door::MachineFile& file, const std::string& path,
             Duration patience) {
  net::Endpoint endpoint;
  endpoint.base_url = source.door;
  net::ClientOptions options;
  options.total_timeout = kPieceTime;
  options.response_bytes = kPieceBytes;
  options.pinned_key = source.door_key;
  net::HttpClient http(endpoint, options);
  std::ofstream stream(path, std::ios::binary | std::ios::trunc);
  Sha256Stream hash;
  const Duration end = SystemClock().SteadyNow() + patience;
  for (std::int64_t at = 0; at < file.bytes;) {
    const Result<std::string> piece = Piece(http, file, at);
    if (!piece) {
      if (piece.error().code != Code::kUnavailable || SystemClock().SteadyNow() >= end)
        return Fail(piece.error().In(file.name));
      log::Warn("the site does not answer", {{"file", file.name}, {"why", piece.error().message}});
      std::this_thread::sleep_for(kPause);
      continue;
    }
    stream << *piece;
    hash.Add(AsBytes(*piece));
    at += std::ssize(*piece);
  }
  stream.close();
  if (!stream) return Fail(Code::kInternal, path + ": cannot be written");
  if (Hex(hash.Finish()) != file.sha256)
    return Fail(Code::kCorrupt, file.name + " from the site is not the one that was promised");
  return Ok();
}

}  // namespace

Result<std::string> Provide(const Source& source, const door::MachineFile& file,
                            const std::vector<std::string>& there, const std::string& path,
                            Duration patience) {
  for (const std::string& candidate : there)
    if (IsThere(candidate, file)) return candidate;
  if (IsThere(path, file)) return path;
  std::error_code error;
  fs::create_directories(fs::path(path).parent_path(), error);
  const std::string part = path + ".part";
  const Status fetched = Fetch(source, file, part, patience);
  if (!fetched) {
    fs::remove(part, error);
    return Fail(fetched.error());
  }
  fs::permissions(part, fs::perms(0755), error);
  if (!error) fs::rename(part, path, error);
  if (error) return Fail(Code::kInternal, path + ": " + error.message());
  return path;
}

}  // namespace spillway::machine
