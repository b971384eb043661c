"""ctest `conformance`: the runner's own rules: the skip list, what is chosen, what counts as passed, the page it writes."""
import contextlib
import io
import json
import os
import pathlib
import re
import shutil
import stat
import sys
import tempfile
import unittest
import unittest.mock
import xml.etree.ElementTree as xml

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parents[1] / 'tools/dev')]
import cluster_handle  # noqa: E402
import ginkgo  # noqa: E402
import page  # noqa: E402
import policy_api  # noqa: E402
import runner  # noqa: E402
import skips  # noqa: E402
from ginkgo import Outcome  # noqa: E402
from verdict import Verdict, junit, write_failures  # noqa: E402

LIST = """The following spec names can be used with 'ginkgo run --focus/skip':
    k8s.io/kubernetes/test/e2e/network/dns.go:50: [sig-network] DNS should provide DNS for the cluster [Conformance]
    k8s.io/kubernetes/test/e2e/apps/x.go:1: [sig-apps] Job should run
    k8s.io/kubernetes/test/e2e/network/networking.go:90: [sig-network] Networking should function for node-Service: sctp [Feature:SCTPConnectivity]
    k8s.io/kubernetes/test/e2e/network/ingressclass.go:70: [sig-network] IngressClass should set (a) default+ [Serial]

"""
DNS, SCTP, SERIAL = sorted(ginkgo.listed(LIST, '[sig-network]'), key=lambda name: ('DNS' not in name, 'sctp' not in name))
CLUSTER = {'stack': 'cni', 'plane': 'netfilter', 'fabric': 'vxlan', 'ip_family': 'ipv4', 'nodes': 2}


def skip_of(line):
    return skips.parse(line, 'x.skip')[0]


class SkipList(unittest.TestCase):
    def test_a_line_has_a_class_conditions_a_pattern_and_a_reason(self):
        found = skip_of('# comment\n\nnetwork-policy stack=cni,noproxy nodes=2 :: \\[Feature:NetworkPolicy\\] :: not yet\n')
        self.assertEqual((found.line, found.reason_class, found.reason), (3, 'network-policy', 'not yet'))
        self.assertTrue(found.applies(CLUSTER))
        self.assertFalse(found.applies({**CLUSTER, 'stack': 'stock'}))
        self.assertFalse(found.applies({**CLUSTER, 'nodes': 3}))

    def test_what_cannot_be_right_is_refused_with_its_line(self):
        for line, why in [('sctp :: x', 'x.skip:1: wanted "CLASS'), ('flaky :: x :: it failed', 'x.skip:1: there is no class flaky'),
                          ('sctp colour=red :: x :: y', 'wanted KEY=VALUE'), ('sctp :: ( :: y', 'is no regular expression')]:
            with self.assertRaisesRegex(skips.Bad, re.escape(why)):
                skips.parse(line, 'x.skip')

    def test_a_line_that_matches_no_spec_is_refused_even_where_it_does_not_apply(self):
        with self.assertRaisesRegex(skips.Bad, 'x.skip:1: no spec of the suite matches gone'):
            skips.split([DNS], [skip_of('sctp stack=stock :: gone :: y')], CLUSTER, 'x.skip')

    def test_run_and_skipped_are_every_spec(self):
        run, skipped = skips.split([DNS, SCTP, SERIAL], [skip_of('sctp :: SCTPConnectivity :: y')], CLUSTER, 'x.skip')
        self.assertEqual((run, list(skipped)), ([DNS, SERIAL], [SCTP]))

    def test_the_lists_in_the_repository_can_be_read(self):
        lists = sorted(HERE.glob('*.skip'))
        self.assertTrue(lists)
        for file in lists:
            self.assertTrue(skips.parse(file.read_text(), file.name))


