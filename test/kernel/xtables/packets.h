// What every backend of Services has to do with packets; each a function that a test case of the backend calls.
#pragma once

#include "world_services.h"

namespace causeway::test {

void cluster_ip_reaches_every_endpoint(service::XtBackend backend, Family family);
void cluster_ip_is_closed_to_the_outside(service::XtBackend backend, Family family);
void node_port_is_open_to_all(service::XtBackend backend, Family family);
void node_port_of_policy_local_keeps_the_client(service::XtBackend backend, Family family);
void a_pod_reaches_itself(service::XtBackend backend, Family family);
void what_has_no_endpoint_is_refused(service::XtBackend backend, Family family);
void source_ranges_hold(service::XtBackend backend, Family family);
void affinity_holds(service::XtBackend backend, Family family);
void udp_is_balanced(service::XtBackend backend, Family family);
void a_connection_outlives_its_endpoint(service::XtBackend backend, Family family);
void a_second_life_writes_nothing(service::XtBackend backend);

}  // namespace causeway::test
