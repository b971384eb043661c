#include "apps/load.h"

#include <algorithm>

#include "base/file.h"

namespace causeway::apps {

namespace {

// Its status, which is all of a Node that an agent may write.
Task<Status> write_load(kube::Client& api, std::string node, uint32_t load) {
  const std::string patch = fmt::format(R"({{"metadata":{{"annotations":{{"{}":"{}"}}}}}})", cluster::kNodeLoad, load);
  CO_TRY(co_await api.patch<kube::Node>({.name = node}, kube::PatchType::Merge, patch, "status"),
         "report the load of Node {}", node);
  co_return ok();
}

}  // namespace

service::NodeLoad::Doors load_doors(kube::Client& api, std::string node, const service::Applier& services) {
  return {.read = []() -> Result<service::CpuTimes> {
            return service::parse_cpu_times(TRY(read_file("/proc/stat"), "the node's load"));
          },
          .wanted =
              [&services] {
                return std::ranges::any_of(services.desired().ports.rows(), [](const auto& row) {
                  return row.second.value.algorithm == service::Algorithm::LeastLoad;
                });
              },
          .write = [&api, node = std::move(node)](uint32_t load) { return write_load(api, node, load); }};
}

}  // namespace causeway::apps
