#include "kube/api/selector.h"

#include <doctest/doctest.h>

using namespace causeway;
using namespace causeway::kube;

namespace {
Selector must(std::string_view text) {
  auto selector = Selector::parse(text);
  REQUIRE_MESSAGE(selector.has_value(), (selector ? "" : selector.error().message()));
  return *selector;
}
}  // namespace

TEST_CASE("a label selector reads every form of kubectl and prints the canonical one") {
  for (auto [text, canonical] :
       std::initializer_list<std::pair<const char*, const char*>>{{"", ""},
                                                                  {"app=web", "app=web"},
                                                                  {" app == web ", "app=web"},
                                                                  {"tier in (b, a,b),!old,x", "!old,tier in (a,b),x"},
                                                                  {"a notin (x,),v>3,w<4", "a notin (,x),v>3,w<4"},
                                                                  {"in in (in)", "in=in"},
                                                                  {"a=", "a="},
                                                                  {"e.com/a!=b", "e.com/a!=b"}}) {
    CHECK(to_string(must(text)) == canonical);
    CHECK(must(canonical) == must(text));
  }
}

TEST_CASE("a label selector matches as Kubernetes does, absence included") {
  StringMap labels{{"app", "web"}, {"v", "10"}, {"empty", ""}};
  for (auto* yes :
       {"", "app", "app=web", "app in (web,db)", "other!=x", "other notin (x)", "!other", "v>9", "v<11", "empty="})
    CHECK_MESSAGE(must(yes).matches(labels), yes);
  for (auto* no : {"other", "app!=web", "!app", "v>10", "app>1", "other=", "app in (x)", "app=web,other"})
    CHECK_MESSAGE(!must(no).matches(labels), no);
  CHECK(!Selector::nothing().matches({}));
  CHECK(Selector::everything().matches({}));
}

TEST_CASE("a bad label selector says what stands where something else should") {
  for (auto [text, message] : std::initializer_list<std::pair<const char*, const char*>>{
           {"a,", "found end of string, expected: identifier after ','"},
           {",a", "found ',', expected: identifier"},
           {"a in", "found end of string, expected: '('"},
           {"a in (b", "found end of string, expected: ',' or ')'"},
           {"a b", "found 'b', expected: in, notin, =, ==, !=, >, <"},
           {"a=b c", "found 'c', expected: ','"},
           {"v>x", "label key \"v\": Gt and Lt need exactly one integer"}})
    CHECK(Selector::parse(text).error().message() == "label selector \"" + std::string(text) + "\": " + message);
  CHECK(!Selector::parse("a/b/c=d"));
  CHECK(!Selector::parse("a=b@c"));
}

TEST_CASE("an object's LabelSelector is the conjunction of both its parts") {
  LabelSelector source{.match_labels = {{"app", "web"}},
                       .match_expressions = {{"tier", "NotIn", {"db"}}, {"x", "Exists", {}}}};
  CHECK(to_string(*Selector::from(source)) == "app=web,tier!=db,x");
  CHECK(Selector::from(LabelSelector{})->matches_everything());
  CHECK(!Selector::from(LabelSelector{.match_expressions = {{"a", "Gt", {"1"}}}}));
  CHECK(!Selector::from(LabelSelector{.match_expressions = {{"a", "In", {}}}}));
  CHECK(!Selector::from(LabelSelector{.match_expressions = {{"a", "Exists", {"b"}}}}));
}

TEST_CASE("a field selector compares whole fields") {
  auto selector = FieldSelector::parse("spec.nodeName=n1,status.phase!=Running,metadata.name==a\\,b");
  REQUIRE(selector);
  CHECK(to_string(*selector) == "spec.nodeName=n1,status.phase!=Running,metadata.name=a\\,b");
  CHECK(selector->matches({{"spec.nodeName", "n1"}, {"metadata.name", "a,b"}}));
  CHECK(!selector->matches({{"spec.nodeName", "n1"}, {"metadata.name", "a,b"}, {"status.phase", "Running"}}));
  CHECK(FieldSelector::parse("spec.nodeName=")->matches({}));
  CHECK(FieldSelector::parse("")->matches_everything());
  CHECK(FieldSelector::parse("a").error().message() == "invalid selector: 'a'; can't understand 'a'");
  CHECK(!FieldSelector::parse("a=b=c"));
  CHECK(!FieldSelector::parse("a=b\\"));
}