class Choice(unittest.TestCase):
    def test_the_list_of_a_program_gives_the_specs_of_one_suite(self):
        self.assertEqual(len(ginkgo.listed(LIST, '[sig-network]')), 3)

    def test_a_focus_matches_the_chosen_specs_and_no_other(self):
        chosen = re.compile(ginkgo.focus([DNS, SERIAL]))
        self.assertEqual([bool(chosen.search(ginkgo.SUITE + spec)) for spec in (DNS, SCTP, SERIAL, DNS + ' more', 'x ' + DNS)],
                         [True, False, True, False, False])

    def test_serial_specs_run_alone_and_the_others_are_dealt_out(self):
        together, alone = ginkgo.chunks([SERIAL, *(f'spec {i:02}' for i in range(47))], procs=2)
        self.assertEqual(alone, [SERIAL])
        self.assertEqual(sorted(spec for chunk in together for spec in chunk), [f'spec {i:02}' for i in range(47)])
        self.assertEqual(len(together), 8)
        self.assertEqual([len(chunk) for chunk in ginkgo.chunks(list('abcd'), procs=2)[0]], [2, 2])
        self.assertEqual(ginkgo.chunks([], 2), ([], []))


def entry(name, state, message='', node='It'):
    told = {'ContainerHierarchyTexts': [name.split(' ', 1)[0]], 'LeafNodeText': name.split(' ', 1)[1], 'LeafNodeType': node, 'State': state,
            'RunTime': 2_500_000_000, 'CapturedGinkgoWriterOutput': 'step one\x1b[0m\n'}
    if message:
        told['Failure'] = {'Message': message, 'Location': {'FileName': 'dns.go', 'LineNumber': 7}}
    return told


class Report(unittest.TestCase):
    def test_what_was_not_chosen_says_nothing_and_what_fails_outside_is_kept(self):
        found, outside = ginkgo.outcomes([{'SpecReports': [
            entry(DNS, 'passed'), entry(SCTP, 'skipped'), entry(SERIAL, 'skipped', 'wants a cloud'),
            {**entry('x y', 'failed', 'no nodes'), 'LeafNodeType': 'SynchronizedBeforeSuite', 'ContainerHierarchyTexts': None}]}])
        self.assertEqual([(o.spec, o.state, o.seconds) for o in found], [(DNS, 'passed', 2.5), (SERIAL, 'skipped', 2.5)])
        self.assertEqual([(o.spec, o.message, o.where) for o in outside], [('SynchronizedBeforeSuite', 'no nodes', 'dns.go:7')])


def verdict(*outcomes, skipped=(), specs=None, outside=()):
    skipped = {spec: skip_of('sctp :: x :: no sockets') for spec in skipped}
    return Verdict(specs or [o.spec for o in outcomes] + list(skipped), skipped, list(outcomes), list(outside))


class Judgement(unittest.TestCase):
    def test_good_is_every_spec_accounted_for_and_none_failed(self):
        passed = Outcome(DNS, 'passed', 1)
        self.assertTrue(verdict(passed, skipped=[SCTP]).good(whole=True))
        self.assertFalse(verdict(passed, Outcome(SCTP, 'timedout', 1, 'late')).good(whole=True))
        self.assertFalse(verdict(passed, outside=[Outcome('BeforeSuite', 'failed', 1)]).good(whole=True))
        self.assertFalse(verdict(passed, specs=[DNS, SERIAL]).good(whole=True))
        self.assertFalse(verdict(skipped=[SCTP]).good(whole=True))

    def test_a_spec_that_skips_itself_needs_a_line_in_a_whole_run(self):
        found = verdict(Outcome(DNS, 'passed', 1), Outcome(SERIAL, 'skipped', 1, 'wants a cloud'))
        self.assertFalse(found.good(whole=True))
        self.assertTrue(found.good(whole=False))

    def test_junit_tells_each_spec_once_with_its_reason(self):
        found = verdict(Outcome(DNS, 'passed', 1.5), Outcome(SERIAL, 'failed', 2, 'wrong & late', 'a.go:1', 'step\x1b[0m'), skipped=[SCTP],
                        specs=[DNS, SERIAL, SCTP, 'lost'])
        root = xml.fromstring(junit(found, 'sig-network', 3.5).split('?>', 1)[1])
        cases = {case.get('name'): [child.tag for child in case] for case in root.iter('testcase')}
        self.assertEqual(cases, {DNS: [], SERIAL: ['failure'], SCTP: ['skipped'], 'lost': ['failure']})
        self.assertEqual(root.find('.//skipped').get('message'), 'sctp: no sockets')
        self.assertEqual(root.find('testsuite').get('failures'), '1')

    def test_each_failure_has_a_file_with_all_that_the_spec_printed(self):
        folder = tempfile.mkdtemp(prefix='causeway-conformance-')
        self.addCleanup(shutil.rmtree, folder)
        paths = write_failures(verdict(Outcome(SERIAL, 'failed', 2, 'wrong', 'a.go:1', 'step one\nstep two')), folder + '/failed')
        self.assertEqual(os.path.basename(paths[SERIAL]), '00-ingressclass-should-set-a-default-serial.log')
        self.assertIn('step two', open(paths[SERIAL]).read())


