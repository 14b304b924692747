#include "embedded/home_buckets.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>

#include "base/log.h"
#include "data/path.h"
#include "gateway/files.h"
#include "gateway/incoming_file.h"
#include "gateway/source_s3.h"

namespace spillway::embedded {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kPieceBytes = 4 << 20;
constexpr std::size_t kMaxResults = 1'000'000;  // files of one claim of one pod

// A name for a file out of one that may have slashes.
std::string FlatName(const std::string& text) {
  return Sha256Hex(text).substr(0, 16);
}

Status FetchFile(gateway::SourceReader& reader, const gateway::SourceFile& file,
                 const std::string& path) {
  std::error_code error;
  fs::create_directories(fs::path(path).parent_path(), error);
  const Fd out(open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0444));
  if (error || !out.valid()) return Fail(gateway::FileError("create", path, errno));
  ByteBuffer piece;
  for (std::int64_t at = 0; at < file.state.size_bytes; at += std::ssize(piece)) {
    piece.resize(
        static_cast<std::size_t>(std::min<std::int64_t>(file.state.size_bytes - at, kPieceBytes)));
    SPW_TRY(reader.Read(file, at, piece));
    SPW_TRY(gateway::WriteAt(out.get(), path, at, piece));
  }
  return Ok();
}

}  // namespace

Result<std::unique_ptr<HomeBuckets>> HomeBuckets::Open(std::string directory, s3::Access& access,
                                                       std::function<void()> changed) {
  for (const char* kind : {"/inputs", "/results"}) {
    std::error_code error;
    fs::remove_all(directory + kind, error);
    if (error)
      return Fail(Code::kInternal,
                  fmt::format("cannot remove {}{}: {}", directory, kind, error.message()));
  }
  SPW_TRY(gateway::MakeDirectory(directory));
  return std::unique_ptr<HomeBuckets>(
      new HomeBuckets(std::move(directory), access, std::move(changed)));
}

HomeBuckets::~HomeBuckets() {
  std::vector<std::unique_ptr<Input>> inputs;
  for (auto& [key, input] : inputs_) inputs.push_back(std::move(input));
  End(inputs);
}

void HomeBuckets::End(const std::vector<std::unique_ptr<Input>>& inputs) {
  for (const auto& input : inputs) {
    input->given_up = true;
    const std::lock_guard lock(mutex_);
    if (input->reader != nullptr) input->reader->Cancel();
  }
  for (const auto& input : inputs)
    if (input->thread.joinable()) input->thread.join();
}

std::string HomeBuckets::Place(std::string_view kind, const std::string& uid,
                               const std::string& name) const {
  return fmt::format("{}/{}/{}/{}", directory_, kind, uid, FlatName(name));
}

Result<std::string> HomeBuckets::Fetch(const std::string& uid, const DatasetInfo& dataset) {
  const std::string key = uid + "/" + dataset.key;
  const std::lock_guard lock(mutex_);
  std::unique_ptr<Input>& input = inputs_[key];
  if (input == nullptr) {
    input = std::make_unique<Input>();
    input->directory = Place("inputs", uid, dataset.key);
    input->thread = std::thread([this, into = input.get(), dataset] {
      const Status fetched = FetchNow(*into, dataset);
      {
        const std::lock_guard done_lock(mutex_);
        into->done = fetched;
      }
      if (!into->given_up) changed_();
    });
  }
  if (!input->done)
    return Fail(Code::kUnavailable, fmt::format("Dataset {} is being fetched from {}", dataset.key,
                                                dataset.SourceName()));
  if (*input->done) return input->directory;
  const Error failed = input->done->error().In("Dataset " + dataset.key);
  // The next question tries again, from the beginning.
  input->thread.join();
  std::error_code error;
  fs::remove_all(input->directory, error);
  inputs_.erase(key);
  return Fail(failed);
}

Status HomeBuckets::FetchNow(Input& input, const DatasetInfo& dataset) {
  SPW_ASSIGN(const data::Selection selection,
             data::Selection::Parse(dataset.include, dataset.exclude, {}));
  SPW_ASSIGN(s3::Client client, gateway::OpenBucket(*dataset.s3, access_));
  client.GiveUpWith(&input.given_up);
  const std::unique_ptr<gateway::Source> source =
      gateway::MakeS3Source(*dataset.s3, std::move(client));
  SPW_ASSIGN(const gateway::SourceListing listing, source->List(selection));
  SPW_ASSIGN(const std::unique_ptr<gateway::SourceReader> reader, source->Open());
  const auto show = [&](gateway::SourceReader* shown) {
    const std::lock_guard lock(mutex_);
    input.reader = shown;
  };
  show(reader.get());
  const Status fetched = FetchFiles(input, listing, *reader);
  show(nullptr);
  SPW_TRY(fetched);
  return source->CheckUnchanged(selection, listing);
}

