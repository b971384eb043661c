// What every plane's applier of Services is to the rest of the agent: a consumer of the model that says what it does.
#pragma once

#include "cluster/feed/consumer.h"
#include "service/desired.h"

namespace causeway::service {

class Applier : public cluster::Consumer {
 public:
  std::string_view name() const override { return "service"; }
  // What the kernel shall hold; borrowed, so that nobody copies 30,000 Services to look at one row.
  virtual const Desired& desired() const = 0;
  Tables tables() const { return desired().tables(); }
  // Rows written to the kernel (put or removed) since the start.
  virtual uint64_t writes() const = 0;
  // Where the kernel, looked at now, holds something else: one line for each row. Does not repair.
  virtual Result<std::vector<std::string>> differences() = 0;
};

}  // namespace causeway::service
