#include "gateway/callers.h"

#include <fmt/format.h>

#include "data/secret.h"
#include "gateway/files.h"

namespace spillway::gateway {
namespace {

constexpr std::size_t kMaxKeyBytes = 4096;

}  // namespace

Result<data::NodeAuthority> OpenDoorKey(const std::string& directory) {
  const std::string path = directory + "/door.key";
  auto pem = ReadFile(path, kMaxKeyBytes);
  if (!pem && pem.error().code == Code::kNotFound) {
    SPW_ASSIGN(const data::TlsKey fresh, data::TlsKey::Generate());
    pem = fresh.Pem();
    SPW_TRY(WriteDurably(path, AsBytes(*pem)));
  }
  if (!pem) return Fail(pem.error());
  const data::CleanseGuard guard({reinterpret_cast<std::uint8_t*>(pem->data()), pem->size()});
  auto key = data::TlsKey::FromPem(*pem);
  if (!key)
    return Fail(Code::kCorrupt,
                fmt::format("{}: {}; restore it from a backup, or remove it for a new key, which "
                            "machines that are rented now will not know",
                            path, key.error().message));
  return data::NodeAuthority::Make(std::move(*key));
}

Result<std::string> IssueCertificate(const data::NodeAuthority& authority,
                                     const door::RegisterRequest& shown, Time now, Duration lease) {
  auto key = ParseHex(shown.tls_key);
  if (!key) return Fail(Code::kInvalid, "tlsKey: must be hexadecimal");
  auto der = authority.Issue(shown.name, *key, now, now + kCertificateLeases * lease);
  if (!der) return Fail(der.error().In("tlsKey"));
  return Hex(AsBytes(*der));
}

Result<data::NodeCertificate> CallerOf(const data::NodeAuthority& authority,
                                       const NodeRecords& records, std::string_view certificate,
                                       Time now) {
  if (certificate.empty()) return Fail(Code::kDenied, "this call needs a node's certificate");
  SPW_ASSIGN(data::NodeCertificate caller, authority.Read(certificate));
  const NodeRecord* record = records.Find(caller.node);
  const auto key = record == nullptr ? Result<ByteBuffer>{} : ParseHex(record->shown.tls_key);
  if (record == nullptr || !record->registered || !key || Sha256(*key) != caller.key_sha256)
    return Fail(Code::kDenied, "this certificate is no node's of this site (any more)");
  if (now >= caller.until)
    return Fail(
        Code::kDenied,
        fmt::format("the certificate of {} was good until {}; a heartbeat in time renews it",
                    caller.node, FormatTime(caller.until)));
  return caller;
}

bool RenewalIsDue(const data::NodeCertificate& held, Time now, Duration lease) {
  return held.until - now <= (kCertificateLeases - 1) * lease;
}

}  // namespace spillway::gateway
