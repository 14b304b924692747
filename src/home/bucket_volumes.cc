#include "home/bucket_volumes.h"

#include <fmt/format.h>

#include <filesystem>

#include "base/json.h"
#include "base/log.h"
#include "data/record.h"
#include "gateway/files.h"
#include "gateway/run_record.h"
#include "node/mounts.h"

namespace spillway::home {
namespace {

constexpr std::size_t kMaxRecordBytes = 64 << 10;
constexpr std::size_t kMaxDirectory = 4096;
constexpr std::string_view kSuffix = ".json";

// Who has the directories of a volume: a name out of the place where a pod sees it.
std::string OwnerOf(const std::string& target) {
  return Sha256Hex(target).substr(0, 32);
}

json::object Encode(const ports::BucketResults& results) {
  return {{"s3", gateway::EncodeS3Place(results.bucket)}, {"directory", results.directory}};
}

Result<ports::BucketResults> Decode(const json::value& value) {
  std::optional<Error> error;
  data::FieldReader reader(value, "results", error);
  ports::BucketResults results;
  results.bucket = gateway::DecodeS3Place(reader.Object("s3"), error);
  results.directory = reader.TextOrEmpty("directory", kMaxDirectory);
  reader.Done();
  if (error) return Fail(*error);
  return results;
}

}  // namespace

// One call at a time for an owner.
class BucketVolumes::Turn {
 public:
  static Result<Turn> Take(BucketVolumes& volumes, const std::string& owner) {
    const std::lock_guard lock(volumes.mutex_);
    if (volumes.busy_.insert(owner).second) return Turn(volumes, owner);
    return Fail(Code::kUnavailable,
                "the results of the volume are being brought into their bucket");
  }
  Turn(Turn&& other) noexcept
      : volumes_(std::exchange(other.volumes_, nullptr)), owner_(other.owner_) {}
  Turn(const Turn&) = delete;
  Turn& operator=(const Turn&) = delete;
  Turn& operator=(Turn&&) = delete;
  ~Turn() {
    if (volumes_ == nullptr) return;
    const std::lock_guard lock(volumes_->mutex_);
    volumes_->busy_.erase(owner_);
  }

