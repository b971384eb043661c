"""One machine of the cluster: namespaces, a root, a cgroup, and the programs that run in it."""
import os
import pathlib
import shlex
import shutil
import signal
import subprocess
import time

from . import cgroups
from .plan import Refused

HERE = pathlib.Path(__file__).resolve().parent
PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'
NAMESPACES = ('--mount', '--net', '--uts', '--ipc', '--pid', '--cgroup')
# Joins cgroups ($1, space separated) before it becomes the command: a child is in the register from its first instruction.
JOIN = 'for c in $1; do echo 0 >"$c/cgroup.procs" || exit 125; done; shift; exec "$@"'
_PSEUDO = set('proc sysfs devtmpfs devpts tmpfs cgroup cgroup2 bpf debugfs tracefs securityfs pstore mqueue hugetlbfs fusectl '
              'configfs autofs binfmt_misc nsfs ramfs efivarfs rpc_pipefs overlay'.split())


def outside_mounts():
    """Folders of the real machine that are mounts of their own: an overlay over / does not show them."""
    found = []
    for line in open('/proc/self/mounts'):
        _, target, kind, _ = line.split()[:4]
        if target == '/' or kind in _PSEUDO or '\\' in target or target.startswith(('/proc', '/sys', '/dev', '/run', '/tmp', '/etc')):
            continue
        if not any(target.startswith(f + '/') for f in found) and os.path.isdir(target):
            found.append(target)
    return found


