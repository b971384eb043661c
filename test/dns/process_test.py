"""causeway dns as a process in network namespaces of its own, with dig as the judge: every address it is asked at, both protocols and
families, an upstream that goes away, health and metrics, a Corefile that changes or is wrong, what flags refuse."""
import os
import pathlib
import re
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request

CAUSEWAY = sys.argv[1]
NS = f'dns-test-{os.getpid()}'
passed = failed = 0

COREFILE = """
.:53 {
    errors
    health
    ready
    prometheus :9153
    hosts {
        10.0.0.1 one.test
        fallthrough
    }
    template IN TXT big.test {
        answer "big.test 60 IN TXT {text}"
        answer "big.test 60 IN TXT {text}2"
        answer "big.test 60 IN TXT {text}3"
        answer "big.test 60 IN TXT {text}4"
        answer "big.test 60 IN TXT {text}5"
        answer "big.test 60 IN TXT {text}6"
    }
    forward . 127.0.0.1:5301 127.0.0.1:5302
    cache 30
    log
    reload 2s
}
""".replace('{text}', 'x' * 240)


def run(*command, **options):
    return subprocess.run(command, capture_output=True, text=True, timeout=60, **options)


def dig(*arguments):
    done = run('ip', 'netns', 'exec', NS, 'dig', '+tries=1', '+time=5', *arguments)
    return done.stdout + done.stderr


def wait_for(what, condition, seconds=30):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        value = condition()
        if value:
            return value
        time.sleep(0.05)
    raise AssertionError(f'never: {what}')


def in_namespace(work):
    """`work()` on a thread whose network is the namespace's; sockets stay there."""
    result = []

    def enter():
        with open(f'/run/netns/{NS}') as handle:
            import ctypes
            assert ctypes.CDLL(None, use_errno=True).setns(handle.fileno(), 0x40000000) == 0
        result.append(work())
    thread = threading.Thread(target=enter)
    thread.start()
    thread.join()
    return result[0]


class Upstream:
    """Answers every A question with its address, until it is told to be silent."""
    def __init__(self, port, address):
        def bind():
            one = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            one.bind(('127.0.0.1', port))
            return one
        self.socket, self.address, self.silent, self.asked = in_namespace(bind), address, False, 0
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            packet, client = self.socket.recvfrom(4096)
            self.asked += 1
            if self.silent:
                continue
            end = packet.index(0, 12) + 5
            answer = b'\xc0\x0c' + struct.pack('>HHIH', 1, 1, 60, 4) + socket.inet_aton(self.address)
            header = packet[:2] + b'\x81\x80' + struct.pack('>HHHH', 1, 1, 0, 0)
            self.socket.sendto(header + packet[12:end] + answer, client)


def http(port, path):
    def get():
        try:
            with urllib.request.urlopen(f'http://127.0.0.1:{port}{path}', timeout=10) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()
    return in_namespace(get)


def case(name):
    def decorate(function):
        cases.append((name, function))
        return function
    return decorate


cases = []


class World:
    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.corefile = self.folder / 'Corefile'
        self.corefile.write_text(COREFILE)
        self.log = open(self.folder / 'log', 'w+')
        self.first, self.second = Upstream(5301, '10.9.0.1'), Upstream(5302, '10.9.0.2')
        self.process = subprocess.Popen(
            ['ip', 'netns', 'exec', NS, CAUSEWAY, 'dns', '--corefile', str(self.corefile), '--listen', '0.0.0.0,::', '--feed', '',
             '--snapshot', '', '--observe', f'unix:{self.folder}/dns-observe.sock'], stderr=self.log)
        wait_for('it answers', lambda: 'status: NOERROR' in dig('@127.0.0.1', 'one.test') or self.ended())

    def ended(self):
        assert self.process.poll() is None, self.text()

    def text(self):
        return (self.folder / 'log').read_text()

    def lookup(self, *arguments):
        return run(CAUSEWAY, 'dns', 'lookup', *arguments, '--run-dir', str(self.folder))


@case('it answers from the very address that was asked, whichever of its own that is, over UDP and TCP')
def addresses(world):
    for address in ('10.96.0.10', '169.254.20.10', '127.0.0.1', 'fd00::10', '::1'):
        for protocol in ('+notcp', '+tcp'):
            text = dig(f'@{address}', protocol, 'one.test')
            assert '10.0.0.1' in text and 'unexpected source' not in text, f'{address} {protocol}: {text}'


