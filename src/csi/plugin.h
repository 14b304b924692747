// A CSI node plug-in in plain words: what a handler must do, and the server around it.
#pragma once

#include <map>
#include <memory>
#include <string>

#include "base/result.h"

namespace spillway::csi {

inline constexpr const char* kDriverName = "data.spillway.dev";

// A checked request to show a volume to a pod. `context` holds the volume's attributes and, because
// the CSIDriver object says podInfoOnMount, csi.storage.k8s.io/pod.name, .pod.namespace, .pod.uid.
struct PublishRequest {
  std::string volume_id;
  std::string target_path;  // absolute and normal, inside the kubelet's directory of pods
  bool read_only = false;
  std::map<std::string, std::string> context;
};

// Called by several threads at once, never twice at the same time for one target. Both calls are
// repeated by the kubelet until they succeed, also after success, so they must be idempotent.
//
// What the kubelet is answered: kInvalid INVALID_ARGUMENT, kNotFound NOT_FOUND, kConflict
// ALREADY_EXISTS, kCapacity, kQuota and kThrottled RESOURCE_EXHAUSTED, kDenied PERMISSION_DENIED,
// kUnavailable UNAVAILABLE, kMaybeApplied UNKNOWN, kCorrupt DATA_LOSS, kInternal INTERNAL. It tries
// again after all of them, and shows the sentence as an event of the pod.
class VolumeHandler {
 public:
  virtual ~VolumeHandler() = default;
  // Ok: the volume is mounted at the target, which need not exist before. kConflict: another volume
  // is mounted there.
  virtual Status Publish(const PublishRequest& request) = 0;
  // Ok: nothing is mounted at the target any more, and it is removed; also if it never was there.
  virtual Status Unpublish(const std::string& volume_id, const std::string& target_path) = 0;
};

struct PluginOptions {
  std::string driver = kDriverName;
  std::string node_id;                                 // the Node's name
  std::string kubelet_directory = "/var/lib/kubelet";  // --root-dir of the kubelet
  int max_calls = 32;                                  // publish and unpublish at the same time
};

// Serves <kubelet directory>/plugins/<driver>/csi.sock and registers at
// <kubelet directory>/plugins_registry/<driver>-reg.sock; both sockets are root's alone. Volumes
// stay mounted when it stops.
class Plugin {
 public:
  // `handler` outlives the plug-in. kConflict: another process answers there; kInvalid: the
  // directory is too long for a socket; kInternal: a socket cannot be made.
  static Result<std::unique_ptr<Plugin>> Start(PluginOptions options, VolumeHandler& handler);
  // Stop()s.
  ~Plugin();
  Plugin(const Plugin&) = delete;
  Plugin& operator=(const Plugin&) = delete;

  // Takes no more calls, waits for those that run, which must end by themselves, and removes the
  // sockets; the kubelet then forgets the plug-in.
  void Stop();
  // The kubelet said that it accepted the plug-in. Thread-safe.
  bool registered() const;

  // Some process serves this plug-in now.
  static bool Answers(const PluginOptions& options);
  static std::string CsiSocket(const PluginOptions& options);
  static std::string RegistrationSocket(const PluginOptions& options);

 private:
  struct Impl;
  explicit Plugin(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace spillway::csi
