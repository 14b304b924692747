#include "schema/schema.h"

#include <gmock/gmock.h>

#include "schema/embedded_files.h"
#include "schema/format.h"

namespace spillway::schema {
namespace {

using ::testing::HasSubstr;

constexpr std::string_view kMeta =
    "kind: EmbeddedSchema\nmetadata: {name: objectmeta}\n"
    "schema: {type: object, properties: {name: {type: string}}}\n";

// A definition of kind Thing with `spec` as the schema of its spec, in flow style.
Result<Schemas> LoadThing(const std::string& spec) {
  static std::string text;
  text =
      "kind: CustomResourceDefinition\nspec:\n  group: x.y\n  scope: Cluster\n"
      "  names: {kind: Thing, plural: things, singular: thing, shortNames: [th]}\n"
      "  versions: [{name: v1, schema: {openAPIV3Schema: {type: object, properties: {spec: " +
      spec + "}}}}]\n";
  return Schemas::Load({{"thing.yaml", text}, {"meta.yaml", kMeta}});
}

// The problems of a Thing with this spec; "spec" itself is written after it when there are none.
std::string CheckThing(const std::string& schema, const std::string& spec) {
  const auto schemas = LoadThing(schema);
  if (!schemas) return schemas.error().message;
  auto documents =
      ReadYaml("", "{apiVersion: x.y/v1, kind: Thing, metadata: {name: a}, spec: " + spec + "}");
  if (!documents) return FormatProblem(documents.error());
  auto problems = Validate(*schemas, "", documents->at(0));
  std::string out;
  for (Problem& problem : problems) {
    problem.at = {};
    out += FormatProblem(problem) + "\n";
  }
  return out.empty() ? json::serialize(documents->at(0).value.at("spec")) : out;
}

TEST(Validate, EachKeyword) {
  EXPECT_EQ(CheckThing("{type: integer, minimum: 1, maximum: 3}", "3"), "3");
  EXPECT_EQ(CheckThing("{type: integer, minimum: 1, maximum: 3}", "4"),
            "spec: 4 is too large: 1 to 3\n");
  EXPECT_EQ(CheckThing("{type: integer, minimum: 1}", "0"), "spec: 0 is too small: 1 or more\n");
  EXPECT_EQ(CheckThing("{type: integer}", "1.5"),
            "spec: is a fraction, not a whole number: a whole number\n");
  EXPECT_EQ(CheckThing("{type: string, minLength: 2, maxLength: 3, description: Short.}", "a"),
            "spec: is too short: Short\n");
  EXPECT_EQ(CheckThing("{type: string, maxLength: 3}", "abcd"),
            "spec: is 4 characters long: at most 3\n");
  EXPECT_EQ(CheckThing("{type: string, maxLength: 3}", "äöü"), "\"äöü\"");
  EXPECT_EQ(CheckThing("{type: string, maxLength: 9, pattern: '^[a-z]+$'}", "aB"),
            "spec: \"aB\" does not have the right form\n");
  EXPECT_EQ(CheckThing("{type: array, minItems: 1, items: {type: string}}", "[]"),
            "spec: is an empty list: at least 1\n");
  EXPECT_EQ(CheckThing("{type: array, maxItems: 1, items: {type: string}}", "[a, b]"),
            "spec: has 2 items: at most 1\n");
  EXPECT_EQ(CheckThing("{type: array, items: {type: string}}", "[a, [b]]"),
            "spec[1]: is a list, not text: text\n");
  EXPECT_EQ(CheckThing("{type: object, additionalProperties: {type: boolean}}", "{a: true, b: 1}"),
            "spec.b: is a number, not true or false: true or false\n");
  EXPECT_EQ(
      CheckThing("{type: object, maxProperties: 1, x-kubernetes-preserve-unknown-fields: true}",
                 "{a: 1, b: 2}"),
      "spec: has 2 members: at most 1\n");
  EXPECT_EQ(CheckThing("{type: string, nullable: true}", "~"), "null");
}

TEST(Validate, ObjectsKnowTheirMembers) {
  const std::string schema =
      "{type: object, required: [size], oneOf: [{required: [a]}, {required: [b]}], properties: {"
      "size: {type: integer, description: How large. Really.}, a: {type: string}, b: {type: "
      "string}, "
      "deep: {type: object, default: {}, properties: {x: {type: integer, default: 7}}}}}";
  EXPECT_EQ(CheckThing(schema, "{size: 1, a: z}"), R"({"size":1,"a":"z","deep":{"x":7}})");
  EXPECT_EQ(CheckThing(schema, "{a: z}"), "spec.size: is missing: How large\n");
  EXPECT_EQ(CheckThing(schema, "{size: ~, a: z}"), "spec.size: is missing: How large\n");
  EXPECT_EQ(CheckThing(schema, "{size: 1}"), "spec: none of a, b is given: exactly one of them\n");
  EXPECT_EQ(CheckThing(schema, "{size: 1, a: z, b: z}"),
            "spec: more than one of a, b is given: exactly one of them\n");
  EXPECT_EQ(CheckThing(schema, "{Size: 1, a: z}"),
            "spec.Size: is not a known field: did you mean size?\n");
  EXPECT_EQ(CheckThing("{type: object, anyOf: [{required: [a]}, {required: [b]}], properties: "
                       "{a: {type: string}, b: {type: string}}}",
                       "{}"),
            "spec: none of a, b is given: at least one of them\n");
}

TEST(Validate, QuantitiesBecomeText) {
  const std::string quantity = "{x-kubernetes-int-or-string: true, format: quantity}";
  EXPECT_EQ(CheckThing(quantity, "2"), "\"2\"");
  EXPECT_EQ(CheckThing(quantity, "0.5"), "\"0.5\"");
  EXPECT_EQ(CheckThing(quantity, "16Gi"), "\"16Gi\"");
  EXPECT_THAT(CheckThing(quantity, "true"), HasSubstr("is true or false, not a quantity"));
}

TEST(Validate, WhatIsFreeStillHoldsNoFractions) {
  const std::string free = "{type: object, x-kubernetes-preserve-unknown-fields: true}";
  EXPECT_EQ(CheckThing(free, "{a: [1, {b: c}]}"), R"({"a":[1,{"b":"c"}]})");
  EXPECT_EQ(CheckThing(free, "{a: [1.5]}"), "spec.a[0]: is a fraction: put it in quotes\n");
}

TEST(Validate, BareWordsThatKubectlReadsAsBooleans) {
  EXPECT_EQ(CheckThing("{type: string}", "NO"),
            "spec: is true or false, not text: put it in quotes, \"NO\": kubectl reads the bare "
            "word as false\n");
}

TEST(Schemas, RefuseKeywordsThatAreNotEnforced) {
  const auto message = [](const std::string& schema) {
    const auto loaded = LoadThing(schema);
    return loaded ? std::string("accepted") : loaded.error().message;
  };
  EXPECT_EQ(message("{type: integer, multipleOf: 2}"),
            "thing.yaml: Thing.spec: the keyword multipleOf is not enforced");
  EXPECT_THAT(message("{type: string, pattern: '^a$'}"), HasSubstr("a pattern needs a maxLength"));
  EXPECT_THAT(message("{type: string, maxLength: 3, pattern: '('}"),
              HasSubstr("the pattern is wrong"));
  EXPECT_THAT(message("{type: object, required: [a]}"), HasSubstr("a is required but not defined"));
  EXPECT_THAT(message("{type: thing}"), HasSubstr("unknown type"));
  EXPECT_THAT(message("{type: 7}"), HasSubstr("unknown type"));
  EXPECT_THAT(message("{type: string, maxLength: many}"), HasSubstr("a definition is wrong"));
  EXPECT_THAT(message("{$ref: nothing}"), HasSubstr("$ref names no shared part"));
  EXPECT_THAT(message("{oneOf: [{type: object}]}"), HasSubstr("may only list"));
}

TEST(Schemas, FindWhatAPersonTypes) {
  const Schemas& schemas = Schemas::Embedded();
  for (const char* word :
       {"BurstPolicy", "burstpolicies", "burstpolicy", "bp", "burstpolicies.spillway.dev", "BP"}) {
    const Kind* kind = schemas.FindResource(word);
    ASSERT_NE(kind, nullptr) << word;
    EXPECT_EQ(kind->kind, "BurstPolicy");
  }
  EXPECT_EQ(schemas.FindResource("pvc")->kind, "PersistentVolumeClaim");
  EXPECT_EQ(schemas.FindResource("jobs.batch")->api_version, "batch/v1");
  EXPECT_EQ(schemas.FindResource("deploy"), nullptr);
  EXPECT_EQ(schemas.FindResource(""), nullptr);
  EXPECT_NE(schemas.Find("v1", "Pod"), nullptr);
  EXPECT_EQ(schemas.Find("v2", "Pod"), nullptr);
  EXPECT_EQ(schemas.kinds().size(), 13u);
}

TEST(Schemas, ScopesAreThoseOfKubernetes) {
  std::vector<std::string> cluster;
  for (const Kind& kind : Schemas::Embedded().kinds())
    if (!kind.namespaced) cluster.push_back(kind.kind);
  EXPECT_THAT(cluster,
              ::testing::UnorderedElementsAre("Budget", "BurstNode", "BurstPolicy", "CloudProvider",
                                              "Namespace", "Node", "PriorityClass"));
}

// Every field is described, every list and text that people write is bounded, and a default fits
// its own schema.
void ExpectWellDefined(const Node& node, const std::string& where) {
  if (where.find('.') != std::string::npos && !where.ends_with(".apiVersion") &&
      !where.ends_with(".kind")) {
    EXPECT_NE(node.description, "") << where;
  }
  if (node.type == Type::kArray && !where.ends_with("managedFields")) {
    EXPECT_TRUE(node.max_items.has_value()) << where;
    EXPECT_NE(node.items, nullptr) << where;
  }
  if (node.default_value) {
    json::value value = *node.default_value;
    EXPECT_EQ(FormatProblems(ValidateNode(node, "", value, {}, where, false)), "");
  }
  for (const auto& [name, child] : node.properties) ExpectWellDefined(*child, where + "." + name);
  if (node.additional) ExpectWellDefined(*node.additional, where + ".*");
  if (node.items) ExpectWellDefined(*node.items, where + "[]");
}

TEST(Definitions, DescribeEveryFieldAndBoundEveryList) {
  for (const Kind& kind : Schemas::Embedded().kinds()) {
    EXPECT_NE(kind.schema->description, "") << kind.kind;
    EXPECT_FALSE(kind.columns.empty()) << kind.kind;
    for (const PrinterColumn& column : kind.columns) {
      EXPECT_NE(column.description, "") << kind.kind << " " << column.name;
      EXPECT_THAT(column.json_path, ::testing::StartsWith(".")) << kind.kind;
    }
    ExpectWellDefined(*kind.schema, kind.kind);
  }
}

TEST(Definitions, CustomResourcesAreRealOnes) {
  int count = 0;
  for (const EmbeddedFile& file : EmbeddedFiles()) {
    if (!file.name.starts_with("crds/")) continue;
    ++count;
    const auto documents = ReadYaml(file.name, file.text);
    ASSERT_TRUE(documents.has_value());
    ASSERT_EQ(documents->size(), 1u);
    const json::value& crd = documents->front().value;
    const json::value& spec = crd.at("spec");
    EXPECT_EQ(StringOr(crd, "apiVersion", ""), "apiextensions.k8s.io/v1");
    const std::string name =
        std::string(StringOr(spec.at("names"), "plural", "")) + ".spillway.dev";
    EXPECT_EQ(StringOr(crd.at("metadata"), "name", ""), name);
    EXPECT_EQ(file.name, "crds/" + name + ".yaml");
    const json::value& version = spec.at("versions").at(0);
    EXPECT_TRUE(version.at("subresources").as_object().contains("status"));
    EXPECT_TRUE(version.at("served").as_bool() && version.at("storage").as_bool());
    EXPECT_EQ(file.text.find("x-spillway"), std::string_view::npos);
    EXPECT_EQ(file.text.find("$ref"), std::string_view::npos);
    for (std::size_t at = 0; (at = file.text.find(" format: ", at)) != std::string_view::npos;) {
      at += 9;  // only formats that an API server knows; it warns of any other
      EXPECT_THAT(std::string(file.text.substr(at, file.text.find_first_of(",}\n", at) - at)),
                  ::testing::AnyOf("int32", "int64", "date-time", "duration"))
          << file.name;
    }
    const Kind* kind = Schemas::Embedded().FindResource(name);
    ASSERT_NE(kind, nullptr);
    EXPECT_TRUE(kind->schema->properties.at("status")->properties.contains("conditions"));
  }
  EXPECT_EQ(count, 5);
}

constexpr std::tuple<const char*, const char*, bool> kFormatCases[] = {
    {"money", "3.50 EUR", true},
    {"money", "3.50", false},
    {"duration", "1h30m", true},
    {"duration", "1 hour", false},
    {"quantity", "1.5Gi", true},
    {"quantity", "1.5GiB", false},
    {"date-time", "2026-11-24T08:15:30Z", true},
    {"date-time", "yesterday", false},
    {"glob", "train/**", true},
    {"glob", "**/*.[a-z]??", true},
    {"glob", "a\\[b", true},
    {"glob", "a//b", false},
    {"glob", "a/", false},
    {"glob", "./a", false},
    {"glob", "a]", false},
    {"glob", "[z-a]", false},
    {"dns-label", "a-1", true},
    {"dns-label", "a.b", false},
    {"dns-label", "-a", false},
    {"dns-subdomain", "a.b-c", true},
    {"dns-subdomain", "a..b", false},
    {"dns-subdomain", "A", false},
    {"label-key", "nvidia.com/gpu.product", true},
    {"label-key", "a/b/c", false},
    {"label-key", "/a", false},
    {"label-value", "", true},
    {"label-value", "A_b.c", true},
    {"label-value", "a b", false},
    {"secret-key", "tls.key", true},
    {"secret-key", "a/b", false},
    {"byte", "aGk=", true},
    {"byte", "hi!", false},
    {"int64", "anything", true}};

// Format to pattern, of everything below `node`.
void CollectPatterns(const Node& node, std::map<std::string, const Node*>& patterns) {
  if (!node.format.empty() && !node.pattern.empty()) patterns[node.format] = &node;
  for (const auto& [name, child] : node.properties) CollectPatterns(*child, patterns);
  if (node.items) CollectPatterns(*node.items, patterns);
  if (node.additional) CollectPatterns(*node.additional, patterns);
}

TEST(Formats, PatternsOfCustomResourcesStandForThemAndRefuseNothingMore) {
  std::map<std::string, const Node*> patterns;
  for (const Kind& kind : Schemas::Embedded().kinds())
    if (!kind.embedded) CollectPatterns(*kind.schema->properties.at("spec"), patterns);
  std::vector<std::string> formats;
  for (const auto& [format, node] : patterns) formats.push_back(format);
  EXPECT_THAT(formats, ::testing::ElementsAre("dns-label", "dns-subdomain", "duration", "glob",
                                              "label-key", "label-value", "money", "quantity"));
  for (const auto& [format, text, right] : kFormatCases)
    if (const auto found = patterns.find(format); right && found != patterns.end()) {
      EXPECT_TRUE(std::regex_search(text, *found->second->compiled_pattern))
          << format << " " << text;
    }
}

TEST(Formats, AcceptAndRefuse) {
  for (const auto& [format, text, right] : kFormatCases)
    EXPECT_EQ(!CheckFormat(format, text).has_value(), right) << format << " " << text;
}

}  // namespace
}  // namespace spillway::schema
