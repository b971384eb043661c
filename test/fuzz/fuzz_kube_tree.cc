// deps: kube_api
// What the API server does to a tree that a client sent: check, default, validate. Nothing of it may fail, and
// defaulting twice is defaulting once.
#include <boost/json.hpp>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "kube/api/schema.h"
#include "kube/api/types.h"
#include "kube/api/validation.h"

using namespace causeway::kube;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static constexpr KindInfo kKinds[] = {Pod::kKind,       Service::kKind,       Deployment::kKind, NetworkPolicy::kKind,
                                        Node::kKind,      EndpointSlice::kKind, Secret::kKind,     Namespace::kKind,
                                        ConfigMap::kKind, Event::kKind,         Lease::kKind,      ReplicaSet::kKind};
  if (size == 0) return 0;
  const KindInfo& kind = kKinds[data[0] % std::size(kKinds)];
  const std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
  (void)duplicate_fields(text);
  boost::system::error_code error;
  auto value = boost::json::parse(text, error);
  if (error || !value.is_object()) return 0;
  auto& tree = value.get_object();
  // The server stops at a wrong type; the rules must hold anyway.
  (void)check_schema(*schema_of(kind), tree);
  const auto before = tree;
  set_defaults(kind, tree);
  auto again = tree;
  set_defaults(kind, again);
  if (again != tree) std::abort();
  const auto errors = validate_create(kind, tree);
  (void)invalid_message(kind.group, kind.kind, "x", errors);
  (void)validate_update(kind, before, tree);
  (void)validate_status_update(kind, before, tree);
  (void)warnings_for(kind, tree);
  return 0;
}
