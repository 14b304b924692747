// Narrowing: which part of an input a pod reads, because its annotations say so.
//
//   spillway.dev/select  files by their names
//   spillway.dev/shard   of these, every N-th file, beginning with the one of the pod's index
//
// The index is the place of a pod among the pods of its template, which whoever makes them writes
// as a label or an annotation (a person may, too):
//
//   batch.kubernetes.io/job-completion-index         pods of an Indexed Job
//   jobset.sigs.k8s.io/job-index                     besides, of a JobSet: which of the equal Jobs
//   leaderworkerset.sigs.k8s.io/worker-index         in its group
//   training.kubeflow.org/replica-index              of a PyTorchJob the rank: the master is first
//   apps.kubernetes.io/pod-index                     pods of a StatefulSet
//
// https://kubernetes.io/docs/reference/labels-annotations-taints,
// https://jobset.sigs.k8s.io/docs/reference,
// https://lws.sigs.k8s.io/docs/reference/labels-annotations-and-environment-variables,
// https://www.kubeflow.org/docs/components/trainer/legacy-v1
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "data/selection.h"
#include "store/store.h"

namespace spillway::site {

// nullopt: the pod has none. kInvalid: it is no number; kNotFound: its Job, which tells how many
// pods are before it, is not there.
Result<std::optional<std::int64_t>> IndexOfPod(const store::Store& store,
                                               const store::StoredObject& pod);

// What the pod takes of an input. An error is never an answer of "all of it": it names the
// annotation, its value, and what would be right.
Result<data::Narrowing> NarrowingOf(const store::Store& store, const store::StoredObject& pod,
                                    std::string_view claim);

// All its shards as a text, Pod::shards; errors as NarrowingOf, also for a claim that the pod does
// not mount. Empty for pods without the annotation.
Result<std::string> ShardsOfPod(const store::Store& store, const store::StoredObject& pod);

}  // namespace spillway::site
