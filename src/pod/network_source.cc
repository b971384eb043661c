#include "pod/network_source.h"

#include <boost/json.hpp>

namespace causeway::pod {
namespace {

namespace json = boost::json;

// Names are checked before (parse_networks): they are path segments.
class ApiNetworks final : public NetworkSource {
 public:
  explicit ApiNetworks(kube::Client& api) : api_(api) {}

  Task<Result<std::string>> config_of(std::string ns, std::string name) override {
    const std::string path =
        fmt::format("/apis/k8s.cni.cncf.io/v1/namespaces/{}/network-attachment-definitions/{}", ns, name);
    const auto body = CO_TRY(co_await api_.request("GET", path), "NetworkAttachmentDefinition {}/{}", ns, name);
    boost::system::error_code error;
    const auto value = json::parse(body, error);
    const auto* object = value.if_object();
    const auto* spec = object ? object->if_contains("spec") : nullptr;
    const auto* config = spec && spec->is_object() ? spec->as_object().if_contains("config") : nullptr;
    if (!config || !config->is_string() || config->as_string().empty())
      co_return fail(Errc::Unsupported,
                     "NetworkAttachmentDefinition {}/{} has no spec.config; one in a file of the node is not supported",
                     ns, name);
    co_return std::string(config->as_string());
  }

  Task<Status> publish(cluster::PodKey pod, std::string uid, std::string status) override {
    json::object metadata{{"annotations", json::object{{kStatusAnnotation, status}}}};
    if (!uid.empty()) metadata["uid"] = uid;
    const std::string path = fmt::format("/api/v1/namespaces/{}/pods/{}/status", pod.ns, pod.name);
    CO_TRY(co_await api_.request("PATCH", path, json::serialize(json::object{{"metadata", std::move(metadata)}}),
                                 "application/merge-patch+json"),
           "annotation {} of Pod {}", kStatusAnnotation, pod);
    co_return ok();
  }

 private:
  kube::Client& api_;
};

}  // namespace

std::unique_ptr<NetworkSource> network_source(kube::Client& api) { return std::make_unique<ApiNetworks>(api); }

}  // namespace causeway::pod
