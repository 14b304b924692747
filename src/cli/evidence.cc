// audit: the ledger and wipe certificates, checked here and not by the daemon.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "base/quantity.h"
#include "cli/certificate_report.h"
#include "cli/daemon.h"
#include "cli/evidence.h"
#include "data/certificate.h"
#include "data/scan.h"

namespace spillway::cli {
namespace {

namespace fs = std::filesystem;

constexpr std::int64_t kMaxRead = 64LL << 20;

Result<std::string> ReadAll(const fs::path& path, std::int64_t most) {
  std::ifstream file(path, std::ios::binary);
  if (!file) return Fail(Code::kNotFound, fmt::format("{}: cannot be read", path.string()));
  std::string text;
  std::array<char, 65536> piece{};
  while (file.read(piece.data(), piece.size()) || file.gcount() > 0) {
    text.append(piece.data(), static_cast<std::size_t>(file.gcount()));
    if (static_cast<std::int64_t>(text.size()) > most)
      return Fail(Code::kInvalid,
                  fmt::format("{}: is longer than {}", path.string(), HumanBytes(most)));
  }
  return text;
}

// Regular files at or below `path`, sorted; the path itself if it is no directory.
Result<std::vector<fs::path>> FilesBelow(const std::string& path) {
  std::error_code error;
  if (!fs::exists(path, error)) return Fail(Code::kNotFound, path + ": does not exist");
  std::vector<fs::path> files;
  if (!fs::is_directory(path, error)) return std::vector<fs::path>{path};
  for (fs::recursive_directory_iterator it(path, error), end; !error && it != end;
       it.increment(error))
    if (it->is_regular_file()) files.push_back(it->path());
  if (error) return Fail(Code::kUnavailable, fmt::format("{}: {}", path, error.message()));
  std::sort(files.begin(), files.end());
  return files;
}

int ShowAudit(const store::AuditReport& report, const std::string& what, const Arguments& a,
              Io& io) {
  const Painter paint(io.terminal.colour);
  if (!report.ok) {
    io.err << fmt::format("error: {}: not verified: {}\n", what, report.problem);
    return 1;
  }
  io.out << paint(Style::kGreen, "verified") << ": " << what << "\n"
         << "  records     " << report.records << "\n"
         << "  head        " << report.head_hash << "\n"
         << "  signed by   " << report.public_key
         << (a.key.empty() ? "  (compare it with a key you trust, or give --key)" : "  (as asked)")
         << "\n";
  return 0;
}

// A file if there is one of that name; otherwise one the daemon keeps, by its name or by its
// node's.
Result<std::string> TextOfCertificate(const Arguments& a) {
  std::error_code ignored;
  if (fs::exists(a.target, ignored) || a.target.starts_with('/') || a.target.starts_with('.'))
    return ReadAll(a.target, data::kMaxCertificateBytes);
  client::Client daemon = Connect(a);
  auto names = daemon.Certificates();
  if (!names)
    return Fail(names.error().In(fmt::format("there is no file {} here", Safe(a.target))));
  for (const std::string& name : *names)
    if (name == a.target || fs::path(name).filename() == a.target ||
        fs::path(name).stem() == a.target)
      return daemon.Certificate(name);
  return Fail(Code::kNotFound, fmt::format("{}: there is no such file here, and spillwayd has no "
                                           "certificate of that name or node",
                                           Safe(a.target)));
}

std::string CertificateText(const data::VerifiedCertificate& verified, const Arguments& a,
                            const Painter& paint) {
  const data::Certificate& c = verified.certificate;
  std::string out =
      paint(Style::kGreen, "verified") +
      fmt::format(": {}, issued {} by {}\n", c.id, FormatTime(c.issued), Safe(c.issuer));
  out += fmt::format("  node        {} at {}/{}/{}{}\n", c.node, c.medium.provider, c.medium.region,
                     c.medium.instance_type, c.medium.simulated ? " (simulated)" : "");
  out += fmt::format("  wipe        {}{}\n", data::WipeClassName(c.wipe_class),
                     c.verified ? ", read back" : "");
  out += fmt::format("  cache       {}, {} of it held sealed data\n",
                     HumanBytes(c.medium.size_bytes), HumanBytes(c.medium.used_bytes));
  for (const data::Technique& t : c.techniques)
    out += fmt::format("  {:<11} {}{}\n", t.name, data::TechniqueResultName(t.result),
                       t.detail.empty() ? "" : ": " + Safe(t.detail));
  out += fmt::format("  key         {} destroyed {}\n", Safe(c.keys.key_id),
                     FormatTime(c.keys.destroyed));
  if (const auto& service = c.keys.service)
    out += fmt::format("  key service {}: version {} destroyed {} by its clock\n",
                       Safe(service->name), service->version, FormatTime(service->destroyed));
  for (const data::WipedDataset& dataset : c.data.datasets)
    out +=
        fmt::format("  dataset     {} (class {})\n", Safe(dataset.name), Safe(c.data.data_class));
  out += fmt::format("  results     {} with a receipt\n", c.data.receipts);
  for (const std::string& reason : c.reasons) out += "  not more    " + Safe(reason) + "\n";
  for (const std::string& scope : c.out_of_scope) out += "  not covered " + Safe(scope) + "\n";
  return out + "  signed by   " + verified.signer.Hex() +
         (a.key.empty() ? "  (compare it with a key you trust, or give --key)" : "  (as asked)") +
         "\n";
}

}  // namespace

bool VerifySignature(std::string_view message, std::string_view signature,
                     std::string_view public_key) {
  const auto key = data::VerifyKey::Parse(public_key);
  const auto bytes = ParseHex(signature);
  return key && bytes && data::Verify(*key, AsBytes(message), *bytes);
}

int AuditVerify(const Arguments& a, Io& io) {
  std::optional<std::string> key;
  if (!a.key.empty()) {
    const auto parsed = data::VerifyKey::Parse(a.key);
    if (!parsed) return Report(io, parsed.error().In("--key"));
    key = parsed->Hex();
  }
  if (!a.target.empty()) {
    const auto report = store::VerifyLedger(a.target, VerifySignature, key);
    return report ? ShowAudit(*report, a.target, a, io) : Report(io, report.error());
  }
  const auto text = Connect(a).Ledger();
  if (!text) return Report(io, text.error());
  return ShowAudit(store::VerifyExport(*text, VerifySignature, key),
                   "the ledger of " + a.daemon.Name(), a, io);
}

int AuditCertificate(const Arguments& a, Io& io) {
  std::optional<data::VerifyKey> key;
  if (!a.key.empty()) {
    const auto parsed = data::VerifyKey::Parse(a.key);
    if (!parsed) return Report(io, parsed.error().In("--key"));
    key = *parsed;
  }
  const auto text = TextOfCertificate(a);
  if (!text) return Report(io, text.error());
  const auto verified = data::VerifyCertificate(*text, key);
  if (!verified) {
    io.err << fmt::format("error: {}: not verified: {}\n", Safe(a.target),
                          verified.error().message);
    return 1;
  }
  if (a.output == "pdf" && io.terminal.is_terminal)
    return Report(io, {Code::kInvalid, "a PDF belongs in a file: -o pdf > certificate.pdf", {}});
  if (a.output.empty())
    io.out << CertificateText(*verified, a, Painter(io.terminal.colour));
  else if (a.output == "json")
    io.out << *text;
  else
    io.out << (a.output == "pdf" ? CertificatePdf : CertificateHtml)(
        DescribeCertificate(*verified, *text, key.has_value()), *text);
  return 0;
}

int AuditExport(const Arguments& a, Io& io) {
  const auto text = Connect(a).Ledger();
  if (!text) return Report(io, text.error());
  io.out << *text;
  return 0;
}

int AuditScan(const Arguments& a, Io& io) {
  const auto sample_files = FilesBelow(a.sample), disk_files = FilesBelow(a.disk);
  if (!sample_files) return Report(io, sample_files.error());
  if (!disk_files) return Report(io, disk_files.error());
  std::vector<std::string> texts;
  for (const fs::path& path : *sample_files) {
    auto text = ReadAll(path, kMaxRead);
    if (!text) return Report(io, text.error());
    texts.push_back(std::move(*text));
  }
  std::vector<ByteView> samples;
  for (const std::string& text : texts) samples.push_back(AsBytes(text));
  const auto index = data::ScanIndex::Build(samples);
  if (!index) return Report(io, index.error().In(a.sample));
  std::int64_t scanned = 0, windows = 0;
  for (const fs::path& path : *disk_files) {
    std::ifstream file(path, std::ios::binary);
    if (!file) return Report(io, {Code::kUnavailable, path.string() + ": cannot be read", {}});
    data::Scanner scanner(*index);
    std::vector<char> piece(1 << 20);
    while (file.read(piece.data(), static_cast<std::streamsize>(piece.size())) || file.gcount() > 0)
      scanner.Feed(AsBytes({piece.data(), static_cast<std::size_t>(file.gcount())}));
    scanned += scanner.scanned_bytes();
    windows += scanner.hit_windows();
    for (const data::ScanHit& hit : scanner.hits())
      io.err << fmt::format("found: {} at byte {}: {} bytes of {} from byte {} on\n", path.string(),
                            hit.offset, hit.length, (*sample_files)[hit.sample].string(),
                            hit.sample_offset);
  }
  if (scanned == 0) return Report(io, {Code::kNotFound, a.disk + ": nothing to scan is there", {}});
  io.out << fmt::format("scanned {} in {} for {} windows of {} bytes: {} found\n",
                        HumanBytes(scanned),
                        Count(static_cast<std::int64_t>(disk_files->size()), "file"),
                        index->window_count(), data::kWindowBytes, windows);
  return windows == 0 ? 0 : 1;
}

}  // namespace spillway::cli
