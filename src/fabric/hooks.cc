#include "fabric/hooks.h"

namespace causeway::fabric {

namespace {

class DatapathHooks final : public HookPort {
 public:
  explicit DatapathHooks(datapath::Datapath& datapath) : datapath_(datapath) {}

  Result<std::map<IfIndex, Hooks>> observe(std::set<IfIndex>& partial) override {
    using datapath::Hook;
    std::map<IfIndex, std::set<Hook>> current;
    for (const datapath::Attachment& attachment : TRY(datapath_.attached())) {
      partial.insert(attachment.ifindex);
      if (attachment.current) current[attachment.ifindex].insert(attachment.hook);
    }
    std::map<IfIndex, Hooks> whole;
    for (const auto& [ifindex, hooks] : current) {
      if (hooks == std::set{Hook::FromPod, Hook::ToPod}) whole[ifindex] = Hooks::Pod;
      if (hooks == std::set{Hook::UplinkIngress, Hook::UplinkEgress}) whole[ifindex] = Hooks::Uplink;
    }
    for (const auto& [ifindex, hooks] : whole) partial.erase(ifindex);
    return whole;
  }
  Status attach(IfIndex ifindex, Hooks hooks) override {
    return hooks == Hooks::Pod ? datapath_.attach_pod(ifindex) : datapath_.attach_uplink(ifindex);
  }
  Status detach(IfIndex ifindex) override { return datapath_.detach(ifindex); }

 private:
  datapath::Datapath& datapath_;
};

}  // namespace

std::unique_ptr<HookPort> hooks_of(datapath::Datapath& datapath) { return std::make_unique<DatapathHooks>(datapath); }

}  // namespace causeway::fabric
