// Rules of our own kinds.
#pragma once

#include "kube/api/validate.h"

namespace causeway::kube::validate {

void address_reservation(FieldErrors& errors, const json::object& object);
void address_reservation_update(FieldErrors& errors, const json::object& old, const json::object& updated);

}  // namespace causeway::kube::validate
