"""Labs come, are repaired, stand beside each other, and go without a trace."""
import os
import pathlib
import signal
import subprocess
import sys

import lab
from lab import Lab, run, until


def test_up_and_down_leave_nothing():
    before = lab.machine()
    with Lab('tlife', '--nodes', '2') as one:
        assert lab.machine() == before, 'the host itself has something of the lab'
        one.create_pod('a')
        one.wait_ready('a')
    assert lab.leftovers('tlife') == []
    assert lab.machine() == before


def test_a_node_says_that_it_is_ready_and_has_a_network():
    def conditions():
        found = one.api('GET', '/api/v1/nodes/node-1')['status'].get('conditions', [])
        return {c['type']: c['status'] for c in found}
    with Lab('tlife', '--nodes', '1') as one:
        # One is the kubelet's, the other the agent's: whoever writes later leaves the other's as it is.
        until('both conditions', 20, lambda: conditions().get('Ready') == 'True' and conditions().get('NetworkUnavailable') == 'False')


def test_a_lab_that_is_up_is_refused_in_one_sentence():
    with Lab('tlife', '--nodes', '1'):
        again = run('lab', 'up', '--name', 'tlife', '--nodes', '1', check=False)
        assert again.returncode == 1
        assert again.stderr.strip().splitlines() == [
            'error: the lab "tlife" is up already: `causeway lab down --name tlife` ends it'], again.stderr


def test_two_labs_stand_beside_each_other():
    with Lab('tlife-a', '--nodes', '2') as a, Lab('tlife-b', '--nodes', '2') as b:
        for one in (a, b):
            one.create_pod('p')
        # The same addresses in both: they never meet.
        assert a.wait_ready('p')['status']['podIP'] and b.wait_ready('p')['status']['podIP']
        assert a.server != b.server
        listed = run('lab', 'ls').stdout
        assert 'tlife-a' in listed and 'tlife-b' in listed
        run('lab', 'down', '--name', 'tlife-a')
        b.exec('node-1', 'true')
    assert lab.leftovers('tlife-a') == [] and lab.leftovers('tlife-b') == []


def test_up_repairs_a_lab_whose_keeper_was_killed_and_disturbs_no_pod():
    with Lab('tlife', '--nodes', '2') as one:
        one.create_pod('p')
        before = one.wait_ready('p')
        sandbox = one.pids(one.sandbox(before))
        one.kill('keeper')
        one.kill('apiserver')  # nobody is there to start it again
        until('the keeper is gone', 5, lambda: not one.pids('keeper'))
        one.up()
        after = one.pod('p')
        assert after['metadata']['uid'] == before['metadata']['uid']
        assert one.pids(one.sandbox(after)) == sandbox, 'the Pod was started again'
        assert lab.container(after)['restartCount'] == 0
        one.create_pod('q')
        one.wait_ready('q')


def test_a_node_that_is_killed_starts_again_with_its_pods():
    with Lab('tlife', '--nodes', '2') as one:
        one.create_pod('p', nodeName='node-1')
        before = one.wait_ready('p')
        one.kill('nodes/node-1/nodelet')
        after = one.wait_pod('p', lambda pod: lab.ready(pod) and lab.container(pod).get('restartCount', 0) > 0, 'started again', 30)
        assert after['metadata']['uid'] == before['metadata']['uid']
        one.exec('node-2', 'causeway', 'workload', 'connect', f'{after["status"]["podIP"]}:8080')


def test_down_ends_a_lab_of_which_everything_was_killed():
    before = lab.machine()
    with Lab('tlife', '--nodes', '2') as one:
        one.create_pod('p')
        one.wait_ready('p')
        for path in ['keeper', 'apiserver', 'controller', 'nodes/node-1/nodelet', 'net/router', 'net/outside']:
            one.kill(path)
    assert lab.leftovers('tlife') == []
    assert lab.machine() == before


