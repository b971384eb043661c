"""What a bench that is a script reports: the JSON of bench/figures.h."""
import json
import os
import platform

# "No slower": a median of some dozen Pods moves by as much when nothing changes.
NO_SLOWER = 1.05


class Figures:
    def __init__(self):
        self.rows = []

    def ratio(self, figure, unit, ours, peer, at_most=None):
        """Judged by ours / peer."""
        ratio = ours / peer if peer else None
        met = None if at_most is None else ratio is not None and ratio <= at_most
        self.add(figure, unit, ours, peer, ratio, at_most and f'<= {at_most:.3g} x', met)

    def value(self, figure, unit, ours, at_most=None, peer=None):
        """Judged by ours; None could not be measured, and counts as missed."""
        met = ours is not None and ours <= at_most if at_most is not None else None if ours is not None else False
        self.add(figure, unit, ours, peer, ours / peer if ours is not None and peer else None,
                 at_most and f'<= {at_most:g} {unit}'.rstrip(), met, '' if ours is not None else 'could not be measured')

    def add(self, figure, unit, ours, peer, ratio, goal, met, note=''):
        self.rows.append({'figure': figure, 'unit': unit, 'ours': ours, 'peer': peer, 'ratio': ratio, 'goal': goal or None, 'met': met,
                          'note': note or None})

    def json(self):
        return json.dumps({'figures': self.rows, 'machine': machine()}, indent=1) + '\n'


def machine():
    with open('/proc/cpuinfo') as file:
        cpu = next((line.partition(': ')[2].strip() for line in file if line.startswith('model name')), 'unknown')
    memory = os.sysconf('SC_PHYS_PAGES') * os.sysconf('SC_PAGE_SIZE') / 1e9
    return {'cpu': cpu, 'cores': os.cpu_count(), 'memory_gb': round(memory, 1), 'kernel': platform.release(), 'arch': platform.machine()}
