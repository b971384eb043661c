#!/usr/bin/env python3
"""Runs a suite of upstream's on a cluster; see tools/dev/conformance.sh, which is its front."""
import argparse
import dataclasses
import datetime
import os
import pathlib
import re
import signal
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path[:0] = [str(HERE), str(ROOT / 'tools/dev')]
import cluster_handle  # noqa: E402
import ginkgo  # noqa: E402
import page  # noqa: E402
import policy_api  # noqa: E402
import skips  # noqa: E402
import runner  # noqa: E402
from verdict import Verdict, junit, write_failures  # noqa: E402


@dataclasses.dataclass(frozen=True)
class Suite:
    """`specs()`: all of them. `peers`: what ./dev peers has to build. `runner`: as runner.Runner."""
    specs: object
    peers: tuple
    runner: object


def e2e(mark):
    """Specs of the network group of e2e.test whose names match."""
    def specs():
        done = subprocess.run([cluster_handle.peer('e2e.test'), '--list-tests'], stdin=subprocess.DEVNULL, capture_output=True, text=True)
        found = [spec for spec in ginkgo.listed(done.stdout, '[sig-network]') if re.search(mark, spec)]
        if done.returncode or not found:
            raise cluster_handle.ClusterError(f'e2e.test --list-tests names no spec of the suite: {done.stderr.strip()[-500:]}')
        return found
    return Suite(specs, ('e2e.test', 'kubectl-1.36'), runner.Runner)


SUITES = {'sig-network': e2e(''), 'netpol': e2e(r'^\[sig-network\] Netpol'),
          'policy-api': Suite(lambda: policy_api.SPECS, (policy_api.PEER, 'kubectl-1.36'), policy_api.Runner)}
RESULTS, PAGE = HERE / 'results.json', ROOT / 'docs/conformance.md'


def arguments():
    parser = argparse.ArgumentParser(prog='./dev conformance', description='See ./dev conformance --help.')
    parser.add_argument('suite', choices=sorted(SUITES))
    parser.add_argument('--stack', required=True, choices=('stock', 'cni', 'noproxy', 'causeway'))
    parser.add_argument('--plane', choices=('bpf', 'netfilter'))
    parser.add_argument('--fabric')
    parser.add_argument('--ip-family', choices=('ipv4', 'ipv6', 'dual'), default='ipv4')
    parser.add_argument('--nodes', type=int)
    parser.add_argument('--focus', metavar='RE', default='')
    parser.add_argument('--name', default='conformance')
    parser.add_argument('--keep', action='store_true')
    parser.add_argument('--procs', type=int, default=2)
    parser.add_argument('--timeout', type=int, metavar='MINUTES', default=150)
    parser.add_argument('--record', action='store_true')
    parser.add_argument('--list', action='store_true')
    options = parser.parse_args()
    try:
        re.compile(options.focus)
    except re.error as error:
        parser.error(f'--focus {options.focus}: {error}')
    options.nodes = options.nodes or (2 if options.focus else 3)
    return options


def kind_of(options, facts):
    """What conditions of the skip list and the page know of the cluster; `facts` of one that is up, else what was asked for."""
    return {'stack': facts.get('stack', options.stack), 'plane': facts.get('plane') or options.plane,
            'fabric': facts.get('fabric') or options.fabric, 'ip_family': facts.get('ip_family', options.ip_family),
            'nodes': len(facts['nodes']) if 'nodes' in facts else options.nodes}


def cluster_for(options):
    """(Handle, whether it is ours to take down). One that is up must be what was asked for."""
    found = cluster_handle.find(options.name)
    if found is None:
        asked = {'stack': options.stack, 'plane': options.plane, 'fabric': options.fabric, 'ip-family': options.ip_family, 'nodes': options.nodes}
        return cluster_handle.up(options.name, asked), True
    for key, asked in (('stack', options.stack), ('plane', options.plane), ('fabric', options.fabric), ('ip_family', options.ip_family)):
        if asked and found.facts.get(key) and found.facts[key] != asked:
            raise cluster_handle.ClusterError(f'the cluster {options.name} is up with {key} {found.facts[key]}, not {asked}: take it down '
                                              f'(./dev cluster down --name {options.name}), or name another with --name')
    return found, False


def prepare(handle):
    """What the suite assumes of nodes and a netns harness need not give: a zone for each."""
    for number, node in enumerate(handle.nodes, 1):
        handle.kubectl('label', 'node', node['name'], f'topology.kubernetes.io/zone=zone-{number}', '--overwrite')


def folder_for(options, kind):
    name = '-'.join(str(part) for part in (options.suite, kind['stack'], kind['plane'], kind['fabric'], kind['ip_family']) if part)
    stamp = datetime.datetime.now().strftime('%m%d-%H%M%S')
    folder = ROOT / 'build/conformance' / f'{name}-{stamp}'
    folder.mkdir(parents=True)
    latest = ROOT / 'build/conformance/latest'
    latest.unlink(missing_ok=True)
    latest.symlink_to(folder.name)
    return folder


