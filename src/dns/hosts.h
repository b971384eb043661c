// Names and addresses of a hosts file and of the Corefile's own lines (directive hosts).
#pragma once

#include <map>
#include <memory>

#include "dns/corefile.h"
#include "dns/message.h"

namespace causeway::dns {

class Hosts {
 public:
  // Lines of /etc/hosts' form; what is no address or no name is left out, as resolvers do.
  static std::shared_ptr<const Hosts> parse(const HostsDirective& directive, std::string_view file);

  struct Found {
    bool known = false;  // the name is there, with records of this or another type
    std::vector<Resource> records;
  };
  Found find(NameView name, Type type) const;
  size_t entries() const { return entries_; }

 private:
  uint32_t ttl_ = 3600;
  size_t entries_ = 0;
  std::map<std::string, std::vector<Ip>> by_name_;           // wire form in lower case
  std::map<std::string, std::vector<WireName>> by_address_;  // of reverse names
};

// The name whose PTR record tells who has the address: 4.3.2.1.in-addr.arpa.
WireName reverse_name(const Ip& ip);

}  // namespace causeway::dns
