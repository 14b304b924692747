#include "schema/manifest.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "schema/cursor.h"

namespace spillway::schema {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

// A training Job as people have them today.
constexpr std::string_view kJob = R"(apiVersion: batch/v1
kind: Job
metadata:
  generateName: sweep-
  labels: {team: vision}
spec:
  completions: 4
  parallelism: 4
  completionMode: Indexed
  backoffLimit: 2
  activeDeadlineSeconds: 3600
  ttlSecondsAfterFinished: 600
  template:
    metadata:
      labels: {app.kubernetes.io/name: sweep}
      annotations:
        spillway.dev/select: "digits=train/**,labels.csv;more=**"
        spillway.dev/shard: "digits=4;more=16"
        spillway.dev/expected-duration: 20m
    spec:
      restartPolicy: OnFailure
      priorityClassName: batch
      nodeSelector: {nvidia.com/gpu.product: NVIDIA-A100-SXM4-80GB}
      affinity:
        nodeAffinity:
          requiredDuringSchedulingIgnoredDuringExecution:
            nodeSelectorTerms:
              - matchExpressions:
                  - {key: nvidia.com/gpu.memory, operator: Gt, values: ["40000"]}
                  - {key: nvidia.com/cuda.driver.major, operator: In, values: ["12", "13"]}
                matchFields:
                  - {key: metadata.name, operator: NotIn, values: [old-node]}
          preferredDuringSchedulingIgnoredDuringExecution:
            - weight: 10
              preference: {matchExpressions: [{key: zone, operator: Exists}]}
      tolerations:
        - {key: nvidia.com/gpu, operator: Exists, effect: NoSchedule}
      schedulingGates: [{name: example.org/wait}]
      containers:
        - name: main
          image: pytorch/pytorch:2.4
          command: [python3, /data/train.py]
          args: ["--epochs", "3"]
          workingDir: /tmp
          env: [{name: EPOCHS, value: "3"}, {name: EMPTY}]
          resources:
            requests: {cpu: 0.5, memory: 8Gi, nvidia.com/gpu: 1}
            limits: {cpu: 2, memory: 16Gi, nvidia.com/gpu: 1}
          volumeMounts:
            - {name: data, mountPath: /data, readOnly: true}
            - {name: scratch, mountPath: /scratch}
          securityContext: {}
      volumes:
        - {name: data, persistentVolumeClaim: {claimName: digits}}
        - {name: more, persistentVolumeClaim: {claimName: more}}
        - {name: scratch, emptyDir: {medium: Memory}}
)";

std::string Lines(const Manifests& read) {
  return FormatProblems(read.problems);
}

TEST(Manifests, ATrainingJobIsReadAsItIs) {
  const Manifests read = ReadManifests("job.yaml", kJob, "vision");
  ASSERT_EQ(Lines(read), "");
  ASSERT_EQ(read.objects.size(), 1u);
  const Manifest& job = read.objects[0];
  EXPECT_EQ(job.ns, "vision");
  EXPECT_EQ(job.name, "");
  EXPECT_EQ(job.kind->plural, "jobs");
  const Cursor root(job.document);
  EXPECT_EQ(root["metadata"]["namespace"].Text(), "vision");
  EXPECT_FALSE(json::value_to<bool>(job.document.value.at("spec").at("suspend")));
  const Cursor container = root["spec"]["template"]["spec"]["containers"].Items().at(0);
  EXPECT_EQ(container["resources"]["requests"]["cpu"].Text(), "0.5");
  EXPECT_EQ(container["resources"]["limits"]["nvidia.com/gpu"].Text(), "1");
}

TEST(Manifests, WhatWasReadIsReadAgainUnchanged) {
  const Manifests first = ReadManifests("job.yaml", kJob, "vision");
  ASSERT_TRUE(first.ok());
  const std::string text = PrettyJson(first.objects[0].document.value);
  const Manifests second = ReadManifests("job.json", text, "other");
  ASSERT_EQ(Lines(second), "");
  EXPECT_EQ(CanonicalJson(second.objects[0].document.value),
            CanonicalJson(first.objects[0].document.value));
}

TEST(Manifests, OwnKindsAreReadWithTheirSpecs) {
  const Manifests read = ReadManifests("own.yaml", R"(
apiVersion: spillway.dev/v1alpha1
kind: CloudProvider
metadata: {name: scaleway}
spec: {type: simulated, catalog: scaleway, regions: [fr-par-2], credentials: {secretRef: {name: x}}, limits: {nodes: 4}}
---
apiVersion: spillway.dev/v1alpha1
kind: BurstPolicy
metadata: {name: research}
spec:
  namespaces: [vision, nlp]
  dataClasses: [public, internal]
  jurisdiction: {regions: [EU, EEA, CH], usNexus: none, certificates: [ISO27001]}
  price: {maxPerGpuHour: 3.50 EUR}
  wait: {atMost: 10m, hourIsWorth: 12 EUR}
  capacity: [on-demand]
  nodes: {max: 8, lifetime: 12h}
  wipe: {overwrite: used, verify: full}
---
apiVersion: spillway.dev/v1alpha1
kind: Dataset
metadata: {name: digits, namespace: vision}
spec: {source: {directory: digits}, class: internal, include: ["train/**"], exclude: ["**/*.tmp"]}
---
apiVersion: spillway.dev/v1alpha1
kind: Budget
metadata: {name: vision}
spec: {namespaces: [vision], amount: 500 EUR, period: month, warnAt: 80, onExhausted: wait}
)",
                                       "default");
  EXPECT_EQ(Lines(read), "");
  ASSERT_EQ(read.objects.size(), 4u);
  EXPECT_EQ(read.objects[0].ns, "");
  EXPECT_EQ(read.objects[2].ns, "vision");
}

