#include "data/record.h"

#include <fmt/format.h>

#include <algorithm>

namespace spillway::data {
namespace {

const json::value kNull;
const json::array kNoItems;

bool HasDouble(const json::value& value) {
  if (value.is_double()) return true;
  if (const auto* object = value.if_object())
    return std::any_of(object->begin(), object->end(),
                       [](const auto& member) { return HasDouble(member.value()); });
  if (const auto* array = value.if_array())
    return std::any_of(array->begin(), array->end(), HasDouble);
  return false;
}

// Bytes of JSON text without the white space between tokens.
std::size_t SizeWithoutSpace(std::string_view text) {
  std::size_t size = 0;
  bool quoted = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (!quoted && (c == ' ' || c == '\t' || c == '\r' || c == '\n')) continue;
    ++size;
    if (c == '"') quoted = !quoted;
    if (quoted && c == '\\' && i + 1 < text.size()) {
      ++i;
      ++size;
    }
  }
  return size;
}

struct ParsedRecord {
  json::value value;
  std::string canonical;
};

// JSON whose canonical form says all there is: a member given twice, which a person and a program
// could read differently, makes the text longer than its value.
Result<ParsedRecord> ParseRecord(std::string_view text, std::size_t max_bytes) {
  if (text.size() > max_bytes)
    return Fail(Code::kInvalid, fmt::format("{} bytes are too many for this kind of record "
                                            "(limit {})",
                                            text.size(), max_bytes));
  ParsedRecord parsed;
  SPW_ASSIGN(parsed.value, ParseJson(text));
  if (HasDouble(parsed.value))
    return Fail(Code::kInvalid, "a record must not hold a floating point number");
  parsed.canonical = CanonicalJson(parsed.value);
  if (SizeWithoutSpace(text) != parsed.canonical.size())
    return Fail(Code::kInvalid, "a member is given twice, or a text is escaped in an unusual way");
  return parsed;
}

std::string SignedMessage(std::string_view type, std::string_view canonical_body) {
  return fmt::format("{}\n{}", type, canonical_body);
}

// The message that was signed, made out of the record's canonical text, in which the body stands
// first: a body may be large, and is not written down a second time.
std::string MessageIn(ParsedRecord& parsed, std::string_view type, const json::value& rest) {
  constexpr std::string_view kBefore = "{\"body\":";
  const std::string after = "," + CanonicalJson(rest).substr(1);
  std::string message = std::move(parsed.canonical);
  SPW_CHECK(message.starts_with(kBefore) && message.ends_with(after), "members are sorted by name");
  message.resize(message.size() - after.size());
  message.replace(0, kBefore.size(), std::string(type) + "\n");
  return message;
}

}  // namespace

std::string SignRecordText(std::string_view type, std::string canonical_body,
                           const SigningKey& key) {
  const Signature signature = key.Sign(AsBytes(SignedMessage(type, canonical_body)));
  const std::string rest = CanonicalJson(json::object{
      {"publicKey", key.public_key().Hex()}, {"signature", Hex(signature)}, {"type", type}});
  // Members are sorted by name, and "body" is the first.
  canonical_body.insert(0, "{\"body\":");
  canonical_body += ",";
  canonical_body.append(rest, 1);
  return canonical_body;
}

std::string SignRecord(std::string_view type, const json::value& body, const SigningKey& key) {
  return SignRecordText(type, CanonicalJson(body), key);
}

Result<OpenedRecord> OpenRecord(std::string_view type, std::string_view text,
                                const std::optional<VerifyKey>& expected, std::size_t max_bytes) {
  SPW_ASSIGN(ParsedRecord parsed, ParseRecord(text, max_bytes));
  std::optional<Error> error;
  FieldReader reader(parsed.value, "", error);
  const std::string found_type = reader.Text("type");
  const std::string signer_hex = reader.Text("publicKey");
  const std::string signature_hex = reader.Text("signature");
  reader.Object("body");
  reader.Done();
  if (error) return Fail(*error);
  if (found_type != type)
    return Fail(Code::kInvalid, fmt::format("type is \"{}\", not \"{}\"", found_type, type));
  OpenedRecord opened;
  SPW_ASSIGN(opened.signer, VerifyKey::Parse(signer_hex));
  const auto signature = ParseHex(signature_hex);
  if (!signature || signature->size() != std::tuple_size_v<Signature> ||
      Hex(*signature) != signature_hex || opened.signer.Hex() != signer_hex)
    return Fail(Code::kInvalid,
                "signature, publicKey: must be 128 and 64 lower-case hexadecimal digits");
  const json::object rest = {
      {"publicKey", signer_hex}, {"signature", signature_hex}, {"type", found_type}};
  if (!Verify(opened.signer, AsBytes(MessageIn(parsed, type, rest)), *signature))
    return Fail(Code::kCorrupt,
                "signature: does not match the content; it was changed after it "
                "was signed, or another key signed it");
  if (expected && *expected != opened.signer)
    return Fail(Code::kDenied, fmt::format("publicKey: signed by {}, expected {}",
                                           opened.signer.Hex(), expected->Hex()));
  opened.body = std::move(parsed.value.get_object()["body"]);
  return opened;
}

