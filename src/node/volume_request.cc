#include "node/volume_request.h"

#include <fmt/format.h>

namespace spillway::node {
namespace {

constexpr std::size_t kMaxAttributeBytes = 4096;

Result<std::string> Attribute(const csi::PublishRequest& request, const std::string& name) {
  const auto it = request.context.find(name);
  if (it == request.context.end() || it->second.empty())
    return Fail(Code::kInvalid,
                fmt::format("volume {}: attribute \"{}\" is missing", request.volume_id, name));
  if (it->second.size() > kMaxAttributeBytes || it->second.find('\0') != std::string::npos)
    return Fail(Code::kInvalid,
                fmt::format("volume {}: attribute \"{}\" is too long", request.volume_id, name));
  return it->second;
}

}  // namespace

Result<VolumeRequest> ReadVolumeRequest(const csi::PublishRequest& request) {
  VolumeRequest asked;
  SPW_ASSIGN(const std::string kind, Attribute(request, "kind"));
  if (kind != "dataset" && kind != "results")
    return Fail(Code::kInvalid, fmt::format("volume {}: kind \"{}\" must be dataset or results",
                                            request.volume_id, kind));
  if (kind == "results") asked.kind = VolumeRequest::Kind::kResults;
  SPW_ASSIGN(asked.claim, Attribute(request, "claim"));
  SPW_ASSIGN(asked.name_space, Attribute(request, "namespace"));
  SPW_ASSIGN(asked.directory, Attribute(request, "directory"));
  if (request.context.contains("bucket")) {
    SPW_ASSIGN(asked.bucket, Attribute(request, "bucket"));
  }
  if (request.context.contains("dataset")) {
    SPW_ASSIGN(asked.dataset, Attribute(request, "dataset"));
  }
  SPW_ASSIGN(const std::string pod_space, Attribute(request, "csi.storage.k8s.io/pod.namespace"));
  SPW_ASSIGN(const std::string pod_name, Attribute(request, "csi.storage.k8s.io/pod.name"));
  SPW_ASSIGN(asked.uid, Attribute(request, "csi.storage.k8s.io/pod.uid"));
  asked.pod = fmt::format("{}/{}", pod_space, pod_name);
  if (request.volume_id != fmt::format("{}/{}", asked.name_space, asked.claim))
    return Fail(Code::kInvalid, fmt::format("volume {}: is not claim \"{}\" of namespace \"{}\"",
                                            request.volume_id, asked.claim, asked.name_space));
  if (pod_space != asked.name_space)
    return Fail(Code::kInvalid, fmt::format("volume {}: pod {} is of another namespace",
                                            request.volume_id, asked.pod));
  return asked;
}

}  // namespace spillway::node
