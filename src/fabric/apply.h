// What both planes' appliers are to the rest of the agent: a consumer of the model that says what it does.
#pragma once

#include "cluster/feed/consumer.h"
#include "fabric/tables.h"

namespace causeway::fabric {

class Applier : public cluster::Consumer {
 public:
  std::string_view name() const override { return "fabric"; }
  // What the kernel shall hold.
  virtual Tables tables() const = 0;
  // Rows written to the kernel (put or removed) since the start.
  virtual uint64_t writes() const = 0;
};

}  // namespace causeway::fabric
