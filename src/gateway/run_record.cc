#include "gateway/run_record.h"

#include "base/json.h"
#include "data/pack.h"
#include "data/record.h"

namespace spillway::gateway {
namespace {

constexpr std::size_t kMaxClaims = 1000;

}  // namespace

json::object EncodeS3Place(const S3Place& place) {
  return {{"endpoint", place.endpoint},    {"bucket", place.bucket},
          {"prefix", place.prefix},        {"region", place.region},
          {"pathStyle", place.path_style}, {"profile", place.profile}};
}

S3Place DecodeS3Place(const json::value& object, std::optional<Error>& error) {
  data::FieldReader reader(object, "s3", error);
  S3Place place;
  place.endpoint = reader.Text("endpoint");
  place.bucket = reader.Text("bucket");
  place.prefix = reader.TextOrEmpty("prefix", 2048);
  place.region = reader.Text("region");
  place.path_style = reader.Bool("pathStyle");
  place.profile = reader.Text("profile");
  reader.Done();
  return place;
}

std::string EncodeRunRecord(const RunRecord& record) {
  json::array datasets, chunks, outputs;
  for (const std::string& dataset : record.datasets) datasets.emplace_back(json::string(dataset));
  for (const std::int64_t end : record.chunk_ends) chunks.emplace_back(end);
  for (const RunOutput& output : record.outputs) {
    json::object encoded{{"claim", output.claim}, {"directory", output.directory}};
    if (output.s3) encoded["s3"] = EncodeS3Place(*output.s3);
    outputs.push_back(std::move(encoded));
  }
  return CanonicalJson(json::object{{"run", record.run},
                                    {"preparedMs", record.prepared_at.time_since_epoch().count()},
                                    {"datasetVersion", record.dataset_version},
                                    {"class", Name(record.data_class)},
                                    {"datasets", std::move(datasets)},
                                    {"startWhenReadable", record.start_when_readable},
                                    {"manifestRoot", Hex(record.manifest_root)},
                                    {"files", record.files},
                                    {"plainBytes", record.plain_bytes},
                                    {"chunkEnds", std::move(chunks)},
                                    {"manifestBytes", record.manifest_bytes},
                                    {"outputs", std::move(outputs)},
                                    {"neverLeftObjects", record.never_left_objects},
                                    {"neverLeftBytes", record.never_left_bytes}});
}

Result<RunRecord> DecodeRunRecord(std::string_view text) {
  SPW_ASSIGN(const json::value parsed, ParseJson(text));
  std::optional<Error> error;
  data::FieldReader reader(parsed, "", error);
  RunRecord record;
  record.run = reader.Text("run");
  record.prepared_at = Time{Duration(reader.Int("preparedMs", INT64_MIN, INT64_MAX))};
  record.dataset_version = reader.Text("datasetVersion");
  const auto data_class = DataClassFrom(reader.Text("class"));
  if (data_class)
    record.data_class = *data_class;
  else
    reader.Complain("class", "is not a data class");
  record.datasets = reader.Texts("datasets", kMaxClaims);
  record.start_when_readable = reader.Bool("startWhenReadable");
  record.manifest_root = reader.Hash("manifestRoot");
  record.files = reader.Int("files", 0, INT64_MAX);
  record.plain_bytes = reader.Int("plainBytes", 0, INT64_MAX);
  for (const json::value& item : reader.Array("chunkEnds", data::kMaxChunks)) {
    const std::int64_t end = item.is_int64() ? item.get_int64() : 0;
    if (end <= record.SealedBytes()) reader.Complain("chunkEnds", "must be ascending offsets");
    record.chunk_ends.push_back(end);
  }
  record.manifest_bytes = reader.Int("manifestBytes", 1, INT64_MAX);
  for (const json::value& item : reader.Array("outputs", kMaxClaims)) {
    data::FieldReader output(item, "outputs", error);
    std::string claim = output.Text("claim");
    record.outputs.push_back({std::move(claim), output.Text("directory", 1024), std::nullopt});
    if (Find(item, "s3") != nullptr)
      record.outputs.back().s3 = DecodeS3Place(output.Object("s3"), error);
    output.Done();
  }
  record.never_left_objects = reader.Int("neverLeftObjects", 0, INT64_MAX);
  record.never_left_bytes = reader.Int("neverLeftBytes", 0, INT64_MAX);
  reader.Done();
  if (error) return Fail(*error);
  return record;
}

}  // namespace spillway::gateway
