"""grid.py [CAUSEWAY] [PLANE] [--only TEXT] [--family 4|6] [--keep] [--list] [--kube-proxy MODE]: Services' semantics by plane and family.

Without PLANE and with --list: the whole table. With --kube-proxy the real program runs on plane netfilter in place of ours
(needs ./dev peers kube-proxy): what the expectations are worth."""
import argparse
import os
import pathlib
import sys
import threading
import time
import traceback
from concurrent.futures import ThreadPoolExecutor

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / 'lab')]
import semantics  # noqa: E402
import cells_beyond, cells_cluster, cells_flows, cells_outside, cells_policy, cells_trace  # noqa: E402,E401,F401

AT_ONCE = 6  # cells; most of them wait


def table():
    """Every cell; 1 when one has neither a test nor a reason."""
    notes, missing = [], 0
    columns = [(plane, family) for plane in semantics.PLANES for family in semantics.FAMILIES]
    width = max(len(s.title) for s in semantics.SEMANTICS)
    print(' ' * width + ''.join(f'  {plane[:8]:>8}' if family == 4 else ' ' * 8 for plane, family in columns))
    print(f'{"test = packets are sent":{width}}' + ''.join(f'  {"IPv" + str(f):>{8 if f == 4 else 6}}' for _, f in columns))
    for one in semantics.SEMANTICS:
        cells = ''
        for plane, family in columns:
            why = one.reason(plane, family)
            if why and why not in notes:
                notes.append(why)
            test = 'qemu' if plane in semantics.EMULATED else 'test'
            word = f'({notes.index(why) + 1})' if why else test if callable(one.function) else ''
            missing += not word
            cells += f'  {word:>{8 if family == 4 else 6}}'
        print(f'{one.title:{width}}{cells}')
    for number, why in enumerate(notes, 1):
        print(f'({number}) {why}')
    for plane, where in semantics.EMULATED.items():
        print(f'qemu: {plane} runs {where}')
    tests = sum(not one.reason(plane, family) for one in semantics.SEMANTICS for plane, family in columns
                if plane not in semantics.EMULATED)
    print(f'{len(semantics.SEMANTICS)} semantics, {tests} cells are tests, {missing} are empty')
    return 1 if missing else 0


class Run:
    def __init__(self, world, plane):
        self.world, self.plane, self.passed, self.failed, self.lock = world, plane, 0, 0, threading.Lock()

    def cell(self, one, family):
        start = time.monotonic()
        self.world.cell.family = family
        try:
            one.function(self.world, family)
            problem = ''
        except Exception as error:
            problem = f'{type(error).__name__}: {error}'
            if not isinstance(error, AssertionError):
                problem += '\n' + traceback.format_exc()
        with self.lock:
            self.passed += not problem
            self.failed += bool(problem)
            print(f'{"FAIL" if problem else "ok  "} {self.plane} IPv{family}  {one.title} ({time.monotonic() - start:.1f} s)'
                  + (f'\n     {problem}' if problem else ''), flush=True)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('causeway', nargs='?')
    parser.add_argument('plane', nargs='?', choices=semantics.PLANES)
    parser.add_argument('--list', action='store_true')
    parser.add_argument('--only', default='', metavar='TEXT', help='semantics with this text')
    parser.add_argument('--family', type=int, choices=(4, 6))
    parser.add_argument('--keep', action='store_true', help='leave the lab up')
    parser.add_argument('--kube-proxy', metavar='MODE', choices=('iptables', 'nftables'))
    parser.add_argument('--lab', metavar='NAME', help='name of the lab (svc-PLANE)')
    parser.add_argument('-j', type=int, default=AT_ONCE)
    options = parser.parse_args()
    if options.list:
        return table()
    if not options.plane:
        parser.error('which plane?')
    sys.argv[1:] = [options.causeway]
    import lab
    import world
    wanted = [(one, family) for one in semantics.SEMANTICS for family in semantics.FAMILIES
              if options.only in one.title and options.family in (None, family) and not one.reason(options.plane, family)]
    flags = ['--plane', 'bpf' if options.plane == 'bpf' else 'netfilter']
    if options.plane in ('iptables', 'ipvs'):
        flags += [f'--agent-flag=--proxy-mode={options.plane}']
    name = options.lab or f'svc-{options.plane}' + ('-peer' if options.kube_proxy else '')
    if options.kube_proxy:
        flags.append('--agent-flag=--no-services')
    one = lab.Lab(name, '--nodes', '2', '--ip-family', 'dual', '--fabric', 'vxlan', *flags)
    place = world.World(one)
    place.plane = options.plane
    proxies = []
    try:
        one.up()
        if options.kube_proxy:
            import kube_proxy
            place.plane = options.kube_proxy
            proxies = [kube_proxy.start(one, f'node-{n}', options.kube_proxy) for n in (1, 2)]
        place.up()
        run = Run(place, options.plane)
        with ThreadPoolExecutor(options.j) as pool:
            list(pool.map(lambda cell: run.cell(*cell), wanted))
    except Exception:
        for target in ('node-1', 'node-2'):
            print(f'---- {target}\n' + '\n'.join(one.logs(target, check=False).stdout.splitlines()[-40:]), flush=True)
        raise
    finally:
        for proxy in proxies:
            proxy.kill()
        place.down()
        if not options.keep:
            one.__exit__()
    print(f'{run.passed} passed, {run.failed} failed')
    return 1 if run.failed or not run.passed else 0


if __name__ == '__main__':
    sys.exit(main())
