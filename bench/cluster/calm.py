"""The stages of a bench that is a script. A machine whose host takes its processors away measures the host: a stage waits for
calm, and is run again when there was none; what was taken away meanwhile is told beside its figures."""
import os
import pathlib
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
            taken = attempt(stages[name], name, fresh, sizes, errors)
            if best is None or taken < best[0]:
                best = taken, fresh
            if taken <= TAKEN:
                break
            print(f'{name}: the host took {taken:.0%} of the processors away', file=sys.stderr, flush=True)
        figures.rows += best[1].rows
        figures.value(f'({name}: taken away by the host)', '%', 100 * best[0])
        if json:
            pathlib.Path(json).write_text(figures.json())
    if not json:
        print(figures.json(), end='')
