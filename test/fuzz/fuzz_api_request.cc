// deps: apiserver
// A method, a target and an Accept header from anybody, on three lines: parsing ends in a call of a kind that is
// served, or in a refusal with a code.
#include <boost/json.hpp>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "apiserver/continue_token.h"
#include "apiserver/filter.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace causeway;
  using namespace causeway::apiserver;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const size_t first = text.find('\n');
  const size_t second = first == text.npos ? text.npos : text.find('\n', first + 1);
  if (second == text.npos) return 0;
  http::Request request{.method = std::string(text.substr(0, first)),
                        .headers = {{"Accept", std::string(text.substr(second + 1))}}};
  if (auto accepted = negotiate(request); !accepted && accepted.error().status.code != 406) std::abort();
  auto target = http::parse_target(text.substr(first + 1, second - first - 1));
  if (!target || target->path.empty()) return 0;
  auto call = parse_call(request.method, std::move(*target));
  if (!call) {
    if (call.error().status.code < 400) std::abort();
    return 0;
  }
  if (!call->kind || (call->ns.empty() && !call->name.empty() && call->kind->info.namespaced)) std::abort();
  (void)Filter::parse(*call);
  if (auto token = decode_token(call->option("continue"))) {
    auto again = decode_token(encode_token(*token));
    if (!again || again->revision != token->revision || again->after != token->after) std::abort();
  }
  return 0;
}
