#include "gateway/seal_run.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <map>
#include <set>

#include "base/log.h"
#include "base/sha256_stream.h"
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

Status AddInput(const RunInput& input, const Room& room, RunPlan& plan) {
  SPW_ASSIGN(const std::string name, ClaimName(input.claim));
  if (input.data_class == DataClass::kRestricted)
    return Fail(Code::kInvalid,
                fmt::format("Dataset {}: restricted data never leaves the site", input.dataset));
  if (input.unopened) return Fail(input.unopened->In("Dataset " + input.dataset));
  auto selection = data::Selection::Parse(input.include, input.exclude, input.narrow);
  if (!selection) return Fail(selection.error().In("Dataset " + input.dataset));
  const std::shared_ptr<Source> source =
      input.source ? input.source : OpenDirectorySource(input.directory);
  auto listing = source->List(*selection, room);
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
  std::map<std::string, std::vector<const SourceListing*>> places;
  for (const RunPlan::Input& input : plan.inputs)
    places[input.source->Name()].push_back(&input.listing);
  for (const auto& [place, listings] : places) {
    plan.record.never_left_objects += listings.front()->objects;
    plan.record.never_left_bytes += listings.front()->bytes;
    std::set<std::string_view> leaves;  // with one claim there is nothing to count twice
    for (const SourceListing* listing : listings)
      for (const SourceFile& file : listing->selected)
        if (listings.size() == 1 || leaves.insert(file.path).second) {
          plan.record.never_left_objects -= 1;
          plan.record.never_left_bytes -= file.state.size_bytes;
        }
  }
}

// Names what leaves by its version: RunRecord::dataset_version.
void AddToVersion(Sha256Stream& hash, const std::string& path, const FileState& state) {
  ByteBuffer bytes;
  data::AppendField(bytes, path);
  data::AppendBigEndian(bytes, static_cast<std::uint64_t>(state.size_bytes));
  data::AppendBigEndian(bytes, static_cast<std::uint64_t>(state.mtime_ns));
  if (!state.etag.empty()) data::AppendField(bytes, state.etag);
  hash.Add(bytes);
}

// Names it by where it comes from, whatever it is called in the run: RunPlan::content.
void AddToContent(Sha256Stream& hash, const std::string& source, const SourceFile& file) {
  ByteBuffer bytes;
  for (const std::string* text : {&source, &file.path, &file.state.etag})
    data::AppendField(bytes, *text);
  for (const std::int64_t number :
       {file.state.size_bytes, file.state.mtime_ns, file.state.ctime_ns})
    data::AppendBigEndian(bytes, static_cast<std::uint64_t>(number));
  for (const std::uint64_t number : {file.state.device, file.state.inode})
    data::AppendBigEndian(bytes, number);
  hash.Add(bytes);
}

Status Pack(RunPlan& plan) {
  // Prefixes end with '/' and differ, and each listing is sorted: so all paths are.
  std::sort(plan.inputs.begin(), plan.inputs.end(),
            [](const auto& a, const auto& b) { return a.prefix < b.prefix; });
  std::size_t files = 0;
  for (const RunPlan::Input& input : plan.inputs) files += input.listing.selected.size();
  std::vector<data::FileEntry> entries;
  entries.reserve(files);
  plan.origins.reserve(files);
  Sha256Stream version, content;
  bool far = false;
  for (std::size_t i = 0; i < plan.inputs.size(); ++i) {
    const std::string source = plan.inputs[i].source->Identity();
    far = far || plan.inputs[i].source->IsFar();
    for (std::size_t k = 0; k < plan.inputs[i].listing.selected.size(); ++k) {
      const SourceFile& file = plan.inputs[i].listing.selected[k];
      std::string path = plan.inputs[i].prefix + file.path;
      // Down to milliseconds, also before 1970.
      const auto mtime =
          std::chrono::floor<Duration>(std::chrono::sys_time<std::chrono::nanoseconds>(
              std::chrono::nanoseconds(file.state.mtime_ns)));
      AddToVersion(version, path, file.state);
      AddToContent(content, source, file);
      entries.push_back({std::move(path), file.state.size_bytes, file.mode, mtime});
      plan.record.plain_bytes += file.state.size_bytes;
      plan.origins.emplace_back(i, k);
    }
  }
  SPW_ASSIGN(plan.layout, data::PackFiles(std::move(entries)));
  plan.record.dataset_version = Hex(version.Finish());
  if (far) plan.content = content.Finish();
  plan.record.files = static_cast<std::int64_t>(plan.layout.files.size());
  return Ok();
}

