#!/usr/bin/env python3
"""ctest `cluster_duties`: what kubelet, runtime and scheduler assume of a node's network, on the real kube-apiserver.

usage: alone.sh duties_test.py CAUSEWAY
"""
import os
import pathlib
import shutil
import subprocess
import sys
import time

from kubernetes import AGENT, ROOT, Kubernetes, until
from node import CAUSEWAY, CONFLIST, PLUGIN, Program, agent, cni, is_ready, main, mount_account, page, wait_ready, wait_unready

api = None


def become(pod):
    mount_account(api.token_of('causeway-agent', 'node-1', pod), api.ca.read_text())


def condition(status):
    until(f'NetworkUnavailable={status}', 40, lambda: (api.condition('node-1') or '?')[0] == status)


def test_a_pod_cidr_that_comes_late_is_waited_for():
    global api
    api = Kubernetes()
    api.kubectl('apply', '--server-side', '-f', ROOT / 'deploy/causeway.yaml')
    api.make_node('node-1', '10.77.0.1')
    become('agent-1')
    with agent() as program:
        wait_unready('has no spec.podCIDRs yet')
        program.says('waiting: Node node-1 has no spec.podCIDRs yet')
        condition('True')
        assert not CONFLIST.exists()
        api.give_cidrs('node-1', '10.244.1.0/24')
        wait_ready()
        condition('False')
        assert CONFLIST.exists() and PLUGIN.exists()
        assert cni('STATUS')[0] == 0


def test_an_idle_node_asks_nothing_of_the_api_server():
    with agent():
        wait_ready()
        until('watches', 20, lambda: sum(n for k, n in api.summary(AGENT).items() if k.startswith('watch')) > 0)
        time.sleep(1)
        before = len(api.requests(AGENT))
        time.sleep(20)
        assert api.requests(AGENT)[before:] == []


def test_a_restarted_agent_changes_nothing_for_the_runtime():
    written = CONFLIST.stat().st_mtime_ns, PLUGIN.stat().st_mtime_ns
    for _ in range(3):
        with agent():
            wait_ready()
    assert written == (CONFLIST.stat().st_mtime_ns, PLUGIN.stat().st_mtime_ns)


