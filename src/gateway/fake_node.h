// A daemon and a node for tests of the door: what the gateway asks, and who calls it.
#pragma once

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <thread>

#include "data/node_certificate.h"
#include "data/receipt.h"
#include "data/wrap.h"
#include "gateway/gateway.h"
#include "gateway/gateway_test_util.h"
#include "net/http_client.h"

namespace spillway::gateway {

class FakeBackend final : public DoorBackend {
 public:
  std::optional<DesiredState> DesiredFor(const std::string& node) override {
    const std::lock_guard lock(mutex);
    const auto it = desired.find(node);
    if (it == desired.end()) return std::nullopt;
    return it->second;
  }
  void OnPodStatuses(const std::string& node, const std::vector<door::PodStatus>& pods) override {
    const std::lock_guard lock(mutex);
    statuses[node] = pods;
  }
  void OnReleased(const std::string& node, const std::vector<std::string>& uids) override {
    const std::lock_guard lock(mutex);
    released_pods[node] = uids;
  }
  void OnLog(const std::string& node, const std::string& uid, std::int64_t offset,
             std::string_view bytes) override {
    const std::lock_guard lock(mutex);
    logs.push_back(node + " " + uid + " " + std::to_string(offset) + " " + std::string(bytes));
  }
  void OnChange(const std::string& node) override {
    const std::lock_guard lock(mutex);
    ++changes[node];
  }
  void BeforeWipe(const std::string& node) override {
    std::unique_lock lock(mutex);
    ++before_wipe[node];
    released.wait(lock, [this] { return !hold_wipes; });
  }
  void HoldWipes(bool hold) {
    const std::lock_guard lock(mutex);
    hold_wipes = hold;
    released.notify_all();
  }
  void Want(const std::string& node, door::Want want, Phase phase) {
    const std::lock_guard lock(mutex);
    DesiredState& state = desired[node];
    state.want = want;
    state.simulated = true;
    state.node.name = node;
    state.node.phase = phase;
    state.node.instance_id = "i-1";
    state.node.offer.provider = "scaleway";
    state.node.offer.region = "fr-par-2";
    state.node.offer.instance_type = "H100-1-80G";
    door::PodOrder pod;
    pod.key = "vision/train-0";
    pod.uid = "uid-1";
    pod.argv = {"true"};
    state.pods = {pod};
  }

  std::mutex mutex;
  std::map<std::string, DesiredState> desired;
  std::map<std::string, std::vector<door::PodStatus>> statuses;
  std::map<std::string, std::vector<std::string>> released_pods;
  std::vector<std::string> logs;
  std::map<std::string, int> changes, before_wipe;
  std::condition_variable released;
  bool hold_wipes = false;
};

// A node as far as the door sees it.
class FakeNode {
 public:
  FakeNode(const std::string& user_data, std::string socket)
      : data_(*door::DecodeUserData(user_data)),
        socket_(std::move(socket)),
        key_(*data::NodeKey::Generate()),
        tls_key_(*data::TlsKey::Generate()),
        address(data_.name) {}

  Result<door::RegisterAnswer> Register() {
    door::RegisterRequest request{data_.name, data_.token, key_.public_key().Hex(), {}, {}};
    request.hardware.gpus = 4;
    request.labels["nvidia.com/gpu.product"] = "H100";
    request.tls_key = Hex(tls_key_.PublicKey());
    SPW_ASSIGN(const json::value answer, Json("POST", "/node/v1/register", door::Encode(request)));
    SPW_ASSIGN(door::RegisterAnswer decoded, door::DecodeRegisterAnswer(answer));
    certificate = decoded.certificate;
    return decoded;
  }
  Result<door::Desired> Beat() {
    ++heartbeat.sequence;
    SPW_ASSIGN(const json::value answer,
               Json("POST", "/node/v1/heartbeat", door::Encode(heartbeat)));
    return door::DecodeDesired(answer);
  }
  // Beats until the hook before the wipe is over.
  Result<door::Desired> BeatUntilWipe() {
    const auto give_up = std::chrono::steady_clock::now() + 10s;
    while (true) {
      auto desired = Beat();
      if (!desired || desired->want == door::Want::kWipe) return desired;
      EXPECT_EQ(desired->want, door::Want::kReturn);
      if (std::chrono::steady_clock::now() > give_up) return desired;
    }
  }
  Result<json::value> Json(const std::string& method, const std::string& target,
                           const json::value& body) {
    return Client().DoJson(Addressed(net::HttpRequest::Json(method, target, body)));
  }
  net::HttpResponse Get(const std::string& target, const std::string& range = "") {
    net::HttpRequest request = net::HttpRequest::Get(target);
    if (!range.empty()) request.headers.Add("Range", range);
    auto response = Client().Do(Addressed(request));
    EXPECT_TRUE(response) << response.error().message;
    return *response;
  }
  net::HttpResponse Send(const std::string& method, const std::string& target, std::string body) {
    net::HttpRequest request;
    request.method = method;
    request.target = target;
    request.body = std::move(body);
    auto response = Client().Do(Addressed(request));
    EXPECT_TRUE(response) << response.error().message;
    return *response;
  }
  // Sends a result of one chunk.
  net::HttpResponse SendResult(const data::Secret& run_key, const std::string& version,
                               const std::string& path, const std::string& content) {
    const auto sealed = data::SealChunk(
        run_key, {data_.name, "vision/models", version, data::Direction::kUp, "result/" + path, 0},
        AsBytes(content), RandomBytes(data::kSaltBytes));
    EXPECT_TRUE(sealed);
    return Send("PUT",
                "/node/v1/results?pod=vision%2Ftrain-0&uid=uid-1&claim=models&path=" +
                    net::PercentEncode(path) + "&mode=420&size=" + std::to_string(content.size()) +
                    "&sha256=" + Sha256Hex(content) + "&chunk=0&chunks=1",
                std::string(AsText(*sealed)));
  }
  Result<data::Secret> Unwrap(const std::string& hex) {
    SPW_ASSIGN(const ByteBuffer wrapped, ParseHex(hex));
    return data::UnwrapRunKey(key_, {data_.name, data_.name}, wrapped);
  }
  net::HttpClient Client() {
    net::ClientOptions options;
    options.response_bytes = 16 << 20;
    options.pinned_key = data_.door_key;
    if (!certificate.empty()) {
      const auto identity = std::make_shared<net::TlsIdentity>(
          tls_key_.get(), std::string(AsText(*ParseHex(certificate))));
      options.identity = [identity] { return identity; };
    }
    return net::HttpClient({.unix_path = socket_}, options);
  }
  const data::TlsKey& tls_key() const { return tls_key_; }
  net::HttpRequest Addressed(net::HttpRequest request) const {
    request.headers.Add(std::string(door::kNodeHeader), address);
    return request;
  }

  door::Heartbeat heartbeat;

 private:
  door::UserData data_;
  std::string socket_;
  data::NodeKey key_;
  data::TlsKey tls_key_;

 public:
  std::string certificate;  // hex, that it shows
  std::string address;      // of whom it calls itself
};

inline door::WipeStatement Statement(std::int64_t bytes) {
  door::WipeStatement said;
  said.method = "AES-256-CTR keystream";
  said.device = "/dev/vda1";
  said.cache_bytes = 32 << 20;
  said.bytes_requested = said.bytes_written = said.bytes_read_back = bytes;
  said.used = {{0, bytes}};
  said.seed_commitment = std::string(64, 'a');
  said.started_ms_ago = 500;
  said.ended_ms_ago = 100;
  said.keys = "zeroised";
  return said;
}

}  // namespace spillway::gateway
