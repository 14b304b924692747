// The conformance suite against the OpenStack adapter and the answers that a real OpenStack once
// gave: the fake decides what is answered and when, and the recorded answer of that kind is what
// the adapter reads, with the ids, names, marks and times that it must find in it. Without
// recordings the tests are skipped.
#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <utility>

#include "base/log.h"
#include "clouds/openstack/fake_account.h"
#include "clouds/openstack/openstack_cloud.h"
#include "tests/contract/cloud/cloud_conformance.h"
#include "tests/contract/cloud/faulty_way.h"
#include "tests/contract/cloud/recordings.h"

namespace spillway {
namespace {

using openstack::FakeOpenStack;
using openstack::FakeSettings;
using openstack::Recordings;
using ports::Fault;
using ports::Trouble;

net::HttpResponse Recorded(int number) {
  return Recordings().at(number).response;
}

// The recorded answer with another body.
net::HttpResponse Recorded(int number, const json::value& body) {
  net::HttpResponse response = Recorded(number);
  response.body = json::serialize(body);
  return response;
}

json::value BodyOf(const net::HttpResponse& response) {
  return ParseJson(response.body).value();
}

// Takes these members of `from`, which is what the fake would answer.
void Take(json::object& into, const json::value& from, std::initializer_list<const char*> members) {
  for (const char* member : members)
    if (const json::value* value = Find(from, member)) into[member] = *value;
}

json::object Server(const json::value& fake) {
  const std::string_view status = StringOr(fake, "status", "");
  const bool deleting = StringOr(fake, "OS-EXT-STS:task_state", "") == "deleting";
  const int number = deleting ? 77 : status == "ERROR" ? 100 : status == "BUILD" ? 45 : 46;
  json::object server = BodyOf(Recorded(number)).at("server").as_object();
  Take(server, fake, {"id", "name", "metadata", "tags", "created"});
  return server;
}

net::HttpResponse Servers(const json::value& fake) {
  json::object body = fake.as_object();
  for (json::value& server : body["servers"].as_array()) {
    server = Server(server);
    server.as_object().erase("fault");  // lists leave it out for these
  }
  return Recorded(49, body);
}

// The recorded flavors by the ids that the fake knows them by.
net::HttpResponse Flavors() {
  json::value body = BodyOf(Recorded(20));
  for (json::value& flavor : body.as_object()["flavors"].as_array())
    flavor.as_object()["id"] = "id-" + std::string(StringOr(flavor, "name", ""));
  return Recorded(20, body);
}

net::HttpResponse Limits(const json::value& fake) {
  json::value body = BodyOf(Recorded(25));
  json::object& absolute = body.as_object()["limits"].as_object()["absolute"].as_object();
  Take(absolute, fake.at("limits").at("absolute"), {"maxTotalInstances", "totalInstancesUsed"});
  return Recorded(25, body);
}

net::HttpResponse Ports(const json::value& fake) {
  const json::value body = BodyOf(Recorded(59));
  json::array ports;
  for (const json::value& port : fake.at("ports").as_array()) {
    json::object shown = body.at("ports").as_array().at(0).as_object();
    Take(shown, port, {"id", "device_id", "device_owner"});
    ports.push_back(std::move(shown));
  }
  return Recorded(59, json::object{{"ports", std::move(ports)}});
}

net::HttpResponse Token(const net::HttpResponse& fake) {
  json::value body = BodyOf(Recorded(3));
  Take(body.as_object()["token"].as_object(), BodyOf(fake).at("token"),
       {"issued_at", "expires_at"});
  net::HttpResponse response = Recorded(3, body);
  response.headers = {};
  response.headers.Add("X-Subject-Token", std::string(fake.headers.Get("X-Subject-Token")));
  return response;
}

net::HttpResponse Refusal(const std::string& path, int status) {
  if (status == 401)
    return Recorded(path.starts_with("/v3")     ? 5
                    : path.starts_with("/v2.0") ? 152
                    : path.starts_with("/v2/")  ? 153
                                                : 161);
  if (status == 403) return Recorded(97);
  return Recorded(status == 404 ? 78 : 128);
}

// What the real one answers where the fake answers so.
net::HttpResponse AsRecorded(const std::string& call, const net::HttpResponse& fake) {
  const std::string path = call.substr(call.find(' ') + 1);
  if (fake.status >= 400) return Refusal(path, fake.status);
  if (call == "POST /v3/auth/tokens") return Token(fake);
  if (call == "GET /v2.1/") return Recorded(14);
  if (call == "GET /v2.1/flavors/detail") return Flavors();
  if (call == "GET /v2.1/servers/detail") return Servers(BodyOf(fake));
  if (call == "GET /v2.1/limits") return Limits(BodyOf(fake));
  if (call == "GET /v2.1/os-availability-zone") return Recorded(24);
  if (call == "GET /v2/images") return Recorded(27);
  if (call == "GET /v2.0/networks") return Recorded(29);
  if (call == "GET /v2.0/security-groups") return Recorded(31);
  if (call == "GET /v2.0/ports") return Ports(BodyOf(fake));
  if (call.starts_with("DELETE /v2.0/ports/")) return Recorded(93);
  if (call.starts_with("DELETE /v2.1/servers/")) return Recorded(76);
  if (call.starts_with("GET /v2.1/servers/"))
    return Recorded(46, json::object{{"server", Server(BodyOf(fake).at("server"))}});
  if (call != "POST /v2.1/servers") ADD_FAILURE() << "nothing is recorded for " << call;
  json::value body = BodyOf(Recorded(44));
  Take(body.as_object()["server"].as_object(), BodyOf(fake).at("server"), {"id"});
  return Recorded(44, body);
}

std::optional<net::HttpResponse> RecordedFault(Fault fault) {
  switch (fault) {
    case Fault::kForbidden:
      return Recorded(147);
    case Fault::kNotFound:
      return Recorded(145);
    case Fault::kConflict:
      return Recorded(69);
    case Fault::kTooLarge:
      return Recorded(142);
    case Fault::kServerError:
    case Fault::kNetworkDown:
      return Recorded(165);
    case Fault::kImagesDown:
      return Recorded(167);
    case Fault::kOutOfService:
      return Recorded(169);
    default:
      return std::nullopt;
  }
}

std::string WhyNot(Fault fault) {
  switch (fault) {
    case Fault::kThrottled:
    case Fault::kBusy:
      return "the recorded services never throttle";
    case Fault::kErrorAfterEffect:
    case Fault::kMalformedReply:
    case Fault::kHugeReply:
    case Fault::kTornReply:
    case Fault::kSlowReply:
      return "what is recorded are whole answers";
    default:
      return "";
  }
}

class RecordedUnderTest final : public ports::CloudUnderTest {
 public:
  explicit RecordedUnderTest(Trouble trouble) : trouble_(trouble) {
    log::SetLevel(log::Level::kError);
    if (trouble == Trouble::kCapacityAfterAccept) fake_.settings.no_capacity = true;
    if (trouble == Trouble::kQuotaOfOne) fake_.settings.instances = 1;
    if (trouble == Trouble::kQuotaOfTwenty) fake_.settings.instances = 20;
    Restart();
  }
  ports::Cloud& cloud() override { return *cloud_; }
  ports::InstanceSpec Spec(const std::string& name) override { return openstack::FakeSpec(name); }
  void Advance(Duration d) override { clock_.Advance(d); }
  void Restart() override {
    cloud_ = std::make_unique<openstack::OpenStackCloud>(Options(), way_.Sender(), clock_);
  }
  std::string Begin(Fault fault, ports::Meets meets) override {
    std::string why = WhyNot(fault);
    if (!why.empty()) return why;
    if (fault == Fault::kTokenEnds) clock_.Advance(fake_.settings.token_life);
    if (fault == Fault::kSchedulerDown) fake_.settings.build = 24h;
    way_.Begin(fault, meets);
    return why;
  }
  void End() override {
    fake_.settings.build = 30s;
    way_.End();
  }
  int SignIns() override { return way_.sign_ins(); }

