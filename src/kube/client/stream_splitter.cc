#include "kube/client/stream_splitter.h"

namespace causeway::kube {
namespace {

bool is_space(char c) { return c == ' ' || c == '\n' || c == '\r' || c == '\t'; }

std::string_view trimmed(std::string_view line) {
  if (line.ends_with('\r')) line.remove_suffix(1);
  return line;
}

}  // namespace

Status LineSplitter::feed(std::string_view data, OnText& on_line) {
  for (size_t end; (end = data.find('\n')) != std::string_view::npos; data.remove_prefix(end + 1)) {
    if (rest_.size() + end > longest_) return fail(Errc::Invalid, "a watch event is longer than {} bytes", longest_);
    auto line = trimmed(data.substr(0, end));
    std::string joined;
    if (!rest_.empty()) {
      joined = std::exchange(rest_, {});
      joined += data.substr(0, end);
      line = trimmed(joined);
    }
    if (!line.empty()) TRY(on_line(line));
  }
  if (rest_.size() + data.size() > longest_)
    return fail(Errc::Invalid, "a watch event is longer than {} bytes", longest_);
  rest_ += data;
  return ok();
}

Status LineSplitter::finish() const {
  if (rest_.empty()) return ok();
  return fail(Errc::Truncated, "the stream ended inside of an event, after {} bytes of it", rest_.size());
}

Status ListSplitter::feed(std::string_view data, OnText& on_item) {
  for (size_t at = 0; at < data.size(); ++at) {
    // Most bytes are inside of the strings of elements: take them as one.
    if (place_ == Place::Element && string_ && !escaped_) {
      const size_t start = at;
      while (at < data.size() && data[at] != '"' && data[at] != '\\') ++at;
      element_.append(data.substr(start, at - start));
      if (element_.size() > longest_) break;
      if (at == data.size()) return ok();
    }
    TRY(take(data[at], on_item));
  }
  if (element_.size() > longest_ || envelope_.size() > longest_)
    return fail(Errc::Invalid, "an item of a list is longer than {} bytes", longest_);
  return ok();
}

Status ListSplitter::take(char c, OnText& on_item) {
  switch (place_) {
    case Place::Before:
      if (is_space(c)) return ok();
      if (c != '{') return fail(Errc::Invalid, "a list is not a JSON object: it begins with {:?}", c);
      place_ = Place::Envelope;
      depth_ = 1;
      envelope_ += c;
      return ok();
    case Place::Envelope: return in_envelope(c);
    case Place::Items: return in_items(c);
    case Place::Element:
      element_ += c;
      if (string_) {
        in_string(c);
        return ok();
      }
      if (c == '"') string_ = true;
      if (c == '{' || c == '[') ++depth_;
      if ((c == '}' || c == ']') && --depth_ == 2) {
        place_ = Place::Items;
        const auto status = on_item(element_);
        element_.clear();
        return status;
      }
      return ok();
    case Place::After:
      if (is_space(c)) return ok();
      return fail(Errc::Invalid, "text follows the list");
  }
  return fail(Errc::Internal, "list splitter");
}

void ListSplitter::in_string(char c) {
  if (escaped_)
    escaped_ = false;
  else if (c == '\\')
    escaped_ = true;
  else if (c == '"')
    string_ = false;
}

Status ListSplitter::in_envelope(char c) {
  envelope_ += c;
  if (envelope_.size() > longest_)
    return fail(Errc::Invalid, "the metadata of a list is longer than {} bytes", longest_);
  if (string_) {
    in_string(c);
    if (string_ && depth_ == 1) key_ += c;
    return ok();
  }
  switch (c) {
    case '"':
      string_ = true;
      if (depth_ == 1) key_.clear();
      break;
    case ':':
      if (depth_ == 1) keyed_ = true;
      break;
    case ',':
      if (depth_ == 1) keyed_ = false;
      break;
    case '{':
    case '[':
      if (depth_ == 1 && c == '[' && keyed_ && key_ == "items") place_ = Place::Items;
      ++depth_;
      break;
    case '}':
    case ']':
      if (--depth_ == 0) place_ = Place::After;
      break;
    default: break;
  }
  return ok();
}

Status ListSplitter::in_items(char c) {
  if (is_space(c) || c == ',') return ok();
  if (c == '{') {
    place_ = Place::Element;
    element_ += c;
    ++depth_;
    return ok();
  }
  if (c != ']') return fail(Errc::Invalid, "an item of a list is not an object: it begins with {:?}", c);
  envelope_ += c;
  --depth_;
  place_ = Place::Envelope;
  keyed_ = false;
  return ok();
}

Result<std::string> ListSplitter::envelope() const {
  if (place_ != Place::After) return fail(Errc::Truncated, "the list ended before its closing brace");
  return envelope_;
}

}  // namespace causeway::kube