TEST(Manifests, DefaultsOfAPolicyAreFilledIn) {
  const Manifests read = ReadManifests("p.yaml", R"(
apiVersion: spillway.dev/v1alpha1
kind: BurstPolicy
metadata: {name: p}
spec: {namespaces: [a], dataClasses: [public], jurisdiction: {}, price: {maxPerGpuHour: 3 EUR}}
)",
                                       "default");
  ASSERT_EQ(Lines(read), "");
  json::value spec = read.objects[0].document.value.at("spec");
  EXPECT_EQ(spec.at("jurisdiction"),
            json::value({{"regions", json::array{"EU"}}, {"usNexus", "none"}}));
  EXPECT_EQ(spec.at("wait"), json::value({{"atMost", "10m"}}));
  EXPECT_EQ(spec.at("nodes"), json::value({{"lifetime", "12h"}, {"max", 8}}));
  EXPECT_EQ(spec.at("wipe"),
            json::value({{"overwrite", "used"}, {"verify", "full"}, {"keyWithin", "30m"}}));
  EXPECT_EQ(spec.at("capacity"), json::value(json::array{"on-demand"}));
}

TEST(Manifests, AListIsUnfoldedWithItsPlaces) {
  const Manifests read = ReadManifests(
      "l.json",
      "{\"apiVersion\": \"v1\", \"kind\": \"List\", \"metadata\": {}, \"items\": [\n"
      "{\"apiVersion\": \"v1\", \"kind\": \"Namespace\", \"metadata\": {\"name\": \"a\"}},\n"
      "{\"apiVersion\": \"v1\", \"kind\": \"Namespace\", \"metadata\": {\"name\": \"b\"}}]}",
      "default");
  ASSERT_EQ(Lines(read), "");
  ASSERT_EQ(read.objects.size(), 2u);
  EXPECT_EQ(read.objects[1].document.place.at.line, 3);
}

TEST(Manifests, TheSameObjectInTwoFilesIsRefused) {
  const std::string ns = "apiVersion: v1\nkind: Namespace\nmetadata: {name: a}\n";
  const Source sources[] = {{"one.yaml", ns}, {"two.yaml", "# again\n" + ns}};
  const Manifests read = ReadManifests(Schemas::Embedded(), sources, "default");
  EXPECT_EQ(Lines(read),
            "two.yaml:2:1: metadata.name: Namespace \"a\" is there twice, first at one.yaml:1:1: "
            "one of the two, or another name\n");
}

TEST(Manifests, TheSameNameInTwoNamespacesIsFine) {
  const std::string head = "apiVersion: v1\nkind: ResourceQuota\nspec: {hard: {pods: 4}}\n";
  const Source sources[] = {{"one.yaml", head + "metadata: {name: q}\n"},
                            {"two.yaml", head + "metadata: {name: q, namespace: other}\n"}};
  EXPECT_EQ(Lines(ReadManifests(Schemas::Embedded(), sources, "default")), "");
}

TEST(Manifests, AllProblemsOfAllDocumentsAreTold) {
  const Manifests read = ReadManifests("many.yaml",
                                       "apiVersion: v1\nkind: Namespace\nmetadata: {nam: a}\n---\n"
                                       "apiVersion: v1\nkind: Nmaespace\n",
                                       "default");
  EXPECT_EQ(Lines(read),
            "many.yaml:3:12: metadata.nam: is not supported in the embedded mode: did you mean "
            "name?\nmany.yaml:6:7: kind: \"Nmaespace\" is not a known kind: did you mean "
            "Namespace?\n");
}

// What kubectl prints may be applied again.
TEST(Manifests, ServerFieldsAreAccepted) {
  const Manifests read = ReadManifests("n.yaml", R"(apiVersion: v1
kind: Namespace
metadata:
  name: a
  uid: 5f6c
  resourceVersion: "12"
  creationTimestamp: "2026-11-24T08:15:30Z"
  managedFields: [{manager: kubectl, fieldsV1: {f:metadata: {}}}]
spec: {finalizers: [kubernetes]}
status: {phase: Active}
)",
                                       "default");
  EXPECT_EQ(Lines(read), "");
}

// Every manifest of examples/ is right, once there are some; but examples/kubernetes has kinds that
// only a cluster knows, and examples/ceph what takes the place of others (the demonstration reads
// it).
TEST(Manifests, ExamplesAreRight) {
  const std::filesystem::path folder = std::filesystem::path(SPILLWAY_SOURCE_DIR) / "examples";
  if (!std::filesystem::is_directory(folder)) GTEST_SKIP() << "no examples/";
  std::vector<Source> sources;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder))
    if (const std::string within = entry.path().parent_path().filename();
        entry.path().extension() == ".yaml" && within != "kubernetes" && within != "ceph") {
      const auto text = ReadManifestFile(entry.path().string());
      ASSERT_TRUE(text.has_value());
      if (text->find("apiVersion:") != std::string::npos)
        sources.push_back({entry.path().string(), *text});
    }
  const Manifests read = ReadManifests(Schemas::Embedded(), sources, "default");
  EXPECT_EQ(Lines(read), "");
  std::vector<CatalogProvider> catalog;  // whether an id exists is for the catalogue's own tests
  for (const Manifest& manifest : read.objects)
    if (const Cursor id = Cursor(manifest.document)["spec"]["catalog"])
      catalog.push_back({std::string(id.Text()), {}});
  EXPECT_EQ(FormatProblems(CheckTogether(read.objects, {}, catalog)), "");
}

}  // namespace
}  // namespace spillway::schema