Result<Digest> RecordDigest(std::string_view text, std::size_t max_bytes) {
  SPW_ASSIGN(const ParsedRecord parsed, ParseRecord(text, max_bytes));
  return Sha256(AsBytes(parsed.canonical));
}

Result<Digest> ParseDigest(std::string_view hex) {
  const auto bytes = ParseHex(hex);
  Digest digest;
  if (!bytes || bytes->size() != digest.size() || Hex(*bytes) != hex)
    return Fail(Code::kInvalid, "must be 64 lower-case hexadecimal digits (SHA-256)");
  std::copy(bytes->begin(), bytes->end(), digest.begin());
  return digest;
}

FieldReader::FieldReader(const json::value& value, std::string where, std::optional<Error>& error)
    : value_(value), where_(std::move(where)), error_(error) {
  if (!value_.is_object()) Complain("", "must be an object");
}

std::string FieldReader::Place(std::string_view key) const {
  if (key.empty()) return where_.empty() ? "record" : where_;
  return where_.empty() ? std::string(key) : fmt::format("{}.{}", where_, key);
}

void FieldReader::Complain(std::string_view key, std::string_view what) {
  if (!error_) error_ = Error{Code::kInvalid, fmt::format("{}: {}", Place(key), what), {}};
}

const json::value& FieldReader::Get(std::string_view key) {
  const json::object* object = value_.if_object();
  const json::value* found = object == nullptr ? nullptr : object->if_contains(key);
  if (found == nullptr) {
    Complain(key, "is missing");
    return kNull;
  }
  asked_.push_back(key);
  return *found;
}

std::string FieldReader::TextOrEmpty(std::string_view key, std::size_t max_bytes) {
  const json::value& value = Get(key);
  if (!value.is_string()) {
    Complain(key, "must be a text");
    return {};
  }
  if (value.get_string().size() > max_bytes) {
    Complain(key, fmt::format("is longer than {} bytes", max_bytes));
    return {};
  }
  return std::string(View(value.get_string()));
}

std::string FieldReader::Text(std::string_view key, std::size_t max_bytes) {
  std::string text = TextOrEmpty(key, max_bytes);
  if (text.empty()) Complain(key, "must not be empty");
  return text;
}

std::int64_t FieldReader::Int(std::string_view key, std::int64_t low, std::int64_t high) {
  const json::value& value = Get(key);
  if (!value.is_int64()) {
    Complain(key, "must be a whole number");
    return low;
  }
  if (value.get_int64() < low || value.get_int64() > high) {
    Complain(key, fmt::format("{} is outside {}..{}", value.get_int64(), low, high));
    return low;
  }
  return value.get_int64();
}

bool FieldReader::Bool(std::string_view key) {
  const json::value& value = Get(key);
  if (!value.is_bool()) Complain(key, "must be true or false");
  return value.is_bool() && value.get_bool();
}

Digest FieldReader::Hash(std::string_view key) {
  const auto digest = ParseDigest(Text(key));
  if (digest) return *digest;
  Complain(key, digest.error().message);
  return {};
}

void FieldReader::Null(std::string_view key) {
  if (!Get(key).is_null()) Complain(key, "must be null");
}

const json::value& FieldReader::Object(std::string_view key) {
  const json::value& value = Get(key);
  if (!value.is_object()) Complain(key, "must be an object");
  return value;
}

const json::array& FieldReader::Array(std::string_view key, std::size_t max_items) {
  const json::value& value = Get(key);
  if (!value.is_array()) {
    Complain(key, "must be a list");
    return kNoItems;
  }
  if (value.get_array().size() > max_items) {
    Complain(key, fmt::format("has more than {} items", max_items));
    return kNoItems;
  }
  return value.get_array();
}

std::vector<std::string> FieldReader::Texts(std::string_view key, std::size_t max_items) {
  std::vector<std::string> texts;
  for (const json::value& item : Array(key, max_items)) {
    if (!item.is_string() || item.get_string().empty() || item.get_string().size() > 512) {
      Complain(key, "must hold texts of 1 to 512 bytes");
      break;
    }
    texts.emplace_back(View(item.get_string()));
  }
  return texts;
}

void FieldReader::Done() {
  const json::object* object = value_.if_object();
  if (object == nullptr || object->size() == asked_.size()) return;
  for (const auto& member : *object)
    if (std::find(asked_.begin(), asked_.end(), std::string_view(member.key())) == asked_.end())
      Complain(std::string_view(member.key()).substr(0, 64), "is not a known member");
}

}  // namespace spillway::data
