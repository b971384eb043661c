// What the tests of the CNI server share: one life of an agent on a node without a kernel.
#pragma once

#include "async/virtual_loop.h"
#include "pod/fake_node.h"
#include "pod/server.h"

namespace causeway::pod {

inline Task<Status> answer_into(CniServer& server, Call call, std::optional<Reply>& reply) {
  reply = co_await server.serve(std::move(call));
  co_return ok();
}

// The API's Pods, by uid.
struct FakePods final : PodSource {
  std::map<std::string, PodNotes> pods;
  bool away = false;
  std::function<Task<Status>()> wait;  // before an answer
  Task<Result<std::optional<PodNotes>>> find(cluster::PodKey, std::string uid) override {
    if (wait) CO_TRY(co_await wait());
    if (away) co_return fail(Errc::Timeout, "no answer in 3 s");
    const auto found = pods.find(uid);
    co_return found == pods.end() ? std::optional<PodNotes>() : std::optional(found->second);
  }
  Known known(const cluster::PodKey&, std::string_view uid) const override {
    if (away) return Known::Unknown;
    return pods.contains(std::string(uid)) ? Known::Here : Known::Gone;
  }
};

// What the API has of reserved addresses.
struct FakeReservations final : Reservations {
  std::map<Ip, cluster::PodKey> promised;
  std::string claims;   // that were heard
  std::string refuses;  // why the next are refused
  std::map<Ip, cluster::PodKey> all() const override { return promised; }
  std::vector<Ip> of(const cluster::PodKey& pod) const override {
    std::vector<Ip> all;
    for (const auto& [ip, owner] : promised)
      if (owner == pod) all.push_back(ip);
    return all;
  }
  Task<Status> claim(cluster::PodKey pod, PodNotes notes, std::vector<Ip> addresses) override {
    if (!refuses.empty()) co_return fail(Errc::Denied, "{}", refuses);
    for (const Ip& ip : addresses) {
      claims += fmt::format("{} {} {}\n", ip, pod, notes.uid);
      promised[ip] = pod;
    }
    co_return ok();
  }
};

// The API's NetworkAttachmentDefinitions, by namespace/name, and what Pods were told of theirs.
struct FakeNetworks final : NetworkSource {
  std::map<std::string, std::string> configs;
  std::string told;
  Task<Result<std::string>> config_of(std::string ns, std::string name) override {
    const auto found = configs.find(ns + "/" + name);
    if (found == configs.end()) co_return fail(Errc::NotFound, "HTTP status 404");
    co_return found->second;
  }
  Task<Status> publish(cluster::PodKey pod, std::string uid, std::string status) override {
    told += fmt::format("{} {} {}\n", pod, uid, status);
    co_return ok();
  }
};

// One life of an agent on a node.
struct Agent {
  FakeNode& node;
  VirtualLoop& loop;
  WorkerPool workers{loop, 0};
  FakeWiring wiring{node};
  FakePlane plane{loop, node};
  FakePods pods;
  FakeReservations reservations;
  FakeNetworks networks;
  std::string told;           // to the Pods
  std::string other_network;  // a configuration that the runtime uses before ours
  CniServer server;
  std::string port_mappings;  // of the calls from now on
  std::string ips;            // likewise, as a list
  std::string uid;            // likewise: of the Pod shop/web
  Scope calls{loop};

  Agent(FakeNode& on, VirtualLoop& with)
      : node(on),
        loop(with),
        server(loop, workers, node.storage, wiring, plane,
               {.ipam = {.boot_id = "boot"},
                .spool = "/nonexistent",
                .no_host_ports = node.no_host_ports,
                .pods = &pods,
                .reservations = &reservations,
                .tell = [this](const Record&, std::string reason,
                               std::string message) { told += reason + ": " + message + "\n"; },
                .networks = &networks,
                .other_network = [this] { return other_network; }}) {}

  // False: it died meanwhile.
  bool start() {
    const auto started = run_until_done(loop, server.start());
    if (!started) return false;
    server.set_network({.pod_cidrs = {Cidr::parse("10.1.0.0/27").value(), Cidr::parse("fd00::/64").value()},
                        .mtu = 1450,
                        .not_ready = ""});
    return node.storage.steps > 0;
  }
  void begin(const std::string& command, const std::string& container, std::optional<Reply>& reply,
             const std::string& config = R"({"cniVersion":"1.1.0","name":"causeway"})") {
    Call call;
    call.request.field[wire::kCommand] = command;
    call.request.field[wire::kContainer] = container;
    call.request.field[wire::kNetns] = "/netns/" + container;
    call.request.field[wire::kIfname] = "eth0";
    call.request.field[wire::kConfig] = config;
    if (!port_mappings.empty())
      call.request.field[wire::kConfig] =
          R"({"cniVersion":"1.1.0","name":"causeway","runtimeConfig":{"portMappings":)" + port_mappings + "}}";
    if (!ips.empty())
      call.request.field[wire::kConfig] =
          R"({"cniVersion":"1.1.0","name":"causeway","runtimeConfig":{"ips":[)" + ips + "]}}";
    if (!uid.empty())
      call.request.field[wire::kArgs] = "IgnoreUnknown=1;K8S_POD_NAMESPACE=shop;K8S_POD_NAME=web;K8S_POD_UID=" + uid;
    calls.spawn(command, answer_into(server, std::move(call), reply));
  }
  Reply call(const std::string& command, const std::string& container) {
    std::optional<Reply> reply;
    begin(command, container, reply);
    loop.advance(10ms);
    return reply.value();  // throws where none came, which fails the test
  }
  std::vector<Ip> addresses(const std::string& container) {
    const auto records = run_until_done(loop, known(server, container));
    return records.value();
  }
  static Task<Result<std::vector<Ip>>> known(CniServer& server, std::string container) {
    std::vector<Ip> all;
    const auto text = server.render();
    const size_t at = text.find("\n" + container + "/eth0 committed");
    if (at != std::string::npos) {
      const auto line = text.substr(at + 1, text.find('\n', at + 1) - at - 1);
      for (size_t blank = line.find(" generation "); blank != std::string::npos; blank = line.find(' ', blank + 1))
        if (auto ip = Ip::parse(line.substr(blank + 1, line.find(' ', blank + 1) - blank - 1))) all.push_back(*ip);
    }
    co_return all;
  }
};

}  // namespace causeway::pod
