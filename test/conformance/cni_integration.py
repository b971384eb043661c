"""The `integration` suite of the CNI project's plugins: real plugin processes, ours among them under the name of one of theirs.

The suite makes the node's namespace itself, under a name that it draws, and runs cnitool there by `ip netns exec`. So an `ip` of
ours stands before the real one in its PATH: with such a namespace an agent begins and ends, and what runs in it finds that agent
at the default socket."""
import os
import pathlib
import shutil
import subprocess

import ginkgo
from cni_world import AGENT, PLUGIN, ROOT, THEIRS

IP = '''#!/bin/sh
PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
real={real}
case "$1/$2/$3" in
  netns/add/cni-test-host-*)
    $real "$@" || exit
    mkdir -p {run}/$3
    $real netns exec $3 sysctl -qw net.ipv4.ip_forward=1
    setsid nsenter --net=/run/netns/$3 {agent} {run}/$3 5 0 10.99.0.0/24 >{run}/$3.log 2>&1 </dev/null &
    echo $! >{run}/$3.pid
    for try in $(seq 200); do [ -S {run}/$3/agent.sock ] && exit 0; sleep 0.05; done
    echo "the agent in $3 does not listen" >&2
    exit 1 ;;
  netns/del/cni-test-host-*)
    kill -9 $(cat {run}/$3.pid)
    exec $real "$@" ;;
  netns/exec/cni-test-host-*)
    exec unshare --mount sh -c 'mount --bind {run}/$0 /run/causeway && exec {real} "$@"' $3 "$@" ;;
esac
exec $real "$@"
'''


def source():
    """Where the suite's data is: the module that its go.mod pins."""
    done = subprocess.run(['go', 'list', '-m', '-f', '{{.Dir}}', 'github.com/containernetworking/plugins'], cwd=ROOT / 'test/peers/cni-integration',
                          env={**os.environ, 'GOTOOLCHAIN': 'local', 'GOFLAGS': '-mod=readonly'}, capture_output=True, text=True, check=True)
    return pathlib.Path(done.stdout.strip()) / 'integration'


def prepare(folder, peers):
    """bin/ with their plugins, but ours under the name bandwidth; work/ as the suite wants it; path/ with cnitool and `ip`."""
    for name in ('bin', 'path', 'run'):
        (folder / name).mkdir()
    for name in THEIRS:
        (folder / 'bin' / name).symlink_to(peers[name])
    (folder / 'bin/bandwidth').unlink()
    shutil.copy(PLUGIN, folder / 'bin/bandwidth')
    shutil.copytree(source() / 'testdata', folder / 'work/testdata')
    for name in ('go.mod', 'go.sum', 'suite_test.go'):
        shutil.copy(ROOT / 'test/peers/cni-integration' / name, folder / 'work')
    (folder / 'path/cnitool').symlink_to(peers['cnitool'])
    (folder / 'path/ip').write_text(IP.format(real=shutil.which('ip'), run=folder / 'run', agent=AGENT))
    (folder / 'path/ip').chmod(0o755)


def listed(peers):
    """Every spec of the suite and of the firewall plugin's own, which need no world to be listed."""
    return ['[integration] ' + name for name in (
        'Basic PTP using cnitool basic cases supports basic network add and del operations',
        'Basic PTP using cnitool basic cases supports add and del with ptp + bandwidth',
        'Basic PTP using cnitool when the bandwidth plugin is chained with a plugin that returns multiple adapters limits traffic only on the '
        'restricted bandwidth veth device')]


def run_specs(peers, folder, specs):
    """Outcomes of these specs."""
    folder = folder / 'integration'
    folder.mkdir()
    prepare(folder, peers)
    made = not os.path.isdir('/run/causeway')
    os.makedirs('/run/causeway', exist_ok=True)
    focus = '^integration (?:' + '|'.join(ginkgo.escape(name.removeprefix('[integration] ')) for name in specs) + ')$'
    env = {**os.environ, 'PATH': f'{folder}/path:{os.environ["PATH"]}', 'GOTOOLCHAIN': 'local', 'CGO_ENABLED': '0', 'GOFLAGS': '-mod=readonly'}
    try:
        with open(folder / 'output.log', 'w') as log:
            subprocess.run([peers['cni-integration'], '-ginkgo.focus', focus, '-ginkgo.no-color', f'-ginkgo.json-report={folder}/report.json'], cwd=folder / 'work', env=env,
                           stdin=subprocess.DEVNULL, stdout=log, stderr=log, timeout=900)
        found, outside = ginkgo.read_report(folder / 'report.json')
    finally:
        for pid in (folder / 'run').glob('*.pid'):
            stop(pid)
        if made:
            os.rmdir('/run/causeway')
    prefix = lambda outcome: ginkgo.dataclasses.replace(outcome, spec='[integration] ' + outcome.spec)  # noqa: E731
    return [prefix(outcome) for outcome in found], [prefix(outcome) for outcome in outside]


def stop(file):
    """The agent of a namespace that a killed suite left."""
    pid = int(file.read_text())
    try:
        if os.readlink(f'/proc/{pid}/exe') == str(AGENT):
            os.kill(pid, 9)
    except OSError:
        pass
