// One Service to its rows. Pure.
#pragma once

#include "service/options.h"
#include "service/tables.h"

namespace causeway::service {

Tables compile_service(const cluster::ServiceKey& key, const cluster::Model& model, const Options& options);

// Whether the options let the Service have what it claims; one that may not have it keeps it from nobody.
bool may_have(const cluster::Service& service, const cluster::ServiceClaim& claim, const Options& options);

// Who has the port of the address, of all Services; nullptr: none.
const cluster::Service* holder(const cluster::ServiceClaim& claim, const cluster::Model& model, const Options& options);

}  // namespace causeway::service
