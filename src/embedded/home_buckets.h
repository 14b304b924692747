// Datasets and results in buckets for pods of the site: a pod gets directories.
#pragma once

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "gateway/source.h"
#include "s3/access.h"
#include "site/kubelet.h"

namespace spillway::embedded {

// DIRECTORY/inputs/UID/N    what a pod reads, fetched before it starts
// DIRECTORY/results/UID/N   what it writes, until it is in its bucket
// DIRECTORY/unsent/UID/N    results that could not be brought there, for a person
//
// Thread-safe.
class HomeBuckets final : public site::Buckets {
 public:
  // Files that are fetched at a time, for all pods of one input.
  static constexpr int kReaders = 8;

  // Removes what pods of an earlier process read and wrote; they run again. `access` outlives it;
  // `changed` is called when an input is there or has failed, from any thread.
  static Result<std::unique_ptr<HomeBuckets>> Open(std::string directory, s3::Access& access,
                                                   std::function<void()> changed);
  // Waits for what is being fetched, which ends soon.
  ~HomeBuckets() override;

  Result<std::string> Fetch(const std::string& uid, const DatasetInfo& dataset) override;
  Result<std::string> ResultsOf(const std::string& uid, const site::BucketResults& place) override;
  Status BringHome(const std::string& uid, const std::vector<site::BucketResults>& places) override;
  void Drop(const std::string& uid) override;

 private:
  struct Input {
    std::string directory;
    std::atomic<bool> given_up{false};
    gateway::SourceReader* reader = nullptr;  // while files are read
    std::optional<Status> done;
    std::thread thread;
  };

  HomeBuckets(std::string directory, s3::Access& access, std::function<void()> changed)
      : directory_(std::move(directory)), access_(access), changed_(std::move(changed)) {}
  std::string Place(std::string_view kind, const std::string& uid, const std::string& name) const;
  Status FetchNow(Input& input, const DatasetInfo& dataset);
  Status FetchFiles(Input& input, const gateway::SourceListing& listing,
                    gateway::SourceReader& reader);
  // Ends what is being fetched, and waits for that.
  void End(const std::vector<std::unique_ptr<Input>>& inputs);
  Status BringFile(const site::BucketResults& place, const std::string& file,
                   const std::string& path, const std::string& spool) const;

  const std::string directory_;
  s3::Access& access_;
  const std::function<void()> changed_;
  std::mutex mutex_;                                      // guards the rest
  std::map<std::string, std::unique_ptr<Input>> inputs_;  // by "uid/dataset"
};

}  // namespace spillway::embedded
