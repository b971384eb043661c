// Which objects of a collection a list, a watch or a deletecollection is about.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "apiserver/kinds.h"
#include "apiserver/object.h"
#include "apiserver/request.h"
#include "kube/api/selector.h"

namespace causeway::apiserver {

class Filter {
 public:
  // From the namespace and the options labelSelector and fieldSelector. Errors: 400, naming the option or a field that
  // the kind has not.
  static ApiResult<Filter> parse(const Call& call);

  bool matches(const Object& object) const;
  // No selector: only a namespace, or nothing.
  bool is_plain() const { return plain_; }
  const std::string& ns() const { return ns_; }

 private:
  std::string ns_;
  kube::Selector labels_;
  kube::FieldSelector fields_;
  bool plain_ = true;
};

// What selectors of this kind look at.
Index index_of(const Kind& kind, const json::object& object);

}  // namespace causeway::apiserver
