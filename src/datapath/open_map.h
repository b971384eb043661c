// A pinned map of a known form.
#pragma once

#include "kernel/bpf/map.h"
#include "kernel/bpf/pins.h"

namespace causeway::datapath {

// `folder`: that of the maps. An error names the map that is missing or of another version.
template <class K, class V>
Result<bpf::Map<K, V>> open_map(const std::string& folder, const std::string& name) {
  return bpf::Map<K, V>::open(bpf::RawMap(TRY(bpf::open_pin(folder + "/" + name)), name));
}

}  // namespace causeway::datapath
