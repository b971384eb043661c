#include "http/message.h"

#include <doctest/doctest.h>

#include "http/output_queue.h"
#include "http/response_head.h"

using namespace causeway;
using namespace causeway::http;

static std::string render(std::string_view text) {
  auto target = parse_target(text);
  if (!target) return target.error().message();
  std::string out = target->path;
  for (const auto& [key, value] : target->query) out += fmt::format(" [{}={}]", key, value);
  return out;
}

TEST_CASE("a target is split and decoded in the order of its query") {
  CHECK(render("/api/v1/pods?watch=true&labelSelector=app%3Dweb%2Ctier+in+%28a%29&watch=0") ==
        "/api/v1/pods [watch=true] [labelSelector=app=web,tier in (a)] [watch=0]");
  CHECK(render("/a+b%20c") == "/a+b c");
  CHECK(render("/x?") == "/x");
  CHECK(render("/x?a&b=&=c&&d=1=2#e") == "/x [a=] [b=] [=c] [d=1=2]");
}

TEST_CASE("a target that cannot be read is refused") {
  CHECK(render("") == "the request target \"\" does not begin with '/'");
  CHECK(render("http://x/") == "the request target \"http://x/\" does not begin with '/'");
  CHECK(render("/a%2") == "path: a percent sign is not followed by two digits in \"/a%2\"");
  CHECK(render("/a?b=%zz") == "query: a percent sign is not followed by two digits in \"%zz\"");
  CHECK(render("/a%00b") == "the path holds a zero byte");
}

TEST_CASE("what was encoded decodes to itself") {
  std::string all;
  for (int c = 1; c < 256; ++c) all += static_cast<char>(c);
  CHECK(parse_target("/x?v=" + percent_encode(all))->get("v") == all);
  CHECK(percent_encode("a/b c~") == "a%2Fb%20c~");
}

TEST_CASE("header names compare without case") {
  Headers headers{{"Content-Type", "a"}};
  headers["content-TYPE"] = "b";
  CHECK(headers.size() == 1);
  CHECK(headers.find("CONTENT-TYPE")->second == "b");
}

TEST_CASE("a header value cannot smuggle a line in") {
  const auto head = format_head(200, {{"X", "a\r\nEvil: 1"}, {"content-length", "7"}}, Framing::Length, 3, false,
                                WallTime(std::chrono::seconds(784111777)));
  CHECK(head ==
        "HTTP/1.1 200 OK\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\nX: a  Evil: 1\r\n"
        "Connection: close\r\nContent-Length: 3\r\n\r\n");
}

TEST_CASE("small pieces are joined behind what is being sent") {
  OutputQueue queue;
  queue.push("a");
  queue.push("b");
  CHECK(queue.lend_front() == "ab");
  queue.push("c");
  queue.push("d");
  queue.consume(1);
  CHECK(queue.lend_front() == "b");
  queue.consume(1);
  CHECK(queue.lend_front() == "cd");
  queue.consume(2);
  CHECK(queue.empty());
}
