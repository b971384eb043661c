#include "dns/corefile_lexer.h"

#include <glob.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <map>

#include "base/file.h"

namespace causeway::dns {

std::string to_string(const Place& place) { return fmt::format("{}:{}", place.file, place.line); }

namespace {

constexpr size_t kMostWords = 100000;  // what an import in an import may grow to

// {$NAME} and {%NAME%} become what the environment says, empty where it says nothing (Caddy's rule).
std::string with_environment(std::string text) {
  for (const auto& [open, close] : {std::pair<std::string, std::string>{"{$", "}"}, {"{%", "%}"}})
    for (size_t at = 0; (at = text.find(open, at)) != std::string::npos;) {
      const size_t end = text.find(close, at + 2);
      if (end == std::string::npos) break;
      const char* value = std::getenv(text.substr(at + 2, end - at - 2).c_str());
      const std::string said = value != nullptr ? value : "";
      text.replace(at, end + close.size() - at, said);
      at += said.size();
    }
  return text;
}

Result<std::vector<Word>> split(const std::string& text, const std::string& file) {
  std::vector<Word> words;
  int line = 1;
  bool same_line = false;
  for (size_t i = 0; i < text.size();) {
    const char c = text[i];
    if (c == '\n') {
      ++line, ++i, same_line = false;
    } else if (c == ' ' || c == '\t' || c == '\r') {
      ++i;
    } else if (c == '#') {
      while (i < text.size() && text[i] != '\n') ++i;
    } else if (c == '"') {
      Word word{.text = {}, .place = {file, line}, .quoted = true, .same_line = same_line};
      for (++i; i < text.size() && text[i] != '"'; ++i) {
        if (text[i] == '\\' && i + 1 < text.size() && text[i + 1] == '"') ++i;
        if (text[i] == '\n') ++line;
        word.text += text[i];
      }
      if (i == text.size())
        return fail(Errc::Invalid, "{}: this quotation mark has no end: close it", to_string(word.place));
      ++i;
      word.text = with_environment(std::move(word.text));
      words.push_back(std::move(word));
      same_line = true;
    } else {
      Word word{.text = {}, .place = {file, line}, .same_line = same_line};
      while (i < text.size() && text[i] != ' ' && text[i] != '\t' && text[i] != '\r' && text[i] != '\n')
        word.text += text[i++];
      word.text = with_environment(std::move(word.text));
      words.push_back(std::move(word));
      same_line = true;
    }
  }
  return words;
}

bool opens(const Word& word) { return !word.quoted && word.text == "{"; }
bool closes(const Word& word) { return !word.quoted && word.text == "}"; }

class Reader {
 public:
  Result<std::vector<Block>> read(const std::string& text, const std::string& file) {
    words_ = TRY(split(text, file));
    std::vector<Block> blocks;
    while (at_ < words_.size()) {
      if (words_[at_].text == "import" && !words_[at_].quoted) {
        TRY(import());
        continue;
      }
      Block block;
      while (at_ < words_.size() && !opens(words_[at_])) {
        if (closes(words_[at_]))
          return fail(Errc::Invalid, "{}: this \"}}\" closes nothing: remove it", to_string(words_[at_].place));
        block.keys.push_back(words_[at_++]);
      }
      if (at_ == words_.size())
        return fail(Errc::Invalid, "{}: a server block needs braces: write \"{} {{\", its directives and \"}}\"",
                    to_string(block.keys[0].place), block.keys[0].text);
      if (block.keys.empty())
        return fail(Errc::Invalid, "{}: a server block needs zones before its \"{{\", such as \".:53\"",
                    to_string(words_[at_].place));
      const std::string& key = block.keys[0].text;
      if (block.keys.size() == 1 && key.size() > 2 && key.front() == '(' && key.back() == ')') {
        TRY(keep_snippet(key.substr(1, key.size() - 2)));
        continue;
      }
      const Place place = words_[at_++].place;
      block.directives = TRY(lines(place, 0));
      blocks.push_back(std::move(block));
    }
    return blocks;
  }

