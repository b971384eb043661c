// One line of a watch for each change: the type as the filter sees the change, and the object in the asked form.
#pragma once

#include <string>

#include "apiserver/filter.h"
#include "apiserver/request.h"

namespace causeway::apiserver {

class WatchEncoder {
 public:
  WatchEncoder(const Kind& kind, const Filter& filter, Accepted accepted, IncludeObject include)
      : kind_(kind), filter_(filter), accepted_(std::move(accepted)), include_(include) {}

  // Appends the line of this change, or nothing when the filter neither sees nor saw the object. What leaves the filter
  // is DELETED, what enters it ADDED.
  void append(std::string& out, const Event& event, WallTime now);
  void append_added(std::string& out, const Object& object, WallTime now);
  // `initial_end`: the bookmark that ends a streaming list.
  void append_bookmark(std::string& out, Revision revision, bool initial_end);
  static void append_error(std::string& out, const Failure& failure);

 private:
  void append_line(std::string& out, std::string_view type, const Object& object, Revision revision, WallTime now);

  const Kind& kind_;
  const Filter& filter_;
  Accepted accepted_;
  IncludeObject include_;
  bool columns_sent_ = false;
};

}  // namespace causeway::apiserver
