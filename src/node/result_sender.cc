#include "node/result_sender.h"

#include <fmt/format.h>

#include "base/log.h"
#include "data/receipt.h"

namespace spillway::node {
namespace {

// The site, or the place where it puts results, was away or busy: what it has, it keeps.
bool MayGoOn(Code code) {
  return code == Code::kUnavailable || code == Code::kThrottled || code == Code::kMaybeApplied;
}

}  // namespace

ResultSender::ResultSender(DoorAccess& access, RunNames names, data::VerifyKey site,
                           std::shared_ptr<ResultStore> store, Duration retry_first,
                           Duration retry_most, std::function<void()> on_change)
    : access_(access),
      names_(std::move(names)),
      site_(site),
      store_(std::move(store)),
      retry_first_(retry_first),
      retry_most_(retry_most),
      on_change_(std::move(on_change)) {
  thread_ = std::thread([this] { Run(); });
}

ResultSender::~ResultSender() {
  Stop();
  thread_.join();
}

void ResultSender::Stop() {
  stopper_.Stop();
  const std::lock_guard lock(mutex_);
  changed_.notify_all();
}

void ResultSender::Begin(const std::string& uid) {
  const std::lock_guard lock(mutex_);
  ++pending_[uid];
}

void ResultSender::Submit(SealedFile file) {
  const std::lock_guard lock(mutex_);
  ++total_;
  queue_.push_back(std::move(file));
  changed_.notify_all();
}

void ResultSender::Abandon(const std::string& uid, SealedFile file) {
  for (ResultStore::Slot& slot : file.slots) store_->Release(slot);
  Done(uid);
}

Result<ResultStore::Slot> ResultSender::Keep(ByteBuffer sealed) {
  std::unique_lock lock(mutex_);
  while (true) {
    if (stopper_.Stopped()) return Fail(Code::kUnavailable, "results are not taken any more");
    Result<ResultStore::Slot> slot = store_->Put(sealed);
    if (slot || slot.error().code != Code::kCapacity) return slot;
    if (queue_.empty() && !sending_) return slot;
    changed_.wait(lock);
  }
}

void ResultSender::Forget(const std::string& uid) {
  const std::lock_guard lock(mutex_);
  forgotten_[uid] = true;
}

int ResultSender::Total() const {
  const std::lock_guard lock(mutex_);
  return total_;
}

int ResultSender::Pending(const std::string& uid) const {
  const std::lock_guard lock(mutex_);
  const auto it = pending_.find(uid);
  return it == pending_.end() ? 0 : it->second;
}

int ResultSender::PendingAll() const {
  const std::lock_guard lock(mutex_);
  int all = 0;
  for (const auto& [uid, count] : pending_) all += count;
  return all;
}

std::string ResultSender::problem() const {
  const std::lock_guard lock(mutex_);
  return problem_;
}

void ResultSender::Done(const std::string& uid) {
  {
    const std::lock_guard lock(mutex_);
    if (--pending_[uid] == 0) {
      pending_.erase(uid);
      forgotten_.erase(uid);
    }
    changed_.notify_all();
  }
  on_change_();
}

void ResultSender::Finish(SealedFile& file) {
  for (ResultStore::Slot& slot : file.slots) store_->Release(slot);
  {
    const std::lock_guard lock(mutex_);
    problem_.clear();
    sending_ = false;
  }
  Done(file.about.uid);
}

void ResultSender::Run() {
  DoorClient client(access_);
  while (true) {
    SealedFile file;
    {
      std::unique_lock lock(mutex_);
      changed_.wait(lock, [this] { return stopper_.Stopped() || !queue_.empty(); });
      if (stopper_.Stopped()) return;
      file = std::move(queue_.front());
      queue_.pop_front();
      sending_ = true;
    }
    Backoff backoff(retry_first_, retry_most_);
    while (!stopper_.Stopped()) {
      const Status sent = SendFile(client, file);
      if (sent) break;
      log::Warn("a result is not at the site yet",
                {{"pod", file.about.pod}, {"why", sent.error().message}});
      {
        const std::lock_guard lock(mutex_);
        problem_ = fmt::format("result of {}: {}", file.about.pod, sent.error().message);
        if (IsDefinite(sent.error()) && forgotten_.contains(file.about.uid)) break;
      }
      on_change_();
      backoff.Wait(stopper_);
    }
    if (stopper_.Stopped()) return;
    Finish(file);
  }
}

// Goes on where the last attempt failed. The site answers chunks that it has without storing them
// again; if it has lost earlier ones there is no receipt at the end, and all are sent again.
Status ResultSender::SendFile(DoorClient& client, SealedFile& file) {
  ResultChunk about = file.about;
  about.chunks = file.slots.size();
  for (about.chunk = file.next; about.chunk < about.chunks; ++about.chunk) {
    SPW_ASSIGN(const ByteBuffer sealed, store_->Get(file.slots[about.chunk]));
    const auto receipt = client.PutResult(about, sealed);
    if (!receipt && !MayGoOn(receipt.error().code)) file.next = 0;
    if (!receipt) return Fail(receipt.error());
    if (*receipt) {
      const Status checked = CheckReceipt(file, **receipt);
      if (!checked) file.next = 0;
      return checked;
    }
    file.next = about.chunk + 1;
    if (stopper_.Stopped()) return Fail(Code::kUnavailable, "results are not sent any more");
  }
  file.next = 0;
  return Fail(Code::kUnavailable, "the site has every chunk and sent no receipt");
}

Status ResultSender::CheckReceipt(const SealedFile& file, const std::string& receipt) const {
  data::ResultObject object{file.about.path, file.about.size_bytes, {}};
  SPW_ASSIGN(const ByteBuffer hash, ParseHex(file.about.sha256));
  std::copy(hash.begin(), hash.end(), object.sha256.begin());
  const std::vector<std::string> missing =
      data::MissingReceipts(names_.node, names_.node, {object}, {receipt}, site_);
  if (missing.empty()) return Ok();
  return Fail(Code::kCorrupt, "the receipt does not hold: " + missing.front());
}

ResultWriter::ResultWriter(ResultSender& sender, const RunKey& key, RunNames names, std::string pod,
                           std::string uid)
    : sender_(sender),
      key_(key),
      names_(std::move(names)),
      pod_(std::move(pod)),
      uid_(std::move(uid)),
      namespace_(pod_.substr(0, pod_.find('/'))) {}

ResultWriter::~ResultWriter() {
  data::Cleanse(plain_);
  if (open_) sender_.Abandon(uid_, std::move(file_));
}

Status ResultWriter::BeginFile(const std::string& claim, const std::string& path,
                               std::uint32_t mode, std::int64_t size_bytes) {
  SPW_CHECK(!open_, "one result file at a time");
  file_ = SealedFile{{pod_, uid_, claim, path, mode, size_bytes, "", 0, 1}, {}};
  hash_ = {};
  taken_bytes_ = 0;
  // Once, at its full size: a buffer that grew would leave plaintext behind.
  plain_.reserve(kChunkBytes);
  sender_.Begin(uid_);
  open_ = true;
  return size_bytes == 0 ? FinishFile() : Ok();
}

Status ResultWriter::Add(std::string_view bytes) {
  SPW_CHECK(open_, "no result file is open");
  hash_.Add(AsBytes(bytes));
  taken_bytes_ += static_cast<std::int64_t>(bytes.size());
  while (!bytes.empty()) {
    const std::size_t take = std::min(bytes.size(), kChunkBytes - plain_.size());
    const ByteView part = AsBytes(bytes.substr(0, take));
    plain_.insert(plain_.end(), part.begin(), part.end());
    bytes.remove_prefix(take);
    if (plain_.size() == kChunkBytes) SPW_TRY(SealPlain());
  }
  return taken_bytes_ == file_.about.size_bytes ? FinishFile() : Ok();
}

Status ResultWriter::SealPlain() {
  const auto index = static_cast<std::uint32_t>(file_.slots.size());
  const std::string place = fmt::format("{}/{}", namespace_, file_.about.claim);
  Result<ByteBuffer> sealed = key_.Seal(names_.ResultChunk(place, file_.about.path, index), plain_);
  data::Cleanse(plain_);
  plain_.clear();
  if (!sealed) return Fail(sealed.error());
  SPW_ASSIGN(ResultStore::Slot slot, sender_.Keep(std::move(*sealed)));
  file_.slots.push_back(std::move(slot));
  return Ok();
}

// An empty file is one empty chunk, so that its name and receipt travel like any other.
Status ResultWriter::FinishFile() {
  if (!plain_.empty() || file_.slots.empty()) SPW_TRY(SealPlain());
  file_.about.sha256 = Hex(hash_.Finish());
  open_ = false;
  sender_.Submit(std::move(file_));
  return Ok();
}

}  // namespace spillway::node
