// bench_dns: the names of 10,000 Services and 150,000 endpoints: memory, a list that comes again, a question, and from
// a change of the model to the answer.
#include <malloc.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>

#include "async/scope.h"
#include "base/file.h"
#include "dns/answer.h"
#include "dns/feed_client.h"
#include "dns/feed_server.h"
#include "dns/snapshot.h"
#include "figures.h"

using namespace causeway;
using namespace causeway::dns;

namespace {

constexpr uint32_t kServices = 10'000, kEndpoints = 15;  // of each
constexpr uint32_t kNamespaces = 200;

double now() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }

// VmRSS or VmHWM in MB.
double memory(std::string_view which) {
  const std::string status = read_file("/proc/self/status").value_or("");
  const size_t at = status.find(which);
  return at == status.npos ? 0 : std::strtod(status.c_str() + at + which.size() + 1, nullptr) / 1024;
}
void forget_peak() { (void)write_existing("/proc/self/clear_refs", "5"); }

std::string ns_name(uint32_t service) { return fmt::format("team-{:03}", service % kNamespaces); }
std::string service_name(uint32_t service) { return fmt::format("checkout-backend-{:05}", service); }

// A quarter of them headless, as StatefulSets are; `moved`: so many endpoints of each have another address.
Facts facts(uint32_t service, uint32_t moved) {
  Facts out{.key = {Kind::Service, ns_name(service), service_name(service)},
            .headless = service % 4 == 0,
            .ports = {{"http", cluster::Protocol::Tcp, 80}, {"metrics", cluster::Protocol::Tcp, 9090}},
            .labels = {{"app.kubernetes.io/name", "checkout"}, {"app.kubernetes.io/part-of", "shop"}}};
  if (!out.headless) out.ips = {Ip::v4(0x0a600000 + service)};
  for (uint32_t i = 0; i < kEndpoints; ++i) {
    Facts::End end{.ip = Ip::v4(0x0b000000 + service * 32 + i + (i < moved ? 16 : 0)), .ports = out.ports};
    if (out.headless) end.hostname = fmt::format("{}-{}", service_name(service), i);
    out.ends.push_back(std::move(end));
  }
  return out;
}

// The list as the agent sends it, in pieces as they come from a socket.
void list(FrameReader& reader, Tables& tables, uint32_t moved) {
  std::string piece(reader.between() ? "" : kFrames);
  append_frame(piece, Frame::Begin);
  for (uint32_t i = 0; i < kNamespaces; ++i)
    append_frame(piece, Frame::Put, encode({.key = {Kind::Namespace, "", ns_name(i)}}));
  for (uint32_t i = 0; i < kServices; ++i) {
    append_frame(piece, Frame::Put, encode(facts(i, moved)));
    if (piece.size() < 64u << 10) continue;
    (void)reader.read(piece);
    tables.commit(0);
    piece.clear();
  }
  append_frame(piece, Frame::End);
  (void)reader.read(piece);
  tables.commit(0);
}

double memory_stage(bench::Figures& figures, Tables& tables) {
  malloc_trim(0);
  const double before = memory("VmRSS");
  FrameReader reader(tables);
  const double start = now();
  list(reader, tables, 0);
  const double took = now() - start;
  malloc_trim(0);
  const double steady = memory("VmRSS") - before;
  figures.value("10,000 Services, 150,000 endpoints: memory of their names", "MB", steady, bench::AtMost{80}, 214);
  forget_peak();
  list(reader, tables, 0);
  const double again = memory("VmHWM") - before;
  forget_peak();
  list(reader, tables, 8);  // half of all endpoints moved
  const double changed = memory("VmHWM") - before;
  figures.value("the same list again: peak", "x steady", again / steady, bench::AtMost{1.25});
  figures.value("a list in which half of the endpoints moved: peak", "x steady", changed / steady, bench::AtMost{1.25});
  figures.value("reading the list", "ms", took * 1000);
  return steady;
}

void snapshot_stage(bench::Figures& figures, Tables& tables) {
  const std::string path = fmt::format("/tmp/causeway-bench-dns-{}", ::getpid());
  double start = now();
  if (auto saved = save_snapshot(path, tables, 0); !saved) return figures.missing("snapshot", saved.error().message());
  figures.value("snapshot: written, with fsync", "ms", (now() - start) * 1000);
  auto again = std::make_unique<Tables>();
  start = now();
  if (auto loaded = load_snapshot(path, *again); !loaded)
    figures.missing("snapshot: read back", loaded.error().message());
  else
    figures.value("snapshot: read back, ready to answer", "ms", (now() - start) * 1000, bench::AtMost{1000});
  ::unlink(path.c_str());
}