RESULT = {'suite': 'sig-network', 'stack': 'cni', 'plane': 'netfilter', 'fabric': 'vxlan', 'ip_family': 'ipv4', 'nodes': 3, 'focus': '',
          'date': '2026-01-02', 'seconds': 600, 'kubernetes': 'v1.36.3', 'causeway': 'abc', 'specs': 5, 'passed': 3, 'failed': [DNS],
          'skipped': {'sctp': 1}, 'skipped_themselves': {}}


class Page(unittest.TestCase):
    def test_a_run_takes_the_place_of_the_former_run_of_its_kind(self):
        other = {**RESULT, 'stack': 'stock', 'plane': None, 'fabric': None}
        results = page.put(page.put([RESULT], other), {**RESULT, 'passed': 4, 'failed': []})
        self.assertEqual([(r['stack'], r['passed']) for r in results], [('cni', 4), ('stock', 3)])

    def test_the_page_has_a_row_for_each_kind_and_names_what_failed(self):
        text = page.render([RESULT])
        self.assertIn('| cni | netfilter | vxlan | ipv4 | 3 | every spec | 3 | 1 | 1 | 10.0 | v1.36.3 | abc | 2026-01-02 |', text)
        self.assertIn(f'Failed on cni, netfilter, vxlan, ipv4:\n\n- {DNS}\n', text)
        self.assertIn('- sctp (1): needs SCTP sockets', text)

    def test_the_page_in_the_repository_is_what_its_results_say(self):
        results = HERE / 'results.json'
        if results.exists():
            self.assertEqual((HERE.parents[1] / 'docs/conformance.md').read_text(), page.render(page.load(results)))


# Stands in for e2e.test: runs what the focus matches, one spec ends badly, and the report tells so.
PROGRAM = '''#!/usr/bin/env python3
import json, os, re, sys
option = {a.split('=', 1)[0]: a.split('=', 1)[1] for a in sys.argv if '=' in a}
specs = json.load(open(os.path.dirname(sys.argv[0]) + '/specs.json'))
entries = []
for spec in specs:
    chosen = re.search(option['--ginkgo.focus'], 'Kubernetes e2e suite ' + spec)
    state = 'skipped' if not chosen else 'failed' if 'bad' in spec else 'passed'
    if chosen:
        print('-' * 30 + '\\n' + spec + ' [labels]\\n  STEP: x\\n' + ('• [FAILED] [0.100 seconds]' if state == 'failed' else '• [0.100 seconds]'), flush=True)
    if chosen and 'crash' in spec:
        sys.exit(3)
    entries.append({'ContainerHierarchyTexts': [''], 'LeafNodeText': spec, 'LeafNodeType': 'It', 'State': state, 'RunTime': 1e8,
                    **({'Failure': {'Message': 'wrong'}} if state == 'failed' else {})})
os.makedirs(option['--report-dir'] + '/ginkgo')
json.dump([{'SpecReports': entries}], open(option['--report-dir'] + '/ginkgo/report.json', 'w'))
'''


