#include "cli/certificate_report.h"

#include <fmt/format.h>

#include "base/quantity.h"
#include "cli/pdf.h"

namespace spillway::cli {
namespace {

using data::Certificate;
using Rows = std::vector<std::pair<std::string, std::string>>;

constexpr std::size_t kShownExtents = 20;

std::string Bytes(std::int64_t bytes) {
  return fmt::format("{} ({} bytes)", HumanBytes(bytes), bytes);
}

std::string Verdict(const Certificate& c) {
  if (c.wipe_class == data::WipeClass::kFull)
    return "Class \"full\": the key of the data was destroyed; every byte of the medium that ever "
           "held sealed data was overwritten with a fresh keystream, flushed, read back from the "
           "medium and found right.";
  return "Class \"crypto-erase only\": the key of the data was destroyed, and what lies on the "
         "medium was sealed under it. It is not claimed that anything was overwritten.";
}

ReportSection MediumSection(const data::Medium& m) {
  Rows rows = {{"Provider", m.provider},
               {"Region, zone", m.region + (m.zone.empty() ? "" : ", " + m.zone)},
               {"Instance", m.instance_id},
               {"Instance type", m.instance_type},
               {"Device", m.device}};
  if (!m.filesystem.empty()) rows.emplace_back("File system", m.filesystem);
  rows.emplace_back("Size of the cache", Bytes(m.size_bytes));
  rows.emplace_back("Held sealed data", Bytes(m.used_bytes));
  std::string extents;
  for (std::size_t i = 0; i < m.extents.size() && i < kShownExtents; ++i)
    extents += fmt::format("{}{}+{}", i == 0 ? "" : ", ", m.extents[i].offset, m.extents[i].length);
  if (m.extents.size() > kShownExtents)
    extents += fmt::format(" and {} more, in the record", m.extents.size() - kShownExtents);
  rows.emplace_back("Extents (offset+length)", extents.empty() ? "none" : extents);
  ReportSection section{"Medium", {}, std::move(rows)};
  if (m.simulated)
    section.paragraphs.emplace_back(
        "SIMULATED MACHINE: its disk was a directory of the site's computer. Overwrite and "
        "read-back were real.");
  return section;
}

ReportSection DataSection(const data::WipedData& d) {
  ReportSection section{"Data", {}, {{"Run", d.run_id}, {"Data class", d.data_class}}};
  for (const data::WipedDataset& dataset : d.datasets) {
    section.rows.emplace_back("Dataset", dataset.name + ", version " + dataset.version);
    section.rows.emplace_back("  root of its manifest", Hex(dataset.manifest_root));
  }
  if (d.datasets.empty()) section.rows.emplace_back("Datasets", "none reached the machine");
  section.rows.emplace_back("Results with a receipt", std::to_string(d.receipts));
  section.rows.emplace_back("  root of the receipts", Hex(d.receipts_root));
  return section;
}

ReportSection MethodSection(const Certificate& c) {
  ReportSection section{"Method", {}, {}};
  for (const data::Technique& t : c.techniques) {
    section.rows.emplace_back(t.name, std::string(data::TechniqueResultName(t.result)));
    if (t.started && t.ended)
      section.rows.emplace_back("  from, to", FormatTime(*t.started) + ", " + FormatTime(*t.ended));
    if (!t.detail.empty()) section.rows.emplace_back("  detail", t.detail);
    if (t.bytes_requested > 0)
      section.rows.emplace_back("  written",
                                fmt::format("{} of {} bytes", t.bytes_done, t.bytes_requested));
  }
  return section;
}

ReportSection VerificationSection(const Certificate& c) {
  ReportSection section{"Verification", {}, {}};
  section.rows.emplace_back("Verified",
                            c.verified ? "yes: the whole overwrite was read back" : "no");
  for (const data::Technique& t : c.techniques) {
    if (t.bytes_requested == 0) continue;
    section.rows.emplace_back("Read back", fmt::format("{} of {} bytes, all of them",
                                                       t.bytes_read_back, t.bytes_requested));
    if (t.bytes_read_back != t.bytes_requested)
      section.rows.back().second =
          fmt::format("{} of {} bytes", t.bytes_read_back, t.bytes_requested);
    section.rows.emplace_back("Found different", fmt::format("{} bytes", t.mismatched_bytes));
    section.rows.emplace_back("Commitment to the seed", t.seed_commitment);
  }
  return section;
}

ReportSection KeysSection(const data::WipedKeys& k) {
  ReportSection section{"Keys",
                        {},
                        {{"Key", k.key_id},
                         {"Created", FormatTime(k.created)},
                         {"Destroyed", FormatTime(k.destroyed)},
                         {"Statement", k.statement}}};
  if (!k.service) return section;
  section.rows.emplace_back("Key service", k.service->name);
  section.rows.emplace_back("  version of the key", std::to_string(k.service->version));
  section.rows.emplace_back("  created, by its clock", FormatTime(k.service->created));
  section.rows.emplace_back("  destroyed, by its clock", FormatTime(k.service->destroyed));
  section.rows.emplace_back("  its statement", k.service->statement);
  return section;
}

ReportSection ListSection(std::string title, const std::vector<std::string>& items) {
  ReportSection section{std::move(title), {}, {}};
  for (std::size_t i = 0; i < items.size(); ++i)
    section.rows.emplace_back(std::to_string(i + 1), items[i]);
  return section;
}

// Facts, with their dates; docs/reference/certificate.md has the same.
ReportSection StandardsSection() {
  return {"How standards name this",
          {"The certificate states what was done. Whether that is enough is for the reader to "
           "judge; it claims no conformity."},
          {{"NIST SP 800-88 Rev. 2",
            "September 2025. The overwrite of all addressable bytes of the "
            "cache is a Clear technique; destroying the key is "
            "cryptographic erase. Purge and Destroy are not claimed: a "
            "virtual machine cannot reach what they need."},
           {"BSI IT-Grundschutz",
            "CON.6, edition 2023, A12: a medium that was used encrypted may be "
            "erased by deleting the key securely; one that was not, by "
            "overwriting all of it with random data."},
           {"BSI C5",
            "PI-03 names deletion of the key and multiple overwriting, and asks for proof "
            "to the customer."}}};
}

std::string Escape(std::string_view text) {
  std::string out;
  for (const char c : text) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&quot;";
        break;
      default:
        out += c;
    }
  }
  return out;
}

