#!/usr/bin/env python3
"""bench.py [--json FILE] [--only STAGE,…] [--small]: what a Pod's connection takes; see README.md."""
import argparse
import pathlib
import signal
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / 'cluster')]
arguments, sys.argv[1:] = sys.argv[1:], []
import calm  # noqa: E402
import figures as shared  # noqa: E402
import node  # noqa: E402
import stages  # noqa: E402


class Figures(shared.Figures):
    def missing(self, figure, why):
        self.add(figure, '', None, None, None, None, False, why)

    def at_least(self, figure, unit, ours, at_least=None, peer=None):
        met = None if at_least is None else ours is not None and ours >= at_least
        self.add(figure, unit, ours, peer, ours / peer if ours is not None and peer else None,
                 at_least and f'>= {at_least:g} {unit}', met, '' if ours is not None else 'could not be measured')

    def within(self, figure, unit, ours, asked, part):
        """The peer is what was asked for."""
        self.add(figure, unit, ours, asked, ours / asked, f'within {part:.0%}', abs(ours / asked - 1) <= part)


class Sizes:
    def __init__(self, small):
        self.rounds, self.single, self.many = (2, 12, 24) if small else (5, 100, 200)
        self.attachments = 400 if small else 10_000
        self.rates = (10_000_000,) if small else (10_000_000, 200_000_000, 1_000_000_000)
        self.seconds = 2 if small else 5
        self.moves = 2 if small else 8


def main():
    parser = argparse.ArgumentParser(prog='./dev bench pod')
    parser.add_argument('--json', metavar='FILE')
    parser.add_argument('--only', default=','.join(stages.STAGES), metavar='STAGE,…', help=f'of {", ".join(stages.STAGES)}')
    parser.add_argument('--small', action='store_true', help='few Pods: whether the bench works, no figures to quote')
    options = parser.parse_args(arguments)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the labs are taken down
    rows, sizes = Figures(), Sizes(options.small)
    calm.run(stages.STAGES, options.only.split(','), rows, sizes, (node.BenchError, node.lab.ApiError, AssertionError, OSError), options.json)
    return 0


if __name__ == '__main__':
    sys.exit(main())
