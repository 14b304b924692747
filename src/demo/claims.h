// Everything the demonstration claims, and whether it holds. Pure: all evidence is handed in.
#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "base/json.h"
#include "demo/results.h"
#include "model/ledger.h"
#include "store/ledger.h"

namespace spillway::demo {

struct CertificateCheck {
  std::string node;
  std::string file;
  bool verified = false;
  std::string wipe_class;  // "full", "crypto-erase only"
  std::string problem;     // when not verified
};

// Result files of one workload, and those of its reference run; empty maps where there are none.
struct ResultFiles {
  FileHashes results, expected;
};

// Results of one workload that are in a bucket.
struct BucketUse {
  std::string place;           // "s3://models/vision/sweep"
  std::set<std::string> runs;  // who brought them: "site", or the BurstNode's name
};

struct Evidence {
  json::value report;                                         // GET /report
  json::value nodes;                                          // list of BurstNodes
  std::map<std::string, json::value> offers;                  // policy -> GET /offers
  std::map<std::string, std::vector<json::value>> decisions;  // as Story::decisions()
  std::map<std::string, ResultFiles> results;                 // "vision/sweep"
  std::map<std::string, BucketUse> buckets;                   // likewise, where there are any
  std::vector<LedgerEntry> ledger;
  store::AuditReport exported, stored;  // of the ledger's export, and of the SQLite file
  std::vector<CertificateCheck> certificates;
  std::string failed_log;  // of the job that fails
  int time_scale = 1;
  // The workloads that were applied ("vision/Job/sweep"); a claim about another is not made.
  std::set<std::string> workloads;
  bool many_providers = true;  // those of examples/: what only several can show is claimed
};

struct Claim {
  std::string name;
  bool ok = false;
  std::string detail;  // numbers that show it, or what is wrong
};

// In the order in which a person would ask. None that is made is left out when it does not hold.
std::vector<Claim> CheckClaims(const Evidence& evidence);

bool AllHold(const std::vector<Claim>& claims);

}  // namespace spillway::demo
