#include "dns/corefile.h"

#include <algorithm>
#include <set>

#include "dns/corefile_words.h"

namespace causeway::dns {

namespace {

// Directives of CoreDNS that people have and that are not here, with what to do.
const std::map<std::string, std::string, std::less<>> kElsewhere = {
    {"bind", "give `causeway dns` --listen"},
    {"autopath", "remove it: the node's own answers make search lists cheap"},
    {"dnstap", "remove it; `log` tells of queries, with the names of Pods"},
    {"file", "serve that zone elsewhere and `forward` it"},
    {"auto", "serve those zones elsewhere and `forward` them"},
    {"secondary", "serve that zone elsewhere and `forward` it"},
    {"etcd", "serve that zone elsewhere and `forward` it"},
    {"tls", "this server speaks UDP and TCP; remove it"},
    {"pprof", "remove it"},
    {"trace", "remove it"},
    {"debug", "give `causeway dns` --verbose"},
    {"multisocket", "remove it: there is a socket for each CPU"},
    {"nodecache", "remove it: `causeway dns` is the node's cache"}};

class Reader {
 public:
  Result<Corefile> read(const std::vector<Block>& blocks, const std::string& file) {
    if (blocks.empty()) return fail(Errc::Invalid, "{}: there is no server block: write \".:53 {{ … }}\"", file);
    for (const Block& block : blocks) TRY(take(block));
    return std::move(out_);
  }

 private:
  Status take(const Block& block) {
    ServerBlock server{.place = block.keys[0].place};
    for (const Word& word : block.keys) TRY(take_key(server, word));
    std::vector<ZoneText> zones;
    for (const auto& key : server.keys)
      if (std::ranges::find(zones, key.zone) == zones.end()) zones.push_back(key.zone);
    std::set<std::string> once;
    for (const Directive& directive : block.directives) {
      const std::string& name = directive.name.text;
      static const std::set<std::string, std::less<>> kMany = {"forward", "rewrite", "template", "acl", "log"};
      if (!kMany.contains(name) && !once.insert(name).second)
        return refuse(directive.name.place, "{} stands twice in this server block: remove one", name);
      TRY(take(server, directive, zones));
    }
    out_.blocks.push_back(std::move(server));
    return ok();
  }

  // "cluster.local:53", "dns://.:53", "10.0.0.0/8", and with a comma at the end as Caddy allows.
  Status take_key(ServerBlock& server, Word word) {
    while (word.text.ends_with(',')) word.text.pop_back();
    if (word.text.starts_with("dns://")) word.text.erase(0, 6);
    if (word.text.find("://") != std::string::npos)
      return refuse(word.place, "\"{}\": only dns:// is served here", word.text);
    uint16_t port = 53;
    if (const size_t colon = word.text.rfind(':');
        colon != std::string::npos && word.text.find('/') == std::string::npos) {
      port = static_cast<uint16_t>(
          TRY(parse_number({.text = word.text.substr(colon + 1), .place = word.place}, 1, 65535)));
      word.text.erase(colon);
    }
    for (ZoneText& zone : TRY(parse_zones(word))) {
      ServerBlock::Key key{std::move(zone), port};
      if (!keys_.insert(key).second)
        return refuse(word.place, "zone {} on port {} has a server block already: put both into one", key.zone,
                      key.port);
      server.keys.push_back(std::move(key));
    }
    return ok();
  }

