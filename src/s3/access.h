// What a program has for all stores together: the users' credentials file, connections, a real
// clock, and an end to waiting when the program ends.
#pragma once

#include <atomic>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>

#include "base/result.h"
#include "base/time.h"
#include "net/web_client.h"
#include "s3/client.h"
#include "s3/credentials.h"

namespace spillway::s3 {

struct AccessOptions {
  std::string credentials_file;  // AWS shared credentials
  std::string ca_file;           // PEM, instead of the system's
};

// Thread-safe. Outlives the clients of Open().
class Access {
 public:
  // Connections that are kept to one store, and so as many reads as pay at a time.
  static constexpr int kConnections = 16;

  // `real` is a real clock and outlives it.
  Access(AccessOptions options, const Clock& real);

  // kInvalid for an endpoint that is none. Nothing is sent; credentials are read with each call.
  Result<Client> Open(Bucket bucket, Patience patience = {});

  // kDenied names what is wrong with the credentials file.
  Status Check() { return credentials_.Check(); }

  // Ends all waiting, also for answers; calls fail with kUnavailable from now on.
  void Stop();

 private:
  const Clock& real_;
  net::WebClient web_;
  CredentialsFile credentials_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::atomic<bool> stopped_ = false;  // written under the mutex
};

}  // namespace spillway::s3
