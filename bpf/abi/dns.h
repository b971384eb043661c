/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Cluster DNS of the node: the addresses of `config.dns` are answered by a process of the node itself while it can. */
#ifndef CAUSEWAY_ABI_DNS_H
#define CAUSEWAY_ABI_DNS_H

#include "abi/types.h"

ABI_BEGIN

/* Addresses: of the DNS Service one for each family, and a link-local one. */
enum { DNS_ADDRESSES = 4, DNS_PORT = 53 };

/* Map `dns_here` (array of DNS_ADDRESSES) -> __u32, by the index in `config.dns`: 1: the node's process says that it
 * answers there, and the node has the address. Stays as it is while the agent is away; the programs also ask whether
 * there is such a socket, so that a process which is gone is passed by from the next packet on. */

ABI_END
#endif
