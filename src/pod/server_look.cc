// What a Pod wants of addresses, and what the server knows of them, for people.
#include "pod/address_wish.h"
#include "pod/server.h"

namespace causeway::pod {

Task<CniResult<std::vector<Ip>>> CniServer::wanted(Record wish, NetworkConfig config) {
  // A runtime may pass them along; the API has them in any case.
  cluster::Labels annotations = std::move(config.annotations);
  if (annotations.empty() && options_.pods && !wish.pod.name.empty()) {
    auto pod = co_await options_.pods->find(wish.pod, wish.pod_uid);
    // Without its annotations a Pod could get another address than it must have.
    if (!pod)
      co_return std::unexpected(to_cni(Error(Errc::Unavailable, pod.error().message()),
                                       fmt::format("what Pod {} wants is not known", wish.pod)));
    if (*pod) annotations = std::move((*pod)->annotations);
  }
  auto wanted = address_wish(annotations, config.ips);
  if (!wanted && options_.tell) options_.tell(wish, "InvalidAddressAnnotation", wanted.error().message);
  co_return wanted;
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
  // From here on nothing waits: one moment of the journal. What an ADD or DEL is about to do is not in the links yet.
  Look look{.node = "",
            .now = loop_.now(),
            .records = {},
            .blocks = ipam_->explain(loop_.now()),
            .links = {},
            .links_trouble = ""};
  for (const auto& [key, record] : ipam_->records()) look.records.push_back(record);
  if (links)
    look.links = std::move(*links);
  else
    look.links_trouble = links.error().message();
  co_return look;
}

}  // namespace causeway::pod
