#include "json.h"

#include <string.h>

namespace {

struct Scanner {
  const char* at;
  const char* end;

  void blanks() {
    while (at < end && (*at == ' ' || *at == '\t' || *at == '\n' || *at == '\r')) ++at;
  }
  // Behind the closing quote; `start` and `length` are what is between the quotes, still escaped.
  bool string(const char*& start, size_t& length) {
    if (at >= end || *at != '"') return false;
    start = ++at;
    while (at < end && *at != '"') at += *at == '\\' ? 2 : 1;
    if (at >= end) return false;
    length = size_t(at - start);
    ++at;
    return true;
  }
  // Behind one value of any kind.
  bool skip() {
    int depth = 0;
    do {
      blanks();
      if (at >= end) return false;
      const char c = *at;
      if (c == '"') {
        const char* start;
        size_t length;
        if (!string(start, length)) return false;
      } else if (c == '{' || c == '[') {
        ++depth;
        ++at;
      } else if (c == '}' || c == ']') {
        --depth;
        ++at;
      } else if (c == ',' || c == ':') {
        ++at;
      } else {
        while (at < end && !strchr(" \t\r\n,:]}", *at)) ++at;
      }
    } while (depth > 0);
    return true;
  }
};

// Only the escapes that a path or a version may carry; \u is refused.
bool unescape(const char* start, size_t length, char* out, size_t room) {
  size_t used = 0;
  for (size_t i = 0; i < length; ++i) {
    char c = start[i];
    if (c == '\\') {
      c = start[++i];
      if (c != '\\' && c != '"' && c != '/') return false;
    }
    if (used + 1 >= room) return false;
    out[used++] = c;
  }
  out[used] = 0;
  return true;
}

}  // namespace

namespace {

// Moves `scan` to the value of the key; false: the outermost object has none.
bool find_value(Scanner& scan, const char* key) {
  scan.blanks();
  if (scan.at >= scan.end || *scan.at++ != '{') return false;
  for (;;) {
    const char* start;
    size_t length;
    scan.blanks();
    if (!scan.string(start, length)) return false;
    const bool found = length == strlen(key) && memcmp(start, key, length) == 0;
    scan.blanks();
    if (scan.at >= scan.end || *scan.at++ != ':') return false;
    scan.blanks();
    if (found) return true;
    if (!scan.skip()) return false;
    scan.blanks();
    if (scan.at >= scan.end || *scan.at++ != ',') return false;
  }
}

}  // namespace

bool json_string(const char* text, size_t size, const char* key, char* out, size_t room) {
  out[0] = 0;
  Scanner scan{text, text + size};
  const char* start;
  size_t length;
  const bool good = find_value(scan, key) && scan.string(start, length) && unescape(start, length, out, room);
  if (!good) out[0] = 0;
  return good;
}

JsonPart json_object(const char* text, size_t size, const char* key) {
  Scanner scan{text, text + size};
  if (!find_value(scan, key) || scan.at >= scan.end || *scan.at != '{') return {text, 0};
  const char* start = scan.at;
  if (!scan.skip()) return {text, 0};
  return {start, size_t(scan.at - start)};
}

void Text::add(const char* more) {
  for (; *more && size + 1 < sizeof bytes; ++more) bytes[size++] = *more;
  bytes[size] = 0;
}

void Text::add_number(long value) {
  char digits[24];
  size_t at = sizeof digits;
  digits[--at] = 0;
  do digits[--at] = char('0' + value % 10);
  while ((value /= 10) > 0);
  add(digits + at);
}

void Text::add_quoted(const char* more) {
  add("\"");
  for (; *more; ++more) {
    const unsigned char c = (unsigned char)*more;
    char one[2] = {*more, 0};
    if (c == '"' || c == '\\') add("\\");
    add(c < ' ' ? "?" : one);
  }
  add("\"");
}
