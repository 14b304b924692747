#include "gateway/cipher_speed.h"

#include <fmt/format.h>
#include <time.h>

#include <functional>

#include "data/seal.h"

namespace spillway::gateway {
namespace {

constexpr double kMeasuredSeconds = 0.02;

// Time of this thread alone: what others do meanwhile does not count.
double ThreadSeconds() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
}

double GbPerSecond(const std::function<void()>& segment) {
  segment();  // pages and caches
  const double began = ThreadSeconds();
  double now = began;
  std::int64_t bytes = 0;
  while (now < began + kMeasuredSeconds) {
    for (int i = 0; i < 16; ++i) segment();
    bytes += 16 * static_cast<std::int64_t>(data::kSegmentBytes);
    now = ThreadSeconds();
  }
  return static_cast<double>(bytes) / 1e9 / (now - began);
}

}  // namespace

CipherSpeed MeasureCipher(data::AeadBackend backend) {
  const data::Aes256Gcm cipher(ByteBuffer(32), backend);  // a key of nothing
  ByteBuffer plain(data::kSegmentBytes), sealed(data::kSegmentBytes + data::kTagBytes);
  CipherSpeed speed;
  speed.sealed_gb_per_s = GbPerSecond([&] { cipher.Seal({}, {}, plain, sealed); });
  speed.opened_gb_per_s =
      GbPerSecond([&] { SPW_CHECK(cipher.Open({}, {}, sealed, plain), "our own segment"); });
  return speed;
}

std::string DescribeCipher() {
  const data::AeadBackend backend = data::DefaultAeadBackend();
  const CipherSpeed speed = MeasureCipher(backend);
  std::string_view why;
  if (!data::AeadBackendAvailable(data::AeadBackend::kIpsecMb))
    why = "; ipsec-mb, which is faster, needs a processor with VAES and AVX-512";
  else if (backend == data::AeadBackend::kOpenSsl)
    why = "; SPILLWAY_CIPHER forbids ipsec-mb, which is faster";
  return fmt::format("AES-256-GCM by {}: {:.1f} GB/s sealed, {:.1f} GB/s opened on one core{}",
                     data::AeadBackendName(backend), speed.sealed_gb_per_s, speed.opened_gb_per_s,
                     why);
}

}  // namespace spillway::gateway
