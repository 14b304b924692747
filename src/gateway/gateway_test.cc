// The whole life of a node against a real door, and what a door must refuse.
#include "gateway/gateway.h"

#include <gmock/gmock.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <thread>

#include "data/certificate.h"
#include "data/node_certificate.h"
#include "data/receipt.h"
#include "data/wrap.h"
#include "gateway/fake_node.h"
#include "gateway/files.h"
#include "gateway/gateway_test_util.h"
#include "net/http_client.h"

namespace spillway::gateway {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

// Keeps one key in memory, can be away, and has a clock of its own.
class OtherService final : public ports::KeyService {
 public:
  static constexpr Time kEnded{Duration(1'700'000'000'000)};
  std::atomic<bool> away = false;

  std::string Name() const override { return "other service"; }
  Status Check() override { return Answer(); }
  Result<ports::KeyRecord> Create(const std::string& run, Time, ports::KeyBytes key) override {
    SPW_TRY(Answer());
    SPW_TRY(Unwrap(run, "", key));
    return ports::KeyRecord{"other/" + run, 3, kEnded - 1h, "wrapped"};
  }
  Status Unwrap(const std::string&, const std::string&, ports::KeyBytes key) override {
    std::ranges::fill(key, std::uint8_t{7});
    return Answer();
  }
  Result<ports::KeyEnd> Destroy(const std::string&, Time) override {
    SPW_TRY(Answer());
    return ports::KeyEnd{kEnded, "deleted, as this service states it"};
  }

 private:
  Status Answer() const {
    return away ? Status(Fail(Code::kUnavailable, "other service: away")) : Ok();
  }
};

class GatewayTest : public ::testing::Test {
 protected:
  GatewayTest() {
    std::filesystem::create_directories(dir_ / "results");
    WriteText(dir_ / "data/digits/train/a", "alpha");
    WriteText(dir_ / "data/digits/train/b", std::string(5 << 20, 'b'));
    WriteText(dir_ / "data/digits/test/c", "gamma");
    Reopen();
    for (const char* node : {"bn-1", "bn-2"})
      backend_.Want(node, door::Want::kStage, Phase::kProvisioned);
  }
  ~GatewayTest() override { backend_.HoldWipes(false); }
  // Everything but the files is gone and comes back, as after a kill.
  void Reopen() {
    gateway_.reset();
    GatewayOptions options;
    options.state_dir = dir_ / "state";
    options.data_root = dir_ / "data";
    options.results_root = dir_ / "results";
    options.evidence_dir = dir_ / "evidence";
    options.socket_path = dir_ / "node.sock";
    options.clock_scale = 30;
    options.key_service = key_service_;
    options.run_bytes_per_s = run_bytes_per_s_;
    auto opened = Gateway::Open(options, backend_);
    ASSERT_TRUE(opened) << opened.error().message;
    gateway_ = std::move(*opened);
    const Status clock = gateway_->UseClock(clock_);
    ASSERT_TRUE(clock) << clock.error().message;
    const Status started = gateway_->Start();
    ASSERT_TRUE(started) << started.error().message;
  }
  RunRequest Request(const std::string& run) const {
    RunInput input{
        "vision/digits", "vision/digits", DataClass::kInternal, "digits", {"train/**"}, {}, {}};
    return {run, {input}, {{"vision/models", "vision/out"}}};
  }
  FakeNode NewNode(const std::string& name) {
    const auto user_data = gateway_->UserDataFor(name);
    EXPECT_TRUE(user_data) << user_data.error().message;
    return FakeNode(EncodeUserData(*user_data), dir_ / "node.sock");
  }
  // Registered, prepared, with its key.
  FakeNode StagedNode(const std::string& name) {
    FakeNode node = NewNode(name);
    EXPECT_TRUE(node.Register());
    const Status prepared = gateway_->Prepare(Request(name));
    EXPECT_TRUE(prepared) << prepared.error().message;
    return node;
  }
  // The node of bn-1 is to wipe its cache, and the key service has gone away.
  FakeNode WipingWithout(const std::shared_ptr<OtherService>& service) {
    key_service_ = service;
    Reopen();
    FakeNode node = StagedNode("bn-1");
    backend_.Want("bn-1", door::Want::kWipe, Phase::kWiping);
    service->away = true;
    return node;
  }

