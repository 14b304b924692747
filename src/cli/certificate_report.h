// A wipe certificate for people who judge it: auditors, data protection officers. The same report
// as a page of HTML and as PDF.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "data/certificate.h"

namespace spillway::cli {

struct ReportSection {
  std::string title;
  std::vector<std::string> paragraphs;                    // first
  std::vector<std::pair<std::string, std::string>> rows;  // label, value
};

struct CertificateReport {
  std::string title;
  std::string verdict;  // the class, and what it claims, in one sentence
  std::vector<ReportSection> sections;
};

// `text` is the signed record that was verified; `key_given` says that the signer was asked for.
CertificateReport DescribeCertificate(const data::VerifiedCertificate& verified,
                                      const std::string& text, bool key_given);

// One file that loads nothing, with `text` at its end.
std::string CertificateHtml(const CertificateReport& report, const std::string& text);
// With `text` attached as "certificate.json".
std::string CertificatePdf(const CertificateReport& report, const std::string& text);

}  // namespace spillway::cli
