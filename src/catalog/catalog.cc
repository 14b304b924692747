#include "catalog/catalog.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <fstream>
#include <set>
#include <sstream>

#include "catalog/reader.h"

namespace spillway::catalog {
namespace {

constexpr std::size_t kMaxFiles = 500;
constexpr std::uintmax_t kMaxFileBytes = 1u << 20;
constexpr std::int64_t kGiB = std::int64_t{1} << 30;
// Room for pods and the sealed cache on a machine without a local disk: what the smallest root
// disk of the catalogue (60 GB) leaves beside the system.
constexpr std::int64_t kRootDiskGiB = 40;

constexpr std::array<std::string_view, 4> kGrades = {"none", "subsidiary", "listing", "owner"};
constexpr std::array<std::string_view, 6> kAreas = {"EU", "EEA", "CH", "UK", "US", "OTHER"};
constexpr std::array<std::string_view, 2> kStarts = {"create", "active"};
constexpr std::array<std::string_view, 2> kStops = {"accepted", "gone"};
constexpr std::array<std::string_view, 2> kCapacities = {"on-demand", "spot"};
constexpr std::array<std::string_view, 4> kStocks = {"available", "scarce", "none", "unknown"};
constexpr std::array<std::string_view, 4> kSideKinds = {"disk", "address", "key", "port"};

// source, date and uncertain of the mapping, as evidence of `what`.
Evidence ReadEvidence(Reader& in, std::string what, std::string value) {
  Evidence evidence;
  evidence.what = std::move(what);
  evidence.value = std::move(value);
  evidence.source = in.Text("source");
  evidence.date = in.Date("date");
  evidence.uncertain = in.Flag("uncertain");
  in.NothingElse();
  return evidence;
}

std::string ReadParty(Reader in, const char* what, Entry& entry) {
  std::string country = in.Country("country");
  entry.evidence.push_back(ReadEvidence(in, what, in.Text("value") + ", " + country));
  return country;
}

void ReadFacts(Reader in, Entry& entry) {
  ProviderFacts& facts = entry.facts;
  facts.legal_country = ReadParty(in.In("legalEntity"), "legalEntity", entry);
  facts.owner_country = ReadParty(in.In("owner"), "owner", entry);

  Reader nexus = in.In("usNexus");
  facts.us_nexus = static_cast<UsNexus>(nexus.Word("grade", kGrades));
  const std::string sentence = nexus.Text("evidence");
  entry.evidence.push_back(
      ReadEvidence(nexus, "usNexus", std::string(Name(facts.us_nexus)) + ": " + sentence));
  const Evidence& said = entry.evidence.back();
  facts.us_nexus_evidence = sentence + " (" + said.source + ", " + said.date + ")";

  for (Reader& item : in.Items("certificates", 0)) {
    const std::string name = item.Text("name");
    const std::string scope = item.Text("scope");
    entry.evidence.push_back(ReadEvidence(item, "certificates " + name, scope));
    if (!entry.evidence.back().uncertain) facts.certificates.push_back(name);
  }
  std::sort(facts.certificates.begin(), facts.certificates.end());
  entry.jurisdiction_note = in.Text("jurisdictionNote");
  in.NothingElse();
}

void ReadBilling(Reader in, Entry& entry) {
  BillingTerms& billing = entry.facts.billing;
  billing.step = in.Span("step");
  if (billing.step <= Duration{0} || billing.step > 24h) {
    in.Wrong("step", "is not a billing step", "1s to 24h");
    billing.step = 1min;
  }
  billing.clock_aligned = in.Flag("clockAligned");
  billing.minimum = in.Span("minimum");
  billing.meter_starts = static_cast<BillingTerms::MeterStart>(in.Word("meterStarts", kStarts));
  billing.meter_stops = static_cast<BillingTerms::MeterStop>(in.Word("meterStops", kStops));
  (void)in.Text("currency");
  entry.evidence.push_back(ReadEvidence(in, "billing", in.Text("note")));
}

void ReadLifecycle(Reader in, Entry& entry) {
  ProviderFacts& facts = entry.facts;
  Reader create = in.In("create");
  facts.create_phases = static_cast<int>(create.Whole("phases", 1, 2));
  (void)create.Text("note");
  create.NothingElse();
  Reader remove = in.In("delete");
  facts.delete_phases = static_cast<int>(remove.Whole("phases", 1, 2));
  facts.delete_refused_while_creating = remove.Flag("refusedWhileProvisioning");
  (void)remove.Text("note");
  remove.NothingElse();

  constexpr std::int64_t kDay = 86'400;
  Reader boot = in.In("boot");
  facts.times.boot_median = std::chrono::seconds(boot.Whole("medianSeconds", 1, kDay));
  facts.times.boot_p90 = std::chrono::seconds(boot.Whole("p90Seconds", 1, kDay));
  (void)boot.Text("source");
  if (facts.times.boot_p90 < facts.times.boot_median) {
    boot.Wrong("p90Seconds", "is less than the median", "the 90th percentile");
  }
  boot.NothingElse();
  Reader gone = in.In("deleteSeconds");
  facts.times.delete_median = std::chrono::seconds(gone.Whole("median", 1, kDay));
  facts.times.delete_p90 = std::chrono::seconds(gone.Whole("p90", 1, kDay));
  if (facts.times.delete_p90 < facts.times.delete_median) {
    gone.Wrong("p90", "is less than the median", "the 90th percentile");
  }
  gone.NothingElse();
  (void)in.Flag("idempotencyKey");
  in.NothingElse();
}

void ReadLeftovers(Reader& root, Entry& entry) {
  for (Reader& item : root.Items("leftovers", 0)) {
    SideObjectTerms terms;
    terms.kind = kSideKinds[item.Word("kind", kSideKinds)];
    terms.price_per_hour = item.Price("pricePerHour");
    terms.deleted_with_instance = item.Flag("deletedWithInstance");
    const std::int64_t count = item.Whole("perInstance", 1, 16);
    const std::string name = item.Text("name");
    entry.evidence.push_back(
        ReadEvidence(item, "leftovers " + terms.kind,
                     name + ", " + FormatMoney(terms.price_per_hour) + " an hour"));
    entry.facts.side_objects.insert(entry.facts.side_objects.end(), static_cast<std::size_t>(count),
                                    terms);
  }
}

void ReadRegions(Reader& root, Entry& entry) {
  for (Reader& item : root.Items("regions", 0)) {
    Region region;
    region.id = item.Text("id");
    region.country = item.Country("country");
    region.area = kAreas[item.Word("area", kAreas)];
    region.city = item.Text("city");
    item.NothingElse();
    for (const Region& other : entry.regions) {
      if (other.id == region.id) item.Wrong("id", "is there twice", "each region once");
    }
    entry.regions.push_back(std::move(region));
  }
}

// price must be priceOriginal x rate, rounded half up to a micro-euro.
void CheckConversion(Reader& item, Money price, OfferNote& note) {
  note.price_original = item.Text("priceOriginal");
  Reader conversion = item.In("conversion");
  const std::string rate = conversion.Text("rate");
  note.conversion =
      rate + " EUR per unit, " + conversion.Text("source") + ", " + conversion.Date("date");
  conversion.NothingElse();
  // Amounts of another currency and the rate have the grammar of an amount without its unit.
  const std::string amount = note.price_original.substr(0, note.price_original.find(' '));
  const Result<Money> original = ParseMoney(amount + " EUR");
  const Result<Money> factor = ParseMoney(rate + " EUR");
  if (!original || !factor) {
    item.Wrong("priceOriginal", "or its rate is not an amount", "\"1.5484 USD\" and \"0.8591\"");
    return;
  }
  const auto product = static_cast<__int128>(original->micro()) * factor->micro();
  const auto expected = static_cast<std::int64_t>((product + 500'000) / 1'000'000);
  if (price.micro() != expected) {
    item.Wrong("price", "is not priceOriginal times the rate",
               "\"" + FormatMoney(Money::Micro(expected)) + "\"");
  }
}

void ReadOffer(Reader& item, Entry& entry) {
  Offer offer;
  OfferNote note;
  offer.catalog = entry.facts.id;
  offer.instance_type = item.Text("type");
  offer.region = item.Text("region");
  const auto region =
      std::find_if(entry.regions.begin(), entry.regions.end(),
                   [&offer](const Region& known) { return known.id == offer.region; });
  if (region == entry.regions.end()) {
    item.Wrong("region", "is not in regions", "a region listed above");
  } else {
    offer.country = region->country;
    offer.area = region->area;
  }
  Reader gpu = item.In("gpu");
  GpuFacts facts;
  facts.product = gpu.Text("model");
  offer.allocatable.gpus = gpu.Whole("count", 1, 64);
  facts.memory_mib = gpu.Whole("memoryMiB", 1024, 1 << 20);
  gpu.NothingElse();
  offer.allocatable.cpu_milli = item.Whole("vcpus", 1, 4096) * 1000;
  offer.allocatable.memory_bytes = item.Whole("memoryGiB", 1, 1 << 16) * kGiB;
  const std::int64_t disk = item.Whole("localDiskGiB", 0, 1 << 20);
  offer.allocatable.ephemeral_bytes = (disk == 0 ? kRootDiskGiB : disk) * kGiB;
  offer.price_per_hour = item.Price("price");
  if (offer.price_per_hour <= Money{}) item.Wrong("price", "is not a price", "more than zero");
  if (item.Has("priceOriginal") || item.Has("conversion")) {
    CheckConversion(item, offer.price_per_hour, note);
  }
  offer.capacity = static_cast<CapacityType>(item.Word("capacity", kCapacities));
  offer.stock = static_cast<Stock>(item.Word("stock", kStocks));
  facts.driver_major = item.Whole("cudaDriverMajor", 1, 9999);
  offer.labels = NodeLabels(offer, facts);
  const Evidence price = ReadEvidence(item, "price", "");
  offer.source = price.source;
  note.date = price.date;
  note.uncertain = price.uncertain;
  offer.read_at = ParseTime(price.date + "T00:00:00Z").value_or(Time{});
  for (const Offer& other : entry.offers) {
    if (other.Key() == offer.Key()) item.Wrong("type", "is offered twice", "each offer once");
  }
  entry.offers.push_back(std::move(offer));
  entry.notes.push_back(std::move(note));
}

Entry ReadRoot(Reader& root) {
  static constexpr std::array<std::string_view, 1> kVersions = {"catalog.spillway.dev/v1"};
  static constexpr std::array<std::string_view, 1> kKinds = {"Provider"};
  Entry entry;
  (void)root.Word("apiVersion", kVersions);
  (void)root.Word("kind", kKinds);
  entry.facts.id = root.Text("id");
  entry.facts.name = root.Text("name");
  ReadFacts(root.In("facts"), entry);
  ReadBilling(root.In("billing"), entry);
  ReadLifecycle(root.In("lifecycle"), entry);
  ReadLeftovers(root, entry);
  Reader egress = root.In("egress");
  entry.facts.egress_per_gib = egress.Price("pricePerGiB");
  entry.evidence.push_back(
      ReadEvidence(egress, "egress", FormatMoney(entry.facts.egress_per_gib) + " per GiB"));
  ReadRegions(root, entry);
  for (Reader& item : root.Items("offers", 0)) ReadOffer(item, entry);
  root.NothingElse();
  return entry;
}

Result<std::string> ReadText(const std::filesystem::path& path) {
  std::error_code error;
  const std::uintmax_t size = std::filesystem::file_size(path, error);
  if (error) return Fail(Code::kInvalid, path.string() + ": " + error.message());
  if (size > kMaxFileBytes) {
    return Fail(Code::kInvalid, path.string() + ": is larger than 1 MiB");
  }
  std::ifstream stream(path, std::ios::binary);
  std::ostringstream text;
  text << stream.rdbuf();
  if (!stream) return Fail(Code::kInvalid, path.string() + ": cannot be read");
  return std::move(text).str();
}

}  // namespace

Result<Entry> ReadEntry(std::string_view file, std::string_view text) {
  const auto documents = schema::ReadYaml(file, text);
  if (!documents) return Fail(Code::kInvalid, schema::FormatProblem(documents.error()));
  if (documents->size() != 1) {
    return Fail(Code::kInvalid, std::string(file) + ": holds " + std::to_string(documents->size()) +
                                    " documents: one provider a file");
  }
  Problems problems{std::string(file), std::nullopt};
  Reader root(problems, documents->front().value, documents->front().place, "");
  Entry entry = ReadRoot(root);
  if (problems.first) return Fail(Code::kInvalid, schema::FormatProblem(*problems.first));
  return entry;
}

Result<Catalog> Catalog::Load(const std::filesystem::path& directory) {
  std::error_code error;
  std::vector<std::filesystem::path> files;
  for (std::filesystem::directory_iterator it(directory, error), end; !error && it != end;
       it.increment(error)) {
    if (it->path().extension() == ".yaml") files.push_back(it->path());
    if (files.size() > kMaxFiles) {
      return Fail(Code::kInvalid, directory.string() + ": holds more than 500 providers");
    }
  }
  if (error)
    return Fail(Code::kNotFound, "catalogue " + directory.string() + ": " + error.message());
  std::sort(files.begin(), files.end());
  std::vector<Entry> entries;
  for (const std::filesystem::path& file : files) {
    SPW_ASSIGN(const std::string text, ReadText(file));
    SPW_ASSIGN(Entry entry, ReadEntry(file.string(), text));
    if (entry.facts.id != file.stem().string()) {
      return Fail(Code::kInvalid, file.string() + ": id: \"" + entry.facts.id +
                                      "\" is not the file's name: " + file.stem().string());
    }
    entries.push_back(std::move(entry));
  }
  return Of(std::move(entries));
}

Catalog Catalog::Of(std::vector<Entry> entries) {
  std::sort(entries.begin(), entries.end(),
            [](const Entry& a, const Entry& b) { return a.facts.id < b.facts.id; });
  Catalog catalog;
  catalog.entries_ = std::move(entries);
  return catalog;
}

const Entry* Catalog::Find(std::string_view id) const {
  const auto it = std::lower_bound(
      entries_.begin(), entries_.end(), id,
      [](const Entry& entry, std::string_view wanted) { return entry.facts.id < wanted; });
  return it != entries_.end() && it->facts.id == id ? &*it : nullptr;
}

Result<const Entry*> Catalog::EntryOf(const json::value& cloud_provider) const {
  const json::value* metadata = spillway::Find(cloud_provider, "metadata");
  const json::value* spec = spillway::Find(cloud_provider, "spec");
  if (metadata == nullptr || spec == nullptr)
    return Fail(Code::kInvalid, "CloudProvider: metadata or spec is missing");
  const std::string_view id = StringOr(*spec, "catalog", "");
  const Entry* entry = Find(id);
  if (entry == nullptr)
    return Fail(Code::kNotFound,
                fmt::format("CloudProvider/{}: spec.catalog: no provider \"{}\" in the catalogue: "
                            "an id of catalog/*.yaml",
                            StringOr(*metadata, "name", ""), id));
  return entry;
}

Labels NodeLabels(const Offer& offer, const GpuFacts& gpu) {
  return {{"kubernetes.io/arch", "amd64"},
          {"kubernetes.io/os", "linux"},
          {"node.kubernetes.io/instance-type", offer.instance_type},
          {"nvidia.com/cuda.driver.major", std::to_string(gpu.driver_major)},
          {"nvidia.com/gpu.count", std::to_string(offer.allocatable.gpus)},
          {"nvidia.com/gpu.memory", std::to_string(gpu.memory_mib)},
          {"nvidia.com/gpu.product", gpu.product},
          {"topology.kubernetes.io/region", offer.region}};
}

std::vector<Offer> OffersOf(const Entry& entry, const std::string& provider,
                            const std::vector<std::string>& regions) {
  std::vector<Offer> out;
  for (const Offer& offer : entry.offers) {
    if (!regions.empty() &&
        std::find(regions.begin(), regions.end(), offer.region) == regions.end()) {
      continue;
    }
    Offer& bound = out.emplace_back(offer);
    bound.provider = provider;
    bound.labels["spillway.dev/provider"] = provider;
  }
  return out;
}

}  // namespace spillway::catalog
