// Values of a Corefile's words: what all directives' readers share.
#pragma once

#include "dns/corefile.h"

namespace causeway::dns {

// "FILE:LINE: DIRECTIVE: ...".
template <class... Args>
std::unexpected<Error> refuse(const Place& place, fmt::format_string<Args...> format, Args&&... args) {
  return fail(Errc::Invalid, "{}: {}", to_string(place), fmt::format(format, std::forward<Args>(args)...));
}

// "Cluster.Local" -> "cluster.local."; refuses what is no DNS name (RFC 1035: labels of 1..63 octets, 255 in all).
Result<ZoneText> parse_zone(const Word& word);
// The same, where 10.0.0.0/8 means its reverse zones too.
Result<std::vector<ZoneText>> parse_zones(const Word& word);
Result<std::vector<ZoneText>> parse_zones(const std::vector<Word>& words, size_t from);

// "5s", "1m30s", "500ms", as Go writes them; a number alone is seconds.
Result<std::chrono::milliseconds> parse_duration(const Word& word);
Result<uint64_t> parse_number(const Word& word, uint64_t low, uint64_t high);
// "A", "aaaa", "TYPE65"; "ANY" is 255.
Result<uint16_t> parse_type(const Word& word);
Result<uint8_t> parse_rcode(const Word& word);

// How many arguments a line has: refuses fewer than `low` and more than `high`, and braces where it has none.
Status check_shape(const Directive& directive, size_t low, size_t high, bool braces = false);
Result<Fallthrough> parse_fallthrough(const Directive& line);

// One for each directive.
Result<KubernetesDirective> parse_kubernetes(const Directive& directive, const std::vector<ZoneText>& block_zones);
Result<ForwardDirective> parse_forward(const Directive& directive);
Result<CacheDirective> parse_cache(const Directive& directive, const std::vector<ZoneText>& block_zones);
Result<HostsDirective> parse_hosts(const Directive& directive, const std::vector<ZoneText>& block_zones);
Result<RewriteRule> parse_rewrite(const Directive& directive);
Result<std::vector<AclRule>> parse_acl(const Directive& directive, const std::vector<ZoneText>& block_zones);
Result<LogRule> parse_log(const Directive& directive, const std::vector<ZoneText>& block_zones);
Result<TemplateDirective> parse_template(const Directive& directive, const std::vector<ZoneText>& block_zones);
Result<Dns64Directive> parse_dns64(const Directive& directive);

}  // namespace causeway::dns
