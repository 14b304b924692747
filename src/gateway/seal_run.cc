#include "gateway/seal_run.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <set>

#include "data/bytes.h"
#include "data/path.h"
#include "door/protocol.h"
#include "gateway/files.h"
#include "gateway/read_ahead.h"
#include "gateway/source_directory.h"
#include "net/socket.h"

namespace spillway::gateway {
namespace {

// The name of a claim in its namespace.
Result<std::string> ClaimName(const std::string& claim) {
  const std::size_t slash = claim.find('/');
  if (slash != std::string::npos && claim.find('/', slash + 1) == std::string::npos &&
      data::CheckRelativePath(claim))
    return claim.substr(slash + 1);
  return Fail(Code::kInvalid, fmt::format("claim \"{}\" is not namespace/name", claim));
}

Status AddInput(const RunInput& input, RunPlan& plan) {
  SPW_ASSIGN(const std::string name, ClaimName(input.claim));
  if (input.data_class == DataClass::kRestricted)
    return Fail(Code::kInvalid,
                fmt::format("Dataset {}: restricted data never leaves the site", input.dataset));
  if (input.unopened) return Fail(input.unopened->In("Dataset " + input.dataset));
  auto selection = data::Selection::Parse(input.include, input.exclude, input.narrow);
  if (!selection) return Fail(selection.error().In("Dataset " + input.dataset));
  const std::shared_ptr<Source> source =
      input.source ? input.source : OpenDirectorySource(input.directory);
  auto listing = source->List(*selection);
  if (!listing) return Fail(listing.error().In("Dataset " + input.dataset));
  if (listing->selected.empty())
    return Fail(Code::kInvalid,
                fmt::format("Dataset {}: include, exclude and the run's selection leave no file of "
                            "{} for claim {}",
                            input.dataset, source->Name(), input.claim));
  plan.record.data_class = std::max(plan.record.data_class, input.data_class);
  plan.record.start_when_readable = plan.record.start_when_readable && input.start_when_readable;
  plan.record.datasets.push_back(input.dataset);
  plan.inputs.push_back({name + "/", source, std::move(*selection), std::move(*listing)});
  return Ok();
}

// What stays at home: each place counts once, however many claims read from it.
void CountWhatStays(RunPlan& plan) {
  std::set<std::string> places;
  std::set<std::pair<std::string, std::string_view>> leaves;
  for (const RunPlan::Input& input : plan.inputs) {
    const std::string place = input.source->Name();
    if (places.insert(place).second) {
      plan.record.never_left_objects += input.listing.objects;
      plan.record.never_left_bytes += input.listing.bytes;
    }
    for (const SourceFile& file : input.listing.selected)
      if (leaves.emplace(place, file.path).second) {
        plan.record.never_left_objects -= 1;
        plan.record.never_left_bytes -= file.state.size_bytes;
      }
  }
}

Status Pack(RunPlan& plan) {
  std::vector<data::FileEntry> entries;
  std::map<std::string, std::pair<std::size_t, std::size_t>> origins;
  for (std::size_t i = 0; i < plan.inputs.size(); ++i)
    for (std::size_t k = 0; k < plan.inputs[i].listing.selected.size(); ++k) {
      const SourceFile& file = plan.inputs[i].listing.selected[k];
      const std::string path = plan.inputs[i].prefix + file.path;
      // Down to milliseconds, also before 1970.
      const auto mtime =
          std::chrono::floor<Duration>(std::chrono::sys_time<std::chrono::nanoseconds>(
              std::chrono::nanoseconds(file.state.mtime_ns)));
      entries.push_back({path, file.state.size_bytes, file.mode, mtime});
      plan.record.plain_bytes += file.state.size_bytes;
      origins.emplace(path, std::pair(i, k));
    }
  SPW_ASSIGN(plan.layout, data::PackFiles(std::move(entries)));
  ByteBuffer version;
  for (const data::PackedFile& file : plan.layout.files) {
    plan.origins.push_back(origins.at(file.entry.path));
    const auto [input, index] = plan.origins.back();
    const FileState& state = plan.inputs[input].listing.selected[index].state;
    data::AppendField(version, file.entry.path);
    data::AppendBigEndian(version, static_cast<std::uint64_t>(state.size_bytes));
    data::AppendBigEndian(version, static_cast<std::uint64_t>(state.mtime_ns));
    if (!state.etag.empty()) data::AppendField(version, state.etag);
  }
  plan.record.dataset_version = Hex(Sha256(version));
  plan.record.files = static_cast<std::int64_t>(plan.layout.files.size());
  return Ok();
}

// Seals the chunks of a plan into one file.
class Sealer {
 public:
  Sealer(const RunPlan& plan, KeyStore& keys) : plan_(plan), keys_(keys) {
    manifest_.run_id = plan.record.run;
    manifest_.dataset_namespace = door::kRunDatasetNamespace;
    manifest_.dataset_name = plan.record.run;
    manifest_.dataset_version = plan.record.dataset_version;
    manifest_.data_class = Name(plan.record.data_class);
    manifest_.files = plan.layout.files;
  }

