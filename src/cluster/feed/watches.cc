#include "cluster/feed/watches.h"

#include <algorithm>

#include "base/log.h"
#include "cluster/model/project.h"

namespace causeway::cluster {

PodNotes notes_of(const kube::Pod& pod) {
  PodNotes notes{.uid = pod.metadata.uid,
                 .annotations = {},
                 .owner = {},
                 .name_is_generated = !pod.metadata.generate_name.empty()};
  for (const auto& [key, value] : pod.metadata.annotations)
    for (const std::string_view prefix : kPodAnnotations)
      if (key.starts_with(prefix)) notes.annotations.emplace(key, value);
  if (const auto* owner = kube::controller_of(pod.metadata)) notes.owner = {owner->kind, owner->name, owner->uid};
  return notes;
}

namespace {

// What the model still has of a kind after a list that does not name it: it is gone, or a snapshot's.
template <class Map, class RefOf, class Remove>
void remove_others(const Map& known, const std::set<kube::Ref>& listed, RefOf ref_of, Remove remove) {
  std::vector<typename Map::key_type> gone;
  for (const auto& [key, value] : known)
    if (!listed.contains(ref_of(key))) gone.push_back(key);
  for (const auto& key : gone) remove(key);
}

kube::Ref named(const std::string& name) { return {.name = name}; }
template <class Key>
kube::Ref namespaced(const Key& key) {
  return {.ns = key.ns, .name = key.name};
}

kube::Follower<kube::Node>::Handlers nodes(Feed& feed) {
  return {.on_put =
              [&feed](const kube::Node& now) {
                feed.model().put(project(now));
                feed.touch();
              },
          .on_remove =
              [&feed](const kube::Ref& gone) {
                feed.model().remove_node(gone.name);
                feed.touch();
              },
          .on_list =
              [&feed](const std::set<kube::Ref>& all) {
                Model& model = feed.model();
                remove_others(model.nodes(), all, named, [&](const auto& name) { model.remove_node(name); });
                model.set_synced(Source::Nodes);
                feed.touch();
              }};
}

// Notes are kept of the Pods of `node`.
kube::Follower<kube::Pod>::Handlers pods(Feed& feed, const std::string& node, std::map<PodKey, PodNotes>& notes) {
  return {.on_put =
              [&feed, &node, &notes](const kube::Pod& now) {
                const PodKey key{now.metadata.ns, now.metadata.name};
                // A finished Pod has given its addresses back.
                const bool finished = kube::is_finished(now);
                if (finished)
                  feed.model().remove_pod(key);
                else
                  feed.model().put(project(now));
                if (finished || now.spec.node_name != node)
                  notes.erase(key);
                else
                  notes.insert_or_assign(key, notes_of(now));
                feed.touch();
              },
          .on_remove =
              [&feed, &notes](const kube::Ref& gone) {
                feed.model().remove_pod({gone.ns, gone.name});
                notes.erase({gone.ns, gone.name});
                feed.touch();
              },
          .on_list =
              [&feed, &notes](const std::set<kube::Ref>& all) {
                Model& model = feed.model();
                std::erase_if(notes, [&](const auto& entry) { return !all.contains(namespaced(entry.first)); });
                remove_others(model.pods(), all, namespaced<PodKey>, [&](const auto& key) { model.remove_pod(key); });
                model.set_synced(Source::Pods);
                feed.touch();
              }};
}

kube::Follower<kube::Service>::Handlers services(Feed& feed, bool names) {
  return {.on_put =
              [&feed, names](const kube::Service& now) {
                Service service = project(now);
                // Headless Services and ExternalNames are for DNS alone: without it, it is known that they exist.
                if (!names && service.cluster_ips.empty() && service.problem.empty())
                  service = {.key = service.key, .type = service.type};
                feed.model().put(std::move(service));
                feed.touch();
              },
          .on_remove =
              [&feed](const kube::Ref& gone) {
                feed.model().remove(ServiceKey{gone.ns, gone.name});
                feed.touch();
              },
          .on_list =
              [&feed](const std::set<kube::Ref>& all) {
                Model& model = feed.model();
                remove_others(model.services(), all, namespaced<ServiceKey>,
                              [&](const auto& key) { model.remove(key); });
                model.set_synced(Source::Services);
                feed.touch();
              }};
}

kube::Follower<kube::EndpointSlice>::Handlers slices(Feed& feed, bool pod_names) {
  return {.on_put =
              [&feed, pod_names](const kube::EndpointSlice& now) {
                feed.model().put(project(now, pod_names));
                feed.touch();
              },
          .on_remove =
              [&feed](const kube::Ref& gone) {
                feed.model().remove(SliceKey{gone.ns, gone.name});
                feed.touch();
              },
          .on_list =
              [&feed](const std::set<kube::Ref>& all) {
                Model& model = feed.model();
                remove_others(model.slices(), all, namespaced<SliceKey>, [&](const auto& key) { model.remove(key); });
                model.set_synced(Source::EndpointSlices);
                feed.touch();
              }};
}

kube::Follower<kube::ServiceCidr>::Handlers service_cidrs(Feed& feed) {
  return {.on_put =
              [&feed](const kube::ServiceCidr& now) {
                feed.model().put(project(now));
                feed.touch();
              },
          .on_remove =
              [&feed](const kube::Ref& gone) {
                feed.model().remove_service_cidr(gone.name);
                feed.touch();
              },
          .on_list =
              [&feed](const std::set<kube::Ref>& all) {
                Model& model = feed.model();
                remove_others(model.service_cidrs(), all, named,
                              [&](const auto& name) { model.remove_service_cidr(name); });
                model.set_synced(Source::ServiceCidrs);
                feed.touch();
              }};
}

kube::Follower<kube::Namespace>::Handlers namespaces(Feed& feed) {
  return {.on_put =
              [&feed](const kube::Namespace& now) {
                feed.model().put(project(now));
                feed.touch();
              },
          .on_remove =
              [&feed](const kube::Ref& gone) {
                feed.model().remove_namespace(gone.name);
                feed.touch();
              },
          .on_list =
              [&feed](const std::set<kube::Ref>& all) {
                Model& model = feed.model();
                remove_others(model.namespaces(), all, named, [&](const auto& name) { model.remove_namespace(name); });
                model.set_synced(Source::Namespaces);
                feed.touch();
              }};
}

kube::Follower<kube::NetworkPolicy>::Handlers policies(Feed& feed) {
  return {.on_put =
              [&feed](const kube::NetworkPolicy& now) {
                feed.model().put(project(now));
                feed.touch();
              },
          .on_remove =
              [&feed](const kube::Ref& gone) {
                feed.model().remove(PolicyKey{gone.ns, gone.name});
                feed.touch();
              },
          .on_list =
              [&feed](const std::set<kube::Ref>& all) {
                Model& model = feed.model();
                std::vector<PolicyKey> gone;
                for (const auto& [key, policy] : model.policies())  // ns "": of another kind
                  if (!key.ns.empty() && !all.contains({.ns = std::string(key.ns), .name = std::string(key.name)}))
                    gone.push_back(key);
                for (const PolicyKey& key : gone) model.remove(key);
                model.set_synced(Source::Policies);
                feed.touch();
              }};
}

kube::Follower<kube::AddressReservation>::Handlers reservations(Feed& feed) {
  // The name is made of the address (kube::reservation_name) and never changes.
  auto address_of = [](std::string name) {
    std::ranges::replace(name, '-', ':');
    return Ip::parse(name);
  };
  return {.on_put =
              [&feed](const kube::AddressReservation& now) {
                if (auto reservation = project(now))
                  feed.model().put(std::move(*reservation));
                else
                  log::warning("{}", reservation.error().message());
                feed.touch();
              },
          .on_remove =
              [&feed, address_of](const kube::Ref& gone) {
                if (const auto ip = address_of(gone.name)) feed.model().remove_reservation(*ip);
                feed.touch();
              },
          .on_list =
              [&feed](const std::set<kube::Ref>& all) {
                Model& model = feed.model();
                remove_others(
                    model.reservations(), all, [](const Ip& ip) { return named(kube::reservation_name(ip)); },
                    [&](const Ip& ip) { model.remove_reservation(ip); });
                model.set_synced(Source::Reservations);
                feed.touch();
              }};
}

// As kube-proxy selects them. The API server's field selector clusterIP!=None is not used: servers before 1.32 refuse
// it, and headless Services are dropped here. DNS names all of them: who balances drops them then.
std::string select_services(const std::string& proxy_name) {
  const std::string label = "service.kubernetes.io/service-proxy-name";
  return "!service.kubernetes.io/headless," + (proxy_name.empty() ? "!" + label : label + "=" + proxy_name);
}

}  // namespace

Watches::Watches(kube::Client& api, Feed& feed, WatchOptions options)
    : feed_(feed),
      node_(options.node),
      nodes_(api, nodes(feed)),
      pods_(api, pods(feed, node_, notes_),
            {.field_selector = options.policies || options.all_pods ? std::string() : "spec.nodeName=" + options.node}),
      reservations_(api, reservations(feed)) {
  if (options.policies || options.names) namespaces_.emplace(api, namespaces(feed));
  if (options.policies) {
    policies_.emplace(api, policies(feed));
    cluster_policies_.emplace(api, feed);
  }
  if (!options.services) return;
  const std::string of_services = options.names ? "" : select_services(options.proxy_name);
  const std::string of_slices = options.names ? "" : "!service.kubernetes.io/headless";
  services_.emplace(api, services(feed, options.names), kube::CacheOptions{.label_selector = of_services});
  slices_.emplace(api, slices(feed, options.pod_names), kube::CacheOptions{.label_selector = of_slices});
  service_cidrs_.emplace(api, service_cidrs(feed));
}

void Watches::start() {
  nodes_.start();
  pods_.start();
  reservations_.start();
  if (services_) services_->start();
  if (slices_) slices_->start();
  if (service_cidrs_) service_cidrs_->start();
  if (namespaces_) namespaces_->start();
  if (policies_) policies_->start();
  if (cluster_policies_) cluster_policies_->start();
}

void Watches::learn(const kube::Pod& pod) {
  const PodKey key{pod.metadata.ns, pod.metadata.name};
  if (pod.spec.node_name != node_ || kube::is_finished(pod)) return;
  if (const PodNotes* known = notes(key); known && known->uid == pod.metadata.uid) return;
  feed_.model().put(project(pod));
  notes_.insert_or_assign(key, notes_of(pod));
  feed_.touch();
}

const PodNotes* Watches::notes(const PodKey& pod) const {
  const auto found = notes_.find(pod);
  return found == notes_.end() ? nullptr : &found->second;
}

std::vector<Watches::State> Watches::states() const {
  const Model& model = feed_.model();
  std::vector<State> out{
      {"nodes", nodes_.health(), model.nodes().size()},
      {"pods", pods_.health(), model.pods().size()},
      {"addressreservations", reservations_.health(), model.reservations().size(), !no_reservations()}};
  if (services_) out.push_back({"services", services_->health(), model.services().size()});
  if (slices_) out.push_back({"endpointslices", slices_->health(), model.slices().size()});
  // Servers before 1.33 have none.
  if (service_cidrs_) out.push_back({"servicecidrs", service_cidrs_->health(), model.service_cidrs().size(), false});
  if (namespaces_) out.push_back({"namespaces", namespaces_->health(), model.namespaces().size()});
  const auto by_cluster = model.policies().upper_bound(PolicyKey{{}, "\xff"});
  const auto cluster_wide = static_cast<size_t>(std::distance(model.policies().begin(), by_cluster));
  if (policies_) out.push_back({"networkpolicies", policies_->health(), model.policies().size() - cluster_wide});
  if (const kube::Health* health = cluster_policies_ ? cluster_policies_->health() : nullptr)
    out.push_back({"clusternetworkpolicies", *health, cluster_wide});
  return out;
}

// As an API server says it that was never told of the kind (deploy/causeway.yaml).
bool Watches::no_reservations() const {
  const kube::Health& health = reservations_.health();
  return !health.synced && (health.error.find("404 page not found") != std::string::npos ||
                            health.error.find("could not find the requested resource") != std::string::npos);
}
bool Watches::reservations_known() const { return reservations_.health().synced || no_reservations(); }

std::string Watches::trouble() const {
  for (const State& state : states())
    if (state.needed && !state.health.error.empty() && state.health.phase != kube::Phase::Watching)
      return fmt::format("{}: {}", state.kind, state.health.error);
  return cluster_policies_ ? cluster_policies_->trouble() : "";
}

std::string Watches::refused() const {
  for (const State& state : states())
    if (state.needed && !state.health.synced && state.health.forbidden) return state.health.error;
  return "";
}

}  // namespace causeway::cluster
