// The tables of the fabric between compiler and kernel, each row with the key that it comes from.
#pragma once

#include "cluster/model/rows.h"
#include "fabric/tables.h"

namespace causeway::fabric {

template <class K, class V>
using Rows = cluster::Rows<Key, K, V>;

}  // namespace causeway::fabric
