#include "csi/services.h"

#include <fmt/format.h>

#include <filesystem>

#include "base/log.h"

namespace spillway::csi {
namespace {

constexpr std::size_t kMaxSentenceBytes = 2048;  // it travels in a header
constexpr std::size_t kMaxIdBytes = 512;
constexpr std::size_t kMaxPathBytes = 4095;

grpc::StatusCode CodeFor(Code code) {
  switch (code) {
    case Code::kInvalid:
      return grpc::StatusCode::INVALID_ARGUMENT;
    case Code::kNotFound:
      return grpc::StatusCode::NOT_FOUND;
    case Code::kConflict:
      return grpc::StatusCode::ALREADY_EXISTS;
    case Code::kCapacity:
    case Code::kQuota:
    case Code::kThrottled:
      return grpc::StatusCode::RESOURCE_EXHAUSTED;
    case Code::kDenied:
      return grpc::StatusCode::PERMISSION_DENIED;
    case Code::kUnavailable:
      return grpc::StatusCode::UNAVAILABLE;
    case Code::kMaybeApplied:
      return grpc::StatusCode::UNKNOWN;
    case Code::kCorrupt:
      return grpc::StatusCode::DATA_LOSS;
    case Code::kInternal:
      break;
  }
  return grpc::StatusCode::INTERNAL;
}

// Runs a handler's call for one target, alone.
template <typename Call>
grpc::Status Alone(Busy& busy, const std::string& target, std::string_view what, Call call) {
  if (grpc::Status entered = busy.Enter(target); !entered.ok()) return entered;
  Status done;
  try {
    done = call();
  } catch (const std::exception& thrown) {
    done = Fail(Code::kInternal, thrown.what());
  }
  busy.Leave(target);
  if (!done) log::Info(what, {{"target", target}, {"why", done.error().message}});
  return ToGrpc(done);
}

}  // namespace

grpc::Status ToGrpc(const Status& status) {
  if (status) return grpc::Status::OK;
  return {CodeFor(status.error().code), status.error().message.substr(0, kMaxSentenceBytes)};
}

grpc::Status IdentityService::GetPluginInfo(grpc::ServerContext* /*context*/,
                                            const ::csi::v1::GetPluginInfoRequest* /*request*/,
                                            ::csi::v1::GetPluginInfoResponse* response) {
  response->set_name(driver_);
  response->set_vendor_version(SPILLWAY_VERSION);
  return grpc::Status::OK;
}

grpc::Status IdentityService::GetPluginCapabilities(
    grpc::ServerContext* /*context*/, const ::csi::v1::GetPluginCapabilitiesRequest* /*request*/,
    ::csi::v1::GetPluginCapabilitiesResponse* /*response*/) {
  return grpc::Status::OK;
}

grpc::Status IdentityService::Probe(grpc::ServerContext* /*context*/,
                                    const ::csi::v1::ProbeRequest* /*request*/,
                                    ::csi::v1::ProbeResponse* response) {
  response->mutable_ready()->set_value(true);
  return grpc::Status::OK;
}

grpc::Status Busy::Enter(const std::string& target) {
  const std::lock_guard lock(mutex_);
  if (targets_.contains(target))
    return {grpc::StatusCode::ABORTED, "another call for this target is running"};
  if (targets_.size() >= most_)
    return {grpc::StatusCode::RESOURCE_EXHAUSTED,
            fmt::format("{} calls are running, the most there may be", most_)};
  targets_.insert(target);
  return grpc::Status::OK;
}

void Busy::Leave(const std::string& target) {
  const std::lock_guard lock(mutex_);
  targets_.erase(target);
}

NodeService::NodeService(const PluginOptions& options, VolumeHandler& handler)
    : node_id_(options.node_id),
      pods_(options.kubelet_directory + "/pods/"),
      handler_(handler),
      busy_(options.max_calls) {}

// The socket is root's, but a wrong path would have us mount, or remove, anywhere.
Status NodeService::CheckPlace(const std::string& volume_id, const std::string& target) const {
  if (volume_id.empty() || volume_id.size() > kMaxIdBytes)
    return Fail(Code::kInvalid, fmt::format("volume_id must have 1 to {} bytes", kMaxIdBytes));
  const bool plain = target.size() <= kMaxPathBytes && target.find('\0') == std::string::npos &&
                     std::filesystem::path(target).lexically_normal() == target &&
                     !target.ends_with('/');
  if (!plain || !target.starts_with(pods_) || target.size() == pods_.size())
    return Fail(Code::kInvalid, fmt::format("target_path must be a normal path below {}", pods_));
  return Ok();
}

grpc::Status NodeService::NodePublishVolume(grpc::ServerContext* /*context*/,
                                            const ::csi::v1::NodePublishVolumeRequest* request,
                                            ::csi::v1::NodePublishVolumeResponse* /*response*/) {
  PublishRequest asked{request->volume_id(),
                       request->target_path(),
                       request->readonly(),
                       {request->volume_context().begin(), request->volume_context().end()}};
  if (Status fits = CheckPlace(asked.volume_id, asked.target_path); !fits) return ToGrpc(fits);
  if (!request->volume_capability().has_mount())
    return {grpc::StatusCode::INVALID_ARGUMENT,
            "volume_capability must be a mount: there are no block volumes"};
  return Alone(busy_, asked.target_path, "a volume is not published yet",
               [&] { return handler_.Publish(asked); });
}

grpc::Status NodeService::NodeUnpublishVolume(
    grpc::ServerContext* /*context*/, const ::csi::v1::NodeUnpublishVolumeRequest* request,
    ::csi::v1::NodeUnpublishVolumeResponse* /*response*/) {
  const std::string target = request->target_path();
  if (Status fits = CheckPlace(request->volume_id(), target); !fits) return ToGrpc(fits);
  return Alone(busy_, target, "a volume is not unpublished yet",
               [&] { return handler_.Unpublish(request->volume_id(), target); });
}

grpc::Status NodeService::NodeGetCapabilities(
    grpc::ServerContext* /*context*/, const ::csi::v1::NodeGetCapabilitiesRequest* /*request*/,
    ::csi::v1::NodeGetCapabilitiesResponse* /*response*/) {
  return grpc::Status::OK;
}

grpc::Status NodeService::NodeGetInfo(grpc::ServerContext* /*context*/,
                                      const ::csi::v1::NodeGetInfoRequest* /*request*/,
                                      ::csi::v1::NodeGetInfoResponse* response) {
  response->set_node_id(node_id_);
  return grpc::Status::OK;
}

grpc::Status RegistrationService::GetInfo(grpc::ServerContext* /*context*/,
                                          const ::pluginregistration::InfoRequest* /*request*/,
                                          ::pluginregistration::PluginInfo* response) {
  response->set_type("CSIPlugin");
  response->set_name(driver_);
  response->set_endpoint(endpoint_);
  response->add_supported_versions("1.0.0");
  return grpc::Status::OK;
}

grpc::Status RegistrationService::NotifyRegistrationStatus(
    grpc::ServerContext* /*context*/, const ::pluginregistration::RegistrationStatus* request,
    ::pluginregistration::RegistrationStatusResponse* /*response*/) {
  registered_ = request->plugin_registered();
  if (registered_) {
    log::Info("the kubelet knows the volume plug-in", {{"driver", driver_}});
  } else {
    log::Warn("the kubelet refuses the volume plug-in",
              {{"driver", driver_}, {"why", request->error()}});
  }
  return grpc::Status::OK;
}

}  // namespace spillway::csi
