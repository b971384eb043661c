#include "pod/pod_source.h"

namespace causeway::pod {
namespace {

class ApiPods final : public PodSource {
 public:
  ApiPods(cluster::Watches& watches, const cluster::Model& model, kube::Client& api)
      : watches_(watches), model_(model), api_(api) {}

  Task<Result<std::optional<PodNotes>>> find(cluster::PodKey key, std::string uid) override {
    if (const PodNotes* known = watches_.notes(key); known && is_pod(*known, uid)) co_return *known;
    // A runtime may be quicker than our watch. By a list: that is a right which the watch needs anyway.
    const auto pods = CO_TRY(
        co_await api_.list<kube::Pod>({.ns = key.ns, .field_selector = "metadata.name=" + key.name}), "Pod {}", key);
    for (const kube::Pod& pod : pods.items) {
      PodNotes found = cluster::notes_of(pod);
      if (!is_pod(found, uid)) continue;
      watches_.learn(pod);
      co_return found;
    }
    co_return std::nullopt;
  }

  Known known(const cluster::PodKey& key, std::string_view uid) const override {
    if (const PodNotes* pod = watches_.notes(key); pod && is_pod(*pod, uid)) return Known::Here;
    return model_.synced(cluster::Source::Pods) ? Known::Gone : Known::Unknown;
  }

 private:
  cluster::Watches& watches_;
  const cluster::Model& model_;
  kube::Client& api_;
};

}  // namespace

bool is_pod(const PodNotes& pod, std::string_view uid) {
  if (uid.empty() || pod.uid == uid) return true;
  const auto hash = pod.annotations.find("kubernetes.io/config.hash");
  return hash != pod.annotations.end() && hash->second == uid;
}

std::unique_ptr<PodSource> pod_source(cluster::Watches& watches, const cluster::Model& model, kube::Client& api) {
  return std::make_unique<ApiPods>(watches, model, api);
}

}  // namespace causeway::pod
