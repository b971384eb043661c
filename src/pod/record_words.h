// What an attachment has beyond its fixed fields, as words "key=value": behind the line of the journal and, as far as
// they fit, behind the alias of its link. An agent that knew none wrote none, so both stay readable over an upgrade.
#pragma once

#include "pod/record.h"

namespace causeway::pod {

// Text as one word: what could be mistaken is written %xx, nothing is "-".
std::string escaped(std::string_view text);
std::optional<std::string> unescaped(std::string_view word);

// Only what differs from a record without any; what a rebuilt journal needs first comes first.
std::vector<std::string> words_of(const Record& record);
// Whether it can be one of them: nothing else in a line has a "=" (host ports have none).
inline bool is_word(std::string_view text) { return text.find('=') != std::string_view::npos; }
// False: no word of ours.
bool take_word(Record& record, std::string_view word);

}  // namespace causeway::pod
