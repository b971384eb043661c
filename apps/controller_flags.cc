#include <CLI/CLI.hpp>

#include "apps/controller.h"
#include "apps/environment.h"

namespace causeway::apps {

CLI::App* add_controller_command(CLI::App& program, ControllerOptions& options) {
  CLI::App* app =
      program.add_subcommand("controller", "the controllers of a cluster: node CIDRs, workloads, scheduling");
  app->add_option("--kubeconfig", options.kubeconfig,
                  "how to reach the API server (default: $KUBECONFIG, the Pod's service account, ~/.kube/config)");
  app->add_option("--controllers", options.controllers,
                  "which: names with commas between them, * for all, -NAME for all but that; beside Kubernetes' own "
                  "controllers give node-ipam-controller")
      ->capture_default_str();
  auto& ipam = options.node_ipam;
  app->add_flag("--allocate-node-cidrs,!--no-allocate-node-cidrs", ipam.allocate_node_cidrs,
                "give each node its Pod CIDRs");
  app->add_option("--cluster-cidr", ipam.cluster_cidr, "addresses of Pods: one CIDR, or one for each family");
  app->add_option("--service-cluster-ip-range", ipam.service_cluster_ip_range,
                  "addresses of Services, which no node gets: one CIDR, or one for each family");
  const auto size = CLI::Range(1, 128);
  app->add_option("--node-cidr-mask-size", ipam.node_cidr_mask_size, "prefix length of a node's CIDR (one family only)")
      ->check(size);
  app->add_option("--node-cidr-mask-size-ipv4", ipam.node_cidr_mask_size_ipv4,
                  "prefix length of a node's IPv4 CIDR (default: 24)")
      ->check(size);
  app->add_option("--node-cidr-mask-size-ipv6", ipam.node_cidr_mask_size_ipv6,
                  "prefix length of a node's IPv6 CIDR (default: 64)")
      ->check(size);
  app->add_option("--cidr-allocator-type", ipam.cidr_allocator_type, "RangeAllocator")->capture_default_str();
  app->add_option(
         "--address-reservation-grace", options.address_grace,
         "seconds that an address kept for a Pod (causeway.io/keep-addresses) stays its own while nothing makes the "
         "Pod again, such as a StatefulSet that was scaled down")
      ->capture_default_str()
      ->check(CLI::Range(int64_t{0}, int64_t{365 * 86400}));
  app->add_flag("--leader-elect,!--no-leader-elect", options.leader_elect, "work only while holding a Lease");
  app->add_option("--leader-elect-lease", options.lease, "NAMESPACE/NAME of that Lease")->capture_default_str();
  app->add_option("--observe", options.observe, "ADDRESS:PORT of /healthz, /readyz, /metrics; empty: none")
      ->capture_default_str();
  app->add_flag("--verbose", options.verbose, "log more");
  take_environment(*app);
  return app;
}

}  // namespace causeway::apps
