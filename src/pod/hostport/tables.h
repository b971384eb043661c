// Which ports of this node lead to which Pods, as values. render() prints them; the applier turns them into maps.
#pragma once

#include <variant>

#include "cluster/model/model.h"

namespace causeway::pod::hostport {

// Which object of the model a row comes from.
struct SelfKey {
  auto operator<=>(const SelfKey&) const = default;
};
using Key = std::variant<SelfKey, cluster::AttachmentKey>;

struct Row {
  Endpoint to;          // the Pod
  cluster::PodKey pod;  // for people
  auto operator<=>(const Row&) const = default;
};

struct Tables {
  // An unspecified address is every address of its family; a row of one address wins over it.
  std::map<cluster::HostPortClaim, Row> rows;
  std::set<Ip> pods;  // that have rows: their own packets to them come back to them, and need another source
  // What packets of 127.0.0.1 and of a Pod to itself have as their source: the node's address, one for each family.
  std::map<Family, Ip> sources;
  // Attachments that get no rows, and why: by cluster::object_of().
  std::map<std::string, std::string> refused;
  bool operator==(const Tables&) const = default;
};

std::string render(const Tables& tables);

}  // namespace causeway::pod::hostport
