#!/usr/bin/env python3
"""grid.py --list: the statements of the contract of cluster DNS, and the tests of each.

A test of statement N is a case named "dns N: ..." in a *_test.cc of src/dns. A statement with neither a test nor a reason
fails."""
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]

# S: DNS-based service discovery 1.1.0; M: multi-cluster DNS 1.0.0; R: RFCs; P: what users rely on (docs/dns.md).
STATEMENTS = {
    1: 'S, M  dns-version tells the version of the specification',
    2: 'S     A and AAAA of cluster IPs; the other family is NODATA',
    3: 'S     SRV of named ports; none of unnamed ones; a wrong protocol is NXDOMAIN',
    4: 'S     headless: the union of ready endpoints; none is NXDOMAIN',
    5: 'S     endpoint names: hostname, address, or Pod',
    6: 'S     headless SRV: ready endpoints x named ports, their own numbers',
    7: 'S, P  PTR of cluster IPs and of ready endpoints',
    8: 'S, P  ExternalName: CNAME for every type, followed through the upstream',
    9: 'S, R  no case; the question is echoed octet for octet',
    10: 'R     NODATA and NXDOMAIN with one SOA; what exists between names',
    11: 'R     sizes: 512, EDNS, TC, TCP; OPT; BADVERS; compression',
    12: 'P     Pods: disabled, insecure, verified',
    13: 'P     no wildcards, nothing deeper, filters, fallthrough',
    14: 'P     before the first list SERVFAIL, after it never again',
    15: 'M     clusterset.local',
    16: 'P     AXFR; the serial follows changes',
}
# Statement -> why it has no test.
REASONS = {}


def tests():
    """Statement -> [(file, title)]."""
    found = {}
    for path in sorted((ROOT / 'src/dns').glob('*_test.cc')):
        for number, title in re.findall(r'TEST_CASE\(\s*"dns (\d+): ((?:[^"\\]|\\.|"\s*")*)"', path.read_text()):
            found.setdefault(int(number), []).append((path.name, re.sub(r'"\s*"', '', title)))
    return found


def main():
    if sys.argv[1:] != ['--list']:
        print(__doc__.strip())
        return 0 if sys.argv[1:] in (['-h'], ['--help']) else 2
    found, empty = tests(), 0
    for number, statement in STATEMENTS.items():
        print(f'{number:>2}  {statement}')
        for name, title in found.get(number, []):
            print(f'          {title} ({name})')
        if number not in found:
            print(f'          {REASONS.get(number, "NO TEST")}')
            empty += number not in REASONS
    for number in sorted(set(found) - set(STATEMENTS)):
        print(f'{number:>2}  there is no such statement: {found[number][0][1]} ({found[number][0][0]})')
        empty += 1
    print(f'{len(STATEMENTS)} statements, {sum(map(len, found.values()))} tests, {empty} without')
    return 1 if empty else 0


if __name__ == '__main__':
    sys.exit(main())
