"""What a container runtime does, as far as CNI sees one: namespaces under their names, and the plugin executed."""
import ctypes
import json
import os
import pathlib
import subprocess

NETNS = pathlib.Path('/run/netns')
CLONE_NEWNET, MS_BIND, MNT_DETACH = 0x40000000, 4096, 2
LIBC = ctypes.CDLL(None, use_errno=True)
CONFIG = {'cniVersion': '1.1.0', 'name': 'causeway', 'type': 'causeway-cni'}


def checked(result):
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def make_namespace(name, inside=lambda: None):
    """A network namespace under its path, without a process in it; the calling thread stays where it is. (path, what inside() gave there)"""
    NETNS.mkdir(exist_ok=True)
    path, home = NETNS / name, os.open('/proc/thread-self/ns/net', os.O_RDONLY)
    path.touch()
    try:
        checked(LIBC.unshare(CLONE_NEWNET))
        checked(LIBC.mount(b'/proc/thread-self/ns/net', str(path).encode(), b'none', MS_BIND, None))
        made = inside()
    finally:
        checked(LIBC.setns(home, CLONE_NEWNET))
        os.close(home)
    return str(path), made


def remove_namespace(name):
    path = NETNS / name
    if path.exists():
        LIBC.umount2(str(path).encode(), MNT_DETACH)
        path.unlink(missing_ok=True)


def cni(plugin, command, container='', netns='', args='', more=None):
    """The plugin as a runtime executes it: (exit status, its answer)."""
    env = {'PATH': os.environ['PATH'], 'CNI_COMMAND': command, 'CNI_CONTAINERID': container, 'CNI_IFNAME': 'eth0', 'CNI_PATH': '/opt/cni/bin'}
    if netns:
        env['CNI_NETNS'] = netns
    if args:
        env['CNI_ARGS'] = args
    done = subprocess.run([plugin], input=json.dumps({**CONFIG, **(more or {})}), env=env, text=True, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, timeout=90)
    return done.returncode, json.loads(done.stdout) if done.stdout.strip() else {}


def pod_args(ns, name, uid):
    return f'IgnoreUnknown=1;K8S_POD_NAMESPACE={ns};K8S_POD_NAME={name};K8S_POD_UID={uid};K8S_POD_INFRA_CONTAINER_ID={name}'
