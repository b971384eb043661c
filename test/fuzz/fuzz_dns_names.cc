// deps: dns
// A stream of names from a socket or a disk: whatever the bytes are, reading ends in tables that can be asked, or in an
// error; what was read can be written, and reads back the same.
#include <cstdio>
#include <cstdlib>

#include "dns/answer.h"
#include "dns/frames.h"

using namespace causeway::dns;

namespace {

void check(bool holds, int line = __builtin_LINE()) {
  if (holds) return;
  std::fprintf(stderr, "line %d\n", line);
  std::abort();
}

void ask(const Tables& tables, const View& view, NameView name, Type type) {
  std::array<uint8_t, 600> question;
  std::array<uint8_t, 1232> room;
  Writer asker(question, question.size());
  asker.ask(1, name, type, 1232);
  Query query;
  check(parse_query(asker.finish(), query) == Verdict::Answer);
  Writer writer(room, reply_limit(query, false));
  const Answer said = answer(tables, view, query, writer);
  if (said.outcome == Outcome::NotOurs || said.outcome == Outcome::FallsThrough) return;
  check(parse_response(writer.finish()).has_value());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  Tables tables;
  Tables::Reader epoch(tables.epochs());
  epoch.quiet();
  FrameReader reader(tables);
  const std::string_view stream(reinterpret_cast<const char*>(data), size);
  if (reader.read(stream.substr(0, size / 2))) (void)reader.read(stream.substr(size / 2));
  tables.set_complete();
  View view{.reverse_zones = {WireName::parse("in-addr.arpa").value()}, .pods = PodMode::Verified};
  view.clusterset_zones = {WireName::parse("clusterset.local").value()};
  size_t addresses = 0;
  tables.all([&](const Tables::Found& found) {
    const Entry entry = found.entry;
    (void)entry.decode();
    const auto again = Entry::parse(entry.bytes());
    check(again && again->key().size() == entry.key().size());
    check(tables.find(entry.kind(), entry.key()).has_value());
    addresses += entry.ends();
    if (entry.kind() == Kind::Pod || entry.kind() == Kind::Namespace) return;
    const std::string_view zone = entry.kind() == Kind::Import ? "clusterset.local" : "cluster.local";
    for (const std::string_view prefix : {"", "_tcp", "_a._tcp", "a", "10-0-0-1", "a.b"}) {
      WireName name;
      if (!prefix.empty()) name = WireName::parse(prefix).value();
      for (const std::string_view label : {entry.name(), entry.ns(), std::string_view("svc")}) name.append(label);
      if (!name.append(WireName::parse(zone).value())) continue;
      for (const Type type : {Type::A, Type::AAAA, Type::SRV, Type::TXT}) ask(tables, view, name, type);
    }
  });
  ask(tables, view, WireName::parse("1.0.0.10.in-addr.arpa").value(), Type::PTR);
  return 0;
}
