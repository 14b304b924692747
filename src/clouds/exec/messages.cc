#include "clouds/exec/messages.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <set>

#include "data/record.h"

namespace spillway::exec {
namespace {

using data::FieldReader;
using ports::InstanceState;

constexpr std::size_t kMaxItems = 10'000;
constexpr std::size_t kMaxMessage = 2000;
constexpr std::int64_t kGiB = std::int64_t{1} << 30;
constexpr std::int64_t kDefaultDiskGiB = 40;  // as a catalogue offer without a local disk

constexpr std::array<std::string_view, 6> kStates = {"creating", "stopped",  "running",
                                                     "error",    "deleting", "off"};
constexpr std::array<std::string_view, 2> kCapacities = {"on-demand", "spot"};
constexpr std::array<std::string_view, 4> kStocks = {"available", "scarce", "none", "unknown"};
constexpr std::array<std::string_view, 6> kAreas = {"EU", "EEA", "CH", "UK", "US", "OTHER"};
constexpr std::array<Code, 11> kCodes = {Code::kInvalid,   Code::kNotFound,    Code::kConflict,
                                         Code::kCapacity,  Code::kQuota,       Code::kDenied,
                                         Code::kThrottled, Code::kUnavailable, Code::kMaybeApplied,
                                         Code::kCorrupt,   Code::kInternal};

json::object Head(const std::string& provider) {
  return {{"version", kMessageVersion}, {"provider", provider}};
}

// An optional member may be missing or null.
bool Has(FieldReader& reader, const json::value& value, std::string_view key) {
  const json::object* object = value.if_object();
  if (object == nullptr || !object->contains(key)) return false;
  if (!object->at(key).is_null()) return true;
  reader.Null(key);
  return false;
}

template <std::size_t kCount>
std::size_t Word(FieldReader& reader, std::string_view key,
                 const std::array<std::string_view, kCount>& known) {
  const std::string text = reader.Text(key);
  const auto it = std::find(known.begin(), known.end(), text);
  if (it != known.end()) return static_cast<std::size_t>(it - known.begin());
  reader.Complain(key, fmt::format("\"{}\" is not one of {}", text, fmt::join(known, ", ")));
  return 0;
}

Money Price(FieldReader& reader, std::string_view key) {
  const Result<Money> money = ParseMoney(reader.Text(key));
  if (!money) reader.Complain(key, money.error().message);
  return money.value_or(Money{});
}

Time Moment(FieldReader& reader, std::string_view key) {
  const Result<Time> time = ParseTime(reader.Text(key));
  if (!time) reader.Complain(key, time.error().message);
  return time.value_or(Time{});
}

Error ReadFault(const json::value& value, std::string where, std::optional<Error>& error) {
  FieldReader reader(value, std::move(where), error);
  Error fault;
  const std::string code = reader.Text("code");
  const auto known =
      std::find_if(kCodes.begin(), kCodes.end(), [&](Code c) { return CodeName(c) == code; });
  if (known == kCodes.end())
    reader.Complain("code", fmt::format("\"{}\" is not a code", code));
  else
    fault.code = *known;
  fault.message = reader.Text("message", kMaxMessage);
  if (Has(reader, value, "retryAfter")) {
    const Result<Duration> after = ParseDuration(reader.Text("retryAfter"));
    if (!after) reader.Complain("retryAfter", after.error().message);
    fault.retry_after = after.value_or(Duration{0});
  }
  reader.Done();
  return fault;
}

// Side objects are known by the name of their instance and their own id.
SideObject ReadSideObject(FieldReader& reader, const std::string& name) {
  SideObject object;
  object.kind = reader.Text("kind", 63);
  object.id = name + "/" + reader.Text("id");
  object.price_per_hour = Price(reader, "pricePerHour");
  return object;
}

std::vector<SideObject> ReadSideObjects(FieldReader& owner, std::string_view key,
                                        const std::string& name, std::optional<Error>& error) {
  std::vector<SideObject> objects;
  for (const json::value& item : owner.Array(key, kMaxItems)) {
    FieldReader reader(item, fmt::format("{}[{}]", owner.Place(key), objects.size()), error);
    objects.push_back(ReadSideObject(reader, name));
    reader.Done();
  }
  return objects;
}

struct Owned {
  ports::Instance instance;
  std::string cluster_id;
};

Owned ReadInstance(const json::value& value, std::string where, std::optional<Error>& error) {
  FieldReader reader(value, std::move(where), error);
  Owned owned;
  ports::Instance& instance = owned.instance;
  instance.id = reader.Text("id");
  instance.name = reader.Text("name");
  owned.cluster_id = reader.Text("clusterId");
  instance.state = static_cast<InstanceState>(Word(reader, "state", kStates));
  instance.created = Moment(reader, "created");
  if (Has(reader, value, "fault")) {
    Error fault = ReadFault(reader.Object("fault"), reader.Place("fault"), error);
    if (fault.code != Code::kCapacity && fault.code != Code::kQuota) fault.code = Code::kInternal;
    if (instance.state == InstanceState::kError) instance.fault = std::move(fault);
  } else if (instance.state == InstanceState::kError) {
    instance.fault = Error{Code::kInternal, "the provider shows it in error", std::nullopt};
  }
  if (Has(reader, value, "sideObjects"))
    instance.side_objects = ReadSideObjects(reader, "sideObjects", instance.name, error);
  reader.Done();
  return owned;
}

// Country and area: what the catalogue says of a region cannot be said otherwise.
void ReadPlace(FieldReader& reader, const json::value& value, const OfferFrame& frame,
               Offer& offer) {
  offer.region = reader.Text("region");
  const auto known =
      std::find_if(frame.places.begin(), frame.places.end(),
                   [&](const catalog::Region& place) { return place.id == offer.region; });
  const bool listed = known != frame.places.end();
  if (!listed || Has(reader, value, "country")) offer.country = reader.Text("country");
  if (!listed || Has(reader, value, "area")) offer.area = kAreas[Word(reader, "area", kAreas)];
  if (offer.country.empty()) offer.country = listed ? known->country : "";
  if (offer.area.empty()) offer.area = listed ? known->area : "";
  if (listed && (offer.country != known->country || offer.area != known->area))
    reader.Complain("region", fmt::format("the catalogue's {} has {} in {} ({})", frame.catalog,
                                          known->id, known->country, known->area));
  const bool capitals =
      offer.country.size() == 2 && std::all_of(offer.country.begin(), offer.country.end(),
                                               [](char c) { return c >= 'A' && c <= 'Z'; });
  if (!capitals)
    reader.Complain("country", fmt::format("\"{}\" is not two capital letters", offer.country));
}

void ReadLabels(FieldReader& owner, std::optional<Error>& error, Labels& labels) {
  const json::object* object = owner.Object("labels").if_object();
  if (object == nullptr) return;
  for (const auto& member : *object) {
    if (!member.value().is_string() || member.value().get_string().size() > 63 ||
        member.key().size() > 317)
      owner.Complain("labels", "must hold texts, keys up to 317 and values up to 63 bytes");
    else if (!labels.emplace(member.key(), View(member.value().get_string())).second && !error)
      owner.Complain("labels", fmt::format("{} follows from the other members",
                                           std::string_view(member.key())));
  }
}

Offer ReadOffer(const json::value& value, std::string where, const OfferFrame& frame,
                std::optional<Error>& error) {
  FieldReader reader(value, std::move(where), error);
  Offer offer;
  offer.provider = frame.provider;
  offer.catalog = frame.catalog;
  offer.instance_type = reader.Text("type", 63);
  ReadPlace(reader, value, frame, offer);
  offer.allocatable.gpus = reader.Int("gpus", 1, 64);
  catalog::GpuFacts gpu;
  gpu.product = reader.Text("product", 63);
  gpu.memory_mib = reader.Int("gpuMemoryMiB", 1024, 1 << 20);
  gpu.driver_major = reader.Int("cudaDriverMajor", 1, 9999);
  offer.allocatable.cpu_milli = reader.Int("vcpus", 1, 4096) * 1000;
  offer.allocatable.memory_bytes = reader.Int("memoryGiB", 1, 1 << 16) * kGiB;
  std::int64_t disk = kDefaultDiskGiB;
  if (Has(reader, value, "diskGiB")) disk = reader.Int("diskGiB", 1, 1 << 20);
  offer.allocatable.ephemeral_bytes = disk * kGiB;
  offer.price_per_hour = Price(reader, "pricePerHour");
  if (offer.price_per_hour <= Money{}) reader.Complain("pricePerHour", "must be more than zero");
  if (Has(reader, value, "capacity"))
    offer.capacity = static_cast<CapacityType>(Word(reader, "capacity", kCapacities));
  if (Has(reader, value, "stock")) offer.stock = static_cast<Stock>(Word(reader, "stock", kStocks));
  offer.source = reader.Text("source");
  offer.read_at = Has(reader, value, "readAt") ? Moment(reader, "readAt") : frame.now;
  offer.labels = catalog::NodeLabels(offer, gpu);
  offer.labels["spillway.dev/provider"] = frame.provider;
  if (Has(reader, value, "labels")) ReadLabels(reader, error, offer.labels);
  reader.Done();
  return offer;
}

bool Opened(const OfferFrame& frame, const std::string& region) {
  return frame.regions.empty() ||
         std::find(frame.regions.begin(), frame.regions.end(), region) != frame.regions.end();
}

template <typename T>
Result<T> Or(std::optional<Error>& error, T value) {
  if (error) return Fail(std::move(*error));
  return value;
}

}  // namespace

std::string OffersRequest(const OfferFrame& frame) {
  json::object request = Head(frame.provider);
  json::array& regions = request["regions"].emplace_array();
  for (const std::string& region : frame.regions) regions.emplace_back(region);
  return json::serialize(request);
}

std::string PreflightRequest(const std::string& provider) {
  return json::serialize(Head(provider));
}

std::string CreateRequest(const std::string& provider, const ports::InstanceSpec& spec) {
  json::object request = Head(provider);
  request["instance"] = json::object{{"name", spec.name},
                                     {"clusterId", spec.cluster_id},
                                     {"region", spec.region},
                                     {"type", spec.instance_type},
                                     {"capacity", kCapacities[spec.spot ? 1 : 0]},
                                     {"userData", spec.user_data}};
  return json::serialize(request);
}

std::string ResumeRequest(const std::string& provider, const std::string& id) {
  json::object request = Head(provider);
  request["id"] = id;
  return json::serialize(request);
}

std::string ListRequest(const std::string& provider, const std::string& cluster_id) {
  json::object request = Head(provider);
  request["clusterId"] = cluster_id;
  return json::serialize(request);
}

std::string DeleteRequest(const std::string& provider, const std::string& id,
                          const std::string& name, const std::string& cluster_id) {
  json::object request = Head(provider);
  request["id"] = id;
  request["name"] = name;
  request["clusterId"] = cluster_id;
  return json::serialize(request);
}

Answer ReadAnswer(std::string_view text) {
  Result<json::value> parsed = ParseJson(text);
  if (!parsed) return {Answer::Kind::kUnreadable, {}, std::move(parsed.error())};
  const json::object* object = parsed->if_object();
  if (object == nullptr)
    return {Answer::Kind::kUnreadable, {}, {Code::kInvalid, "must be an object", std::nullopt}};
  if (!object->contains("error")) return {Answer::Kind::kAnswer, std::move(*parsed), {}};
  std::optional<Error> wrong;
  FieldReader reader(*parsed, "", wrong);
  Error told = ReadFault(reader.Object("error"), "error", wrong);
  reader.Done();
  if (wrong) return {Answer::Kind::kUnreadable, {}, std::move(*wrong)};
  return {Answer::Kind::kError, {}, std::move(told)};
}

Result<std::vector<Offer>> ReadOffers(const json::value& answer, const OfferFrame& frame) {
  std::optional<Error> error;
  FieldReader reader(answer, "", error);
  std::vector<Offer> offers;
  std::set<std::string> keys;
  std::size_t index = 0;
  for (const json::value& item : reader.Array("offers", kMaxItems)) {
    Offer offer = ReadOffer(item, fmt::format("offers[{}]", index++), frame, error);
    if (!keys.insert(offer.Key()).second)
      reader.Complain("offers", fmt::format("{} is there twice", offer.Key()));
    if (Opened(frame, offer.region)) offers.push_back(std::move(offer));
  }
  reader.Done();
  return Or(error, std::move(offers));
}

Status ReadEmpty(const json::value& answer) {
  std::optional<Error> error;
  FieldReader(answer, "", error).Done();
  if (error) return Fail(std::move(*error));
  return Ok();
}

Result<ports::Instance> ReadCreated(const json::value& answer, const ports::InstanceSpec& spec) {
  std::optional<Error> error;
  FieldReader reader(answer, "", error);
  Owned owned = ReadInstance(reader.Object("instance"), "instance", error);
  reader.Done();
  if (owned.instance.name != spec.name || owned.cluster_id != spec.cluster_id)
    reader.Complain("instance", fmt::format("is {} of {}, not {} of {}", owned.instance.name,
                                            owned.cluster_id, spec.name, spec.cluster_id));
  return Or(error, std::move(owned.instance));
}

Result<ports::Inventory> ReadInventory(const json::value& answer, const std::string& cluster_id) {
  std::optional<Error> error;
  FieldReader reader(answer, "", error);
  ports::Inventory inventory;
  std::size_t index = 0;
  for (const json::value& item : reader.Array("instances", kMaxItems)) {
    Owned owned = ReadInstance(item, fmt::format("instances[{}]", index++), error);
    if (owned.cluster_id == cluster_id) inventory.instances.push_back(std::move(owned.instance));
  }
  index = 0;
  for (const json::value& item : reader.Array("stray", kMaxItems)) {
    FieldReader stray(item, fmt::format("stray[{}]", index++), error);
    SideObject object = ReadSideObject(stray, stray.Text("name"));
    if (stray.Text("clusterId") == cluster_id) inventory.stray.push_back(std::move(object));
    stray.Done();
  }
  reader.Done();
  std::sort(inventory.instances.begin(), inventory.instances.end(),
            [](const ports::Instance& a, const ports::Instance& b) { return a.id < b.id; });
  return Or(error, std::move(inventory));
}

Result<ports::DeleteProgress> ReadDeleteProgress(const json::value& answer,
                                                 const std::string& name) {
  std::optional<Error> error;
  FieldReader reader(answer, "", error);
  ports::DeleteProgress progress;
  progress.accepted = reader.Bool("accepted");
  progress.instance_gone = reader.Bool("gone");
  progress.left = ReadSideObjects(reader, "left", name, error);
  if (progress.instance_gone && !progress.accepted)
    reader.Complain("accepted", "must be true when it is gone");
  reader.Done();
  return Or(error, std::move(progress));
}

std::vector<std::string> SecretsOf(std::string_view text) {
  constexpr std::size_t kShortest = 12;
  constexpr std::string_view kBetween = " \t\r\n\"'\\.,:;{}[]";
  std::vector<std::string> secrets;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find_first_of(kBetween), text.size());
    if (end >= kShortest) secrets.emplace_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return secrets;
}

std::string Redact(std::string line, const std::vector<std::string>& secrets) {
  for (const std::string& secret : secrets) {
    if (secret.empty()) continue;
    for (std::size_t at = line.find(secret); at != std::string::npos; at = line.find(secret, at))
      line.replace(at, secret.size(), "***");
  }
  return line;
}

}  // namespace spillway::exec
