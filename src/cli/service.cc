#include "cli/service.h"

#include <cstdio>

#include "cli/output.h"
#include "http/message.h"

namespace causeway::cli {

namespace {

// 1 where the kernel holds something else, so that scripts can ask; 2 where what was asked makes no sense.
int print(const Result<std::string>& page) {
  if (!page) return complain(page.error()) + (page.error().code() == Errc::Invalid);
  std::fwrite(page->data(), 1, page->size(), stdout);
  return page->find(" rows differ\n") == page->npos ? 0 : 1;
}

}  // namespace

int service_ls(const AgentPlace& place) { return print(fetch_page(place, "/services")); }

int service_show(const AgentPlace& place, const std::string& service) {
  return print(fetch_page(place, "/services/show?service=" + http::percent_encode(service)));
}

int service_trace(const TraceOptions& options) {
  const auto slash = options.to.rfind('/');
  const std::string protocol = slash == std::string::npos ? "tcp" : options.to.substr(slash + 1);
  return print(fetch_page(
      options.place, fmt::format("/services/trace?from={}&to={}&protocol={}", http::percent_encode(options.from),
                                 http::percent_encode(options.to.substr(0, slash)), http::percent_encode(protocol))));
}

}  // namespace causeway::cli