// Seals the chunks of a plan into one file.
class Sealer {
 public:
  // Takes the files of the layout into the manifest.
  Sealer(RunPlan& plan, KeyStore& keys) : plan_(plan), keys_(keys) {
    manifest_.run_id = plan.record.run;
    manifest_.dataset_namespace = door::kRunDatasetNamespace;
    manifest_.dataset_name = plan.record.run;
    manifest_.dataset_version = plan.record.dataset_version;
    manifest_.data_class = Name(plan.record.data_class);
    manifest_.files = std::move(plan.layout.files);
  }

  Status Run(const std::string& path, SealedContents* contents) {
    const auto own =
        std::make_shared<SealedContent>(plan_.record.run, plan_.record.dataset_version, path);
    if (contents != nullptr && plan_.content) twin_ = contents->Join(*plan_.content, own);
    const Status done = SealAll(path, *own);
    own->End();
    return done;
  }

  const data::Manifest& manifest() const { return manifest_; }

 private:
  Status SealAll(const std::string& path, SealedContent& own) {
    const net::Fd fd(open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
    if (!fd.valid()) return Fail(FileError("open", path, errno));
    std::int64_t offset = 0;
    ByteBuffer sealed;
    for (std::size_t i = 0; i < plan_.layout.chunks.size(); ++i) {
      SPW_TRY(SealOne(i, sealed));
      SPW_TRY(WriteAt(fd.get(), path, offset, sealed));
      offset += static_cast<std::int64_t>(sealed.size());
      own.Append(offset);
      SPW_ASSIGN(const Digest digest, data::SealDigest(sealed));
      manifest_.chunks.push_back(
          {plan_.layout.chunks[i].plain_bytes, static_cast<std::int64_t>(sealed.size()), digest});
    }
    if (fsync(fd.get()) != 0) return Fail(FileError("fsync", path, errno));
    return Ok();
  }

  // From the run that has it already, as long as that goes well; else from the sources.
  Result<ByteBuffer> Plain(std::size_t index) {
    if (twin_) {
      auto plain = twin_->Open(index, keys_);
      if (plain && std::ssize(*plain) == plan_.layout.chunks[index].plain_bytes) return plain;
      log::Info("what another run has sealed is of no use any more",
                {{"run", plan_.record.run},
                 {"other", twin_->run()},
                 {"chunk", std::to_string(index)},
                 {"why", plain ? "another size" : plain.error().message}});
      twin_ = nullptr;
    }
    if (!ahead_) {
      std::vector<std::unique_ptr<SourceReader>> readers;
      for (const RunPlan::Input& input : plan_.inputs) {
        SPW_ASSIGN(std::unique_ptr<SourceReader> reader, input.source->Open());
        readers.push_back(std::move(reader));
      }
      ahead_.emplace(plan_, std::move(readers), index);
    }
    return ahead_->Next();
  }

  Status SealOne(std::size_t index, ByteBuffer& sealed) {
    SPW_ASSIGN(ByteBuffer plain, Plain(index));
    const Status done = Seal(index, plain, sealed);
    data::Cleanse(plain);
    if (ahead_) ahead_->Return(std::move(plain));
    return done;
  }

  Status Seal(std::size_t index, ByteView plain, ByteBuffer& sealed) {
    const data::ChunkContext context = data::DataChunkContext(
        manifest_.run_id, fmt::format("{}/{}", manifest_.dataset_namespace, manifest_.dataset_name),
        manifest_.dataset_version, static_cast<std::uint32_t>(index));
    return keys_.Use(plan_.record.run, [&](const data::Secret& key) {
      return data::SealChunk(key, context, plain, RandomBytes(data::kSaltBytes),
                             data::Compression::kWherePays, sealed);
    });
  }

  const RunPlan& plan_;
  KeyStore& keys_;
  data::Manifest manifest_;
  std::shared_ptr<SealedContent> twin_;  // has the same content and began before
  std::optional<ReadAhead> ahead_;       // once something is read from the sources
};

// A file that was written after its neighbour was read would be a mixture of two versions.
Status CheckUnchanged(const RunPlan& plan) {
  for (const RunPlan::Input& input : plan.inputs)
    SPW_TRY(input.source->CheckUnchanged(input.selection, input.listing));
  return Ok();
}

}  // namespace

Result<RunPlan> PlanRun(const RunRequest& request, const Room& room) {
  RunPlan plan;
  plan.record.run = request.run;
  std::set<std::string> prefixes;
  for (const RunInput& input : request.inputs) {
    SPW_TRY(AddInput(input, room, plan));
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
               const data::SigningKey& site, SealedContents* contents) {
  Sealer sealer(plan, keys);
  SPW_TRY(sealer.Run(directory + "/chunks", contents));
  SPW_TRY(CheckUnchanged(plan));
  for (RunPlan::Input& input : plan.inputs) input.listing = {};  // memory, from here on of no use
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
