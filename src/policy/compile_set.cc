#include "policy/compile_set.h"

#include <algorithm>

namespace causeway::policy {

namespace {

using Entry = SetProgram::Entry;
using Rows = SetProgram::Rows;

bool before(const Entry& a, const Entry& b) {
  if (a.peer != b.peer) return a.peer < b.peer;
  if (a.shape != b.shape) return std::less<>()(a.shape, b.shape);
  return a.rank != b.rank ? a.rank < b.rank : a.rule < b.rule;
}

void put(Rows& rows, PortAtom atom, Tier tier, const Choice& choice) {
  auto at = std::ranges::lower_bound(rows, atom, {}, &SetProgram::Row::first);
  if (at == rows.end() || at->first != atom) at = rows.insert(at, {atom, Verdict{}});
  Choice& best = at->second.tiers[static_cast<size_t>(tier)];
  if (choice.rank < best.rank) best = choice;
}

Choice choice_of(const Entry& entry) { return {.rank = entry.rank, .action = entry.action, .rule = entry.rule}; }

bool is_of(const cluster::PolicyPort& port, const NamedPort& named) {
  return port.name == named.name && (!port.protocol || *port.protocol == named.protocol);
}

}  // namespace

void SetProgram::change(std::vector<Entry> gone, std::vector<Entry> come) {
  std::ranges::sort(gone, before);
  std::ranges::sort(come, before);
  CompactVector<Entry> now;
  now.reserve(entries_.size() + come.size() - gone.size());
  auto add = come.begin();
  auto drop = gone.begin();
  for (const Entry& entry : entries_) {
    if (drop != gone.end() && *drop == entry) {
      ++drop;
      continue;
    }
    for (; add != come.end() && before(*add, entry); ++add) now.push_back(*add);
    now.push_back(entry);
  }
  for (; add != come.end(); ++add) now.push_back(*add);
  entries_ = std::move(now);
}

void SetProgram::replace(std::vector<Entry> entries) {
  std::ranges::sort(entries, before);
  entries_ = std::move(entries);
}

bool SetProgram::has(AtomId peer) const {
  const auto at = std::ranges::lower_bound(entries_, peer, {}, &Entry::peer);
  return at != entries_.end() && at->peer == peer;
}

bool SetProgram::use(const Shape* shape, bool more) {
  auto at = std::ranges::lower_bound(shapes_, shape, std::less<>(), &Use::shape);
  if (more && (at == shapes_.end() || at->shape != shape)) {
    shapes_.insert(at, {.shape = shape, .uses = 1, .atoms = {}});
  } else if (more) {
    ++at->uses;
    return false;
  } else {
    if (--at->uses > 0) return false;
    shapes_.erase(at);
  }
  return !shape->ports.empty() || !shape->names.empty();
}

std::vector<Name> SetProgram::names() const {
  std::vector<Name> out;
  for (const Use& use : shapes_)
    for (const cluster::PolicyPort& port : use.shape->names) out.push_back(port.name);
  std::ranges::sort(out);
  out.erase(std::ranges::unique(out).begin(), out.end());
  return out;
}

PortRanges SetProgram::cut(const std::vector<NamedPort>& values) {
  std::vector<PortList> lists;
  for (const Use& use : shapes_)
    if (!use.shape->ports.empty()) lists.push_back(use.shape->ports);
  for (const NamedPort& value : values) lists.push_back({{value.protocol, value.port, value.port}});
  PortRanges ranges = lists.empty() ? PortRanges() : cut_ports(std::move(lists));
  for (Use& use : shapes_) use.atoms = atoms_of(ranges, use.shape->ports);
  return ranges;
}

const SetProgram::Use& SetProgram::use_of(const Shape* shape) const {
  return *std::ranges::lower_bound(shapes_, shape, std::less<>(), &Use::shape);
}

template <class Do>
void SetProgram::each_first(AtomId peer, Do act) const {
  auto at = std::lower_bound(entries_.begin(), entries_.end(), peer,
                             [](const Entry& entry, AtomId one) { return entry.peer < one; });
  while (at != entries_.end() && at->peer == peer) {
    act(*at);
    // Mostly there is one for each shape; else the others are many.
    const Shape* shape = at->shape;
    if (++at != entries_.end() && at->peer == peer && at->shape == shape)
      at = std::upper_bound(at, entries_.end(), Entry{.peer = peer, .rank = UINT32_MAX, .shape = shape}, before);
  }
}

Rows SetProgram::rows() const {
  Rows out;
  // There even where no rule is left for it: a set that is known always has its last row.
  out.emplace_back(0, Verdict{});
  if (isolated_) put(out, 0, Tier::Namespaced, {.rank = Choice::kLast, .action = Action::Deny});
  each_first(kAnybody, [&](const Entry& entry) {
    if (entry.shape->any_port) put(out, 0, entry.shape->tier, choice_of(entry));
    for (PortAtom atom : use_of(entry.shape).atoms) put(out, atom, entry.shape->tier, choice_of(entry));
  });
  return out;
}

Rows SetProgram::rows(const Atoms& members, const ValueOf& value, const PortRanges* ranges) const {
  Rows out;
  const auto by_name = [&](const Entry& entry) {
    for (AtomId atom : members) {
      if (kind_of(atom) != AtomKind::Port) continue;
      const NamedPort& named = value(atom);
      for (const cluster::PolicyPort& port : entry.shape->names) {
        if (!is_of(port, named) || !ranges) continue;
        for (PortAtom of : atoms_of(*ranges, {{named.protocol, named.port, named.port}}))
          put(out, of, entry.shape->tier, choice_of(entry));
      }
    }
  };
  for (AtomId atom : members)
    each_first(atom, [&](const Entry& entry) {
      if (entry.shape->any_port) put(out, 0, entry.shape->tier, choice_of(entry));
      for (PortAtom of : use_of(entry.shape).atoms) put(out, of, entry.shape->tier, choice_of(entry));
      if (!entry.shape->names.empty()) by_name(entry);
    });
  each_first(kAnybody, [&](const Entry& entry) {
    if (!entry.shape->names.empty()) by_name(entry);
  });
  return out;
}

}  // namespace causeway::policy