def test_an_interrupted_up_is_repaired_or_ended():
    process = subprocess.Popen([lab.CAUSEWAY, 'lab', 'up', '--name', 'tlife', '--nodes', '2'], stdout=subprocess.PIPE, text=True)
    process.stdout.readline()
    process.send_signal(signal.SIGKILL)
    process.wait()
    run('lab', 'down', '--name', 'tlife')
    assert lab.leftovers('tlife') == []


def test_an_up_that_is_interrupted_takes_back_what_it_made():
    for signal_number in (signal.SIGINT, signal.SIGTERM):
        process = subprocess.Popen([lab.CAUSEWAY, 'lab', 'up', '--name', 'tlife', '--nodes', '2'], text=True,
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        process.stdout.readline()
        process.send_signal(signal_number)
        _, said = process.communicate(timeout=60)
        assert process.returncode == 1 and said == 'error: interrupted\n', (process.returncode, said)
        assert lab.leftovers('tlife') == []


def test_down_ends_an_up_that_hangs():
    process = subprocess.Popen([lab.CAUSEWAY, 'lab', 'up', '--name', 'tlife', '--nodes', '2'], stdout=subprocess.PIPE, text=True)
    process.stdout.readline()
    process.send_signal(signal.SIGSTOP)  # holds its lock and does nothing any more
    run('lab', 'down', '--name', 'tlife')
    process.wait()
    assert lab.leftovers('tlife') == []


def test_an_up_beside_another_names_it_and_the_way_out():
    process = subprocess.Popen([lab.CAUSEWAY, 'lab', 'up', '--name', 'tlife', '--nodes', '2'], stdout=subprocess.PIPE, text=True)
    process.stdout.readline()
    process.send_signal(signal.SIGSTOP)
    again = run('lab', 'up', '--name', 'tlife', '--nodes', '2', check=False)
    assert f'(pid {process.pid})' in again.stderr and '`causeway lab down --name tlife`' in again.stderr, again.stderr
    process.send_signal(signal.SIGCONT)
    run('lab', 'down', '--name', 'tlife')
    process.wait()
    assert lab.leftovers('tlife') == []


def test_up_says_why_a_process_of_the_lab_keeps_ending():
    with Lab('tlife', '--nodes', '1') as one:
        one.kill('keeper')
        one.kill('apiserver')
        until('both are gone', 5, lambda: not one.pids('keeper') and not one.pids('apiserver'))
        folder = pathlib.Path('/run/causeway-lab/tlife')
        for file in (folder / 'apiserver').glob('store.db*'):
            file.write_bytes(b'this is no database' * 1000)
        for file in (folder / 'kubeconfig', folder / 'cluster' / 'kubeconfig'):
            file.unlink()
        again = run('lab', 'up', '--name', 'tlife', '--nodes', '1', check=False)
        assert again.returncode == 1 and 'the API server exited with 1, 3 times in a row' in again.stderr, again.stderr
        assert 'store.db' in again.stderr, again.stderr


def test_up_registers_a_node_again_that_was_deleted():
    with Lab('tlife', '--nodes', '2') as one:
        one.api('DELETE', '/api/v1/nodes/node-2')
        done = run('lab', 'up', '--name', 'tlife', '--nodes', '2')
        assert 'node-2: registering again' in done.stdout, done.stdout
        one.create_pod('p', nodeName='node-2')
        one.wait_ready('p')


def test_ls_tells_anybody_the_truth():
    with Lab('tlife', '--nodes', '1'):
        done = subprocess.run([lab.CAUSEWAY, 'lab', 'ls'], user=65534, text=True, capture_output=True)
        row = next(line for line in done.stdout.splitlines() if line.startswith('tlife '))
        assert row.split()[1] == 'up', done.stdout + done.stderr


def test_down_of_what_does_not_exist_says_so():
    done = run('lab', 'down', '--name', 'tnothing', check=False)
    assert done.returncode == 1 and done.stderr.startswith('error: there is no lab "tnothing"'), done.stderr


lab.main(sys.modules[__name__])