  std::int64_t run_bytes_per_s_ = 0;
  TempDir dir_;
  TestClock clock_;
  FakeBackend backend_;
  std::shared_ptr<ports::KeyService> key_service_;  // null: files
  std::unique_ptr<Gateway> gateway_;
};

// A machine that waits for data that cannot come costs money.
TEST_F(GatewayTest, ABucketThatCannotBeOpenedEndsThePreparation) {
  RunRequest request = Request("bn-1");
  request.inputs[0].s3 = S3Place{"http://127.0.0.1:1", "pictures", ""};
  const Status prepared = gateway_->Prepare(request);
  ASSERT_FALSE(prepared);
  EXPECT_EQ(prepared.error().code, Code::kInvalid);
  EXPECT_THAT(prepared.error().message, ::testing::HasSubstr("--s3-credentials"));
  ASSERT_TRUE(gateway_->RunReport("bn-1").failed);
}

// Fetches everything and compares it with the files.
void ExpectStagedData(FakeNode& node, const door::Desired& desired, const data::Secret& key,
                      const std::string& site) {
  const auto manifest = data::OpenManifest(
      key, {"bn-1", "run", "bn-1", desired.dataset_version, *data::VerifyKey::Parse(site)},
      AsBytes(node.Get("/node/v1/manifest").body));
  ASSERT_TRUE(manifest) << manifest.error().message;
  ASSERT_EQ(static_cast<std::int64_t>(manifest->chunks.size()), desired.chunks);
  std::vector<ByteBuffer> plain;
  for (std::size_t i = 0; i < manifest->chunks.size(); ++i) {
    const std::string sealed = node.Get("/node/v1/chunks/" + std::to_string(i)).body;
    ASSERT_TRUE(data::CheckSealedChunk(*manifest, i, key, AsBytes(sealed)));
    auto opened =
        data::OpenChunk(key,
                        data::DataChunkContext("bn-1", "run/bn-1", desired.dataset_version,
                                               static_cast<std::uint32_t>(i)),
                        AsBytes(sealed));
    ASSERT_TRUE(opened);
    plain.push_back(std::move(*opened));
  }
  std::map<std::string, std::string> files;
  for (const data::PackedFile& file : manifest->files)
    for (const data::Extent& extent : file.extents)
      files[file.entry.path] += AsText(ByteView(plain[extent.chunk])
                                           .subspan(static_cast<std::size_t>(extent.offset),
                                                    static_cast<std::size_t>(extent.length)));
  EXPECT_EQ(files,
            (std::map<std::string, std::string>{{"digits/train/a", "alpha"},
                                                {"digits/train/b", std::string(5 << 20, 'b')}}));
}

// Between any two steps the gateway dies.
TEST_F(GatewayTest, TheWholeLifeOfANodeOverRestartsAtEveryStep) {
  FakeNode node = NewNode("bn-1");
  Reopen();
  EXPECT_EQ(gateway_->NodeReport("bn-1"), std::nullopt);
  const auto registered = node.Register();
  ASSERT_TRUE(registered) << registered.error().message;
  EXPECT_EQ(registered->lease_ms, 3000) << "90 s of a clock that runs 30 times faster";
  EXPECT_EQ(registered->site_public_key, gateway_->PublicKey());
  Reopen();
  ASSERT_TRUE(gateway_->NodeReport("bn-1"));
  EXPECT_EQ(gateway_->NodeReport("bn-1")->hardware.gpus, 4);
  EXPECT_EQ(gateway_->NodeReport("bn-1")->last_heartbeat, clock_.Now());
  ASSERT_FALSE(node.Beat()->prepared);
  ASSERT_TRUE(gateway_->Prepare(Request("bn-1")));
  Reopen();
  const auto desired = node.Beat();
  ASSERT_TRUE(desired && desired->prepared);
  const auto key = node.Unwrap(desired->wrapped_key);
  ASSERT_TRUE(key) << key.error().message;
  ExpectStagedData(node, *desired, *key, gateway_->PublicKey());

  node.heartbeat.staged = true;
  node.heartbeat.staged_bytes = desired->sealed_bytes;
  clock_.Advance(5s);
  ASSERT_TRUE(node.Beat());
  EXPECT_TRUE(gateway_->NodeReport("bn-1")->staged);
  EXPECT_EQ(gateway_->NodeReport("bn-1")->last_heartbeat, clock_.Now());
  Reopen();
  backend_.Want("bn-1", door::Want::kReturn, Phase::kReturning);
  node.heartbeat.results = 1;
  const auto sent = node.SendResult(*key, desired->dataset_version, "model", "weights");
  ASSERT_EQ(sent.status, 200) << sent.body;
  const std::string receipt = json::serialize(ParseJson(sent.body)->at("receipt"));
  EXPECT_TRUE(data::MissingReceipts("bn-1", "bn-1", {{"model", 7, Sha256(AsBytes("weights"))}},
                                    {receipt}, *data::VerifyKey::Parse(gateway_->PublicKey()))
                  .empty());
  Reopen();
  EXPECT_EQ(node.SendResult(*key, desired->dataset_version, "model", "weights").body, sent.body);
  node.heartbeat.results_returned = true;
  ASSERT_TRUE(node.Beat());
  EXPECT_TRUE(gateway_->NodeReport("bn-1")->results_returned);
  EXPECT_EQ(gateway_->NodeReport("bn-1")->results, 1);
  EXPECT_EQ(gateway_->RunReport("bn-1").results_receipted, 1);
  EXPECT_EQ(ReadText(dir_ / "results/vision/out/model"), "weights");

  ASSERT_TRUE(gateway_->DestroyRunKey("bn-1"));
  backend_.Want("bn-1", door::Want::kWipe, Phase::kWiping);
  Reopen();
  EXPECT_TRUE(gateway_->RunReport("bn-1").key_destroyed);
  const auto wipe = node.BeatUntilWipe();
  ASSERT_TRUE(wipe);
  EXPECT_EQ(wipe->want, door::Want::kWipe);
  EXPECT_EQ(wipe->wrapped_key, "");
  EXPECT_TRUE(wipe->pods.empty());
  Reopen();
  EXPECT_EQ(node.Beat()->want, door::Want::kWipe);
  EXPECT_EQ(backend_.before_wipe["bn-1"], 1) << "once, also over a restart";
  const auto wiped = node.Json("POST", "/node/v1/wiped", door::Encode(Statement(16 << 20)));
  ASSERT_TRUE(wiped) << wiped.error().message;
  EXPECT_EQ(StringOr(*wiped, "certificate", ""), "certificates/bn-1.json");
  Reopen();
  const auto again = node.Json("POST", "/node/v1/wiped", door::Encode(Statement(4096)));
  ASSERT_TRUE(again) << again.error().message;
  EXPECT_EQ(*again, *wiped) << "what was certified stands";
  EXPECT_TRUE(gateway_->NodeReport("bn-1")->wiped);
  EXPECT_TRUE(gateway_->NodeReport("bn-1")->wipe_verified);
  const auto verified = data::VerifyCertificate(*gateway_->Certificate("certificates/bn-1.json"),
                                                *data::VerifyKey::Parse(gateway_->PublicKey()));
  ASSERT_TRUE(verified) << verified.error().message;
  EXPECT_EQ(verified->certificate.wipe_class, data::WipeClass::kFull);
  EXPECT_TRUE(verified->certificate.medium.simulated);
  EXPECT_EQ(verified->certificate.data.receipts, 1);
  EXPECT_EQ(verified->certificate.techniques[1].ended, clock_.Now() - 100ms * 30);

  backend_.Want("bn-1", door::Want::kWipe, Phase::kDeleting);
  EXPECT_EQ(node.Beat()->want, door::Want::kPowerOff);
  ASSERT_TRUE(gateway_->Forget("bn-1"));
  Reopen();
  EXPECT_EQ(node.Send("POST", "/node/v1/heartbeat", "{}").status, 401);
  EXPECT_EQ(gateway_->NodeReport("bn-1"), std::nullopt);
}

TEST_F(GatewayTest, ATokenWorksOnceForItsNodeAndNotForEver) {
  const std::string user_data = EncodeUserData(*gateway_->UserDataFor("bn-1"));
  FakeNode other(EncodeUserData(*gateway_->UserDataFor("bn-2")), dir_ / "node.sock");
  const std::string tls_key = Hex(data::TlsKey::Generate()->PublicKey());
  const auto status = [&](const std::string& name, const std::string& token) {
    door::RegisterRequest request{
        name, token, data::NodeKey::Generate()->public_key().Hex(), {}, {}, "", tls_key};
    return other.Send("POST", "/node/v1/register", json::serialize(door::Encode(request))).status;
  };
  const std::string token = door::DecodeUserData(user_data)->token;
  EXPECT_EQ(status("bn-1", "wrong"), 403);
  EXPECT_EQ(status("bn-2", token), 403) << "another node's";
  EXPECT_EQ(status("bn-9", token), 403) << "of no node";
  backend_.Want("bn-1", door::Want::kPowerOff, Phase::kDeleting);
  EXPECT_EQ(status("bn-1", token), 403) << "nobody wants it";
  backend_.Want("bn-1", door::Want::kStage, Phase::kProvisioned);
  door::RegisterRequest weak{"bn-1", token, std::string(64, '0'), {}, {}, "", tls_key};
  EXPECT_EQ(other.Send("POST", "/node/v1/register", json::serialize(door::Encode(weak))).status,
            400)
      << "a public key of small order";
  weak.public_key = data::NodeKey::Generate()->public_key().Hex();
  weak.tls_key = "00";
  EXPECT_EQ(other.Send("POST", "/node/v1/register", json::serialize(door::Encode(weak))).status,
            400)
      << "no key to give a certificate for";
  EXPECT_EQ(status("bn-1", token), 200) << "none of these used it up";
  EXPECT_EQ(status("bn-1", token), 403) << "the second use";
  Reopen();
  EXPECT_EQ(status("bn-1", token), 403);
  EXPECT_EQ(gateway_->UserDataFor("bn-1").error().code, Code::kConflict);

  const std::string first = gateway_->UserDataFor("bn-2")->token;
  const std::string second = gateway_->UserDataFor("bn-2")->token;
  EXPECT_EQ(status("bn-2", first), 403) << "replaced";
  clock_.Advance(1h);
  EXPECT_EQ(status("bn-2", second), 403) << "too old";
}

TEST_F(GatewayTest, SecretsAreNotInTheStateOfTheDoor) {
  FakeNode node = StagedNode("bn-1");
  const std::string token = gateway_->UserDataFor("bn-2")->token;
  for (const auto& entry : std::filesystem::directory_iterator(dir_ / "state/nodes"))
    EXPECT_EQ(ReadText(entry.path()).find(token), std::string::npos);
  EXPECT_EQ(std::filesystem::status(dir_ / "state/door.key").permissions(),
            std::filesystem::perms::owner_read | std::filesystem::perms::owner_write);
}

// Every call but register, with what the node shows now.
void ExpectRefused(FakeNode& node, int status) {
  EXPECT_EQ(node.Send("POST", "/node/v1/heartbeat", "{}").status, status);
  EXPECT_EQ(node.Get("/node/v1/manifest").status, status);
  EXPECT_EQ(node.Get("/node/v1/chunks/0").status, status);
  EXPECT_EQ(node.Send("PUT", "/node/v1/results", "x").status, status);
  EXPECT_EQ(node.Send("POST", "/node/v1/logs?uid=u&offset=0", "x").status, status);
  EXPECT_EQ(node.Send("POST", "/node/v1/wiped", "{}").status, status);
}

TEST_F(GatewayTest, WithoutACertificateThereIsNothing) {
  FakeNode node = StagedNode("bn-1");
  node.certificate.clear();
  ExpectRefused(node, 401);
}

TEST_F(GatewayTest, ACertificateOfAnotherDoorEndsTheHandshake) {
  FakeNode node = StagedNode("bn-1");
  const auto other = *data::NodeAuthority::Make(*data::TlsKey::Generate());
  node.certificate = Hex(
      AsBytes(*other.Issue("bn-1", node.tls_key().PublicKey(), clock_.Now(), clock_.Now() + 1h)));
  EXPECT_EQ(
      node.Client().Do(node.Addressed(net::HttpRequest::Get("/node/v1/manifest"))).error().code,
      Code::kUnavailable);
}

TEST_F(GatewayTest, ACertificateForAnotherKeyThanTheNodeShowedIsRefused) {
  FakeNode node = StagedNode("bn-1");
  FakeNode thief = NewNode("bn-2");
  const auto door = OpenDoorKey(dir_ / "state");
  ASSERT_TRUE(door);
  thief.certificate = Hex(
      AsBytes(*door->Issue("bn-1", thief.tls_key().PublicKey(), clock_.Now(), clock_.Now() + 1h)));
  thief.address = "bn-1";
  ExpectRefused(thief, 401);
  EXPECT_EQ(node.Get("/node/v1/manifest").status, 200);
}

TEST_F(GatewayTest, ACertificateOfAnotherRunIsRefused) {
  FakeNode first = StagedNode("bn-1");
  FakeNode second = StagedNode("bn-2");
  second.address = "bn-1";
  ExpectRefused(second, 403);
  EXPECT_THAT(second.Get("/node/v1/chunks/0").body,
              HasSubstr("the certificate is that of bn-2, not of the node"));
  second.address = "";
  ExpectRefused(second, 403);
  second.address = "bn-2";
  EXPECT_EQ(second.Get("/node/v1/chunks/0").status, 200);
}

TEST_F(GatewayTest, ACertificateEndsUnlessHeartbeatsRenewIt) {
  FakeNode node = StagedNode("bn-1");
  FakeNode silent = StagedNode("bn-2");
  const std::string first = node.certificate;
  EXPECT_EQ(node.Beat()->certificate, "") << "fresh enough";
  for (int i = 0; i < 5; ++i) {
    clock_.Advance(91s);
    const auto desired = node.Beat();
    ASSERT_TRUE(desired) << desired.error().message;
    ASSERT_NE(desired->certificate, "");
    node.certificate = desired->certificate;
    Reopen();
  }
  EXPECT_EQ(node.Get("/node/v1/chunks/0").status, 200);
  ExpectRefused(silent, 401);
  node.certificate = first;
  ExpectRefused(node, 401);
  EXPECT_THAT(node.Get("/node/v1/chunks/0").body, HasSubstr("was good until"));
}

TEST_F(GatewayTest, TheCertificateOfAnEndedBurstNodeIsRefusedOnAnOpenConnection) {
  FakeNode node = StagedNode("bn-1");
  net::HttpClient client = node.Client();
  const net::HttpRequest get = node.Addressed(net::HttpRequest::Get("/node/v1/chunks/0"));
  ASSERT_EQ(client.Do(get)->status, 200);
  ASSERT_TRUE(gateway_->Forget("bn-1"));
  EXPECT_EQ(client.Do(get)->status, 401);
}

TEST_F(GatewayTest, OnlyTls13IsSpokenAndOnlyTheDoorsKeyIsBelieved) {
  FakeNode node = StagedNode("bn-1");
  const net::HttpRequest get = node.Addressed(net::HttpRequest::Get("/node/v1/chunks/0"));
  EXPECT_EQ(net::HttpClient({.unix_path = dir_ / "node.sock"}).Do(get).error().code,
            Code::kUnavailable)
      << "plain HTTP";
  net::ClientOptions another;
  another.pinned_key = data::NodeAuthority::Make(*data::TlsKey::Generate())->Pin();
  const auto refused = net::HttpClient({.unix_path = dir_ / "node.sock"}, another).Do(get);
  EXPECT_THAT(refused.error().message, HasSubstr("another key than the server's"));
}

TEST_F(GatewayTest, ANodeSeesItsOwnRunOnly) {
  FakeNode first = StagedNode("bn-1");
  FakeNode second = NewNode("bn-2");
  ASSERT_TRUE(second.Register());
  EXPECT_EQ(first.Get("/node/v1/chunks/0").status, 200);
  EXPECT_EQ(second.Get("/node/v1/chunks/0").status, 409) << "its own is not prepared";
  ASSERT_TRUE(gateway_->Prepare(Request("bn-2")));
  EXPECT_NE(second.Get("/node/v1/chunks/0").body, first.Get("/node/v1/chunks/0").body);
  const auto mine = first.Beat();
  EXPECT_TRUE(first.Unwrap(mine->wrapped_key));
  EXPECT_FALSE(second.Unwrap(mine->wrapped_key)) << "sealed to the other node";
}

TEST_F(GatewayTest, ChunksOutOfRangeAndRanges) {
  FakeNode node = StagedNode("bn-1");
  const std::string whole = node.Get("/node/v1/chunks/0").body;
  const net::HttpResponse part = node.Get("/node/v1/chunks/0", "bytes=10-19");
  EXPECT_EQ(part.status, 206);
  EXPECT_EQ(part.body, whole.substr(10, 10));
  EXPECT_EQ(part.headers.Get("Content-Range"), "bytes 10-19/" + std::to_string(whole.size()));
  EXPECT_EQ(node.Get("/node/v1/chunks/0", "bytes=10-").body, whole.substr(10));
  EXPECT_EQ(node.Get("/node/v1/chunks/0", "bytes=99999999-").status, 416);
  EXPECT_EQ(node.Get("/node/v1/chunks/0", "bytes=9-3").status, 400);
  EXPECT_EQ(node.Get("/node/v1/chunks/0", "bytes=0-1,5-6").body, whole) << "several: the whole";
  EXPECT_EQ(node.Get("/node/v1/chunks/99").status, 404);
  EXPECT_EQ(node.Get("/node/v1/chunks/-1").status, 400);
  EXPECT_EQ(node.Get("/node/v1/chunks/x").status, 400);
  EXPECT_EQ(node.Get("/node/v1/chunks/99999999999999999999").status, 400);
}

TEST_F(GatewayTest, ARunFetchesAtItsRateThroughAllStreamsTogether) {
  run_bytes_per_s_ = 64 << 20;
  Reopen();
  // Nothing that would be compressed.
  std::string noise(5 << 20, '\0');
  std::uint32_t state = 1;
  for (char& byte : noise) byte = static_cast<char>((state = state * 1664525 + 1013904223) >> 24);
  WriteText(dir_ / "data/digits/train/b", noise);
  FakeNode node = StagedNode("bn-1");
  const auto begin = std::chrono::steady_clock::now();
  std::vector<std::thread> streams;
  std::atomic<std::int64_t> came = 0;
  for (int i = 0; i < 4; ++i)
    streams.emplace_back([&] { came += std::ssize(node.Get("/node/v1/chunks/1").body); });
  for (std::thread& stream : streams) stream.join();
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
  EXPECT_GE(came, 4 * (4 << 20));
  // Never faster, but for the first 50 ms at once; how much slower is the machine's affair.
  EXPECT_GE(took.count(),
            static_cast<double>(came) / static_cast<double>(run_bytes_per_s_) - 0.051);
}

TEST_F(GatewayTest, BadResultsAreRefused) {
  FakeNode node = StagedNode("bn-1");
  const auto desired = node.Beat();
  const auto key = node.Unwrap(desired->wrapped_key);
  ASSERT_TRUE(key);
  EXPECT_EQ(node.SendResult(*key, desired->dataset_version, "../../escape", "x").status, 400);
  EXPECT_FALSE(std::filesystem::exists(dir_ / "escape"));
  EXPECT_EQ(node.SendResult(*key, "another version", "model", "x").status, 500);
  EXPECT_EQ(node.Send("PUT", "/node/v1/results?pod=a", "x").status, 400);
  EXPECT_EQ(node.SendResult(*key, desired->dataset_version, "model", "x").status, 200);
}

TEST_F(GatewayTest, ADestroyedKeyEndsEverything) {
  FakeNode node = StagedNode("bn-1");
  const auto desired = node.Beat();
  const auto key = node.Unwrap(desired->wrapped_key);
  ASSERT_TRUE(gateway_->DestroyRunKey("bn-1"));
  for (int i = 0; i < 2; ++i) {
    const auto after = node.Beat();
    ASSERT_TRUE(after);
    EXPECT_FALSE(after->prepared);
    EXPECT_EQ(after->wrapped_key, "");
    EXPECT_EQ(node.Get("/node/v1/manifest").status, 409);
    EXPECT_EQ(node.Get("/node/v1/chunks/0").status, 409);
    EXPECT_EQ(node.SendResult(*key, desired->dataset_version, "model", "x").status, 409);
    ASSERT_TRUE(gateway_->Prepare(Request("bn-1"))) << "it was prepared, and no new key is made";
    EXPECT_EQ(node.Get("/node/v1/manifest").status, 409);
    Reopen();
  }
}

TEST_F(GatewayTest, AWipeNobodyAskedForIsNotCertified) {
  FakeNode node = StagedNode("bn-1");
  EXPECT_EQ(node.Json("POST", "/node/v1/wiped", door::Encode(Statement(4096))).error().code,
            Code::kConflict);
  EXPECT_TRUE(gateway_->Certificates()->empty());
  backend_.Want("bn-1", door::Want::kWipe, Phase::kWiping);
  ASSERT_TRUE(node.Json("POST", "/node/v1/wiped", door::Encode(Statement(16 << 20))));
  EXPECT_TRUE(gateway_->RunReport("bn-1").key_destroyed) << "before anything is certified";
}

TEST_F(GatewayTest, ALostNodeGetsTheLesserCertificate) {
  FakeNode node = StagedNode("bn-1");
  BurstNode lost = backend_.desired["bn-1"].node;
  EXPECT_EQ(gateway_->CertifyLoss(lost, true).error().code, Code::kConflict) << "the key first";
  ASSERT_TRUE(gateway_->DestroyRunKey("bn-1"));
  ASSERT_TRUE(gateway_->CertifyLoss(lost, true));
  ASSERT_TRUE(gateway_->CertifyLoss(lost, true));
  EXPECT_EQ(gateway_->RunReport("bn-1").certificate, "certificates/bn-1.json");
  // It comes back and says that it wiped: what was certified stands.
  ASSERT_TRUE(node.Json("POST", "/node/v1/wiped", door::Encode(Statement(16 << 20))));
  EXPECT_TRUE(gateway_->NodeReport("bn-1")->wiped);
  EXPECT_FALSE(gateway_->NodeReport("bn-1")->wipe_verified);
  BurstNode never = lost;
  never.name = "bn-7";
  ASSERT_TRUE(gateway_->DestroyRunKey("bn-7"));
  ASSERT_TRUE(gateway_->CertifyLoss(never, true)) << "never prepared, never registered";
  EXPECT_THAT(*gateway_->Certificates(),
              ElementsAre("certificates/bn-1.json", "certificates/bn-7.json"));
}

TEST_F(GatewayTest, AKeyThatOutlivedItsMachineIsCertifiedWithWhatTheNodeHadStated) {
  const auto service = std::make_shared<OtherService>();
  FakeNode node = WipingWithout(service);
  const std::string statement = json::serialize(door::Encode(Statement(16 << 20)));
  EXPECT_EQ(node.Send("POST", "/node/v1/wiped", statement).status, 503);
  BurstNode owed = backend_.desired["bn-1"].node;
  owed.key_owed_since = clock_.Now();
  backend_.Want("bn-1", door::Want::kPowerOff, Phase::kDeleting);
  Reopen();
  EXPECT_EQ(gateway_->CertifyLoss(owed, true).error().code, Code::kConflict);
  EXPECT_FALSE(gateway_->RunReport("bn-1").certificate_full);

  service->away = false;
  ASSERT_TRUE(gateway_->DestroyRunKey("bn-1"));
  ASSERT_TRUE(gateway_->CertifyLoss(owed, true));
  EXPECT_TRUE(gateway_->RunReport("bn-1").certificate_full);
  const auto verified = data::VerifyCertificate(*gateway_->Certificate("certificates/bn-1.json"));
  ASSERT_TRUE(verified) << verified.error().message;
  EXPECT_EQ(verified->certificate.wipe_class, data::WipeClass::kFull) << "it was read back";
  EXPECT_THAT(verified->certificate.keys.statement,
              HasSubstr("the machine was given back from " + FormatTime(*owed.key_owed_since)));
}

TEST_F(GatewayTest, NothingIsCertifiedUntilTheKeyServiceHasDestroyedTheKey) {
  const auto service = std::make_shared<OtherService>();
  FakeNode node = WipingWithout(service);
  for (int i = 0; i < 2; ++i) {
    EXPECT_EQ(gateway_->DestroyRunKey("bn-1").error().code, Code::kUnavailable);
    EXPECT_FALSE(gateway_->RunReport("bn-1").key_destroyed);
    EXPECT_EQ(node.Get("/node/v1/manifest").status, 409) << "but nobody gets anything any more";
    EXPECT_EQ(
        node.Send("POST", "/node/v1/wiped", json::serialize(door::Encode(Statement(16 << 20))))
            .status,
        503);
    EXPECT_EQ(gateway_->CertifyLoss(backend_.desired["bn-1"].node, true).error().code,
              Code::kConflict);
    EXPECT_TRUE(gateway_->Certificates()->empty());
    Reopen();
  }
  EXPECT_TRUE(gateway_->NodeReport("bn-1")->overwritten) << "what it did is kept";
  service->away = false;
  ASSERT_TRUE(node.Json("POST", "/node/v1/wiped", door::Encode(Statement(16 << 20))));
  EXPECT_TRUE(gateway_->RunReport("bn-1").key_destroyed);
  const auto verified = data::VerifyCertificate(*gateway_->Certificate("certificates/bn-1.json"));
  ASSERT_TRUE(verified) << verified.error().message;
  const data::WipedKeys& keys = verified->certificate.keys;
  EXPECT_EQ(keys.key_id, "other/bn-1");
  ASSERT_TRUE(keys.service);
  EXPECT_EQ(keys.service->name, "other service");
  EXPECT_EQ(keys.service->version, 3);
  EXPECT_EQ(keys.service->destroyed, OtherService::kEnded);
  EXPECT_EQ(keys.service->statement, "deleted, as this service states it");
  EXPECT_EQ(keys.created, clock_.Now()) << "by the site's clock";
}

TEST_F(GatewayTest, HeartbeatsCarryPodsAndLogsOnce) {
  FakeNode node = StagedNode("bn-1");
  node.heartbeat.pods = {{"vision/train-0", "uid-1", "Running", -1, "", 10, -1, 0}};
  node.heartbeat.problem = "slow";
  const auto desired = node.Beat();
  ASSERT_TRUE(desired);
  ASSERT_EQ(desired->pods.size(), 1u);
  EXPECT_EQ(desired->pods[0].uid, "uid-1");
  EXPECT_EQ(backend_.statuses["bn-1"].at(0).phase, "Running");
  EXPECT_EQ(gateway_->Progress("bn-1").problem, "slow");
  EXPECT_EQ(
      node.Send("POST", "/node/v1/logs?pod=vision%2Ftrain-0&uid=uid-1&offset=7", "line\n").status,
      200);
  EXPECT_THAT(backend_.logs, ElementsAre("bn-1 uid-1 7 line\n"));
  EXPECT_EQ(node.Send("POST", "/node/v1/logs?uid=uid-1", "x").status, 400);
  EXPECT_EQ(node.Send("POST", "/node/v1/heartbeat", R"({"sequence":1})").status, 400);
  // One that was overtaken changes nothing.
  node.heartbeat.sequence = -1;
  node.heartbeat.problem = "old";
  node.heartbeat.pods[0].phase = "Pending";
  ASSERT_TRUE(node.Beat());
  EXPECT_EQ(gateway_->Progress("bn-1").problem, "slow");
  EXPECT_EQ(backend_.statuses["bn-1"].at(0).phase, "Running");
}

TEST_F(GatewayTest, ReleasedPodsAreToldAndAreNews) {
  FakeNode node = StagedNode("bn-1");
  ASSERT_TRUE(node.Beat());
  EXPECT_FALSE(backend_.released_pods.contains("bn-1"));
  const int before = backend_.changes["bn-1"];
  node.heartbeat.released = {"uid-1"};
  ASSERT_TRUE(node.Beat());
  EXPECT_THAT(backend_.released_pods["bn-1"], ElementsAre("uid-1"));
  EXPECT_EQ(backend_.changes["bn-1"], before + 1);
  ASSERT_TRUE(node.Beat());
  EXPECT_EQ(backend_.changes["bn-1"], before + 1) << "said again, but no news";
}

TEST_F(GatewayTest, TheLeaseGoesOnWhileTheHookBeforeAWipeRuns) {
  FakeNode node = StagedNode("bn-1");
  FakeNode other = StagedNode("bn-2");
  backend_.HoldWipes(true);
  for (const char* name : {"bn-1", "bn-2"}) backend_.Want(name, door::Want::kWipe, Phase::kWiping);
  for (int i = 0; i < 20; ++i) {
    for (FakeNode* each : {&node, &other}) {
      const auto desired = each->Beat();
      ASSERT_TRUE(desired);
      EXPECT_EQ(desired->want, door::Want::kReturn);
      EXPECT_EQ(desired->lease_ms, 3000);
    }
  }
  backend_.HoldWipes(false);
  EXPECT_EQ(node.BeatUntilWipe()->want, door::Want::kWipe);
  EXPECT_EQ(other.BeatUntilWipe()->want, door::Want::kWipe);
  const std::lock_guard lock(backend_.mutex);
  EXPECT_EQ(backend_.before_wipe["bn-1"], 1);
  EXPECT_EQ(backend_.before_wipe["bn-2"], 1);
}

TEST_F(GatewayTest, EstimatesSelectedBytes) {
  DatasetInfo dataset;
  dataset.directory = "digits";
  dataset.include = {"train/**"};
  EXPECT_EQ(gateway_->SelectedBytes(dataset, {}), (5 << 20) + 5);
  EXPECT_EQ(gateway_->SelectedBytes(dataset, {"train/a"}), 5);
  dataset.directory = "absent";
  EXPECT_EQ(gateway_->SelectedBytes(dataset, {}), 0);
}

}  // namespace
}  // namespace spillway::gateway
