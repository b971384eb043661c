// ConfigMap and Secret.
#pragma once

#include "kube/api/meta.h"

namespace causeway::kube {

struct ConfigMap {
  static constexpr KindInfo kKind{"", "v1", "ConfigMap", "configmaps", true};
  ObjectMeta metadata;
  std::optional<bool> immutable;
  StringMap data;
  StringMap binary_data;  // base64, as on the wire
  bool operator==(const ConfigMap&) const = default;
};

struct Secret {
  static constexpr KindInfo kKind{"", "v1", "Secret", "secrets", true};
  ObjectMeta metadata;
  std::optional<bool> immutable;
  StringMap data;  // base64, as on the wire
  std::string type;
  bool operator==(const Secret&) const = default;
};

}  // namespace causeway::kube
