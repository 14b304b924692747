// For tests: the evidence of a demonstration in which every claim holds.
#pragma once

#include <gtest/gtest.h>

#include <string>
#include <string_view>

#include "demo/claims.h"

namespace spillway::demo {

inline json::value Json(std::string_view text) {
  auto parsed = ParseJson(text);
  EXPECT_TRUE(parsed) << (parsed ? "" : parsed.error().message);
  return parsed ? *parsed : json::value(nullptr);
}

inline constexpr const char* kReport = R"j({
  "workloads": [
    {"name": "explore", "namespace": "labs", "ranAt": "site", "why": "the site had room", "exitCode": 0,
     "waitedSeconds": 900, "estimateMicroEuro": 0, "actualMicroEuro": 0},
    {"name": "diagnosis", "namespace": "medical", "ranAt": "site", "why": "the site had room", "exitCode": 0,
     "waitedSeconds": 900, "estimateMicroEuro": 0, "actualMicroEuro": 0},
    {"name": "gang", "namespace": "nlp", "ranAt": "verda/FIN-03/8H100", "why": "cheapest", "exitCode": 0,
     "waitedSeconds": 300, "estimateMicroEuro": 4000000, "actualMicroEuro": 4200000},
    {"name": "survivor", "namespace": "nlp", "ranAt": "exoscale/ch-gva-2/gpu3.small", "why": "cheapest",
     "exitCode": 0, "waitedSeconds": 100, "estimateMicroEuro": 2000000, "actualMicroEuro": 2100000},
    {"name": "baseline", "namespace": "vision", "ranAt": "site", "why": "the site had room", "exitCode": 0,
     "waitedSeconds": 5, "estimateMicroEuro": 0, "actualMicroEuro": 0},
    {"name": "broken", "namespace": "vision", "ranAt": "scaleway/fr-par-2/L40S-1-48G", "why": "cheapest",
     "exitCode": 3, "waitedSeconds": 100, "estimateMicroEuro": 250000, "actualMicroEuro": 200000},
    {"name": "sweep", "namespace": "vision", "ranAt": "verda/FIN-03/4A100.88V", "why": "cheapest", "exitCode": 0,
     "waitedSeconds": 200, "estimateMicroEuro": 1030000, "actualMicroEuro": 1030000}],
  "burstNodes": [
    {"name": "bn-1", "provider": "verda", "region": "FIN-03", "type": "4A100.88V", "phase": "Gone",
     "secondsPaid": 600, "secondsComputed": 400, "costMicroEuro": 1030000, "bytesIn": 10, "bytesOut": 5,
     "wipe": {"class": "full", "verified": true, "certificate": "certificates/bn-1.json"}},
    {"name": "bn-2", "provider": "scaleway", "region": "fr-par-2", "type": "H100-SXM-8-80G", "phase": "Gone",
     "secondsPaid": 60, "secondsComputed": 0, "costMicroEuro": 420000, "bytesIn": 0, "bytesOut": 0,
     "wipe": {"class": "none", "verified": false, "certificate": ""}},
    {"name": "bn-3", "provider": "exoscale", "region": "ch-gva-2", "type": "gpu3.small", "phase": "Gone",
     "secondsPaid": 3600, "secondsComputed": 200, "costMicroEuro": 1050000, "bytesIn": 10, "bytesOut": 0,
     "wipe": {"class": "crypto-erase only", "verified": false, "certificate": "certificates/bn-3.json"}},
    {"name": "bn-4", "provider": "scaleway", "region": "fr-par-2", "type": "L40S-1-48G", "phase": "Gone",
     "secondsPaid": 480, "secondsComputed": 220, "costMicroEuro": 200000, "bytesIn": 10, "bytesOut": 0,
     "wipe": {"class": "full", "verified": true, "certificate": "certificates/bn-4.json"}}],
  "offers": {"considered": 78, "rejected": [
    {"provider": "upcloud", "region": "fi-hel2", "type": "GPU-1xH100", "reason": "us-nexus"}]},
  "neverLeft": {"objects": 36, "bytes": 729088},
  "plaintextFoundOnRentedDisks": 0, "scannedBytes": 130000000, "leftovers": 0,
  "audit": {"records": 4}, "simulated": ["GPUs: they are numbers"]})j";

