#include "home/home_buckets.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>

#include "base/log.h"
#include "base/quantity.h"
#include "data/path.h"
#include "gateway/files.h"
#include "gateway/source_s3.h"

namespace spillway::home {
namespace {

namespace fs = std::filesystem;
using ports::BucketResults;

constexpr std::size_t kPieceBytes = 4 << 20;
constexpr std::size_t kMaxResults = 1'000'000;  // files of one claim of one pod
constexpr int kMaxSetAside = 1000;              // of one owner
constexpr mode_t kInputMode = 0755, kResultsMode = 0777, kFileMode = 0444;

// A name for a file out of one that may have slashes.
std::string FlatName(const std::string& text) {
  return Sha256Hex(text).substr(0, 16);
}

// Whatever the umask says.
Status SetMode(const std::string& path, mode_t mode) {
  if (chmod(path.c_str(), mode) != 0) return Fail(gateway::FileError("chmod", path, errno));
  return Ok();
}

// The directories of `path` below `root`, open to everybody.
Status MakeParents(const std::string& root, const std::string& path) {
  for (std::size_t end = path.find('/'); end != std::string::npos; end = path.find('/', end + 1)) {
    const std::string directory = root + "/" + path.substr(0, end);
    if (mkdir(directory.c_str(), kInputMode) == 0)
      SPW_TRY(SetMode(directory, kInputMode));
    else if (errno != EEXIST)
      return Fail(gateway::FileError("create", directory, errno));
  }
  return Ok();
}

Status FetchFile(gateway::SourceReader& reader, const gateway::SourceFile& file,
                 const std::string& root, std::atomic<std::int64_t>& fetched) {
  SPW_TRY(MakeParents(root, file.path));
  const std::string path = root + "/" + file.path;
  const Fd out(open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, kFileMode));
  if (!out.valid() || fchmod(out.get(), kFileMode) != 0)
    return Fail(gateway::FileError("create", path, errno));
  ByteBuffer piece;
  for (std::int64_t at = 0; at < file.state.size_bytes; at += std::ssize(piece)) {
    piece.resize(
        static_cast<std::size_t>(std::min<std::int64_t>(file.state.size_bytes - at, kPieceBytes)));
    SPW_TRY(reader.Read(file, at, piece));
    SPW_TRY(gateway::WriteAt(out.get(), path, at, piece));
    fetched += std::ssize(piece);
  }
  return Ok();
}

// What is in it is on the disk before it gets the name under which it counts as whole.
Status RenameDurably(const std::string& from, const std::string& to) {
  const Fd fd(open(from.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd.valid() || syncfs(fd.get()) != 0) return Fail(gateway::FileError("sync", from, errno));
  if (rename(from.c_str(), to.c_str()) != 0) return Fail(gateway::FileError("rename", from, errno));
  return Ok();
}

Status NobodyNeedsIt() {
  return Fail(Code::kUnavailable, "nobody needs it any more");
}

Status RemoveAll(const std::string& path) {
  std::error_code error;
  fs::remove_all(path, error);
  if (!error) return Ok();
  return Fail(Code::kInternal, fmt::format("cannot remove {}: {}", path, error.message()));
}

// A file that can never be an object does not keep the others from their bucket.
bool Stops(const Status& sent) {
  return !sent && sent.error().code != Code::kInvalid;
}

// Of two errors the first, or the one that stops.
void Note(Status& all, Status sent) {
  if (!sent && (all || (Stops(sent) && !Stops(all)))) all = std::move(sent);
}

void Count(const std::string& file, ports::ResultFiles& among) {
  struct stat info{};
  if (lstat(file.c_str(), &info) != 0) return;
  const Time written{std::chrono::duration_cast<Duration>(
      std::chrono::seconds(info.st_mtim.tv_sec) + std::chrono::nanoseconds(info.st_mtim.tv_nsec))};
  ++among.count;
  among.bytes += info.st_size;
  among.oldest = std::min(among.oldest.value_or(written), written);
}

// In pieces, as a rented machine sends it in chunks.
Status SendFile(int fd, const std::string& file, std::int64_t size, const Digest& hash,
                gateway::IncomingFile& incoming) {
  std::vector<bool> have((static_cast<std::size_t>(size) + kPieceBytes - 1) / kPieceBytes);
  ByteBuffer piece;
  for (std::size_t i = 0; i < have.size(); ++i) {
    const auto at = static_cast<std::int64_t>(i * kPieceBytes);
    piece.resize(static_cast<std::size_t>(std::min<std::int64_t>(size - at, kPieceBytes)));
    SPW_TRY(gateway::ReadAt(fd, file, at, piece));
    SPW_TRY(incoming.Write(at, piece));
    have[i] = true;
    SPW_TRY(incoming.Advance(have));
  }
  SPW_ASSIGN(const Digest written, incoming.Hash());
  if (written != hash)
    return Fail(Code::kCorrupt, fmt::format("{}: changed while it was sent", file));
  return incoming.Commit();
}

}  // namespace

Result<std::unique_ptr<HomeBuckets>> HomeBuckets::Open(HomeBucketsOptions options) {
  if (!options.pods_live_on)
    for (const char* kind : {"/inputs", "/results"}) SPW_TRY(RemoveAll(options.directory + kind));
  SPW_TRY(gateway::MakeDirectory(options.directory));
  return std::unique_ptr<HomeBuckets>(new HomeBuckets(std::move(options)));
}

HomeBuckets::~HomeBuckets() {
  Inputs inputs;
  for (auto& [key, input] : inputs_) inputs.push_back(input);
  End(inputs);
}

void HomeBuckets::End(const Inputs& inputs) {
  for (const auto& input : inputs) {
    input->given_up = true;
    const std::lock_guard lock(mutex_);
    if (input->reader != nullptr) input->reader->Cancel();
    changed_.notify_all();
  }
  for (const auto& input : inputs)
    if (input->thread.joinable()) input->thread.join();
}

std::string HomeBuckets::Place(std::string_view kind, const std::string& owner,
                               const std::string& name) const {
  return fmt::format("{}/{}/{}/{}", options_.directory, kind, owner, FlatName(name));
}

// ---- inputs

// Called with mutex_ held.
std::shared_ptr<HomeBuckets::Input> HomeBuckets::Begin(const std::string& owner,
                                                       const DatasetInfo& dataset) {
  auto input = std::make_shared<Input>();
  input->directory = Place("inputs", owner, dataset.key);
  std::error_code none;
  if (fs::exists(input->directory, none)) {  // an earlier process has fetched it
    input->done = Ok();
    return input;
  }
  input->thread = std::thread([this, into = input.get(), dataset] {
    const Status fetched = AwaitTurn(*into, dataset);
    {
      const std::lock_guard lock(mutex_);
      into->done = fetched;
      changed_.notify_all();
    }
    if (!into->given_up) options_.changed();
  });
  return input;
}

Result<std::string> HomeBuckets::Fetch(const std::string& owner, const DatasetInfo& dataset,
                                       Duration patience) {
  const std::string key = owner + "/" + dataset.key;
  std::unique_lock lock(mutex_);
  std::shared_ptr<Input>& known = inputs_[key];
  if (known == nullptr) known = Begin(owner, dataset);
  const std::shared_ptr<Input> input = known;
  changed_.wait_for(lock, patience,
                    [&] { return input->done.has_value() || input->given_up.load(); });
  if (!input->done || input->given_up) return Fail(NotYet(*input, dataset));
  if (*input->done) return input->directory;
  const Error failed = input->done->error().In("Dataset " + dataset.key);
  // The next question tries again, from the beginning.
  inputs_.erase(key);
  lock.unlock();
  input->thread.join();
  return Fail(failed);
}

// In steps of ten percent, because each sentence becomes an event of its own.
Error HomeBuckets::NotYet(const Input& input, const DatasetInfo& dataset) const {
  const std::int64_t bytes = input.bytes, fetched = input.fetched_bytes;
  std::string how_far;
  if (bytes > 0)
    how_far = fmt::format(", {} % of {}", fetched * 10 / bytes * 10, HumanBytes(bytes));
  return {Code::kUnavailable,
          fmt::format("Dataset {} is being fetched from {}{}", dataset.key, dataset.SourceName(),
                      how_far),
          {}};
}

Status HomeBuckets::AwaitTurn(Input& input, const DatasetInfo& dataset) {
  {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return input.given_up || fetching_ < kInputsAtOnce; });
    ++fetching_;
  }
  Status fetched = input.given_up ? NobodyNeedsIt() : FetchNow(input, dataset);
  if (const Status gone = RemoveAll(input.directory + ".part"); !gone)
    log::Warn("a part of an input stays", {{"why", gone.error().message}});
  const std::lock_guard lock(mutex_);
  --fetching_;
  changed_.notify_all();
  return fetched;
}

