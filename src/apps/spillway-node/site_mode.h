// Wiring of spillway-node --site: the volumes of a node of the site.
#pragma once

#include <signal.h>

#include <string>

#include "base/result.h"

namespace spillway {

struct SiteFlags {
  std::string data_root, results_root;
  std::string node_name;          // empty: the host name
  std::string kubelet_directory;  // --root-dir of the kubelet
  // Datasets and results in buckets; without credentials there are none.
  std::string s3_credentials, s3_ca_file;
  std::string buckets;     // directory for what is fetched from them and goes to them
  std::string kubeconfig;  // for Datasets, claims, Events; empty: as kube::FindAccess()
};

// kInvalid names the option.
Status CheckSiteFlags(const SiteFlags& flags);

// Serves until one of `signals` comes, which are blocked. Returns the exit code.
int RunSite(const SiteFlags& flags, const sigset_t& signals);

}  // namespace spillway