inline constexpr const char* kNodes = R"j({"items": [
  {"metadata": {"name": "bn-1"}, "spec": {"workload": "vision/Job/sweep", "policy": "research",
    "pods": [{"key": "a"}, {"key": "b"}, {"key": "c"}, {"key": "d"}],
    "offer": {"provider": "verda", "region": "FIN-03", "instanceType": "4A100.88V"}},
   "status": {"phase": "Gone", "bytesIn": 10, "wipe": {"class": "full"}}},
  {"metadata": {"name": "bn-2"}, "spec": {"workload": "nlp/Job/gang", "policy": "language", "pods": [],
    "offer": {"provider": "scaleway", "region": "fr-par-2", "instanceType": "H100-SXM-8-80G"}},
   "status": {"phase": "Gone", "failure": "Capacity", "wipe": {"class": "none"}}},
  {"metadata": {"name": "bn-3"}, "spec": {"workload": "nlp/Job/survivor", "policy": "language"},
   "status": {"phase": "Gone", "failure": "NodeLost", "bytesIn": 10, "wipe": {"class": "crypto-erase only"}}},
  {"metadata": {"name": "bn-4"}, "spec": {"workload": "vision/Job/broken", "policy": "research"},
   "status": {"phase": "Gone", "bytesIn": 10, "wipe": {"class": "full"}}},
  {"metadata": {"name": "bn-5"}, "spec": {"workload": "nlp/Job/survivor", "policy": "language"},
   "status": {"phase": "Gone", "wipe": {"class": "none"}}}]})j";

inline constexpr const char* kOffers = R"j({"items": [
  {"provider": "scaleway", "region": "fr-par-2", "type": "H100-SXM-8-80G", "capacity": "on-demand",
   "gpuProduct": "H100", "perGpuHour": {"microEuro": 3170000, "text": "3.17 €"}, "usNexus": "none",
   "verdict": {"reason": "allowed"}},
  {"provider": "upcloud", "region": "fi-hel2", "type": "GPU-1xH100", "capacity": "on-demand",
   "gpuProduct": "H100", "perGpuHour": {"microEuro": 1790000, "text": "1.79 €"}, "usNexus": "subsidiary",
   "verdict": {"reason": "us-nexus"}}]})j";

inline LedgerEntry Entry(std::string node, std::string step, std::string_view at,
                         std::string text) {
  LedgerEntry entry;
  entry.node = std::move(node);
  entry.step = std::move(step);
  entry.at = *ParseTime(at);
  entry.workload = "nlp/Job/gang";
  entry.text = std::move(text);
  return entry;
}

inline Evidence GoodEvidence() {
  Evidence e;
  e.report = Json(kReport);
  e.nodes = Json(kNodes);
  e.offers["language"] = Json(kOffers);
  e.decisions["medical/Job/diagnosis"] = {
      Json(R"({"reason": "data-class", "sentence": "its data is restricted"})")};
  e.decisions["labs/Job/explore"] = {Json(
      R"({"reason": "budget", "sentence": "0.79 € missing", "missing": {"microEuro": 790000}})")};
  e.results["vision/sweep"] = {{{"rank-0/model.bin", "aa"}, {"rank-1/model.bin", "bb"}},
                               {{"rank-0/model.bin", "aa"}, {"rank-1/model.bin", "bb"}}};
  e.results["vision/baseline"] = {{{"model.bin", "cc"}}, {{"model.bin", "cc"}}};
  e.results["vision/broken"] = {};
  e.ledger = {Entry("bn-2", "Requested", "2026-11-24T08:00:00Z", ""),
              Entry("bn-2", "failed", "2026-11-24T08:01:00Z", "Capacity: no valid host was found"),
              Entry("bn-6", "Requested", "2026-11-24T08:01:15Z", "")};
  e.exported.ok = e.stored.ok = true;
  e.exported.records = e.stored.records = 4;
  e.certificates = {{"bn-1", "certificates/bn-1.json", true, "full", ""},
                    {"bn-3", "certificates/bn-3.json", true, "crypto-erase only", ""},
                    {"bn-4", "certificates/bn-4.json", true, "full", ""}};
  e.failed_log = "epoch 1\ngiving up on purpose with exit code 3\n";
  e.time_scale = 30;
  return e;
}

}  // namespace spillway::demo
