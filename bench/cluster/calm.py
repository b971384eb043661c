"""The stages of a bench that is a script. A machine whose host takes its processors away measures the host: a stage waits for
calm, and is run again when there was none; what was taken away meanwhile is told beside its figures, and how often the processors ran
at half their speed: a host that runs somebody else on the other half of a core says nothing of it (seen: exactly 2 to 1, no steal)."""
import os
import pathlib
import signal
import sys
import time
import traceback

TAKEN = 0.1      # of the processors' time; a quiet host takes 1 to 5 % of what goes in and out of the kernel all the time
ATTEMPTS = 3     # the one with the least taken away is told
PATIENCE = 180   # seconds


def times():
    """Of all processors together: (taken away, all), /proc/stat."""
    with open('/proc/stat') as file:
        fields = [int(word) for word in file.readline().split()[1:9]]
    return fields[7], sum(fields)


def taken_since(before):
    taken, whole = (now - then for now, then in zip(times(), before))
    return taken / max(whole, 1)


def wait_for_calm():
    """Work is done meanwhile: an idle machine is not told that nothing would be given to it."""
    start = time.monotonic()
    while time.monotonic() - start < PATIENCE:
        before, until = times(), time.monotonic() + 3
        busy = [os.fork() for _ in range(os.cpu_count() - 1)]
        if 0 in busy:
            while time.monotonic() < until:
                pass
            os._exit(0)
        while time.monotonic() < until:
            pass
        for child in busy:
            os.waitpid(child, 0)
        if taken_since(before) <= TAKEN / 2:
            return


class Meter:
    """How long the same work takes, in CPU time so that waiting for a turn does not count: asked ten times a second, by a process."""

    def __init__(self):
        self.out, end = os.pipe()
        self.child = os.fork()
        if self.child == 0:
            os.close(self.out)
            samples = []
            signal.signal(signal.SIGTERM, lambda *_: (os.write(end, b'%.0f' % (100 * slow(samples))), os._exit(0)))
            while True:
                start, number = time.process_time_ns(), 0
                while number < 5000:
                    number += 1
                samples.append(time.process_time_ns() - start)
                time.sleep(0.1)
        os.close(end)

    def stop(self):
        """Percent of the moments."""
        os.kill(self.child, signal.SIGTERM)
        with open(self.out, 'rb') as pipe:
            share = pipe.read()
        os.waitpid(self.child, 0)
        return float(share or 0)


def slow(samples):
    """The share of those that took one and a half times the fastest ones; those are a twentieth, for one may be wrong."""
    fastest = sorted(samples)[len(samples) // 20] if samples else 0
    return sum(took > 1.5 * fastest for took in samples) / max(len(samples), 1)


class Pace:
    """Tells the rounds that ran at full speed from the others, where two of different moments are compared: none of a pair's halves may
    have had half the processor."""
    NEAR, TRIES, LOOK = 1.25, 8, 10  # times the fastest; times as many rounds as are wanted; seconds

    def __init__(self):
        self.fastest = None
        until = time.monotonic() + self.LOOK
        while time.monotonic() < until:  # long enough to see a moment of full speed
            self.full()
            time.sleep(0.02)

    def full(self):
        """Now, on every processor: the same work in CPU time."""
        mine, took = os.sched_getaffinity(0), []
        for cpu in mine:
            os.sched_setaffinity(0, {cpu})
            start, number = time.process_time_ns(), 0
            while number < 5000:
                number += 1
            took.append(time.process_time_ns() - start)
        os.sched_setaffinity(0, mine)
        self.fastest = min(took if self.fastest is None else [*took, self.fastest])
        return max(took) <= self.NEAR * self.fastest

    def rounds(self, count, one):
        """What one() returns, of `count` rounds at full speed; of all, when there were not so many."""
        kept, others = [], []
        while len(kept) < count and len(kept) + len(others) < self.TRIES * count:
            before = self.full()
            value = one()
            (kept if before and self.full() else others).append(value)
        return kept if len(kept) == count else kept + others


def attempt(stage, name, figures, sizes, errors):
    before = times()
    try:
        stage(figures, sizes)
    except errors as error:
        traceback.print_exc()
        figures.missing(name, str(error).splitlines()[0] if str(error) else repr(error))
    return taken_since(before)


def run(stages, names, figures, sizes, errors, json):
    """`json`: a file that holds, after each stage, what is known so far; or None."""
    for name in names:
        best = None
        for number in range(ATTEMPTS):
            print(f'{name} …', file=sys.stderr, flush=True)
            wait_for_calm()
            fresh = type(figures)()
            meter = Meter()
            try:
                taken = attempt(stages[name], name, fresh, sizes, errors)
            finally:
                half = meter.stop()
            if best is None or taken < best[0]:
                best = taken, fresh, half
            if taken <= TAKEN:
                break
            print(f'{name}: the host took {taken:.0%} of the processors away', file=sys.stderr, flush=True)
        figures.rows += best[1].rows
        figures.value(f'({name}: taken away by the host)', '%', 100 * best[0])
        figures.value(f'({name}: moments in which processors ran at two thirds of their speed or less)', '%', best[2])
        if json:
            pathlib.Path(json).write_text(figures.json())
    if not json:
        print(figures.json(), end='')
