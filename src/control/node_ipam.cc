#include "control/node_ipam.h"

#include "base/log.h"

namespace causeway::control {
namespace {

constexpr int kAttempts = 3;  // as kube-controller-manager

Result<std::vector<Cidr>> pod_cidrs(const kube::Node& node) {
  std::vector<Cidr> cidrs;
  for (const auto& text : node.spec.pod_cidrs)
    cidrs.push_back(TRY(Cidr::parse(text), "node {}: podCIDRs", node.metadata.name));
  return cidrs;
}

std::string patch_of(const std::vector<Cidr>& cidrs) {
  std::string list;
  for (const auto& cidr : cidrs) list += fmt::format("{}\"{}\"", list.empty() ? "" : ",", cidr);
  return fmt::format(R"({{"spec":{{"podCIDR":"{}","podCIDRs":[{}]}}}})", cidrs.front(), list);
}

}  // namespace

NodeIpam::NodeIpam(Loop& loop, kube::Client& api, kube::Cache<kube::Node>& nodes, kube::EventRecorder& events,
                   NodeCidrs cidrs)
    : loop_(loop), api_(api), nodes_(nodes), events_(events), cidrs_(std::move(cidrs)), scope_(loop) {
  nodes_.on_change([this](const kube::Node* old, const kube::Node* now) { changed(old, now); });
  nodes_.on_sync([this] { synced(); });
}

void NodeIpam::changed(const kube::Node* old, const kube::Node* now) {
  if (!now) {
    cidrs_.release(old->metadata.name);
    waiting_.erase(old->metadata.name);
    const auto waiting = std::exchange(waiting_, {});
    for (const auto& name : waiting)
      if (const auto* node = nodes_.find({.name = name})) serve(*node);
    return;
  }
  if (!now->spec.pod_cidrs.empty()) {
    if (!old || old->spec.pod_cidrs != now->spec.pod_cidrs) adopt(*now);
  } else if (synced_) {
    serve(*now);
  }
}

void NodeIpam::synced() {
  synced_ = true;
  nodes_.for_each([this](const kube::Node& node) {
    if (node.spec.pod_cidrs.empty()) serve(node);
  });
}

void NodeIpam::adopt(const kube::Node& node) {
  auto cidrs = pod_cidrs(node);
  auto status = cidrs ? cidrs_.adopt(node.metadata.name, *cidrs) : Status(fail(std::move(cidrs.error())));
  if (status) return;
  log::warning("{}", status.error().message());
  events_.record(node, kube::EventType::Warning, "CIDRAssignmentFailed", status.error().message());
}

void NodeIpam::serve(const kube::Node& node) {
  const auto& name = node.metadata.name;
  if (node.metadata.deletion_timestamp || writing_.contains(name) || waiting_.contains(name)) return;
  auto cidrs = cidrs_.assign(name);
  if (!cidrs) {
    waiting_.insert(name);
    log::warning("node {}: {}", name, cidrs.error().message());
    events_.record(node, kube::EventType::Normal, "CIDRNotAvailable",
                   fmt::format("Node {} status is now: CIDRNotAvailable: {}", name, cidrs.error().message()));
    return;
  }
  writing_.insert(name);
  scope_.spawn("node IPAM", write(name, *cidrs));
}

// An answer that got lost may have been a success: the Node is read before the CIDRs are given up, so that none leaks.
Task<Status> NodeIpam::write(std::string name, std::vector<Cidr> cidrs) {
  Error last(Errc::Internal, "not tried");
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    if (attempt > 0) CO_TRY(co_await loop_.sleep(200ms * attempt));
    auto written = co_await api_.patch<kube::Node>({.name = name}, kube::PatchType::StrategicMerge, patch_of(cidrs));
    if (!written) {
      last = std::move(written.error());
      if (last.code() == Errc::Cancelled) co_return fail(std::move(last));
      written = co_await api_.get<kube::Node>({.name = name});
    }
    if (!written && written.error().code() == Errc::NotFound) {
      cidrs_.release(name);
      writing_.erase(name);
      co_return ok();
    }
    if (written && !written->spec.pod_cidrs.empty()) {  // ours, or what somebody else wrote first
      adopt(*written);
      writing_.erase(name);
      log::info("node {}: podCIDRs {}", name, fmt::join(written->spec.pod_cidrs, ","));
      co_return ok();
    }
  }
  cidrs_.release(name);
  writing_.erase(name);
  if (const auto* node = nodes_.find({.name = name}))
    events_.record(*node, kube::EventType::Warning, "CIDRAssignmentFailed",
                   fmt::format("Node {} status is now: CIDRAssignmentFailed: {}", name, last.message()));
  log::error("node {}: podCIDRs could not be written, trying again in 10 s: {}", name, last.message());
  CO_TRY(co_await loop_.sleep(10s));
  if (const auto* node = nodes_.find({.name = name}); node && node->spec.pod_cidrs.empty()) serve(*node);
  co_return ok();
}

}  // namespace causeway::control
