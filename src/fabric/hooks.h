// Which devices carry our programs.
#pragma once

#include <memory>
#include <set>

#include "datapath/datapath.h"
#include "fabric/tables.h"

namespace causeway::fabric {

// Where programs are attached. The seam to datapath::Datapath.
class HookPort {
 public:
  virtual ~HookPort() = default;
  // Devices that carry all their programs in the present version. Those that carry some are in `partial`.
  virtual Result<std::map<IfIndex, Hooks>> observe(std::set<IfIndex>& partial) = 0;
  virtual Status attach(IfIndex ifindex, Hooks hooks) = 0;
  virtual Status detach(IfIndex ifindex) = 0;
};
std::unique_ptr<HookPort> hooks_of(datapath::Datapath& datapath);

}  // namespace causeway::fabric
