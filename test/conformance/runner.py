"""Runs chosen specs by e2e.test: several processes side by side, each with a few specs, then the serial ones alone.

e2e.test by itself runs one spec at a time, and network tests mostly wait. Its parallel mode wants the ginkgo program; processes with
lists of their own need nothing more, as specs that are not serial may run beside any other by upstream's own rule.
"""
import os
import pathlib
import queue
import re
import shutil
import signal
import subprocess
import threading
import time

import cluster_handle
import ginkgo

RULE = '-' * 30
ENDED = re.compile(r'^(?:•|S) (?:\[(?P<state>[A-Z! ]+)\] )?\[(?P<seconds>[0-9.]+) seconds\]')


class Runner:
    def __init__(self, handle, folder, procs, timeout):
        """`timeout`: seconds for everything; what has not ended then is interrupted and counts as failed."""
        self.handle, self.folder, self.procs = handle, pathlib.Path(folder), procs
        self.deadline = time.monotonic() + timeout
        self.lock = threading.Lock()
        self.running, self.stopped = set(), False
        self.outcomes, self.outside = [], []
        self.done = self.total = 0

    def run(self, specs):
        """(outcomes, failures outside specs)"""
        self.total = len(specs)
        together, alone = ginkgo.chunks(specs, self.procs)
        work = queue.SimpleQueue()
        for number, chunk in enumerate(together):
            work.put((f'{number:02}', chunk))
        try:
            workers = [threading.Thread(target=self.drain, args=(work,), daemon=True) for _ in range(min(self.procs, len(together)))]
            for worker in workers:
                worker.start()
            for worker in workers:
                while worker.is_alive():  # so that a signal is seen at once
                    worker.join(0.5)
            if alone:
                self.chunk('serial', alone)
        finally:
            self.stop()
        return self.outcomes, self.outside

    def drain(self, work):
        while not self.stopped:
            try:
                name, chunk = work.get_nowait()
            except queue.Empty:
                return
            self.chunk(name, chunk)

    def command(self, name, specs):
        left = max(60, int(self.deadline - time.monotonic()))
        return self.handle.inside(
            cluster_handle.peer('e2e.test'), '--kubeconfig', self.handle.kubeconfig, '--kubectl-path', cluster_handle.peer('kubectl-1.36'),
            '--provider=skeleton', f'--num-nodes={len(self.handle.nodes)}', '--disable-log-dump', f'--e2e-output-dir={self.folder}',
            f'--repo-root={self.folder}', f'--report-dir={self.folder / name}', '--report-complete-ginkgo', '--ginkgo.v', '--ginkgo.no-color',
            f'--ginkgo.timeout={left}s', f'--ginkgo.focus={ginkgo.focus(specs)}')

    def chunk(self, name, specs):
        log = self.folder / f'e2e-{name}.log'
        home = self.folder / 'home'
        home.mkdir(exist_ok=True)
        with open(log, 'wb') as out:
            process = subprocess.Popen(self.command(name, specs), stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT,
                                       start_new_session=True, env={'PATH': os.environ['PATH'], 'HOME': str(home)})
        with self.lock:
            self.running.add(process)
        self.follow(process, log, specs)
        with self.lock:
            self.running.discard(process)
        try:
            outcomes, outside = ginkgo.read_report(self.folder / name / 'ginkgo/report.json')
            shutil.rmtree(self.folder / name)  # it tells of thousands of specs that were not chosen
        except (OSError, ValueError) as error:
            outcomes = []
            outside = [ginkgo.Outcome(f'e2e.test of {name}', 'aborted', 0, f'e2e.test ended with exit code {process.returncode} and without a '
                                      f'report ({error})', str(log), log.read_text(errors='replace')[-20000:])]
        with self.lock:
            self.outcomes += outcomes
            self.outside += outside

    def follow(self, process, log, specs):
        """Says what ends, while it runs. The log is for people, so what it does not tell is only not said: the report decides."""
        current, previous = '', ''
        with open(log, errors='replace') as lines:
            rest = ''
            while True:
                text = lines.readline()
                if not text:
                    if process.poll() is not None:
                        return
                    if time.monotonic() > self.deadline + 60:
                        self.end(process)
                    time.sleep(0.2)
                    continue
                rest += text
                if not rest.endswith('\n'):
                    continue
                line, rest = rest[:-1], ''
                if previous == RULE:  # the name, with labels behind it
                    current = max((spec for spec in specs if line.startswith(spec)), key=len, default='')
                if (match := ENDED.match(line)) and current:
                    self.tell(current, match['state'], float(match['seconds']))
                    current = ''
                previous = line

    def tell(self, spec, state, seconds):
        with self.lock:
            self.done += 1
            word = {None: 'ok', 'SKIPPED': 'skip'}.get(state, 'FAIL')
            print(f'{word:5} {self.done:3}/{self.total}  {seconds:6.1f} s  {spec}', flush=True)

    def end(self, process):
        """Interrupts first: a Ginkgo program then cleans up and writes its report."""
        for how, patience in ((signal.SIGINT, 30), (signal.SIGKILL, 5)):
            try:
                os.killpg(process.pid, how)
                process.wait(patience)
                return
            except ProcessLookupError:
                return
            except subprocess.TimeoutExpired:
                continue

    def stop(self):
        self.stopped = True
        with self.lock:
            running = list(self.running)
        for process in running:
            self.end(process)
