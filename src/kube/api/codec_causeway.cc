// The codec of our own kinds: their fields, and its instances.
#include "kube/api/causeway.h"
#include "kube/api/codec_instances.inc"

namespace causeway::kube::codec {

template <>
struct Fields<ReservationOwner> {
  using S = ReservationOwner;
  static constexpr auto list =
      std::make_tuple(always("kind", &S::kind), always("name", &S::name), always("uid", &S::uid));
};
template <>
struct Fields<AddressReservationSpec> {
  using S = AddressReservationSpec;
  static constexpr auto list = std::make_tuple(
      always("address", &S::address), always("podNamespace", &S::pod_namespace), always("podName", &S::pod_name),
      f("owner", &S::owner), f("nodeName", &S::node_name), f("podUID", &S::pod_uid));
};
template <>
struct Fields<AddressReservation> {
  using S = AddressReservation;
  static constexpr auto list = std::make_tuple(always("metadata", &S::metadata), f("spec", &S::spec));
};

}  // namespace causeway::kube::codec

namespace causeway::kube {

CAUSEWAY_KIND(AddressReservation);

}  // namespace causeway::kube
