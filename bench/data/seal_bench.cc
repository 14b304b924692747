// What sealing and opening cost beside the bare libraries, in one run: GB/s of one core's CPU time.
//
//   seal_bench [--rounds N] [--chunk-mib N]
//
// Every contestant works on the same chunk in memory, in turns; a row is the median of the rounds.
// "bare" is the library's AES-256-GCM over segments of 64 KiB into memory that exists: no format,
// no key derivation, no allocation.
#include <fmt/format.h>
#include <intel-ipsec-mb.h>
#include <openssl/evp.h>
#include <sys/resource.h>
#include <time.h>

#include <algorithm>
#include <charconv>
#include <cstring>
#include <functional>
#include <string>
#include <vector>

#include "base/rng.h"
#include "data/aead.h"
#include "data/seal.h"
#include "data/secret.h"

namespace {

using namespace spillway;

constexpr double kSecondsPerTurn = 0.05;

struct Row {
  std::string name;
  std::string against;  // row that the ratio is to; empty: none
  std::function<void()> once;
  std::int64_t bytes = 0;  // of plaintext, in one call
  std::vector<double> gb_per_s;

  double Median() const {
    std::vector<double> sorted = gb_per_s;
    std::ranges::sort(sorted);
    return sorted[sorted.size() / 2];
  }
};

double CpuSeconds() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
}

void Turn(Row& row) {
  row.once();
  const double began = CpuSeconds();
  double now = began;
  std::int64_t bytes = 0;
  while (now < began + kSecondsPerTurn) {
    row.once();
    bytes += row.bytes;
    now = CpuSeconds();
  }
  row.gb_per_s.push_back(static_cast<double>(bytes) / 1e9 / (now - began));
}

ByteBuffer Noise(std::size_t size) {
  Rng rng(1);
  ByteBuffer bytes(size);
  for (std::size_t i = 0; i + 8 <= size; i += 8) {
    const std::uint64_t word = rng.Next();
    std::memcpy(bytes.data() + i, &word, 8);
  }
  return bytes;
}