 private:
  Turn(BucketVolumes& volumes, std::string owner) : volumes_(&volumes), owner_(std::move(owner)) {}
  BucketVolumes* volumes_;
  std::string owner_;
};

Result<std::unique_ptr<BucketVolumes>> BucketVolumes::Open(BucketVolumesOptions options,
                                                           ports::Buckets& buckets) {
  SPW_TRY(gateway::MakeDirectory(options.directory));
  std::unique_ptr<BucketVolumes> volumes(new BucketVolumes(std::move(options), buckets));
  if (std::vector<std::string> owners = volumes->Forgotten(); !owners.empty())
    volumes->forgotten_ = std::thread([all = volumes.get(), owners = std::move(owners)]() mutable {
      all->BringForgotten(std::move(owners));
    });
  return volumes;
}

BucketVolumes::~BucketVolumes() {
  {
    const std::lock_guard lock(mutex_);
    ending_ = true;
    changed_.notify_all();
  }
  if (forgotten_.joinable()) forgotten_.join();
}

// ---- records

std::string BucketVolumes::PathOf(const std::string& owner) const {
  return fmt::format("{}/{}{}", options_.directory, owner, kSuffix);
}

Result<BucketVolumes::Record> BucketVolumes::Read(const std::string& owner) const {
  SPW_ASSIGN(const std::string text, gateway::ReadFile(PathOf(owner), kMaxRecordBytes));
  const auto value = ParseJson(text);
  if (!value) return Fail(value.error().In(PathOf(owner)));
  Record record;
  record.target = StringOr(*value, "target", "");
  record.volume = StringOr(*value, "volume", "");
  record.claim = StringOr(*value, "claim", record.volume);
  record.pod = StringOr(*value, "pod", "");
  if (const json::value* results = Find(*value, "results")) {
    SPW_ASSIGN(record.results, Decode(*results));
  }
  if (OwnerOf(record.target) != owner)
    return Fail(Code::kCorrupt, PathOf(owner) + ": is not a record of this program");
  return record;
}

Status BucketVolumes::Write(const std::string& owner, const Record& record) const {
  json::object value{{"target", record.target},
                     {"volume", record.volume},
                     {"claim", record.claim},
                     {"pod", record.pod}};
  if (record.results) value["results"] = Encode(*record.results);
  return gateway::WriteDurably(PathOf(owner), AsBytes(PrettyJson(value)));
}

BucketVolumes::Record BucketVolumes::RecordOf(const node::VolumeRequest& asked,
                                              const csi::PublishRequest& request) {
  return {request.target_path, request.volume_id, asked.name_space + "/" + asked.claim, asked.pod,
          std::nullopt};
}

bool BucketVolumes::Has(const std::string& target_path) const {
  std::error_code none;
  return std::filesystem::exists(PathOf(OwnerOf(target_path)), none);
}

// ---- volumes

Status BucketVolumes::Publish(const node::VolumeRequest& asked,
                              const csi::PublishRequest& request) {
  const std::string owner = OwnerOf(request.target_path);
  SPW_ASSIGN(const Turn turn, Turn::Take(*this, owner));
  SPW_ASSIGN(const bool mounted, node::IsMountPoint(request.target_path));
  if (mounted) {
    SPW_ASSIGN(const Record record, Read(owner));
    if (record.volume != request.volume_id)
      return Fail(Code::kConflict, "another volume is mounted there");
    // It may have been interrupted before this.
    return record.results && !request.read_only ? Ok()
                                                : node::MakeMountReadOnly(request.target_path);
  }
  if (asked.dataset.empty())
    return Fail(Code::kInvalid,
                fmt::format("volume {}: attribute \"dataset\" is missing: make the claim again",
                            request.volume_id));
  SPW_ASSIGN(const DatasetInfo dataset, options_.dataset(asked.name_space, asked.dataset));
  if (!dataset.s3)
    return Fail(Code::kInvalid,
                fmt::format("volume {}: Dataset {} is {} now, and was {} when the claim was made: "
                            "make the claim again",
                            request.volume_id, dataset.key, dataset.SourceName(), asked.bucket));
  return asked.kind == node::VolumeRequest::Kind::kDataset
             ? ShowDataset(owner, asked, dataset, request)
             : ShowResults(owner, asked, dataset, request);
}

Status BucketVolumes::ShowDataset(const std::string& owner, const node::VolumeRequest& asked,
                                  const DatasetInfo& dataset, const csi::PublishRequest& request) {
  SPW_TRY(Write(owner, RecordOf(asked, request)));
  SPW_ASSIGN(const std::string directory, buckets_.Fetch(owner, dataset, options_.longest_call));
  return node::ShowDirectory(directory, request.target_path, true);
}

Status BucketVolumes::ShowResults(const std::string& owner, const node::VolumeRequest& asked,
                                  const DatasetInfo& dataset, const csi::PublishRequest& request) {
  // After the node was restarted the pod goes on with what it has written.
  Record record = RecordOf(asked, request);
  record.results = {*dataset.s3, asked.directory};
  if (Has(request.target_path)) {
    SPW_ASSIGN(record, Read(owner));
  } else {
    SPW_TRY(Write(owner, record));
  }
  if (!record.results || record.volume != request.volume_id)
    return Fail(Code::kConflict, "the files of another volume are kept for this place");
  SPW_ASSIGN(const std::string directory, buckets_.ResultsOf(owner, *record.results));
  return node::ShowDirectory(directory, request.target_path, request.read_only);
}

Status BucketVolumes::Unpublish(const std::string& target_path) {
  const std::string owner = OwnerOf(target_path);
  SPW_ASSIGN(const Turn turn, Turn::Take(*this, owner));
  return Has(target_path) ? End(owner) : node::Unmount(target_path);
}

// Results first, then the mount, then the files, then the record: whatever is cut short is gone on
// with.
Status BucketVolumes::End(const std::string& owner) {
  SPW_ASSIGN(const Record record, Read(owner));
  SPW_ASSIGN(const bool mounted, node::IsMountPoint(record.target));
  if (record.results) {
    // Nothing is written any more once it is looked at.
    if (mounted) SPW_TRY(node::MakeMountReadOnly(record.target));
    SPW_TRY(BringHome(owner, record));
  }
  SPW_TRY(node::Unmount(record.target));
  buckets_.Drop(owner);
  SPW_TRY(gateway::Remove(PathOf(owner)));
  log::Info("a volume is gone",
            {{"volume", record.volume}, {"results", record.results ? record.results->Name() : ""}});
  return Ok();
}

// What can never be in the bucket is kept for a person and holds nothing up.
Status BucketVolumes::BringHome(const std::string& owner, const Record& record) {
  const ports::Homecoming came = buckets_.BringHome(owner, {*record.results});
  const bool kept = !came.status && came.status.error().code == Code::kInvalid;
  if (came.home.count + came.waiting.count > 0) {
    using What = ResultsNews::What;
    ResultsNews news{came.status ? What::kHome : (kept ? What::kKept : What::kWaiting),
                     owner,
                     record.claim,
                     record.pod,
                     record.results->Name(),
                     came.home,
                     came.waiting,
                     std::nullopt};
    if (!came.status) news.why = came.status.error();
    options_.tell(news);
  }
  if (kept)
    log::Error("results can never be in their bucket; they are kept for a person",
               {{"volume", record.volume},
                {"bucket", record.results->Name()},
                {"why", came.status.error().message}});
  return kept ? Ok() : came.status;
}

// ---- what the kubelet has forgotten

std::vector<std::string> BucketVolumes::Forgotten() const {
  std::vector<std::string> owners;
  const auto names = gateway::ListFiles(options_.directory, kSuffix);
  if (!names) log::Error("volumes of before are not known", {{"why", names.error().message}});
  for (const std::string& owner : names.value_or(std::vector<std::string>{})) {
    const auto record = Read(owner);
    if (!record) {
      log::Error("a volume of before is not known", {{"why", record.error().message}});
      continue;
    }
    // Where the place is still there the kubelet will say what becomes of it.
    std::error_code error;
    if (!std::filesystem::exists(record->target, error) && !error) owners.push_back(owner);
  }
  return owners;
}

void BucketVolumes::BringForgotten(std::vector<std::string> owners) {
  while (true) {
    std::vector<std::string> left;
    for (const std::string& owner : owners) {
      {
        const std::lock_guard lock(mutex_);
        if (ending_) return;
      }
      const auto turn = Turn::Take(*this, owner);
      std::error_code none;
      if (turn && !std::filesystem::exists(PathOf(owner), none)) continue;  // somebody did it
      const Status done = turn ? End(owner) : Status(Fail(turn.error()));
      if (done) continue;
      log::Warn("results of a pod that is gone are not in their bucket yet",
                {{"why", done.error().message}});
      left.push_back(owner);
    }
    owners = std::move(left);
    std::unique_lock lock(mutex_);
    if (owners.empty() || changed_.wait_for(lock, options_.next_try, [this] { return ending_; }))
      return;
  }
}

}  // namespace spillway::home
