// This node and its Pods to their rows: addresses, ranges, clients, host ports. Pure.
#pragma once

#include "service/options.h"
#include "service/tables.h"

namespace causeway::service {

Tables compile_self(const cluster::Model& model, const Options& options);
Tables compile_attachment(const cluster::AttachmentKey& key, const cluster::Model& model, const Options& options);

}  // namespace causeway::service
