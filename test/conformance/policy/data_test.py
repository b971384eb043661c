"""ctest `conformance_policy`: the data of the policy suites is whole, what it paints is what the API's text says, and the runner's own rules."""
import pathlib
import sys
import unittest
import unittest.mock

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent), str(HERE.parents[1] / 'lab'), str(HERE.parents[1] / 'services')]
sys.argv = [sys.argv[0], 'causeway']  # the lab's module asks for one; nothing is started here
import cases  # noqa: E402
import cyclonus  # noqa: E402
import judge  # noqa: E402
import oracle  # noqa: E402
import run  # noqa: E402
import world as worlds  # noqa: E402


def state_of(case):
    world = cases.worlds()[case.world]
    keys = [*world['pods'], *(key for step in case.steps for key in step.get('add', {}) if '/' in key)]
    return cases.State(world, {key: {4: f'10.244.{1 + i % 2}.{i + 2}', 6: f'fd10:244:0:{1 + i % 2}::{i + 2}'} for i, key in enumerate(keys)})


class Data(unittest.TestCase):
    def test_every_case_of_each_suite_is_there_under_a_name_of_its_own(self):
        for suite, (read, total) in run.SUITES.items():
            found = read()
            self.assertEqual((suite, len(found), len({case.name for case in found})), (suite, total, total))

    def test_cyclonus_has_as_many_steps_as_it_generates(self):
        self.assertEqual(sum(len(case.steps) for case in cyclonus.cases()), 256)

    def test_the_cluster_policies_are_asked_each_probe_of_their_suite(self):
        self.assertEqual(sum(len(step['probe']) for case in cases.load('cnp') for step in case.steps), 289)
        run_them, skipped = run.split('cnp', cases.load('cnp'))
        self.assertEqual((len(run_them), skipped), (24, {}))

    def test_what_upstream_paints_is_what_the_text_of_the_api_says(self):
        judged = 0
        for case in cases.load('netpol'):
            for family in (4, 6):
                state = state_of(case)
                for number, step in enumerate(case.steps, 1):
                    state.enact(step, family)
                    painted = state.expected(step, family)
                    judged += len(painted)
                    with self.subTest(case=case.name, step=number, family=family):
                        self.assertEqual(painted, state.judged(painted, family))
        self.assertGreater(judged, 9 * 8 * 2 * 48)

    def test_data_that_cannot_be_right_is_refused_by_place(self):
        world = cases.worlds()['letters']
        for steps, why in (([{'expect': {'80/tcp': ['deny * x/a']}}], 'x.yaml: deny \\* x/a: wanted'), ([{'expect': {'82/tcp': []}}], '82/tcp is no port'),
                           ([{'expect': {'80/tcp': ['deny w/a -> *']}}], 'w/a is no Pod'), ([{'apply': {}}], 'expects nothing'), ([], 'no steps'),
                           ([{'wait': 3, 'expect': {}}], 'has no wait'), ([{'probe': ['allow x/a -> x/b']}], 'wanted "allow|deny FROM -> TO PORT')):
            with self.subTest(why=why), self.assertRaisesRegex(cases.Bad, why.replace('|', '\\|')):
                cases.check(cases.Case('s', 'n', 'letters', steps), world, 'x.yaml')

    def test_blocks_are_those_of_the_family(self):
        case = cases.Case('s', 'n', 'letters', [{'expect': 'oracle'}])
        pods = state_of(case).objects.pods
        for family, wanted in ((4, ['10.244.1.2/32', '10.244.1.0/24', '0.0.0.0/4']), (6, ['fd10:244:0:1::2/128', 'fd10:244:0:1::/120', 'f000::/4'])):
            self.assertEqual(cases.with_addresses(['block(x/a)', 'block(x/a, 24)', 'block(x/a, 4)'], pods, family), wanted)


class Oracle(unittest.TestCase):
    def test_selectors_are_those_of_apimachinery(self):
        without, empty = {'a': '1'}, {'a': '1', 'k': ''}
        not_in = {'matchExpressions': [{'key': 'k', 'operator': 'NotIn', 'values': ['x']}]}
        self.assertEqual([oracle.selects(not_in, labels) for labels in (without, empty, {'k': 'x'})], [True, True, False])
        self.assertEqual([oracle.selects({'matchLabels': {'k': ''}}, labels) for labels in (without, empty)], [False, True])
        self.assertTrue(oracle.selects({}, without))

    def test_a_rule_without_peers_is_not_one_with_no_rule(self):
        case = cases.Case('s', 'n', 'letters', [{'expect': 'oracle'}])
        for rules, reached in (([], False), ([{}], True), ([{'from': []}], True), ([{'from': [{'podSelector': {}}]}], False)):
            state = state_of(case)
            state.enact({'apply': {'x/p': {'podSelector': {}, 'ingress': rules}}}, 4)
            self.assertEqual(oracle.allowed(state.objects, 'y/a', 'x/a', 'tcp', 80, 4), reached, rules)

    def test_a_named_port_is_the_destinations_with_its_protocol(self):
        state = state_of(cases.Case('s', 'n', 'letters', []))
        state.enact({'apply': {'x/p': {'podSelector': {}, 'ingress': [{'ports': [{'protocol': 'TCP', 'port': 'serve-81-udp'}, {'port': 'serve-80-tcp'}]}]}}}, 4)
        self.assertEqual([oracle.allowed(state.objects, 'y/a', 'x/a', protocol, number, 4) for protocol, number in (('tcp', 80), ('tcp', 81), ('udp', 81))],
                         [True, False, False])


class Runner(unittest.TestCase):
    def test_denied_is_silence_that_reached_nobody(self):
        for expected, outcome, reached, good in ((True, 'from x/a', True, True), (True, 'from x/b', True, False), (True, 'timeout', True, False),
                                                 (False, 'timeout', False, True), (False, 'timeout', True, False), (False, 'refused', False, False),
                                                 (False, 'connected, no answer', False, False)):
            self.assertEqual(judge.right(expected, outcome, reached, 'from x/a'), good, (expected, outcome, reached))

    def test_an_agent_has_settled_when_it_heard_all_and_its_kernel_has_it(self):
        page = 'policy acknowledged {} of 7, applied 3 times, 0 retries\nwatch pods: 9 objects, watching, resourceVersion 41, 1 lists\n'
        self.assertTrue(worlds.settled(page.format(7), {'pods': 41}))
        self.assertFalse(worlds.settled(page.format(6), {'pods': 41}))
        self.assertFalse(worlds.settled(page.format(7), {'pods': 42}))
        with self.assertRaisesRegex(AssertionError, 'watches no namespaces'):
            worlds.settled(page.format(7), {'namespaces': 1})

    def test_a_suite_that_lost_a_case_is_refused(self):
        lost = {'netpol': (lambda: cases.load('netpol')[1:], 50)}
        with unittest.mock.patch.object(run, 'SUITES', lost), unittest.mock.patch.object(sys, 'argv', ['run.py']):
            with self.assertRaisesRegex(cases.Bad, 'netpol has 50 cases, the data has 49'):
                run.chosen(run.arguments())

    def test_a_matrix_is_drawn_a_row_for_each_source(self):
        self.assertEqual(judge.painting({('x/a', 'x/b', ('tcp', 80)): True, ('x/b', 'x/a', ('tcp', 80)): False}, ['x/a', 'x/b'], ('tcp', 80)),
                         '    x/a x/b\nx/a   .   +\nx/b   -   .')


if __name__ == '__main__':
    sys.argv = sys.argv[:1]
    unittest.main()
