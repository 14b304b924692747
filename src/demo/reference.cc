#include "demo/reference.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <optional>

#include "base/encoding.h"
#include "demo/results.h"
#include "model/decode.h"

namespace spillway::demo {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kAtOnce = 2;
constexpr std::int64_t kMaxCompletions = 100;

std::string_view Annotation(const json::value& object, std::string_view key) {
  const json::value* annotations = FindPath(object, {"metadata", "annotations"});
  return annotations == nullptr ? std::string_view() : StringOr(*annotations, key, "");
}

const schema::Manifest* FindManifest(const std::vector<schema::Manifest>& manifests,
                                     std::string_view kind, std::string_view ns,
                                     std::string_view name) {
  for (const schema::Manifest& m : manifests)
    if (m.kind->kind == kind && m.ns == ns && m.name == name) return &m;
  return nullptr;
}

// Claim behind a mount of the one container, or "".
std::string ClaimAt(const json::value& pod_spec, const json::value& mount) {
  const json::array* volumes = FindArray(pod_spec, "volumes");
  if (volumes == nullptr) return {};
  for (const json::value& volume : *volumes)
    if (StringOr(volume, "name", "") == StringOr(mount, "name", "-"))
      if (const json::value* claim = Find(volume, "persistentVolumeClaim"))
        return std::string(StringOr(*claim, "claimName", ""));
  return {};
}

// Of a Dataset of the manifests; nullopt: there is none, or it is in no bucket.
std::optional<S3Place> BucketOf(const schema::Manifest* dataset) {
  if (dataset == nullptr) return std::nullopt;
  const auto info = DecodeDataset(dataset->document.value);
  return info ? info->s3 : std::nullopt;
}

// What a Job's container mounts, in this machine's paths.
struct Mounts {
  std::string data_at, data_directory;  // "/data" -> directory of the Dataset
  std::string results_at;               // "/results" ->
  ResultsPlace results;                 // "vision/sweep"
};

Mounts MountsOf(const std::vector<schema::Manifest>& manifests, const schema::Manifest& job,
                const json::value& pod_spec, const json::value& container) {
  Mounts mounts;
  const json::array* list = FindArray(container, "volumeMounts");
  if (list == nullptr) return mounts;
  for (const json::value& mount : *list) {
    const schema::Manifest* claim =
        FindManifest(manifests, "PersistentVolumeClaim", job.ns, ClaimAt(pod_spec, mount));
    if (claim == nullptr) continue;
    const std::string at(StringOr(mount, "mountPath", ""));
    const std::string_view results = Annotation(claim->document.value, "spillway.dev/results");
    if (!results.empty()) {
      mounts.results_at = at;
      mounts.results = {std::string(results),
                        BucketOf(FindManifest(
                            manifests, "Dataset", job.ns,
                            Annotation(claim->document.value, "spillway.dev/results-dataset")))};
      continue;
    }
    const schema::Manifest* dataset = FindManifest(
        manifests, "Dataset", job.ns, Annotation(claim->document.value, "spillway.dev/dataset"));
    if (dataset == nullptr) continue;
    const auto info = DecodeDataset(dataset->document.value);
    if (!info) continue;
    mounts.data_at = at;
    mounts.data_directory = info->s3 ? info->s3->prefix : info->directory;
    if (mounts.data_directory.ends_with('/')) mounts.data_directory.pop_back();
  }
  return mounts;
}

// "/data/code/train.py" and "--data=/data" with the mount's path replaced.
std::string Replaced(std::string text, const std::string& from, const std::string& to) {
  if (from.empty()) return text;
  const std::size_t at = text.find(from);
  if (at == std::string::npos || (at > 0 && text[at - 1] != '=')) return text;
  const std::size_t end = at + from.size();
  if (end < text.size() && text[end] != '/') return text;
  return text.replace(at, from.size(), to);
}

bool OnlyHolds(std::string_view argument) {
  return argument.starts_with("--hold-seconds") || argument.starts_with("--duty");
}

struct JobParts {
  const json::value* spec = nullptr;
  const json::value* pod_spec = nullptr;
  const json::value* container = nullptr;
};

JobParts PartsOf(const schema::Manifest& job) {
  JobParts parts;
  parts.spec = Find(job.document.value, "spec");
  parts.pod_spec = FindPath(job.document.value, {"spec", "template", "spec"});
  const json::array* containers =
      parts.pod_spec == nullptr ? nullptr : FindArray(*parts.pod_spec, "containers");
  if (containers != nullptr && containers->size() == 1) parts.container = &containers->front();
  return parts;
}

std::vector<std::string> Words(const json::value& container) {
  std::vector<std::string> words;
  for (const char* key : {"command", "args"})
    if (const json::array* list = FindArray(container, key))
      for (const json::value& word : *list)
        if (word.is_string()) words.emplace_back(View(word.get_string()));
  return words;
}

// Runs one and returns its process id, or -1.
pid_t Start(const Training& training) {
  std::vector<std::string> environment{"PATH=/usr/bin:/bin", "LANG=C.UTF-8"};
  for (const auto& [name, value] : training.environment) environment.push_back(name + "=" + value);
  std::vector<char*> argv, envp;
  for (const std::string& word : training.argv) argv.push_back(const_cast<char*>(word.c_str()));
  for (const std::string& entry : environment) envp.push_back(const_cast<char*>(entry.c_str()));
  argv.push_back(nullptr);
  envp.push_back(nullptr);
  const std::string log = training.output_directory + ".log";
  const pid_t child = fork();
  if (child != 0) return child;
  const int fd = open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
  if (fd < 0 || dup2(fd, STDOUT_FILENO) < 0 || dup2(fd, STDERR_FILENO) < 0) _exit(126);
  execve(argv[0], argv.data(), envp.data());
  _exit(127);
}

}  // namespace