@case('a large answer is truncated over UDP and whole over TCP, as the client says what it takes')
def truncation(world):
    text = dig('@10.96.0.10', 'big.test', 'TXT', '+ignore', '+noedns')
    assert re.search(r'flags:.* tc', text), text
    assert int(re.search(r'MSG SIZE  rcvd: (\d+)', text)[1]) <= 512, text
    text = dig('@10.96.0.10', 'big.test', 'TXT', '+ignore', '+bufsize=4096')
    assert re.search(r'flags:.* tc', text) and int(re.search(r'MSG SIZE  rcvd: (\d+)', text)[1]) <= 1232, text
    text = dig('@10.96.0.10', 'big.test', 'TXT')  # goes on over TCP by itself
    assert 'ANSWER: 6' in text and 'Truncated, retrying in TCP mode' in text, text


@case('dig finds no fault with replies: EDNS, versions, flags, cases, opcodes')
def conformity(world):
    assert 'BADVERS' in dig('@127.0.0.1', '+edns=1', '+noednsnegotiation', 'one.test')
    assert 'OPT PSEUDOSECTION' not in dig('@127.0.0.1', '+noedns', 'one.test')
    assert 'NOTIMP' in dig('@127.0.0.1', '+opcode=2', 'one.test')
    assert 'OnE.tEsT.' in dig('@127.0.0.1', 'OnE.tEsT')
    assert 'REFUSED' in dig('@127.0.0.1', 'one.test', 'AXFR') or 'Transfer failed' in dig('@127.0.0.1', 'one.test', 'AXFR')
    for text in (dig('@127.0.0.1', 'one.test'), dig('@127.0.0.1', 'other.test')):
        assert 'WARNING' not in text.replace('recursion requested but not available', '').replace(';; WARNING: ', '', 1) or \
            'recursion requested' in text, text
        assert 'malformed' not in text and 'Got bad packet' not in text, text


@case('an outside name comes from an upstream, then from the cache; a silent upstream costs no client its answer')
def upstreams(world):
    assert re.search(r'10\.9\.0\.[12]', dig('@127.0.0.1', 'kept.test'))
    asked = world.first.asked + world.second.asked
    assert re.search(r'10\.9\.0\.[12]', dig('@127.0.0.1', 'kept.test'))
    assert world.first.asked + world.second.asked == asked
    for silent, other in ((world.first, world.second), (world.second, world.first)):
        silent.silent = True
        for i in range(20):
            assert other.address in dig('@127.0.0.1', f'n{i}.{silent.address}.test')
        silent.silent = False


@case('health, ready and metrics are where CoreDNS has them, under its names')
def pages(world):
    assert http(8080, '/health') == (200, 'OK')
    assert http(8181, '/ready') == (200, 'OK')
    status, text = http(9153, '/metrics')
    assert status == 200
    for name in ('coredns_dns_requests_total', 'coredns_dns_responses_total', 'coredns_dns_request_duration_seconds_bucket',
                 'coredns_dns_response_size_bytes_sum', 'coredns_cache_hits_total', 'coredns_cache_entries',
                 'coredns_proxy_request_duration_seconds_bucket', 'coredns_hosts_entries', 'process_resident_memory_bytes'):
        assert f'\n{name}' in text, f'{name} is not in {text}'
    before = float(re.search(r'coredns_dns_requests_total\{[^}]*family="2"[^}]*proto="tcp"[^}]*type="A"[^}]*\} (\S+)', text)[1])
    dig('@::1', '+tcp', 'one.test')
    text = http(9153, '/metrics')[1]
    assert float(re.search(r'coredns_dns_requests_total\{[^}]*family="2"[^}]*proto="tcp"[^}]*type="A"[^}]*\} (\S+)', text)[1]) == before + 1


@case('the query log has a line for each question')
def query_log(world):
    dig('@127.0.0.1', 'logged.test')
    wait_for('the line', lambda: re.search(r'127\.0\.0\.1:\d+ - \d+ "A IN logged\.test\. udp \d+ false 1232" NOERROR qr,rd,ra \d+ ', world.text()))


