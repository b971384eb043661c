// What the columns_*.cc files share: how kubectl's columns print things (k8s.io/kubernetes pkg/printers).
#pragma once

#include "apiserver/table.h"

namespace causeway::apiserver {

constexpr Column kName{"Name", "Name must be unique within a namespace."};
constexpr Column kAge{"Age", "Time since the object was created."};

std::string or_none(std::string text);  // "<none>" when empty
std::string name_of(const json::object& object);
std::string age_of(const json::object& object, WallTime now);
std::string format_labels(const json::object& labels);      // "a=b,c=d"
std::string format_selector(const json::object& selector);  // "a=b,c in (d,e),!f"
Strings strings_of(const json::object& object);

}  // namespace causeway::apiserver
