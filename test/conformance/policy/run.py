#!/usr/bin/env python3
"""Others' policy cases, sent as packets between real Pods of a lab; see tools/dev/conformance.sh, which is its front."""
import argparse
import collections
import datetime
import os
import pathlib
import re
import signal
import subprocess
import sys
import time
import traceback

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[2]
sys.path[:0] = [str(HERE), str(HERE.parent), str(ROOT / 'test/lab'), str(ROOT / 'test/services'), str(ROOT / 'tools/dev')]
import cases  # noqa: E402
import cyclonus  # noqa: E402

# suite -> (how to read its cases, how many there must be)
SUITES = {'netpol': (lambda: cases.load('netpol'), 50), 'cyclonus': (cyclonus.cases, cyclonus.TOTAL), 'cnp': (lambda: cases.load('cnp'), 24)}
PLANES = ('bpf', 'netfilter')
RESULTS, PAGE = HERE.parent / 'results.json', ROOT / 'docs/conformance.md'


def arguments():
    parser = argparse.ArgumentParser(prog='./dev conformance policy-data', description='See ./dev conformance --help.')
    parser.add_argument('--suite', choices=sorted(SUITES), action='append')
    parser.add_argument('--plane', choices=PLANES, action='append')
    parser.add_argument('--family', choices=('4', '6'), action='append')
    parser.add_argument('--only', metavar='RE', default='')
    parser.add_argument('--part', metavar='K/N', default='1/1', help='the cases K, K+N, K+2N, ...')
    parser.add_argument('--nodes', type=int, default=2)
    parser.add_argument('--name', default='cases')
    parser.add_argument('--causeway', default=str(ROOT / 'build/release/apps/causeway'))
    parser.add_argument('--record', action='store_true')
    parser.add_argument('--list', action='store_true')
    options = parser.parse_args()
    try:
        re.compile(options.only)
    except re.error as error:
        parser.error(f'--only {options.only}: {error}')
    part = re.fullmatch(r'([1-9]\d*)/([1-9]\d*)', options.part)
    if not part or int(part[1]) > int(part[2]):
        parser.error(f'--part {options.part}: wanted K/N with K from 1 to N')
    options.part = int(part[1]), int(part[2])
    options.families = [int(family) for family in sorted(set(options.family or ('4', '6')))]
    options.whole = not options.only and options.part[1] == 1
    return options


def chosen(options):
    """{suite: cases}; refuses a suite that has not all its cases."""
    out = {}
    for suite in options.suite or SUITES:
        read, total = SUITES[suite]
        found = read()
        if len(found) != total:
            raise cases.Bad(f'{suite} has {total} cases, the data has {len(found)}')
        out[suite] = [case for case in found[options.part[0] - 1::options.part[1]] if re.search(options.only, case.name)]
    if not any(out.values()):
        raise cases.Bad(f'no case matches --only {options.only}')
    return out


def split(suite, found):
    """(cases to run, {name: Skip}) by the suite's skip list, where it has one."""
    import skips
    path = HERE / f'{suite}.skip'
    if not path.exists():
        return found, {}
    listed = skips.parse(path.read_text(), path.name)
    _, skipped = skips.split([case.name for case in SUITES[suite][0]()], listed, {}, path.name)
    return ([case for case in found if case.name not in skipped],
            {case.name: skipped[case.name] for case in found if case.name in skipped})


class Run:
    """The cases of one plane in one lab; a world is made when the first case wants it."""

    def __init__(self, options, plane):
        import ginkgo
        import judge
        import lab
        import world
        self.options, self.plane, self.ginkgo, self.judge, self.lab, self.world = options, plane, ginkgo, judge, lab, world
        self.outcomes, self.late, self.probes = collections.defaultdict(list), [], 0
        self.one, self.worlds = None, {}

    def world_of(self, case):
        if case.world not in self.worlds:
            self.worlds[case.world] = self.world.World(self.one, case.world, self.options.nodes)
            self.worlds[case.world].up()
        return self.worlds[case.world]

    def case(self, case):
        """{family: why it failed, '' if it did not}"""
        import api_cases
        if case.api:
            getattr(api_cases, case.api)(self.one)
            return dict.fromkeys(self.options.families, '')
        found = self.judge.run_case(self.world_of(case), case, self.options.families)
        self.late += [f'{case.suite}: {case.name}: {text}' for one in found.values() for text in one.late]
        self.probes += sum(one.probes for one in found.values())
        return {family: '\n'.join(one.wrong) for family, one in found.items()}

    def tell(self, case, told, seconds, output):
        for family, why in told.items():
            state = 'failed' if why else 'passed'
            self.outcomes[case.suite, family].append(self.ginkgo.Outcome(case.name, state, seconds / len(told), why, output=output))
        bad = {family: why for family, why in told.items() if why}
        print(f'{"FAIL" if bad else "ok  "} {self.plane} {case.suite}: {case.name} ({seconds:.1f} s)', flush=True)
        for family, why in bad.items():
            lines = why.splitlines()
            print(f'  IPv{family}: ' + '\n    '.join(lines[:8] + ([f'and {len(lines) - 8} more'] if len(lines) > 8 else [])), flush=True)

    def run(self, suites):
        self.one = self.lab.Lab(f'{self.options.name}-{self.plane}', '--nodes', str(self.options.nodes), '--plane', self.plane, '--ip-family', 'dual')
        try:
            self.one.up()
            for case in [case for suite, found in suites.items() for case in split(suite, found)[0]]:
                start, output = time.monotonic(), ''
                try:
                    told = self.case(case)
                except Exception as error:
                    output = traceback.format_exc()
                    told = dict.fromkeys(self.options.families, f'{type(error).__name__}: {error}')
                if any(told.values()) and case.world in self.worlds:
                    output += self.worlds[case.world].pages()
                self.tell(case, told, time.monotonic() - start, output)
        finally:
            for world in self.worlds.values():
                world.down()
            self.one.__exit__()


