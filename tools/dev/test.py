"""Builds and runs tests; see tools/dev/test.sh, which is its front."""
import argparse
import fcntl
import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
PRESET_OF = {'unit': 'dev', 'scenario': 'dev', 'sim': 'dev', 'kernel': 'release', 'lab': 'release',
             'cluster': 'release', 'qemu': 'release'}
DEFAULT = ('unit', 'scenario', 'sim', 'kernel', 'lab')
SLOTS = max(2, os.cpu_count() or 2)
# Slots that a test of the group holds: a lab is a cluster of its own, and keeps the machine busy.
WEIGHT = {'lab': SLOTS, 'cluster': SLOTS, 'qemu': SLOTS}
DOCTEST = re.compile(r'test cases:\s*(\d+)\s*\|\s*(\d+) passed\s*\|\s*(\d+) failed')
PLAIN = re.compile(r'^(\d+) passed, (\d+) failed\b', re.M)
TTY = sys.stdout.isatty() and not os.environ.get('NO_COLOR')


class Test:
    def __init__(self, preset, entry):
        values = {p['name']: p['value'] for p in entry.get('properties', [])}
        self.name, self.preset = entry['name'], preset
        self.group = (values.get('LABELS') or ['?'])[0]
        self.command = entry.get('command')
        self.folder = values.get('WORKING_DIRECTORY', str(ROOT))
        self.timeout = float(values.get('TIMEOUT', 120))
        self.environment = dict(v.split('=', 1) for v in values.get('ENVIRONMENT', []))
        self.weight = SLOTS if values.get('RUN_SERIAL') else WEIGHT.get(self.group, 1)
        # A doctest binary is a target of the test's name; ctest does not know its command before it is built.
        self.built = self.command is None or self.command[0].startswith(str(ROOT / 'build'))


def colour(text, code):
    return f'\x1b[{code}m{text}\x1b[0m' if TTY else text


def configure(preset):
    """build/PRESET, configured, and brought up to date: a new file may mean a new test."""
    folder = ROOT / 'build' / preset
    ready = folder / 'build.ninja'
    if not ready.exists() or ready.stat().st_mtime < (ROOT / 'CMakePresets.json').stat().st_mtime:
        command = ['cmake', '--preset', preset]
    else:
        command = ['ninja', '-C', folder, 'build.ninja']
    done = subprocess.run(command, cwd=ROOT, stdin=subprocess.DEVNULL, text=True, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT)
    if done.returncode:
        sys.exit(f'{done.stdout}\ntest: configuring build/{preset} failed')
    return folder


def listed(preset):
    out = subprocess.run(['ctest', '--show-only=json-v1'], cwd=configure(preset), capture_output=True, text=True, check=True)
    return [Test(preset, entry) for entry in json.loads(out.stdout)['tests']]


def select(names, preset):
    wanted = {preset} if preset else {'dev', 'release'}
    tests = [t for p in sorted(wanted) for t in listed(p) if preset or PRESET_OF.get(t.group) == p]
    order = list(PRESET_OF)
    tests.sort(key=lambda t: (order.index(t.group) if t.group in order else len(order), t.name))
    if not names:
        return [t for t in tests if t.group in DEFAULT], []
    chosen, unknown = [], []
    for name in names:
        found = [t for t in tests if t.group == name]
        if not found and name not in PRESET_OF:
            found = [t for t in tests if t.name == name] or [t for t in tests if name in t.name]
        if not found:
            unknown.append(name)
        chosen += [t for t in found if t not in chosen]
    return chosen, unknown


