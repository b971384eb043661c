// A line for each question (directive log), in CoreDNS' format or one of the Corefile's own.
#pragma once

#include "dns/corefile.h"
#include "dns/meter.h"

namespace causeway::dns {

class QueryLog {
 public:
  // Errors: Invalid, with the line's place: a {…} that is not known.
  static Result<QueryLog> make(const LogRule& rule);

  struct Line {
    const Query& query;
    Endpoint from, to;
    const Seen& seen;
    std::span<const uint8_t> reply;
    std::string_view pod;  // "ns/name" of who asks; "" where it is not known
  };
  // Whether the rule's zones and classes have it.
  bool wants(NameView name, std::span<const uint8_t> reply) const;
  bool wants_pod() const { return wants_pod_; }
  std::string text(const Line& line) const;

 private:
  LogRule rule_;
  std::vector<WireName> zones_;
  bool wants_pod_ = false;
};

}  // namespace causeway::dns
