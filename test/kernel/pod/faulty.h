// Wrappers around every seam of the CNI server that count its steps, and fail or die at one of them.
#pragma once

#include <signal.h>
#include <unistd.h>

#include "pod/plane.h"
#include "pod/storage.h"
#include "pod/wiring.h"

namespace causeway::pod::test {

struct Steps {
  int until = 0;      // 0: never
  bool kill = false;  // die there, instead of failing once
  int taken = 0;

  Status take(std::string_view what) {
    if (++taken != until) return ok();
    if (kill) ::kill(::getpid(), SIGKILL);
    return fail(Errc::Io, "injected at step {}, {}", taken, what);
  }
};

class FaultyRtnetlink : public netlink::Rtnetlink {
 public:
  FaultyRtnetlink(std::unique_ptr<Rtnetlink> real, Steps& steps) : real_(std::move(real)), steps_(steps) {}
  std::vector<Status> apply(std::span<const netlink::Change> changes) override {
    std::vector<Status> statuses;
    for (const auto& change : changes) {
      auto status = steps_.take(to_string(change));
      statuses.push_back(status ? real_->apply_one(change) : std::move(status));
    }
    return statuses;
  }
  Result<std::vector<netlink::Link>> links() override { return real_->links(); }
  Result<netlink::Link> link(netlink::LinkRef ref) override {
    TRY(steps_.take("read a link"));
    return real_->link(std::move(ref));
  }
  Result<IfIndex> index_of(const std::string& name) override {
    TRY(steps_.take("read a link's index"));
    return real_->index_of(name);
  }
  Result<std::vector<netlink::Address>> addresses() override { return real_->addresses(); }
  Result<std::vector<netlink::Route>> routes(netlink::RouteFilter filter) override { return real_->routes(filter); }
  Result<std::vector<netlink::Neighbour>> neighbours() override { return real_->neighbours(); }
  Result<std::vector<netlink::Forwarding>> forwarding(IfIndex link) override { return real_->forwarding(link); }
  Result<std::vector<netlink::Rule>> rules(uint8_t protocol) override { return real_->rules(protocol); }
  Result<std::optional<netlink::TokenBucket>> token_bucket(IfIndex link) override { return real_->token_bucket(link); }
  Result<netlink::Route> route_to(Ip destination) override { return real_->route_to(destination); }

 private:
  std::unique_ptr<Rtnetlink> real_;
  Steps& steps_;
};

class FaultyDoors final : public Doors {
 public:
  explicit FaultyDoors(Steps& steps) : steps_(steps) {}
  Result<std::unique_ptr<netlink::Rtnetlink>> node() override { return open("open a door of the node"); }
  Result<std::unique_ptr<netlink::Rtnetlink>> pod() override { return open("open a door of the Pod"); }

 private:
  Result<std::unique_ptr<netlink::Rtnetlink>> open(std::string_view what) {
    TRY(steps_.take(what));
    return std::make_unique<FaultyRtnetlink>(TRY(netlink::open_rtnetlink()), steps_);
  }
  Steps& steps_;
};

class FaultyStorage final : public Storage {
 public:
  FaultyStorage(std::unique_ptr<Storage> real, Steps& steps) : real_(std::move(real)), steps_(steps) {}
  Result<std::string> read() override { return real_->read(); }
  Status append(std::string_view bytes) override {
    TRY(steps_.take("before the journal is written"));
    TRY(real_->append(bytes));
    return steps_.take("after the journal was written");
  }
  Status truncate(uint64_t size) override { return real_->truncate(size); }
  Status write_side(std::string_view bytes) override { return real_->write_side(bytes); }
  Status commit_side() override { return real_->commit_side(); }
  Status set_aside() override { return real_->set_aside(); }

 private:
  std::unique_ptr<Storage> real_;
  Steps& steps_;
};

// Stands for the data path: routes of the node's kernel to its Pods.
class RoutePlane final : public Plane {
 public:
  RoutePlane(Steps& steps, std::unique_ptr<netlink::Rtnetlink> net) : steps_(steps), net_(std::move(net)) {}

  void restore(std::vector<cluster::Attachment> attachments) override {
    for (auto& attachment : attachments) known.emplace(attachment.key, std::move(attachment));
  }
  Task<Status> attach(cluster::Attachment attachment) override {
    CO_TRY(steps_.take("before the data path"));
    for (const auto& route : routes_of(attachment)) CO_TRY(net_->apply_one(netlink::PutRoute{route}));
    known.insert_or_assign(attachment.key, attachment);
    auto status = steps_.take("after the data path");
    if (!status) CO_TRY(co_await detach(attachment.key));
    co_return status;
  }
  Task<Status> detach(cluster::AttachmentKey key) override {
    const auto found = known.find(key);
    if (found == known.end()) co_return ok();
    for (const auto& route : routes_of(found->second)) CO_TRY(net_->apply_one(netlink::DeleteRoute{route}));
    known.erase(found);
    co_return ok();
  }
  Status check(const cluster::AttachmentKey& key) const override {
    if (known.contains(key)) return ok();
    return fail(Errc::NotFound, "no routes to {}", key);
  }
  std::map<cluster::AttachmentKey, cluster::Attachment> known;

 private:
  static std::vector<netlink::Route> routes_of(const cluster::Attachment& attachment) {
    std::vector<netlink::Route> routes;
    if (attachment.foreign) return routes;
    for (const auto& ip : attachment.addresses)
      routes.push_back({.destination = host_cidr(ip), .link = attachment.host_ifindex});
    return routes;
  }
  Steps& steps_;
  std::unique_ptr<netlink::Rtnetlink> net_;
};

}  // namespace causeway::pod::test
