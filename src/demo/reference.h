// The reference runs: every training of the manifests, started plainly at the site with the same
// program, arguments, environment and data. A rented machine must give the same bits.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/result.h"
#include "model/rules.h"
#include "schema/manifest.h"

namespace spillway::demo {

struct Training {
  std::string job;                // "vision/sweep"
  std::vector<std::string> argv;  // paths of this machine
  std::map<std::string, std::string> environment;
  std::string data_directory;    // what /data stands for
  std::string output_directory;  // what /results stands for
};

struct ReferencePlaces {
  // Dataset directories are relative to it; what is in a bucket lies below its prefix here too.
  std::string data_root;
  std::string reference_root;  // results go to reference_root/<key>/<results place>
};

// One training per completion of each Job that has a results place and is meant to succeed.
// Arguments that only hold a finished training open (--hold-seconds, --duty) are left out: they do
// not touch the result. kInvalid names the object that cannot be run so.
Result<std::vector<Training>> TrainingsOf(const std::vector<schema::Manifest>& manifests,
                                          const ReferencePlaces& places);

struct ResultsPlace {
  std::string path;               // the annotation's value: below a root of results, or the prefix
  std::optional<S3Place> bucket;  // where they go instead of a directory
};

// Where the results of each Job of the manifests go, by "vision/sweep".
std::map<std::string, ResultsPlace> ResultsPlaces(const std::vector<schema::Manifest>& manifests);

// Names the inputs: equal keys give equal results. Covers arguments, environment, train.py and
// data.
Result<std::string> ReferenceKey(const std::vector<Training>& trainings);

// Runs all of them, two at a time, telling `progress` as each ends. kInternal with the end of its
// output if one fails.
Status RunTrainings(const std::vector<Training>& trainings,
                    const std::function<void(const std::string& line)>& progress);

}  // namespace spillway::demo