  Status take(ServerBlock& server, const Directive& directive, const std::vector<ZoneText>& zones) {
    const std::string& name = directive.name.text;
    if (name == "kubernetes") {
      server.kubernetes = TRY(parse_kubernetes(directive, zones));
    } else if (name == "forward") {
      auto forward = TRY(parse_forward(directive));
      if (std::ranges::any_of(server.forward, [&](const auto& other) { return other.zone == forward.zone; }))
        return refuse(forward.place, "forward {} stands twice in this server block: name all upstreams in one",
                      forward.zone);
      server.forward.push_back(std::move(forward));
    } else if (name == "cache") {
      server.cache = TRY(parse_cache(directive, zones));
    } else if (name == "hosts") {
      server.hosts = TRY(parse_hosts(directive, zones));
    } else if (name == "rewrite") {
      server.rewrite.push_back(TRY(parse_rewrite(directive)));
    } else if (name == "template") {
      server.templates.push_back(TRY(parse_template(directive, zones)));
    } else if (name == "acl") {
      std::ranges::move(TRY(parse_acl(directive, zones)), std::back_inserter(server.acl));
    } else if (name == "log") {
      server.log.push_back(TRY(parse_log(directive, zones)));
    } else if (name == "dns64") {
      server.dns64 = TRY(parse_dns64(directive));
    } else if (name == "bufsize") {
      TRY(check_shape(directive, 0, 1));
      server.bufsize = 1232;
      if (!directive.arguments.empty())
        server.bufsize = static_cast<uint16_t>(TRY(parse_number(directive.arguments[0], 512, 4096)));
    } else if (name == "loadbalance") {
      TRY(check_shape(directive, 0, 1));
      if (!directive.arguments.empty() && directive.arguments[0].text != "round_robin")
        return refuse(directive.arguments[0].place, "loadbalance \"{}\": only round_robin is done here",
                      directive.arguments[0].text);
      server.loadbalance = true;
    } else if (name == "errors") {
      TRY(check_shape(directive, 0, 0));
      server.errors = true;
    } else if (name == "loop") {
      TRY(check_shape(directive, 0, 0));
      server.loop = true;
    } else {
      return take_global(directive);
    }
    return ok();
  }

  // What is one for the process, in whichever block it stands.
  Status take_global(const Directive& directive) {
    const std::string& name = directive.name.text;
    const auto address = [&](std::string& into, const char* otherwise) -> Status {
      TRY(check_shape(directive, 0, 1, name == "health"));
      std::string text = directive.arguments.empty() ? otherwise : directive.arguments[0].text;
      const size_t colon = text.rfind(':');
      const Place& place = directive.name.place;
      if (colon == std::string::npos) return refuse(place, "{} \"{}\": write ADDRESS:PORT or :PORT", name, text);
      TRY(parse_number({.text = text.substr(colon + 1), .place = place}, 1, 65535));
      std::string host = text.substr(0, colon);
      if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
      if (host == "localhost")
        text.replace(0, colon, "127.0.0.1");
      else if (!host.empty() && !Ip::parse(host))
        return refuse(place, "{} \"{}\": \"{}\" is no address", name, text, host);
      if (!into.empty() && into != text)
        return refuse(place, "{} {}: another server block says {}; one is enough", name, text, into);
      into = text;
      return ok();
    };
    if (name == "health") {
      TRY(address(out_.health, ":8080"));
      for (const Directive& line : directive.body) {
        if (line.name.text != "lameduck")
          return refuse(line.name.place, "health: there is no option \"{}\": it has lameduck", line.name.text);
        TRY(check_shape(line, 1, 1));
        out_.lameduck = std::chrono::ceil<Seconds>(TRY(parse_duration(line.arguments[0])));
      }
    } else if (name == "ready") {
      TRY(address(out_.ready, ":8181"));
    } else if (name == "prometheus") {
      TRY(address(out_.prometheus, "localhost:9153"));
    } else if (name == "reload") {
      TRY(check_shape(directive, 0, 2));  // the second is CoreDNS' jitter: many servers that read one file
      std::chrono::milliseconds every{30000};
      if (!directive.arguments.empty()) every = TRY(parse_duration(directive.arguments[0]));
      if (every < Seconds(2) && every.count() != 0)
        return refuse(directive.arguments[0].place, "reload: at least 2s, or 0 for never");
      if (directive.arguments.size() > 1) TRY(parse_duration(directive.arguments[1]));
      if (every.count() != 0) out_.reload = every;
    } else if (const auto known = kElsewhere.find(name); known != kElsewhere.end()) {
      return refuse(directive.name.place, "{} is not taken here: {}", name, known->second);
    } else {
      return refuse(directive.name.place,
                    "there is no directive \"{}\" here: there are kubernetes, forward, cache, health, ready, "
                    "prometheus, errors, log, loop, reload, loadbalance, hosts, rewrite, acl, bufsize, dns64 and "
                    "template",
                    name);
    }
    return ok();
  }

  Corefile out_;
  std::set<ServerBlock::Key> keys_;
};

}  // namespace

Result<Corefile> parse_corefile(const std::string& text, const std::string& file) {
  return Reader().read(TRY(parse_blocks(text, file)), file);
}

}  // namespace causeway::dns
