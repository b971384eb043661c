"""Runs in a place of the lab (`python3 -c` of this text): makes sockets there as it is told, one JSON line for each wish.
A wish is {"id", "do", ...}; its answer {"id", "ok"} or {"id", "error"}. Each wish has a thread, so slow ones hold up none."""
import errno
import json
import os
import select
import socket
import struct
import sys
import threading
import time

held = {}  # sockets that stay open between wishes, by the name that the other side gave
lock = threading.Lock()


def family(host):
    return socket.AF_INET6 if ':' in host else socket.AF_INET


def word(error):
    if isinstance(error, (socket.timeout, TimeoutError)):
        return 'timeout'
    known = {errno.ECONNREFUSED: 'refused', errno.ECONNRESET: 'reset', errno.EHOSTUNREACH: 'unreachable', errno.EMSGSIZE: 'too big',
             errno.ENETUNREACH: 'unreachable', errno.EPERM: 'not permitted', errno.EACCES: 'prohibited', errno.ETIMEDOUT: 'timeout',
             errno.EPIPE: 'reset'}
    return known.get(error.errno, str(error)) if isinstance(error, OSError) else repr(error)


def plain(host):
    return host[7:] if host.startswith('::ffff:') else host


def line_of(sock):
    text = b''
    while not text.endswith(b'\n'):
        piece = sock.recv(65536)
        if not piece:
            raise ConnectionResetError(errno.ECONNRESET, 'closed')
        text += piece
    return text.decode().split()


# ---- asking

def make(kind, host, port, wish):
    mapped = wish.get('mapped')  # an IPv4 destination through an IPv6 socket
    sock = socket.socket(socket.AF_INET6 if mapped else family(host), kind)
    sock.settimeout(wish.get('timeout', 1.0))
    if wish.get('source'):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(('', wish['source']))
    return sock, (('::ffff:' + host) if mapped else host, port)


def tcp(wish):
    sock, target = make(socket.SOCK_STREAM, wish['host'], wish['port'], wish)
    try:
        sock.connect(target)
        name, peer, _ = line_of(sock)
        seen = sock.getpeername()
    except OSError:
        sock.close()
        raise
    if 'hold' in wish:
        held[wish['hold']] = sock
    else:
        sock.close()
    return {'name': name, 'peer': peer, 'seen': plain(seen[0]), 'seen_port': seen[1]}


def say(wish):
    """Something over a held TCP connection, and back."""
    sock = held[wish['hold']]
    sock.settimeout(wish.get('timeout', 1.0))
    sock.sendall(b'x' * wish.get('size', 1) + b'\n')
    return {'name': line_of(sock)[0]}


def udp(wish):
    """One datagram and its answer; connected or not, on a held socket or a new one."""
    sock = held.get(wish.get('hold'))
    if sock is None:
        sock, target = make(socket.SOCK_DGRAM, wish['host'], wish['port'], wish)
        if wish.get('df'):  # IP_MTU_DISCOVER, IPV6_MTU_DISCOVER: IP_PMTUDISC_DO
            sock.setsockopt(*((socket.IPPROTO_IPV6, 23, 2) if sock.family == socket.AF_INET6 else (socket.IPPROTO_IP, 10, 2)))
        if wish.get('connected'):
            sock.connect(target)
        if 'hold' in wish:
            held[wish['hold']] = sock
    else:
        sock.settimeout(wish.get('timeout', 1.0))
        target = (wish['host'], wish['port'])
    nonce = os.urandom(6).hex()
    data = nonce.encode().ljust(wish.get('size', 16), b'.')
    try:
        sock.send(data) if wish.get('connected') else sock.sendto(data, target)
        while True:
            answer, peer = sock.recvfrom(70000)
            text = answer.decode().split()
            if text and text[0] == nonce:
                break
    finally:
        if 'hold' not in wish:
            sock.close()
    return {'name': text[1], 'peer': text[2], 'seen': plain(peer[0]), 'seen_port': peer[1], 'size': len(answer)}


def close(wish):
    held.pop(wish['hold']).close()
    return {}


def http(wish):
    wish.setdefault('timeout', 5)  # on a busy machine
    sock, target = make(socket.SOCK_STREAM, wish['host'], wish['port'], wish)
    with sock:
        sock.connect(target)
        sock.sendall(b'GET %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n' % wish.get('path', '/').encode())
        text = b''
        while piece := sock.recv(65536):
            text += piece
    head, _, body = text.decode().partition('\r\n\r\n')
    lines = head.split('\r\n')
    return {'status': int(lines[0].split()[1]), 'headers': dict(line.lower().split(': ', 1) for line in lines[1:]), 'body': body}


# ---- answering

