"""What is known of e2e.test, a Ginkgo program: its list of specs, the flags that choose some, its report."""
import dataclasses
import json
import re

# A spec's full name as Ginkgo matches it begins with the name of the suite.
SUITE = 'Kubernetes e2e suite '
LISTED = re.compile(r'^ {4}\S+:\d+: (.*)$', re.M)
ALONE = re.compile(r'\[Serial\]|\[Disruptive\]')
# States in which a spec that began has not passed.
FAILED = ('failed', 'panicked', 'timedout', 'interrupted', 'aborted')


@dataclasses.dataclass(frozen=True)
class Outcome:
    spec: str
    state: str  # passed, skipped, or one of FAILED
    seconds: float
    message: str = ''
    where: str = ''
    output: str = ''


def listed(output, prefix):
    """The specs of `--list-tests` whose names begin with `prefix`, sorted."""
    return sorted({name for name in LISTED.findall(output) if name.startswith(prefix)})


def focus(specs):
    """The regular expression (Go's, which takes Python's escapes here) that matches these specs and no other."""
    return f'^{SUITE}(?:{"|".join(escape(spec) for spec in specs)})$'


def escape(text):
    """RE2 knows fewer escapes than Python: only what has a meaning is escaped."""
    return re.sub(r'([\\.+*?()|\[\]{}^$])', r'\\\1', text)


def chunks(specs, procs):
    """(lists to run side by side, list to run alone at the end). Small lists balance `procs` processes; each start costs seconds."""
    together = [spec for spec in specs if not ALONE.search(spec)]
    few = min(4, -(-len(together) // procs))
    size = max(1, min(16, max(few, -(-len(together) // (4 * procs)))))
    count = -(-len(together) // size)
    # Neighbours in the list take equally long, so they are dealt out.
    return [together[i::count] for i in range(count)], [spec for spec in specs if ALONE.search(spec)]


def outcomes(report):
    """(Outcome of each spec that was chosen, what failed outside specs) of a JSON report."""
    found, outside = [], []
    for suite in report:
        for entry in suite.get('SpecReports') or []:
            name = ' '.join(text for text in [*(entry.get('ContainerHierarchyTexts') or []), entry.get('LeafNodeText', '')] if text)
            failure = entry.get('Failure') or {}
            location = failure.get('Location') or {}
            outcome = Outcome(name, entry['State'], entry.get('RunTime', 0) / 1e9, failure.get('Message', ''),
                              f'{location.get("FileName", "")}:{location.get("LineNumber", 0)}' if location else '',
                              entry.get('CapturedGinkgoWriterOutput', '') + entry.get('CapturedStdOutErr', ''))
            if entry.get('LeafNodeType') == 'It':
                # Ginkgo reports what the focus leaves out as skipped too, without a message and without having begun.
                if outcome.state == 'skipped' and not outcome.message:
                    continue
                found.append(outcome)
            elif outcome.state in FAILED:
                outside.append(dataclasses.replace(outcome, spec=entry.get('LeafNodeType', 'suite')))
    return found, outside


def read_report(path):
    with open(path) as file:
        return outcomes(json.load(file))