 private:
  // The words between the braces at `at_`, for imports of that name.
  Status keep_snippet(const std::string& name) {
    const Place place = words_[at_].place;
    if (snippets_.contains(name))
      return fail(Errc::Invalid, "{}: there is already a snippet ({}): give one of them another name", to_string(place),
                  name);
    std::vector<Word>& snippet = snippets_[name];
    int depth = 1;
    for (++at_; at_ < words_.size(); ++at_) {
      depth += opens(words_[at_]) ? 1 : closes(words_[at_]) ? -1 : 0;
      if (depth == 0) break;
      snippet.push_back(words_[at_]);
    }
    if (at_ == words_.size()) return unclosed(place);
    ++at_;
    return ok();
  }

  static std::unexpected<Error> unclosed(const Place& place) {
    return fail(Errc::Invalid, "{}: this \"{{\" is never closed: add its \"}}\"", to_string(place));
  }

  // Directives up to the "}" that closes what was opened at `opened`.
  Result<std::vector<Directive>> lines(const Place& opened, int depth) {
    if (depth > 2) return fail(Errc::Invalid, "{}: no directive has braces so deep", to_string(opened));
    std::vector<Directive> all;
    for (;;) {
      if (at_ == words_.size()) return unclosed(opened);
      if (closes(words_[at_])) {
        ++at_;
        return all;
      }
      if (depth == 0 && words_[at_].text == "import" && !words_[at_].quoted) {
        TRY(import());
        continue;
      }
      if (opens(words_[at_]))
        return fail(Errc::Invalid, "{}: \"{{\" belongs at the end of its directive's line",
                    to_string(words_[at_].place));
      Directive directive{.name = words_[at_++]};
      while (at_ < words_.size() && words_[at_].same_line && !closes(words_[at_])) {
        if (opens(words_[at_])) {
          const Place place = words_[at_++].place;
          directive.body = TRY(lines(place, depth + 1));
          break;
        }
        directive.arguments.push_back(words_[at_++]);
      }
      all.push_back(std::move(directive));
    }
  }

  // Puts the words of a snippet, or of the files of a pattern, in place of "import X".
  Status import() {
    const Place place = words_[at_].place;
    if (at_ + 1 >= words_.size() || !words_[at_ + 1].same_line || opens(words_[at_ + 1]) || closes(words_[at_ + 1]))
      return fail(Errc::Invalid, "{}: import needs the name of a snippet or a file", to_string(place));
    const std::string what = words_[at_ + 1].text;
    if (at_ + 2 < words_.size() && words_[at_ + 2].same_line && !closes(words_[at_ + 2]))
      return fail(Errc::Invalid, "{}: import takes one name; remove \"{}\"", to_string(place), words_[at_ + 2].text);
    if (++imports_ > 1000 || words_.size() > kMostWords)
      return fail(Errc::Invalid, "{}: import of \"{}\" never ends: it imports itself", to_string(place), what);
    std::vector<Word> found;
    if (const auto snippet = snippets_.find(what); snippet != snippets_.end())
      found = snippet->second;
    else
      found = TRY(imported_files(what, place));
    words_.erase(words_.begin() + static_cast<long>(at_), words_.begin() + static_cast<long>(at_) + 2);
    words_.insert(words_.begin() + static_cast<long>(at_), found.begin(), found.end());
    return ok();
  }

  static Result<std::vector<Word>> imported_files(const std::string& what, const Place& place) {
    const auto path = std::filesystem::path(place.file).parent_path() / what;
    glob_t found{};
    const int status = ::glob(path.c_str(), 0, nullptr, &found);
    std::vector<std::string> files(found.gl_pathv, found.gl_pathv + (status == 0 ? found.gl_pathc : 0));
    ::globfree(&found);
    // A pattern may fit no file: the folder for additions is empty. A plain name is meant.
    if (files.empty() && what.find_first_of("*?[") == std::string::npos)
      return fail(Errc::Invalid, "{}: import: there is no snippet ({}) above and no file {}", to_string(place), what,
                  path.string());
    std::vector<Word> words;
    for (const auto& file : files) {
      const auto text = TRY(read_file(file), "{}: import", to_string(place));
      auto more = TRY(split(text, file));
      words.insert(words.end(), more.begin(), more.end());
    }
    return words;
  }

  std::vector<Word> words_;
  size_t at_ = 0;
  int imports_ = 0;
  std::map<std::string, std::vector<Word>> snippets_;
};

}  // namespace

Result<std::vector<Block>> parse_blocks(const std::string& text, const std::string& file) {
  return Reader().read(text, file);
}

}  // namespace causeway::dns
