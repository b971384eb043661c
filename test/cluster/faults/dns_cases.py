"""What happens to cluster DNS where it is Causeway's (stack causeway): agents hang, a node's process dies or hangs, all are replaced."""
import contextlib
import os
import signal
import threading

from world import Failed, until

NAME, ADDRESS = 'kubernetes.default.svc.cluster.local', '10.96.0.1'
STATE = '/var/lib/causeway/dns.snapshot'


def asks(world, pod, name=NAME):
    """What the Pod's resolver address says, tried as often as a resolver does."""
    return world.kubectl('exec', '-n', 'default', pod, '--', 'dig', '+short', '+time=2', '+tries=3', name, check=False).split()


def one_on_each_node(world):
    for node in ('node1', 'node2'):
        world.create(f'asks-{node}', node=node)
    world.wait_ready('asks-node1', 'asks-node2')
    for node in ('node1', 'node2'):
        until(f'{NAME} for a Pod of {node}', 30, lambda n=node: asks(world, f'asks-{n}') == [ADDRESS])


@contextlib.contextmanager
def hanging(*pids):
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)


def endpoints(world):
    """Nodes whose DNS is ready, as the API has it."""
    slices = [s for s in world.get('endpointslices', '-n', 'kube-system') if s['metadata']['labels'].get('kubernetes.io/service-name') == 'kube-dns']
    return {e['nodeName'] for s in slices for e in s['endpoints'] or [] if e['conditions'].get('ready')}


def both_ready(world):
    until('the DNS of both nodes ready', 90, lambda: endpoints(world) == {'node1', 'node2'})


def case_cluster_dns_answers_while_agents_hang_and_after_a_kill(world):
    one_on_each_node(world)
    machine = world.machine('node1')
    until('names on disk', 60, lambda: machine.run(['test', '-s', STATE], check=False).returncode == 0)
    with hanging(world.agent('node1'), world.agent('node2')):
        if asks(world, 'asks-node1') != [ADDRESS] or asks(world, 'asks-node2') != [ADDRESS]:
            raise Failed('no answer while the agents hang')
        before = world.process('node1', 'dns')
        os.kill(before, signal.SIGKILL)
        until('another process', 60, lambda: world.process('node1', 'dns') not in (None, before))
        own = str(world.cluster.node('node1').own[0])
        until('its answer, from what was kept', 30, lambda: machine.net(
            ['dig', '+short', '+time=1', '+tries=1', f'@{own}', NAME], check=False).stdout.split() == [ADDRESS])
    both_ready(world)
    world.delete_all()


def case_cluster_dns_of_a_node_that_hangs_is_left_to_another(world):
    one_on_each_node(world)
    with hanging(world.process('node1', 'dns')):
        until('the endpoint is not ready', 60, lambda: endpoints(world) == {'node2'})
        until('an answer', 30, lambda: asks(world, 'asks-node1') == [ADDRESS])
    both_ready(world)
    world.delete_all()


def case_cluster_dns_is_replaced_and_no_question_fails(world):
    one_on_each_node(world)
    stop, answers = threading.Event(), []

    def ask():
        while not stop.is_set():
            answers.append((asks(world, 'asks-node1'), asks(world, 'asks-node2')))
    thread = threading.Thread(target=ask)
    thread.start()
    try:
        world.kubectl('rollout', 'restart', '-n', 'kube-system', 'daemonset/causeway-dns')
        world.kubectl('rollout', 'status', '-n', 'kube-system', 'daemonset/causeway-dns', '--timeout=120s')
    finally:
        stop.set()
        thread.join()
    wrong = [a for a in answers if a != ([ADDRESS], [ADDRESS])]
    if wrong or len(answers) < 5:
        raise Failed(f'{len(wrong)} of {len(answers)} rounds of questions failed, first {wrong[:1]}')
    both_ready(world)
    world.delete_all()
