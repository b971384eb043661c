// Cuts the body of a watch into lines and the body of a list into its items, piece by piece as they arrive, so that
// neither is ever held as a whole.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "base/result.h"

namespace causeway::kube {

using OnText = std::move_only_function<Status(std::string_view)>;

// Lines end with \n (or \r\n); empty ones are skipped. A watch event is one line.
class LineSplitter {
 public:
  explicit LineSplitter(size_t longest = size_t{32} << 20) : longest_(longest) {}
  // Errors: Invalid (a line above the limit), and those of `on_line`.
  Status feed(std::string_view data, OnText& on_line);
  // At the end of the stream: a last line without its \n is an error (Truncated).
  Status finish() const;

 private:
  size_t longest_;
  std::string rest_;
};

// Gives out each element of "items" of a List object. What is around them (kind, metadata) is kept: envelope() is the
// same document with an empty "items".
class ListSplitter {
 public:
  explicit ListSplitter(size_t longest = size_t{32} << 20) : longest_(longest) {}
  // Errors: Invalid (an element that is no object, an element or envelope above the limit, text behind the document).
  Status feed(std::string_view data, OnText& on_item);
  // At the end of the stream. Errors: Truncated.
  Result<std::string> envelope() const;

 private:
  enum class Place { Before, Envelope, Items, Element, After };

  Status take(char c, OnText& on_item);
  Status in_envelope(char c);
  Status in_items(char c);
  void in_string(char c);

  size_t longest_;
  Place place_ = Place::Before;
  int depth_ = 0;        // of brackets, in the whole document
  bool string_ = false;  // inside of one
  bool escaped_ = false;
  std::string envelope_;
  std::string element_;
  std::string key_;     // the last string of the outermost object
  bool keyed_ = false;  // key_ is followed by its ':'
};

}  // namespace causeway::kube
