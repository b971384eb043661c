#include "cluster/feed/snapshot.h"

#include <charconv>

namespace causeway::cluster {

namespace {

constexpr std::string_view kHeader = "causeway nodes 1";

// One line for each Node: name, creation time, addresses, Pod CIDRs. "-" is an empty list. Then, once they are known,
// "reservations" and one line for each: address, namespace, Pod, node. The last line counts the others.
template <class T>
std::string join(const std::vector<T>& values) {
  std::string out;
  for (const T& value : values) out += (out.empty() ? "" : ",") + to_string(value);
  return out.empty() ? "-" : out;
}

std::vector<std::string_view> split(std::string_view text, char at) {
  std::vector<std::string_view> parts;
  while (!text.empty()) {
    const size_t end = text.find(at);
    parts.push_back(text.substr(0, end));
    text = end == text.npos ? "" : text.substr(end + 1);
  }
  return parts;
}

Result<int64_t> number(std::string_view text) {
  int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return fail(Errc::Invalid, "\"{}\" is no number", text);
  return value;
}

Result<Node> parse_node(std::string_view line) {
  const auto fields = split(line, ' ');
  if (fields.size() != 4) return fail(Errc::Invalid, "\"{}\" has {} fields, not 4", line, fields.size());
  Node node{.name = std::string(fields[0]), .created = TRY(number(fields[1]))};
  if (fields[2] != "-")
    for (std::string_view text : split(fields[2], ',')) node.addresses.push_back(TRY(Ip::parse(text)));
  if (fields[3] != "-")
    for (std::string_view text : split(fields[3], ',')) node.pod_cidrs.push_back(TRY(Cidr::parse(text)));
  return node;
}

Result<Reservation> parse_reservation(std::string_view line) {
  const auto fields = split(line, ' ');
  if (fields.size() != 4) return fail(Errc::Invalid, "\"{}\" has {} fields, not 4", line, fields.size());
  return Reservation{.address = TRY(Ip::parse(fields[0])),
                     .pod = {std::string(fields[1]), std::string(fields[2])},
                     .node = fields[3] == "-" ? "" : std::string(fields[3])};
}

}  // namespace

std::string encode_snapshot(const Model& model) {
  std::string out = fmt::format("{}\n", kHeader);
  size_t count = 0;
  for (const auto& [name, node] : model.nodes()) {
    if (!node.problem.empty()) continue;  // it has no rows now, and shall have none after a restart
    out += fmt::format("{} {} {} {}\n", name, node.created, join(node.addresses), join(node.pod_cidrs));
    ++count;
  }
  if (model.synced(Source::Reservations)) {
    out += "reservations\n";
    ++count;
    for (const auto& [ip, reservation] : model.reservations()) {
      out += fmt::format("{} {} {} {}\n", ip, reservation.pod.ns, reservation.pod.name,
                         reservation.node.empty() ? "-" : reservation.node);
      ++count;
    }
  }
  return out + fmt::format("end {}\n", count);
}

Result<Snapshot> decode_snapshot(std::string_view text) {
  const auto lines = split(text, '\n');
  if (lines.size() < 2 || lines.front() != kHeader || lines.back() != fmt::format("end {}", lines.size() - 2))
    return fail(Errc::Invalid, "snapshot of the Nodes: torn, or of another version");
  Snapshot snapshot;
  for (size_t i = 1; i + 1 < lines.size(); ++i) {
    if (snapshot.reservations)
      snapshot.reservations->push_back(TRY(parse_reservation(lines[i]), "snapshot of the Nodes: line {}", i + 1));
    else if (lines[i] == "reservations")
      snapshot.reservations.emplace();
    else
      snapshot.nodes.push_back(TRY(parse_node(lines[i]), "snapshot of the Nodes: line {}", i + 1));
  }
  return snapshot;
}

}  // namespace causeway::cluster
