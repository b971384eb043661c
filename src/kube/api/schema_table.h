#pragma once

namespace causeway::kube {

extern const char kOwnSchemaTable[];  // of the group causeway.io
extern const char kSchemaTable[];     // schema.cc reads it once

}  // namespace causeway::kube
