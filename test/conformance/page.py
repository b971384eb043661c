"""docs/conformance.md, rendered from test/conformance/results.json: the last run of each suite on each kind of cluster."""
import json
import os
import tempfile

from skips import CLASSES

KEY = ('suite', 'stack', 'plane', 'fabric', 'ip_family', 'focus')
HEAD = """# Conformance

What upstream's suites say of Causeway, and of the reference stack beside it. `./dev conformance` writes this page: each row is the
last run of its kind. How the suites are run is in [test/conformance](../test/conformance/README.md).

A run without a focus accounts for every spec of the suite: passed, failed, or skipped by one line of the skip list.

`policy-cnp`, `policy-cyclonus` and `policy-netpol` are others' policy cases as data, sent as packets between Pods of a lab, to Pod addresses and
cluster IPs (`./dev conformance policy-data`, [how](../test/conformance/policy/README.md)).
"""


def load(path):
    if not os.path.exists(path):
        return []
    with open(path) as file:
        return json.load(file)


def put(results, result):
    """The results with this one in the place of the former run of its kind, in the order of their kinds."""
    kind = lambda r: tuple(str(r[key]) for key in KEY)  # noqa: E731
    return sorted([r for r in results if kind(r) != kind(result)] + [result], key=kind)


def cell(value):
    return str(value).replace('|', '\\|') if value not in ('', None) else '-'


def render(results):
    lines = [HEAD]
    for suite in sorted({r['suite'] for r in results}):
        rows = [r for r in results if r['suite'] == suite]
        lines += [f'## {suite}', '', '| stack | plane | fabric | family | nodes | focus | passed | failed | skipped | minutes | Kubernetes | Causeway | date |',
                  '| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |']
        for r in rows:
            skipped = sum(r['skipped'].values()) + len(r['skipped_themselves'])
            focus = f'`{r["focus"]}`' if r['focus'] else 'every spec'
            lines.append('| ' + ' | '.join(cell(v) for v in (
                r['stack'], r['plane'], r['fabric'], r['ip_family'], r['nodes'], focus, r['passed'], len(r['failed']), skipped,
                f'{r["seconds"] / 60:.1f}', r['kubernetes'], r['causeway'], r['date'])) + ' |')
        lines.append('')
        for r in rows:
            if r['failed']:
                lines += [f'Failed on {name_of(r)}:', '', *(f'- {spec}' for spec in sorted(r['failed'])), '']
            if r['skipped_themselves']:
                lines += [f'Skipped themselves on {name_of(r)}:', '',
                          *(f'- {spec}: {why}' for spec, why in sorted(r['skipped_themselves'].items())), '']
        skipped = {reason for r in rows for reason in r['skipped']}
        if skipped:
            lines += ['Skipped, by reason (specs in the run that skipped most):', '',
                      *(f'- {reason} ({max(r["skipped"].get(reason, 0) for r in rows)}): {CLASSES[reason]}'
                        for reason in CLASSES if reason in skipped), '']
    return '\n'.join(lines).rstrip('\n') + '\n'


def name_of(result):
    kind = ', '.join(str(result[key]) for key in ('stack', 'plane', 'fabric', 'ip_family') if result[key] not in ('', None))
    return kind + (f', `{result["focus"]}`' if result['focus'] else '')


def write(path, text):
    """Whole or not at all."""
    with tempfile.NamedTemporaryFile('w', dir=os.path.dirname(path), delete=False) as file:
        file.write(text)
    os.chmod(file.name, 0o644)
    os.replace(file.name, path)


def record(results_path, page_path, result):
    results = put(load(results_path), result)
    write(results_path, json.dumps(results, indent=1, sort_keys=True) + '\n')
    write(page_path, render(results))