def test_a_configuration_of_before_the_reboot_goes():
    assert CONFLIST.exists()
    shutil.rmtree('/run/causeway')  # a tmpfs
    done = subprocess.run([CAUSEWAY, 'install-cni'], text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert done.returncode == 0 and 'earlier boot' in done.stdout, done.stdout
    assert not CONFLIST.exists() and PLUGIN.exists()
    with agent():
        wait_ready()
        until('configuration', 10, CONFLIST.exists)


def test_two_pods_of_one_name_are_two():
    """A StatefulSet's Pod made again: its DEL comes after the ADD of its successor."""
    with agent(CAUSEWAY_NETWORK_POLICY='false'):  # the API has no such Pod: policies would let nothing pass
        wait_ready()
        netns = {}
        for name in ('old', 'new'):
            subprocess.run(['ip', 'netns', 'add', name], check=True)
            netns[name] = f'/run/netns/{name}'
        args = {'K8S_POD_NAMESPACE': 'shop', 'K8S_POD_NAME': 'db-0', 'K8S_POD_INFRA_CONTAINER_ID': 'x'}
        code, old = cni('ADD', 'old', netns['old'], K8S_POD_UID='1', **args)
        assert code == 0, old
        code, new = cni('ADD', 'new', netns['new'], K8S_POD_UID='2', **args)
        assert code == 0 and old['ips'] != new['ips'], (old, new)
        assert cni('DEL', 'old', netns['old'], K8S_POD_UID='1', **args)[0] == 0
        address = new['ips'][0]['address'].split('/')[0]
        subprocess.run(['ping', '-c', '1', '-W', '3', address], check=True, stdout=subprocess.DEVNULL)
        assert f'{address}' in page('/pods')[1]
        assert cni('DEL', 'old', '', K8S_POD_UID='1', **args)[0] == 0  # once more, as kubelet does
        subprocess.run(['ping', '-c', '1', '-W', '3', address], check=True, stdout=subprocess.DEVNULL)
        assert cni('DEL', 'new', netns['new'], **args)[0] == 0
        for name in netns:
            subprocess.run(['ip', 'netns', 'del', name], check=True)


def test_an_api_server_that_is_away_for_a_restart_of_the_agent_stops_nothing():
    api.stop()
    with agent() as program:
        wait_ready()
        program.says('resumed')
        assert CONFLIST.exists() and cni('STATUS')[0] == 0
        api.start()
        until('the watch works again', 90, lambda: page('/feed')[1].count('watching') >= 2, lambda: page('/feed')[1])


def test_a_token_is_read_again_when_it_is_renewed():
    with agent():
        wait_ready()
        become('agent-2')
        # The old token ends with its Pod; a new server asks for one.
        api.delete('/api/v1/namespaces/causeway/pods/agent-1')
        api.stop()
        api.start()
        begun = len(api.requests(AGENT))
        until('it asks with the new token', 60, lambda: any(code == 200 for _, _, code, _ in api.requests(AGENT)[begun:]))
        api.ask('POST', '/api/v1/nodes', {'apiVersion': 'v1', 'kind': 'Node', 'metadata': {'name': 'node-9'}})
        until('it hears of a new Node', 20, lambda: 'node-9' in page('/model')[1], lambda: page('/feed')[1])
        api.delete('/api/v1/nodes/node-9')


def test_a_node_that_is_made_again_with_other_cidrs_gets_them():
    with agent() as program:
        wait_ready()
        api.delete('/api/v1/nodes/node-1')
        wait_unready('has no Node node-1 any more')
        until('no configuration', 40, lambda: not CONFLIST.exists(), program.text)
        api.make_node('node-1', '10.77.0.1', ['10.244.7.0/24'])
        wait_ready()
        condition('False')
        until('configuration', 10, CONFLIST.exists)
        assert '10.244.7.' in page('/pods')[1], page('/pods')[1]
        reasons = [e[1] for e in api.events('node-1')]
        assert 'NetworkUnavailable' in reasons and 'NetworkAvailable' in reasons, reasons


def test_a_full_disk_is_named_and_recovered_from():
    for folder in (CONFLIST.parent, PLUGIN.parent):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        subprocess.run(['mount', '-t', 'tmpfs', '-o', 'size=256k', 'tmpfs', folder], check=True)
    try:
        with agent():
            wait_unready('No space left on device')
            assert not CONFLIST.exists() and not PLUGIN.exists()
            assert os.listdir(PLUGIN.parent) == []  # nothing half-written
            condition('True')
            for folder in (CONFLIST.parent, PLUGIN.parent):
                subprocess.run(['mount', '-o', 'remount,size=8m', folder], check=True)
            wait_ready()
            condition('False')
            assert CONFLIST.exists() and PLUGIN.stat().st_mode & 0o111
    finally:
        for folder in (CONFLIST.parent, PLUGIN.parent):
            subprocess.run(['umount', folder], check=True)


def refuses(wrapper, *texts):
    with Program('agent', wrapper=wrapper) as program:
        code = program.process.wait(20)
        assert code == 1 and all(text in program.text() for text in texts), (code, program.text())
        assert len(program.text().splitlines()) == 1, program.text()


def test_a_container_without_what_the_kernel_must_let_us_do_is_refused_by_name():
    shutil.rmtree('/run/causeway')
    shutil.rmtree('/sys/fs/bpf/causeway')
    refuses(['setpriv', '--bounding-set=-all', '--inh-caps=-all'], 'cannot run:', 'CAP_BPF')
    refuses(['setpriv', '--reuid=65534', '--clear-groups'], 'it must run as root')


def test_a_container_whose_sysctls_cannot_be_written_says_which():
    pathlib.Path('/proc/sys/net/ipv4/ip_forward').write_text('0')
    with Program('agent', wrapper=['unshare', '--mount', 'sh', '-c', 'mount -o bind,ro /proc/sys /proc/sys && exec "$@"', 'sh']):
        wait_unready('ip_forward')
        assert not CONFLIST.exists()


if __name__ == '__main__':
    main(sys.modules[__name__])
