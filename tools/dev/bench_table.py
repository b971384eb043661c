"""Prints build/bench/NAME.json as a table; with --check exits 1 when a figure misses its goal."""
import json
import sys


def text(value):
    if value is None:
        return '-'
    if isinstance(value, float):
        return f'{value:.4g}' if abs(value) < 10000 else f'{value:,.0f}'
    return f'{value:,}' if isinstance(value, int) and not isinstance(value, bool) else str(value)


def main():
    check, path = '--check' in sys.argv, sys.argv[-1]
    try:
        report = json.load(open(path))
    except (OSError, ValueError) as error:
        print(f'bench: {path}: {error}', file=sys.stderr)
        return 1
    head = ('figure', 'ours', 'peer', 'ratio', 'goal', 'met')
    rows = []
    for figure in report['figures']:
        name = figure['figure'] + (f', {figure["unit"]}' if figure.get('unit') else '')
        met = {True: 'yes', False: 'NO', None: '-'}[figure['met']]
        rows.append((name, text(figure['ours']), text(figure['peer']),
                     text(round(figure['ratio'], 3) if figure['ratio'] is not None else None), text(figure['goal']),
                     met + (f'  ({figure["note"]})' if figure.get('note') else '')))
    width = [max(len(row[i]) for row in [head, *rows]) for i in range(len(head))]
    for row in [head, *rows]:
        print('  '.join([row[0].ljust(width[0]), *(cell.rjust(width[i]) for i, cell in enumerate(row[1:5], 1)), row[5]]))
    machine = report.get('machine') or {}
    if isinstance(machine, dict):
        machine = ', '.join(f'{key} {value}' for key, value in machine.items())
    print(f'machine: {machine}\nwritten: {path}')
    missed = [figure['figure'] for figure in report['figures'] if figure['met'] is False]
    if not rows:
        missed = ['no figure was measured']
    if check and missed:
        print(f'bench: missed: {"; ".join(missed)}', file=sys.stderr)
        return 1
    return 0


sys.exit(main())
