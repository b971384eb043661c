#include "policy/compile_ports.h"

#include <algorithm>
#include <set>

namespace causeway::policy {

PortList joined(PortList list) {
  std::ranges::sort(list);
  PortList out;
  for (const PortSpan& span : list)
    if (!out.empty() && out.back().protocol == span.protocol && span.first <= uint32_t{out.back().last} + 1)
      out.back().last = std::max(out.back().last, span.last);
    else
      out.push_back(span);
  return out;
}

std::vector<PortAtom> atoms_of(const PortRanges& ranges, const PortList& list) {
  std::vector<PortAtom> out;
  for (const PortSpan& span : list) {
    auto at = std::ranges::lower_bound(ranges, std::pair(span.protocol, span.first), {},
                                       [](const PortRange& range) { return std::pair(range.protocol, range.first); });
    for (; at != ranges.end() && at->protocol == span.protocol && at->first <= span.last; ++at) out.push_back(at->atom);
  }
  std::ranges::sort(out);
  out.erase(std::ranges::unique(out).begin(), out.end());
  return out;
}

PortRanges cut_ports(std::vector<PortList> lists) {
  // Ports held by more lists than this are not compared with those elsewhere: that saves rows, never changes a verdict,
  // and thousands of nested ranges would cost memory by their square.
  constexpr size_t kCompared = 16;
  std::ranges::sort(lists);
  lists.erase(std::ranges::unique(lists).begin(), lists.end());
  PortRanges out;
  PortAtom next = 1;
  std::map<std::vector<size_t>, PortAtom> atoms;  // by the lists that hold it
  for (Protocol protocol : {Protocol::Tcp, Protocol::Udp, Protocol::Sctp}) {
    struct Edge {
      std::vector<size_t> begin, end;
    };
    std::map<uint32_t, Edge> edges;  // by port
    for (size_t i = 0; i < lists.size(); ++i)
      for (const PortSpan& span : lists[i])
        if (span.protocol == protocol) {
          edges[span.first].begin.push_back(i);
          edges[uint32_t{span.last} + 1].end.push_back(i);
        }
    std::set<size_t> open;
    for (auto edge = edges.begin(); edge != edges.end(); ++edge) {
      for (size_t list : edge->second.end) open.erase(list);
      open.insert(edge->second.begin.begin(), edge->second.begin.end());
      if (open.empty()) continue;
      PortAtom atom = next;
      if (open.size() <= kCompared) atom = atoms.try_emplace({open.begin(), open.end()}, next).first->second;
      if (atom == next) ++next;
      out.push_back(
          {protocol, static_cast<uint16_t>(edge->first), static_cast<uint16_t>(std::next(edge)->first - 1), atom});
    }
  }
  return out;
}

}  // namespace causeway::policy
