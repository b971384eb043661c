#include "lab/dns_files.h"

#include "base/format.h"

namespace causeway::lab {

std::string node_corefile() {
  return R"(# Of the lab's nodes; read again when it changes. What may stand here: docs/corefile.md
.:53 {
    errors
    kubernetes cluster.local in-addr.arpa ip6.arpa {
        pods verified
        fallthrough in-addr.arpa ip6.arpa
    }
    prometheus :9153
    forward . /etc/resolv.conf
    cache 30
    loop
    reload 2s
    loadbalance
}
)";
}

std::string outside_corefile(const std::vector<Ip>& addresses) {
  std::string records;
  for (const Ip& ip : addresses) {
    const char* type = ip.is_v4() ? "A" : "AAAA";
    records +=
        fmt::format("    template IN {0} {{\n        answer \"{{{{ .Name }}}} 60 IN {0} {1}\"\n    }}\n", type, ip);
  }
  // Negative answers say how long they may be kept (RFC 2308).
  return fmt::format(R"(# Of the lab's outside host: the names of the world; read again when it changes
{0}:53 {{
    errors
{1}    template ANY ANY {{
        rcode NOERROR
        authority "{0}. 60 IN SOA ns.{0}. root.{0}. 1 3600 600 86400 60"
    }}
    reload 2s
}}
.:53 {{
    errors
    template ANY ANY {{
        rcode NXDOMAIN
        authority ". 60 IN SOA ns.{0}. root.{0}. 1 3600 600 86400 60"
    }}
}}
)",
                     kOutsideZone, records);
}

std::string node_resolv_conf(const std::vector<Ip>& outside_addresses) {
  if (outside_addresses.empty()) return "# the lab serves no DNS\n";
  std::string out;
  for (const Ip& ip : outside_addresses) out += fmt::format("nameserver {}\n", ip);
  return out;
}

}  // namespace causeway::lab
