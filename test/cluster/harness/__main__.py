"""./dev cluster: see tools/dev/cluster.sh, which is its front and its help."""
import argparse
import dataclasses
import json
import os
import signal
import sys

from . import cgroups, cluster, plan
from .cluster import Cluster
from .plan import Options, Refused


def say(text):
    print(f'==> {text}', flush=True)


def up(options):
    chosen = Options(options.name, options.nodes, options.ip_family, options.stack, options.plane, options.fabric, options.kubernetes)
    with cluster.locked(plan.checked(chosen).name):
        made = cluster.open_cluster(chosen, say)
        made.up()
    print(made.kubectl('get', 'nodes,pods', '-A', '-o', 'wide'), end='')
    print(f'./dev cluster kubectl --name {made.name} get pods -A')


def down(options):
    for name in cluster.known() if options.all else [options.name]:
        with cluster.locked(name):
            print(f'{name}: {"removed" if cluster.down(name) else "there is nothing of it"}')


def ls(_):
    for name in cluster.known():
        try:
            there = Cluster.load(name)
        except Refused:
            print(f'{name}: remains of a cluster (./dev cluster down --name {name})')
            continue
        kept = there.options
        words = [f'{f.name.replace("_", "-")}={getattr(kept, f.name)}' for f in dataclasses.fields(Options)
                 if f.name not in ('name', 'nodes') and getattr(kept, f.name)]
        print(f'{name}: {" ".join(words)}')
        for machine in (there.control.machine, *(n.machine for n in there.nodes())):
            pid = machine.pid()
            runs = [p for p in cgroups.names(name, machine.name) if machine.running(p)] if pid else []
            addresses = there.addresses.control if machine.name == 'control' else there.addresses.node(machine.name)
            print(f'  {machine.name:8} {plan.comma(addresses):34} {"pid " + str(pid) if pid else "down":10} {" ".join(runs)}')


def kubectl(options):
    there = Cluster.load(options.name)
    command = ['nsenter', '-t', str(there.control.machine.up()), '--net', there.peers['kubectl'], '--kubeconfig', there.kubeconfig]
    os.execvp(command[0], [*map(str, command), *options.command])


def node(options):
    return Cluster.load(options.name).any_machine(options.machine).call(options.command or ['bash'])


def env(options):
    there = Cluster.load(options.name)

    def net(machine):
        return f'/proc/{machine.up()}/ns/net'
    print(json.dumps({
        'name': there.name, 'stack': there.options.stack, 'plane': there.options.plane, 'fabric': there.options.fabric,
        'ip_family': there.options.ip_family, 'kubernetes': version(there), 'kubeconfig': str(there.kubeconfig), 'netns': net(there.control.machine),
        'nodes': [{'name': n.name, 'netns': net(n.machine), 'containerd': str(n.machine.path('/run/containerd/containerd.sock')),
                   'ip': [str(a) for a in n.own]} for n in there.nodes()],
        'logs': str(there.folder / 'logs')}, indent=1))


def version(there):
    return json.loads(there.kubectl('version', '-o', 'json'))['serverVersion']['gitVersion']


def program(options):
    there = Cluster.load(options.name)
    if options.action == 'start':
        there.start_program(options.machine, options.program)
    else:
        there.any_machine(options.machine).stop(options.program, signal.SIGTERM if options.action == 'stop' else signal.SIGKILL)


def logs(options):
    there = Cluster.load(options.name)
    folder = there.any_machine(options.machine).logs
    if not options.program:
        print('\n'.join(sorted(f.stem for f in folder.glob('*.log'))))
    else:
        sys.stdout.write((folder / f'{options.program}.log').read_text(errors='replace'))


def change(options):
    with cluster.locked(options.name):
        there = Cluster.load(options.name, say)
        if options.action == 'add':
            options.machine = there.add_node(options.machine)
        elif options.action == 'remove':
            there.remove_node(options.machine)
        elif options.action == 'reboot':
            there.reboot(options.machine)
        elif options.action in ('cut', 'join'):
            there.set_wire(options.machine, options.action == 'join')
        if options.action in ('add', 'remove'):
            there.connect()
        print(f'{options.action} {options.machine}: done')


def parse(words):
    parser = argparse.ArgumentParser(prog='./dev cluster', description='See ./dev cluster --help.', allow_abbrev=False)
    parser.set_defaults(name='cluster')
    commands = parser.add_subparsers(metavar='COMMAND', required=True)

    def command(name, function, *arguments):
        sub = commands.add_parser(name, allow_abbrev=False)
        sub.set_defaults(function=function, action=name)
        sub.add_argument('--name', default='cluster')
        for flags, settings in arguments:
            sub.add_argument(*flags, **settings)
    command('up', up, (['--nodes'], {'type': int, 'default': 2}), (['--ip-family'], {'default': 'ipv4'}), (['--stack'], {'default': 'stock'}),
            (['--plane'], {'default': ''}), (['--fabric'], {'default': ''}), (['--kubernetes'], {'default': '1.36'}))
    command('down', down, (['--all'], {'action': 'store_true'}))
    command('ls', ls)
    command('env', env)
    command('kubectl', kubectl)
    command('node', node, (['machine'], {}))
    command('logs', logs, (['machine'], {}), (['program'], {'nargs': '?'}))
    for name in ('start', 'stop', 'kill'):
        command(name, program, (['machine'], {}), (['program'], {}))
    command('add', change, (['machine'], {'nargs': '?'}))
    for name in ('remove', 'reboot', 'cut', 'join'):
        command(name, change, (['machine'], {}))

    # What goes to kubectl or into a machine is not ours to parse.
    rest = []
    if words[:1] == ['kubectl']:
        at = 3 if words[1:2] == ['--name'] else 2 if words[1:2] and words[1].startswith('--name=') else 1
        words, rest = words[:at], words[at:]
        rest = rest[1:] if rest[:1] == ['--'] else rest
    elif '--' in words:
        at = words.index('--')
        words, rest = words[:at], words[at + 1:]
    options = parser.parse_args(words)
    options.command = rest
    return options


def main():
    options = parse(sys.argv[1:])
    if os.geteuid() != 0:
        raise Refused('namespaces, mounts and cgroups need root')
    return options.function(options) or 0


if __name__ == '__main__':
    try:
        sys.exit(main())
    except Refused as refused:
        print(f'cluster: {refused}', file=sys.stderr)
        sys.exit(1)
    except BrokenPipeError:  # ls | head
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(141)
    except KeyboardInterrupt:
        print('cluster: interrupted; what is up stays up (up goes on, down removes it)', file=sys.stderr)
        sys.exit(130)
