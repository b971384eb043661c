#!/usr/bin/env python3
"""bench.py [--json FILE] [--only STAGE,…] [--small]: what policies cost; see README.md."""
import argparse
import pathlib
import signal
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / 'cluster')]
arguments, sys.argv[1:] = sys.argv[1:], []
import calm  # noqa: E402
import figures as shared  # noqa: E402
import policed  # noqa: E402
import stages  # noqa: E402


class Figures(shared.Figures):
    def missing(self, figure, why):
        self.add(figure, '', None, None, None, None, False, why)


class Sizes:
    def __init__(self, small):
        self.namespaces = 500 if small else 25_000
        self.policies = 300 if small else 10_000
        self.blocks = 20_000 if small else 2_000_000
        self.rounds = 200 if small else 3000
        self.changes = 5 if small else 100


def main():
    parser = argparse.ArgumentParser(prog='./dev bench policy')
    parser.add_argument('--json', metavar='FILE')
    parser.add_argument('--only', default=','.join(stages.STAGES), metavar='STAGE,…', help=f'of {", ".join(stages.STAGES)}')
    parser.add_argument('--small', action='store_true', help='few policies: whether the bench works, no figures to quote')
    options = parser.parse_args(arguments)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the labs are taken down
    calm.run(stages.STAGES, options.only.split(','), Figures(), Sizes(options.small),
             (policed.BenchError, policed.lab.ApiError, AssertionError, OSError), options.json)
    return 0


if __name__ == '__main__':
    sys.exit(main())