 private:
  openstack::OpenStackOptions Options() const {
    openstack::OpenStackOptions options = openstack::FakeAccount();
    options.image = trouble_ == Trouble::kBadImage ? "no-such-image" : "ubuntu-22.04-cuda";
    options.network = trouble_ == Trouble::kBadNetwork ? "no-such-network" : "private";
    options.security_groups = {"workers"};
    return options;
  }
  // Lost replies are the fake's: nothing came, so nothing is recorded.
  openstack::Send Sender() {
    return [this](const net::WebRequest& request) -> Result<net::HttpResponse> {
      const std::string target = net::SplitUrl(request.url)->target;
      SPW_ASSIGN(const net::HttpResponse response, fake_.Sender()(request));
      return AsRecorded(request.method + " " + target.substr(0, target.find('?')), response);
    };
  }

  const Trouble trouble_;
  ManualClock clock_{Time{std::chrono::hours{24 * 365 * 56}}};
  FakeOpenStack fake_{clock_};
  FaultyWay way_{Sender(), RecordedFault};
  std::unique_ptr<openstack::OpenStackCloud> cloud_;
};

std::vector<ports::CloudMaker> Makers() {
  if (Recordings().empty()) return {};
  return {{"Zed", [](Trouble trouble) { return std::make_unique<RecordedUnderTest>(trouble); },
           [](Trouble trouble) -> std::string {
             if (trouble == Trouble::kListLags) return "its lists do not lag";
             return trouble == Trouble::kCreateReplyLost || trouble == Trouble::kDeleteReplyLost
                        ? "what is recorded are whole answers"
                        : "";
           }}};
}

}  // namespace

namespace ports {
SPW_INSTANTIATE_CLOUD_SUITE(RecordedOpenStack, Makers(), Makers());
}  // namespace ports
}  // namespace spillway
