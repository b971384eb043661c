// Just enough JSON for a plugin whose agent is away: two strings out of the configuration, and text into an answer.
#pragma once

#include <stddef.h>

// Copies the string value of a key of the outermost object to `out` (with its final zero). False: no such key, no
// string, or it does not fit; then `out` is "".
bool json_string(const char* text, size_t size, const char* key, char* out, size_t room);

// The object that is the value of a key of the outermost object, as it stands; empty (size 0): none.
struct JsonPart {
  const char* text;
  size_t size;
};
JsonPart json_object(const char* text, size_t size, const char* key);

// Text of an answer, grown in place; what does not fit is cut off.
struct Text {
  char bytes[4096];
  size_t size = 0;

  void add(const char* more);
  void add_number(long value);
  void add_quoted(const char* more);  // as a JSON string
};