class PolicyApi(unittest.TestCase):
    OUTPUT = """=== RUN   TestConformance
    suite.go:1: Test Setup: Applying base manifests
=== RUN   TestConformance/CNPAdminTierGress
=== RUN   TestConformance/CNPAdminTierGress/Should_deny
    helper.go:9: FAILED Command was [/agnhost connect]
=== RUN   TestConformance/CNPAdminTierEgressTCP
=== RUN   TestConformance/CNPAdminTierNew
    suite.go:5: Skipping CNPAdminTierNew: suite does not support it
--- FAIL: TestConformance (12.50s)
    --- FAIL: TestConformance/CNPAdminTierGress (10.25s)
        --- FAIL: TestConformance/CNPAdminTierGress/Should_deny (10.00s)
    --- PASS: TestConformance/CNPAdminTierEgressTCP (2.00s)
    --- SKIP: TestConformance/CNPAdminTierNew (0.00s)
FAIL
"""

    def test_each_test_has_its_outcome_and_what_it_printed(self):
        found, outside = policy_api.read(self.OUTPUT.splitlines(keepends=True))
        self.assertEqual([(o.spec, o.state, o.seconds) for o in found], [
            ('CNPAdminTierGress', 'failed', 10.25), ('CNPAdminTierEgressTCP', 'passed', 2.0), ('CNPAdminTierNew', 'skipped', 0.0)])
        self.assertIn('FAILED Command', found[0].output)
        self.assertIn('does not support', found[2].message)
        self.assertEqual(outside, [])

    def test_a_set_up_that_fails_is_a_failure_outside_of_the_tests(self):
        found, outside = policy_api.read(['=== RUN   TestConformance\n', '    suite.go:1: Pods are not ready\n', '--- FAIL: TestConformance (300.00s)\n'])
        self.assertEqual((found, len(outside)), ([], 1))
        self.assertIn('Pods are not ready', outside[0].output)

    def test_the_suite_has_24_tests(self):
        self.assertEqual((len(policy_api.SPECS), len(set(policy_api.SPECS))), (24, 24))


class Running(unittest.TestCase):
    def run_specs(self, specs, chosen):
        folder = pathlib.Path(tempfile.mkdtemp(prefix='causeway-conformance-'))
        self.addCleanup(shutil.rmtree, folder)
        program = folder / 'e2e.test'
        program.write_text(PROGRAM)
        program.chmod(program.stat().st_mode | stat.S_IXUSR)
        (folder / 'specs.json').write_text(json.dumps(specs))
        handle = cluster_handle.Handle({'name': 'x', 'kubeconfig': '/none', 'netns': '/proc/self/ns/net', 'nodes': [{}, {}]})
        handle.inside = lambda *command: list(map(str, command))
        told = io.StringIO()
        with unittest.mock.patch.object(cluster_handle, 'peer', lambda name: str(folder / name)), contextlib.redirect_stdout(told):
            outcomes, outside = runner.Runner(handle, folder, 2, 60).run(chosen)
        return outcomes, outside, told.getvalue()

    def test_every_chosen_spec_is_run_once_and_told(self):
        specs = [f'spec {i:02}' for i in range(30)] + ['spec bad', 'last [Serial]', 'other']
        outcomes, outside, told = self.run_specs(specs, specs[:-1])
        self.assertEqual(sorted(o.spec for o in outcomes), sorted(specs[:-1]))
        self.assertEqual([o.spec for o in outcomes if o.state == 'failed'], ['spec bad'])
        self.assertEqual(outcomes[-1].spec, 'last [Serial]')
        self.assertEqual((outside, len(told.splitlines()), told.count('FAIL')), ([], 32, 1))

    def test_a_program_that_ends_without_a_report_is_a_failure_with_its_last_words(self):
        outcomes, outside, _ = self.run_specs(['spec crash'], ['spec crash'])
        self.assertEqual(outcomes, [])
        self.assertIn('exit code 3 and without a report', outside[0].message)
        self.assertIn('spec crash', outside[0].output)


if __name__ == '__main__':
    result = unittest.TextTestRunner(stream=sys.stdout, verbosity=1).run(unittest.defaultTestLoader.loadTestsFromModule(sys.modules[__name__]))
    bad = len(result.failures) + len(result.errors)
    print(f'{result.testsRun - bad} passed, {bad} failed')
    sys.exit(1 if bad else 0)