void question_stage(bench::Figures& figures, Tables& tables) {
  Tables::Reader reader(tables.epochs());
  const View view{.reverse_zones = {WireName::parse("in-addr.arpa").value()}};
  struct Case {
    const char* title;
    Type type;
    std::string (*name)(uint32_t);
  };
  const Case cases[] = {
      {"a cluster IP", Type::A,
       [](uint32_t i) { return fmt::format("{}.{}.svc.cluster.local", service_name(i | 1), ns_name(i | 1)); }},
      {"a search-list miss (NXDOMAIN)", Type::A,
       [](uint32_t i) { return fmt::format("www.example.com.{}.svc.cluster.local", ns_name(i)); }},
      {"15 addresses of a headless Service", Type::A,
       [](uint32_t i) { return fmt::format("{}.{}.svc.cluster.local", service_name(i & ~3u), ns_name(i & ~3u)); }},
      {"the name of an address", Type::PTR,
       [](uint32_t i) { return fmt::format("{}.{}.96.10.in-addr.arpa", (i | 1) & 0xff, (i | 1) >> 8 & 0xff); }}};
  for (const Case& one : cases) {
    std::vector<std::vector<uint8_t>> questions;
    for (uint32_t i = 0; i < 5000; ++i) {
      std::array<uint8_t, 600> room;
      Writer writer(room, room.size());
      writer.ask(1, WireName::parse(one.name(i * 2654435761u % kServices)).value(), one.type, 1232);
      const auto packet = writer.finish();
      questions.emplace_back(packet.begin(), packet.end());
    }
    std::vector<double> rounds;
    size_t octets = 0;
    for (int round = 0; round < 7; ++round) {
      const double start = now();
      for (int times = 0; times < 20; ++times) {
        reader.quiet();
        for (const auto& packet : questions) {
          Query query;
          std::array<uint8_t, kUdpMost> room;
          if (parse_query(packet, query) != Verdict::Answer) continue;
          Writer writer(room, reply_limit(query, false));
          answer(tables, view, query, writer, static_cast<uint32_t>(times));
          octets += writer.finish().size();
        }
      }
      rounds.push_back((now() - start) / (20.0 * static_cast<double>(questions.size())) * 1e9);
    }
    if (octets == 0) figures.missing(one.title, "no answer");
    figures.value(fmt::format("question and reply without a socket: {}", one.title), "ns", bench::median(rounds));
  }
  reader.idle();
}

// 1,000 changes in a second; each is an endpoint that comes to a Service of 15.
void change_stage(bench::Figures& figures) {
  const auto loop = make_loop();
  cluster::Model model;
  const std::string path = fmt::format("/tmp/causeway-bench-dns-{}.sock", ::getpid());
  for (const auto source : {cluster::Source::Services, cluster::Source::EndpointSlices, cluster::Source::Namespaces})
    model.set_synced(source);
  const auto slice = [](uint32_t service, uint32_t last) {
    cluster::EndpointSlice out{.key = {ns_name(service), service_name(service)}, .service = service_name(service)};
    for (uint32_t i = 0; i < kEndpoints; ++i)
      out.endpoints.push_back({.ip = Ip::v4(0x0b000000 + service * 16 + i), .ready = true});
    out.endpoints.push_back({.ip = Ip::v4(last), .ready = true});
    return out;
  };
  for (uint32_t i = 0; i < kServices; ++i) {
    model.put(cluster::Service{.key = {ns_name(i), service_name(i)}, .headless = true});
    model.put(slice(i, 0x0c000000));
  }
  (void)model.take_changes();
  auto server = FeedServer::listen(*loop, model, {.path = path});
  if (!server) return figures.missing("from a change to the answer", server.error().message());
  Tables tables;
  std::vector<double> waits;
  double changed = 0;
  uint32_t done = 0;
  FeedClient client(*loop, path, tables, [&] {
    // What is in the tables now was changed at `changed`: one is under way at a time.
    if (client.listed() && changed > 0) {
      waits.push_back((now() - changed) * 1000);
      changed = 0;
    }
  });
  Scope scope(*loop);
  scope.spawn("client", client.run());
  scope.spawn("changes",
              [](Loop& loop, FeedClient& client, cluster::Model& model, FeedServer& server, double& changed,
                 uint32_t& done, auto slice) -> Task<Status> {
                while (!client.listed()) CO_TRY(co_await loop.sleep(1ms));
                CO_TRY(co_await loop.sleep(50ms));
                for (; done < 3000; ++done) {
                  const double next = now() + 0.001;
                  changed = now();
                  model.put(slice(done * 7919 % kServices, 0x0c000001 + done));
                  const auto changes = model.take_changes();
                  server.changed(changes, model);
                  while (changed > 0 || now() < next) CO_TRY(co_await loop.sleep(100us));
                }
                loop.stop();
                co_return ok();
              }(*loop, client, model, **server, changed, done, slice));
  loop->run();
  std::ranges::sort(waits);
  if (waits.size() < 2900) return figures.missing("from a change to the answer", "changes were lost");
  figures.value("1,000 changes/s: from the model to the answer, p99", "ms", waits[waits.size() * 99 / 100],
                bench::AtMost{10});
  figures.value("1,000 changes/s: from the model to the answer, median", "ms", waits[waits.size() / 2]);
}

}  // namespace

int main(int argc, char** argv) {
  bench::Figures figures;
  {
    Tables tables;
    memory_stage(figures, tables);
    snapshot_stage(figures, tables);
    question_stage(figures, tables);
  }
  change_stage(figures);
  return figures.finish(argc, argv);
}
