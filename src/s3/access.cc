#include "s3/access.h"

namespace spillway::s3 {
namespace {

net::WebOptions WebOptionsOf(const AccessOptions& options) {
  net::WebOptions web;
  web.response_bytes = Client::kMaxBytes;
  web.ca_file = options.ca_file;
  web.idle_connections = Access::kConnections;
  return web;
}

}  // namespace

Access::Access(AccessOptions options, const Clock& real)
    : real_(real), web_(WebOptionsOf(options)), credentials_(std::move(options.credentials_file)) {}

Result<Client> Access::Open(Bucket bucket, Patience patience) {
  Means means;
  means.ends = &stopped_;
  means.send = [this](net::WebRequest request) -> Result<net::HttpResponse> {
    if (stopped_) return Fail(Code::kUnavailable, "the program ends");
    return web_.Do(std::move(request));
  };
  means.credentials = [this](const std::string& profile) { return credentials_.Find(profile); };
  means.now = [this] { return real_.Now(); };
  means.wait = [this](Duration wait) {
    std::unique_lock lock(mutex_);
    return !changed_.wait_for(lock, wait, [this] { return stopped_.load(); });
  };
  return Client::Open(std::move(bucket), std::move(means), patience);
}

void Access::Stop() {
  const std::lock_guard lock(mutex_);
  stopped_ = true;
  changed_.notify_all();
}

}  // namespace spillway::s3
