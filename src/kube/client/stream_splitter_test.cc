#include "kube/client/stream_splitter.h"

#include <doctest/doctest.h>

#include "kube/client/base64.h"

using namespace causeway;
using namespace causeway::kube;

// Items, then the envelope or the error, fed in pieces of `step` bytes.
static std::string split_list(std::string_view text, size_t step, size_t longest = 1000) {
  ListSplitter splitter(longest);
  std::string out;
  OnText on_item = [&](std::string_view item) {
    out += fmt::format("<{}> ", item);
    return ok();
  };
  for (size_t at = 0; at < text.size(); at += step)
    if (auto status = splitter.feed(text.substr(at, step), on_item); !status) return out + status.error().message();
  auto envelope = splitter.envelope();
  return out + (envelope ? *envelope : envelope.error().message());
}

static std::string split_lines(std::string_view text, size_t step, size_t longest = 1000) {
  LineSplitter splitter(longest);
  std::string out;
  OnText on_line = [&](std::string_view line) {
    out += fmt::format("<{}> ", line);
    return ok();
  };
  for (size_t at = 0; at < text.size(); at += step)
    if (auto status = splitter.feed(text.substr(at, step), on_line); !status) return out + status.error().message();
  auto end = splitter.finish();
  return out + (end ? "end" : end.error().message());
}

TEST_CASE("a list is cut into its items, however it arrives") {
  const std::string text =
      R"( {"kind":"PodList","items" : [ {"a":"}]\"\\"} , {"b":[{"items":[1]}]},{}],"metadata":{"items":[{"x":1}],"continue":"c"}} )";
  for (const size_t step : {1, 2, 3, 7, 1000})
    CHECK(
        split_list(text, step) ==
        R"(<{"a":"}]\"\\"}> <{"b":[{"items":[1]}]}> <{}> {"kind":"PodList","items" : [],"metadata":{"items":[{"x":1}],"continue":"c"}})");
}

TEST_CASE("a value called items is not the key") {
  CHECK(split_list(R"({"kind":"items","x":[{"a":1}],"items":null})", 5) ==
        R"({"kind":"items","x":[{"a":1}],"items":null})");
}

TEST_CASE("what is no list is refused") {
  CHECK(split_list("[]", 5) == "a list is not a JSON object: it begins with '['");
  CHECK(split_list(R"({"items":[{"a":1},2]})", 5) ==
        R"(<{"a":1}> an item of a list is not an object: it begins with '2')");
  CHECK(split_list(R"({"items":[{"a":1})", 5) == R"(<{"a":1}> the list ended before its closing brace)");
  CHECK(split_list(R"({} {})", 5) == "text follows the list");
  CHECK(split_list(R"({"items":[{"a":"0123456789012345678901234567890123456789"}]})", 4, 20) ==
        "an item of a list is longer than 20 bytes");
  CHECK(split_list(R"({"kind":"0123456789012345678901234567890123456789"})", 4, 20) ==
        "the metadata of a list is longer than 20 bytes");
}

TEST_CASE("a watch is cut into lines, however it arrives") {
  for (const size_t step : {1, 2, 5, 1000})
    CHECK(split_lines("{\"a\":1}\r\n\n{\"b\":2}\n", step) == "<{\"a\":1}> <{\"b\":2}> end");
  CHECK(split_lines("one\ntw", 100) == "<one> the stream ended inside of an event, after 2 bytes of it");
  for (const size_t step : {3, 100})
    CHECK(split_lines("0123456789\n", step, 5) == "a watch event is longer than 5 bytes");
}

TEST_CASE("base64") {
  CHECK(decode_base64("aGVsbG8=").value() == "hello");
  CHECK(decode_base64("aGVs\nbG8").value() == "hello");
  CHECK(decode_base64("").value() == "");
  CHECK(decode_base64("aGVsb*8=").error().message() == "not base64: '*'");
  CHECK(decode_base64("aGV=sbG8").error().message() == "not base64: 's'");
  CHECK(decode_base64("a").error().message() == "not base64: its last group is cut off");
}
