"""A StatefulSet's Pod that keeps its addresses is replaced on another node: when they answer again."""
import concurrent.futures
import statistics
import time

from node import lab

NODES = ('node-1', 'node-2', 'node-3')
SETS = '/apis/apps/v1/namespaces/default/statefulsets'


def make(one):
    """A Pod on each node that asks, and the StatefulSet that moves."""
    for node in NODES:
        one.create_pod(f'at-{node}', nodeName=node)
    template = {'metadata': {'labels': {'app': 'db'}, 'annotations': {'causeway.io/keep-addresses': 'true'}},
                'spec': {'terminationGracePeriodSeconds': 0, 'containers': [{'name': 'c0', 'image': 'none', 'ports': [{'containerPort': 8080}]}]}}
    one.api('POST', SETS, {'apiVersion': 'apps/v1', 'kind': 'StatefulSet', 'metadata': {'name': 'db'},
                           'spec': {'replicas': 1, 'serviceName': 'db', 'selector': {'matchLabels': template['metadata']['labels']}, 'template': template}})
    for node in NODES:
        one.wait_ready(f'at-{node}')
    return one.wait_ready('db-0')


def answers(one, source, ip, pod):
    """When the new Pod was the one that answered there first."""
    def asked():
        said = one.exec(source, 'causeway', 'workload', 'connect', '--count', '1', '--timeout', 100, lab.host_port(ip), check=False).stdout
        return f'"node":"{pod["spec"]["nodeName"]}"' in said.replace(' ', '')
    lab.until(f'{source} reaches {ip}', 20, asked)
    return time.monotonic()


def replaced(figures, sizes):
    """Counted from when the API says that it runs; asked from each node's Pod, both families, a process for each question."""
    with lab.Lab('bpod-replaced', '--nodes', '3', '--ip-family', 'dual') as one:
        pod, took = make(one), []
        for _ in range(sizes.moves):
            node, uid, kept = pod['spec']['nodeName'], pod['metadata']['uid'], lab.addresses(pod)
            one.cordon(node, True)
            one.delete_pod('db-0')
            pod = one.wait_pod('db-0', lambda now: now['metadata']['uid'] != uid and now['status'].get('phase') == 'Running', 'Running', 40)
            runs = time.monotonic()
            assert pod['spec']['nodeName'] != node and lab.addresses(pod) == kept, f'{pod["spec"]["nodeName"]}, {pod["status"]}; {kept} before'
            questions = [(f'at-{source}', ip) for source in NODES for ip in kept]
            with concurrent.futures.ThreadPoolExecutor(len(questions)) as threads:
                took += [at - runs for at in threads.map(lambda question: answers(one, *question, pod), questions)]
            one.cordon(node, False)
        figures.value('StatefulSet Pod on another node: its addresses answer, after it runs, the last of all', 's', max(took), 1)
        figures.value('  the median', 's', statistics.median(took))
