#include "cli/manifest.h"

#include <doctest/doctest.h>

using namespace causeway::cli;

namespace {
std::string json_of(const std::string& text) {
  auto parsed = parse_manifests(text, "x.yaml");
  if (!parsed) return "error: " + parsed.error().message();
  std::string out;
  for (const auto& manifest : *parsed) out += manifest.json + "\n";
  return out;
}
}  // namespace

TEST_CASE("plain scalars have the types that kubectl gives them, quoted ones are strings") {
  CHECK(json_of("apiVersion: v1\nkind: X\nmetadata: {name: a}\nd: [1, -2, 1.5, true, no, ~, null, \"1\", 'true', 0x1f, "
                "1e3, v1.0, '']\n") ==
        "{\"apiVersion\":\"v1\",\"kind\":\"X\",\"metadata\":{\"name\":\"a\"},\"d\":[1,-2,1.5E0,true,false,null,null,"
        "\"1\",\"true\",31,1E3,\"v1.0\",\"\"]}\n");
}

TEST_CASE("documents and the items of a List are manifests of their own") {
  CHECK(
      json_of(
          "---\n# nothing\n---\napiVersion: v1\nkind: A\nmetadata: {name: a}\n---\napiVersion: v1\nkind: List\nitems:\n"
          "- {apiVersion: v1, kind: B, metadata: {name: b}}\n") ==
      "{\"apiVersion\":\"v1\",\"kind\":\"A\",\"metadata\":{\"name\":\"a\"}}\n{\"apiVersion\":\"v1\",\"kind\":\"B\","
      "\"metadata\":{\"name\":\"b\"}}\n");
}

TEST_CASE("what is no manifest is refused with its place") {
  CHECK(json_of("kind: A\n") == "error: x.yaml: apiVersion or kind is not set");
  CHECK(json_of("apiVersion: v1\nkind: A\n") == "error: x.yaml: A: metadata.name is not set");
  CHECK(json_of("apiVersion: v1\nkind: A\nmetadata: {name: a}\nkind: B\n") ==
        "error: x.yaml: line 4: the key \"kind\" is there twice");
  CHECK(json_of("- 1\n") == "error: x.yaml: a manifest is a map with apiVersion and kind");
  CHECK(json_of("a: [\n").starts_with("error: x.yaml: line 2, column 1: "));
}

TEST_CASE("a field that the manifest no longer has is removed, one that others set stays") {
  CHECK(three_way_patch(R"({"spec":{"a":1,"b":2},"data":{"x":"1"}})", R"({"spec":{"a":3}})") ==
        R"({"spec":{"a":3,"b":null},"data":null})");
  CHECK(three_way_patch("", R"({"a":1})") == R"({"a":1})");
}