class Machine:
    """`cluster` and `name` identify it; nothing else is kept between processes."""

    def __init__(self, cluster, name, folder):
        self.cluster, self.name = cluster, name
        self.disk, self.logs = folder / 'machines' / name, folder / 'logs' / name

    # ---- life

    def pid(self):
        """Its pid 1 as the real machine numbers it; None when it is not up."""
        for pid in cgroups.pids(self.cluster, self.name, 'init'):
            try:
                status = open(f'/proc/{pid}/status').read()
                ready = os.path.exists(f'/proc/{pid}/root/run/machine-is-made')
            except OSError:
                continue
            levels = next((line.split()[1:] for line in status.splitlines() if line.startswith('NSpid:')), [])
            if levels[-1:] == ['1'] and ready and cgroups.alive(pid):
                return pid
        return None

    def up(self):
        """The same, or Refused."""
        pid = self.pid()
        if not pid:
            raise Refused(f'{self.name} of cluster {self.cluster} is not up')
        return pid

    def start_machine(self):
        self.stop_machine()
        for folder in ('var/lib', 'var/log', 'etc/cni', 'opt/cni'):
            (self.disk / folder).mkdir(parents=True, exist_ok=True)
        self.logs.mkdir(parents=True, exist_ok=True)
        cgroups.create(self.cluster, self.name)
        root2, root1 = cgroups.hierarchies()
        environment = {'PATH': PATH, 'BINDS': ' '.join(outside_mounts()), 'CGROUP2': str(root2),
                       'CGROUP1': ' '.join(f'{name}={path}' for name, path in root1.items())}
        log = open(self.logs / 'machine.log', 'wb')
        joined = [cgroups.v2(self.cluster, self.name), *cgroups.v1(self.cluster, self.name).values()]
        process = subprocess.Popen(
            ['sh', '-c', JOIN, 'join', ' '.join(map(str, joined)), 'unshare', *NAMESPACES, '--fork', 'bash',
             HERE / 'machine_root.sh', self.disk, self.name],
            stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True, env=environment)
        deadline = time.monotonic() + 30
        while not self.pid():
            if process.poll() is not None or time.monotonic() > deadline:
                raise Refused(f'{self.name} did not start: {tail(self.logs / "machine.log")}')
            time.sleep(0.01)
        # unshare itself waits outside of the namespaces; on pure v2 no process may stay in an inner cgroup.
        leaf = cgroups.v2(self.cluster, '.launch')
        leaf.mkdir(exist_ok=True)
        (leaf / 'cgroup.procs').write_text(str(process.pid))
        if not root1:
            cgroups.create(self.cluster, self.name)  # now that it is empty, it can hand controllers down

    def stop_machine(self):
        """As if its power were cut. What is on its disk stays."""
        cgroups.kill(self.cluster, self.name)
        cgroups.remove(self.cluster, self.name)
        shutil.rmtree(self.disk / 'stage', ignore_errors=True)

    # ---- inside

    def _enter(self, group, command):
        pid = self.up()
        top = cgroups.v2(self.cluster, self.name, group)
        top.mkdir(exist_ok=True)
        joined = [top, *cgroups.v1(self.cluster, self.name).values()]
        return ['sh', '-c', JOIN, 'join', ' '.join(map(str, joined)), 'nsenter', '-t', str(pid), *NAMESPACES, *map(str, command)]

    def run(self, command, check=True, timeout=120, **options):
        """Runs a command in the machine; returns it finished, output as text."""
        return self._finish(self._enter('exec', command), command, check, timeout, options)

    def net(self, command, check=True, timeout=60, **options):
        """The same in its network namespace only: files and pids are the real machine's."""
        words = ['nsenter', '-t', str(self.up()), '--net', *map(str, command)]
        return self._finish(words, command, check, timeout, options)

    def _finish(self, words, command, check, timeout, options):
        options = {'stdout': subprocess.PIPE, 'stderr': subprocess.PIPE, 'text': True, **options}
        if 'input' not in options:
            options.setdefault('stdin', subprocess.DEVNULL)
        done = subprocess.run(words, timeout=timeout, **options)
        if check and done.returncode:
            said = (done.stderr or done.stdout or '').strip()[-2000:]
            raise Refused(f'{self.name}: {shlex.join(map(str, command))}: exit {done.returncode}: {said}')
        return done

    def call(self, command):
        """Runs a command with our own terminal; returns its exit code."""
        return subprocess.call(self._enter('exec', command))

    def write(self, path, text, mode=0o644):
        """Writes a file of the machine; the name appears with the whole content."""
        target = self.path(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        new = target.with_name(f'.{target.name}.new')
        new.write_text(text)
        new.chmod(mode)
        new.rename(target)

    def path(self, path):
        """Where a path of the machine is to be found from outside."""
        return pathlib.Path(f'/proc/{self.pid()}/root') / str(path).lstrip('/')

    # ---- programs

    def start(self, program, command, environment=()):
        """Starts a program of a name; nothing happens when it runs already."""
        if self.running(program):
            return
        self.logs.mkdir(parents=True, exist_ok=True)
        log = open(self.logs / f'{program}.log', 'ab')
        process = subprocess.Popen(self._enter(program, command), stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
                         cwd='/', env={'PATH': PATH, 'HOME': '/root', **dict(environment)})
        (self.logs / f'{program}.command').write_text(shlex.join(map(str, command)))
        # From here on an empty cgroup means that it ended.
        while process.pid not in cgroups.pids(self.cluster, self.name, program) and process.poll() is None:
            time.sleep(0.005)

    def running(self, program):
        """The pid of the program, as the real machine numbers it, or None. What it started (shims) does not count."""
        try:
            wanted = os.path.realpath(shlex.split((self.logs / f'{program}.command').read_text())[0])
        except OSError:
            return None
        for pid in cgroups.pids(self.cluster, self.name, program):
            try:
                same = os.path.samestat(os.stat(f'/proc/{pid}/exe'), os.stat(wanted)) or os.readlink(f'/proc/{pid}/exe') == wanted
            except OSError:
                continue
            if same and cgroups.alive(pid):
                return pid
        return None

    def starting(self, program):
        """Whether somebody of ours is still on the way to become the program: the shell that joins cgroups, or nsenter."""
        for pid in cgroups.pids(self.cluster, self.name, program):
            try:
                if open(f'/proc/{pid}/comm').read().strip() in ('sh', 'dash', 'nsenter') and cgroups.alive(pid):
                    return True
            except OSError:
                pass
        return False

    def stop(self, program, number=signal.SIGTERM, seconds=20):
        """Ends the program, and only it: containers outlive their containerd. SIGKILL when it does not go."""
        pid = self.running(program)
        if not pid:
            return
        os.kill(pid, number)
        deadline = time.monotonic() + seconds
        while cgroups.alive(pid):
            if time.monotonic() > deadline:
                os.kill(pid, signal.SIGKILL)
                deadline += seconds
            time.sleep(0.01)

    def kill(self, program):
        self.stop(program, signal.SIGKILL)

    def wait(self, what, program, question, seconds=60):
        """Until the question has a truthy answer, which is returned. A program that ended, or the time: its log's end."""
        deadline = time.monotonic() + seconds
        while True:
            if answer := question():
                return answer
            late = time.monotonic() > deadline
            if late or not self.running(program):
                # Just started, it may still be the shell that enters the machine; ended, it may have left shims.
                if late or not self.starting(program):
                    why = f'not after {seconds} s' if late else 'it ended'
                    raise Refused(f'{self.name}: {program}: {what}: {why}; {self.logs}/{program}.log ends:\n{tail(self.logs / f"{program}.log")}')
            time.sleep(0.05)


def tail(path, lines=12):
    try:
        return '\n'.join(open(path, errors='replace').read().splitlines()[-lines:])
    except OSError as error:
        return str(error)
