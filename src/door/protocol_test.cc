#include "door/protocol.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace spillway::door {
namespace {

using ::testing::HasSubstr;

RegisterRequest SampleRegister() {
  RegisterRequest m;
  m.name = "bn-00001";
  m.token = "t0k3n";
  m.public_key = std::string(64, 'a');
  m.hardware = {64'000, std::int64_t{256} << 30, 1 << 30, 4, {{"example.com/nic", 2}}};
  m.labels = {{"nvidia.com/gpu.product", "NVIDIA-A100-SXM4-80GB"}, {"empty", ""}};
  m.tls_key = std::string(182, 'b');
  return m;
}

Heartbeat SampleHeartbeat() {
  Heartbeat m;
  m.sequence = 7;
  m.staged_chunks = 3;
  m.staged_bytes = 12345;
  m.stage_bytes_per_s = 99;
  m.staged = true;
  m.pods = {{"vision/sweep-0", "u-1", "Failed", 137, "OOMKilled", 5000, 10, 1 << 20}};
  m.results = 3;
  m.results_pending = 2;
  m.released = {"u-2", "u-3"};
  m.wipe_progress = 0.25;
  m.problem = "chunk 4: not there";
  return m;
}

Desired SampleDesired() {
  Desired m;
  m.want = Want::kRun;
  m.lease_ms = 9000;
  m.certificate = "3082";
  m.prepared = true;
  m.chunks = 5;
  m.sealed_bytes = 54321;
  m.wrapped_key = "00ff";
  m.dataset_version = "v1";
  m.start_when_readable = true;
  PodOrder pod;
  pod.key = "vision/sweep-0";
  pod.uid = "u-1";
  pod.argv = {"python3", "-c", "print(1)\n", ""};
  pod.env = {{"SEED", "3"}, {"EMPTY", ""}};
  pod.working_dir = "/work";
  pod.volumes = {{"data", "/data", "input", "digits"}, {"tmp", "/tmp", "empty", ""}};
  pod.cpu_milli = 2000;
  pod.memory_bytes = 1 << 30;
  pod.gpus = 1;
  pod.deadline_ms = 60'000;
  pod.stop = true;
  m.pods = {pod};
  m.overwrite = "used";
  m.verify = "full";
  return m;
}

WipeStatement SampleStatement() {
  WipeStatement m;
  m.method = "AES-256-CTR keystream";
  m.filesystem = "ext4";
  m.device = "/dev/vda1";
  m.cache_bytes = 1 << 20;
  m.bytes_requested = m.bytes_written = m.bytes_read_back = 1000;
  m.used = {{0, 500}, {4096, 500}};
  m.seed_commitment = std::string(64, '1');
  m.started_ms_ago = 5000;
  m.ended_ms_ago = 1000;
  m.keys = "zeroised";
  return m;
}

// What was sent arrives: through text, as on the wire.
json::value Wire(const json::value& value) {
  return *ParseJson(json::serialize(value));
}

TEST(Protocol, MessagesSurviveTheWire) {
  const auto request = DecodeRegisterRequest(Wire(Encode(SampleRegister())));
  ASSERT_TRUE(request) << request.error().message;
  EXPECT_EQ(request->hardware, SampleRegister().hardware);
  EXPECT_EQ(request->labels, SampleRegister().labels);
  EXPECT_EQ(Encode(*request), Encode(SampleRegister()));

  const RegisterAnswer answer{"cred", std::string(64, 'b'), 1000, 9000};
  const auto answered = DecodeRegisterAnswer(Wire(Encode(answer)));
  ASSERT_TRUE(answered) << answered.error().message;
  EXPECT_EQ(Encode(*answered), Encode(answer));

  const auto heartbeat = DecodeHeartbeat(Wire(Encode(SampleHeartbeat())));
  ASSERT_TRUE(heartbeat) << heartbeat.error().message;
  EXPECT_EQ(Encode(*heartbeat), Encode(SampleHeartbeat()));
  EXPECT_DOUBLE_EQ(heartbeat->wipe_progress, 0.25);
  EXPECT_EQ(heartbeat->released, SampleHeartbeat().released);

  const auto desired = DecodeDesired(Wire(Encode(SampleDesired())));
  ASSERT_TRUE(desired) << desired.error().message;
  EXPECT_EQ(Encode(*desired), Encode(SampleDesired()));
  EXPECT_EQ(desired->want, Want::kRun);
  EXPECT_EQ(desired->pods[0].argv, SampleDesired().pods[0].argv);
  EXPECT_TRUE(desired->pods[0].stop);

  const auto statement = DecodeWipeStatement(Wire(Encode(SampleStatement())));
  ASSERT_TRUE(statement) << statement.error().message;
  EXPECT_EQ(Encode(*statement), Encode(SampleStatement()));
}

TEST(Protocol, EveryWantHasItsName) {
  for (const Want want : {Want::kStage, Want::kRun, Want::kReturn, Want::kWipe, Want::kPowerOff}) {
    Desired m = SampleDesired();
    m.want = want;
    const auto decoded = DecodeDesired(Wire(Encode(m)));
    ASSERT_TRUE(decoded) << decoded.error().message;
    EXPECT_EQ(decoded->want, want) << Name(want);
  }
}

// The decoder of `Message` must name `field` once it is gone, has another type, or once a field is
// there that nobody knows.
template <typename Decoder>
void ExpectStrict(const json::value& good, Decoder decode) {
  ASSERT_TRUE(decode(good));
  for (const auto& member : good.get_object()) {
    const std::string name(member.key());
    json::value without = good;
    without.get_object().erase(name);
    ASSERT_FALSE(decode(without)) << name;
    EXPECT_EQ(decode(without).error().code, Code::kInvalid);
    EXPECT_THAT(decode(without).error().message, HasSubstr(name));
    json::value wrong = good;
    wrong.get_object()[name] = nullptr;
    ASSERT_FALSE(decode(wrong)) << name;
    EXPECT_THAT(decode(wrong).error().message, HasSubstr(name));
  }
  json::value more = good;
  more.get_object()["surprise"] = 1;
  ASSERT_FALSE(decode(more));
  EXPECT_THAT(decode(more).error().message, HasSubstr("surprise"));
  EXPECT_FALSE(decode(json::value(3)));
}

TEST(Protocol, MissingWrongAndUnknownFieldsAreNamed) {
  ExpectStrict(Wire(Encode(SampleRegister())), DecodeRegisterRequest);
  ExpectStrict(Wire(Encode(RegisterAnswer{"c", std::string(64, '0'), 1, 1})), DecodeRegisterAnswer);
  ExpectStrict(Wire(Encode(SampleHeartbeat())), DecodeHeartbeat);
  ExpectStrict(Wire(Encode(SampleDesired())), DecodeDesired);
  ExpectStrict(Wire(Encode(SampleStatement())), DecodeWipeStatement);
  // One level down.
  ExpectStrict(Wire(Encode(SampleHeartbeat())).at("pods").at(0), [](const json::value& pod) {
    json::value message = Encode(SampleHeartbeat());
    message.at("pods").at(0) = pod;
    return DecodeHeartbeat(message);
  });
  ExpectStrict(Wire(Encode(SampleDesired())).at("pods").at(0), [](const json::value& pod) {
    json::value message = Encode(SampleDesired());
    message.at("pods").at(0) = pod;
    return DecodeDesired(message);
  });
}

TEST(Protocol, ValuesOutOfRangeAreRefused) {
  const auto heartbeat = [](std::string_view key, json::value value) {
    json::value message = Encode(SampleHeartbeat());
    message.as_object()[key] = std::move(value);
    return DecodeHeartbeat(message).has_value();
  };
  EXPECT_FALSE(heartbeat("sequence", -1));
  EXPECT_FALSE(heartbeat("wipePermille", 1001));
  EXPECT_FALSE(heartbeat("pods", json::array(257, Encode(SampleHeartbeat()).at("pods").at(0))));
  EXPECT_TRUE(heartbeat("pods", json::array(256, Encode(SampleHeartbeat()).at("pods").at(0))));

  RegisterRequest request = SampleRegister();
  request.public_key = std::string(64, 'A');
  EXPECT_FALSE(DecodeRegisterRequest(Encode(request)));
  request = SampleRegister();
  request.labels["x"] = std::string(64, 'y');
  EXPECT_FALSE(DecodeRegisterRequest(Encode(request)));
  request = SampleRegister();
  request.hardware.gpus = -1;
  EXPECT_FALSE(DecodeRegisterRequest(Encode(request)));

  Desired desired = SampleDesired();
  desired.want = Want::kWipe;
  desired.overwrite = "";
  EXPECT_FALSE(DecodeDesired(Encode(desired))) << "a wipe must say how";
  desired.want = Want::kStage;
  EXPECT_TRUE(DecodeDesired(Encode(desired)));
  desired.pods[0].volumes[0].claim = "";
  EXPECT_FALSE(DecodeDesired(Encode(desired)));
}

TEST(Protocol, AStatementThatContradictsItselfIsRefused) {
  WipeStatement more_read = SampleStatement();
  more_read.bytes_read_back = more_read.bytes_requested + 1;
  EXPECT_FALSE(DecodeWipeStatement(Encode(more_read)));
  WipeStatement more_written = SampleStatement();
  more_written.bytes_written = more_written.bytes_requested + 1;
  EXPECT_FALSE(DecodeWipeStatement(Encode(more_written)));
  WipeStatement backwards = SampleStatement();
  std::swap(backwards.started_ms_ago, backwards.ended_ms_ago);
  EXPECT_FALSE(DecodeWipeStatement(Encode(backwards)));
  WipeStatement outside = SampleStatement();
  outside.used = {{(1 << 20) - 10, 11}};
  EXPECT_FALSE(DecodeWipeStatement(Encode(outside)));
  WipeStatement overlapping = SampleStatement();
  overlapping.used = {{0, 500}, {499, 10}};
  EXPECT_FALSE(DecodeWipeStatement(Encode(overlapping)));
  WipeStatement without_seed = SampleStatement();
  without_seed.seed_commitment.clear();
  EXPECT_FALSE(DecodeWipeStatement(Encode(without_seed)));
  without_seed.bytes_requested = without_seed.bytes_written = without_seed.bytes_read_back = 0;
  EXPECT_TRUE(DecodeWipeStatement(Encode(without_seed))) << "a node that never had a cache";
}

TEST(Protocol, ALongSentenceIsCutBetweenCharacters) {
  Heartbeat m = SampleHeartbeat();
  m.problem = std::string(4095, 'x') + "€uro";
  m.pods[0].reason = std::string(10'000, 'r');
  const auto decoded = DecodeHeartbeat(Wire(Encode(m)));
  ASSERT_TRUE(decoded) << decoded.error().message;
  EXPECT_EQ(decoded->problem, std::string(4095, 'x'));
}

TEST(Protocol, TheNewestReleasedPodsAreTold) {
  Heartbeat m;
  for (std::size_t i = 0; i < kMaxReleased + 2; ++i) m.released.push_back(std::to_string(i));
  const auto decoded = DecodeHeartbeat(Wire(Encode(m)));
  ASSERT_TRUE(decoded) << decoded.error().message;
  EXPECT_EQ(decoded->released.size(), kMaxReleased);
  EXPECT_EQ(decoded->released.front(), "2");
}

}  // namespace
}  // namespace spillway::door