constexpr std::string_view kStyle =
    "body{font:15px/1.5 sans-serif;color:#222;max-width:50em;margin:2em auto;padding:0 1em}"
    "h1{font-size:1.6em}h2{font-size:1.15em;border-bottom:1px solid #ccc;margin-top:1.6em}"
    ".verdict{border:2px solid #222;padding:.8em 1em}table{border-collapse:collapse;width:100%}"
    "th{text-align:left;vertical-align:top;width:14em;padding:.15em 1em .15em "
    "0;white-space:pre-wrap}"
    "td{vertical-align:top;padding:.15em 0;overflow-wrap:anywhere}"
    "pre{white-space:pre-wrap;overflow-wrap:anywhere;font-size:.8em;background:#f4f4f4;padding:"
    "1em}";

}  // namespace

CertificateReport DescribeCertificate(const data::VerifiedCertificate& verified,
                                      const std::string& text, bool key_given) {
  const Certificate& c = verified.certificate;
  CertificateReport report;
  report.title = "Wipe certificate " + c.id;
  report.verdict = Verdict(c);
  const auto digest = data::CertificateDigest(text);
  report.sections.push_back(
      {"Certificate",
       {},
       {{"Issued", FormatTime(c.issued)},
        {"Issued by", c.issuer},
        {"Programs", "site " + c.controller_version + ", machine " + c.agent_version},
        {"Machine", c.node},
        {"Last heard of", c.last_heartbeat ? FormatTime(*c.last_heartbeat) : "not recorded"},
        {"SHA-256 of this record", digest ? Hex(*digest) : ""},
        {"SHA-256 of the one before",
         c.previous == Digest{} ? "none: it is the first" : Hex(c.previous)}}});
  report.sections.push_back(MediumSection(c.medium));
  report.sections.push_back(DataSection(c.data));
  report.sections.push_back(MethodSection(c));
  report.sections.push_back(VerificationSection(c));
  report.sections.push_back(KeysSection(c.keys));
  report.sections.push_back(ListSection("Out of scope", c.out_of_scope));
  if (!c.reasons.empty())
    report.sections.push_back(ListSection("Why the class is not \"full\"", c.reasons));
  report.sections.push_back(StandardsSection());
  report.sections.push_back(
      {"Signature",
       {"The signature is over the record that goes with this document, not over its words. To "
        "check it, without a network: spillway audit certificate FILE --key KEY"},
       {{"Signed by", verified.signer.Hex()},
        {"Checked", key_given
                        ? "the signature is right, and the signer is the one that was asked for"
                        : "the signature is right; compare the key with the site's site.pub, "
                          "of which you hold a copy"}}});
  return report;
}

std::string CertificateHtml(const CertificateReport& report, const std::string& text) {
  std::string out = fmt::format(
      "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">"
      "<title>{0}</title><style>{1}</style></head>\n<body><h1>{0}</h1>\n<p "
      "class=\"verdict\">{2}</p>\n",
      Escape(report.title), kStyle, Escape(report.verdict));
  for (const ReportSection& section : report.sections) {
    out += fmt::format("<h2>{}</h2>\n", Escape(section.title));
    for (const std::string& paragraph : section.paragraphs)
      out += fmt::format("<p>{}</p>\n", Escape(paragraph));
    out += "<table>\n";
    for (const auto& [label, value] : section.rows)
      out += fmt::format("<tr><th scope=\"row\">{}</th><td>{}</td></tr>\n", Escape(label),
                         Escape(value));
    out += "</table>\n";
  }
  return out + fmt::format("<h2>Signed record</h2>\n<pre>{}</pre>\n</body></html>\n", Escape(text));
}

std::string CertificatePdf(const CertificateReport& report, const std::string& text) {
  Pdf pdf(report.title);
  pdf.Title(report.title);
  pdf.Paragraph(report.verdict);
  for (const ReportSection& section : report.sections) {
    pdf.Heading(section.title);
    for (const std::string& paragraph : section.paragraphs) pdf.Paragraph(paragraph);
    for (const auto& [label, value] : section.rows) pdf.Row(label, value);
  }
  pdf.Attach("certificate.json", text);
  return pdf.Finish();
}

}  // namespace spillway::cli