Status HomeBuckets::FetchNow(Input& input, const DatasetInfo& dataset) {
  SPW_ASSIGN(const data::Selection selection,
             data::Selection::Parse(dataset.include, dataset.exclude, {}));
  SPW_ASSIGN(s3::Client client, options_.open_bucket(*dataset.s3));
  client.GiveUpWith(&input.given_up);
  const std::unique_ptr<gateway::Source> source =
      gateway::MakeS3Source(*dataset.s3, std::move(client));
  SPW_ASSIGN(const gateway::SourceListing listing, source->List(selection));
  input.bytes = listing.selected_bytes;
  SPW_ASSIGN(const std::unique_ptr<gateway::SourceReader> reader, source->Open());
  const auto show = [&](gateway::SourceReader* shown) {
    const std::lock_guard lock(mutex_);
    input.reader = shown;
  };
  const std::string part = input.directory + ".part";
  show(reader.get());
  const Status fetched = FetchFiles(input, part, listing, *reader);
  show(nullptr);
  SPW_TRY(fetched);
  SPW_TRY(source->CheckUnchanged(selection, listing));
  return RenameDurably(part, input.directory);
}

Status HomeBuckets::FetchFiles(Input& input, const std::string& into,
                               const gateway::SourceListing& listing,
                               gateway::SourceReader& reader) {
  SPW_TRY(RemoveAll(into));  // of a process that was killed
  SPW_TRY(gateway::MakeDirectory(into));
  SPW_TRY(SetMode(into, kInputMode));
  std::atomic<std::size_t> next = 0;
  std::mutex mutex;
  Status first = Ok();
  const auto work = [&] {
    for (std::size_t i = next++; i < listing.selected.size() && !input.given_up; i = next++) {
      const Status fetched = FetchFile(reader, listing.selected[i], into, input.fetched_bytes);
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
  return input.given_up ? NobodyNeedsIt() : Ok();
}

// ---- results

Result<std::string> HomeBuckets::ResultsOf(const std::string& owner, const BucketResults& place) {
  std::string directory = Place("results", owner, place.Name());
  SPW_TRY(gateway::MakeDirectory(directory));
  SPW_TRY(SetMode(directory, kResultsMode));
  return directory;
}

Status HomeBuckets::BringFile(const BucketResults& place, const std::string& file,
                              const std::string& path, const std::string& spool) const {
  if (auto good = data::CheckRelativePath(path); !good) return Fail(good.error().In("result"));
  const Fd in(open(file.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC));
  if (!in.valid()) return Fail(gateway::FileError("open", file, errno));
  struct stat info{};
  if (fstat(in.get(), &info) != 0) return Fail(gateway::FileError("stat", file, errno));
  const std::int64_t size = info.st_size;
  const std::string key = place.bucket.prefix + place.directory + "/" + path;
  SPW_ASSIGN(const Digest hash, gateway::HashFile(in.get(), file, size));
  SPW_ASSIGN(s3::Client client, options_.open_bucket(place.bucket));
  SPW_ASSIGN(const bool there, gateway::IsInBucket(client, key, size, hash));
  if (there) return Ok();
  SPW_ASSIGN(const std::unique_ptr<gateway::IncomingFile> incoming,
             gateway::ReceiveIntoBucket(
                 std::move(client), key, spool,
                 {path, 0644, size, hash, static_cast<std::int64_t>(kPieceBytes), "site"}));
  const Status sent = SendFile(in.get(), file, size, hash, *incoming);
  incoming->Drop();
  return sent;
}

// Adds to `all`, and brings nothing more once something stops it.
void HomeBuckets::BringPlace(const std::string& owner, const BucketResults& place,
                             ports::Homecoming& all) const {
  const std::string directory = Place("results", owner, place.Name());
  const std::string spool =
      fmt::format("{}/results/{}/{}.spool", options_.directory, owner, FlatName(place.Name()));
  std::error_code error;
  if (!fs::exists(directory, error)) return;
  std::size_t count = 0;
  for (auto it = fs::recursive_directory_iterator(directory, error);
       !error && it != fs::recursive_directory_iterator(); it.increment(error)) {
    // Links lead nowhere, as on a rented machine.
    if (!it->is_regular_file(error) || it->is_symlink(error)) continue;
    const std::string path = it->path().string().substr(directory.size() + 1);
    if (++count > kMaxResults)
      return Note(all.status,
                  Fail(Code::kInvalid, fmt::format("more than {} result files", kMaxResults)));
    const bool stopped = Stops(all.status);
    const Status sent = stopped ? all.status : BringFile(place, it->path().string(), path, spool);
    Count(it->path().string(), sent ? all.home : all.waiting);
    if (!stopped) Note(all.status, sent);
  }
  if (error) Note(all.status, Fail(Code::kInternal, directory + ": " + error.message()));
}

ports::Homecoming HomeBuckets::BringHome(const std::string& owner,
                                         const std::vector<BucketResults>& places) {
  {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return sending_ < kSendersAtOnce; });
    ++sending_;
  }
  ports::Homecoming all;
  for (const BucketResults& place : places) BringPlace(owner, place, all);
  {
    const std::lock_guard lock(mutex_);
    --sending_;
    changed_.notify_all();
  }
  if (all.status) return all;
  const Error why = all.status.error();
  if (options_.pods_live_on && why.code != Code::kInvalid)
    all.status = Fail(Error{why.code,
                            fmt::format("{}; the results stay in {}/results/{}", why.message,
                                        options_.directory, owner),
                            {}});
  else
    all.status = SetAside(owner, why);
  return all;
}

