#!/usr/bin/env python3
"""The plugin judged by cnitool, libcni and the CNI project's own integration suite; see tools/dev/conformance.sh, which is its front."""
import argparse
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
ROOT = HERE.parents[1]
sys.path[:0] = [str(HERE), str(ROOT / 'tools/dev')]
import cluster_handle  # noqa: E402
import cni_integration  # noqa: E402
import cni_specs  # noqa: E402
import cni_world  # noqa: E402
import ginkgo  # noqa: E402
import page  # noqa: E402
import skips  # noqa: E402
from verdict import Verdict, junit, write_failures  # noqa: E402

PEERS = ('cnitool', 'cnijudge', 'cni-integration', *cni_world.THEIRS)
RESULTS, PAGE = HERE / 'results.json', ROOT / 'docs/conformance.md'


def arguments():
    parser = argparse.ArgumentParser(prog='./dev conformance cni', description='See ./dev conformance --help.')
    parser.add_argument('--focus', metavar='RE', default='')
    parser.add_argument('--record', action='store_true')
    parser.add_argument('--list', action='store_true')
    options = parser.parse_args()
    try:
        re.compile(options.focus)
    except re.error as error:
        parser.error(f'--focus {options.focus}: {error}')
    return options


def run_one(name, peers):
    start = time.monotonic()
    try:
        cni_specs.SPECS[name](peers)
        state, message, output = 'passed', '', ''
    except (cni_world.Failed, subprocess.SubprocessError, OSError, KeyError, ValueError, IndexError) as error:
        state, message, output = 'failed', f'{type(error).__name__}: {error}', traceback.format_exc()
    outcome = ginkgo.Outcome(name, state, time.monotonic() - start, message, output=output)
    print(f'{state:7} {outcome.seconds:5.1f} s  {name}' + (f'\n        {message[:400]}' if message else ''), flush=True)
    return outcome


def run_all(chosen, peers, folder):
    cni_world.sweep()
    outcomes, outside = [run_one(name, peers) for name in chosen if name in cni_specs.SPECS], []
    if suite := [name for name in chosen if name not in cni_specs.SPECS]:
        more, outside = cni_integration.run_specs(peers, folder, suite)
        for outcome in more:
            print(f'{outcome.state:7} {outcome.seconds:5.1f} s  {outcome.spec}', flush=True)
        outcomes += more
    return outcomes, outside


def folder_for():
    folder = ROOT / 'build/conformance' / f'cni-{datetime.datetime.now().strftime("%m%d-%H%M%S")}'
    folder.mkdir(parents=True)
    latest = ROOT / 'build/conformance/latest'
    latest.unlink(missing_ok=True)
    latest.symlink_to(folder.name)
    return folder


def record(options, verdict, seconds):
    described = subprocess.run(['git', 'describe', '--always', '--dirty'], cwd=ROOT, capture_output=True, text=True).stdout.strip()
    page.record(RESULTS, PAGE, {
        'suite': 'cni', 'stack': 'plugin', 'plane': '', 'fabric': '', 'ip_family': 'dual', 'nodes': 1, 'focus': options.focus,
        'date': datetime.date.today().isoformat(), 'seconds': round(seconds), 'kubernetes': '', 'causeway': described,
        'specs': len(verdict.specs), 'passed': len(verdict.passed), 'failed': sorted(o.spec for o in verdict.failed + verdict.outside),
        'skipped': dict(verdict.by_class()), 'skipped_themselves': {}})


def main():
    options = arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that what was begun is taken down
    try:
        listed = skips.parse((HERE / 'cni.skip').read_text(), 'cni.skip')
        specs = sorted([*cni_specs.SPECS, *cni_integration.listed({})])
        chosen, skipped = skips.split(specs, listed, {}, 'cni.skip')
        if not [spec for spec in specs if re.search(options.focus, spec)]:
            sys.exit(f'conformance: no spec of cni matches {options.focus}')
        chosen = [spec for spec in chosen if re.search(options.focus, spec)]
        skipped = {spec: skip for spec, skip in skipped.items() if re.search(options.focus, spec)}
        if options.list:
            for spec in sorted([*chosen, *skipped]):
                print(f'run   {spec}' if spec not in skipped else f'skip  {spec} ({skipped[spec].reason_class}: {skipped[spec].reason})')
            return 0
        cluster_handle.dev('peers', *PEERS, quiet=False)
        cluster_handle.dev('build', 'release', 'pod_test_agent', 'causeway-cni', quiet=False)
        peers = {name: cluster_handle.peer(name) for name in PEERS}
        folder, start = folder_for(), time.monotonic()
        outcomes, outside = run_all(chosen, peers, folder)
        seconds = time.monotonic() - start
    except (skips.Bad, cluster_handle.ClusterError) as error:
        sys.exit(f'conformance: {error}')
    except KeyboardInterrupt:
        return 130
    verdict = Verdict(sorted([*chosen, *skipped]), skipped, outcomes, outside)
    (folder / 'junit.xml').write_text(junit(verdict, 'cni', seconds))
    write_failures(verdict, str(folder / 'failed'))
    text = (f'{len(verdict.specs)} specs in {seconds:.0f} s: {len(verdict.passed)} passed, {len(verdict.failed) + len(verdict.outside)} failed, '
            f'{len(verdict.skipped)} skipped, {len(verdict.missing)} missing\n')
    (folder / 'summary.txt').write_text(text)
    print(text, end='')
    if not options.focus or options.record:
        record(options, verdict, seconds)
        print(f'written: {PAGE.relative_to(ROOT)}')
    return 0 if verdict.good(whole=not options.focus) else 1


if __name__ == '__main__':
    sys.exit(main())
