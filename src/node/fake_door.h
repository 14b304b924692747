// A site's door for tests: real TLS and HTTP on a Unix socket, real sealing, scripted answers.
#pragma once

#include <gtest/gtest.h>

#include <condition_variable>
#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <mutex>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "base/rng.h"
#include "data/manifest.h"
#include "data/node_certificate.h"
#include "data/pack.h"
#include "data/receipt.h"
#include "data/scan.h"
#include "data/wrap.h"
#include "door/protocol.h"
#include "door/user_data.h"
#include "net/http_server.h"
#include "node/run_key.h"

namespace spillway::node {

// A directory that goes with the object.
class TempDir {
 public:
  TempDir() {
    std::string name = "/tmp/spw-node-XXXXXX";
    path_ = mkdtemp(name.data());
    std::filesystem::create_directory(path_ + "/disk");
  }
  ~TempDir() { std::filesystem::remove_all(path_); }
  std::string File(const std::string& name) const { return path_ + "/" + name; }
  std::string disk() const { return path_ + "/disk"; }

 private:
  std::string path_;
};

inline std::string ReadFile(const std::string& path) {
  std::ostringstream text;
  text << std::ifstream(path, std::ios::binary).rdbuf();
  return text.str();
}

// Printable noise: compresses badly, repeats never.
inline std::string Noise(std::size_t size, std::uint64_t seed) {
  Rng rng(seed);
  std::string text(size, ' ');
  for (char& c : text) c = static_cast<char>('!' + rng.Below(90));
  return text;
}

inline std::string Salt(std::uint64_t seed) {
  return Noise(data::kSaltBytes, seed);
}

// 32-byte windows of the samples that occur in any file below `directory`.
inline std::int64_t FoundOnDisk(const std::string& directory,
                                const std::vector<std::string>& samples) {
  std::vector<ByteView> views;
  for (const std::string& sample : samples) views.push_back(AsBytes(sample));
  const auto index = data::ScanIndex::Build(views);
  std::int64_t found = 0;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(directory)) {
    if (!entry.is_regular_file()) continue;
    data::Scanner scanner(*index);
    const std::string bytes = ReadFile(entry.path());
    scanner.Feed(AsBytes(bytes));
    found += scanner.hit_windows();
  }
  return found;
}

inline constexpr const char* kNode = "bn-00001";
inline constexpr const char* kVersion = "v1";
inline constexpr const char* kToken = "one-use-token";

class FakeDoor {
 public:
  struct Result {
    std::string bytes;
    std::uint32_t mode = 0;
    std::map<std::size_t, std::string> chunks;
    std::map<std::size_t, int> puts;  // how often each chunk came
  };

  // What it saw and what it is to answer; read and changed under Change() and WaitFor() only.
  struct State {
    door::Desired desired;
    std::vector<door::Heartbeat> beats;
    int registrations = 0;
    std::optional<data::NodePublicKey> node_key;
    door::RegisterRequest registered;
    bool unauthorized = false;   // heartbeats are answered 401
    std::set<int> corrupt_once;  // chunks whose next answer has a wrong byte
    bool hold_chunks = false;    // answered 503, but those let through
    std::set<int> let_through;
    std::set<int> cut_once;    // chunks whose next answer ends in the middle
    std::set<int> stall_once;  // and those whose next answer stops there for ever
    // What a site that lies makes of a chunk or of the manifest (index -1); null: nothing.
    std::function<void(int, std::string&)> lie;
    std::map<int, int> chunk_gets;            // by index
    std::map<int, std::int64_t> chunk_bytes;  // that were to be sent, by index
    std::string certificate;                  // the one that the calls came with last (DER)
    std::string wrapped_key;                  // the newest that was handed out (hex)
    bool hold_receipts = false;
    int receipts_by_another = 0;            // so many are signed by a stranger
    std::map<std::string, Result> results;  // "claim/path"
    std::map<std::string, std::string> logs;
    int lose_log_answers = 0;  // so many log calls are carried out and answered 503
    std::vector<door::WipeStatement> wiped;

    const door::Heartbeat* Last() const { return beats.empty() ? nullptr : &beats.back(); }
    const door::PodStatus* Pod(const std::string& uid) const {
      if (beats.empty()) return nullptr;
      for (const door::PodStatus& pod : beats.back().pods)
        if (pod.uid == uid) return &pod;
      return nullptr;
    }
  };

