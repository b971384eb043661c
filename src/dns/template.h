// Answers that are made of the question (directive template): records as text, with the question's parts in them.
#pragma once

#include <regex>

#include "dns/corefile.h"
#include "dns/message.h"

namespace causeway::dns {

// A record as zone files write it: "NAME [TTL] [CLASS] TYPE DATA" for A, AAAA, CNAME, NS, PTR, TXT, MX, SRV and SOA.
Result<Resource> parse_record(const std::string& text);

class Template {
 public:
  // Errors: Invalid, with the directive's place: a regular expression or a "{{ … }}" that is not known here.
  static Result<Template> make(const TemplateDirective& directive);

  enum class Fit : uint8_t {
    NotOurs,  // another class, type or zone: the next stage is asked
    Falls,    // no pattern fits, and the Corefile says to go on
    NoSuch,   // no pattern fits: NXDOMAIN
    Answered,
    Failed,  // the text that came out is no record: SERVFAIL
  };
  // Fills `answer` for Answered; `trouble` says why for Failed.
  Fit answer(const Question& question, Message& answer, std::string& trouble) const;

 private:
  struct Pattern {
    std::regex regex;
    std::vector<std::string> groups;  // names of its parentheses, "" of those without
  };
  TemplateDirective text_;
  std::vector<WireName> zones_;
  std::vector<WireName> fall_zones_;
  std::vector<Pattern> patterns_;
};

}  // namespace causeway::dns