@case('`causeway dns lookup` shows the answer and who gave it')
def lookup(world):
    done = world.lookup('one.test', '--type', 'A')
    assert done.returncode == 0 and done.stdout == 'one.test. A: NOERROR from hosts\n  one.test. 3600 A 10.0.0.1\n', done
    done = world.lookup('a..b')
    assert done.returncode != 0 and '"a..b" is no DNS name' in done.stderr and len(done.stderr.strip().splitlines()) == 1, done
    done = world.lookup('web', '--from', 'nobody')
    assert 'there is no Pod nobody' in done.stderr, done


@case('a Corefile that changes comes into use; a bad one changes nothing, and its fault is told with file and line')
def reload(world):
    world.corefile.write_text(COREFILE.replace('10.0.0.1 one.test', '10.0.0.2 one.test'))
    wait_for('the new address', lambda: '10.0.0.2' in dig('@127.0.0.1', '+short', 'one.test'))
    world.corefile.write_text(COREFILE.replace('hosts {', 'hosst {'))
    wait_for('the error', lambda: f'{world.corefile}:7: there is no directive "hosst"' in world.text())
    assert '10.0.0.2' in dig('@127.0.0.1', '+short', 'one.test')
    assert 'coredns_reload_failed_total 1' in http(9153, '/metrics')[1]
    world.corefile.write_text(COREFILE)
    world.process.send_signal(signal.SIGHUP)
    wait_for('the first address', lambda: '10.0.0.1' in dig('@127.0.0.1', '+short', 'one.test'))


@case('a flag or a Corefile that cannot be is refused in one sentence')
def refusals(world):
    def refused(*arguments):
        done = run('ip', 'netns', 'exec', NS, CAUSEWAY, 'dns', '--feed', '', '--snapshot', '', '--observe', '', *arguments)
        assert done.returncode != 0, done
        return done.stderr.strip().splitlines()[-1]
    bad = world.folder / 'Bad'
    bad.write_text('. {\n forward . 10.0.0.300\n}\n')
    assert f'{bad}:2: forward: "10.0.0.300" is no address' in refused('--corefile', str(bad))
    assert 'nowhere' in refused('--corefile', str(world.folder / 'nowhere'))
    assert '--listen 1.2.3' in refused('--listen', '1.2.3')
    assert '--transfer-to 10.0.0.1/8' in refused('--transfer-to', '10.0.0.1/8')
    assert '--port' in refused('--port', '70000')


@case('without a list of names or a snapshot names of the cluster are SERVFAIL, and it is not ready')
def not_loaded(world):
    world.corefile.write_text(COREFILE.replace('hosts {', 'kubernetes cluster.local\n    hosts {'))
    world.process.send_signal(signal.SIGHUP)
    wait_for('it has the zone', lambda: 'SERVFAIL' in dig('@127.0.0.1', 'web.default.svc.cluster.local'))
    assert http(8181, '/ready')[0] == 503
    assert '10.0.0.1' in dig('@127.0.0.1', 'one.test')


@case('it ends at SIGTERM, and nothing is left')
def end(world):
    world.process.send_signal(signal.SIGTERM)
    assert world.process.wait(20) == 0, world.text()


def main():
    global passed, failed
    for command in (f'ip netns add {NS}', f'ip -n {NS} link set lo up', f'ip -n {NS} addr add 10.96.0.10/32 dev lo',
                    f'ip -n {NS} addr add 169.254.20.10/32 dev lo', f'ip -n {NS} addr add fd00::10/128 dev lo nodad'):
        subprocess.run(command.split(), check=True)
    world = None
    try:
        with tempfile.TemporaryDirectory() as folder:
            world = World(folder)
            for name, function in cases:
                try:
                    function(world)
                    passed += 1
                except Exception as error:
                    failed += 1
                    print(f'FAILED: {name}: {type(error).__name__}: {error}')
            if failed:
                print(world.text()[-4000:])
    finally:
        if world is not None and world.process.poll() is None:
            world.process.kill()
            world.process.wait()
        subprocess.run(['ip', 'netns', 'del', NS], check=False)
    print(f'{passed} passed, {failed} failed')
    return 1 if failed else 0


sys.exit(main())
