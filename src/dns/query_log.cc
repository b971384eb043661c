#include "dns/query_log.h"

#include <algorithm>

#include "dns/corefile_words.h"

namespace causeway::dns {

namespace {

// CoreDNS' "common", and the Pod behind it.
constexpr std::string_view kCommon =
    "{remote}:{port} - {>id} \"{type} {class} {name} {proto} {size} {>do} {>bufsize}\" {rcode} {>rflags} {rsize} "
    "{duration} {pod}";

std::string flags_of(std::span<const uint8_t> reply) {
  if (reply.size() < kHeaderSize) return "-";
  const Flags flags{read16(reply, 2)};
  std::string text;
  for (const auto& [bit, name] : {std::pair<uint16_t, const char*>{Flags::kResponse, "qr"},
                                  {Flags::kAuthoritative, "aa"},
                                  {Flags::kTruncated, "tc"},
                                  {Flags::kRecursionDesired, "rd"},
                                  {Flags::kRecursionAvailable, "ra"},
                                  {Flags::kAuthentic, "ad"},
                                  {Flags::kCheckingDisabled, "cd"}})
    if (flags.has(bit)) text += (text.empty() ? "" : ",") + std::string(name);
  return text;
}

std::string address_of(const Ip& ip) { return ip.is_v6() ? "[" + to_string(ip) + "]" : to_string(ip); }

// nullopt: there is no such field.
std::optional<std::string> field(std::string_view name, const QueryLog::Line& line) {
  const Query& query = line.query;
  if (name == "remote") return address_of(line.from.ip);
  if (name == "port") return std::to_string(line.from.port);
  if (name == "local") return address_of(line.to.ip);
  if (name == "type") return to_string(query.question.type);
  if (name == "class")
    return query.question.cls == Class::In ? "IN" : fmt::format("CLASS{}", static_cast<uint16_t>(query.question.cls));
  if (name == "name") return to_string(query.question.name);
  if (name == "proto") return line.seen.tcp ? "tcp" : "udp";
  if (name == "size") return std::to_string(line.seen.request);
  if (name == "rcode") return line.reply.empty() ? "-" : to_string(line.seen.rcode);
  if (name == "rsize") return std::to_string(line.reply.size());
  if (name == "duration") return fmt::format("{:.9f}s", std::chrono::duration<double>(line.seen.took).count());
  if (name == ">id") return std::to_string(query.id);
  if (name == ">do") return query.edns && query.edns->dnssec_ok ? "true" : "false";
  if (name == ">bufsize") return std::to_string(query.edns ? query.edns->payload : kUdpPlain);
  if (name == ">opcode") return std::to_string(static_cast<int>(query.flags.opcode()));
  if (name == ">rflags") return flags_of(line.reply);
  if (name == "pod") return line.pod.empty() ? "-" : std::string(line.pod);
  return std::nullopt;
}

// Text with its {fields}; the first that is not known is told.
std::string fill(std::string_view format, const QueryLog::Line& line, std::string* unknown) {
  std::string out;
  for (size_t at = 0; at < format.size();) {
    const size_t open = format.find('{', at);
    const size_t close = open == std::string_view::npos ? open : format.find('}', open);
    if (close == std::string_view::npos) return out + std::string(format.substr(at));
    out += format.substr(at, open - at);
    const auto name = format.substr(open + 1, close - open - 1);
    auto value = field(name, line);
    if (!value && unknown != nullptr) *unknown = name;
    // What came over the network goes to a terminal or a file of lines: only its printable part does.
    for (const char c : value.value_or("")) out += static_cast<unsigned char>(c) >= ' ' && c != 127 ? c : '?';
    at = close + 1;
  }
  return out;
}

std::string with_common(std::string format) {
  if (format.empty()) return std::string(kCommon);
  for (const auto& [word, stands_for] : {std::pair<std::string, std::string>{"{common}", std::string(kCommon)},
                                         {"{combined}", std::string(kCommon) + " \"{>opcode}\""}})
    if (const size_t at = format.find(word); at != std::string::npos) format.replace(at, word.size(), stands_for);
  return format;
}

}  // namespace

Result<QueryLog> QueryLog::make(const LogRule& rule) {
  QueryLog log;
  log.rule_ = rule;
  log.rule_.format = with_common(rule.format);
  for (const ZoneText& zone : rule.zones) log.zones_.push_back(TRY(WireName::parse(zone)));
  const Query query;
  const Seen seen;
  std::string unknown;
  fill(log.rule_.format, {.query = query, .from = {}, .to = {}, .seen = seen, .reply = {}, .pod = {}}, &unknown);
  if (!unknown.empty())
    return refuse(
        rule.place,
        "log: {{{}}} is not known here: there are remote, port, local, type, class, name, proto, size, rcode, "
        "rsize, duration, >id, >do, >bufsize, >opcode, >rflags, pod, common and combined",
        unknown);
  log.wants_pod_ = log.rule_.format.find("{pod}") != std::string::npos;
  return log;
}

bool QueryLog::wants(NameView name, std::span<const uint8_t> reply) const {
  if (!std::ranges::any_of(zones_, [&](const WireName& zone) { return name.within(zone); })) return false;
  if (rule_.all) return true;
  const auto rcode = reply.size() < kHeaderSize ? Rcode::ServFail : static_cast<Rcode>(reply[3] & 0xF);
  const bool denial = rcode == Rcode::NxDomain || (rcode == Rcode::NoError && read16(reply, 6) == 0);
  const bool success = rcode == Rcode::NoError && !denial;
  return (rule_.denial && denial) || (rule_.success && success) || (rule_.failure && !success && !denial);
}

std::string QueryLog::text(const Line& line) const { return fill(rule_.format, line, nullptr); }

}  // namespace causeway::dns
