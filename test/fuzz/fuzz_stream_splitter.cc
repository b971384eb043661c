// deps: kube_client
// A list or a watch, cut into pieces at any place, gives the same items as in one piece, and gives all of its bytes.
#include <cstdint>
#include <vector>

#include "kube/client/stream_splitter.h"

namespace {

using namespace causeway;
using namespace causeway::kube;

struct Outcome {
  std::vector<std::string> items;
  std::string end;  // what is left, or the error
  bool operator==(const Outcome&) const = default;
};

Outcome split(std::string_view text, size_t step, bool list) {
  Outcome outcome;
  OnText on_text = [&](std::string_view item) {
    outcome.items.emplace_back(item);
    return ok();
  };
  ListSplitter lists;
  LineSplitter lines;
  Status status;
  for (size_t at = 0; status && at < text.size(); at += step)
    status = list ? lists.feed(text.substr(at, step), on_text) : lines.feed(text.substr(at, step), on_text);
  if (!status) {
    outcome.end = status.error().message();
  } else if (list) {
    auto envelope = lists.envelope();
    outcome.end = envelope ? *envelope : envelope.error().message();
  } else {
    status = lines.finish();
    outcome.end = status ? "" : status.error().message();
  }
  return outcome;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const size_t step = 1 + data[0] % 16;
  const std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
  for (const bool list : {true, false})
    if (split(text, step, list) != split(text, text.size() + 1, list)) __builtin_trap();
  return 0;
}