def ninja(preset, targets, log):
    """ninja's exit code. One build of a preset at a time, as in lib.sh; says every half minute how far it is."""
    folder = ROOT / 'build' / preset
    with open(folder / '.lock', 'w') as lock, open(log, 'wb') as out:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print(f'build/{preset} is being built by another ./dev; waiting for it', flush=True)
            fcntl.flock(lock, fcntl.LOCK_EX)
        process = subprocess.Popen(['ninja', '-k', '0', '-C', folder, *targets], cwd=ROOT, stdin=subprocess.DEVNULL,
                                   stdout=out, stderr=subprocess.STDOUT)
        while True:
            try:
                return process.wait(30)
            except subprocess.TimeoutExpired:
                steps = re.findall(rb'^\[\d+/\d+\]', log.read_bytes(), re.M)
                if steps:
                    print(f'    {steps[-1].decode()} built', flush=True)


def build(tests):
    """Builds what the tests need, as far as it goes: what does not build fails later, by name."""
    for preset in sorted({t.preset for t in tests}):
        here = [t for t in tests if t.preset == preset]
        targets = [t.name for t in here if t.built]
        if preset == 'release':
            targets.append('product')
        if not targets:
            continue
        print(colour(f'==> build {preset}: {len(targets)} targets', 1), flush=True)
        log = ROOT / 'build' / f'{preset}.log'
        if ninja(preset, targets, log):
            print(log.read_text(errors='replace')[-8000:])
            print(colour(f'build {preset} failed; all of it is in {log.relative_to(ROOT)}', 31), flush=True)
    for preset in {t.preset for t in tests}:
        commands = {t.name: t.command for t in listed(preset)}
        for test in tests:
            if test.preset == preset:
                test.command = commands.get(test.name)


def counts(text, code):
    """(passed, failed, why) of a finished test."""
    found = DOCTEST.findall(text)
    plain = PLAIN.findall(text)
    if found:
        passed, failed = int(found[-1][1]), int(found[-1][2])
        if code == 0 and passed == 0:
            return 0, 1, 'ran no test case'
    elif plain:
        passed, failed = map(int, plain[-1])
    else:
        passed, failed = (1, 0) if code == 0 else (0, 1)
    if code != 0 and failed == 0:
        return passed, 1, f'exit code {code}' if code > 0 else f'killed by {signal.Signals(-code).name}'
    return passed, failed, ''


def told(output, log):
    """The lines to show of a test that failed. What failed comes first: who reads only a part shall see it."""
    lines = output.splitlines()
    first, inside = [], False
    for line in lines:
        inside = line.startswith('FAIL') or (inside and line.startswith(' '))
        if inside:
            first.append(line)
    if first and len(lines) > 20:
        first = [*first[:60], f'… and all of it, in {log}:']
    else:
        first = []
    if len(lines) > 200:
        first.append(f'… {len(lines) - 200} lines above are in {log}')
    return first + lines[-200:]


