"""What connects the machines: a bridge in the machine `switch`, a wire to each of the others, and the routes of their kernels.

The switch is also everybody's gateway. It routes nowhere, so what leaves the cluster is refused at once instead of lost.
"""
SWITCH = 'switch'
BRIDGE = 'underlay'


def ip(machine, *words, check=True):
    return machine.net(['ip', *words], check=check)


def make_switch(switch, addresses):
    ip(switch, 'link', 'add', BRIDGE, 'type', 'bridge', 'mcast_snooping', '0')
    add_addresses(switch, BRIDGE, addresses.gateway, addresses.underlay)
    switch.net(['sh', '-c', 'echo 1 >/proc/sys/net/ipv4/ip_forward; echo 1 >/proc/sys/net/ipv6/conf/all/forwarding'])


def add_addresses(machine, device, addresses, networks):
    for address, network in zip(addresses, networks):
        options = ['nodad'] if address.version == 6 else []
        ip(machine, 'addr', 'replace', f'{address}/{network.prefixlen}', 'dev', device, *options)
    ip(machine, 'link', 'set', device, 'up')


def plug_in(switch, machine, own, addresses):
    """A wire from the switch to the machine's eth0, with its addresses and default routes."""
    unplug(switch, machine)
    ip(switch, 'link', 'add', machine.name, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', machine.pid())
    ip(switch, 'link', 'set', machine.name, 'master', BRIDGE, 'up')
    add_addresses(machine, 'eth0', own, addresses.underlay)
    for gateway in addresses.gateway:
        ip(machine, 'route', 'replace', 'default', 'via', gateway)


def unplug(switch, machine):
    ip(switch, 'link', 'del', machine.name, check=False)


def is_plugged_in(switch, machine):
    return ip(switch, 'link', 'show', machine.name, check=False).returncode == 0 and \
        ip(machine, 'link', 'show', 'eth0', check=False).returncode == 0


def set_wire(switch, machine, up):
    ip(switch, 'link', 'set', machine.name, 'up' if up else 'down')


def route_pods(machine, ranges):
    """Routes to {node address: [its Pod CIDRs]} through the nodes, and no others: `proto static` are ours."""
    wanted = {}
    for address, cidrs in ranges.items():
        for cidr in cidrs:
            wanted[cidr] = address
    for family in ('-4', '-6'):
        for line in ip(machine, family, 'route', 'show', 'proto', 'static').stdout.splitlines():
            cidr = line.split()[0]
            if cidr != 'default' and cidr not in wanted:
                ip(machine, family, 'route', 'del', cidr, 'proto', 'static', check=False)
    for cidr, address in wanted.items():
        ip(machine, 'route', 'replace', cidr, 'via', address, 'proto', 'static')
