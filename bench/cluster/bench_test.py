"""ctest `bench_cluster`: what the bench computes, without a cluster."""
import http.server
import os
import pathlib
import subprocess
import sys
import threading
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import calm  # noqa: E402
import cost  # noqa: E402
import figures  # noqa: E402
import kube  # noqa: E402
import pods  # noqa: E402

METRICS = """# HELP x_seconds_sum no sample
x_seconds_sum{operation_type="SetUpPod",network_plugin_type="a"} 1.5
x_seconds_sum{operation_type="TearDownPod"} 7
x_seconds_summary{operation_type="SetUpPod"} 9
x_seconds_count{operation_type="SetUpPod"} 3e+02
"""


class Computing(unittest.TestCase):
    def test_samples_of_a_metric_are_picked_by_name_and_labels(self):
        self.assertEqual(kube.samples(METRICS, 'x_seconds_sum', operation_type='SetUpPod'), 1.5)
        self.assertEqual(kube.samples(METRICS, 'x_seconds_sum'), 8.5)
        self.assertEqual(kube.samples(METRICS, 'x_seconds_count', operation_type='SetUpPod'), 300)
        self.assertEqual(kube.samples(METRICS, 'absent'), 0)

    def test_a_figure_is_judged_by_its_ratio_or_by_itself_and_a_missing_one_is_missed(self):
        rows = figures.Figures()
        rows.ratio('fast', 'ms', 1, 3, at_most=1 / 3)
        rows.ratio('slow', 'ms', 2, 3, at_most=1 / 3)
        rows.ratio('shown', 's', 2, 3)
        rows.value('few', '', 1.0, at_most=2)
        rows.value('lost', 'MB', None, at_most=2)
        self.assertEqual([(r['figure'], r['met'], r['goal']) for r in rows.rows],
                         [('fast', True, '<= 0.333 x'), ('slow', False, '<= 0.333 x'), ('shown', None, None), ('few', True, '<= 2'),
                          ('lost', False, '<= 2 MB')])

    def test_slow_moments_are_told_by_the_fast_ones(self):
        self.assertEqual(calm.slow([]), 0)
        self.assertEqual(calm.slow([10] * 19 + [1]), 0, 'one that is too fast counts for nothing')
        self.assertEqual(calm.slow([10, 11, 12, 21]), 0.25)
        meter = calm.Meter()
        time.sleep(0.3)
        self.assertLessEqual(meter.stop(), 100)

    def test_a_pod_is_ready_by_its_condition(self):
        ready = {'status': {'conditions': [{'type': 'Ready', 'status': 'True'}]}}
        self.assertEqual([pods.is_ready(p) for p in (ready, {'status': {'conditions': None}}, {})], [True, False, False])

    def test_cpu_of_ended_children_is_seen(self):
        before = cost.times(os.getpid())[1]
        subprocess.run([sys.executable, '-c', 'import time\nwhile time.process_time() < 0.1: pass'], check=True)
        self.assertGreaterEqual(cost.times(os.getpid())[1] - before, 0.08)
        self.assertIn(os.getpid(), cost.processes('/proc/self/ns/net'))


@unittest.skipUnless(os.geteuid() == 0, 'entering a network namespace needs root')
class Namespace(unittest.TestCase):
    def test_a_socket_is_of_the_namespace_it_was_opened_in(self):
        holder = subprocess.Popen(['unshare', '--net', 'sh', '-c', 'ip link set lo up; echo up; read x'], stdin=subprocess.PIPE,
                                  stdout=subprocess.PIPE)
        self.addCleanup(holder.communicate, b'\n')
        holder.stdout.readline()
        netns = f'/proc/{holder.pid}/ns/net'

        class Page(http.server.BaseHTTPRequestHandler):
            def log_message(self, *_):
                pass

            def do_GET(self):
                self.send_response(200)
                self.end_headers()
                self.wfile.write(b'here')
        own = os.stat('/proc/thread-self/ns/net').st_ino
        with kube.network(netns):
            server = http.server.HTTPServer(('127.0.0.1', 0), Page)
        self.assertEqual(os.stat('/proc/thread-self/ns/net').st_ino, own)
        self.addCleanup(server.server_close)
        threading.Thread(target=server.handle_request, daemon=True).start()
        with self.assertRaises(ConnectionRefusedError):
            kube.get_text('/proc/self/ns/net', server.server_port, '/')
        self.assertEqual(kube.get_text(netns, server.server_port, '/'), 'here')


if __name__ == '__main__':
    result = unittest.TextTestRunner(stream=sys.stdout, verbosity=1).run(unittest.defaultTestLoader.loadTestsFromModule(sys.modules[__name__]))
    bad = len(result.failures) + len(result.errors)
    print(f'{result.testsRun - bad} passed, {bad} failed')
    sys.exit(1 if bad else 0)