// Always an error: `why`, and where the results are.
Status HomeBuckets::SetAside(const std::string& owner, const Error& why) const {
  const std::string all = options_.directory + "/unsent";
  SPW_TRY(gateway::MakeDirectory(all));
  std::error_code error;
  std::string kept = all + "/" + owner;
  for (int i = 2; fs::exists(kept, error) && i < kMaxSetAside; ++i)
    kept = fmt::format("{}/{}-{}", all, owner, i);
  const std::string from = fmt::format("{}/results/{}", options_.directory, owner);
  if (rename(from.c_str(), kept.c_str()) != 0)
    return Fail(Code::kInternal, fmt::format("{}; {}", why.message,
                                             gateway::FileError("set aside", from, errno).message));
  return Fail(
      Error{why.code, fmt::format("{}; the results are kept in {}", why.message, kept), {}});
}

void HomeBuckets::Drop(const std::string& owner) {
  Inputs dropped;
  {
    const std::lock_guard lock(mutex_);
    const std::string prefix = owner + "/";
    for (auto it = inputs_.lower_bound(prefix);
         it != inputs_.end() && it->first.starts_with(prefix);) {
      dropped.push_back(std::move(it->second));
      it = inputs_.erase(it);
    }
  }
  End(dropped);
  for (const char* kind : {"inputs", "results"})
    if (const Status gone = RemoveAll(fmt::format("{}/{}/{}", options_.directory, kind, owner));
        !gone)
      log::Warn("files of a pod that has ended stay",
                {{"pod", owner}, {"why", gone.error().message}});
}

}  // namespace spillway::home
