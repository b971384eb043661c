// A node without a kernel, for the tests of the CNI server: links, namespaces and a data path in memory. What it holds
// outlives the server, as a kernel does; a "killed" server changes nothing any more.
#pragma once

#include <algorithm>
#include <set>

#include "pod/fault_storage.h"
#include "pod/plane.h"
#include "pod/wiring.h"

namespace causeway::pod {

struct FakeNode {
  FaultStorage storage;  // its steps are those of the whole process
  struct Link {
    Record record;
    bool discarded = false;
  };
  std::map<std::string, Link> links;                         // by name
  std::map<std::string, netns::Id> namespaces;               // by path
  std::set<cluster::AttachmentKey> data_path;                // attachments whose packets pass
  std::map<cluster::AttachmentKey, std::string> host_ports;  // of those
  std::map<Key, std::string> extras;                         // further interfaces
  std::string no_host_ports;
  uint64_t last_inode = 0;
  int reaps = 0;

  void make_namespace(const std::string& path) { namespaces[path] = {4, ++last_inode}; }
  void remove_namespace(const std::string& path) {
    const auto id = namespaces.at(path);
    namespaces.erase(path);
    std::erase_if(links, [&](const auto& entry) {
      if (entry.second.record.netns != id) return false;
      extras.erase(entry.second.record.key);
      return true;
    });
  }
  // One line for each link and each attachment of the data path.
  std::string render() const {
    std::string text;
    for (const auto& [name, link] : links)
      text += fmt::format("link of {}{}\n", link.record.key, link.discarded ? " discarded" : "");
    for (const auto& [key, interfaces] : extras) text += fmt::format("{} has{}\n", key, interfaces);
    for (const auto& key : data_path) text += fmt::format("packets of {} pass\n", key);
    for (const auto& [key, ports] : host_ports)
      if (!ports.empty()) text += fmt::format("host ports of {} {}\n", key, ports);
    return text;
  }
  bool step() {
    if (storage.steps == 0) return false;
    if (storage.steps != FaultStorage::kForever) --storage.steps;
    return true;
  }
};

class FakeWiring final : public Wiring {
 public:
  explicit FakeWiring(FakeNode& node) : node_(node) {}
  std::function<Status()> on_wire;

  Result<PodNamespace> open_namespace(std::shared_ptr<Fd>, std::string path) override {
    const auto found = node_.namespaces.find(path);
    if (found == node_.namespaces.end()) return fail(Errc::NotFound, "open network namespace {}: no such file", path);
    return PodNamespace{nullptr, found->second};
  }
  Result<Wired> wire(WireRequest request) override {
    if (on_wire) TRY(on_wire());
    if (!node_.step()) return fail(Errc::Internal, "killed");
    const auto name = host_ifname(request.record.key);
    for (const auto& [other, link] : node_.links)
      if (other == name ||
          (link.record.netns == request.record.netns && link.record.key.ifname == request.record.key.ifname))
        return fail(Errc::AlreadyExists, "create veth {}: File exists", name);
    for (const auto& extra : request.record.extras)
      if (extra.device == "missing") return fail(Errc::NotFound, "{}: no device missing", extra.ifname);
    // The Pod's own link is there before its further ones: a kill in between leaves that alone.
    node_.links[name] = {request.record};
    for (const auto& extra : request.record.extras) {
      if (!node_.step()) return fail(Errc::Internal, "killed");
      node_.extras[request.record.key] += " " + extra.ifname;
    }
    return Wired{IfIndex(++index_), 77, request.record.extras};
  }
  Status release_extras(Record record) override {
    if (!node_.step()) return fail(Errc::Internal, "killed");
    node_.extras.erase(record.key);
    return ok();
  }
  Status settle_returned(std::set<std::string>) override { return ok(); }
  Status discard(std::string host_ifname) override {
    if (!node_.step()) return fail(Errc::Internal, "killed");
    if (const auto found = node_.links.find(host_ifname); found != node_.links.end()) found->second.discarded = true;
    return ok();
  }
  Status reap() override {
    if (!node_.step()) return fail(Errc::Internal, "killed");
    ++node_.reaps;
    std::erase_if(node_.links, [](const auto& entry) { return entry.second.discarded; });
    return ok();
  }
  Result<std::vector<HostLink>> observe() override {
    std::vector<HostLink> all;
    for (const auto& [name, link] : node_.links)
      if (!link.discarded) all.push_back({IfIndex(++index_), name, parse_alias(alias_of(link.record))});
    return all;
  }
  Result<std::optional<IfIndex>> find(Record record) override {
    const auto found = node_.links.find(host_ifname(record.key));
    if (found == node_.links.end() || found->second.discarded || found->second.record.generation != record.generation)
      return std::nullopt;
    return IfIndex(++index_);
  }
  Status check(Record record, std::shared_ptr<Fd>, PrevResult) override {
    if (node_.links.contains(host_ifname(record.key)) || record.role == Role::Chained) return ok();
    return fail(Errc::NotFound, "the link of {} is gone", record.key);
  }
  Result<ForeignLink> find_foreign(Record record) override {
    if (!node_.namespaces.contains(record.netns_path)) return fail(Errc::NotFound, "no namespace");
    return ForeignLink{
        .pod = IfIndex(++index_), .mac = {}, .mtu = 1500, .host = IfIndex(++index_), .host_name = "veth0"};
  }
  Status tune_foreign(Record) override {
    if (!node_.step()) return fail(Errc::Internal, "killed");
    return ok();
  }
  Status untune_foreign(Record) override {
    if (!node_.step()) return fail(Errc::Internal, "killed");
    return ok();
  }
  bool namespace_lives(Record record) override {
    const auto found = node_.namespaces.find(record.netns_path);
    return found != node_.namespaces.end() && found->second == record.netns;
  }

 private:
  FakeNode& node_;
  uint32_t index_ = 1;
};

class FakePlane final : public Plane {
 public:
  FakePlane(Loop& loop, FakeNode& node) : loop_(loop), node_(node) {}
  Duration delay{};       // until the appliers have it
  std::string failure;    // not empty: attach fails with it
  bool starting = false;  // nothing is known yet

  void restore(std::vector<cluster::Attachment> attachments) override {
    node_.data_path.clear();
    node_.host_ports.clear();
    for (const auto& attachment : attachments) {
      node_.data_path.insert(attachment.key);
      node_.host_ports[attachment.key] = host_ports_text(attachment.host_ports);
    }
  }
  Task<Status> attach(cluster::Attachment attachment) override {
    if (delay > Duration()) CO_TRY(co_await loop_.sleep(delay));
    if (!node_.step()) co_return fail(Errc::Internal, "killed");
    if (!failure.empty()) co_return fail(Errc::Timeout, "{}", failure);
    node_.data_path.insert(attachment.key);
    node_.host_ports[attachment.key] = host_ports_text(attachment.host_ports);
    co_return ok();
  }
  Task<Status> detach(cluster::AttachmentKey key) override {
    if (!node_.step()) co_return fail(Errc::Internal, "killed");
    node_.data_path.erase(key);
    node_.host_ports.erase(key);
    co_return ok();
  }
  Status check(const cluster::AttachmentKey& key) const override {
    if (starting) return fail(Errc::Unavailable, "the API server has not told the policies yet");
    if (node_.data_path.contains(key)) return ok();
    return fail(Errc::NotFound, "packets of {} do not pass", key);
  }

 private:
  Loop& loop_;
  FakeNode& node_;
};

}  // namespace causeway::pod
