// deps: kube_api
// Objects from the API server: whatever the bytes are, decoding ends in a value or an error, and a value that was
// encoded decodes to itself.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "kube/api/codec.h"

using namespace causeway::kube;

namespace {

template <class T>
void round_trip(std::string_view text) {
  auto object = decode<T>(text);
  if (!object) return;
  auto again = decode<T>(encode(*object));
  if (!again || !(*again == *object)) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
  switch (data[0] % 8) {
    case 0: round_trip<Pod>(text); break;
    case 1: round_trip<Node>(text); break;
    case 2:
      round_trip<EndpointSlice>(text);
      round_trip<Endpoints>(text);
      break;
    case 3:
      round_trip<Service>(text);
      round_trip<ServiceCidr>(text);
      round_trip<IpAddress>(text);
      break;
    case 4: round_trip<NetworkPolicy>(text); break;
    case 5: round_trip<Deployment>(text); break;
    case 6: (void)decode_list_items<Pod>(std::string(text), [](Pod&&) {}); break;
    case 7: (void)decode_watch_event<Pod>(text); break;
  }
  return 0;
}
