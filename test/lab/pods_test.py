"""A Pod's life on a node of the lab: what kubelet and a container runtime do elsewhere."""
import sys
import time

import lab
from lab import Lab, container, until

SH = '/bin/sh'


def shell(script, **more):
    return {'command': [SH, '-c', script], **more}


def test_environment_arguments_and_files():
    one.api('POST', '/api/v1/namespaces/default/configmaps', {'apiVersion': 'v1', 'kind': 'ConfigMap', 'metadata': {'name': 'settings'},
                                                              'data': {'colour': 'blue'}})
    one.create_pod('env', [shell('echo "$A|$B|$C|$D|$E|$F|$0"; hostname; cat /etc/hostname; pwd; exec sleep 1000',
                                 args=['arg-$(A)-$(NONE)-$$(A)'], workingDir='/usr', env=[
                                     {'name': 'A', 'value': 'a'}, {'name': 'B', 'value': '$(A)b'},
                                     {'name': 'C', 'valueFrom': {'fieldRef': {'fieldPath': 'status.podIP'}}},
                                     {'name': 'D', 'valueFrom': {'fieldRef': {'fieldPath': "metadata.labels['app']"}}},
                                     {'name': 'E', 'valueFrom': {'configMapKeyRef': {'name': 'settings', 'key': 'colour'}}},
                                     {'name': 'F', 'valueFrom': {'fieldRef': {'fieldPath': 'spec.nodeName'}}}])],
                   labels={'app': 'web'}, hostname='myname', hostAliases=[{'ip': '10.9.8.7', 'hostnames': ['friend']}])
    pod = one.wait_ready('env')
    expected = f'a|ab|{pod["status"]["podIP"]}|web|blue|{pod["spec"]["nodeName"]}|arg-a-$(NONE)-$(A)\nmyname\nmyname\n/usr\n'
    until('the log', 5, lambda: one.logs('env').stdout == expected)
    hosts = one.exec('env', 'cat', '/etc/hosts').stdout
    assert f'{pod["status"]["podIP"]}\tmyname' in hosts and '10.9.8.7\tfriend' in hosts, hosts
    message = [e['message'] for e in events('env') if e['reason'] == 'Pulled']
    assert message and "this machine's root file system stands in for it" in message[0], message


def events(name):
    found = one.api('GET', f'/api/v1/namespaces/default/events?fieldSelector=involvedObject.name={name}')
    return found['items']


def test_a_configuration_that_lacks_a_key_is_said_and_repaired():
    one.create_pod('lacks', [shell('exec sleep 1000', env=[{'name': 'A', 'valueFrom': {'configMapKeyRef': {'name': 'none', 'key': 'k'}}}])])
    pod = one.wait_pod('lacks', lambda pod: container(pod).get('state', {}).get('waiting', {}).get('reason') == 'CreateContainerConfigError', 'waiting')
    assert 'configmap "none" not found' in container(pod)['state']['waiting']['message']
    one.api('POST', '/api/v1/namespaces/default/configmaps', {'apiVersion': 'v1', 'kind': 'ConfigMap', 'metadata': {'name': 'none'}, 'data': {'k': 'v'}})
    one.wait_ready('lacks', 30)


def test_a_container_that_ends_starts_again_at_once_then_with_back_off():
    one.create_pod('crash', [shell('echo run; exit 3')])
    pod = one.wait_pod('crash', lambda pod: container(pod).get('state', {}).get('waiting', {}).get('reason') == 'CrashLoopBackOff', 'in back-off')
    status = container(pod)
    assert status['restartCount'] == 2 and status['lastState']['terminated']['exitCode'] == 3, status
    assert 'back-off 10s' in status['state']['waiting']['message'], status
    assert pod['status']['phase'] == 'Running' and not lab.ready(pod)
    assert one.logs('crash').stdout == 'run\n'


def test_pods_for_whom_there_is_no_address_wait_quietly():
    with Lab('tpods-full', '--nodes', '1', '--pod-cidr', '10.77.0.0/29', '--node-cidr-mask-size-ipv4', '29') as full:
        names = [f'p{i}' for i in range(10)]
        for name in names:
            full.create_pod(name)

        def events_of_the_waiting():
            found = full.api('GET', '/api/v1/namespaces/default/events')['items']
            return [e for e in found if e['reason'] == 'FailedCreatePodSandBox']
        until('a try was repeated', 60, lambda: any(e.get('count', 1) > 2 for e in events_of_the_waiting()))
        pods = [full.pod(name) for name in names]
        waiting = [pod for pod in pods if not lab.ready(pod)]
        assert waiting, 'ten Pods fit into eight addresses'
        for pod in waiting:
            assert 'podIP' not in pod['status'] and not pod['status'].get('podIPs'), pod['status']
        per_pod = {}
        for event in events_of_the_waiting():
            per_pod.setdefault(event['involvedObject']['name'], set()).add(event['message'])
        assert all(len(messages) <= 3 for messages in per_pod.values()), per_pod


