"""Faults on a real cluster with Causeway as its network: `./dev test faults`.

faults_test.py [--name N] [--stack noproxy|cni|causeway] [--plane P] [--fabric F] [--ip-family I] [--keep] [CASE…]: brings up a cluster of two
nodes, breaks it case by case, and takes it down. A CASE is a part of a name. --keep leaves the cluster (./dev cluster ls). Needs ./dev peers cluster and ./dev image.
"""
import argparse
import os
import pathlib
import sys
import time
import traceback

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent)]
import agent_cases  # noqa: E402
import dns_cases  # noqa: E402
import file_cases  # noqa: E402
import node_cases  # noqa: E402
from harness import cluster as clusters  # noqa: E402
from harness.plan import Options, Refused  # noqa: E402
from world import Failed, World  # noqa: E402


def cases(stack):
    return [(name[5:].replace('_', ' '), function) for module in (agent_cases, file_cases, node_cases, *((dns_cases,) if stack == 'causeway' else ()))
            for name, function in vars(module).items() if name.startswith('case_')]


def main():
    parser = argparse.ArgumentParser(prog='faults_test.py')
    parser.add_argument('case', nargs='*')
    parser.add_argument('--name', default='faults')
    parser.add_argument('--stack', default='noproxy')
    parser.add_argument('--plane', default='')
    parser.add_argument('--fabric', default='')
    parser.add_argument('--ip-family', default='ipv4')
    parser.add_argument('--keep', action='store_true')
    options = parser.parse_args()
    chosen = [(name, function) for name, function in cases(options.stack) if not options.case or any(c.replace('_', ' ') in name for c in options.case)]
    if os.geteuid() != 0 or not chosen:
        sys.exit('faults: needs root' if os.geteuid() else f'faults: no case is called {options.case}')
    passed = failed = 0
    with clusters.locked(options.name):
        if not options.keep:
            clusters.down(options.name)  # what a killed run left
        try:
            there = clusters.open_cluster(Options(name=options.name, stack=options.stack, plane=options.plane, fabric=options.fabric,
                                                  ip_family=options.ip_family), lambda text: print(f'==> {text}', flush=True))
            there.up()
            for name, function in chosen:
                start = time.monotonic()
                try:
                    world = World(there)
                    world.delete_all()
                    function(world)
                    passed += 1
                    print(f'ok   {name} ({time.monotonic() - start:.0f} s)', flush=True)
                except Exception as error:
                    failed += 1
                    print(f'FAIL {name} ({time.monotonic() - start:.0f} s)', flush=True)
                    print(f'     {error}' if isinstance(error, (Failed, Refused)) else traceback.format_exc(), flush=True)
                    print(''.join(f'     {line}\n' for line in evidence(there)), end='', flush=True)
                    there.up()  # the next case finds a whole cluster
        except Refused as refused:
            failed += 1
            print(f'FAIL {refused}', flush=True)
        finally:
            if not options.keep:
                clusters.down(options.name)
    print(f'{passed} passed, {failed} failed')
    sys.exit(1 if failed else 0)


def evidence(there):
    """The cluster as the failure left it, as far as it answers."""
    try:
        text = there.kubectl('get', 'nodes,pods', '-A', '-o', 'wide', check=False)
        text += there.kubectl('logs', '-n', 'causeway', '-l', 'app.kubernetes.io/component=agent', '--tail=15', '--prefix', check=False)
        return text.splitlines()[-60:]
    except Refused as refused:
        return [str(refused)]


if __name__ == '__main__':
    main()
