// Files of manifests to named, validated objects.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <tl/expected.hpp>
#include <vector>

#include "schema/schema.h"

namespace spillway::schema {

struct Source {
  std::string file;  // as the person named it, for problems
  std::string text;
};

struct Manifest {
  std::string file;
  Document document;           // normalised: defaults added, metadata.namespace filled in
  const Kind* kind = nullptr;  // owned by the Schemas
  std::string ns;              // empty for a cluster-scoped object
  std::string name;            // empty when metadata.generateName is given instead
};

struct Manifests {
  std::vector<Manifest> objects;  // in the order of the texts, without those that have a problem
  std::vector<Problem> problems;  // at most kMaxProblems; nothing may be applied if there is one
  bool ok() const { return problems.empty(); }
};

// Reads every document of every source, unfolds kubectl's List, validates against the definitions
// and the rules a schema cannot state, and refuses an object that is there twice. `schemas` must
// outlive the result.
Manifests ReadManifests(const Schemas& schemas, std::span<const Source> sources,
                        std::string_view default_namespace);
Manifests ReadManifests(std::string_view file, std::string_view text,
                        std::string_view default_namespace);  // the compiled-in definitions

// The text of a manifest file, never more than YamlLimits::max_bytes of it: a file that is larger,
// is not there, cannot be read or is a directory is a problem. "-" is standard input.
tl::expected<std::string, Problem> ReadManifestFile(const std::string& path);

// What the catalogue knows of a provider. Without regions, regions are not checked.
struct CatalogProvider {
  std::string id;
  std::vector<std::string> regions;
};

// The rules between objects, for what `incoming` would change: references to unknown namespaces,
// claims, datasets, providers and priority classes; two budgets of one period for one namespace; a
// price limit no budget can pay. `existing` are the stored objects (apiVersion, kind, metadata,
// spec); an incoming object replaces the one of the same name. Problems stand at incoming objects.
std::vector<Problem> CheckTogether(std::span<const Manifest> incoming,
                                   std::span<const json::value* const> existing,
                                   std::span<const CatalogProvider> catalog);

}  // namespace spillway::schema
