#include "cli/dns.h"

#include <cstdio>

#include "cli/output.h"
#include "http/message.h"

namespace causeway::cli {

int dns_lookup(const DnsLookup& options) {
  const std::string target = fmt::format("/lookup?name={}&type={}&pod={}", http::percent_encode(options.name),
                                         http::percent_encode(options.type), http::percent_encode(options.pod));
  const auto text = fetch_page(options.place, target, "dns-observe.sock");
  if (!text) return complain(text.error());
  std::fwrite(text->data(), 1, text->size(), stdout);
  // Records stand behind two blanks.
  return text->find("\n  ") != std::string::npos ? 0 : 1;
}

}  // namespace causeway::cli
