"""A place of the lab (a node, a Pod, the outside host) as a test holds it: a small program there does what it is told."""
import json
import pathlib
import subprocess
import threading

import lab as ground

HERE = pathlib.Path(__file__).resolve().parent
SCTP_PACKETS = (HERE.parent / 'lab/sctp_packets.py').read_text()
REMOTE = SCTP_PACKETS + (HERE / 'remote.py').read_text()


class Refused(Exception):
    """What a socket said: refused, timeout, unreachable, ..."""


class Place:
    def __init__(self, causeway, lab, target, program=REMOTE):
        self.target = target
        self.process = subprocess.Popen([causeway, 'lab', 'exec', '--name', lab, target, '--', 'python3', '-c', program], text=True,
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=1)
        self.lock, self.waiting, self.count = threading.Lock(), {}, 0
        self.ready = self._expect(0)
        threading.Thread(target=self._listen, daemon=True).start()

    def _expect(self, number):
        entry = self.waiting[number] = [threading.Event(), None]
        return entry

    def _listen(self):
        for text in self.process.stdout:
            answer = json.loads(text)
            entry = self.waiting.pop(answer['id'])
            entry[1] = answer
            entry[0].set()
        for entry in list(self.waiting.values()):
            entry[1] = {'error': f'the program in {self.target} ended'}
            entry[0].set()

    def start(self):
        self.ready[0].wait(30 * ground.PATIENCE)
        if not self.ready[1] or 'error' in self.ready[1]:
            raise AssertionError(f'no program in {self.target}: {self.ready[1]}')

    def ask(self, do, **wish):
        if ground.PATIENCE != 1:
            wish['timeout'] = wish.get('timeout', {'run': 30, 'http': 5}.get(do, 1)) * ground.PATIENCE
        with self.lock:
            self.count += 1
            number = self.count
            entry = self._expect(number)
            self.process.stdin.write(json.dumps({'id': number, 'do': do, **wish}) + '\n')
        if not entry[0].wait(60 * ground.PATIENCE):
            raise AssertionError(f'{self.target}: {do} {wish} never ended')
        if 'error' in entry[1]:
            raise Refused(entry[1]['error'])
        return entry[1]['ok']

    # What a client says of it: the name of who answered, or why nobody did.
    def tcp(self, host, port, **wish):
        return self._name('tcp', host, port, wish)

    def udp(self, host, port, **wish):
        return self._name('udp', host, port, wish)

    def _name(self, do, host, port, wish):
        try:
            return self.ask(do, host=host, port=port, **wish)['name']
        except Refused as error:
            return str(error)

    def end(self):
        self.process.stdin.close()
        try:
            self.process.wait(2)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