def test_what_a_pod_asks_for_in_vain_is_an_event():
    one.create_pod('asks', [{'name': 'c', 'image': 'i', 'volumeMounts': [{'name': 'v', 'mountPath': '/v'}],
                             'resources': {'limits': {'memory': '64Mi'}}}], volumes=[{'name': 'v', 'emptyDir': {'sizeLimit': '1Mi'}}])
    one.wait_ready('asks')
    said = until('both Events', 10, lambda: (found := sorted(e['message'] for e in events('asks') if e['reason'] == 'NotSupported'))[1:] and found)
    assert said == ['container c: the lab enforces no limits: memory', 'volume v: the lab does not enforce sizeLimit'], said


def test_restart_policies():
    one.create_pod('done', [shell('exit 0')], restartPolicy='OnFailure')
    one.create_pod('failed', [shell('exit 4')], restartPolicy='Never')
    one.create_pod('signalled', [shell('kill -9 $$; sleep 5'), ], restartPolicy='Never')
    done = one.wait_pod('done', lambda pod: pod['status'].get('phase') == 'Succeeded', 'Succeeded')
    assert container(done)['state']['terminated']['reason'] == 'Completed'
    failed = one.wait_pod('failed', lambda pod: pod['status'].get('phase') == 'Failed', 'Failed')
    assert container(failed)['state']['terminated']['exitCode'] == 4
    for name in ('done', 'failed', 'signalled'):
        one.delete_pod(name, grace=0 if name == 'signalled' else None)
        one.wait_gone(name)


def test_init_containers_run_first_and_in_order():
    one.create_pod('init', [shell('cat /dev/null; exec sleep 1000')], initContainers=[
        {'name': 'first', 'image': 'none', 'command': [SH, '-c', 'echo one']},
        {'name': 'second', 'image': 'none', 'command': [SH, '-c', 'echo two']}])
    pod = one.wait_ready('init')
    ends = [c['state']['terminated']['finishedAt'] for c in pod['status']['initContainerStatuses']]
    assert ends == sorted(ends) and len(ends) == 2
    assert one.logs('init', '-c', 'second').stdout == 'two\n'


def test_termination_grace():
    # A shell that traps TERM ends in its time; one that ignores it is killed after the grace period.
    one.create_pod('polite', [shell('trap "echo bye; exit 0" TERM; while :; do sleep 0.05; done')])
    one.create_pod('stubborn', [shell('trap "" TERM; while :; do sleep 0.05; done')], terminationGracePeriodSeconds=1)
    one.wait_ready('polite'), one.wait_ready('stubborn')
    start = time.monotonic()
    one.delete_pod('polite')
    one.wait_gone('polite', 10)
    assert time.monotonic() - start < 10
    start = time.monotonic()
    one.delete_pod('stubborn')
    one.wait_gone('stubborn', 10)
    assert time.monotonic() - start >= 0.9


def test_logs_of_the_run_before_the_last_lines_and_a_refusal():
    one.create_pod('logs', [shell('echo first $(date +%s%N); for i in 1 2 3; do echo line $i; done; sleep 0.3; exit 1')])
    one.wait_pod('logs', lambda pod: container(pod).get('restartCount', 0) >= 2, 'restarted')
    assert one.logs('logs', '--tail', '1').stdout == 'line 3\n'
    assert one.logs('logs', '--previous').stdout.startswith('first ')
    refused = one.logs('logs', '-c', 'other', check=False)
    assert refused.returncode == 1 and 'other' in refused.stderr, refused.stderr
    one.create_pod('follow', [shell('for i in 1 2 3 4 5; do echo $i; sleep 0.1; done')], restartPolicy='Never')
    one.wait_pod('follow', lambda pod: pod['status'].get('phase') in ('Running', 'Succeeded'), 'running')
    assert one.logs('follow', '--follow').stdout == '1\n2\n3\n4\n5\n'


