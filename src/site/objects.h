// Pods and Jobs as JSON: the few fields the embedded site reads and writes.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "base/time.h"
#include "model/snapshot.h"
#include "store/store.h"

namespace spillway::site {

inline constexpr std::string_view kBurstKey = "spillway.dev/burst";
inline constexpr std::string_view kStartingKey = "spillway.dev/starting";
inline constexpr std::string_view kGangAnnotation = "spillway.dev/gang";
inline constexpr std::string_view kExpectedDuration = "spillway.dev/expected-duration";
inline constexpr std::string_view kSelectAnnotation = "spillway.dev/select";
inline constexpr std::string_view kDatasetAnnotation = "spillway.dev/dataset";
inline constexpr std::string_view kResultsDatasetAnnotation = "spillway.dev/results-dataset";
inline constexpr std::string_view kResultsAnnotation = "spillway.dev/results";
inline constexpr std::string_view kIndexAnnotation = "batch.kubernetes.io/job-completion-index";
inline constexpr std::string_view kJobLabel = "batch.kubernetes.io/job-name";

const json::value& SpecOf(const json::value& object);
std::string_view AnnotationOf(const json::value& object, std::string_view key);
std::string_view LabelOf(const json::value& object, std::string_view key);
bool Deleting(const json::value& object);
std::optional<Time> CreatedAt(const json::value& object);

std::string_view PodPhaseOf(const json::value& pod);  // "Pending" when nothing is known
bool Finished(const json::value& pod);                // Succeeded or Failed
std::string_view NodeOf(const json::value& pod);      // spec.nodeName
PodPhase PhaseOf(const json::value& pod);             // kPending when nothing is known
// What lets a pod onto a rented node, and whether it has it.
json::object BurstToleration(const std::string& node);
bool ToleratesBurst(const json::value& pod, const std::string& node);
bool Disrupted(const json::value& pod);  // condition DisruptionTarget is True
std::optional<Time> StartedAt(const json::value& pod);
std::optional<Time> TakenAt(const json::value& pod);  // by its node, before images are fetched
// When the first of all its containers ran, init containers included.
std::optional<Time> BeganAt(const json::value& pod);
std::optional<Time> FinishedAt(const json::value& pod);
int ExitCodeOf(const json::value& pod);        // -1: has none
std::string OwnerJob(const json::value& pod);  // name of the Job that controls it, or ""
std::string OwnerJobUid(const json::value& pod);

// Sets or replaces a condition of status.conditions; lastTransitionTime moves only when the status
// changes, and observedGeneration follows the object's, if it has one. Returns whether anything
// changed.
bool SetCondition(json::value& object, std::string_view type, bool status, std::string_view reason,
                  std::string_view message, Time now);
const json::value* ConditionOf(const json::value& object, std::string_view type);
bool HasCondition(const json::value& object, std::string_view type);  // and it is True

// The one container's state.
struct ContainerEnd {
  int exit_code = 0;
  std::string reason;  // "Completed", "Error", "OOMKilled", "Evicted", ...
  std::string message;
  Time started{}, ended{};
};
void MarkRunning(json::value& pod, Time started);
// Phase becomes Succeeded for exit code 0, Failed otherwise.
void MarkEnded(json::value& pod, const ContainerEnd& end);
// Failed without the user's fault: its Job replaces it without counting a failure.
void MarkDisrupted(json::value& pod, std::string_view reason, std::string_view message, Time now);

// What a claim mounts. kInvalid says why a pod cannot use it.
struct ClaimTarget {
  bool results = false;
  // "namespace/name" of the Dataset that is an input; of results, the one in whose bucket they go,
  // or empty.
  std::string dataset;
  std::string directory;  // results: relative to the results root, or to that Dataset
};
Result<ClaimTarget> ResolveClaim(const store::Store& store, const std::string& ns,
                                 const std::string& claim);

// Volumes of a pod's only container: mount path, claim name or empty for emptyDir.
struct Mount {
  std::string volume, mount_path, claim;
};
Result<std::vector<Mount>> MountsOf(const json::value& pod);

// A limit of the pod's only container: whole units, or thousandths for `milli`. 0: none.
std::int64_t LimitOf(const json::value& pod, std::string_view resource, bool milli);

// "namespace/name" as the key of a Pod.
store::ObjectKey PodKey(const std::string& key);

// Globs that narrow `claim` for this pod, from the annotation "claim=glob,glob;claim=glob".
std::vector<std::string> PatternsOf(const json::value& pod, std::string_view claim);

// Command line of the container with $(NAME) expanded from its environment, as Kubernetes does.
struct CommandLine {
  std::vector<std::string> argv;
  std::vector<std::pair<std::string, std::string>> env;
  std::string working_dir;
};
CommandLine CommandOf(const json::value& pod);

}  // namespace spillway::site
