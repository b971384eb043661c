#include "cli/pod.h"

#include <cstdio>

#include "cli/output.h"

namespace causeway::cli {

namespace {

// Several nodes as JSON are a list; one is the object itself.
int print(const AddressOptions& options, const std::string& page) {
  auto places = places_of(options.place);
  if (!places) return complain(places.error());
  int status = 0;
  std::string out;
  for (const auto& place : *places) {
    auto answer = fetch_page(place, page + (options.json ? "?output=json" : ""));
    if (!answer) {
      status = complain(answer.error());
      continue;
    }
    const bool agree = options.json ? answer->ends_with("\"differences\":[]}\n")
                                    : answer->ends_with("addresses, kernel and API: agree\n");
    if (!agree) status = 1;
    if (options.json)
      out += (out.empty() ? "" : ",") + answer->substr(0, answer->size() - 1);
    else
      out += (out.empty() ? "" : "\n") + *answer;
  }
  if (options.json) out = places->size() == 1 ? out + "\n" : "[" + out + "]\n";
  std::fwrite(out.data(), 1, out.size(), stdout);
  return status;
}

}  // namespace

int pod_ls(const AddressOptions& options) { return print(options, "/pods/list"); }
int ipam(const AddressOptions& options) { return print(options, "/ipam"); }

}  // namespace causeway::cli
