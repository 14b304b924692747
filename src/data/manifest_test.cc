#include "data/manifest.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>

#include "data/merkle.h"
#include "data/receipt.h"
#include "data/record.h"
#include "data/test_util.h"

namespace spillway::data {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr std::int64_t kMiB = 1024 * 1024;

Result<json::value> EncodeManifest(const Manifest& manifest) {
  SPW_ASSIGN(const std::string text, ManifestText(manifest));
  return ParseJson(text);
}

FileEntry File(std::string path, std::int64_t size) {
  return {std::move(path), size, 0644, *ParseTime("2026-11-24T08:15:30Z")};
}

TEST(Pack, SmallFilesShareAChunkAndAreNeverCut) {
  const Layout layout =
      *PackFiles({File("c", 3 * kMiB), File("a", kMiB), File("b", 2 * kMiB), File("empty", 0)});
  ASSERT_EQ(layout.files.size(), 4u);
  EXPECT_EQ(layout.files[0].entry.path, "a");
  EXPECT_THAT(layout.files[0].extents, ElementsAre(Extent{0, 0, kMiB}));
  EXPECT_THAT(layout.files[1].extents, ElementsAre(Extent{0, kMiB, 2 * kMiB}));
  EXPECT_THAT(layout.files[2].extents, ElementsAre(Extent{1, 0, 3 * kMiB}));
  EXPECT_THAT(layout.files[3].extents, IsEmpty());
  ASSERT_EQ(layout.chunks.size(), 2u);
  EXPECT_EQ(layout.chunks[0].plain_bytes, 3 * kMiB);
}

TEST(Pack, BigFilesSpanChunksAndTheLastOneIsFilledUp) {
  const Layout layout = *PackFiles({File("big", 10 * kMiB), File("small", kMiB)});
  EXPECT_THAT(layout.files[0].extents,
              ElementsAre(Extent{0, 0, 4 * kMiB}, Extent{1, 0, 4 * kMiB}, Extent{2, 0, 2 * kMiB}));
  EXPECT_THAT(layout.files[1].extents, ElementsAre(Extent{2, 2 * kMiB, kMiB}));
}

TEST(Pack, OfMuchDataTheFirstChunksAreSmall) {
  const Layout layout = *PackFiles({File("a", 61 * kMiB), File("b", 3 * kMiB)});
  ASSERT_EQ(layout.chunks.size(), 16u + 14u);
  for (std::size_t i = 0; i < 16; ++i) EXPECT_EQ(layout.chunks[i].plain_bytes, kMiB / 2);
  for (std::size_t i = 16; i < 30; ++i) EXPECT_EQ(layout.chunks[i].plain_bytes, 4 * kMiB);
  const Layout less = *PackFiles({File("a", 61 * kMiB), File("b", 3 * kMiB - 1)});
  EXPECT_EQ(less.chunks.size(), 16u);
}

TEST(Pack, SameFilesSameLayoutAndPiecesAgreeWithExtents) {
  std::vector<FileEntry> files;
  Rng rng(3);
  for (int i = 0; i < 300; ++i)
    files.push_back(File(fmt::format("dir{}/f{}", i % 7, i), rng.Between(0, 300'000)));
  const Layout layout = *PackFiles(files, 256 * 1024);
  std::reverse(files.begin(), files.end());
  const Layout again = *PackFiles(files, 256 * 1024);
  EXPECT_EQ(layout.files, again.files);
  std::vector<std::vector<Extent>> rebuilt(layout.files.size());
  for (std::size_t c = 0; c < layout.chunks.size(); ++c) {
    std::int64_t at = 0;
    for (const Piece& piece : layout.chunks[c].pieces) {
      EXPECT_EQ(piece.chunk_offset, at);
      at += piece.length;
      rebuilt[piece.file].push_back(
          {static_cast<std::uint32_t>(c), piece.chunk_offset, piece.length});
    }
    EXPECT_EQ(at, layout.chunks[c].plain_bytes);
    EXPECT_LE(at, 256 * 1024);
    EXPECT_GT(at, 0);
  }
  for (std::size_t f = 0; f < rebuilt.size(); ++f) EXPECT_EQ(rebuilt[f], layout.files[f].extents);
}

TEST(Pack, RefusesBadInput) {
  auto error = [](std::vector<FileEntry> files, std::int64_t chunk = kDefaultChunkBytes) {
    const auto layout = PackFiles(std::move(files), chunk);
    EXPECT_FALSE(layout);
    return layout ? std::string() : layout.error().message;
  };
  EXPECT_THAT(error({File("a", 1), File("a", 2)}), HasSubstr("appears twice"));
  EXPECT_THAT(error({File("../a", 1)}), HasSubstr("'..'"));
  EXPECT_THAT(error({File("a", 1), File("a.b", 1), File("a/b", 1)}), HasSubstr("the directory of"));
  EXPECT_THAT(error({File("a", -1)}), HasSubstr("negative"));
  EXPECT_THAT(error({File("a", INT64_MAX)}), HasSubstr("more than 1000000 chunks"));
  EXPECT_THAT(error({File("a", 900'000 * kMiB), File("b", 900'000 * kMiB)}, kMiB),
              HasSubstr("more than 1000000 chunks"));
  EXPECT_THAT(error({}, 1000), HasSubstr("chunk size"));
  FileEntry setuid = File("a", 1);
  setuid.mode = 04755;
  EXPECT_EQ(PackFiles({setuid})->files[0].entry.mode, 0755u);
}

// Vectors of the certificate-transparency project for RFC 6962.
TEST(Merkle, MatchesRfc6962Vectors) {
  const std::vector<ByteBuffer> leaves = {{},
                                          FromHex("00"),
                                          FromHex("10"),
                                          FromHex("2021"),
                                          FromHex("3031"),
                                          FromHex("40414243"),
                                          FromHex("5051525354555657"),
                                          FromHex("606162636465666768696a6b6c6d6e6f")};
  const std::vector<ByteView> views(leaves.begin(), leaves.end());
  const std::span<const ByteView> all(views);
  EXPECT_EQ(Hex(MerkleRoot({})),
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(Hex(MerkleRoot(all.first(1))),
            "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d");
  EXPECT_EQ(Hex(MerkleRoot(all.first(3))),
            "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77");
  EXPECT_EQ(Hex(MerkleRoot(all)),
            "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328");
}

ManifestChunk Chunk(std::int64_t plain, std::uint8_t fill) {
  ManifestChunk chunk{plain, SealedSize(plain), {}};
  chunk.digest.fill(fill);
  return chunk;
}

Manifest Sample() {
  Manifest manifest{"run-7", "vision", "digits", "v3", "internal", {}, {}};
  manifest.files = {{File("a/big", 5'000), {{0, 0, 4'000}, {1, 0, 1'000}}},
                    {File("b", 200), {{1, 1'000, 200}}},
                    {File("empty", 0), {}}};
  manifest.chunks = {Chunk(4'000, 1), Chunk(1'200, 2)};
  return manifest;
}

TEST(Manifest, EncodesAndDecodesExactly) {
  const Manifest manifest = Sample();
  const auto body = EncodeManifest(manifest);
  ASSERT_TRUE(body) << body.error().message;
  const auto decoded = DecodeManifest(*body);
  ASSERT_TRUE(decoded) << decoded.error().message;
  EXPECT_EQ(*decoded, manifest);
  EXPECT_EQ(CanonicalJson(*EncodeManifest(*decoded)), CanonicalJson(*body));
}

TEST(Manifest, RefusesWhatBreaksARule) {
  const std::pair<std::function<void(Manifest&)>, const char*> cases[] = {
      {[](Manifest& m) { m.files[1].entry.path = "/b"; }, "relative"},
      {[](Manifest& m) { m.files[1].entry.path = "../b"; }, "'..'"},
      {[](Manifest& m) { m.files[1].entry.path = "a/big"; }, "twice or is not in order"},
      {[](Manifest& m) { std::swap(m.files[0], m.files[1]); }, "not in order"},
      {[](Manifest& m) { m.files[1].entry.path = "a/big/x"; }, "the directory of"},
      {[](Manifest& m) { m.files[0].entry.size_bytes = 5'001; }, "lack 1 bytes"},
      {[](Manifest& m) { m.files[0].entry.size_bytes = 4'999; }, "longer than the file"},
      {[](Manifest& m) { m.files[1].entry.size_bytes = -1; }, "negative"},
      {[](Manifest& m) { m.files[1].entry.mode = 04644; }, "0777"},
      {[](Manifest& m) { m.files[1].entry.mtime = Time{Duration{INT64_MAX}}; }, "mtime"},
      {[](Manifest& m) { m.files[0].extents[1].chunk = 2; }, "extent in chunk 2, there are 2"},
      {[](Manifest& m) { m.files[1].extents[0].offset = 1'001; }, "not inside chunk 1"},
      {[](Manifest& m) { m.files[1].extents[0].offset = -1; }, "not inside chunk 1"},
      {[](Manifest& m) { m.files[1].extents[0].offset = INT64_MAX; }, "not inside chunk 1"},
      {[](Manifest& m) { m.files[1].extents = {{1, 0, 0}}; }, "not inside chunk 1"},
      {[](Manifest& m) { m.files[1].extents = {{1, 0, 101}, {1, 100, 99}}; }, "overlap"},
      {[](Manifest& m) { m.files[2].extents = {{1, 0, 1}}; }, "longer than the file"},
      {[](Manifest& m) { m.chunks[0].sealed_bytes += 1; }, "sealed bytes do not belong"},
      {[](Manifest& m) { m.chunks[0].sealed_bytes = 92; }, "92 sealed bytes do not belong"},
      {[](Manifest& m) { m.chunks[0] = Chunk(0, 1); }, "plaintext size"},
      {[](Manifest& m) { m.data_class = "secret"; }, "dataClass"},
      {[](Manifest& m) { m.run_id = ""; }, "runId"},
      {[](Manifest& m) { m.dataset_version = std::string(257, 'v'); }, "version"},
  };
  for (const auto& [change, reason] : cases) {
    Manifest manifest = Sample();
    change(manifest);
    const Status status = CheckManifest(manifest);
    ASSERT_FALSE(status) << reason;
    EXPECT_EQ(status.error().code, Code::kInvalid);
    EXPECT_THAT(status.error().message, HasSubstr(reason));
    EXPECT_FALSE(EncodeManifest(manifest));
  }
}

TEST(Manifest, RefusesAnotherShape) {
  const json::value good = *EncodeManifest(Sample());
  auto error = [&](const std::function<void(json::object&)>& change) {
    json::value body = good;
    change(body.get_object());
    const auto decoded = DecodeManifest(body);
    EXPECT_FALSE(decoded);
    return decoded ? std::string() : decoded.error().message;
  };
  auto file = [](json::object& o) -> json::object& {
    return o["files"].get_array()[0].get_object();
  };
  EXPECT_THAT(error([](auto& o) { o["format"] = 2; }), HasSubstr("format: 2 is outside 1..1"));
  EXPECT_THAT(error([](auto& o) { o.erase("chunks"); }), HasSubstr("chunks: is missing"));
  EXPECT_THAT(error([](auto& o) { o["note"] = "x"; }), HasSubstr("note: is not a known member"));
  EXPECT_THAT(error([](auto& o) { o["root"] = std::string(64, '0'); }), HasSubstr("Merkle root"));
  EXPECT_THAT(error([](auto& o) { o["root"] = "ab"; }), HasSubstr("root: must be 64"));
  EXPECT_THAT(error([](auto& o) { o["files"] = "x"; }), HasSubstr("files: must be a list"));
  EXPECT_THAT(error([&](auto& o) { file(o)["size"] = "5000"; }),
              HasSubstr("files[0].size: must be a whole number"));
  EXPECT_THAT(error([&](auto& o) { file(o)["extents"] = json::array{1}; }),
              HasSubstr("files[0].extents: must be [chunk, offset, length]"));
  EXPECT_THAT(error([&](auto& o) { file(o)["owner"] = 0; }), HasSubstr("files[0].owner"));
  EXPECT_THAT(error([](auto& o) { o["chunks"].get_array()[1].get_object()["index"] = 0; }),
              HasSubstr("chunks[1].index: must be 1"));
  EXPECT_FALSE(DecodeManifest(json::value("text")));
}

ByteBuffer Salt() {
  return RandomBytes(kSaltBytes, 5);
}

ManifestExpectation Expectation(const SigningKey& site) {
  return {"run-7", "vision", "digits", "v3", site.public_key()};
}

TEST(Manifest, OpensForItsRunDatasetVersionAndSiteOnly) {
  const SigningKey site = TestSigner();
  const Secret key = CountingSecret(0);
  const ByteBuffer sealed = *SealManifest(Sample(), site, key, Salt());
  const auto opened = OpenManifest(key, Expectation(site), sealed);
  ASSERT_TRUE(opened) << opened.error().message;
  EXPECT_EQ(*opened, Sample());
  EXPECT_THAT(std::string(AsText(sealed)), ::testing::Not(HasSubstr("digits")));

  auto code = [&](const std::function<void(ManifestExpectation&)>& change) {
    ManifestExpectation other = Expectation(site);
    change(other);
    return OpenManifest(key, other, sealed).error().code;
  };
  EXPECT_EQ(code([](auto& e) { e.run_id = "run-8"; }), Code::kCorrupt);
  EXPECT_EQ(code([](auto& e) { e.dataset_name = "letters"; }), Code::kCorrupt);
  EXPECT_EQ(code([](auto& e) { e.dataset_version = "v2"; }), Code::kCorrupt) << "no rollback";
  EXPECT_EQ(code([](auto& e) { e.site = TestSigner(9).public_key(); }), Code::kDenied);
  EXPECT_EQ(OpenManifest(CountingSecret(1), Expectation(site), sealed).error().code,
            Code::kCorrupt);
  ByteBuffer changed = sealed;
  changed[changed.size() / 2] ^= 1;
  EXPECT_EQ(OpenManifest(key, Expectation(site), changed).error().code, Code::kCorrupt);
}

// Whoever holds the run key can seal, but not sign; and a signed manifest of another run or place
// does not pass when it is sealed again.
TEST(Manifest, TheContentMustAgreeWithThePlaceItWasSealedFor) {
  const SigningKey site = TestSigner();
  const Secret key = CountingSecret(0);
  Manifest other = Sample();
  other.run_id = "run-6";
  const std::string text = SignRecord(kManifestType, *EncodeManifest(other), site);
  const ByteBuffer resealed =
      *SealChunk(key, ManifestContext("run-7", "vision/digits", "v3"), AsBytes(text), Salt());
  const auto opened = OpenManifest(key, Expectation(site), resealed);
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().code, Code::kCorrupt);
  EXPECT_THAT(opened.error().message, HasSubstr("it is for run run-6"));
}

TEST(Manifest, ChecksASealedChunkByteForByte) {
  const Secret key = CountingSecret(0);
  const ByteBuffer sealed = *SealChunk(key, DataChunkContext("run-7", "vision/digits", "v3", 1),
                                       RandomBytes(1'200, 1), Salt());
  Manifest manifest = Sample();
  manifest.chunks[1].digest = *SealDigest(sealed);
  EXPECT_TRUE(CheckSealedChunk(manifest, 1, key, sealed));
  EXPECT_EQ(CheckSealedChunk(manifest, 0, key, sealed).error().code, Code::kCorrupt);
  EXPECT_EQ(CheckSealedChunk(manifest, 2, key, sealed).error().code, Code::kInvalid);
  for (std::size_t i = 0; i < sealed.size(); ++i) {
    ByteBuffer changed = sealed;
    changed[i] ^= 1;
    const Status checked = CheckSealedChunk(manifest, 1, key, changed);
    ASSERT_FALSE(checked) << i;
    EXPECT_EQ(checked.error().code, Code::kCorrupt) << i;
  }
  ByteBuffer changed = sealed;
  changed.pop_back();
  EXPECT_EQ(CheckSealedChunk(manifest, 1, key, changed).error().code, Code::kCorrupt);
  // The same content, sealed once more for the same place.
  ByteBuffer salt = Salt();
  salt.front() ^= 1;
  changed = *SealChunk(key, DataChunkContext("run-7", "vision/digits", "v3", 1),
                       RandomBytes(1'200, 1), salt);
  EXPECT_EQ(CheckSealedChunk(manifest, 1, key, changed).error().code, Code::kCorrupt);
}

Receipt SampleReceipt(std::string path = "model.npz") {
  return {"run-7",
          "burst-a1",
          std::move(path),
          1'234,
          Sha256(AsBytes("model")),
          *ParseTime("2026-11-24T08:15:30.250Z")};
}

TEST(Receipt, SignsAndVerifies) {
  const SigningKey site = TestSigner();
  const std::string text = *SignReceipt(SampleReceipt(), site);
  const auto receipt = VerifyReceipt(text, site.public_key());
  ASSERT_TRUE(receipt) << receipt.error().message;
  EXPECT_EQ(*receipt, SampleReceipt());
  EXPECT_EQ(VerifyReceipt(text, TestSigner(9).public_key()).error().code, Code::kDenied);
  std::string changed = text;
  changed.replace(changed.find("1234"), 4, "1235");
  EXPECT_EQ(VerifyReceipt(changed, site.public_key()).error().code, Code::kCorrupt);
  EXPECT_FALSE(VerifyReceipt("", site.public_key()));
}

TEST(Receipt, RefusesBadContentEvenWhenSigned) {
  const SigningKey site = TestSigner();
  Receipt receipt = SampleReceipt("../model");
  EXPECT_EQ(SignReceipt(receipt, site).error().code, Code::kInvalid);
  receipt = SampleReceipt();
  receipt.size_bytes = -1;
  EXPECT_EQ(SignReceipt(receipt, site).error().code, Code::kInvalid);
  receipt = SampleReceipt();
  receipt.run_id = "";
  EXPECT_EQ(SignReceipt(receipt, site).error().code, Code::kInvalid);
  const std::string text =
      SignRecord(kReceiptType, json::object{{"runId", "run-7"}, {"node", "n"}}, site);
  EXPECT_THAT(VerifyReceipt(text, site.public_key()).error().message,
              HasSubstr("receipt: path: is missing"));
  const std::string other_kind = SignRecord("spillway manifest 1", json::object{}, site);
  EXPECT_THAT(VerifyReceipt(other_kind, site.public_key()).error().message, HasSubstr("type is"));
}

TEST(Receipt, RootIgnoresOrderButNotContent) {
  EXPECT_EQ(ReceiptsRoot({"a", "b", "c"}), ReceiptsRoot({"c", "a", "b"}));
  EXPECT_NE(ReceiptsRoot({"a", "b"}), ReceiptsRoot({"a", "b", "c"}));
  EXPECT_NE(ReceiptsRoot({"a", "b"}), ReceiptsRoot({"a", "x"}));
}

TEST(Receipt, OnlyAReceiptOverTheSameBytesLetsAResultGo) {
  const SigningKey site = TestSigner();
  auto missing = [&](const std::vector<std::string>& receipts) {
    return MissingReceipts("run-7", "burst-a1", {{"model.npz", 1'234, Sha256(AsBytes("model"))}},
                           receipts, site.public_key());
  };
  const std::string good = *SignReceipt(SampleReceipt(), site);
  EXPECT_THAT(missing({good}), IsEmpty());
  EXPECT_THAT(missing({}), ElementsAre("model.npz: no valid receipt"));
  EXPECT_THAT(missing({*SignReceipt(SampleReceipt("other"), site)}),
              ElementsAre("model.npz: no valid receipt"));
  Receipt wrong = SampleReceipt();
  wrong.sha256 = Sha256(AsBytes("half a model"));
  EXPECT_THAT(missing({*SignReceipt(wrong, site)}),
              ElementsAre("model.npz: the receipt is for other bytes"));
  EXPECT_THAT(missing({*SignReceipt(wrong, site), good}), IsEmpty());
  wrong = SampleReceipt();
  wrong.size_bytes = 1'233;
  EXPECT_THAT(missing({*SignReceipt(wrong, site)}),
              ElementsAre("model.npz: the receipt is for other bytes"));
  wrong = SampleReceipt();
  wrong.run_id = "run-6";
  EXPECT_THAT(missing({*SignReceipt(wrong, site)}), ElementsAre(HasSubstr("for run run-6")));
  EXPECT_THAT(missing({*SignReceipt(SampleReceipt(), TestSigner(9))}),
              ElementsAre(HasSubstr("signed by")));
}

}  // namespace
}  // namespace spillway::data
