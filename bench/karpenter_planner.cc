// Runs the planner on the problem of Karpenter's scheduling benchmark and says how fast it was,
// what its plan costs, and what it left out.
//
//   karpenter_planner INSTANCE [--answer FILE] [--repeat N]
//
// INSTANCE is JSON: `nodePool`, `instanceTypes[]` with capacity, overhead, requirements and
// offerings, `pods[]` as v1.Pod. The answer has `nodes[]` with name, instanceType, zone,
// capacityType, price and pods. Only MakePlan is timed: reading the file is not part of it, as it
// is not on Karpenter's side.
#include <fmt/format.h>
#include <sys/resource.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <fstream>
#include <iostream>
#include <sstream>

#include "base/json.h"
#include "model/decode_parts.h"
#include "model/decode_pods.h"
#include "plan/planner.h"

namespace spillway {
namespace {

constexpr const char* kProvider = "peer";
constexpr const char* kZoneLabel = "topology.kubernetes.io/zone";
constexpr const char* kCapacityLabel = "karpenter.sh/capacity-type";

struct Place {
  std::string type, zone, capacity;
  double price = 0;
};

struct Problem {
  Snapshot snapshot;
  std::vector<Place> places;           // as Snapshot::offers
  std::vector<std::string> pod_names;  // as Snapshot::pods
  std::size_t types = 0;
};

Result<json::value> ReadJson(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) return Fail(Code::kNotFound, path + " cannot be read");
  std::ostringstream text;
  text << file.rdbuf();
  return ParseJson(text.str());
}

// The labels that every node of the type has: requirements with operator In, their first value.
Labels LabelsOf(const json::value& instance, const json::value& type) {
  Labels labels;
  if (const json::array* requirements = FindArray(type, "requirements"))
    for (const json::value& requirement : *requirements)
      if (const json::array* values = FindArray(requirement, "values");
          values != nullptr && !values->empty() && StringOr(requirement, "operator", "") == "In")
        labels[std::string(StringOr(requirement, "key", ""))] = View(values->front().as_string());
  if (const json::value* pool = FindPath(instance, {"nodePool", "labels"}))
    for (const auto& member : pool->as_object())
      labels[std::string(member.key())] = View(member.value().as_string());
  return labels;
}

Status AddType(const json::value& instance, const json::value& type,
               std::vector<std::pair<Offer, Place>>& offers) {
  SPW_ASSIGN(Resources room, DecodeResourceList(Find(type, "capacity")));
  SPW_ASSIGN(const Resources overhead, DecodeResourceList(Find(type, "overhead")));
  room -= overhead;
  const Labels labels = LabelsOf(instance, type);
  const json::array* offerings = FindArray(type, "offerings");
  if (offerings == nullptr) return Fail(Code::kInvalid, "an instance type has no offerings");
  for (const json::value& offering : *offerings) {
    if (!BoolOr(offering, "available", true)) continue;
    Place place{std::string(StringOr(type, "name", "")),
                std::string(StringOr(offering, "zone", "")),
                std::string(StringOr(offering, "capacityType", "")),
                Find(offering, "price")->to_number<double>()};
    Offer offer;
    offer.provider = offer.catalog = kProvider;
    offer.region = place.zone;
    offer.area = "EU";
    offer.instance_type = place.type;
    offer.capacity = place.capacity == "spot" ? CapacityType::kSpot : CapacityType::kOnDemand;
    offer.stock = Stock::kAvailable;
    offer.allocatable = room;
    offer.labels = labels;
    offer.labels[kZoneLabel] = place.zone;
    offer.labels[kCapacityLabel] = place.capacity;
    offer.price_per_hour = Money::Micro(std::llround(place.price * 1e6));
    offers.emplace_back(std::move(offer), std::move(place));
  }
  return Ok();
}

// One provider with the instance's types, one policy that admits everything, an hour of computing
// for each pod: what is left to decide is where each pod goes and what that costs.
void AddRules(Snapshot& snapshot) {
  ProviderFacts& facts = snapshot.facts.emplace_back();
  facts.id = facts.name = kProvider;
  facts.us_nexus = UsNexus::kNone;
  facts.times = {.boot_median = 0s, .boot_p90 = 0s, .delete_median = 0s, .delete_p90 = 0s};
  ProviderAccount& account = snapshot.accounts.emplace_back();
  account.name = account.catalog = kProvider;
  Policy& policy = snapshot.policies.emplace_back();
  policy.name = "all";
  policy.namespaces = {"default"};
  policy.allow_spot = true;
  policy.max_nodes = 1'000'000;
}

// Every pod is a workload of its own, found unschedulable now.
void AddPods(const json::array& list, Problem& problem) {
  std::vector<const json::value*> pods;
  for (const json::value& pod : list) pods.push_back(&pod);
  std::sort(pods.begin(), pods.end(),
            [](const json::value* a, const json::value* b) { return NameOf(*a) < NameOf(*b); });
  PodObjects objects;
  objects.pods = pods;
  DecodedPods decoded = DecodePods(objects);
  Snapshot& snapshot = problem.snapshot;
  snapshot.shapes = std::move(decoded.shapes);
  snapshot.groups = std::move(decoded.groups);
  for (std::size_t i = 0; i < pods.size(); ++i) {
    const std::string name(NameOf(*pods[i])), ns(NamespaceOf(*pods[i]));
    problem.pod_names.push_back(name);
    Workload& workload = snapshot.workloads.emplace_back();
    workload.key = ns + "/Pod/" + name;
    workload.ns = ns;
    workload.pods = {static_cast<std::int32_t>(i)};
    workload.waiting_since = snapshot.now;
    workload.expected_duration = 1h;
    Pod& pod = snapshot.pods.emplace_back();
    pod.key = ns + "/" + name;
    pod.uid = StringOr(*Find(*pods[i], "metadata"), "uid", name);
    pod.ns = ns;
    pod.shape = decoded.shape_of[i];
    pod.workload = static_cast<std::int32_t>(i);
    pod.unschedulable = true;
  }
}

Result<Problem> ReadProblem(const std::string& path) {
  SPW_ASSIGN(const json::value instance, ReadJson(path));
  const json::array* types = FindArray(instance, "instanceTypes");
  const json::array* pods = FindArray(instance, "pods");
  if (types == nullptr || pods == nullptr)
    return Fail(Code::kInvalid, path + " has no instanceTypes or no pods");
  Problem problem;
  problem.types = types->size();
  problem.snapshot.now = *ParseTime("2026-11-24T12:00:00Z");
  std::vector<std::pair<Offer, Place>> offers;
  for (const json::value& type : *types) SPW_TRY(AddType(instance, type, offers));
  std::sort(offers.begin(), offers.end(),
            [](const auto& a, const auto& b) { return a.first.Key() < b.first.Key(); });
  for (auto& [offer, place] : offers) {
    problem.snapshot.offers.push_back(std::move(offer));
    problem.places.push_back(std::move(place));
  }
  AddRules(problem.snapshot);
  AddPods(*pods, problem);
  return problem;
}

double CpuSeconds() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  auto seconds = [](const timeval& t) { return double(t.tv_sec) + double(t.tv_usec) / 1e6; };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

json::value AnswerOf(const Problem& problem, const Plan& plan, double& price, std::size_t& placed) {
  json::array nodes;
  for (const Rental& rental : plan.rentals) {
    const Place& place = problem.places[static_cast<std::size_t>(rental.offer)];
    json::array pods;
    for (const std::int32_t pod : rental.pods)
      pods.emplace_back(problem.pod_names[static_cast<std::size_t>(pod)]);
    price += place.price;
    placed += pods.size();
    nodes.push_back(json::object{{"name", fmt::format("node-{:05}", nodes.size())},
                                 {"instanceType", place.type},
                                 {"zone", place.zone},
                                 {"capacityType", place.capacity},
                                 {"price", place.price},
                                 {"pods", std::move(pods)}});
  }
  json::array refused;
  for (const Decision& decision : plan.decisions)
    if (decision.verdict != Verdict::kRent)
      refused.push_back(json::object{
          {"pod", problem.snapshot.workloads[static_cast<std::size_t>(decision.workload)].key},
          {"reason", decision.sentence}});
  return json::object{
      {"totalPrice", price}, {"nodes", std::move(nodes)}, {"unschedulable", std::move(refused)}};
}

int Run(const std::string& path, const std::string& answer_path, int repeat) {
  const Result<Problem> problem = ReadProblem(path);
  if (!problem) {
    fmt::print(stderr, "karpenter_planner: {}\n", problem.error().message);
    return 1;
  }
  std::vector<double> wall, cpu;
  Plan plan;
  for (int i = 0; i < repeat; ++i) {
    const double cpu_before = CpuSeconds();
    const auto before = std::chrono::steady_clock::now();
    plan = plan::MakePlan(problem->snapshot);
    wall.push_back(
        std::chrono::duration<double>(std::chrono::steady_clock::now() - before).count());
    cpu.push_back(CpuSeconds() - cpu_before);
  }
  std::sort(wall.begin(), wall.end());
  std::sort(cpu.begin(), cpu.end());
  const double seconds = wall[wall.size() / 2];
  double price = 0;
  std::size_t placed = 0;
  const json::value answer = AnswerOf(*problem, plan, price, placed);
  const std::size_t pods = problem->pod_names.size();
  fmt::print(
      "pods={} types={} offers={} shapes={} seconds={:.4f} cpu_seconds={:.4f} pods_per_s={:.0f} "
      "nodes={} price={:.4f} placed={}\n",
      pods, problem->types, problem->places.size(), problem->snapshot.shapes.size(), seconds,
      cpu[cpu.size() / 2], static_cast<double>(pods) / seconds, plan.rentals.size(), price, placed);
  if (!answer_path.empty()) {
    std::ofstream file(answer_path);
    file << answer << '\n';
    if (!file.flush()) {
      fmt::print(stderr, "karpenter_planner: {} cannot be written\n", answer_path);
      return 1;
    }
  }
  return 0;
}

}  // namespace
}  // namespace spillway

int main(int argc, char** argv) {
  std::string instance, answer;
  int repeat = 1;
  for (int i = 1; i < argc; ++i) {
    const std::string argument = argv[i];
    if (argument == "--answer" && i + 1 < argc)
      answer = argv[++i];
    else if (argument == "--repeat" && i + 1 < argc)
      repeat = std::max(1, std::atoi(argv[++i]));
    else
      instance = argument;
  }
  if (instance.empty()) {
    fmt::print(stderr, "usage: karpenter_planner INSTANCE [--answer FILE] [--repeat N]\n");
    return 2;
  }
  return spillway::Run(instance, answer, repeat);
}
