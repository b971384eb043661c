#include <doctest/doctest.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <thread>

#include "async/scope.h"
#include "base/file.h"
#include "dns/feed_client.h"
#include "dns/feed_server.h"
#include "dns/names_world.h"
#include "dns/snapshot.h"

using namespace causeway;
using namespace causeway::dns;
using cluster::Model;
using cluster::Source;

namespace {

struct Folder {
  std::string path;
  Folder() {
    char name[] = "/tmp/causeway-dns-XXXXXX";
    path = ::mkdtemp(name);
  }
  ~Folder() {
    for (const char* file : {"/s", "/dns.sock", "/s.new"}) ::unlink((path + file).c_str());
    ::rmdir(path.c_str());
  }
};

void put_service(Model& model, const std::string& name, uint32_t address) {
  cluster::Service service{.key = {"d", name}};
  service.cluster_ips.push_back(Ip::v4(address));
  model.put(std::move(service));
}

void sync(Model& model) {
  for (const Source source : {Source::Services, Source::EndpointSlices, Source::Namespaces}) model.set_synced(source);
}

// An agent and a DNS process on one loop.
struct Node {
  Folder folder;
  std::unique_ptr<Loop> loop = make_loop();
  Model model;
  std::unique_ptr<FeedServer> server;
  World world;
  FeedClient client{*loop, folder.path + "/dns.sock", world.tables, [this] { loop->stop(); }};
  Scope scope{*loop};

  Node() { scope.spawn("client", client.run()); }
  void serve() { server = FeedServer::listen(*loop, model, {.path = folder.path + "/dns.sock"}).value(); }
  void tell() {
    const auto changes = model.take_changes();
    if (server) server->changed(changes, model);
  }
  // Runs until the client's tables fulfil it; the test's own time limit ends what never does.
  void until(const std::function<bool()>& holds) {
    while (!holds()) {
      auto timer = loop->call_after(20ms, [this] { loop->stop(); });
      loop->run();
    }
  }
  std::string data(const std::string& name) {
    world.reader.quiet();
    return world.data(name + ".d.svc.cluster.local");
  }
};

}  // namespace

TEST_CASE(
    "a DNS process is told all names, then what changes; away, it keeps what it has, and comes back to the latest") {
  Node node;
  for (uint32_t i = 0; i < 3000; ++i) put_service(node.model, "s" + std::to_string(i), 0x0a600000 + i);
  node.serve();
  node.tell();
  node.until([&] { return node.server->readers() == 1; });
  CHECK(node.world.tables.objects() == 0);  // not before everything is known
  sync(node.model);
  node.tell();
  node.until([&] { return node.client.listed(); });
  CHECK(node.world.tables.objects() == 3000);
  CHECK(node.data("s7") == "10.96.0.7");

  put_service(node.model, "s7", 0x0a60ff07);
  node.model.remove(cluster::ServiceKey{"d", "s8"});
  node.tell();
  node.until([&] { return node.data("s7") == "10.96.255.7"; });
  CHECK(node.data("s8").empty());

  node.server.reset();
  node.until([&] { return !node.client.connected(); });
  CHECK(node.client.trouble().find("dns.sock") != std::string::npos);
  CHECK(node.data("s7") == "10.96.255.7");
  put_service(node.model, "s9", 0x0a60ff09);
  node.model.remove(cluster::ServiceKey{"d", "s10"});
  node.serve();
  node.until([&] { return node.data("s9") == "10.96.255.9" && node.world.tables.objects() == 2998; });
  CHECK(node.data("s10").empty());
  CHECK(node.data("s11") == "10.96.0.11");
}

TEST_CASE("what changes while a reader is not told yet is told once, as it is then") {
  Node node;
  sync(node.model);
  node.serve();
  node.tell();
  node.until([&] { return node.client.listed(); });
  const uint64_t before = node.server->sent();
  for (uint32_t i = 0; i < 1000; ++i) {
    put_service(node.model, "a", 0x0a600000 + i);
    node.tell();
  }
  node.until([&] { return node.data("a") == "10.96.3.231"; });
  CHECK(node.server->sent() - before < 1000);
}

