#include "s3/signer.h"

#include <fmt/format.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <algorithm>

#include "base/encoding.h"
#include "net/http_message.h"

namespace spillway::s3 {
namespace {

// HMAC-SHA256 (RFC 2104) into 32 bytes.
void Hmac(ByteView key, std::string_view text, std::span<std::uint8_t, 32> out) {
  unsigned length = 0;
  const unsigned char* made = HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()),
                                   AsBytes(text).data(), text.size(), out.data(), &length);
  SPW_CHECK(made != nullptr && length == out.size(), "HMAC-SHA256 failed");
}

std::string Lower(std::string_view text) {
  std::string out(text);
  for (char& c : out)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  return out;
}

// Without spaces around it, and one space in the place of several.
std::string Trimmed(std::string_view value) {
  std::string out;
  for (const char c : value) {
    if (c == ' ' && (out.empty() || out.back() == ' ')) continue;
    out += c;
  }
  if (out.ends_with(' ')) out.pop_back();
  return out;
}

// Sorted by lower-case name; values of one name in their order, with commas between them.
Pairs CanonicalHeaders(const Pairs& headers) {
  Pairs sorted;
  for (const auto& [name, value] : headers) sorted.emplace_back(Lower(name), Trimmed(value));
  std::stable_sort(sorted.begin(), sorted.end(),
                   [](const auto& a, const auto& b) { return a.first < b.first; });
  Pairs merged;
  for (auto& header : sorted) {
    if (!merged.empty() && merged.back().first == header.first)
      merged.back().second += "," + header.second;
    else
      merged.push_back(std::move(header));
  }
  return merged;
}

std::string SignedHeaders(const Pairs& canonical) {
  std::string names;
  for (const auto& [name, value] : canonical) names += (names.empty() ? "" : ";") + name;
  return names;
}

}  // namespace

std::string AmzDate(Time time) {
  std::string text = FormatTime(std::chrono::floor<std::chrono::seconds>(time));
  std::erase_if(text, [](char c) { return c == '-' || c == ':'; });
  return text;
}

std::string CanonicalQuery(Pairs query) {
  for (auto& [name, value] : query) {
    name = net::PercentEncode(name);
    value = net::PercentEncode(value);
  }
  std::sort(query.begin(), query.end());
  std::string text;
  for (const auto& [name, value] : query)
    text += fmt::format("{}{}={}", text.empty() ? "" : "&", name, value);
  return text;
}

std::string CanonicalRequest(const ToSign& request) {
  const Pairs headers = CanonicalHeaders(request.headers);
  std::string text =
      fmt::format("{}\n{}\n{}\n", request.method, request.path, CanonicalQuery(request.query));
  for (const auto& [name, value] : headers) text += fmt::format("{}:{}\n", name, value);
  return text + fmt::format("\n{}\n{}", SignedHeaders(headers), request.payload);
}

std::string Authorization(const ToSign& request, const Credentials& credentials,
                          const Scope& scope) {
  const std::string time = AmzDate(scope.now);
  const std::string date = time.substr(0, 8);
  const std::string range = fmt::format("{}/{}/{}/aws4_request", date, scope.region, scope.service);
  const std::string text = fmt::format("AWS4-HMAC-SHA256\n{}\n{}\n{}", time, range,
                                       Sha256Hex(CanonicalRequest(request)));
  const data::SecretText first("AWS4" + credentials.secret_access_key.Reveal());
  Digest key{}, next{}, signature{};
  const data::CleanseGuard wipe_key(key), wipe_next(next);
  Hmac(AsBytes(first.Reveal()), date, key);
  for (const std::string_view part :
       {std::string_view(scope.region), std::string_view(scope.service),
        std::string_view("aws4_request")}) {
    Hmac(key, part, next);
    key = next;
  }
  Hmac(key, text, signature);
  return fmt::format("AWS4-HMAC-SHA256 Credential={}/{}, SignedHeaders={}, Signature={}",
                     credentials.access_key_id, range,
                     SignedHeaders(CanonicalHeaders(request.headers)), Hex(signature));
}

}  // namespace spillway::s3
