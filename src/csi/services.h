// The gRPC services of a node plug-in. Only plugin.cc includes this.
#pragma once

#include <grpcpp/grpcpp.h>

#include <atomic>
#include <mutex>
#include <set>
#include <string>

#include "csi.grpc.pb.h"
#include "csi/plugin.h"
#include "pluginregistration.grpc.pb.h"

namespace spillway::csi {

// OK, or the code and the sentence as VolumeHandler says; long sentences are cut.
grpc::Status ToGrpc(const Status& status);

class IdentityService final : public ::csi::v1::Identity::Service {
 public:
  explicit IdentityService(std::string driver) : driver_(std::move(driver)) {}

  grpc::Status GetPluginInfo(grpc::ServerContext* context,
                             const ::csi::v1::GetPluginInfoRequest* request,
                             ::csi::v1::GetPluginInfoResponse* response) override;
  grpc::Status GetPluginCapabilities(grpc::ServerContext* context,
                                     const ::csi::v1::GetPluginCapabilitiesRequest* request,
                                     ::csi::v1::GetPluginCapabilitiesResponse* response) override;
  grpc::Status Probe(grpc::ServerContext* context, const ::csi::v1::ProbeRequest* request,
                     ::csi::v1::ProbeResponse* response) override;

 private:
  const std::string driver_;
};

// The targets that calls are busy with. Thread-safe.
class Busy {
 public:
  explicit Busy(int most) : most_(static_cast<std::size_t>(most)) {}
  // Not OK: ABORTED, the target has a call already (CSI's code for it); RESOURCE_EXHAUSTED, too
  // many calls run.
  grpc::Status Enter(const std::string& target);
  void Leave(const std::string& target);

 private:
  const std::size_t most_;
  std::mutex mutex_;  // guards targets_
  std::set<std::string> targets_;
};

class NodeService final : public ::csi::v1::Node::Service {
 public:
  NodeService(const PluginOptions& options, VolumeHandler& handler);

  grpc::Status NodePublishVolume(grpc::ServerContext* context,
                                 const ::csi::v1::NodePublishVolumeRequest* request,
                                 ::csi::v1::NodePublishVolumeResponse* response) override;
  grpc::Status NodeUnpublishVolume(grpc::ServerContext* context,
                                   const ::csi::v1::NodeUnpublishVolumeRequest* request,
                                   ::csi::v1::NodeUnpublishVolumeResponse* response) override;
  grpc::Status NodeGetCapabilities(grpc::ServerContext* context,
                                   const ::csi::v1::NodeGetCapabilitiesRequest* request,
                                   ::csi::v1::NodeGetCapabilitiesResponse* response) override;
  grpc::Status NodeGetInfo(grpc::ServerContext* context,
                           const ::csi::v1::NodeGetInfoRequest* request,
                           ::csi::v1::NodeGetInfoResponse* response) override;

 private:
  Status CheckPlace(const std::string& volume_id, const std::string& target) const;

  const std::string node_id_;
  const std::string pods_;  // "<kubelet directory>/pods/"
  VolumeHandler& handler_;
  Busy busy_;
};

class RegistrationService final : public ::pluginregistration::Registration::Service {
 public:
  RegistrationService(std::string driver, std::string endpoint)
      : driver_(std::move(driver)), endpoint_(std::move(endpoint)) {}

  grpc::Status GetInfo(grpc::ServerContext* context,
                       const ::pluginregistration::InfoRequest* request,
                       ::pluginregistration::PluginInfo* response) override;
  grpc::Status NotifyRegistrationStatus(
      grpc::ServerContext* context, const ::pluginregistration::RegistrationStatus* request,
      ::pluginregistration::RegistrationStatusResponse* response) override;
  bool registered() const { return registered_; }

 private:
  const std::string driver_, endpoint_;
  std::atomic<bool> registered_ = false;
};

}  // namespace spillway::csi