  FakeDoor(const std::string& socket, const std::map<std::string, std::string>& files)
      : socket_(socket),
        run_key_(*data::Secret::Generate()),
        site_(*data::SigningKey::Generate()),
        stranger_(*data::SigningKey::Generate()),
        authority_(*data::NodeAuthority::Make(*data::TlsKey::Generate())) {
    SealRun(files);
    net::ServerOptions options;
    options.unix_path = socket;
    options.body_bytes = 16 << 20;
    options.stop_grace = 1s;
    options.tls = *net::TlsServer::Make({authority_.key().get(), authority_.certificate()},
                                        authority_.certificate());
    server_ = std::make_unique<net::HttpServer>(options, Routes());
    const Status started = server_->Start();
    EXPECT_TRUE(started) << started.error().message;
  }

  void Stop() { server_->Stop(); }
  std::string site_key() const { return site_.public_key().Hex(); }
  const std::vector<std::string>& sealed() const { return sealed_; }
  std::string run_key_hex() const { return Hex(run_key_.bytes()); }
  const std::string& sealed_manifest() const { return sealed_manifest_; }
  // The same manifest for another version of the data, or signed by somebody else.
  std::string OtherManifest(const std::string& version, bool by_stranger) const {
    data::Manifest manifest = manifest_;
    manifest.dataset_version = version;
    const auto sealed = data::SealManifest(manifest, by_stranger ? stranger_ : site_, run_key_,
                                           AsBytes(Salt(2000)));
    return std::string(AsText(*sealed));
  }
  door::UserData UserData() const {
    return {kNode, "unix:" + socket_, kToken, site_key(), authority_.Pin()};
  }
  // A certificate (hex) for the node that has registered, which differs from all others.
  std::string Certificate(const door::RegisterRequest& node) const {
    return Hex(AsBytes(*authority_.Issue(node.name, *ParseHex(node.tls_key), Time{}, Time{} + 1h)));
  }