std::map<std::string, ResultsPlace> ResultsPlaces(const std::vector<schema::Manifest>& manifests) {
  std::map<std::string, ResultsPlace> places;
  for (const schema::Manifest& m : manifests) {
    if (m.kind->kind != "Job") continue;
    const JobParts parts = PartsOf(m);
    if (parts.container == nullptr) continue;
    const Mounts mounts = MountsOf(manifests, m, *parts.pod_spec, *parts.container);
    if (!mounts.results.path.empty()) places[m.ns + "/" + m.name] = mounts.results;
  }
  return places;
}

Result<std::vector<Training>> TrainingsOf(const std::vector<schema::Manifest>& manifests,
                                          const ReferencePlaces& places) {
  std::vector<Training> trainings;
  for (const schema::Manifest& m : manifests) {
    if (m.kind->kind != "Job") continue;
    const std::string label = m.ns + "/" + m.name;
    const JobParts parts = PartsOf(m);
    if (parts.container == nullptr)
      return Fail(Code::kInvalid, fmt::format("Job {}: exactly one container is needed", label));
    const Mounts mounts = MountsOf(manifests, m, *parts.pod_spec, *parts.container);
    std::vector<std::string> words = Words(*parts.container);
    const bool fails = std::any_of(words.begin(), words.end(), [](const std::string& word) {
      return word.starts_with("--fail-with-code");
    });
    if (mounts.results.path.empty() || fails) continue;
    if (mounts.data_directory.empty() || words.empty())
      return Fail(Code::kInvalid,
                  fmt::format("Job {}: it needs a command and a claim of a Dataset", label));
    Training training;
    training.job = label;
    training.data_directory = places.data_root + "/" + mounts.data_directory;
    training.output_directory = places.reference_root + "/" + mounts.results.path;
    std::erase_if(words, OnlyHolds);
    for (std::string& word : words)
      training.argv.push_back(
          Replaced(Replaced(std::move(word), mounts.data_at, training.data_directory),
                   mounts.results_at, training.output_directory));
    const bool indexed = StringOr(*parts.spec, "completionMode", "") == "Indexed";
    const std::int64_t completions =
        indexed ? std::clamp<std::int64_t>(IntOr(*parts.spec, "completions", 1), 1, kMaxCompletions)
                : 1;
    for (std::int64_t i = 0; i < completions; ++i) {
      Training one = training;
      if (indexed) one.environment["JOB_COMPLETION_INDEX"] = std::to_string(i);
      trainings.push_back(std::move(one));
    }
  }
  return trainings;
}

Result<std::string> ReferenceKey(const std::vector<Training>& trainings) {
  std::string text;
  std::map<std::string, std::string> data;  // directory -> its hash
  for (const Training& training : trainings) {
    std::string& hash = data[training.data_directory];
    if (hash.empty()) {
      SPW_ASSIGN(const FileHashes files, HashFiles(training.data_directory));
      for (const auto& [path, file_hash] : files) hash += path + " " + file_hash + "\n";
      hash = Sha256Hex(hash);
    }
    text += training.job + "\n" + hash + "\n";
    for (const std::string& word : training.argv)
      text += Replaced(word, training.output_directory, "/results") + "\n";
    for (const auto& [name, value] : training.environment) text += name + "=" + value + "\n";
  }
  return Sha256Hex(text).substr(0, 16);
}

Status RunTrainings(const std::vector<Training>& trainings,
                    const std::function<void(const std::string& line)>& progress) {
  std::map<pid_t, const Training*> running;
  std::size_t next = 0, done = 0;
  std::optional<Error> failure;
  while (!running.empty() || (next < trainings.size() && !failure)) {
    while (!failure && running.size() < kAtOnce && next < trainings.size()) {
      const Training& training = trainings[next++];
      std::error_code ignored;
      fs::create_directories(training.output_directory, ignored);
      const pid_t child = Start(training);
      if (child < 0) return Fail(Code::kInternal, "no process could be started");
      running[child] = &training;
    }
    int status = 0;
    const pid_t ended = waitpid(-1, &status, 0);
    if (ended < 0 && errno == EINTR) continue;
    const auto it = running.find(ended);
    if (it == running.end()) continue;
    const Training& training = *it->second;
    running.erase(it);
    ++done;
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
      progress(fmt::format("reference run {} of {}: {}", done, trainings.size(), training.job));
    else if (!failure)
      failure = Error{Code::kInternal,
                      fmt::format("the reference run of {} failed; its output is in {}.log",
                                  training.job, training.output_directory),
                      std::nullopt};
  }
  if (failure) return Fail(*failure);
  return Ok();
}

}  // namespace spillway::demo
