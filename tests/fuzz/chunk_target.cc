// Sealed chunks. The first byte of an input says what the rest is: a chunk as it came, a zstd
// frame, or a plaintext that is sealed and then changed.
#include "data/compress.h"
#include "data/seal.h"
#include "tests/fuzz/fuzz.h"

namespace spillway::fuzz {
namespace {

constexpr std::size_t kMaxPlainBytes = 1 << 20;

const data::Secret& Key() {
  static const data::Secret key = *data::Secret::FromBytes(ByteBuffer(32, 9));
  return key;
}

data::ChunkContext Context() {
  return {"bn-00007", "run/bn-00007", "v3", data::Direction::kDown, "data", 2};
}

ByteBuffer Salt() {
  return ByteBuffer(data::kSaltBytes, 3);
}

void TryChunk(ByteView sealed) {
  const auto opened = data::OpenChunk(Key(), Context(), sealed);
  // What opens is what sealing gives: nobody makes one without the key.
  if (opened)
    SPW_CHECK(
        data::SealChunk(Key(), Context(), *opened, sealed.subspan(20, data::kSaltBytes),
                        sealed[5] == 0 ? data::Compression::kNever : data::Compression::kWherePays)
                ->size() == sealed.size(),
        "a forged chunk opens");
  else
    SPW_CHECK(opened.error().code == Code::kCorrupt);
}

void TryFrame(ByteView input) {
  if (input.size() < 4) return;
  const std::size_t size =
      (std::size_t{input[0]} << 16 | std::size_t{input[1]} << 8 | input[2]) % kMaxPlainBytes;
  ByteBuffer out(size);
  const auto done = data::Decompress(input.subspan(3), out);
  SPW_CHECK(done.has_value() || done.error().code == Code::kCorrupt);
}

void TryPlain(ByteView input) {
  if (input.size() < 4) return;
  const std::size_t place = std::size_t{input[0]} << 16 | std::size_t{input[1]} << 8 | input[2];
  const ByteView plain = input.subspan(4);
  ByteBuffer sealed =
      *data::SealChunk(Key(), Context(), plain, Salt(), data::Compression::kWherePays);
  const auto opened = data::OpenChunk(Key(), Context(), sealed);
  SPW_CHECK(opened && std::equal(opened->begin(), opened->end(), plain.begin(), plain.end()));
  const auto opener = data::ChunkOpener::Make(Key(), Context(), sealed, std::ssize(sealed));
  SPW_CHECK(opener.has_value());
  if (opener->codec() == data::Codec::kNone && !plain.empty()) {
    const std::size_t from = place % plain.size(), size = 1 + place % (plain.size() - from);
    const auto cover =
        *opener->CoverOf(static_cast<std::int64_t>(from), static_cast<std::int64_t>(size));
    ByteBuffer out(size);
    SPW_CHECK(
        opener
            ->OpenRange(static_cast<std::int64_t>(from),
                        ByteView(sealed).subspan(static_cast<std::size_t>(cover.sealed_offset),
                                                 static_cast<std::size_t>(cover.sealed_bytes)),
                        out)
            .has_value());
    SPW_CHECK(
        std::equal(out.begin(), out.end(), plain.begin() + static_cast<std::ptrdiff_t>(from)));
  }
  if (input[3] == 0) return;
  sealed[place % sealed.size()] ^= input[3];
  SPW_CHECK(!data::OpenChunk(Key(), Context(), sealed), "a changed chunk opens");
}

}  // namespace

std::vector<std::string> Seeds() {
  std::vector<std::string> seeds;
  const std::string text(3000, 'a');
  for (const auto compression : {data::Compression::kNever, data::Compression::kWherePays})
    seeds.push_back("c" + std::string(AsText(*data::SealChunk(Key(), Context(), AsBytes(text),
                                                              Salt(), compression))));
  seeds.push_back(std::string("f\x00\x0b\xb8", 4) +
                  std::string(AsText(*data::CompressIfItPays(AsBytes(text)))));
  seeds.push_back(std::string("p\x00\x00\x50\x01", 5) + text);
  seeds.push_back(std::string("p\x00\x00\x07\x80", 5) + "short");
  seeds.emplace_back("p");
  return seeds;
}

void Try(std::string_view input) {
  if (input.empty()) return;
  const ByteView rest = AsBytes(input.substr(1));
  if (input[0] == 'c') TryChunk(rest);
  if (input[0] == 'f') TryFrame(rest);
  if (input[0] == 'p') TryPlain(rest);
}

}  // namespace spillway::fuzz