  void Change(const std::function<void(State&)>& change) {
    const std::lock_guard lock(mutex_);
    change(state_);
  }
  // Until what was seen makes `condition` true; false after 20 s.
  bool WaitFor(const std::function<bool(const State&)>& condition) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, 20s, [&] { return condition(state_); });
  }
  // The next heartbeat that is sent after this call.
  bool WaitForBeats(std::size_t more) {
    std::size_t from = 0;
    Change([&](State& state) { from = state.beats.size(); });
    return WaitFor([&](const State& state) { return state.beats.size() >= from + more; });
  }

 private:
  void SealRun(const std::map<std::string, std::string>& files) {
    std::vector<data::FileEntry> entries;
    for (const auto& [path, bytes] : files)
      entries.push_back({path, static_cast<std::int64_t>(bytes.size()), 0640, Time(1s)});
    const auto layout = *data::PackFiles(entries, 64 * 1024);
    const RunNames names{kNode, kVersion};
    const data::ManifestExpectation expected = names.Manifest(site_.public_key());
    data::Manifest manifest{expected.run_id,
                            expected.dataset_namespace,
                            expected.dataset_name,
                            kVersion,
                            "internal",
                            layout.files,
                            {}};
    for (std::size_t i = 0; i < layout.chunks.size(); ++i) {
      std::string plain;
      for (const data::Piece& piece : layout.chunks[i].pieces)
        plain += files.at(layout.files[piece.file].entry.path)
                     .substr(static_cast<std::size_t>(piece.file_offset),
                             static_cast<std::size_t>(piece.length));
      const auto sealed = *data::SealChunk(run_key_, names.Chunk(static_cast<std::uint32_t>(i)),
                                           AsBytes(plain), AsBytes(Salt(i)));
      manifest.chunks.push_back({static_cast<std::int64_t>(plain.size()),
                                 static_cast<std::int64_t>(sealed.size()),
                                 *data::SealDigest(sealed)});
      sealed_.emplace_back(AsText(sealed));
    }
    const auto sealed = data::SealManifest(manifest, site_, run_key_, AsBytes(Salt(1000)));
    EXPECT_TRUE(sealed) << sealed.error().message;
    sealed_manifest_ = AsText(*sealed);
    manifest_ = std::move(manifest);
    state_.desired.prepared = true;
    state_.desired.lease_ms = 60'000;
    state_.desired.dataset_version = kVersion;
    state_.desired.chunks = std::ssize(sealed_);
  }

  using Answer = spillway::Result<net::Response>;
  static net::Response Octets(std::string bytes) {
    return net::Response::Text(std::move(bytes), "application/octet-stream");
  }

  // Every call but the first needs a certificate; all run under the lock.
  net::Handler Known(std::function<Answer(const net::Request&)> handler) {
    return [this, handler = std::move(handler)](const net::Request& request) -> Answer {
      const std::lock_guard lock(mutex_);
      changed_.notify_all();
      state_.certificate = request.certificate;
      const auto caller = authority_.Read(request.certificate);
      if (!caller || caller->node != request.headers.Get(door::kNodeHeader) ||
          state_.unauthorized) {
        net::Response refused = net::Response::Failure({Code::kDenied, "unknown certificate", {}});
        refused.status = 401;
        return refused;
      }
      return handler(request);
    };
  }

  net::Router Routes() {
    net::Router router;
    router.Add("POST", "/node/v1/register",
               [this](const net::Request& request) { return OnRegister(request); });
    router.Add("POST", "/node/v1/heartbeat",
               Known([this](const net::Request& request) { return OnHeartbeat(request); }));
    router.Add("GET", "/node/v1/manifest", Known([this](const net::Request&) -> Answer {
                 std::string bytes = sealed_manifest_;
                 if (state_.lie) state_.lie(-1, bytes);
                 return Octets(bytes);
               }));
    router.Add("GET", "/node/v1/chunks/{i}",
               Known([this](const net::Request& request) { return OnChunk(request); }));
    router.Add("PUT", "/node/v1/results",
               Known([this](const net::Request& request) { return OnResult(request); }));
    router.Add("POST", "/node/v1/logs",
               Known([this](const net::Request& request) { return OnLog(request); }));
    router.Add("POST", "/node/v1/wiped", Known([this](const net::Request& request) -> Answer {
                 SPW_ASSIGN(const json::value body, request.Json());
                 SPW_ASSIGN(door::WipeStatement statement, door::DecodeWipeStatement(body));
                 state_.wiped.push_back(std::move(statement));
                 return net::Response::Json({{"certificate", "c.json"}});
               }));
    return router;
  }

  Answer OnRegister(const net::Request& request) {
    const std::lock_guard lock(mutex_);
    changed_.notify_all();
    SPW_ASSIGN(const json::value body, request.Json());
    SPW_ASSIGN(const door::RegisterRequest asked, door::DecodeRegisterRequest(body));
    if (asked.token != kToken || state_.registrations++ > 0)
      return Fail(Code::kDenied, "this token was used");
    state_.registered = asked;
    SPW_ASSIGN(state_.node_key, data::NodePublicKey::Parse(asked.public_key));
    return net::Response::Json(
        door::Encode(door::RegisterAnswer{Certificate(asked), site_key(), 20, 60'000}));
  }

  Answer OnHeartbeat(const net::Request& request) {
    SPW_ASSIGN(const json::value body, request.Json());
    SPW_ASSIGN(door::Heartbeat beat, door::DecodeHeartbeat(body));
    state_.beats.push_back(std::move(beat));
    door::Desired desired = state_.desired;
    if (desired.want == door::Want::kStage || desired.want == door::Want::kRun) {
      SPW_ASSIGN(const data::NodeKey ephemeral, data::NodeKey::Generate());
      SPW_ASSIGN(const ByteBuffer wrapped,
                 data::WrapRunKey(run_key_, *state_.node_key, {kNode, kNode}, ephemeral));
      state_.wrapped_key = desired.wrapped_key = Hex(wrapped);
    }
    return net::Response::Json(door::Encode(desired));
  }

  // Ends before its end, as when the connection or the site breaks.
  class CutBody final : public net::BodySource {
   public:
    CutBody(std::string bytes, bool stalls) : bytes_(std::move(bytes)), stalls_(stalls) {}
    std::int64_t size_bytes() const override { return std::ssize(bytes_); }
    spillway::Result<Piece> Read(std::int64_t offset, std::span<char> out) override {
      const auto at = static_cast<std::size_t>(offset), half = bytes_.size() / 2;
      if (at >= half && stalls_) return Piece{0, 1h};
      if (at >= half) return Fail(Code::kUnavailable, "cut");
      return Piece{bytes_.copy(out.data(), std::min(out.size(), half - at), at), {}};
    }

   private:
    const std::string bytes_;
    const bool stalls_;
  };

  Answer OnChunk(const net::Request& request) {
    const int index = std::stoi(request.Param("i"));
    if (index >= std::ssize(sealed_)) return Fail(Code::kNotFound, "no such chunk");
    if (state_.hold_chunks && !state_.let_through.contains(index))
      return Fail(Code::kUnavailable, "held back");
    ++state_.chunk_gets[index];
    std::string bytes = sealed_[static_cast<std::size_t>(index)];
    if (state_.lie) state_.lie(index, bytes);
    const std::size_t size = bytes.size();
    if (state_.corrupt_once.erase(index) > 0) bytes[size / 2] ^= 1;
    const std::string range(request.headers.Get("Range"));  // "bytes=N-M", M being the last
    const std::size_t first = range.empty() ? 0 : std::stoul(range.substr(6));
    net::Response response = Octets(bytes.substr(first));
    state_.chunk_bytes[index] += std::ssize(response.body);
    const bool stalls = state_.stall_once.erase(index) > 0;
    if (stalls || state_.cut_once.erase(index) > 0) {
      response.source = std::make_shared<CutBody>(response.body, stalls);
      state_.chunk_bytes[index] -= std::ssize(response.body) - std::ssize(response.body) / 2;
    }
    if (range.empty()) return response;
    response.status = 206;
    response.headers.Add("Content-Range", "bytes " + std::to_string(first) + "-" +
                                              std::to_string(size - 1) + "/" +
                                              std::to_string(size));
    return response;
  }

  Answer OnResult(const net::Request& request) {
    const auto query = [&](std::string_view name) { return std::string(request.Query(name)); };
    const std::string path = query("path");
    const std::size_t chunk = std::stoul(query("chunk"));
    const std::string space = query("pod").substr(0, query("pod").find('/'));
    SPW_ASSIGN(const ByteBuffer plain,
               data::OpenChunk(run_key_,
                               {kNode, space + "/" + query("claim"), kVersion, data::Direction::kUp,
                                "result/" + path, static_cast<std::uint32_t>(chunk)},
                               AsBytes(request.body)));
    Result& result = state_.results[query("claim") + "/" + path];
    result.chunks[chunk] = AsText(plain);
    ++result.puts[chunk];
    result.mode = static_cast<std::uint32_t>(std::stoul(query("mode")));
    if (result.chunks.size() < std::stoul(query("chunks")))
      return net::Response::Json(json::object());
    result.bytes.clear();
    for (const auto& [index, bytes] : result.chunks) result.bytes += bytes;
    if (query("sha256") != Sha256Hex(result.bytes) ||
        std::stoul(query("size")) != result.bytes.size())
      return Fail(Code::kInvalid, "size or hash is not the file's");
    if (state_.hold_receipts) return Fail(Code::kUnavailable, "the receipt is held back");
    const bool stranger = state_.receipts_by_another > 0;
    if (stranger) --state_.receipts_by_another;
    SPW_ASSIGN(const std::string receipt,
               data::SignReceipt({kNode, kNode, path, std::ssize(result.bytes),
                                  Sha256(AsBytes(result.bytes)), Time(1s)},
                                 stranger ? stranger_ : site_));
    return net::Response::Json({{"receipt", *ParseJson(receipt)}});
  }

  Answer OnLog(const net::Request& request) {
    std::string& log = state_.logs[std::string(request.Query("uid"))];
    const std::size_t offset = std::stoul(std::string(request.Query("offset")));
    if (offset > log.size()) return Fail(Code::kInvalid, "a gap in the log");
    if (offset + request.body.size() > log.size())
      log.replace(offset, std::string::npos, request.body);
    if (state_.lose_log_answers > 0) {
      --state_.lose_log_answers;
      return Fail(Code::kUnavailable, "the answer is lost");
    }
    return net::Response::Json(json::object());
  }

  const std::string socket_;
  const data::Secret run_key_;
  const data::SigningKey site_, stranger_;
  const data::NodeAuthority authority_;
  std::vector<std::string> sealed_;
  std::string sealed_manifest_;
  data::Manifest manifest_;
  std::mutex mutex_;
  std::condition_variable changed_;
  State state_;
  std::unique_ptr<net::HttpServer> server_;
};

}  // namespace spillway::node
