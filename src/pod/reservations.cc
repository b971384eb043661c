#include "pod/reservations.h"

#include "cluster/model/project.h"

namespace causeway::pod {
namespace {

using cluster::PodKey;
using cluster::PodNotes;
using kube::AddressReservation;

constexpr int kTries = 5;  // against others who write the same object
constexpr Duration kPause = 10ms;

class ApiReservations final : public Reservations {
 public:
  ApiReservations(cluster::Feed& feed, kube::Client& api, std::string node)
      : feed_(feed), api_(api), node_(std::move(node)) {}

  std::map<Ip, PodKey> all() const override {
    std::map<Ip, PodKey> all;
    for (const auto& [ip, reservation] : feed_.model().reservations()) all.emplace(ip, reservation.pod);
    return all;
  }
  std::vector<Ip> of(const PodKey& pod) const override {
    std::vector<Ip> all;
    for (const auto* reservation : feed_.model().reservations_of(pod)) all.push_back(reservation->address);
    return all;
  }

  Task<Status> claim(PodKey key, PodNotes notes, std::vector<Ip> addresses) override {
    const Claimant pod{std::move(key), std::move(notes.uid), std::move(notes.owner)};
    for (const Ip& ip : addresses) CO_TRY(co_await claim(pod, ip), "reserve {} for Pod {}", ip, pod.key);
    co_return ok();
  }

 private:
  struct Claimant {
    PodKey key;
    std::string uid;
    PodNotes::Owner owner;
  };

  Task<Status> claim(Claimant pod, Ip ip) {
    const auto* known = feed_.model().reservation(ip);
    if (known && known->pod == pod.key && known->node == node_ && known->pod_uid == pod.uid) co_return ok();
    const kube::Ref ref{.name = kube::reservation_name(ip)};
    Result<AddressReservation> now = fail(Errc::NotFound, "not known");
    if (known) now = co_await api_.get<AddressReservation>(ref);
    for (int i = 0; i < kTries; ++i) {
      if (!now && now.error().code() == Errc::NotFound) {
        auto made = co_await api_.create(object_for(pod, ip));
        if (made) co_return take(*made);
        if (made.error().code() == Errc::NotFound)
          co_return fail(Errc::Unsupported,
                         "the API server has no kind AddressReservation: kubectl apply -f deploy/causeway.yaml");
        if (made.error().code() != Errc::AlreadyExists) co_return fail(std::move(made.error()));
        CO_TRY(co_await api_.loop().sleep(kPause));  // the other's may be on its way still
        now = co_await api_.get<AddressReservation>(ref);
        continue;
      }
      if (!now) co_return fail(std::move(now.error()));
      const auto whose = CO_TRY(cluster::project(*now));
      if (whose.pod != pod.key) {
        CO_TRY(take(*now));
        co_return fail(Errc::Denied, "it is reserved for Pod {}", whose.pod);
      }
      // An operator's promise may be of an address that somebody has already.
      if (whose.node.empty()) CO_TRY(co_await is_unused(pod, ip));
      now->spec.node_name = node_;
      now->spec.pod_uid = pod.uid;
      // One that was made by hand, without an owner, stays so: its maker deletes it.
      if (now->spec.owner) now->spec.owner = owner_of(pod);
      auto written = co_await api_.update(*now);
      if (written) co_return take(*written);
      if (written.error().code() != Errc::Conflict && written.error().code() != Errc::NotFound)
        co_return fail(std::move(written.error()));
      now = co_await api_.get<AddressReservation>(ref);
    }
    co_return fail(Errc::Conflict, "others keep changing AddressReservation {}", ref.name);
  }

  static kube::ReservationOwner owner_of(const Claimant& pod) {
    if (pod.owner.kind.empty()) return {.kind = "Pod", .name = pod.key.name, .uid = pod.uid};
    return {.kind = pod.owner.kind, .name = pod.owner.name, .uid = pod.owner.uid};
  }
  AddressReservation object_for(const Claimant& pod, const Ip& ip) const {
    AddressReservation made;
    made.metadata.name = kube::reservation_name(ip);
    made.spec = {.address = to_string(ip),
                 .pod_namespace = pod.key.ns,
                 .pod_name = pod.key.name,
                 .owner = owner_of(pod),
                 .node_name = node_,
                 .pod_uid = pod.uid};
    return made;
  }

  Task<Status> is_unused(Claimant pod, Ip ip) {
    const auto pods = CO_TRY(co_await api_.list<kube::Pod>({.field_selector = fmt::format("status.podIP={}", ip)}));
    for (const kube::Pod& other : pods.items)
      if (!kube::is_finished(other) && !other.spec.host_network &&
          PodKey{other.metadata.ns, other.metadata.name} != pod.key)
        co_return fail(Errc::Denied, "Pod {} has it", kube::full_name(other.metadata));
    co_return ok();
  }

  // What we wrote, or were told, without waiting for the watch: the attachment that follows needs its route.
  Status take(const AddressReservation& object) {
    feed_.model().put(TRY(cluster::project(object)));
    feed_.touch();
    return ok();
  }

  cluster::Feed& feed_;
  kube::Client& api_;
  std::string node_;
};

}  // namespace

std::unique_ptr<Reservations> api_reservations(cluster::Feed& feed, kube::Client& api, std::string node) {
  return std::make_unique<ApiReservations>(feed, api, std::move(node));
}

}  // namespace causeway::pod
