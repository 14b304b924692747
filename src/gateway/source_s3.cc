#include "gateway/source_s3.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <limits>

#include "data/path.h"
#include "schema/problem.h"

namespace spillway::gateway {
namespace {

constexpr std::uint32_t kMode = 0644;

// By its patterns alone, whatever kind of path it is.
bool IsNamed(const data::Selection& selection, std::string_view path) {
  const auto any = [&](const std::vector<data::Glob>& globs) {
    return std::any_of(globs.begin(), globs.end(),
                       [&](const data::Glob& glob) { return glob.Matches(path); });
  };
  return !any(selection.exclude) && (selection.include.empty() || any(selection.include)) &&
         (selection.needs.empty() || std::ranges::any_of(selection.needs, [&](const auto& need) {
            return need.narrow.empty() || any(need.narrow);
          }));
}

class S3Reader final : public SourceReader {
 public:
  S3Reader(s3::Client client, std::string prefix)
      : client_(std::move(client)), prefix_(std::move(prefix)) {
    client_.GiveUpWith(&cancelled_);
  }

  Status Read(const SourceFile& file, std::int64_t offset, std::span<std::uint8_t> out) override {
    while (!out.empty()) {
      const auto part = out.first(std::min<std::size_t>(out.size(), s3::Client::kMaxBytes));
      const std::string key = prefix_ + file.path;
      auto bytes =
          client_.Get(key, {offset, static_cast<std::int64_t>(part.size())}, file.state.etag);
      if (!bytes && bytes.error().code == Code::kConflict)
        return Fail(SourceChanged(client_.NameOf(key)));
      if (!bytes && bytes.error().code == Code::kNotFound)
        return Fail(SourceChanged(client_.NameOf(key), "was deleted"));
      if (!bytes) return Fail(bytes.error());
      std::copy(bytes->begin(), bytes->end(), part.begin());
      out = out.subspan(part.size());
      offset += static_cast<std::int64_t>(part.size());
    }
    return Ok();
  }

  int Parallel() const override { return s3::Access::kConnections; }
  void Cancel() override { cancelled_ = true; }

 private:
  s3::Client client_;
  const std::string prefix_;
  std::atomic<bool> cancelled_{false};
};

class S3Source final : public Source {
 public:
  S3Source(S3Place place, s3::Client client)
      : place_(std::move(place)), client_(std::move(client)) {}

  std::string Name() const override {
    return fmt::format("s3://{}/{} at {}", place_.bucket, schema::Printable(place_.prefix, 256),
                       place_.endpoint);
  }
  std::string Identity() const override { return fmt::format("{} as {}", Name(), place_.profile); }
  bool IsFar() const override { return true; }

  using Source::List;
  Result<SourceListing> List(const data::Selection& selection, const Room& room) override {
    return Look(selection, true, room);
  }
  Result<SourceListing> Count(const data::Selection& selection) override {
    return Look(selection, false, {});
  }

  Result<std::unique_ptr<SourceReader>> Open() override {
    return std::make_unique<S3Reader>(client_, place_.prefix);
  }

  // Compares while it lists: a second list of a million objects would take as much memory as the
  // first. What is in no shard of the listing counts as added.
  Status CheckUnchanged(const data::Selection& selection, const SourceListing& listed) override {
    Comparison comparison(listed, true, [this](const std::string& path) {
      return client_.NameOf(place_.prefix + path);
    });
    SPW_TRY(
        client_.ListAll(place_.prefix, kMaxSourceObjects, [&](s3::ObjectInfo&& object) -> Status {
          const SourceFile file = FileOf(std::move(object));
          const bool leaves = selection.Judge(file.path) == data::Verdict::kLeaves;
          return leaves ? comparison.Next(file) : Ok();
        }));
    return comparison.End();
  }

 private:
  Result<SourceListing> Look(const data::Selection& selection, bool keep, const Room& room) {
    SourceListing listing;
    data::Cut cut(selection);
    SPW_TRY(client_.ListAll(place_.prefix, kMaxSourceObjects, [&](s3::ObjectInfo&& object) {
      return Take(std::move(object), selection, cut, keep ? &room : nullptr, listing);
    }));
    return listing;
  }

  SourceFile FileOf(s3::ObjectInfo&& object) const {
    SourceFile file{object.key.substr(place_.prefix.size()), kMode, {}};
    file.state.size_bytes = object.size_bytes;
    file.state.mtime_ns = object.modified.time_since_epoch().count() * 1'000'000;
    file.state.etag = std::move(object.etag);
    return file;
  }

  // Without `room` files are counted only.
  Status Take(s3::ObjectInfo&& object, const data::Selection& selection, data::Cut& cut,
              const Room* room, SourceListing& listing) const {
    const std::string_view path = std::string_view(object.key).substr(place_.prefix.size());
    if (path.empty() || (path.ends_with('/') && object.size_bytes == 0)) return Ok();
    ++listing.objects;
    listing.bytes += object.size_bytes;
    const data::Verdict verdict = selection.Judge(path);
    const bool deep = std::count(path.begin(), path.end(), '/') > kMaxSourceDepth;
    if (verdict == data::Verdict::kUnsafePath || (deep && verdict == data::Verdict::kLeaves)) {
      if (!IsNamed(selection, path)) return Ok();
      const Status why = data::CheckRelativePath(path);
      return Fail(
          Code::kInvalid,
          fmt::format("{}: cannot be a file of a run: {}; copy it to another key, or exclude "
                      "it",
                      client_.NameOf(object.key),
                      why ? fmt::format("is more than {} directories deep", kMaxSourceDepth)
                          : schema::Printable(why.error().message, 256)));
    }
    if (verdict != data::Verdict::kLeaves) return Ok();
    ++listing.uncut_objects;
    listing.uncut_bytes += object.size_bytes;
    if (!cut.Takes(path)) return Ok();
    ++listing.selected_objects;
    listing.selected_bytes += object.size_bytes;
    if (room == nullptr) return Ok();
    listing.selected.push_back(FileOf(std::move(object)));
    return AskRoom(*room, listing);
  }

  const S3Place place_;
  const s3::Client client_;
};

}  // namespace

std::unique_ptr<Source> MakeS3Source(const S3Place& place, s3::Client client) {
  return std::make_unique<S3Source>(place, std::move(client));
}

Result<s3::Client> OpenBucket(const S3Place& place, s3::Access& access, s3::Patience patience) {
  return access.Open({.endpoint = place.endpoint,
                      .name = place.bucket,
                      .region = place.region,
                      .path_style = place.path_style,
                      .profile = place.profile},
                     patience);
}

Result<std::unique_ptr<Source>> OpenS3Source(const S3Place& place, s3::Access& access) {
  SPW_ASSIGN(s3::Client client, OpenBucket(place, access));
  return MakeS3Source(place, std::move(client));
}

}  // namespace spillway::gateway
