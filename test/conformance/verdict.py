"""What a run of a suite came to: counts, JUnit, a file for each failure, and whether every spec is accounted for."""
import collections
import dataclasses
import os
import re
import xml.etree.ElementTree as xml

from ginkgo import FAILED

# What XML 1.0 cannot hold.
FORBIDDEN = re.compile('[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]')


@dataclasses.dataclass
class Verdict:
    specs: list  # all of the suite, or of the focus
    skipped: dict  # spec -> Skip, by the list
    outcomes: list
    outside: list  # failures outside specs

    @property
    def passed(self):
        return [o for o in self.outcomes if o.state == 'passed']

    @property
    def failed(self):
        return [o for o in self.outcomes if o.state in FAILED]

    @property
    def skipped_themselves(self):
        """Specs that began and gave up: no line of the list says why, so they are neither run nor skipped."""
        return [o for o in self.outcomes if o.state not in FAILED and o.state != 'passed']

    @property
    def missing(self):
        """Specs of which the runs say nothing."""
        told = {o.spec for o in self.outcomes} | self.skipped.keys()
        return [spec for spec in self.specs if spec not in told]

    def by_class(self):
        return collections.Counter(skip.reason_class for skip in self.skipped.values())

    def good(self, whole):
        """`whole`: nothing narrowed the run, so a spec that skipped itself needs a line in the list."""
        return not (self.failed or self.outside or self.missing or not self.passed or (whole and self.skipped_themselves))


def junit(verdict, suite, seconds):
    root = xml.Element('testsuites')
    tests = xml.SubElement(root, 'testsuite', name=suite, tests=str(len(verdict.outcomes) + len(verdict.skipped)),
                           failures=str(len(verdict.failed)), errors=str(len(verdict.outside)),
                           skipped=str(len(verdict.skipped) + len(verdict.skipped_themselves)), time=f'{seconds:.1f}')

    def case(name, took):
        return xml.SubElement(tests, 'testcase', name=name, classname=suite, time=f'{took:.3f}')
    for outcome in sorted(verdict.outcomes + verdict.outside, key=lambda o: o.spec):
        element = case(outcome.spec, outcome.seconds)
        if outcome.state in FAILED:
            text = f'{outcome.message}\n{outcome.where}\n\n{outcome.output}'
            xml.SubElement(element, 'failure', type=outcome.state, message=FORBIDDEN.sub('?', outcome.message[:500])).text = FORBIDDEN.sub('?', text)
        elif outcome.state != 'passed':
            xml.SubElement(element, 'skipped', message=FORBIDDEN.sub('?', outcome.message[:500]))
    for spec, skip in sorted(verdict.skipped.items()):
        xml.SubElement(case(spec, 0), 'skipped', message=f'{skip.reason_class}: {skip.reason}')
    for spec in verdict.missing:
        xml.SubElement(case(spec, 0), 'failure', type='missing', message='neither run nor skipped')
    xml.indent(root)
    return xml.tostring(root, encoding='unicode', xml_declaration=True) + '\n'


def slug(spec):
    return re.sub(r'[^a-z0-9]+', '-', spec.lower().removeprefix('[sig-network]')).strip('-')[:120]


def write_failures(verdict, folder):
    """A file for each failure, with what the spec printed; returns {spec: path}."""
    paths = {}
    for number, outcome in enumerate(verdict.failed + verdict.outside):
        os.makedirs(folder, exist_ok=True)
        path = os.path.join(folder, f'{number:02}-{slug(outcome.spec)}.log')
        with open(path, 'w') as file:
            file.write(f'{outcome.spec}\n{outcome.state} after {outcome.seconds:.1f} s at {outcome.where}\n\n{outcome.message}\n\n{outcome.output}')
        paths[outcome.spec] = path
    return paths
