#include "gateway/slices.h"

#include <fmt/format.h>

#include "base/number.h"

namespace spillway::gateway {
namespace {

net::Response Head(bool ranged, std::int64_t first, std::int64_t bytes, std::int64_t total) {
  net::Response response;
  response.content_type = "application/octet-stream";
  if (ranged) {
    response.status = 206;
    response.headers.Add("Content-Range",
                         fmt::format("bytes {}-{}/{}", first, first + bytes - 1, total));
  }
  response.headers.Add("Accept-Ranges", "bytes");
  return response;
}

// One clock for all streams of a limit: each SystemClock counts from its own beginning.
Duration SteadyNow() {
  static const SystemClock clock;
  return clock.SteadyNow();
}

class LimitedBody final : public net::BodySource {
 public:
  LimitedBody(std::unique_ptr<SealedSlice> slice, std::shared_ptr<RateLimit> limit)
      : slice_(std::move(slice)), limit_(std::move(limit)) {}

  std::int64_t size_bytes() const override { return slice_->bytes(); }

  Result<Piece> Read(std::int64_t offset, std::span<char> out) override {
    const RateLimit::Grant grant = limit_->Take(std::ssize(out), SteadyNow());
    if (grant.bytes == 0) return Piece{0, grant.wait};
    const auto size = static_cast<std::size_t>(grant.bytes);
    SPW_TRY(slice_->Read(offset, out.first(size)));
    return Piece{size, {}};
  }

 private:
  const std::unique_ptr<SealedSlice> slice_;
  const std::shared_ptr<RateLimit> limit_;
};

}  // namespace

Result<SliceRequest> ParseRange(std::string_view header) {
  constexpr std::string_view kUnit = "bytes=";
  const std::size_t dash = header.find('-');
  if (!header.starts_with(kUnit) || dash == std::string_view::npos) return SliceRequest{};
  const auto first = ParseCount(header.substr(kUnit.size(), dash - kUnit.size()));
  const std::string_view end = header.substr(dash + 1);
  const auto last = ParseCount(end);
  if (!first || (!last && !end.empty())) return SliceRequest{};
  if (last && *last < *first)
    return Fail(Code::kInvalid, fmt::format("Range: {} ends before it begins", header));
  return SliceRequest{*first, last};
}

net::Response SliceResponse(ByteSlice slice, bool ranged) {
  net::Response response = Head(ranged, slice.offset, std::ssize(slice.bytes), slice.total);
  response.body = std::move(slice.bytes);
  return response;
}

net::Response SliceResponse(std::unique_ptr<SealedSlice> slice, bool ranged,
                            std::shared_ptr<RateLimit> limit) {
  net::Response response = Head(ranged, slice->first(), slice->bytes(), slice->total());
  response.source = std::make_shared<LimitedBody>(std::move(slice), std::move(limit));
  return response;
}

}  // namespace spillway::gateway
