// Manifests, and with them the strict reader of signed records and canonical JSON.
#include "base/json.h"
#include "data/manifest.h"
#include "data/record.h"
#include "tests/fuzz/fuzz.h"

namespace spillway::fuzz {
namespace {

data::Manifest Example() {
  data::Manifest manifest;
  manifest.run_id = "bn-00007";
  manifest.dataset_namespace = "run";
  manifest.dataset_name = "bn-00007";
  manifest.dataset_version = "v3";
  manifest.data_class = "internal";
  manifest.files = {{{"digits/a", 5, 0644, Time{Duration(1)}}, {{0, 0, 5}}},
                    {{"digits/big", 3000, 0755, Time{Duration(-7)}}, {{0, 5, 995}, {1, 0, 2005}}},
                    {{"digits/empty", 0, 0600, Time{}}, {}}};
  manifest.chunks = {{1000, data::SealedSize(1000), {}}, {2005, data::SealedSize(600), {}}};
  return manifest;
}

const data::SigningKey& Site() {
  static const data::SigningKey key =
      data::SigningKey::FromSeed(*data::Secret::FromBytes(ByteBuffer(32, 5)));
  return key;
}

}  // namespace

std::vector<std::string> Seeds() {
  const std::string text = *data::ManifestText(Example());
  return {text, PrettyJson(*ParseJson(text)),
          data::SignRecordText(data::kManifestType, text, Site())};
}

void Try(std::string_view input) {
  // As it comes, with its signature; and its body as if the site had signed it.
  const auto record = data::OpenRecord(data::kManifestType, input, Site().public_key(), 1 << 20);
  const auto parsed = ParseJson(input);
  if (!parsed) return;
  for (const json::value* body : {&*parsed, record ? &record->body : nullptr}) {
    if (body == nullptr) continue;
    const auto manifest = data::DecodeManifest(*body);
    if (!manifest) continue;
    SPW_CHECK(data::CheckManifest(*manifest).has_value());
    const auto text = data::ManifestText(*manifest);
    SPW_CHECK(text.has_value());
    SPW_CHECK(*data::DecodeManifest(*ParseJson(*text)) == *manifest, "it reads back as another");
  }
}

}  // namespace spillway::fuzz
