#include "fabric/options.h"

namespace causeway::fabric {

std::string_view to_string(Mode mode) {
  switch (mode) {
    case Mode::Auto: return "auto";
    case Mode::Vxlan: return "vxlan";
    case Mode::HostGw: return "host-gw";
  }
  return "?";
}

Result<Mode> parse_mode(std::string_view text) {
  for (Mode mode : {Mode::Auto, Mode::Vxlan, Mode::HostGw})
    if (text == to_string(mode)) return mode;
  return fail(Errc::Invalid, "--fabric {}: must be auto, vxlan or host-gw", text);
}

std::string_view to_string(Plane plane) {
  switch (plane) {
    case Plane::Bpf: return "bpf";
    case Plane::Netfilter: return "netfilter";
  }
  return "?";
}

Result<Plane> parse_plane(std::string_view text) {
  for (Plane plane : {Plane::Bpf, Plane::Netfilter})
    if (text == to_string(plane)) return plane;
  return fail(Errc::Invalid, "--plane {}: must be bpf or netfilter", text);
}

}  // namespace causeway::fabric