def test_readiness_follows_the_probes():
    one.create_pod('http-no', [{'ports': [{'containerPort': 8080}], 'readinessProbe': {
        'httpGet': {'path': '/status/503', 'port': 8080}, 'periodSeconds': 1, 'failureThreshold': 1}}])
    one.create_pod('http-yes', [{'ports': [{'name': 'web', 'containerPort': 8080}], 'readinessProbe': {'httpGet': {'path': '/', 'port': 'web'}}}])
    one.create_pod('tcp-no', [{'ports': [{'containerPort': 8080}], 'readinessProbe': {'tcpSocket': {'port': 9}, 'periodSeconds': 1}}])
    one.create_pod('live', [{'ports': [{'containerPort': 8080}], 'livenessProbe': {
        'httpGet': {'path': '/status/500', 'port': 8080}, 'periodSeconds': 1, 'failureThreshold': 1}}])
    one.wait_ready('http-yes')
    until('an Event about the probe', 10, lambda: any(
        e['reason'] == 'Unhealthy' and 'HTTP probe failed with statuscode: 503' in e['message'] for e in events('http-no')))
    for name in ('http-no', 'tcp-no'):
        pod = one.wait_pod(name, lambda pod: pod['status'].get('phase') == 'Running', 'Running')
        assert not lab.ready(pod), name
    one.wait_pod('live', lambda pod: container(pod).get('restartCount', 0) >= 1, 'restarted by its liveness probe')


def test_host_network_and_sysctls():
    one.create_pod('host', [{'ports': [{'containerPort': 18080}]}], hostNetwork=True)
    host = one.wait_ready('host')
    assert host['status']['podIP'] == host['status']['hostIP']
    assert one.exec('host', 'hostname').stdout.strip() == host['spec']['nodeName']
    one.create_pod('sysctl', [shell('cat /proc/sys/net/ipv4/ip_local_port_range; exec sleep 1000')],
                   securityContext={'sysctls': [{'name': 'net.ipv4.ip_local_port_range', 'value': '20000\t30000'}]})
    one.wait_ready('sysctl')
    until('the sysctl', 5, lambda: one.logs('sysctl').stdout.split() == ['20000', '30000'])
    one.create_pod('forbidden', securityContext={'sysctls': [{'name': 'net.core.rmem_max', 'value': '1'}]})
    pod = one.wait_pod('forbidden', lambda pod: pod['status'].get('phase') == 'Failed', 'Failed')
    assert pod['status']['reason'] == 'SysctlForbidden' and 'whole machine' in pod['status']['message']


def test_two_containers_share_lo_and_cannot_share_a_port():
    one.create_pod('two', [{'ports': [{'containerPort': 8080}]}, {'ports': [{'containerPort': 8081}]}])
    one.wait_ready('two')
    assert '"container":"c1"' in one.exec('two', 'causeway', 'workload', 'connect', '127.0.0.1:8081').stdout
    one.create_pod('clash', [{'ports': [{'containerPort': 8080}]}, shell(
        'exec causeway workload serve --port 8080')])
    one.wait_pod('clash', lambda pod: container(pod, 'c1').get('restartCount', 0) >= 1, 'restarted')
    assert 'another container of this Pod has it' in one.logs('clash', '-c', 'c1').stdout


def test_a_killed_sandbox_is_made_again():
    one.create_pod('sandbox')
    before = one.wait_ready('sandbox')
    one.kill(one.sandbox(before))
    after = one.wait_pod('sandbox', lambda pod: lab.ready(pod) and container(pod)['restartCount'] == 1, 'Ready again')
    node = after['spec']['nodeName']
    one.exec(node, 'causeway', 'workload', 'connect', f'{after["status"]["podIP"]}:8080')


def test_containers_do_not_write_to_the_machine():
    one.create_pod('writer', [shell('echo x > /usr/share/causeway-lab-test && cat /usr/share/causeway-lab-test; exec sleep 1000')])
    one.wait_ready('writer')
    until('the file inside', 5, lambda: one.logs('writer').stdout == 'x\n')
    import os
    assert not os.path.exists('/usr/share/causeway-lab-test')


def test_a_command_that_is_not_there_is_said():
    one.create_pod('typo', [{'command': ['/no/such/program']}])
    pod = one.wait_pod('typo', lambda pod: container(pod).get('state', {}).get('waiting', {}).get('reason') == 'RunContainerError', 'waiting')
    assert '/no/such/program' in container(pod)['state']['waiting']['message']


with Lab('tpods', '--nodes', '2') as one:
    lab.main(sys.modules[__name__])
