// Datasets and results in buckets for pods of the site: a pod gets directories.
#pragma once

#include <atomic>
#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "gateway/incoming_file.h"
#include "gateway/source.h"
#include "ports/buckets.h"

namespace spillway::home {

struct HomeBucketsOptions {
  std::string directory;  // made if it is missing; ours alone
  gateway::BucketOpener open_bucket;
  // Whether pods live on when this process ends. Then what they read and wrote stays for the next
  // process, and results that a store does not take now stay where they are for the next
  // BringHome(). Otherwise Open() removes all of it, and such results are set aside.
  bool pods_live_on = false;
  // An input is there or has failed; from any thread.
  std::function<void()> changed = [] {};
};

// DIRECTORY/inputs/OWNER/N    what is read, fetched before it is shown; N.part until it is whole
// DIRECTORY/results/OWNER/N   what is written, until it is in its bucket
// DIRECTORY/unsent/OWNER      results that will not get there, for a person
//
// What is shown may be read by every user, and results be written by every user; the way there is
// the owner's mount only. Thread-safe.
class HomeBuckets final : public ports::Buckets {
 public:
  static constexpr int kReaders = 8;  // files of one input that are fetched at a time
  // So much at a time, for the sake of memory; more wait for their turn. Each reader holds 8 MiB,
  // each sender two parts of a file (32 MiB, more only for files of over 160 GB).
  static constexpr int kInputsAtOnce = 2, kSendersAtOnce = 2;

  static Result<std::unique_ptr<HomeBuckets>> Open(HomeBucketsOptions options);
  // Waits for what is being fetched, which ends soon.
  ~HomeBuckets() override;

  Result<std::string> Fetch(const std::string& owner, const DatasetInfo& dataset,
                            Duration patience) override;
  Result<std::string> ResultsOf(const std::string& owner,
                                const ports::BucketResults& place) override;
  // A file that its bucket has already is not sent again, so that a call after an error goes on.
  ports::Homecoming BringHome(const std::string& owner,
                              const std::vector<ports::BucketResults>& places) override;
  void Drop(const std::string& owner) override;

 private:
  struct Input {
    std::string directory;
    std::atomic<bool> given_up{false};
    std::atomic<std::int64_t> fetched_bytes{0}, bytes{-1};  // -1: not known yet
    gateway::SourceReader* reader = nullptr;                // while files are read
    std::optional<Status> done;
    std::thread thread;
  };
  using Inputs = std::vector<std::shared_ptr<Input>>;

  explicit HomeBuckets(HomeBucketsOptions options) : options_(std::move(options)) {}
  std::string Place(std::string_view kind, const std::string& owner, const std::string& name) const;
  std::shared_ptr<Input> Begin(const std::string& owner, const DatasetInfo& dataset);
  Error NotYet(const Input& input, const DatasetInfo& dataset) const;
  Status AwaitTurn(Input& input, const DatasetInfo& dataset);
  Status FetchNow(Input& input, const DatasetInfo& dataset);
  Status FetchFiles(Input& input, const std::string& into, const gateway::SourceListing& listing,
                    gateway::SourceReader& reader);
  // Ends what is being fetched, and waits for that.
  void End(const Inputs& inputs);
  void BringPlace(const std::string& owner, const ports::BucketResults& place,
                  ports::Homecoming& all) const;
  Status BringFile(const ports::BucketResults& place, const std::string& file,
                   const std::string& path, const std::string& spool) const;
  Status SetAside(const std::string& owner, const Error& why) const;

  const HomeBucketsOptions options_;
  std::mutex mutex_;  // guards the rest
  std::condition_variable changed_;
  std::map<std::string, std::shared_ptr<Input>> inputs_;  // by "owner/dataset"
  int fetching_ = 0, sending_ = 0;
};

}  // namespace spillway::home