def folder_for(plane):
    folder = ROOT / 'build/conformance' / f'policy-data-{plane}-{datetime.datetime.now().strftime("%m%d-%H%M%S")}'
    folder.mkdir(parents=True)
    latest = ROOT / 'build/conformance/latest'
    latest.unlink(missing_ok=True)
    latest.symlink_to(folder.name)
    return folder


def conclude(options, plane, run, suites, seconds):
    """Reports of one plane; whether all is well: every case of each suite ran in each family, and passed."""
    from verdict import Verdict, junit, write_failures
    folder, good, lines = folder_for(plane), True, []
    for suite, wanted in suites.items():
        for family in options.families:
            outcomes = run.outcomes[suite, family]
            verdict = Verdict([case.name for case in wanted], split(suite, wanted)[1], outcomes, [])
            good &= len(verdict.skipped) == len(wanted) or verdict.good(whole=True)
            took = sum(outcome.seconds for outcome in outcomes)
            (folder / f'{suite}-ipv{family}.xml').write_text(junit(verdict, f'policy-{suite}', took))
            write_failures(verdict, str(folder / f'{suite}-ipv{family}-failed'))
            lines.append(f'{plane} IPv{family} {suite}: {len(verdict.passed)} passed, {len(verdict.failed)} failed, {len(verdict.missing)} missing, '
                         f'{len(verdict.skipped)} skipped of {len(wanted)}')
            if options.record or options.whole:
                record(suite, plane, family, options, verdict, took)
    lines += [f'late: {text}' for text in run.late]
    lines.append(f'{plane}: {run.probes} probes in {seconds:.0f} s, {len(run.late)} of them as expected only later; {folder.relative_to(ROOT)}')
    (folder / 'summary.txt').write_text('\n'.join(lines) + '\n')
    print('\n'.join(lines), flush=True)
    return good


def described():
    return subprocess.run(['git', 'describe', '--always', '--dirty'], cwd=ROOT, capture_output=True, text=True).stdout.strip()


def record(suite, plane, family, options, verdict, seconds):
    import page
    page.record(RESULTS, PAGE, {
        'suite': f'policy-{suite}', 'stack': 'lab', 'plane': plane, 'fabric': 'auto', 'ip_family': f'ipv{family}', 'nodes': options.nodes,
        'focus': options.only, 'date': datetime.date.today().isoformat(), 'seconds': round(seconds), 'kubernetes': '', 'causeway': options.described,
        'specs': len(verdict.specs), 'passed': len(verdict.passed), 'failed': sorted(o.spec for o in verdict.failed), 'skipped': dict(verdict.by_class()),
        'skipped_themselves': {}})


def main():
    options = arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that what was begun is taken down
    os.environ['CAUSEWAY'] = options.causeway  # before the lab's module asks
    options.described = described()  # before the page itself has changed
    try:
        suites = chosen(options)
        if options.list:
            for suite, found in suites.items():
                for case in found:
                    print(f'{suite}: {case.name}')
            print(', '.join(f'{len(found)} of {suite}' for suite, found in suites.items()))
            return 0
        good = True
        for plane in options.plane or PLANES:
            run, start = Run(options, plane), time.monotonic()
            run.run(suites)
            good &= conclude(options, plane, run, suites, time.monotonic() - start)
        total = [outcome.state for _ in [0] for outcomes in run.outcomes.values() for outcome in outcomes]
        print(f'{total.count("passed")} passed, {len(total) - total.count("passed")} failed')
        return 0 if good else 1
    except cases.Bad as error:
        sys.exit(f'conformance: {error}')
    except KeyboardInterrupt:
        return 130


if __name__ == '__main__':
    sys.exit(main())
