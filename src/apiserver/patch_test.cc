#include <doctest/doctest.h>

#include <boost/json.hpp>

#include "apiserver/json_patch.h"
#include "apiserver/json_tree.h"
#include "apiserver/strategic_patch.h"

namespace causeway::apiserver {
namespace {

std::string json_patch(std::string_view target, std::string_view patch) {
  json::value tree = *parse_value(target);
  const json::value before = tree;
  Status done = apply_json_patch(tree, *parse_value(patch));
  if (done) return json::serialize(tree);
  CHECK(tree == before);
  return std::string(to_string(done.error().code())) + ": " + done.error().message();
}

std::string merge_patch(std::string_view target, std::string_view patch) {
  json::value tree = *parse_value(target);
  apply_merge_patch(tree, *parse_value(patch));
  return json::serialize(tree);
}

std::string strategic(std::string_view kind, std::string_view target, std::string_view patch) {
  json::object tree = *parse_object(target);
  const kube::TypeSchema* type = kube::find_type(kind);
  REQUIRE(type);
  Status done = apply_strategic_patch(tree, *parse_object(patch), *type);
  return done ? json::serialize(tree) : done.error().message();
}

TEST_CASE("JSON patch does what RFC 6902 shows in its appendix") {
  CHECK(json_patch(R"({"foo":"bar"})", R"([{"op":"add","path":"/baz","value":"qux"}])") ==
        R"({"foo":"bar","baz":"qux"})");
  CHECK(json_patch(R"({"foo":["bar","baz"]})", R"([{"op":"add","path":"/foo/1","value":"qux"}])") ==
        R"({"foo":["bar","qux","baz"]})");
  CHECK(json_patch(R"({"baz":"qux","foo":"bar"})", R"([{"op":"remove","path":"/baz"}])") == R"({"foo":"bar"})");
  CHECK(json_patch(R"({"foo":["bar","qux","baz"]})", R"([{"op":"remove","path":"/foo/1"}])") ==
        R"({"foo":["bar","baz"]})");
  CHECK(json_patch(R"({"baz":"qux","foo":"bar"})", R"([{"op":"replace","path":"/baz","value":"boo"}])") ==
        R"({"baz":"boo","foo":"bar"})");
  CHECK(json_patch(R"({"foo":["all","grass","cows","eat"]})", R"([{"op":"move","from":"/foo/1","path":"/foo/3"}])") ==
        R"({"foo":["all","cows","eat","grass"]})");
  CHECK(json_patch(R"({"a":{"b":1}})", R"([{"op":"copy","from":"/a","path":"/c"}])") == R"({"a":{"b":1},"c":{"b":1}})");
  CHECK(json_patch(R"({"foo":["bar"]})", R"([{"op":"add","path":"/foo/-","value":["abc","def"]}])") ==
        R"({"foo":["bar",["abc","def"]]})");
  CHECK(json_patch(R"({"/":9,"~1":10})", R"([{"op":"test","path":"/~01","value":10}])") == R"({"/":9,"~1":10})");
}

TEST_CASE("a JSON patch that fails names its operation and changes nothing") {
  CHECK(json_patch(R"({"a":1})", R"([{"op":"add","path":"/b","value":2},{"op":"test","path":"/a","value":2}])") ==
        "conflict: operation 1 of the JSON patch: testing value /a failed: it is another");
  CHECK(json_patch(R"({"foo":"bar"})", R"([{"op":"add","path":"/baz/bat","value":"qux"}])") ==
        "conflict: operation 0 of the JSON patch: the path \"/baz/bat\" does not exist");
  CHECK(json_patch(R"({"a":[1]})", R"([{"op":"remove","path":"/a/01"}])") ==
        "conflict: operation 0 of the JSON patch: the path \"/a/01\" does not exist");
  CHECK(json_patch(R"({})", R"([{"op":"jump","path":"/a"}])") ==
        "invalid: operation 0 of the JSON patch: its op \"jump\" is none of add, remove, replace, move, copy, test");
  CHECK(json_patch(R"({"a":{"b":1}})", R"([{"op":"move","from":"/a","path":"/a/b"}])") ==
        "invalid: operation 0 of the JSON patch: \"/a\" cannot be moved into itself");
  CHECK(json_patch(R"({})", R"({"op":"add"})") == "invalid: a JSON patch is an array of operations");
}

TEST_CASE("merge patch does what RFC 7386 shows in its appendix") {
  CHECK(merge_patch(R"({"a":"b"})", R"({"a":"c"})") == R"({"a":"c"})");
  CHECK(merge_patch(R"({"a":"b","b":"c"})", R"({"a":null})") == R"({"b":"c"})");
  CHECK(merge_patch(R"({"a":["b"]})", R"({"a":"c"})") == R"({"a":"c"})");
  CHECK(merge_patch(R"({"a":{"b":"c"}})", R"({"a":{"b":"d","c":null}})") == R"({"a":{"b":"d"}})");
  CHECK(merge_patch(R"({"a":"foo"})", R"("bar")") == R"("bar")");
  CHECK(merge_patch(R"([1,2])", R"({"a":"b","c":null})") == R"({"a":"b"})");
  CHECK(merge_patch(R"({})", R"({"a":{"bb":{"ccc":null}}})") == R"({"a":{"bb":{}}})");
}

TEST_CASE("a strategic merge patch merges containers by name and ports by containerPort") {
  const char* pod =
      R"({"spec":{"containers":[{"name":"a","image":"1","ports":[{"containerPort":80}]},{"name":"b","image":"2"}]}})";
  CHECK(
      strategic("Pod", pod, R"({"spec":{"containers":[{"name":"b","image":"3"},{"name":"c","image":"4"}]}})") ==
      R"({"spec":{"containers":[{"name":"a","image":"1","ports":[{"containerPort":80}]},{"name":"b","image":"3"},{"name":"c","image":"4"}]}})");
  CHECK(
      strategic("Pod", pod, R"({"spec":{"containers":[{"name":"a","ports":[{"containerPort":81}]}]}})") ==
      R"({"spec":{"containers":[{"name":"a","image":"1","ports":[{"containerPort":81},{"containerPort":80}]},{"name":"b","image":"2"}]}})");
  CHECK(strategic("Pod", pod, R"({"spec":{"containers":[{"name":"a","$patch":"delete"}]}})") ==
        R"({"spec":{"containers":[{"name":"b","image":"2"}]}})");
  CHECK(strategic("Pod", pod, R"({"spec":{"containers":[{"$patch":"replace"},{"name":"z","image":"9"}]}})") ==
        R"({"spec":{"containers":[{"name":"z","image":"9"}]}})");
  CHECK(strategic("Pod", pod, R"({"spec":{"containers":[{"image":"9"}]}})") ==
        "strategic merge patch at spec.containers: an element of the list has no \"name\", its merge key");
}

TEST_CASE("$setElementOrder puts what it names into its order, and leaves the rest where it stood") {
  const char* pod = R"({"spec":{"containers":[{"name":"a"},{"name":"b"},{"name":"c"}]}})";
  CHECK(strategic("Pod", pod, R"({"spec":{"$setElementOrder/containers":[{"name":"c"},{"name":"a"}]}})") ==
        R"({"spec":{"containers":[{"name":"b"},{"name":"c"},{"name":"a"}]}})");
  CHECK(strategic("Pod", pod,
                  R"({"spec":{"$setElementOrder/containers":[{"name":"d"},{"name":"a"},{"name":"b"},{"name":"c"}],)"
                  R"("containers":[{"name":"d"}]}})") ==
        R"({"spec":{"containers":[{"name":"d"},{"name":"a"},{"name":"b"},{"name":"c"}]}})");
}

TEST_CASE("lists of scalars that are sets merge, and $deleteFromPrimitiveList takes away") {
  const char* object = R"({"metadata":{"finalizers":["a","b"]}})";
  CHECK(strategic("Pod", object, R"({"metadata":{"finalizers":["b","c"]}})") ==
        R"({"metadata":{"finalizers":["a","b","c"]}})");
  CHECK(strategic("Pod", object, R"({"metadata":{"$deleteFromPrimitiveList/finalizers":["a"]}})") ==
        R"({"metadata":{"finalizers":["b"]}})");
}

TEST_CASE("lists without a merge key are replaced, maps merge, null removes") {
  CHECK(strategic("Pod", R"({"spec":{"containers":[{"name":"a","args":["1","2"]}]}})",
                  R"({"spec":{"containers":[{"name":"a","args":["3"]}]}})") ==
        R"({"spec":{"containers":[{"name":"a","args":["3"]}]}})");
  CHECK(strategic("Pod", R"({"metadata":{"labels":{"a":"1","b":"2"}}})",
                  R"({"metadata":{"labels":{"a":null,"c":"3"}}})") == R"({"metadata":{"labels":{"b":"2","c":"3"}}})");
  CHECK(strategic("Pod", R"({"spec":{"nodeSelector":{"a":"1"}}})",
                  R"({"spec":{"nodeSelector":{"$patch":"replace","b":"2"}}})") ==
        R"({"spec":{"nodeSelector":{"b":"2"}}})");
}

TEST_CASE("$retainKeys drops the members of a union that it does not name") {
  const char* deployment = R"({"spec":{"strategy":{"type":"RollingUpdate","rollingUpdate":{"maxSurge":1}}}})";
  CHECK(
      strategic("apps.Deployment", deployment, R"({"spec":{"strategy":{"$retainKeys":["type"],"type":"Recreate"}}})") ==
      R"({"spec":{"strategy":{"type":"Recreate"}}})");
  CHECK(strategic("apps.Deployment", deployment, R"({"spec":{"strategy":{"$retainKeys":["x"],"type":"Recreate"}}})") ==
        "strategic merge patch at spec.strategy: $retainKeys does not name \"type\", which the patch sets");
}

}  // namespace
}  // namespace causeway::apiserver
