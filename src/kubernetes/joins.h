// Joins: the nodes that may join now, and the decisions on what they ask for.
//
// For each BurstNode: one bootstrap token, one client certificate, one serving certificate. What
// was granted is kept in the Store (kind Join, shown nowhere), so that a restart grants nothing
// twice. Thread-safe.
#pragma once

#include <functional>
#include <map>
#include <mutex>
#include <string>

#include "base/time.h"
#include "kubernetes/api.h"
#include "kubernetes/join.h"
#include "kubernetes/worker.h"
#include "store/store.h"

namespace spillway::kubernetes {

class Joins {
 public:
  // `tell`: (node, warning, reason, sentence) for people.
  using Tell = std::function<void(const std::string& node, bool warning, std::string_view reason,
                                  const std::string& message)>;
  Joins(store::Store& store, Api& api, Worker& worker, const Clock& clock, Tell tell);

  // A fresh token, by the real time, for a node that has no certificate yet; an earlier one stops
  // working. kConflict once a client certificate was granted.
  Result<std::string> NewToken(const std::string& node, Duration life);

  // One CertificateSigningRequest came or changed, or is gone. Decisions are written through the
  // worker. A BurstNode's requests only; others are left alone.
  void Consider(const json::value& csr);
  // The Node object changed: a serving certificate may have waited for its addresses.
  void NodeChanged(const std::string& node);

  // For a node that is gone or leaving: no token, no certificate any more; the requests that were
  // granted are deleted.
  Status Forget(const std::string& node);

 private:
  struct Record {
    std::string token_id;
    std::string client_uid, serving_uid;  // requests that were granted
    std::string client_name, serving_name;
  };
  Record Read(const std::string& node) const;
  Status Write(const std::string& node, const Record& record);
  Status Judge(const json::value& csr, const std::string& node, Record& record);
  void Answer(const json::value& csr, const std::string& node, const Status& verdict);
  Status DeleteToken(const std::string& id);

  store::Store& store_;
  Api& api_;
  Worker& worker_;
  const Clock& clock_;
  const Tell tell_;
  std::mutex mutex_;                            // one decision at a time; guards the next
  std::map<std::string, json::value> waiting_;  // node -> its serving request, addresses unknown
};

}  // namespace spillway::kubernetes
