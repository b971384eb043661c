"""What the network of a node costs it: CPU of its agent and of what containerd starts, memory of the agent."""
import glob
import os

TICK = os.sysconf('SC_CLK_TCK')


def processes(netns):
    """{pid: command name} of the processes in the network namespace."""
    wanted, found = os.stat(netns).st_ino, {}
    for folder in glob.glob('/proc/[0-9]*'):
        try:
            if os.stat(f'{folder}/ns/net').st_ino == wanted:
                with open(f'{folder}/comm') as file:
                    found[int(folder[6:])] = file.read().strip()
        except OSError:
            continue  # it has just ended
    return found


def times(pid):
    """(own seconds of CPU, those of children that have ended and were waited for)"""
    with open(f'/proc/{pid}/stat') as file:
        fields = file.read().rpartition(')')[2].split()
    return (int(fields[11]) + int(fields[12])) / TICK, (int(fields[13]) + int(fields[14])) / TICK


def resident(pid):
    """Megabytes."""
    with open(f'/proc/{pid}/status') as file:
        return next(int(line.split()[1]) / 1024 for line in file if line.startswith('VmRSS:'))


def node_cpu(netns):
    """Seconds of CPU so far of: the agent, kube-proxy, and the children of containerd (plugins, and shims while they start)."""
    spent = {'agent': 0.0, 'kube-proxy': 0.0, 'plugins': 0.0}
    for pid, name in processes(netns).items():
        try:
            own, children = times(pid)
        except OSError:
            continue
        if name == 'causeway':
            spent['agent'] += own + children
        elif name == 'kube-proxy':
            spent['kube-proxy'] += own
        elif name == 'containerd':
            spent['plugins'] += children
    return spent


def agent_memory(netns):
    """Megabytes of the agent, or None on a node without one."""
    found = [resident(pid) for pid, name in processes(netns).items() if name == 'causeway']
    return max(found) if found else None


def proxy_memory(netns):
    found = [resident(pid) for pid, name in processes(netns).items() if name == 'kube-proxy']
    return max(found) if found else None
