#include "gateway/slices.h"

#include <fmt/format.h>

#include <charconv>

namespace spillway::gateway {
namespace {

std::optional<std::int64_t> Number(std::string_view text) {
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || error != std::errc() || end != text.data() + text.size() || value < 0)
    return std::nullopt;
  return value;
}

}  // namespace

Result<SliceRequest> ParseRange(std::string_view header) {
  constexpr std::string_view kUnit = "bytes=";
  const std::size_t dash = header.find('-');
  if (!header.starts_with(kUnit) || dash == std::string_view::npos) return SliceRequest{};
  const auto first = Number(header.substr(kUnit.size(), dash - kUnit.size()));
  const std::string_view end = header.substr(dash + 1);
  const auto last = Number(end);
  if (!first || (!last && !end.empty())) return SliceRequest{};
  if (last && *last < *first)
    return Fail(Code::kInvalid, fmt::format("Range: {} ends before it begins", header));
  return SliceRequest{*first, last};
}

net::Response SliceResponse(ByteSlice slice, bool ranged) {
  net::Response response;
  response.content_type = "application/octet-stream";
  if (ranged) {
    response.status = 206;
    response.headers.Add(
        "Content-Range",
        fmt::format("bytes {}-{}/{}", slice.offset,
                    slice.offset + static_cast<std::int64_t>(slice.bytes.size()) - 1, slice.total));
  }
  response.headers.Add("Accept-Ranges", "bytes");
  response.body = std::move(slice.bytes);
  return response;
}

}  // namespace spillway::gateway
