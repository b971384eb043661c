"""What cannot be right is refused in one sentence that names it, and leaves nothing half-made."""
import os
import sys
import tempfile
import time

import lab
from lab import Lab, run


def refused(*arguments):
    done = run(*arguments, check=False)
    assert done.returncode != 0, f'{arguments} was not refused'
    lines = done.stderr.strip().splitlines()
    assert len(lines) == 1, f'more than a sentence: {done.stderr}'
    return lines[0]


def refused_up(*options):
    text = refused('lab', 'up', '--name', 'tinput', *options)
    assert lab.leftovers('tinput') == [], 'something is left of a lab that was refused'
    return text


def test_flags():
    assert '--nodes 0: give 1 to 50' in refused_up('--nodes', '0')
    assert '--ip-family ipv5: give ipv4, ipv6 or dual' in refused_up('--ip-family', 'ipv5')
    assert '--fabric bgp: give auto, vxlan or host-gw' in refused_up('--fabric', 'bgp')
    assert 'node-3 is behind a router' in refused_up('--fabric', 'host-gw')
    assert 'use 1 to 20 of a-z' in refused('lab', 'up', '--name', '../x')
    assert 'use 1 to 20 of a-z' in refused('lab', 'down', '--name', '../x')


def test_agent_flag_that_the_agent_refuses():
    start = time.monotonic()
    text = refused_up('--nodes', '2', '--agent-flag=--no-such-flag')
    assert 'the agent exited with' in text and '--no-such-flag' in text, text
    assert time.monotonic() - start < 50, 'only after the wait for a node'


def test_commands():
    assert refused('nosuch') == 'error: there is no command "nosuch"; `causeway --help` lists them'
    assert run('--version').stdout.startswith('causeway 0.')
    assert 'sends requests' in run('workload', 'connect', '--help').stdout
    assert '--tail' in refused('lab', 'logs', '--tail', '-5', 'node-1')


def test_ranges():
    assert 'overlaps' in refused_up('--pod-cidr', '10.96.0.0/16')
    assert 'which is for loopback' in refused_up('--pod-cidr', '127.0.0.0/16')
    assert 'too small: at least 8 addresses' in refused_up('--service-cidr', '10.96.0.0/32')
    assert "no tenth address, which is cluster DNS's: give 16 addresses or more, or --no-dns" in refused_up('--service-cidr', '10.96.0.0/29')
    assert "the lab's own network" in refused_up('--pod-cidr', '172.16.0.0/12')
    assert 'has 2 blocks of /24, and 3 nodes need one each' in refused_up('--pod-cidr', '10.1.0.0/23')
    assert '10.1.0.0/16' in refused_up('--pod-cidr', '10.1.0.1/16')
    assert 'the lab has --ip-family ipv4' in refused_up('--pod-cidr', 'fd00::/56')
    assert 'one range for each family' in refused_up('--ip-family', 'dual', '--pod-cidr', '10.1.0.0/16')


def manifest(text):
    file = tempfile.NamedTemporaryFile('w', suffix='.yaml', delete=False)
    file.write(text)
    file.close()
    return file.name


def test_manifests():
    with Lab('tinput', '--nodes', '1') as one:
        def apply(text):
            path = manifest(text)
            done = run('lab', 'apply', '--name', 'tinput', '-f', path, check=False)
            os.unlink(path)
            return done.returncode, (done.stdout + done.stderr).replace(path, 'FILE')
        code, said = apply('kind: Pod\n\tname: x\n')
        assert code == 1 and 'FILE: line 2' in said, said
        code, said = apply('apiVersion: v1\nkind: Pod\n')
        assert code == 1 and 'metadata.name is not set' in said, said
        code, said = apply('apiVersion: v1\nkind: Pod\nmetadata: {name: x, name: y}\n')
        assert code == 1 and 'the key "name" is there twice' in said, said
        code, said = apply('apiVersion: v1\nkind: Pod\nmetadata: {name: x}\nspec: {containers: []}\n')
        assert code == 1 and 'spec.containers' in said, said
        code, said = apply('apiVersion: v1\nkind: Pod\nmetadata: {name: X_}\nspec: {containers: [{name: c, image: i}]}\n')
        assert code == 1 and 'metadata.name' in said, said
        code, said = apply('apiVersion: v9\nkind: Pod\nmetadata: {name: x}\n')
        assert code == 1 and 'no matches for kind "Pod" in version "v9"' in said, said
        code, said = apply('apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x}\nfoo: 1\ndata: {a: "1"}\n')
        assert code == 1 and 'unknown field "foo"' in said, said
        code, said = apply('apiVersion: v1\nkind: Pod\nmetadata: {name: x}\nspec: {containers: [{name: c, image: i, comand: [a]}]}\n')
        assert code == 1 and 'unknown field "spec.containers[0].comand"' in said, said
        code, said = apply('')
        assert code == 1 and 'error: FILE: no objects to apply' in said, said
        code, said = apply('apiVersion: v1\nkind: ConfigMap\nmetadata: {name: big}\ndata: {a: "' + 'x' * (5 << 20) + '"}\n')
        assert code == 1 and 'the limit is 3145728 bytes' in said, said[:1000]
        # A refusal does not stop the rest; what is the same is not changed; what went away is removed.
        good = 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\ndata: {a: "1", b: "2"}\n'
        code, said = apply('apiVersion: v1\nkind: Nothing\nmetadata: {name: x}\n---\n' + good)
        assert code == 1 and 'configmap/c created' in said, said
        assert apply(good) == (0, 'configmap/c unchanged\n')
        assert apply(good.replace(', b: "2"', '')) == (0, 'configmap/c configured\n')
        assert one.api('GET', '/api/v1/namespaces/default/configmaps/c')['data'] == {'a': '1'}
        assert 'No such file' in refused('lab', 'apply', '--name', 'tinput', '-f', '/nonexistent.yaml')


def test_commands_on_what_does_not_exist():
    assert 'there is no lab "tnone"' in refused('lab', 'status', '--name', 'tnone')
    assert 'there is no lab "tnone"' in refused('lab', 'exec', '--name', 'tnone', 'node-1', '--', 'true')
    with Lab('tinput', '--nodes', '1'):
        text = refused('lab', 'exec', '--name', 'tinput', 'node-9', '--', 'true')
        assert 'node-9 is no place of the lab: node-1, outside, router, control' in text and 'not found' in text, text
        assert run('lab', 'exec', '--name', 'tinput', 'outside', '--', 'causeway', '--version').stdout.startswith('causeway ')
        assert 'not found' in refused('lab', 'logs', '--name', 'tinput', 'nobody')


lab.main(sys.modules[__name__])
