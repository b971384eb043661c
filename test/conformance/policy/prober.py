"""Runs in a Pod of the lab (`python3 -c` of this text behind test/lab/sctp_packets.py): one loop that answers on the Pod's ports and asks
others, as many at once as it is told. A wish is a JSON line {"id", "do", ...}; its answer {"id", "ok"} or {"id", "error"}.

Each question carries its number, so that a Pod knows what reached it even where the asker never heard back. (The machine may have no
SCTP sockets: an INIT is the question there and an INIT ACK the answer, both by raw sockets.)"""
import errno
import json
import os
import select
import socket
import struct
import sys
import time

WORDS = {errno.ECONNREFUSED: 'refused', errno.ECONNRESET: 'reset', errno.EHOSTUNREACH: 'unreachable', errno.ENETUNREACH: 'unreachable',
         errno.EPERM: 'not permitted', errno.EACCES: 'prohibited', errno.ETIMEDOUT: 'timeout'}
RESET_AT_CLOSE = struct.pack('ii', 1, 0)  # SO_LINGER: a probe leaves nothing in TIME_WAIT

poll = select.epoll()
handlers = {}  # descriptor -> what to do when it can be read
reached = set()  # numbers of questions that came here
asked = {}  # number -> [wanted (address, port), socket or None, outcome or None]
me = {}


def watch(sock, handler):
    sock.setblocking(False)
    handlers[sock.fileno()] = (sock, handler)
    poll.register(sock.fileno(), select.EPOLLIN)


def forget(sock):
    if handlers.pop(sock.fileno(), None):
        poll.unregister(sock.fileno())
    sock.close()


def word(error):
    return WORDS.get(error.errno, str(error))


def family(host):
    return socket.AF_INET6 if ':' in host else socket.AF_INET


# ---- answering

def serve(wish):
    """Answers with its name on the ports [[protocol, port], ...], in both families."""
    me.update(name=wish['name'], number=wish['number'], sctp={port for protocol, port in wish['ports'] if protocol == 'sctp'})
    for kind in (socket.AF_INET, socket.AF_INET6):
        for protocol, port in wish['ports']:
            if protocol == 'sctp':
                continue
            sock = socket.socket(kind, socket.SOCK_STREAM if protocol == 'tcp' else socket.SOCK_DGRAM)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if kind == socket.AF_INET6:
                sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            sock.bind(('', port))
            if protocol == 'tcp':
                sock.listen(1024)
            else:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
            watch(sock, accept if protocol == 'tcp' else answer_udp)
        me[kind] = socket.socket(kind, socket.SOCK_RAW, SCTP)
        me[kind].setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        watch(me[kind], heard_sctp)
    return {}


def accept(sock):
    peer, _ = sock.accept()
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_AT_CLOSE)
    watch(peer, answer_tcp)


def answer_tcp(peer):
    try:
        question = peer.recv(64)
        if len(question) == 8:
            reached.add(struct.unpack('!Q', question)[0])
            peer.send(me['name'].encode())
            return
    except OSError:
        pass
    forget(peer)


def answer_udp(sock):
    question, peer = sock.recvfrom(64)
    if len(question) == 8:
        reached.add(struct.unpack('!Q', question)[0])
        sock.sendto(question + me['name'].encode(), peer)


def heard_sctp(sock):
    data, peer = sock.recvfrom(65536)
    if sock.family == socket.AF_INET:
        data = data[(data[0] & 15) * 4:]
    source, target, chunk, good = sctp_parse(data)
    tag, _, number = struct.unpack('!IIH', data[16:26])
    if chunk == INIT and target in me['sctp'] and good:
        reached.add(tag)
        body = struct.pack('!IIHHI', tag, 65536, me['number'], 1, 1)
        sock.sendto(sctp_packet(target, source, tag, INIT_ACK, body), (peer[0], 0))
    elif chunk == INIT_ACK and tag in asked and asked[tag][0] == (peer[0], source) and asked[tag][2] is None:
        asked[tag][2] = f'from {number}' if good else 'wrong checksum'


# ---- asking

