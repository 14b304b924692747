#include "demo/reference.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>

namespace spillway::demo {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Pair;

namespace fs = std::filesystem;

class Reference : public ::testing::Test {
 protected:
  Reference() {
    std::string name = "/tmp/spw-ref-XXXXXX";
    dir_ = mkdtemp(name.data());
    fs::create_directories(dir_ + "/data/digits");
    std::ofstream(dir_ + "/data/digits/rows.csv") << "1,2,3\n";
  }
  ~Reference() override { fs::remove_all(dir_); }

  // A Job of `completions`, whose container runs /bin/sh with these arguments.
  static schema::Manifests Manifests(const std::string& args, const std::string& extra = "") {
    return Read(Text(args, extra));
  }
  static std::string Text(const std::string& args, const std::string& extra) {
    return R"(
apiVersion: spillway.dev/v1alpha1
kind: Dataset
metadata: {name: digits, namespace: vision}
spec: {source: {directory: digits}, class: internal}
---
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: input, namespace: vision, annotations: {spillway.dev/dataset: digits}}
spec: {accessModes: [ReadOnlyMany], resources: {requests: {storage: 1Gi}}}
---
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: out, namespace: vision, annotations: {spillway.dev/results: vision/sweep}}
spec: {accessModes: [ReadWriteMany], resources: {requests: {storage: 1Gi}}}
---
apiVersion: batch/v1
kind: Job
metadata: {name: sweep, namespace: vision}
spec:
  )" + extra +
           R"(
  template:
    spec:
      restartPolicy: Never
      containers:
        - name: train
          image: x
          command: [/bin/sh, -c]
          args: )" +
           args + R"(
          volumeMounts: [{name: d, mountPath: /data, readOnly: true}, {name: r, mountPath: /results}]
      volumes:
        - {name: d, persistentVolumeClaim: {claimName: input, readOnly: true}}
        - {name: r, persistentVolumeClaim: {claimName: out}}
)";
  }
  static schema::Manifests Read(const std::string& text) {
    schema::Manifests manifests = schema::ReadManifests("test", text, "default");
    EXPECT_TRUE(manifests.ok()) << schema::FormatProblems(manifests.problems);
    return manifests;
  }

  std::vector<Training> Trainings(const schema::Manifests& manifests) const {
    auto trainings = TrainingsOf(manifests.objects, {dir_ + "/data", dir_ + "/ref"});
    EXPECT_TRUE(trainings) << trainings.error().message;
    return trainings ? *trainings : std::vector<Training>{};
  }

  std::string dir_;
};

TEST_F(Reference, OneTrainingPerCompletionWithThePathsOfThisMachine) {
  const auto manifests =
      Manifests("[--data=/data, --out=/results, /data/x, /dataset, --hold-seconds=70, --duty=0.1]",
                "completionMode: Indexed\n  completions: 2\n  parallelism: 2");
  const auto trainings = Trainings(manifests);
  ASSERT_EQ(trainings.size(), 2u);
  const std::string data = dir_ + "/data/digits", out = dir_ + "/ref/vision/sweep";
  EXPECT_THAT(trainings[0].argv, ElementsAre("/bin/sh", "-c", "--data=" + data, "--out=" + out,
                                             data + "/x", "/dataset"));
  EXPECT_THAT(trainings[1].environment, ElementsAre(Pair("JOB_COMPLETION_INDEX", "1")));
  const auto places = ResultsPlaces(manifests.objects);
  ASSERT_EQ(places.size(), 1u);
  EXPECT_EQ(places.at("vision/sweep").path, "vision/sweep");
  EXPECT_FALSE(places.at("vision/sweep").bucket);
}

TEST_F(Reference, WhatIsInABucketIsBelowItsPrefixHere) {
  std::string text = Text("[--data=/data, --out=/results]", "completions: 1");
  const auto replace = [&](const std::string& from, const std::string& to) {
    const std::size_t at = text.find(from);
    ASSERT_NE(at, std::string::npos);
    text.replace(at, from.size(), to);
  };
  const std::string store = "source: {s3: {endpoint: \"http://ceph:1\", bucket: ";
  replace("source: {directory: digits}", store + "data, prefix: digits}}");
  replace("spillway.dev/results: vision/sweep",
          "spillway.dev/results: vision/sweep, spillway.dev/results-dataset: models");
  const auto manifests = Read(text +
                              "---\napiVersion: spillway.dev/v1alpha1\nkind: Dataset\n"
                              "metadata: {name: models, namespace: vision}\nspec: {" +
                              store + "models}}, class: internal}\n");
  const auto trainings = Trainings(manifests);
  ASSERT_EQ(trainings.size(), 1u);
  EXPECT_EQ(trainings[0].data_directory, dir_ + "/data/digits");
  const auto places = ResultsPlaces(manifests.objects);
  EXPECT_EQ(places.at("vision/sweep").path, "vision/sweep");
  ASSERT_TRUE(places.at("vision/sweep").bucket);
  EXPECT_EQ(places.at("vision/sweep").bucket->bucket, "models");
}

TEST_F(Reference, JobsThatAreMeantToFailAreNotRun) {
  EXPECT_TRUE(Trainings(Manifests("[--fail-with-code=3]")).empty());
}

TEST_F(Reference, KeyFollowsArgumentsAndData) {
  const auto key = [&](const std::string& args) {
    return *ReferenceKey(Trainings(Manifests(args)));
  };
  const std::string first = key("[a]");
  EXPECT_EQ(first, key("[a]"));
  EXPECT_NE(first, key("[b]"));
  std::ofstream(dir_ + "/data/digits/rows.csv") << "1,2,4\n";
  EXPECT_NE(first, key("[a]"));
}

TEST_F(Reference, RunsThemAndSaysWhichFailed) {
  const auto manifests = Manifests(
      R"(["cat /data/rows.csv $0/rows.csv > $1/copy; mkdir /results; :", /data, /results])");
  std::vector<std::string> lines;
  const auto trainings = Trainings(manifests);
  ASSERT_TRUE(RunTrainings(trainings, [&](const std::string& line) { lines.push_back(line); }));
  EXPECT_THAT(lines, ElementsAre("reference run 1 of 1: vision/sweep"));
  std::ifstream copy(dir_ + "/ref/vision/sweep/copy");
  EXPECT_EQ(std::string(std::istreambuf_iterator<char>(copy), {}), "1,2,3\n");

  const auto failed = RunTrainings(Trainings(Manifests("[exit 7]")), [](const std::string&) {});
  ASSERT_FALSE(failed);
  EXPECT_THAT(failed.error().message, HasSubstr("the reference run of vision/sweep failed"));
}

TEST(Examples, EveryExampleCanBeRunAsAReference) {
  std::vector<schema::Source> sources;
  const fs::path examples = SPILLWAY_SOURCE_DIR "/examples";
  for (const fs::path& directory : {examples, examples / "jobs"})
    for (const auto& entry : fs::directory_iterator(directory))
      if (entry.path().extension() == ".yaml") {
        auto text = schema::ReadManifestFile(entry.path().string());
        ASSERT_TRUE(text);
        sources.push_back({entry.path().string(), std::move(*text)});
      }
  const auto manifests = schema::ReadManifests(schema::Schemas::Embedded(), sources, "default");
  ASSERT_TRUE(manifests.ok()) << schema::FormatProblems(manifests.problems);
  const auto trainings = TrainingsOf(manifests.objects, {"/d", "/r"});
  ASSERT_TRUE(trainings) << trainings.error().message;
  EXPECT_EQ(trainings->size(), 10u);
}

}  // namespace
}  // namespace spillway::demo
