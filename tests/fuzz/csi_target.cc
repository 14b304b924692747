// What a kubelet sends to the volume plug-in: nothing is mounted or removed outside the pods'
// directory, and a pod gets volumes of its own namespace only.
#include <google/protobuf/stubs/logging.h>

#include "csi/services.h"
#include "node/volume_request.h"
#include "tests/fuzz/fuzz.h"

namespace spillway::fuzz {
namespace {

constexpr std::string_view kPods = "/var/lib/kubelet/pods/";

class Handler final : public csi::VolumeHandler {
 public:
  Status Publish(const csi::PublishRequest& request) override {
    CheckPlace(request.target_path);
    if (const auto read = node::ReadVolumeRequest(request))
      SPW_CHECK(read->pod.starts_with(read->name_space + "/") && !read->directory.empty() &&
                request.volume_id == read->name_space + "/" + read->claim);
    return Ok();
  }
  Status Unpublish(const std::string& volume_id, const std::string& target_path) override {
    SPW_CHECK(!volume_id.empty());
    CheckPlace(target_path);
    return Ok();
  }

 private:
  static void CheckPlace(const std::string& path) {
    SPW_CHECK(path.starts_with(kPods) && path.size() > kPods.size() &&
                  (path + "/").find("/../") == std::string::npos &&
                  path.find('\0') == std::string::npos,
              "it leads out of the pods' directory");
  }
};

template <typename Message>
bool Parse(std::string_view input, Message& message) {
  return message.ParseFromArray(input.data(), static_cast<int>(input.size()));
}

}  // namespace

std::vector<std::string> Seeds() {
  ::csi::v1::NodePublishVolumeRequest publish;
  publish.set_volume_id("vision/digits");
  publish.set_target_path("/var/lib/kubelet/pods/4ba2/volumes/kubernetes.io~csi/digits/mount");
  publish.set_readonly(true);
  publish.mutable_volume_capability()->mutable_mount();
  auto& context = *publish.mutable_volume_context();
  context["claim"] = "digits";
  context["namespace"] = "vision";
  context["directory"] = "sets/digits";
  context["kind"] = "dataset";
  context["csi.storage.k8s.io/pod.name"] = "train-0";
  context["csi.storage.k8s.io/pod.namespace"] = "vision";
  context["csi.storage.k8s.io/pod.uid"] = "4ba2";
  ::csi::v1::NodeUnpublishVolumeRequest unpublish;
  unpublish.set_volume_id("vision/digits");
  unpublish.set_target_path(publish.target_path());
  return {publish.SerializeAsString(), unpublish.SerializeAsString()};
}

void Try(std::string_view input) {
  const google::protobuf::LogSilencer quiet;  // it complains about each text that is no UTF-8
  Handler handler;
  csi::NodeService service({.node_id = "node"}, handler);
  ::csi::v1::NodePublishVolumeRequest publish;
  ::csi::v1::NodePublishVolumeResponse published;
  if (Parse(input, publish)) (void)service.NodePublishVolume(nullptr, &publish, &published);
  ::csi::v1::NodeUnpublishVolumeRequest unpublish;
  ::csi::v1::NodeUnpublishVolumeResponse unpublished;
  if (Parse(input, unpublish)) (void)service.NodeUnpublishVolume(nullptr, &unpublish, &unpublished);
}

}  // namespace spillway::fuzz