class Runner:
    def __init__(self, extra):
        self.extra, self.free, self.lock = extra, SLOTS, threading.Condition()
        self.passed = self.failed = 0
        self.failures = []
        self.logs = ROOT / 'build' / 'test-logs'
        self.logs.mkdir(parents=True, exist_ok=True)
        symbolizer = '/usr/bin/llvm-symbolizer-19'
        self.environment = {
            'ASAN_OPTIONS': f'detect_stack_use_after_return=1:strict_string_checks=1:external_symbolizer_path={symbolizer}',
            'UBSAN_OPTIONS': f'print_stacktrace=1:external_symbolizer_path={symbolizer}',
            'TSAN_OPTIONS': f'second_deadlock_stack=1:external_symbolizer_path={symbolizer}', **os.environ}

    def execute(self, test, log):
        """(output, exit code, why it was ended)."""
        if not test.command or (test.built and not os.access(test.command[0], os.X_OK)):
            return '', 1, 'did not build'
        with open(log, 'wb') as out:
            process = subprocess.Popen(test.command + self.extra, cwd=test.folder, stdin=subprocess.DEVNULL, stdout=out,
                                       stderr=subprocess.STDOUT, start_new_session=True,
                                       env={**self.environment, **test.environment})
            why = ''
            try:
                process.wait(test.timeout)
            except subprocess.TimeoutExpired:
                why = f'no end after {test.timeout:.0f} s'
                os.killpg(process.pid, signal.SIGABRT)  # a stack trace where the program has one
                try:
                    process.wait(5)
                except subprocess.TimeoutExpired:
                    pass
            try:
                os.killpg(process.pid, signal.SIGKILL)  # what the test left behind
            except ProcessLookupError:
                pass
            process.wait()
        return log.read_text(errors='replace'), process.returncode, why

    def run(self, test):
        log = self.logs / f'{test.name}.log'
        start = time.monotonic()
        output, code, why = self.execute(test, log)
        passed, failed, reason = counts(output, code) if not why else (0, 1, why)
        elapsed = time.monotonic() - start
        with self.lock:
            self.passed += passed
            self.failed += failed
            word = colour('ok  ', 32) if not failed else colour('FAIL', 31)
            cases = f'{passed} passed' + (f', {failed} failed' if failed else '')
            print(f'{word} {test.group:9}{test.name:32} {elapsed:7.1f} s  {cases}{": " + reason if reason else ""}')
            if failed:
                self.failures.append(test.name)
                print('\n'.join('     ' + line for line in told(output, log.relative_to(ROOT))))
            sys.stdout.flush()
            self.free += test.weight
            self.lock.notify_all()

    def all(self, tests):
        threads = []
        for test in tests:
            with self.lock:
                self.lock.wait_for(lambda: self.free >= test.weight)
                self.free -= test.weight
            threads.append(threading.Thread(target=self.run, args=(test,)))
            threads[-1].start()
        for thread in threads:
            thread.join()


def main():
    arguments, extra = sys.argv[1:], []
    if '--' in arguments:
        at = arguments.index('--')
        arguments, extra = arguments[:at], arguments[at + 1:]
    parser = argparse.ArgumentParser(prog='./dev test', description='See ./dev test --help.')
    parser.add_argument('names', nargs='*', metavar='GROUP|NAME')
    parser.add_argument('--list', action='store_true', help='name the tests')
    parser.add_argument('--preset', choices=('dev', 'release', 'tsan'), help='run them in this build instead')
    parser.add_argument('-j', type=int, help='tests at once')
    options = parser.parse_args(arguments)
    if options.j:
        global SLOTS
        SLOTS = options.j
    tests, unknown = select(options.names, options.preset)
    if options.list:
        for test in tests if options.names else [t for t in select(list(PRESET_OF), options.preset)[0]]:
            print(f'{test.group:9}{test.name:32} build/{test.preset}')
        # A name that is a folder with a table of its cells shows it.
        tables = [ROOT / 'test' / name / 'grid.py' for name in options.names]
        return max((subprocess.run([sys.executable, table, '--list']).returncode for table in tables if table.exists()), default=0)
    runner = Runner(extra)
    start = time.monotonic()
    for group in sorted({t.group for t in tests}):
        if (ROOT / f'tools/dev/packages-{group}.txt').exists():
            subprocess.run(['bash', ROOT / 'tools/dev/setup.sh', '--quiet', '--with', group], stdin=subprocess.DEVNULL)
    build(tests)
    if any(t.group in ('kernel', 'lab', 'cluster') for t in tests):
        subprocess.run(['bash', ROOT / 'tools/dev/leftovers.sh'], stdin=subprocess.DEVNULL)
    for test in tests:
        test.weight = min(test.weight, SLOTS)
    runner.free = SLOTS
    runner.all(tests)
    for name in unknown:
        runner.failed += 1
        runner.failures.append(name)
        print(f'{colour("FAIL", 31)} {name}: there is no test and no group of that name with a test in it (./dev test --list)')
    if runner.failures:
        print(f'failed: {" ".join(runner.failures)}')
    print(f'{time.monotonic() - start:.0f} s')
    print(f'{runner.passed} passed, {runner.failed} failed', flush=True)
    return 1 if runner.failed or not runner.passed else 0


if __name__ == '__main__':
    sys.exit(main())
