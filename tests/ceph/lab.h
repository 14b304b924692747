// The real store of scripts/partners/ceph-up that the tests of this folder need: the one whose
// directory SPILLWAY_TEST_CEPH names. Without it they are skipped.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"
#include "base/time.h"
#include "s3/access.h"

namespace spillway::ceph {

// The cluster's directory, or "".
std::string Directory();

// A bucket of its own for one test; profile dev may do all in it. Objects stay until the cluster
// goes.
class Lab {
 public:
  // Fails the test if the store does not answer.
  Lab();

  s3::Access& access() { return access_; }
  const s3::Bucket& bucket() const { return bucket_; }
  s3::Client Client(s3::Patience patience = {}) { return *access_.Open(bucket_, patience); }
  std::string credentials_file() const { return Directory() + "/credentials"; }

  // A request that the client does not make, signed for `service`: the body of its answer.
  Result<std::string> Ask(const std::string& method, const std::string& path,
                          const s3::Pairs& query, const std::string& service = "s3",
                          const std::string& body = "");

  // scripts/partners/ceph-power with these words. False if it failed.
  static bool Power(std::string_view words);

 private:
  SystemClock clock_;
  s3::Access access_;
  s3::Bucket bucket_;
};

// Begins a test that needs the store.
#define SPW_NEEDS_CEPH()                     \
  if (::spillway::ceph::Directory().empty()) \
  GTEST_SKIP() << "SPILLWAY_TEST_CEPH names no directory of scripts/partners/ceph-up"

}  // namespace spillway::ceph
