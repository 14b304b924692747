// Results on their way home: sealed as they come out of a pod, sent at once, kept until the site's
// signed receipt is here.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "base/sha256_stream.h"
#include "data/sign.h"
#include "node/door_client.h"
#include "node/result_store.h"
#include "node/run_key.h"
#include "node/stopper.h"

namespace spillway::node {

// One result file, whole and sealed.
struct SealedFile {
  ResultChunk about;  // of chunk 0
  std::vector<ResultStore::Slot> slots;
  std::size_t next = 0;  // the site has all chunks before this one, as far as is known
};

// One thread sends file after file and repeats what fails, until Stop(). Thread-safe.
class ResultSender {
 public:
  // `on_change` is called when a file got its receipt or a problem came up.
  ResultSender(DoorAccess& access, RunNames names, data::VerifyKey site,
               std::shared_ptr<ResultStore> store, Duration retry_first, Duration retry_most,
               std::function<void()> on_change);
  ~ResultSender();
  void Stop();

  // Counts a file of this pod as pending from now on; Submit or Abandon must follow.
  void Begin(const std::string& uid);
  void Submit(SealedFile file);
  void Abandon(const std::string& uid, SealedFile file);
  // Keeps one sealed chunk. When there is no room it waits for files to be receipted; kCapacity if
  // none is on its way, kUnavailable after Stop().
  Result<ResultStore::Slot> Keep(ByteBuffer sealed);
  // Nobody asks for the results of this pod any more: a definite refusal ends the attempts.
  void Forget(const std::string& uid);

  // Files so far, those without a whole hand-over not counted.
  int Total() const;
  // Files without receipt, of one pod or of all.
  int Pending(const std::string& uid) const;
  int PendingAll() const;
  std::string problem() const;

 private:
  void Run();
  Status SendFile(DoorClient& client, SealedFile& file);
  Status CheckReceipt(const SealedFile& file, const std::string& receipt) const;
  void Finish(SealedFile& file);
  void Done(const std::string& uid);

  DoorAccess& access_;
  const RunNames names_;
  const data::VerifyKey site_;
  const std::shared_ptr<ResultStore> store_;
  const Duration retry_first_, retry_most_;
  const std::function<void()> on_change_;
  Stopper stopper_;
  mutable std::mutex mutex_;  // guards everything below but the thread
  std::condition_variable changed_;
  std::deque<SealedFile> queue_;  // bounded by the store
  bool sending_ = false;
  int total_ = 0;
  std::map<std::string, int> pending_;  // by uid
  std::map<std::string, bool> forgotten_;
  std::string problem_;
  std::thread thread_;  // last: it uses everything above
};

// Turns the bytes of one pod's output files into sealed files. Used by the pod's thread.
class ResultWriter {
 public:
  static constexpr auto kChunkBytes = static_cast<std::size_t>(door::kResultChunkBytes);

  ResultWriter(ResultSender& sender, const RunKey& key, RunNames names, std::string pod,
               std::string uid);
  ~ResultWriter();  // abandons a file that never became whole

  Status BeginFile(const std::string& claim, const std::string& path, std::uint32_t mode,
                   std::int64_t size_bytes);
  Status Add(std::string_view bytes);

 private:
  Status SealPlain();
  Status FinishFile();

  ResultSender& sender_;
  const RunKey& key_;
  const RunNames names_;
  const std::string pod_, uid_, namespace_;
  bool open_ = false;
  SealedFile file_;
  ByteBuffer plain_;  // of the chunk that is being filled; zeroised
  std::int64_t taken_bytes_ = 0;
  Sha256Stream hash_;
};

}  // namespace spillway::node