  Status Run(const std::string& path) {
    std::vector<std::unique_ptr<SourceReader>> readers;
    for (const RunPlan::Input& input : plan_.inputs) {
      SPW_ASSIGN(std::unique_ptr<SourceReader> reader, input.source->Open());
      readers.push_back(std::move(reader));
    }
    ReadAhead plain(plan_, std::move(readers));
    const net::Fd fd(open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
    if (!fd.valid()) return Fail(FileError("open", path, errno));
    std::int64_t offset = 0;
    for (std::size_t i = 0; i < plan_.layout.chunks.size(); ++i) {
      SPW_ASSIGN(const ByteBuffer sealed, SealOne(i, plain));
      SPW_TRY(WriteAt(fd.get(), path, offset, sealed));
      offset += static_cast<std::int64_t>(sealed.size());
      manifest_.chunks.push_back({plan_.layout.chunks[i].plain_bytes,
                                  static_cast<std::int64_t>(sealed.size()), Sha256(sealed)});
    }
    if (fsync(fd.get()) != 0) return Fail(FileError("fsync", path, errno));
    return Ok();
  }

  const data::Manifest& manifest() const { return manifest_; }

 private:
  Result<ByteBuffer> SealOne(std::size_t index, ReadAhead& ahead) {
    SPW_ASSIGN(ByteBuffer plain, ahead.Next());
    const data::CleanseGuard guard(plain);
    const data::ChunkContext context = data::DataChunkContext(
        manifest_.run_id, fmt::format("{}/{}", manifest_.dataset_namespace, manifest_.dataset_name),
        manifest_.dataset_version, static_cast<std::uint32_t>(index));
    ByteBuffer sealed;
    SPW_TRY(keys_.Use(plan_.record.run, [&](const data::Secret& key) -> Status {
      SPW_ASSIGN(sealed, data::SealChunk(key, context, plain, RandomBytes(data::kSaltBytes),
                                         data::Compression::kWherePays));
      return Ok();
    }));
    return sealed;
  }

  const RunPlan& plan_;
  KeyStore& keys_;
  data::Manifest manifest_;
};

// A file that was written after its neighbour was read would be a mixture of two versions.
Status CheckUnchanged(const RunPlan& plan) {
  for (const RunPlan::Input& input : plan.inputs)
    SPW_TRY(input.source->CheckUnchanged(input.selection, input.listing));
  return Ok();
}

}  // namespace

Result<RunPlan> PlanRun(const RunRequest& request) {
  RunPlan plan;
  plan.record.run = request.run;
  std::set<std::string> prefixes;
  for (const RunInput& input : request.inputs) {
    SPW_TRY(AddInput(input, plan));
    if (!prefixes.insert(plan.inputs.back().prefix).second)
      return Fail(Code::kInvalid,
                  fmt::format("two input claims of the run are named like {}", input.claim));
  }
  for (const RunOutput& output : request.outputs) {
    SPW_TRY(ClaimName(output.claim));
    if (auto good = data::CheckRelativePath(output.directory); !good)
      return Fail(good.error().In("results of claim " + output.claim));
    plan.record.outputs.push_back(output);
  }
  std::sort(plan.record.datasets.begin(), plan.record.datasets.end());
  plan.record.datasets.erase(std::unique(plan.record.datasets.begin(), plan.record.datasets.end()),
                             plan.record.datasets.end());
  CountWhatStays(plan);
  SPW_TRY(Pack(plan));
  return plan;
}

Status SealRun(RunPlan& plan, const std::string& directory, KeyStore& keys,
               const data::SigningKey& site) {
  Sealer sealer(plan, keys);
  SPW_TRY(sealer.Run(directory + "/chunks"));
  SPW_TRY(CheckUnchanged(plan));
  ByteBuffer sealed;
  SPW_TRY(keys.Use(plan.record.run, [&](const data::Secret& key) -> Status {
    SPW_ASSIGN(sealed,
               data::SealManifest(sealer.manifest(), site, key, RandomBytes(data::kSaltBytes)));
    return Ok();
  }));
  SPW_TRY(WriteDurably(directory + "/manifest", sealed));
  plan.record.manifest_root = data::ManifestRoot(sealer.manifest());
  plan.record.manifest_bytes = static_cast<std::int64_t>(sealed.size());
  for (const data::ManifestChunk& chunk : sealer.manifest().chunks)
    plan.record.chunk_ends.push_back(plan.record.SealedBytes() + chunk.sealed_bytes);
  return Ok();
}

}  // namespace spillway::gateway
