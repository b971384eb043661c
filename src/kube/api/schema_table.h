#pragma once

namespace causeway::kube {

extern const char kClusterPolicySchemaTable[];  // of the group policy.networking.k8s.io
extern const char kOwnSchemaTable[];            // of the group causeway.io
extern const char kSchemaTable[];               // schema.cc reads it once

}  // namespace causeway::kube