// Lines as a table of samples has them; zstd makes about a quarter of it.
ByteBuffer Lines(std::size_t size) {
  Rng rng(2);
  std::string text;
  while (text.size() < size)
    text += fmt::format("{{\"sample\":{},\"label\":\"cat\",\"x\":{:.4f},\"y\":{:.4f}}}\n",
                        rng.Next() % 100'000, static_cast<double>(rng.Next() % 10'000) / 7,
                        static_cast<double>(rng.Next() % 10'000) / 7);
  text.resize(size);
  return {text.begin(), text.end()};
}

// One library, used as its manual says.
class Bare {
 public:
  virtual ~Bare() = default;
  virtual void Seal(ByteView plain, std::uint8_t* out) = 0;
  virtual void Open(ByteView sealed, std::uint8_t* out) = 0;

 protected:
  std::array<std::uint8_t, 32> key_{7};
  std::array<std::uint8_t, 12> nonce_{};
};

class BareOpenSsl final : public Bare {
 public:
  BareOpenSsl() {
    EVP_EncryptInit_ex(seal_, EVP_aes_256_gcm(), nullptr, key_.data(), nullptr);
    EVP_DecryptInit_ex(open_, EVP_aes_256_gcm(), nullptr, key_.data(), nullptr);
  }
  ~BareOpenSsl() override {
    EVP_CIPHER_CTX_free(seal_);
    EVP_CIPHER_CTX_free(open_);
  }
  void Seal(ByteView plain, std::uint8_t* out) override {
    int n = 0;
    EVP_EncryptInit_ex(seal_, nullptr, nullptr, nullptr, nonce_.data());
    EVP_EncryptUpdate(seal_, out, &n, plain.data(), static_cast<int>(plain.size()));
    EVP_EncryptFinal_ex(seal_, out + plain.size(), &n);
    EVP_CIPHER_CTX_ctrl(seal_, EVP_CTRL_GCM_GET_TAG, 16, out + plain.size());
  }
  void Open(ByteView sealed, std::uint8_t* out) override {
    int n = 0;
    const std::size_t size = sealed.size() - 16;
    std::array<std::uint8_t, 16> tag;
    std::copy_n(sealed.data() + size, 16, tag.begin());
    EVP_DecryptInit_ex(open_, nullptr, nullptr, nullptr, nonce_.data());
    EVP_DecryptUpdate(open_, out, &n, sealed.data(), static_cast<int>(size));
    EVP_CIPHER_CTX_ctrl(open_, EVP_CTRL_GCM_SET_TAG, 16, tag.data());
    SPW_CHECK(EVP_DecryptFinal_ex(open_, tag.data(), &n) == 1);
  }

 private:
  EVP_CIPHER_CTX* seal_ = EVP_CIPHER_CTX_new();
  EVP_CIPHER_CTX* open_ = EVP_CIPHER_CTX_new();
};

class BareIpsecMb final : public Bare {
 public:
  BareIpsecMb() {
    init_mb_mgr_auto(manager_, nullptr);
    IMB_AES256_GCM_PRE(manager_, key_.data(), &schedule_);
  }
  ~BareIpsecMb() override { free_mb_mgr(manager_); }
  void Seal(ByteView plain, std::uint8_t* out) override {
    gcm_context_data context;
    IMB_AES256_GCM_ENC(manager_, &schedule_, &context, out, plain.data(), plain.size(),
                       nonce_.data(), key_.data(), 0, out + plain.size(), 16);
  }
  void Open(ByteView sealed, std::uint8_t* out) override {
    gcm_context_data context;
    const std::size_t size = sealed.size() - 16;
    std::array<std::uint8_t, 16> tag;
    IMB_AES256_GCM_DEC(manager_, &schedule_, &context, out, sealed.data(), size, nonce_.data(),
                       key_.data(), 0, tag.data(), 16);
    SPW_CHECK(EqualConstantTime(tag, sealed.last(16)));
  }

 private:
  IMB_MGR* manager_ = alloc_mb_mgr(0);
  alignas(64) gcm_key_data schedule_{};
};

class Bench {
 public:
  explicit Bench(std::size_t chunk_bytes)
      : noise_(Noise(chunk_bytes)),
        lines_(Lines(chunk_bytes)),
        out_(chunk_bytes + chunk_bytes / 16),
        key_(*data::Secret::FromBytes(ByteBuffer(32, 9))) {}

  void AddBare(const std::string& library, Bare& bare) {
    constexpr std::size_t kSealed = data::kSegmentBytes + data::kTagBytes;
    ByteBuffer& sealed = *sealed_.emplace_back(
        std::make_unique<ByteBuffer>(noise_.size() / data::kSegmentBytes * kSealed));
    const auto each = [this](const auto& segment) {
      for (std::size_t i = 0; i < noise_.size() / data::kSegmentBytes; ++i) segment(i);
    };
    Add("bare seal, " + library, "", [this, each, &bare, &sealed] {
      each([&](std::size_t i) {
        bare.Seal(ByteView(noise_).subspan(i * data::kSegmentBytes, data::kSegmentBytes),
                  sealed.data() + i * kSealed);
      });
    });
    Add("bare open, " + library, "", [this, each, &bare, &sealed] {
      each([&](std::size_t i) {
        bare.Open(ByteView(sealed).subspan(i * kSealed, kSealed),
                  out_.data() + i * data::kSegmentBytes);
      });
    });
  }

  void AddOurs(const std::string& library) {
    const std::string seal = "bare seal, " + library, open = "bare open, " + library;
    Use(library);
    const ByteBuffer& sealed = *sealed_.emplace_back(
        std::make_unique<ByteBuffer>(*data::SealChunk(key_, Context(), noise_, Salt())));
    const auto& opener = *openers_.emplace_back(Opener(sealed));
    Add("SealChunk, " + library, seal, [this, library] {
      Use(library);
      SPW_CHECK(data::SealChunk(key_, Context(), noise_, Salt()).has_value());
    });
    Add("OpenChunk, " + library, open, [this, library, &sealed] {
      Use(library);
      SPW_CHECK(data::OpenChunk(key_, Context(), sealed).has_value());
    });
    Add("ChunkOpener::Open, " + library, open, [this, &opener, &sealed] {
      SPW_CHECK(opener.Open(sealed, std::span(out_).first(noise_.size())).has_value());
    });
    Add("ChunkOpener 256 KiB reads, " + library, open,
        [this, &opener, &sealed] { Reads(opener, sealed, 256 * 1024, 0); });
    Add(
        "ChunkOpener 4 KiB reads at random, " + library, open,
        [this, &opener, &sealed] { Reads(opener, sealed, 4096, 1); }, 64 * 4096);
  }

  void AddCompressed() {
    const ByteBuffer& sealed = *sealed_.emplace_back(std::make_unique<ByteBuffer>(
        *data::SealChunk(key_, Context(), lines_, Salt(), data::Compression::kWherePays)));
    compressed_percent_ =
        100.0 * static_cast<double>(sealed.size()) / static_cast<double>(lines_.size());
    const auto& opener = *openers_.emplace_back(Opener(sealed));
    Add("SealChunk with zstd, text", "", [this] {
      SPW_CHECK(data::SealChunk(key_, Context(), lines_, Salt(), data::Compression::kWherePays)
                    .has_value());
    });
    Add("ChunkOpener::Open with zstd, text", "", [this, &opener, &sealed] {
      SPW_CHECK(opener.Open(sealed, std::span(out_).first(lines_.size())).has_value());
    });
    Add("SealChunk, zstd tried on noise", "SealChunk, ipsec-mb", [this] {
      SPW_CHECK(data::SealChunk(key_, Context(), noise_, Salt(), data::Compression::kWherePays)
                    .has_value());
    });
  }

  // What the site does with every chunk of a run, but for reading and writing it.
  void AddSite() {
    const ByteBuffer& sealed = *sealed_.emplace_back(
        std::make_unique<ByteBuffer>(*data::SealChunk(key_, Context(), noise_, Salt())));
    const auto& opener = *openers_.emplace_back(Opener(sealed));
    Add("SHA-256 of a sealed chunk", "", [this] { digest_ = Sha256(noise_); });
    Add("zstd tried, SealChunk, SealDigest", "", [this] {
      digest_ = *data::SealDigest(
          *data::SealChunk(key_, Context(), noise_, Salt(), data::Compression::kWherePays));
    });
    // What a node does with it before it keeps it.
    Add("SealDigest, ChunkOpener::Verify", "", [this, &opener, &sealed] {
      digest_ = *data::SealDigest(sealed);
      SPW_CHECK(opener.Verify(sealed).has_value());
    });
  }

  void Run(int rounds) {
    for (int i = 0; i < rounds; ++i)
      for (Row& row : rows_) Turn(row);
    fmt::print("{:44} {:>10} {:>14} {:>10}\n",
               "chunk of " + std::to_string(noise_.size() >> 20) + " MiB", "GB/CPU s",
               "CPU s per GiB", "of bare");
    for (const Row& row : rows_) {
      const auto bare = std::ranges::find(rows_, row.against, &Row::name);
      fmt::print(
          "{:44} {:>10.2f} {:>14.3f} {:>10}\n", row.name, row.Median(), 1.073741824 / row.Median(),
          bare == rows_.end() ? "" : fmt::format("{:.0f} %", 100 * row.Median() / bare->Median()));
    }
    rusage usage{};
    getrusage(RUSAGE_SELF, &usage);
    fmt::print("text compressed to {:.0f} %; peak memory {} MiB\n", compressed_percent_,
               usage.ru_maxrss >> 10);
  }

 private:
  static data::ChunkContext Context() {
    return {"bench", "run/bench", "v1", data::Direction::kDown, "data", 0};
  }
  static ByteBuffer Salt() { return ByteBuffer(data::kSaltBytes, 3); }

  std::unique_ptr<data::ChunkOpener> Opener(const ByteBuffer& sealed) const {
    return std::make_unique<data::ChunkOpener>(*data::ChunkOpener::Make(
        key_, Context(), sealed, static_cast<std::int64_t>(sealed.size())));
  }
  static void Use(const std::string& library) {
    const Status used = data::UseAeadBackend(library);
    SPW_CHECK(used.has_value(), "see AddOurs");
  }
  void Add(std::string name, std::string against, std::function<void()> once,
           std::int64_t bytes = 0) {
    if (bytes == 0) bytes = static_cast<std::int64_t>(noise_.size());
    rows_.push_back({std::move(name), std::move(against), std::move(once), bytes, {}});
  }
  // The whole chunk in order, or 64 reads anywhere.
  void Reads(const data::ChunkOpener& opener, ByteView sealed, std::size_t bytes, int random) {
    const std::size_t places = noise_.size() / bytes;
    for (std::size_t i = 0; i < (random != 0 ? 64 : places); ++i) {
      const auto offset =
          static_cast<std::int64_t>((random != 0 ? rng_.Next() % places : i) * bytes);
      const auto cover = *opener.CoverOf(offset, static_cast<std::int64_t>(bytes));
      SPW_CHECK(opener
                    .OpenRange(offset,
                               sealed.subspan(static_cast<std::size_t>(cover.sealed_offset),
                                              static_cast<std::size_t>(cover.sealed_bytes)),
                               std::span(out_).first(bytes))
                    .has_value());
    }
  }

  const ByteBuffer noise_, lines_;
  ByteBuffer out_;
  Digest digest_{};
  const data::Secret key_;
  Rng rng_{3};
  std::vector<std::unique_ptr<ByteBuffer>> sealed_;
  std::vector<std::unique_ptr<data::ChunkOpener>> openers_;
  std::vector<Row> rows_;
  double compressed_percent_ = 0;
};

int Usage() {
  fmt::print(stderr, "usage: seal_bench [--rounds N] [--chunk-mib N], N from 1 to 64\n");
  return 2;
}

}  // namespace

int main(int argc, char** argv) {
  int rounds = 9, chunk_mib = 4;
  for (int i = 1; i < argc; i += 2) {
    const std::string_view option = argv[i], value = i + 1 < argc ? argv[i + 1] : "";
    int* target = option == "--rounds" ? &rounds : option == "--chunk-mib" ? &chunk_mib : nullptr;
    if (target == nullptr) return Usage();
    const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), *target);
    if (error != std::errc{} || end != value.data() + value.size() || *target < 1 || *target > 64)
      return Usage();
  }
  Bench bench(static_cast<std::size_t>(chunk_mib) << 20);
  BareOpenSsl openssl;
  BareIpsecMb ipsec_mb;
  bench.AddBare("openssl", openssl);
  bench.AddBare("ipsec-mb", ipsec_mb);
  bench.AddOurs("openssl");
  if (data::AeadBackendAvailable(data::AeadBackend::kIpsecMb)) bench.AddOurs("ipsec-mb");
  bench.AddCompressed();
  bench.AddSite();
  bench.Run(rounds);
  return 0;
}