def serve(wish):
    """Answers with its name and whom it saw, TCP and UDP, on the ports, in both families."""
    for port in wish['ports']:
        for kind in (socket.AF_INET, socket.AF_INET6):
            for transport, run in ((socket.SOCK_STREAM, serve_tcp), (socket.SOCK_DGRAM, serve_udp)):
                sock = socket.socket(kind, transport)
                if kind == socket.AF_INET6:
                    sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
                    if transport == socket.SOCK_DGRAM:
                        sock.setsockopt(socket.IPPROTO_IPV6, 49, 1)  # IPV6_RECVPKTINFO
                elif transport == socket.SOCK_DGRAM:
                    sock.setsockopt(socket.IPPROTO_IP, 8, 1)  # IP_PKTINFO
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                sock.bind(('', port))
                threading.Thread(target=run, args=(sock, wish['name'], port), daemon=True).start()
    return {}


def serve_tcp(sock, name, port):
    sock.listen(256)
    while True:
        peer, address = sock.accept()
        threading.Thread(target=converse, args=(peer, address, name, port), daemon=True).start()


def converse(peer, address, name, port):
    try:
        with peer:
            peer.sendall(f'{name} {address[0]} {port}\n'.encode())
            while piece := peer.recv(65536):
                if piece.endswith(b'\n'):
                    peer.sendall(f'{name}\n'.encode())
    except OSError:
        pass


def serve_udp(sock, name, port):
    while True:
        try:
            data, control, _, address = sock.recvmsg(70000, 256)
            text = f'{data[:12].decode()} {name} {address[0]} '.encode()
            sock.sendmsg([text.ljust(len(data), b'.')], control, 0, address)  # from the address that was asked
        except OSError:
            pass


# ---- crafted packets (test/lab/sctp_packets.py, which stands before this text)

def raw(kind):
    sock = socket.socket(kind, socket.SOCK_RAW, SCTP)
    return sock


def receive_sctp(sock, kind):
    data, address = sock.recvfrom(65536)
    if kind == socket.AF_INET:
        data = data[(data[0] & 15) * 4:]
    return sctp_parse(data), address[0]


INIT_BODY = struct.pack('!IIHHI', 0x01020304, 65536, 1, 1, 1)


def serve_sctp(wish):
    """Answers INIT with INIT ACK on the ports; the outbound stream count carries the number of the server."""
    for kind in (socket.AF_INET, socket.AF_INET6):
        threading.Thread(target=answer_sctp, args=(raw(kind), kind, wish['ports'], wish['number']), daemon=True).start()
    return {}


def answer_sctp(sock, kind, ports, number):
    while True:
        try:
            (source, target, chunk, good), peer = receive_sctp(sock, kind)
            if target in ports and chunk == INIT and good:
                body = struct.pack('!IIHHI', 7, 65536, number, 1, 1)
                sock.sendto(sctp_packet(target, source, 0x01020304, INIT_ACK, body), (peer, 0))
        except (OSError, struct.error):
            pass


def sctp(wish):
    """One INIT; who answered it with an INIT ACK from the address and port that was asked, its checksum right."""
    kind = family(wish['host'])
    with raw(kind) as sock:
        port = 20000 + int.from_bytes(os.urandom(2), 'big') % 9000
        sock.settimeout(0.2)
        deadline = time.monotonic() + wish.get('timeout', 1.0)
        sock.sendto(sctp_packet(port, wish['port'], 0, INIT, INIT_BODY), (wish['host'], 0))
        while time.monotonic() < deadline:
            try:
                data, address = sock.recvfrom(65536)
            except OSError as error:
                if not isinstance(error, TimeoutError):
                    raise
                continue
            if kind == socket.AF_INET:
                data = data[(data[0] & 15) * 4:]
            source, target, chunk, good = sctp_parse(data)
            if target == port and source == wish['port'] and chunk == INIT_ACK and plain(address[0]) == wish['host']:
                if not good:
                    raise ValueError('wrong checksum')
                return {'number': struct.unpack('!H', data[24:26])[0]}
    raise TimeoutError()


def run(wish):
    import subprocess
    done = subprocess.run(wish['command'], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          timeout=wish.get('timeout', 30))
    return {'code': done.returncode, 'output': done.stdout}


DO = {'tcp': tcp, 'say': say, 'udp': udp, 'close': close, 'http': http, 'serve': serve, 'serve_sctp': serve_sctp, 'sctp': sctp,
      'run': run}


def answer(wish):
    out = {'id': wish['id']}
    try:
        out['ok'] = DO[wish['do']](wish)
    except Exception as error:
        out['error'] = word(error)
    with lock:
        print(json.dumps(out), flush=True)


def main():
    print('{"id": 0, "ok": {}}', flush=True)
    for text in sys.stdin:
        threading.Thread(target=answer, args=(json.loads(text),), daemon=True).start()
    os._exit(0)


main()
