// Catalog: what is publicly known of each provider, read from catalog/*.yaml. Facts become values
// that the planner compares; who says so, and when, is kept as evidence for people.
// The shape of the files and the grading rules: catalog/README.md.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "base/result.h"
#include "model/offer.h"

namespace spillway::catalog {

// One fact with who says so and when.
struct Evidence {
  std::string what;   // "owner", "usNexus", "certificates ISO27001", "billing", ...
  std::string value;  // "Iliad, about 96 % (Xavier Niel), FR"
  std::string source;
  std::string date;  // "2026-05-11"
  bool uncertain = false;
};

struct Region {
  std::string id, country, area, city;
};

// What is known of an offer besides the offer itself; same index as Entry::offers.
struct OfferNote {
  std::string date;            // of the price
  bool uncertain = false;      // one weak source, or a size priced by multiplying
  std::string price_original;  // "1.5484 USD", if it was converted
  std::string conversion;      // "0.8591 EUR per unit, SOURCE, DATE"
};

struct Entry {
  ProviderFacts facts;
  std::vector<Region> regions;
  // Offer::provider is empty and the label spillway.dev/provider missing until OffersOf binds them
  // to an account.
  std::vector<Offer> offers;
  std::vector<OfferNote> notes;
  std::vector<Evidence> evidence;  // in the order of the file
  std::string jurisdiction_note;
};

// Reads one file's text; `file` is named in errors. kInvalid with
// "file:line:col: field: what is wrong: what would be right".
Result<Entry> ReadEntry(std::string_view file, std::string_view text);

class Catalog {
 public:
  // All *.yaml files of `directory` (at most 500, each at most 1 MiB). The first wrong file stops
  // it. kNotFound if there is no such directory, kInvalid otherwise.
  static Result<Catalog> Load(const std::filesystem::path& directory);
  static Catalog Of(std::vector<Entry> entries);

  // Sorted by id.
  const std::vector<Entry>& entries() const { return entries_; }
  // nullptr if there is no such provider. Valid as long as the catalogue.
  const Entry* Find(std::string_view id) const;
  // The one that the spec.catalog of a CloudProvider object names; never nullptr. kInvalid if the
  // object has no metadata or spec, kNotFound if there is no such provider.
  Result<const Entry*> EntryOf(const json::value& cloud_provider) const;

 private:
  std::vector<Entry> entries_;
};

// What GPU feature discovery would say of a machine's GPUs.
struct GpuFacts {
  std::string product;  // "NVIDIA-H100-80GB-HBM3"
  std::int64_t memory_mib = 0;
  std::int64_t driver_major = 0;
};

// Labels of a node that was rented as this offer (type, region and number of GPUs are read). The
// label spillway.dev/provider is the caller's.
Labels NodeLabels(const Offer& offer, const GpuFacts& gpu);

// Offers of the account `provider` (name of a CloudProvider) in these regions; none named: all.
std::vector<Offer> OffersOf(const Entry& entry, const std::string& provider,
                            const std::vector<std::string>& regions);

}  // namespace spillway::catalog
