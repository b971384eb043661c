#include "apiserver/object.h"

namespace causeway::apiserver {

std::string to_string(const Key& key) { return key.ns.empty() ? key.name : key.ns + "/" + key.name; }

}  // namespace causeway::apiserver