def summary(verdict, options, seconds, failures):
    lines = []
    for outcome in verdict.failed + verdict.outside:
        first = outcome.message.strip().splitlines()[0] if outcome.message.strip() else outcome.state
        lines += [f'FAIL  {outcome.spec}', f'      {first[:300]}', f'      {os.path.relpath(failures[outcome.spec], ROOT)}']
    for outcome in verdict.skipped_themselves:
        lines += [f'SKIP  {outcome.spec}', f'      skipped itself: {outcome.message.strip().splitlines()[0][:300]}']
    lines += [f'NONE  {spec}: neither run nor skipped' for spec in verdict.missing]
    if verdict.skipped:
        lines.append('skipped: ' + ', '.join(f'{count} {reason}' for reason, count in sorted(verdict.by_class().items())))
    if verdict.skipped_themselves and not options.focus:
        lines.append(f'{len(verdict.skipped_themselves)} specs skipped themselves: give the cluster what they want, or add a line to '
                     f'test/conformance/{options.suite}.skip')
    lines.append(f'{len(verdict.specs)} specs in {seconds:.0f} s: {len(verdict.passed)} passed, {len(verdict.failed) + len(verdict.outside)} failed, '
                 f'{len(verdict.skipped)} skipped, {len(verdict.skipped_themselves)} skipped themselves, {len(verdict.missing)} missing')
    return '\n'.join(lines) + '\n'


def record(options, kind, handle, verdict, seconds):
    described = subprocess.run(['git', 'describe', '--always', '--dirty'], cwd=ROOT, capture_output=True, text=True).stdout.strip()
    page.record(RESULTS, PAGE, {
        'suite': options.suite, **kind, 'focus': options.focus, 'date': datetime.date.today().isoformat(), 'seconds': round(seconds),
        'kubernetes': handle.facts.get('kubernetes', ''), 'causeway': '' if kind['stack'] == 'stock' else described,
        'specs': len(verdict.specs), 'passed': len(verdict.passed), 'failed': sorted(o.spec for o in verdict.failed + verdict.outside),
        'skipped': dict(verdict.by_class()),
        'skipped_themselves': {o.spec: o.message.strip().splitlines()[0] for o in verdict.skipped_themselves}})


def run(options, specs, listed):
    handle, ours = cluster_for(options)
    try:
        kind = kind_of(options, handle.facts)
        # Once more with what the cluster is: a default of ./dev cluster may decide about a line.
        chosen, skipped = skips.split(specs, listed, kind, f'{options.suite}.skip')
        chosen = [spec for spec in chosen if re.search(options.focus, spec)]
        skipped = {spec: skip for spec, skip in skipped.items() if re.search(options.focus, spec)}
        folder = folder_for(options, kind)
        prepare(handle)
        print(f'{len(chosen)} specs to run, {len(skipped)} skipped; {os.path.relpath(folder, ROOT)}', flush=True)
        start = time.monotonic()
        outcomes, outside = SUITES[options.suite].runner(handle, folder, options.procs, options.timeout * 60).run(chosen)
        seconds = time.monotonic() - start
    finally:
        if ours and not options.keep:
            cluster_handle.down(options.name)
    verdict = Verdict(sorted([*chosen, *skipped]), skipped, outcomes, outside)
    (folder / 'junit.xml').write_text(junit(verdict, options.suite, seconds))
    text = summary(verdict, options, seconds, write_failures(verdict, str(folder / 'failed')))
    (folder / 'summary.txt').write_text(text)
    print(text, end='')
    if not options.focus or options.record:
        record(options, kind, handle, verdict, seconds)
        print(f'written: {PAGE.relative_to(ROOT)}')
    return 0 if verdict.good(whole=not options.focus) else 1


def main():
    options = arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that what was begun is taken down
    try:
        listed = skips.parse((HERE / f'{options.suite}.skip').read_text(), f'{options.suite}.skip')
        if not options.list:
            cluster_handle.dev('peers', *SUITES[options.suite].peers, quiet=False)
        specs = SUITES[options.suite].specs()
        chosen, skipped = skips.split(specs, listed, kind_of(options, {}), f'{options.suite}.skip')
        wanted = [spec for spec in specs if re.search(options.focus, spec)]
        if not wanted:
            sys.exit(f'conformance: no spec of {options.suite} matches {options.focus}')
        if options.list:
            for spec in wanted:
                print(f'run   {spec}' if spec not in skipped else f'skip  {spec} ({skipped[spec].reason_class}: {skipped[spec].reason})')
            print(f'{len(wanted)} specs: {sum(spec in chosen for spec in wanted)} run, {sum(spec in skipped for spec in wanted)} skipped')
            return 0
        return run(options, specs, listed)
    except (skips.Bad, cluster_handle.ClusterError) as error:
        sys.exit(f'conformance: {error}')
    except KeyboardInterrupt:
        return 130


if __name__ == '__main__':
    sys.exit(main())
