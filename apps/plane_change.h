// A node runs on one plane, and changes it only while it has no Pods: packets of the bpf plane do not pass netfilter,
// so a mixture would work in part, which is worse than not at all.
#pragma once

#include "apps/plane.h"

namespace causeway::apps {

// Refuses a change of plane while Pods are attached; else removes what the other plane left, and records the plane in
// <run>/plane. Rules of Services stay until plane bpf carries their connections (plane_adopt.h).
Status settle_plane(const PlaneSetup& setup);

}  // namespace causeway::apps
