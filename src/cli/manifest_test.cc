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

TEST_CASE("aliases are followed, but not into billions of values") {
  CHECK(json_of("apiVersion: v1\nkind: A\nmetadata: &m {name: a}\nd: [*m, *m]\n") ==
        "{\"apiVersion\":\"v1\",\"kind\":\"A\",\"metadata\":{\"name\":\"a\"},\"d\":[{\"name\":\"a\"},{\"name\":\"a\"}]}"
        "\n");
  std::string bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n";
  for (int i = 1; i < 9; ++i) {
    bomb += fmt::format("a{}: &a{} [", i, i);
    for (int j = 0; j < 9; ++j) bomb += fmt::format("{}*a{}", j == 0 ? "" : ", ", i - 1);
    bomb += "]\n";
  }
  CHECK(json_of(bomb) == "error: x.yaml: line 1: its aliases make it more than ten times as large as it is written");
  // Long texts count as what they are.
  std::string texts = "a: &a " + std::string(100'000, 'x') + "\nb: [*a";
  for (int i = 0; i < 1000; ++i) texts += ", *a";
  CHECK(json_of(texts + "]\n").contains("its aliases make it more than ten times"));
}

TEST_CASE("what is nested too deep is refused with that reason") {
  for (const size_t depth : {200, 20'000})
    CHECK(json_of("a: " + std::string(depth, '[') + std::string(depth, ']')).contains("nested deeper than 100 levels"));
}
