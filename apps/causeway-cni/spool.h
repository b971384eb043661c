// A DEL or GC that found no agent, left for the next one (format: pod/cni_wire.h).
#pragma once

#include <stddef.h>

// Idempotent: the name is the hash of container and interface. False: errno says why.
bool spool_del(const char* folder, const char* container, const char* ifname);
// The newest of a network counts: it lists what is valid now.
bool spool_gc(const char* folder, const char* network, const char* config, size_t size);
