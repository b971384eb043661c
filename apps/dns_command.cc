#include <CLI/CLI.hpp>
#include <memory>

#include "apps/dns.h"
#include "apps/environment.h"
#include "cli/dns.h"

namespace causeway::apps {

void add_dns_command(CLI::App& program, std::function<int()>& chosen) {
  CLI::App* app = program.add_subcommand("dns", "cluster DNS of one node, and `dns lookup`");
  auto options = std::make_shared<DnsOptions>();
  app->add_option("--corefile", options->corefile,
                  "CoreDNS' configuration, as far as docs/dns.md says; read again when it changes (default: a built-in "
                  "one, as kubeadm's)");
  app->add_option("--cluster-domain", options->cluster_domain, "of the built-in Corefile")->capture_default_str();
  app->add_option("--upstream", options->upstream,
                  "of the built-in Corefile: addresses with blanks between them, or a resolv.conf")
      ->capture_default_str();
  app->add_option("--listen", options->listen, "addresses with commas between them; they may come later")
      ->delimiter(',')
      ->capture_default_str();
  app->add_option("--port", options->port, "instead of the Corefile's")->check(CLI::Range(1, 65535));
  app->add_option("--workers", options->workers, "threads that answer (default: one for each CPU)")
      ->check(CLI::Range(1, 128));
  app->add_option("--transfer-to", options->transfer_to,
                  "CIDRs with commas between them that may transfer a zone, AXFR (default: nobody)")
      ->delimiter(',');
  app->add_option("--feed", options->feed,
                  "socket on which `causeway agent --dns` tells the cluster's names; empty: none")
      ->capture_default_str();
  app->add_option("--snapshot", options->snapshot, "file that keeps the names for the next start; empty: none")
      ->capture_default_str();
  app->add_option("--observe", options->observe, "unix:/PATH of pages for people and `dns lookup`; empty: none")
      ->capture_default_str();
  app->add_flag("--verbose", options->verbose, "log more");
  take_environment(*app);

  auto ask = std::make_shared<cli::DnsLookup>();
  CLI::App* lookup =
      app->add_subcommand("lookup", "what a client gets for a name: every step of its search list, and who answered");
  lookup->add_option("name", ask->name, "a name; with a dot at its end no search list is used")->required();
  lookup->add_option("--type", ask->type, "A, AAAA, SRV, PTR, TXT, ... (default: A and AAAA)");
  lookup->add_option("--from", ask->pod, "[NAMESPACE/]POD that asks: its search list, its address");
  auto* lab = lookup->add_option("--lab", ask->place.lab, "a lab's DNS");
  lookup->add_option("--node", ask->place.node, "of that lab (default: its first)")->needs(lab);
  lookup->add_option("--run-dir", ask->place.run, "of this machine's agent")->capture_default_str();
  lookup->callback([&chosen, ask] { chosen = [ask] { return cli::dns_lookup(*ask); }; });
  app->callback([&chosen, options, app] {
    if (app->get_subcommands().empty()) chosen = [options] { return run_dns(std::move(*options)); };
  });
}

}  // namespace causeway::apps
