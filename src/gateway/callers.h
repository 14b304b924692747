// Who calls at the door: the door's own key, and the certificates it gives to nodes.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"
#include "base/time.h"
#include "data/node_certificate.h"
#include "gateway/node_records.h"

namespace spillway::gateway {

// A certificate is good for so many leases. It is renewed once the first of them is over, so that a
// node whose heartbeats are answered is never without one.
inline constexpr int kCertificateLeases = 3;

// The door's key: directory/door.key (PEM, mode 0600), made once. kCorrupt when the file is none.
Result<data::NodeAuthority> OpenDoorKey(const std::string& directory);

// A certificate (hex) for the node and the key it has shown, valid from now on.
Result<std::string> IssueCertificate(const data::NodeAuthority& authority,
                                     const door::RegisterRequest& shown, Time now, Duration lease);

// What the certificate (DER) says, if it is of a node that `records` knows as it is, and its time
// is not over. kDenied says why not. Its beginning is not looked at: a site that was started again
// may be a little behind the clock it had before.
Result<data::NodeCertificate> CallerOf(const data::NodeAuthority& authority,
                                       const NodeRecords& records, std::string_view certificate,
                                       Time now);

// True if the answer to a heartbeat should bring the next certificate.
bool RenewalIsDue(const data::NodeCertificate& held, Time now, Duration lease);

}  // namespace spillway::gateway
