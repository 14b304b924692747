// What a node says to the site, and what it is told: each reads back as it was.
#include "base/json.h"
#include "door/protocol.h"
#include "door/user_data.h"
#include "tests/fuzz/fuzz.h"

namespace spillway::fuzz {
namespace {

template <typename Decode>
void Again(const json::value& value, Decode decode) {
  const auto message = decode(value);
  if (!message) return;
  const json::value encoded = door::Encode(*message);
  const auto again = decode(encoded);
  SPW_CHECK(again.has_value() && door::Encode(*again) == encoded, "it reads back as another");
}

}  // namespace

std::vector<std::string> Seeds() {
  door::RegisterRequest request{"bn-1", "token", std::string(64, 'a'), {}, {}};
  request.hardware.gpus = 4;
  request.labels["nvidia.com/gpu.product"] = "H100";
  door::Heartbeat heartbeat;
  heartbeat.sequence = 3;
  door::Desired desired;
  door::PodOrder pod;
  pod.key = "vision/train-0";
  pod.uid = "uid-1";
  pod.argv = {"true"};
  desired.pods = {pod};
  door::WipeStatement statement;
  statement.used = {{0, 4096}};
  return {json::serialize(door::Encode(request)), json::serialize(door::Encode(heartbeat)),
          json::serialize(door::Encode(desired)), json::serialize(door::Encode(statement))};
}

void Try(std::string_view input) {
  (void)door::DecodeUserData(std::string(input));
  const auto parsed = ParseJson(input);
  if (!parsed) return;
  Again(*parsed, door::DecodeRegisterRequest);
  Again(*parsed, door::DecodeRegisterAnswer);
  Again(*parsed, door::DecodeHeartbeat);
  Again(*parsed, door::DecodeDesired);
  Again(*parsed, door::DecodeWipeStatement);
}

}  // namespace spillway::fuzz