Status HomeBuckets::FetchFiles(Input& input, const gateway::SourceListing& listing,
                               gateway::SourceReader& reader) {
  SPW_TRY(gateway::MakeDirectory(input.directory));
  std::atomic<std::size_t> next = 0;
  std::mutex mutex;
  Status first = Ok();
  const auto work = [&] {
    for (std::size_t i = next++; i < listing.selected.size() && !input.given_up; i = next++) {
      const gateway::SourceFile& file = listing.selected[i];
      const Status fetched = FetchFile(reader, file, input.directory + "/" + file.path);
      if (fetched) continue;
      const std::lock_guard lock(mutex);
      if (first) first = fetched;
      next = listing.selected.size();
    }
  };
  std::vector<std::thread> threads;
  for (int i = 0; i < kReaders; ++i) threads.emplace_back(work);
  for (std::thread& thread : threads) thread.join();
  SPW_TRY(first);
  return input.given_up ? Fail(Code::kUnavailable, "nobody needs it any more") : Ok();
}

Result<std::string> HomeBuckets::ResultsOf(const std::string& uid,
                                           const site::BucketResults& place) {
  std::string directory = Place("results", uid, place.Name());
  SPW_TRY(gateway::MakeDirectory(directory));
  return directory;
}

Status HomeBuckets::BringFile(const site::BucketResults& place, const std::string& file,
                              const std::string& path, const std::string& spool) const {
  if (auto good = data::CheckRelativePath(path); !good) return Fail(good.error().In("result"));
  const Fd in(open(file.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC));
  if (!in.valid()) return Fail(gateway::FileError("open", file, errno));
  struct stat info{};
  if (fstat(in.get(), &info) != 0) return Fail(gateway::FileError("stat", file, errno));
  const std::int64_t size = info.st_size;
  SPW_ASSIGN(const Digest hash, gateway::HashFile(in.get(), file, size));
  SPW_ASSIGN(s3::Client client, gateway::OpenBucket(place.bucket, access_));
  SPW_ASSIGN(const std::unique_ptr<gateway::IncomingFile> incoming,
             gateway::ReceiveIntoBucket(
                 std::move(client), place.bucket.prefix + place.directory + "/" + path, spool,
                 {path, 0644, size, hash, static_cast<std::int64_t>(kPieceBytes), "site"}));
  const Status sent = [&]() -> Status {
    std::vector<bool> have(
        static_cast<std::size_t>((size + static_cast<std::int64_t>(kPieceBytes) - 1) /
                                 static_cast<std::int64_t>(kPieceBytes)));
    ByteBuffer piece;
    for (std::size_t i = 0; i < have.size(); ++i) {
      const auto at = static_cast<std::int64_t>(i * kPieceBytes);
      piece.resize(static_cast<std::size_t>(std::min<std::int64_t>(size - at, kPieceBytes)));
      SPW_TRY(gateway::ReadAt(in.get(), file, at, piece));
      SPW_TRY(incoming->Write(at, piece));
      have[i] = true;
      SPW_TRY(incoming->Advance(have));
    }
    SPW_ASSIGN(const Digest written, incoming->Hash());
    if (written != hash)
      return Fail(Code::kCorrupt, fmt::format("{}: changed while it was sent", file));
    return incoming->Commit();
  }();
  incoming->Drop();
  return sent;
}

Status HomeBuckets::BringHome(const std::string& uid,
                              const std::vector<site::BucketResults>& places) {
  Status first = Ok();
  for (const site::BucketResults& place : places) {
    const std::string directory = Place("results", uid, place.Name());
    const std::string spool = fmt::format("{}/results/{}/spool", directory_, uid);
    std::error_code error;
    std::size_t count = 0;
    for (auto it = fs::recursive_directory_iterator(directory, error);
         !error && it != fs::recursive_directory_iterator(); it.increment(error)) {
      // Links lead nowhere, as on a rented machine.
      if (!it->is_regular_file(error) || it->is_symlink(error)) continue;
      const std::string path = it->path().string().substr(directory.size() + 1);
      Status sent =
          ++count > kMaxResults
              ? Fail(Code::kInvalid, fmt::format("more than {} result files", kMaxResults))
              : BringFile(place, it->path().string(), path, spool);
      if (!sent && first) first = std::move(sent);
    }
    if (error && first)
      first = Fail(Code::kInternal, fmt::format("{}: {}", directory, error.message()));
  }
  if (first) return Ok();
  const std::string kept = fmt::format("{}/unsent/{}", directory_, uid);
  std::error_code error;
  fs::create_directories(directory_ + "/unsent", error);
  fs::rename(fmt::format("{}/results/{}", directory_, uid), kept, error);
  return Fail(Error{first.error().code,
                    fmt::format("{}; the results are kept in {}", first.error().message, kept),
                    {}});
}

void HomeBuckets::Drop(const std::string& uid) {
  std::vector<std::unique_ptr<Input>> dropped;
  {
    const std::lock_guard lock(mutex_);
    const std::string prefix = uid + "/";
    for (auto it = inputs_.lower_bound(prefix);
         it != inputs_.end() && it->first.starts_with(prefix);) {
      dropped.push_back(std::move(it->second));
      it = inputs_.erase(it);
    }
  }
  End(dropped);
  for (const char* kind : {"inputs", "results"}) {
    std::error_code error;
    fs::remove_all(fmt::format("{}/{}/{}", directory_, kind, uid), error);
    if (error)
      log::Warn("files of a pod that has ended stay",
                {{"directory", directory_}, {"pod", uid}, {"why", error.message()}});
  }
}

}  // namespace spillway::embedded
