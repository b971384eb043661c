"""One case on a world: each step enacted, settled and probed; what is not as expected is asked again for a while, and told."""
import itertools
import time

import cases
import lab

TIMEOUT = 0.3  # seconds of silence that count as denied
BOUND = 5  # seconds until which what is not yet as expected may become so
NUMBERS = itertools.count(1)


class Found:
    """What a case came to in one family."""

    def __init__(self):
        self.wrong, self.late, self.probes = [], [], 0


def right(expected, outcome, reached, answer):
    """Allowed: the Pod that was meant answered. Denied: silence, and nothing of it came anywhere."""
    return outcome == answer if expected else outcome == 'timeout' and not reached


def cells_of(world, state, step, family):
    """((source, target, port, mode, family), reached?) of all that the step judges. A Pod by its own Service is no rule of anybody's, and a
    Pod of the host's network has none."""
    for (source, target, port), reached in state.expected(step, family).items():
        yield (source, target, port, 'pod', family), reached
        if source != target and target in world.services:
            yield (source, target, port, 'service', family), reached


def ask(world, cells):
    """{cell: (outcome, whether it reached some Pod, what the right Pod answers)}"""
    numbered = {next(NUMBERS): cell for cell in cells}
    outcomes, reached = world.probe([
        (number, source, protocol, (world.ips if mode == 'pod' else world.services)[target][family], port)
        for number, (source, target, (protocol, port), mode, family) in numbered.items()], TIMEOUT * lab.PATIENCE)
    return {cell: (outcomes[number], number in reached, f'from {world.numbers[cell[1]] if cell[2][0] == "sctp" else cell[1]}')
            for number, cell in numbered.items()}


def judge_step(world, expected, found, where):
    """Adds to `found`, by family, what stayed wrong and what came late."""
    for cell in expected:
        found[cell[4]].probes += 1
    start, left, first = time.monotonic(), list(expected), {}
    while True:
        seen = ask(world, left)
        left = [cell for cell in left if not right(expected[cell], *seen[cell])]
        took = time.monotonic() - start
        for cell in [cell for cell in first if cell not in left]:
            found[cell[4]].late.append(f'{where}: {text_of(cell)}: {first.pop(cell)}, as expected after {took:.1f} s')
        first.update({cell: seen[cell][0] for cell in left if cell not in first})
        if not left or took > BOUND * lab.PATIENCE:
            break
    for cell in left:
        outcome, reached, _ = seen[cell]
        found[cell[4]].wrong.append(f'{where}: {text_of(cell)}: wanted {"an answer" if expected[cell] else "silence"}, got {outcome}'
                                    + (', and it reached a Pod' if reached and outcome == 'timeout' else ''))


def text_of(cell):
    source, target, (protocol, number), mode, family = cell
    return f'{source} -> {target}{"" if mode == "pod" else " by its Service"} {number}/{protocol} IPv{family}'


def run_case(world, case, families):
    """{family: Found}; the world is as before afterwards."""
    found = {family: Found() for family in families}
    for together in [[family] for family in families] if case.families_differ else [families]:
        state = cases.State(world.data, world.ips)
        try:
            for number, step in enumerate(case.steps, 1):
                world.enact(step, state, together[0])
                world.settle()
                expected = {cell: reached for family in together for cell, reached in cells_of(world, state, step, family)}
                judge_step(world, expected, found, f'step {number}')
        finally:
            world.restore(state)
    return found


def painting(expected, pods, port):
    """The matrix of one port, as people draw it: a row for each source."""
    width = max(map(len, pods))
    sign = {True: '+', False: '-', None: '.'}
    rows = [' ' * width + ''.join(f' {pod:>{width}}' for pod in pods)]
    for source in pods:
        rows.append(f'{source:<{width}}' + ''.join(f' {sign[expected.get((source, target, port))]:>{width}}' for target in pods))
    return '\n'.join(rows)
