// A small site, one lawful provider, and a Job that needs a rented GPU to hash its pictures.
#pragma once

#include <fmt/format.h>

#include <string>
#include <string_view>

#include "base/encoding.h"
#include "tests/integration/daemon_process.h"

namespace spillway::integration {

// Filled in by BurstManifests.
inline constexpr std::string_view kBurstManifests = R"yaml(
apiVersion: v1
kind: Namespace
metadata: {name: vision}
---
apiVersion: v1
kind: Node
metadata: {name: small}
status: {allocatable: {cpu: "4", memory: 8Gi}, capacity: {cpu: "4", memory: 8Gi}}
---
apiVersion: spillway.dev/v1alpha1
kind: CloudProvider
metadata: {name: scaleway}
spec: {type: simulated, catalog: scaleway, regions: [fr-par-2], simulated: {seed: 7}}
---
apiVersion: spillway.dev/v1alpha1
kind: BurstPolicy
metadata: {name: vision}
spec:
  namespaces: [vision]
  dataClasses: [public, internal]
  jurisdiction: {regions: [EU], usNexus: none}
  price: {maxPerGpuHour: 4 EUR}
  wait: {atMost: 0s}
---
apiVersion: spillway.dev/v1alpha1
kind: Dataset
metadata: {name: pictures, namespace: vision}
spec: {source: {directory: pictures}, class: internal, include: ["train/**"]}
---
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: in, namespace: vision, annotations: {spillway.dev/dataset: pictures}}
spec: {accessModes: [ReadOnlyMany], resources: {requests: {storage: 1Gi}}}
---
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: out, namespace: vision, annotations: {spillway.dev/results: vision}}
spec: {accessModes: [ReadWriteMany], resources: {requests: {storage: 1Gi}}}
---
apiVersion: batch/v1
kind: Job
metadata: {name: hash, namespace: vision, annotations: {GANG}}
spec:
  backoffLimit: 0
  completionMode: Indexed
  completions: PODS
  parallelism: PODS
  template:
    metadata: {annotations: {spillway.dev/expected-duration: 1m}}
    spec:
      restartPolicy: Never
      containers:
        - name: main
          image: none
          command: [/bin/sh, -c, "cat /data/train/* | sha256sum > /results/hash-$(JOB_COMPLETION_INDEX) && echo hashed"]
          resources: {limits: {nvidia.com/gpu: "GPUS"}, requests: {cpu: "1", memory: 64Mi}}
          volumeMounts:
            - {name: data, mountPath: /data, readOnly: true}
            - {name: results, mountPath: /results}
      volumes:
        - {name: data, persistentVolumeClaim: {claimName: in}}
        - {name: results, persistentVolumeClaim: {claimName: out}}
)yaml";

// Job vision/hash. A gang: two pods with all GPUs of a machine each, so two machines.
inline std::string BurstManifests(bool gang, int gpus) {
  std::string text(kBurstManifests);
  auto put = [&](std::string_view name, std::string_view value) {
    for (std::size_t at = text.find(name); at != std::string::npos; at = text.find(name))
      text.replace(at, name.size(), value);
  };
  put("GANG", gang ? "spillway.dev/gang: all-or-nothing" : "");
  put("PODS", gang ? "2" : "1");
  put("GPUS", std::to_string(gpus));
  return text;
}
inline std::string BurstManifests(bool gang) {
  return BurstManifests(gang, gang ? 8 : 1);
}

// Writes the Dataset's files, and one that its selection leaves out. Returns what the Job hashes.
inline std::string WritePictures(Daemon& daemon) {
  std::string all;
  for (int i = 0; i < 5; ++i) {
    const std::string text = fmt::format("picture {} {}\n", i, Sha256Hex(std::to_string(i)));
    daemon.WriteFile(fmt::format("{}/pictures/train/{}.txt", daemon.data(), i), text);
    all += text;
  }
  daemon.WriteFile(daemon.data() + "/pictures/private/names.txt",
                   "Ada Lovelace, Emmy Noether, Grace Hopper\n");
  return all;
}

// status.conditions of Job vision/hash say Complete.
inline bool BurstComplete(Daemon& daemon) {
  const auto job = daemon.Get("/api/v1/objects/jobs/hash?namespace=vision");
  if (!job) return false;
  const json::value* status = Find(*job, "status");
  const json::array* conditions = status == nullptr ? nullptr : FindArray(*status, "conditions");
  if (conditions == nullptr) return false;
  for (const json::value& c : *conditions)
    if (StringOr(c, "type", "") == "Complete" && StringOr(c, "status", "") == "True") return true;
  return false;
}

// There are BurstNodes, and all of them are Gone.
inline bool AllNodesGone(Daemon& daemon) {
  const auto nodes = daemon.Items("burstnodes");
  for (const json::value& node : nodes) {
    const json::value* status = Find(node, "status");
    if (status == nullptr || StringOr(*status, "phase", "") != "Gone") return false;
  }
  return !nodes.empty();
}

}  // namespace spillway::integration
