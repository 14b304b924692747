#include <gmock/gmock.h>

#include <algorithm>

#include "schema/manifest.h"

namespace spillway::schema {
namespace {

using ::testing::HasSubstr;

const std::vector<CatalogProvider> kCatalog = {{"scaleway", {"fr-par-2"}}, {"leafcloud", {}}};

std::vector<Manifest> Read(std::string_view text) {
  Manifests read = ReadManifests("in.yaml", text, "default");
  EXPECT_EQ(FormatProblems(read.problems), "");
  return std::move(read.objects);
}

std::string Check(std::string_view incoming, std::string_view existing = "") {
  const auto stored = Read(existing), fresh = Read(incoming);
  std::vector<const json::value*> objects;
  for (const Manifest& manifest : stored) objects.push_back(&manifest.document.value);
  return FormatProblems(CheckTogether(fresh, objects, kCatalog));
}

std::string Namespaces() {
  return "apiVersion: v1\nkind: Namespace\nmetadata: {name: a}\n---\n"
         "apiVersion: v1\nkind: Namespace\nmetadata: {name: b}\n---\n";
}
std::string Budget(const std::string& name, const std::string& namespaces,
                   const std::string& amount, const std::string& period) {
  return "apiVersion: spillway.dev/v1alpha1\nkind: Budget\nmetadata: {name: " + name +
         "}\nspec: {namespaces: [" + namespaces + "], amount: " + amount + ", period: " + period +
         "}\n---\n";
}
std::string Policy(const std::string& namespaces, const std::string& price) {
  return "apiVersion: spillway.dev/v1alpha1\nkind: BurstPolicy\nmetadata: {name: p}\nspec: "
         "{namespaces: [" +
         namespaces +
         "], dataClasses: [public], jurisdiction: {}, price: {maxPerGpuHour: " + price +
         "}}\n---\n";
}

TEST(Together, ReferencesMayComeInAnyOrderOrBeStored) {
  const std::string job = R"(apiVersion: v1
kind: Pod
metadata: {name: p, namespace: a}
spec:
  priorityClassName: high
  containers: [{name: c, image: i}]
  volumes: [{name: v, persistentVolumeClaim: {claimName: c}}]
---
)";
  const std::string claim = R"(apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: c, namespace: a, annotations: {spillway.dev/dataset: d}}
spec: {accessModes: [ReadOnlyMany], resources: {requests: {storage: 1Gi}}}
---
apiVersion: spillway.dev/v1alpha1
kind: Dataset
metadata: {name: d, namespace: a}
spec: {source: {directory: d}, class: public}
---
apiVersion: scheduling.k8s.io/v1
kind: PriorityClass
metadata: {name: high}
value: 7
---
)";
  EXPECT_EQ(Check(job + claim + Namespaces()), "");
  EXPECT_EQ(Check(job, claim + Namespaces()), "");
  const std::string alone = Check(job, Namespaces());
  EXPECT_THAT(alone, HasSubstr("there is no PersistentVolumeClaim \"c\" in namespace a"));
  EXPECT_THAT(alone, HasSubstr("there is no PriorityClass \"high\""));
  // A claim of another namespace does not count.
  std::string elsewhere = claim;
  for (std::size_t at; (at = elsewhere.find("namespace: a")) != std::string::npos;)
    elsewhere.replace(at, 12, "namespace: b");
  EXPECT_THAT(Check(job, elsewhere + Namespaces()),
              HasSubstr("there is no PersistentVolumeClaim \"c\" in namespace a"));
}

TEST(Together, TheDefaultNamespaceIsAlwaysThere) {
  EXPECT_EQ(Check("apiVersion: v1\nkind: ResourceQuota\nmetadata: {name: q}\nspec: {hard: {}}\n"),
            "");
}

TEST(Together, ACloudProviderNamesTheCatalogue) {
  const auto provider = [](const std::string& spec) {
    return "apiVersion: spillway.dev/v1alpha1\nkind: CloudProvider\nmetadata: {name: x}\nspec: "
           "{type: simulated, " +
           spec + "}\n";
  };
  EXPECT_EQ(Check(provider("catalog: scaleway, regions: [fr-par-2]")), "");
  EXPECT_EQ(Check(provider("catalog: leafcloud, regions: [anything]")), "");
  EXPECT_THAT(Check(provider("catalog: scaleawy")), HasSubstr("did you mean scaleway?"));
  EXPECT_THAT(Check(provider("catalog: scaleway, regions: [x]")), HasSubstr("one of fr-par-2"));
}

TEST(Together, OneBudgetPerNamespaceAndPeriod) {
  const std::string first = Namespaces() + Budget("one", "a, b", "5 EUR", "month");
  EXPECT_EQ(Check(Budget("two", "a", "5 EUR", "year"), first), "");
  EXPECT_THAT(Check(Budget("two", "a", "5 EUR", "month"), first),
              HasSubstr("namespace a has a budget for each month already, Budget \"one\""));
  // Changing a budget is not a second one; of two new ones the later speaks, once.
  EXPECT_EQ(Check(Budget("one", "a", "9 EUR", "month"), first), "");
  const std::string both = Check(first + Budget("two", "b", "5 EUR", "month"));
  EXPECT_EQ(std::count(both.begin(), both.end(), '\n'), 1);
  EXPECT_THAT(both, HasSubstr("in.yaml:17:20"));
  EXPECT_THAT(both, HasSubstr("Budget \"one\" (in.yaml:9:1)"));
}

TEST(Together, APolicyMayNotOutbidItsBudget) {
  EXPECT_EQ(Check(Namespaces() + Budget("one", "a", "3 EUR", "day") + Policy("a", "3 EUR")), "");
  EXPECT_EQ(Check(Namespaces() + Budget("one", "a", "3 EUR", "day") + Policy("b", "9 EUR")), "");
  const std::string both =
      Check(Namespaces() + Budget("one", "a", "0 EUR", "day") + Policy("b, a", "3.50 EUR"));
  EXPECT_EQ(std::count(both.begin(), both.end(), '\n'), 1);
  EXPECT_THAT(both, HasSubstr("spec.price.maxPerGpuHour: BurstPolicy \"p\" lets namespace a pay "
                              "3.50 EUR for a GPU hour, but its Budget \"one\" (in.yaml:9:1) holds "
                              "0.00 EUR in all"));
  EXPECT_THAT(Check(Budget("one", "a", "3 EUR", "day"), Namespaces() + Policy("a", "3.01 EUR")),
              HasSubstr("spec.amount: BurstPolicy \"p\" lets namespace a pay 3.01 EUR"));
  // Two stored objects that contradict each other are not the fault of a third.
  EXPECT_EQ(Check(Budget("other", "b", "9 EUR", "day"),
                  Namespaces() + Policy("a", "9 EUR") + Budget("one", "a", "3 EUR", "day")),
            "");
}

}  // namespace
}  // namespace spillway::schema
