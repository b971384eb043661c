# Every `bash -c` of this image begins here (BASH_ENV). Suites start `agnhost porter` on SCTP ports beside what they ask over TCP and UDP,
# and it ends where the kernel has no SCTP sockets: the Pod would never be Ready. There it only stays; what asks it is skipped by name.
if compgen -e | grep -q '^SERVE_SCTP_' && ! grep -q '^SCTP' /proc/net/protocols; then
  unset BASH_ENV
  exec sleep infinity
fi
