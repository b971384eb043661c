// What a node shall enforce, kept up to date: the tables of its policies, and which Pod of the node has which address.
// Every plane's applier holds one.
#pragma once

#include "policy/compile.h"

namespace causeway::policy {

// A Pod of this node by one of its addresses.
struct LocalPod {
  PodKey pod;
  cluster::AttachmentKey attachment;
  IfIndex ifindex{};   // host end of its link ...
  std::string device;  // ... and its name
  Subject subject;
  bool operator==(const LocalPod&) const = default;
};

class Desired {
 public:
  // `dns`: addresses of cluster DNS (Options::dns).
  explicit Desired(std::string node, std::vector<Ip> dns = {})
      : rules(Options{.node = node, .dns = std::move(dns), .dns_node = node}) {}

  // Nothing is compiled before the model is complete: an applier leaves the kernel as the former agent left it.
  void update(const cluster::ChangeSet& changes, const cluster::Model& model);
  bool complete() const { return complete_; }

  Compiler rules;
  // An address of a local Pod without a row: what judges it is not known, so nothing passes. A container that is no Pod
  // of the API (no name) is open; so stays a Pod that no policy selected when the API lost it.
  Table<Ip, LocalPod> locals;
  // Attached since the start, while the model is not complete: nobody may be told that they are connected.
  bool waits() const { return !waiting_.empty(); }
  // Attached, but what judges them is not known; why.
  const std::map<cluster::AttachmentKey, std::string>& unknown() const { return unknown_; }
  void clean();

 private:
  void place(const Ip& ip, const cluster::Model& model);

  bool complete_ = false;
  bool restored_ = false;  // what the journal had was in the model
  std::set<cluster::AttachmentKey> waiting_;
  std::map<cluster::AttachmentKey, std::pair<PodKey, std::vector<Ip>>> attached_;
  std::set<std::pair<PodKey, cluster::AttachmentKey>> by_pod_;
  std::map<cluster::AttachmentKey, std::string> unknown_;
};

// What must be in the model: the API server told all of it, and the journal was read.
bool complete(const cluster::Model& model);

}  // namespace causeway::policy
