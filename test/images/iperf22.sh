#!/bin/bash
# Debian 12 has iperf 2.1.8, and the suite reads the CSV of iperf 2.2: a line of names first, the interval in two columns, and seven
# columns more for what 2.1.8 does not tell (-1). Everything else is iperf's own.
[[ " $* " == *" --reportstyle C "* ]] || exec /usr/bin/iperf "$@"
set -o pipefail
echo time,srcaddress,srcport,dstaddr,dstport,transferid,istart,iend,bytes,speed,writecnt,writeerr,tcpretry,tcpcwnd,tcppcwnd,tcprtt,tcprttvar
/usr/bin/iperf "$@" | sed -u -E '/^[0-9.]+(,[^,]*){8}$/{s/^(([^,]*,){6}[0-9.]+)-/\1,/;s/$/,-1,-1,-1,-1,-1,-1,-1/}'
