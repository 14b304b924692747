#include "data/receipt.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "data/merkle.h"
#include "data/path.h"
#include "data/record.h"

namespace spillway::data {
namespace {

Status Check(const Receipt& receipt) {
  if (receipt.run_id.empty() || receipt.node.empty())
    return Fail(Code::kInvalid, "receipt: run and node must not be empty");
  if (receipt.size_bytes < 0)
    return Fail(Code::kInvalid, fmt::format("receipt: {}: size is negative", receipt.path));
  if (auto path = CheckRelativePath(receipt.path); !path) return Fail(path.error().In("receipt"));
  return Ok();
}

}  // namespace

Result<std::string> SignReceipt(const Receipt& receipt, const SigningKey& site) {
  SPW_TRY(Check(receipt));
  return SignRecord(kReceiptType,
                    json::object{{"runId", receipt.run_id},
                                 {"node", receipt.node},
                                 {"path", receipt.path},
                                 {"size", receipt.size_bytes},
                                 {"sha256", Hex(receipt.sha256)},
                                 {"received", FormatTime(receipt.received)}},
                    site);
}

Result<Receipt> VerifyReceipt(std::string_view text, const VerifyKey& site) {
  auto record = OpenRecord(kReceiptType, text, site, kMaxReceiptBytes);
  if (!record) return Fail(record.error().In("receipt"));
  std::optional<Error> error;
  FieldReader reader(record->body, "", error);
  Receipt receipt;
  receipt.run_id = reader.Text("runId");
  receipt.node = reader.Text("node");
  receipt.path = reader.Text("path", kMaxPathBytes);
  receipt.size_bytes = reader.Int("size", 0, INT64_MAX);
  receipt.sha256 = reader.Hash("sha256");
  const auto received = ParseTime(reader.Text("received"));
  if (received)
    receipt.received = *received;
  else
    reader.Complain("received", received.error().message);
  reader.Done();
  if (error) return Fail(error->In("receipt"));
  SPW_TRY(Check(receipt));
  return receipt;
}

Digest ReceiptsRoot(const std::vector<std::string>& texts) {
  std::vector<std::string_view> sorted(texts.begin(), texts.end());
  std::sort(sorted.begin(), sorted.end());
  std::vector<ByteView> leaves;
  for (std::string_view text : sorted) leaves.push_back(AsBytes(text));
  return MerkleRoot(leaves);
}

std::vector<std::string> MissingReceipts(std::string_view run_id, std::string_view node,
                                         const std::vector<ResultObject>& results,
                                         const std::vector<std::string>& receipts,
                                         const VerifyKey& site) {
  std::multimap<std::string, Receipt> valid;
  std::string refused;  // why the first receipt that does not count does not
  for (const std::string& text : receipts) {
    auto receipt = VerifyReceipt(text, site);
    if (!receipt) {
      if (refused.empty()) refused = receipt.error().message;
    } else if (receipt->run_id == run_id && receipt->node == node) {
      valid.emplace(receipt->path, *receipt);
    } else if (refused.empty()) {
      refused = fmt::format("a receipt is for run {} on node {}", receipt->run_id, receipt->node);
    }
  }
  std::vector<std::string> missing;
  for (const ResultObject& result : results) {
    const auto [first, last] = valid.equal_range(result.path);
    const bool found = std::any_of(first, last, [&](const auto& entry) {
      return entry.second.size_bytes == result.size_bytes && entry.second.sha256 == result.sha256;
    });
    if (found) continue;
    if (first != last)
      missing.push_back(fmt::format("{}: the receipt is for other bytes", result.path));
    else
      missing.push_back(fmt::format("{}: no valid receipt{}{}", result.path,
                                    refused.empty() ? "" : "; ", refused));
  }
  return missing;
}

}  // namespace spillway::data
