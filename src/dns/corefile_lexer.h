// The text of a Corefile as a tree: server blocks, directives, their arguments and bodies. It knows the Corefile's
// syntax (comments, quotes, {$VARIABLES}, snippets, import) and none of its directives.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"

namespace causeway::dns {

// A place in a Corefile, for errors: "FILE:LINE".
struct Place {
  std::string file;
  int line = 0;  // from 1
  bool operator==(const Place&) const = default;
};
std::string to_string(const Place& place);

struct Word {
  std::string text;
  Place place;
  bool quoted = false;    // "{" in quotes opens nothing
  bool same_line = true;  // as the word before
};

struct Directive {
  Word name;
  std::vector<Word> arguments;
  std::vector<Directive> body;  // each line within its braces
};

struct Block {
  std::vector<Word> keys;  // zones: "cluster.local:53"
  std::vector<Directive> directives;
};

// `file` names the text in errors; an import is sought beside it. Errors: Invalid, "FILE:LINE: what, and what to do".
Result<std::vector<Block>> parse_blocks(const std::string& text, const std::string& file);

}  // namespace causeway::dns
