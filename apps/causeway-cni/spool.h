// A DEL that found no agent, left for the next one (format: pod/cni_wire.h).
#pragma once

// Idempotent: the name is the hash of container and interface. False: errno says why.
bool spool_del(const char* folder, const char* container, const char* ifname);