TEST_CASE("readers that went leave their places, also when there was nothing to tell them") {
  Node node;
  sync(node.model);
  node.serve();
  node.tell();
  node.until([&] { return node.client.listed(); });
  const auto connected = [&] {
    Fd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_un address{.sun_family = AF_UNIX, .sun_path = {}};
    (node.folder.path + "/dns.sock").copy(address.sun_path, sizeof address.sun_path - 1);
    REQUIRE(::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
    return fd;
  };
  std::vector<Fd> others;
  for (int i = 0; i < 7; ++i) others.push_back(connected());  // with the client as many as are served
  node.until([&] { return node.server->readers() == 8; });
  others.clear();
  const Fd last = connected();
  node.until([&] { return node.server->readers() == 2; });
}

TEST_CASE("a stream is read in pieces of any size; what is malformed in it is refused") {
  Model model;
  put_service(model, "a", 0x0a600001);
  std::string stream(kFrames);
  append_frame(stream, Frame::Begin);
  append_key(stream, {Kind::Service, "d", "a"}, model, true);
  append_key(stream, {Kind::Service, "d", "b"}, model, true);
  append_frame(stream, Frame::End);
  append_key(stream, {Kind::Service, "d", "b"}, model, false);
  for (const size_t piece : {size_t{1}, size_t{7}, stream.size()}) {
    Tables tables;
    FrameReader reader(tables);
    for (size_t at = 0; at < stream.size(); at += piece)
      REQUIRE(reader.read(std::string_view(stream).substr(at, piece)));
    CHECK(reader.listed());
    CHECK(reader.between());
    CHECK(tables.complete());
    CHECK(tables.objects() == 1);
  }
  const auto refused = [](std::string_view bad) {
    Tables tables;
    FrameReader reader(tables);
    const auto said = reader.read(bad);
    return said ? "" : said.error().message();
  };
  CHECK(refused("causeway-dns-names/2\n") == "this is no stream of names of this version (causeway-dns-names/1)");
  CHECK(refused("GET / HTTP/1.1\r\n") != "");
  std::string bad(kFrames);
  append_frame(bad, Frame::End);  // of no list
  CHECK(refused(bad) == "the stream of names has a malformed frame (kind 4, 0 octets)");
  bad = kFrames;
  append_frame(bad, Frame::Put, "nonsense");
  CHECK(refused(bad).starts_with("the stream of names has a malformed frame (kind 2"));
  bad = kFrames;
  append_frame(bad, static_cast<Frame>(9));
  CHECK(refused(bad) != "");
  CHECK(refused(std::string(kFrames) + "\xff\xff\xff\xff\x02").find("above") != std::string::npos);
}

TEST_CASE("names are on disk as they were; a snapshot that is damaged anywhere is not used") {
  Folder folder;
  const std::string path = folder.path + "/s";
  World world;
  for (int i = 0; i < 50; ++i)
    world.put(
        {.key = {Kind::Service, "d", "s" + std::to_string(i)}, .ips = {Ip::v4(0x0a600000 + static_cast<uint32_t>(i))}});
  const uint32_t serial = world.tables.serial();
  REQUIRE(save_snapshot(path, world.tables, 1'800'000'000));
  {
    World again;
    Tables tables;
    CHECK(load_snapshot(folder.path + "/none", tables).error().code() == Errc::NotFound);
    const auto info = load_snapshot(path, tables);
    REQUIRE(info);
    CHECK(info->saved == 1'800'000'000);
    CHECK(info->objects == 50);
    CHECK(tables.complete());
    CHECK(tables.serial() == serial);
    CHECK(tables.objects() == 50);
    CHECK(tables.octets() == world.tables.octets());
  }
  const std::string whole = read_file(path).value();
  for (size_t at = 0; at < whole.size(); at += at < 200 ? 1 : 97) {
    std::string bad = whole;
    bad[at] = static_cast<char>(bad[at] ^ 0x20);
    REQUIRE(replace_file(path, bad));
    Tables tables;
    const auto said = load_snapshot(path, tables);
    REQUIRE(!said);
    CHECK(said.error().code() == Errc::Invalid);
    CHECK(!tables.complete());
    CHECK(tables.objects() == 0);
  }
  for (const size_t size : {size_t{0}, size_t{5}, size_t{47}, whole.size() - 1}) {
    REQUIRE(replace_file(path, std::string_view(whole).substr(0, size)));
    Tables tables;
    CHECK(!load_snapshot(path, tables));
  }
  Tables empty;
  CHECK(save_snapshot(path, empty, 0).error().message().ends_with("the names are not complete"));
}

TEST_CASE("threads read while one writes: an address is one that the Service has or had") {
  Tables tables;
  std::atomic<bool> stop{false};
  const auto write = [&](uint32_t round) {
    tables.begin_list();
    for (uint32_t i = 0; i < 200; ++i) {
      if ((i + round) % 5 == 0) continue;
      Facts facts{.key = {Kind::Service, "d", "s" + std::to_string(i)},
                  .ips = {Ip::v4(0x0a000000 + (round << 16) + i)}};
      facts.ends = {{.ip = Ip::v4(0x0b000000 + i)}, {.ip = Ip::v4(0x0c000000 + (round % 7))}};
      const std::string block = encode(facts);
      tables.put(*Entry::parse({reinterpret_cast<const uint8_t*>(block.data()), block.size()}));
    }
    tables.end_list();
    tables.commit(0);
  };
  write(0);
  std::atomic<uint64_t> wrong{0}, right{0};
  std::vector<std::thread> threads;
  for (uint32_t t = 0; t < 3; ++t)
    threads.emplace_back([&, t] {
      Tables::Reader reader(tables.epochs());
      const View view{.reverse_zones = {WireName::parse("in-addr.arpa").value()}};
      std::array<uint8_t, 512> question, room;
      for (uint32_t n = t; !stop; ++n) {
        reader.quiet();
        const bool reverse = n % 3 == 0;
        const std::string name =
            reverse ? fmt::format("{}.0.0.11.in-addr.arpa", n % 200) : fmt::format("s{}.d.svc.cluster.local", n % 200);
        Writer asker(question, 512);
        asker.ask(1, WireName::parse(name).value(), reverse ? Type::PTR : Type::A, 0);
        Query query;
        (void)parse_query(asker.finish(), query);
        Writer writer(room, 512);
        answer(tables, view, query, writer);
        const auto reply = writer.finish();
        Records records(reply);
        Record record;
        if (!records.next(record) || record.section != Section::Answer) continue;
        if (!reverse && read16(reply, record.data_at + 2) != n % 200) ++wrong;
        ++right;
      }
      reader.idle();
    });
  for (uint32_t round = 1; round < 200; ++round) write(round);
  stop = true;
  for (auto& thread : threads) thread.join();
  tables.commit(0);
  CHECK(wrong == 0);
  CHECK(right > 0);
  CHECK(tables.epochs().retired() == 0);
}

TEST_CASE("the agent knows where a DNS process answers: at once, while it says so, and not when it is gone") {
  Node node;
  int heard = 0;
  sync(node.model);
  node.client.tell({{Ip(), 53}});
  node.server =
      FeedServer::listen(*node.loop, node.model, {.path = node.folder.path + "/dns.sock", .heard = [&] { ++heard; }})
          .value();
  node.until([&] { return node.server->answers() == std::vector<Endpoint>{{Ip(), 53}}; });
  CHECK(heard == 1);
  node.client.tell({{Ip(), 53}});  // says nothing new
  node.client.tell({{Ip::v4(0x0a60000a), 53}});
  node.until([&] { return node.server->answers() == std::vector<Endpoint>{{Ip::v4(0x0a60000a), 53}}; });
  CHECK(heard == 2);
  node.client.tell({});
  node.until([&] { return node.server->answers().empty(); });
  node.client.tell({{Ip(), 53}});
  node.until([&] { return !node.server->answers().empty(); });
  node.scope.cancel();  // as its process ends
  node.until([&] { return node.server->answers().empty(); });
  CHECK(heard == 5);
  CHECK(node.server->readers() == 0);
}

TEST_CASE("a DNS process that is silent for four seconds is not asked, until it says something") {
  Node node;
  sync(node.model);
  node.client.tell({{Ip(), 53}});
  node.serve();
  node.tell();
  node.until([&] { return node.server->answers().size() == 1; });
  node.until([&] { return node.server->answers().empty(); });
  CHECK(node.server->readers() == 1);
  node.client.beat();
  node.until([&] { return node.server->answers().size() == 1; });
}

TEST_CASE("a reader that says what is no line of a DNS process is sent away, others stay") {
  Node node;
  sync(node.model);
  node.client.tell({{Ip(), 53}});
  node.serve();
  node.tell();
  node.until([&] { return node.server->answers().size() == 1; });
  const Fd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_un address{.sun_family = AF_UNIX};
  (node.folder.path + "/dns.sock").copy(address.sun_path, sizeof address.sun_path - 1);
  REQUIRE(::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
  node.until([&] { return node.server->readers() == 2; });
  REQUIRE(::send(fd.get(), "GET / HTTP/1.1\n", 15, 0) == 15);
  node.until([&] { return node.server->readers() == 1; });
  CHECK(node.server->answers().size() == 1);
}
