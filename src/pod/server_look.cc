// What a Pod wants of addresses, and what the server knows of them, for people.
#include "pod/address_wish.h"
#include "pod/server.h"

namespace causeway::pod {

Task<CniResult<CniServer::Notes>> CniServer::notes_of(Record wish, NetworkConfig config) {
  // A runtime may pass them along; the API has them in any case, and it alone says whose the Pod is.
  cluster::Labels annotations(config.annotations.begin(), config.annotations.end());
  std::optional<PodNotes> pod;
  const bool ask = options_.pods_by_labels || annotations.empty() || annotations.contains(std::string(kKeepAddresses));
  if (ask && options_.pods && !wish.pod.name.empty()) {
    auto found = co_await options_.pods->find(wish.pod, wish.pod_uid);
    // Without its annotations a Pod could get another address than it must have.
    if (!found)
      co_return std::unexpected(to_cni(Error(Errc::Unavailable, found.error().message()),
                                       fmt::format("what Pod {} wants is not known", wish.pod)));
    pod = std::move(*found);
    if (pod && annotations.empty()) annotations = pod->annotations;
  }
  co_return Notes{std::move(annotations), std::move(pod)};
}

CniResult<CniServer::Wanted> CniServer::wanted(const Record& wish, const NetworkConfig& config,
                                               const Notes& notes) const {
  auto asked = address_wish(notes.annotations, config.ips);
  if (!asked) {
    if (options_.tell) options_.tell(wish, "InvalidAddressAnnotation", asked.error().message);
    return std::unexpected(std::move(asked.error()));
  }
  Wanted out{.addresses = std::move(asked->addresses), .keep = {}};
  if (!asked->keep) return out;
  // Never with an address that could be another's tomorrow.
  if (!notes.pod || !options_.reservations)
    return std::unexpected(
        to_cni(Error(Errc::Unavailable, "the API server does not know the Pod: no address can be promised to it"),
               fmt::format("Pod {} cannot keep its addresses", wish.pod)));
  // A StatefulSet's Pods have both: a generateName, and names that come back.
  if (notes.pod->name_is_generated && notes.pod->owner.kind != "StatefulSet") {
    std::string why = fmt::format(
        "annotation {}: the name of Pod {} was generated{} and never comes again, so nobody would get its addresses; "
        "only "
        "Pods whose names come back can keep them, as those of a StatefulSet",
        kKeepAddresses, wish.pod,
        notes.pod->owner.kind.empty() ? "" : fmt::format(" for {} {}", notes.pod->owner.kind, notes.pod->owner.name));
    if (options_.tell) options_.tell(wish, "InvalidAddressAnnotation", why);
    return refuse(CniCode::InvalidConfig, std::move(why));
  }
  out.keep = notes.pod;
  return out;
}

void CniServer::hear_reservations() {
  if (!ipam_ || !options_.reservations) return;
  auto now = options_.reservations->all();
  if (now != ipam_->reservations()) ipam_->set_reservations(std::move(now), loop_.now());
}

CniError CniServer::refused(const Record& wish, bool by_name, Error error, std::string message) const {
  const Errc code = error.code();
  if (options_.tell && code == Errc::Exhausted)
    options_.tell(wish, "AddressesExhausted", error.message());
  else if (options_.tell && by_name && (code == Errc::Denied || code == Errc::Unavailable))
    options_.tell(wish, "AddressRefused", error.message());
  CniError out = to_cni(std::move(error), std::move(message));
  if (by_name && code == Errc::Denied) out.code = CniCode::AddressRefused;
  return out;
}

Task<Result<Look>> CniServer::look() {
  if (!ipam_) co_return fail(Errc::Unavailable, "the agent is starting: it has not read its journal yet");
  auto links = CO_TRY(co_await workers_.run([wiring = &wiring_] { return wiring->observe(); }));
  hear_reservations();
  // From here on nothing waits: one moment of the journal. What an ADD or DEL is about to do is not in the links yet.
  Look look{.node = "",
            .now = loop_.now(),
            .records = {},
            .blocks = ipam_->explain(loop_.now()),
            .links = {},
            .links_trouble = "",
            .api_trouble = ""};
  for (const auto& [key, record] : ipam_->records()) look.records.push_back(record);
  if (links)
    look.links = std::move(*links);
  else
    look.links_trouble = links.error().message();
  co_return look;
}

}  // namespace causeway::pod
