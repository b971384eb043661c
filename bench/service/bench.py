#!/usr/bin/env python3
"""bench.py [--json FILE] [--only STAGE,…] [--small]: Services' figures; see README.md."""
import argparse
import pathlib
import signal
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / 'cluster')]
arguments, sys.argv[1:] = sys.argv[1:], []
import calm  # noqa: E402
import figures as shared  # noqa: E402
import cluster  # noqa: E402
import stages  # noqa: E402


class Figures(shared.Figures):
    def missing(self, figure, why):
        self.add(figure, '', None, None, None, None, False, why)

    def note(self, text):
        self.rows[-1]['note'] = text


class Sizes:
    def __init__(self, small, services, many, peers):
        self.services, self.many = (200, 600) if small else (services, many)
        self.endpoints = 5_000 if small else 250_000
        self.changes, self.life = (20, 8) if small else (200, 20)
        self.peer_cold, self.peer_change = {}, {}  # kube-proxy's, by mode
        self.peers = peers


def main():
    parser = argparse.ArgumentParser(prog='./dev bench service')
    parser.add_argument('--json', metavar='FILE')
    parser.add_argument('--only', default=','.join(stages.STAGES), metavar='STAGE,…')
    parser.add_argument('--small', action='store_true', help='few Services: whether the bench works, no figures to quote')
    parser.add_argument('--services', type=int, default=10_000, help='beside kube-proxy, and for cold starts')
    parser.add_argument('--many', type=int, default=30_000, help='for connect and memory')
    parser.add_argument('--no-peers', action='store_true', help='kube-proxy is not measured')
    options = parser.parse_args(arguments)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the labs are taken down
    rows, sizes = Figures(), Sizes(options.small, options.services, options.many,
                               () if options.no_peers else ('iptables', 'nftables'))
    calm.run(stages.STAGES, options.only.split(','), rows, sizes, (cluster.BenchError, cluster.lab.ApiError, AssertionError, OSError), options.json)
    return 0


if __name__ == '__main__':
    sys.exit(main())
