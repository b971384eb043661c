// What `kubectl get` prints: a meta.k8s.io/v1 Table of any kind, with the columns that Kubernetes gives it.
#pragma once

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "apiserver/json_tree.h"
#include "async/loop.h"

namespace causeway::apiserver {

struct Column {
  std::string_view name;
  std::string_view description;
  std::string_view type = "string";
  int priority = 0;  // above 0: only with -o wide
};

struct TableView {
  std::span<const Column> columns;
  json::array (*cells)(const json::object& object, WallTime now) = nullptr;
};

// Which form of the object a row carries.
enum class IncludeObject { None, Metadata, Object };

// "[{name, type, ...}]", "{cells, object}".
json::array table_columns(const TableView& view);
json::object table_row(const TableView& view, json::object object, IncludeObject include, WallTime now);

// The metadata and nothing else, as PartialObjectMetadata.
json::object partial_object(const json::object& object);

// "5d", "3h12m", "<unknown>": how long ago an RFC 3339 time was.
std::string age(std::string_view time, WallTime now);
std::string human_duration(Duration duration);

// The views of the kinds (columns_*.cc).
TableView pod_table();
TableView deployment_table();
TableView replica_set_table();
TableView stateful_set_table();
TableView controller_revision_table();
TableView daemon_set_table();
TableView service_table();
TableView endpoint_slice_table();
TableView endpoints_table();
TableView service_cidr_table();
TableView address_reservation_table();
TableView ip_address_table();
TableView network_policy_table();
TableView cluster_network_policy_table();
TableView attachment_definition_table();
TableView node_table();
TableView event_table();
TableView namespace_table();
TableView config_map_table();
TableView secret_table();
TableView lease_table();

}  // namespace causeway::apiserver
