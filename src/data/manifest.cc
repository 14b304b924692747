#include "data/manifest.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <iterator>

#include "data/merkle.h"
#include "data/record.h"

namespace spillway::data {
namespace {

constexpr std::int64_t kFormat = 1;
constexpr std::array<std::string_view, 4> kClasses = {"public", "internal", "confidential",
                                                      "restricted"};
// Milliseconds since 1970 for the years 1 and 9999.
constexpr std::int64_t kOldestMs = -62'135'596'800'000, kNewestMs = 253'402'300'799'999;
constexpr std::size_t kMaxExtentsOfFile = kMaxChunks;

tl::unexpected<Error> Bad(std::string_view place, std::string_view what) {
  return Fail(Code::kInvalid, fmt::format("manifest: {}: {}", place, what));
}

Status CheckFile(const PackedFile& file, const std::vector<ManifestChunk>& chunks) {
  const std::string& path = file.entry.path;
  if (file.entry.size_bytes < 0) return Bad(path, "size is negative");
  if (file.entry.mode > 0777) return Bad(path, "mode has more than the permission bits 0777");
  const std::int64_t mtime = file.entry.mtime.time_since_epoch().count();
  if (mtime < kOldestMs || mtime > kNewestMs) return Bad(path, "mtime is outside years 1..9999");
  std::int64_t rest = file.entry.size_bytes;
  for (const Extent& extent : file.extents) {
    if (extent.chunk >= chunks.size())
      return Bad(path,
                 fmt::format("extent in chunk {}, there are {}", extent.chunk, chunks.size()));
    const std::int64_t chunk_bytes = chunks[extent.chunk].plain_bytes;
    if (extent.length <= 0 || extent.offset < 0 || extent.length > chunk_bytes ||
        extent.offset > chunk_bytes - extent.length)
      return Bad(path, fmt::format("extent {}+{} is not inside chunk {} of {} bytes", extent.offset,
                                   extent.length, extent.chunk, chunk_bytes));
    if (extent.length > rest) return Bad(path, "its extents are longer than the file");
    rest -= extent.length;
  }
  if (rest != 0) return Bad(path, fmt::format("its extents lack {} bytes of the file", rest));

  std::vector<Extent> sorted = file.extents;
  std::sort(sorted.begin(), sorted.end(), [](const Extent& a, const Extent& b) {
    return a.chunk != b.chunk ? a.chunk < b.chunk : a.offset < b.offset;
  });
  for (std::size_t i = 1; i < sorted.size(); ++i)
    if (sorted[i].chunk == sorted[i - 1].chunk &&
        sorted[i].offset < sorted[i - 1].offset + sorted[i - 1].length)
      return Bad(path, fmt::format("two of its extents overlap in chunk {}", sorted[i].chunk));
  return Ok();
}

Status CheckChunks(const std::vector<ManifestChunk>& chunks) {
  for (std::size_t i = 0; i < chunks.size(); ++i) {
    const ManifestChunk& chunk = chunks[i];
    if (chunk.plain_bytes <= 0 || chunk.plain_bytes > kMaxChunkBytes)
      return Bad(fmt::format("chunks[{}]", i), "plaintext size is not one of a chunk");
    // Fewer where it is compressed.
    if (chunk.sealed_bytes <= SealedSize(0) || chunk.sealed_bytes > SealedSize(chunk.plain_bytes))
      return Bad(fmt::format("chunks[{}]", i),
                 fmt::format("{} sealed bytes do not belong to {} plain ones", chunk.sealed_bytes,
                             chunk.plain_bytes));
  }
  return Ok();
}

// Members in the order of their names.
void AppendFile(std::string& text, const PackedFile& file) {
  text += "{\"extents\":[";
  for (std::size_t i = 0; i < file.extents.size(); ++i)
    fmt::format_to(std::back_inserter(text), "{}[{},{},{}]", i == 0 ? "" : ",",
                   file.extents[i].chunk, file.extents[i].offset, file.extents[i].length);
  fmt::format_to(std::back_inserter(text), "],\"mode\":{},\"mtimeMs\":{},\"path\":{},\"size\":{}}}",
                 file.entry.mode, file.entry.mtime.time_since_epoch().count(),
                 CanonicalJson(json::string(file.entry.path)), file.entry.size_bytes);
}

// [chunk, offset, length]
bool DecodeExtent(const json::value& value, Extent& extent) {
  const auto* triple = value.if_array();
  if (triple == nullptr || triple->size() != 3) return false;
  for (const json::value& number : *triple)
    if (!number.is_int64() || number.get_int64() < 0) return false;
  if ((*triple)[0].get_int64() > UINT32_MAX) return false;
  extent = {static_cast<std::uint32_t>((*triple)[0].get_int64()), (*triple)[1].get_int64(),
            (*triple)[2].get_int64()};
  return true;
}

PackedFile DecodeFile(const json::value& value, std::size_t index, std::optional<Error>& error) {
  FieldReader reader(value, fmt::format("files[{}]", index), error);
  PackedFile file;
  file.entry.path = reader.Text("path", 4096);
  file.entry.size_bytes = reader.Int("size", 0, INT64_MAX);
  file.entry.mode = static_cast<std::uint32_t>(reader.Int("mode", 0, 0777));
  file.entry.mtime = Time{Duration{reader.Int("mtimeMs", kOldestMs, kNewestMs)}};
  for (const json::value& item : reader.Array("extents", kMaxExtentsOfFile)) {
    if (!DecodeExtent(item, file.extents.emplace_back())) {
      reader.Complain("extents", "must be [chunk, offset, length], whole numbers");
      break;
    }
  }
  reader.Done();
  return file;
}

ManifestChunk DecodeChunk(const json::value& value, std::size_t index,
                          std::optional<Error>& error) {
  FieldReader reader(value, fmt::format("chunks[{}]", index), error);
  ManifestChunk chunk;
  if (reader.Int("index", 0, INT64_MAX) != static_cast<std::int64_t>(index))
    reader.Complain("index", fmt::format("must be {}", index));
  chunk.plain_bytes = reader.Int("plainBytes", 0, kMaxChunkBytes);
  chunk.sealed_bytes = reader.Int("sealedBytes", 0, INT64_MAX);
  chunk.digest = reader.Hash("digest");
  reader.Done();
  return chunk;
}

std::string DatasetOf(std::string_view space, std::string_view name) {
  return fmt::format("{}/{}", space, name);
}

}  // namespace

ChunkContext DataChunkContext(const std::string& run_id, const std::string& dataset,
                              const std::string& dataset_version, std::uint32_t index) {
  return {run_id, dataset, dataset_version, Direction::kDown, "data", index};
}

ChunkContext ManifestContext(const std::string& run_id, const std::string& dataset,
                             const std::string& dataset_version) {
  return {run_id, dataset, dataset_version, Direction::kDown, "manifest", 0};
}

Digest ManifestRoot(const Manifest& manifest) {
  std::vector<ByteView> leaves;
  leaves.reserve(manifest.chunks.size());
  for (const ManifestChunk& chunk : manifest.chunks) leaves.emplace_back(chunk.digest);
  return MerkleRoot(leaves);
}

Status CheckManifest(const Manifest& manifest) {
  for (const auto& [name, text] :
       {std::pair("runId", &manifest.run_id), std::pair("namespace", &manifest.dataset_namespace),
        std::pair("name", &manifest.dataset_name), std::pair("version", &manifest.dataset_version)})
    if (text->empty() || text->size() > 256) return Bad(name, "must have 1 to 256 bytes");
  if (std::find(kClasses.begin(), kClasses.end(), manifest.data_class) == kClasses.end())
    return Bad("dataClass",
               fmt::format("\"{}\" is not public, internal, confidential or restricted",
                           manifest.data_class));
  if (manifest.files.size() > kMaxFiles || manifest.chunks.size() > kMaxChunks)
    return Bad("files", fmt::format("more than {} files or {} chunks", kMaxFiles, kMaxChunks));
  SPW_TRY(CheckChunks(manifest.chunks));
  if (auto paths = CheckPaths(manifest.files); !paths) return Fail(paths.error().In("manifest"));
  for (const PackedFile& file : manifest.files) SPW_TRY(CheckFile(file, manifest.chunks));
  return Ok();
}

Result<std::string> ManifestText(const Manifest& manifest) {
  SPW_TRY(CheckManifest(manifest));
  const auto quoted = [](std::string_view text) { return CanonicalJson(json::string(text)); };
  std::string text = "{\"chunks\":[";
  for (std::size_t i = 0; i < manifest.chunks.size(); ++i)
    fmt::format_to(std::back_inserter(text),
                   "{}{{\"digest\":\"{}\",\"index\":{},\"plainBytes\":{},\"sealedBytes\":{}}}",
                   i == 0 ? "" : ",", Hex(manifest.chunks[i].digest), i,
                   manifest.chunks[i].plain_bytes, manifest.chunks[i].sealed_bytes);
  text += fmt::format("],\"dataClass\":{},\"files\":[", quoted(manifest.data_class));
  for (std::size_t i = 0; i < manifest.files.size(); ++i) {
    if (i > 0) text += ',';
    AppendFile(text, manifest.files[i]);
  }
  text += fmt::format(
      "],\"format\":{},\"name\":{},\"namespace\":{},\"root\":\"{}\",\"runId\":{},\"version\":{}}}",
      kFormat, quoted(manifest.dataset_name), quoted(manifest.dataset_namespace),
      Hex(ManifestRoot(manifest)), quoted(manifest.run_id), quoted(manifest.dataset_version));
  return text;
}

Result<Manifest> DecodeManifest(const json::value& body) {
  std::optional<Error> error;
  FieldReader reader(body, "", error);
  Manifest manifest;
  reader.Int("format", kFormat, kFormat);
  manifest.run_id = reader.Text("runId");
  manifest.dataset_namespace = reader.Text("namespace");
  manifest.dataset_name = reader.Text("name");
  manifest.dataset_version = reader.Text("version");
  manifest.data_class = reader.Text("dataClass");
  const Digest root = reader.Hash("root");
  const json::array& files = reader.Array("files", kMaxFiles);
  const json::array& chunks = reader.Array("chunks", kMaxChunks);
  reader.Done();
  for (std::size_t i = 0; i < files.size() && !error; ++i)
    manifest.files.push_back(DecodeFile(files[i], i, error));
  for (std::size_t i = 0; i < chunks.size() && !error; ++i)
    manifest.chunks.push_back(DecodeChunk(chunks[i], i, error));
  if (error) return Fail(error->In("manifest"));
  SPW_TRY(CheckManifest(manifest));
  if (root != ManifestRoot(manifest)) return Bad("root", "is not the Merkle root of the chunks");
  return manifest;
}

Result<ByteBuffer> SealManifest(const Manifest& manifest, const SigningKey& site,
                                const Secret& run_key, ByteView salt) {
  SPW_ASSIGN(std::string body, ManifestText(manifest));
  const std::string text = SignRecordText(kManifestType, std::move(body), site);
  return SealChunk(
      run_key,
      ManifestContext(manifest.run_id, DatasetOf(manifest.dataset_namespace, manifest.dataset_name),
                      manifest.dataset_version),
      AsBytes(text), salt, Compression::kWherePays);
}

Result<Manifest> OpenManifest(const Secret& run_key, const ManifestExpectation& expected,
                              ByteView sealed) {
  const ChunkContext context =
      ManifestContext(expected.run_id, DatasetOf(expected.dataset_namespace, expected.dataset_name),
                      expected.dataset_version);
  SPW_ASSIGN(const ByteBuffer text, OpenChunk(run_key, context, sealed));
  SPW_ASSIGN(const OpenedRecord record,
             OpenRecord(kManifestType, AsText(text), expected.site, kMaxChunkBytes));
  SPW_ASSIGN(Manifest manifest, DecodeManifest(record.body));
  if (manifest.run_id != expected.run_id ||
      manifest.dataset_namespace != expected.dataset_namespace ||
      manifest.dataset_name != expected.dataset_name ||
      manifest.dataset_version != expected.dataset_version)
    return Fail(Code::kCorrupt,
                fmt::format("manifest: it is for run {} and dataset {}/{} version {}, not for run "
                            "{} and {}/{} version {}",
                            manifest.run_id, manifest.dataset_namespace, manifest.dataset_name,
                            manifest.dataset_version, expected.run_id, expected.dataset_namespace,
                            expected.dataset_name, expected.dataset_version));
  return manifest;
}

Status CheckSealedChunk(const Manifest& manifest, std::size_t index, const Secret& run_key,
                        ByteView sealed) {
  if (index >= manifest.chunks.size())
    return Bad(fmt::format("chunks[{}]", index),
               fmt::format("there are only {}", manifest.chunks.size()));
  const ManifestChunk& chunk = manifest.chunks[index];
  const auto size = static_cast<std::int64_t>(sealed.size());
  const std::string dataset = DatasetOf(manifest.dataset_namespace, manifest.dataset_name);
  if (const auto digest = SealDigest(sealed);
      size != chunk.sealed_bytes || !digest || *digest != chunk.digest)
    return Fail(Code::kCorrupt,
                fmt::format("chunk {} of {}: the {} bytes that arrived are not the {} in the "
                            "manifest",
                            index, dataset, size, chunk.sealed_bytes));
  SPW_ASSIGN(const ChunkOpener opener,
             ChunkOpener::Make(run_key,
                               DataChunkContext(manifest.run_id, dataset, manifest.dataset_version,
                                                static_cast<std::uint32_t>(index)),
                               sealed, size));
  return opener.Verify(sealed);
}

}  // namespace spillway::data