def ask(number, protocol, host, port):
    entry = asked[number] = [(host, port), None, None]
    try:
        if protocol == 'sctp':
            body = struct.pack('!IIHHI', number, 65536, 1, 1, 1)
            me[family(host)].sendto(sctp_packet(20000 + number % 40000, port, 0, INIT, body), (host, 0))
            return
        sock = entry[1] = socket.socket(family(host), socket.SOCK_STREAM if protocol == 'tcp' else socket.SOCK_DGRAM)
        question = struct.pack('!Q', number)
        if protocol == 'udp':
            sock.connect((host, port))
            watch(sock, lambda sock: heard(sock, entry, question))
            sock.send(question)
            return
        sock.setblocking(False)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_AT_CLOSE)
        failed = sock.connect_ex((host, port))
        if failed not in (0, errno.EINPROGRESS):
            raise OSError(failed, os.strerror(failed))
        handlers[sock.fileno()] = (sock, lambda sock: connected(sock, entry, question))
        poll.register(sock.fileno(), select.EPOLLOUT)
    except OSError as error:
        entry[2] = word(error)


def connected(sock, entry, question):
    failed = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
    if failed:
        entry[2] = WORDS.get(failed, os.strerror(failed))
        forget(sock)
        return
    sock.send(question)
    entry[2] = 'connected, no answer'  # until there is one
    handlers[sock.fileno()] = (sock, lambda sock: heard(sock, entry, b''))
    poll.modify(sock.fileno(), select.EPOLLIN)


def heard(sock, entry, echo):
    try:
        answer = sock.recv(256)
        entry[2] = 'from ' + answer[len(echo):].decode() if answer.startswith(echo) and answer != echo else 'wrong answer'
    except OSError as error:
        entry[2] = word(error)
    forget(sock)


def probe(wish):
    """Asks [[number, protocol, host, port], ...] at once; what came of each until `timeout` seconds after the last was asked.
    A Pod's own name means that it answered; 'timeout' that nothing came back at all."""
    asked.clear()
    for question in wish['questions']:
        ask(*question)
        turn(0)
    deadline = time.monotonic() + wish['timeout']
    while (left := deadline - time.monotonic()) > 0 and any(entry[2] in (None, 'connected, no answer') for entry in asked.values()):
        turn(left)
    for _, sock, _ in asked.values():
        if sock is not None and sock.fileno() >= 0:
            forget(sock)
    return {number: entry[2] or 'timeout' for number, entry in asked.items()}


def take_reached(wish):
    """What came here since the last time."""
    out = sorted(reached)
    reached.clear()
    return out


def page(wish):
    """A page of the node's agent."""
    sock = socket.socket(socket.AF_UNIX)
    with sock:
        sock.settimeout(5)
        sock.connect('/run/causeway/observe.sock')
        sock.sendall(f'GET {wish["path"]} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n'.encode())
        text = b''
        while piece := sock.recv(65536):
            text += piece
    return text.partition(b'\r\n\r\n')[2].decode()


# ---- the loop

DO = {'serve': serve, 'probe': probe, 'reached': take_reached, 'page': page}
unread = b''


def told(pipe):
    global unread
    piece = os.read(0, 1 << 20)
    if not piece:
        os._exit(0)
    *lines, unread = (unread + piece).split(b'\n')
    for line in lines:
        wish = json.loads(line)
        out = {'id': wish['id']}
        try:
            out['ok'] = DO[wish['do']](wish)
        except Exception as error:
            out['error'] = repr(error)
        print(json.dumps(out), flush=True)


def turn(timeout):
    batch = [(descriptor, handlers.get(descriptor)) for descriptor, _ in poll.poll(timeout)]
    for descriptor, entry in batch:
        if entry and handlers.get(descriptor) is entry:  # not closed, nor its number given anew, by one before it
            sock, handler = entry
            try:
                handler(sock)
            except (OSError, struct.error, IndexError):
                pass


def main():
    print('{"id": 0, "ok": {}}', flush=True)
    poll.register(0, select.EPOLLIN)
    handlers[0] = (None, told)
    while True:
        turn(-1)


main()
