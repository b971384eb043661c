"""starts.py PLUGIN PORT: on a node, Pods as a runtime starts them, one for each line of input (JSON: name, uid, ns, ips, hold, wait, later); answers
with a line for each: how many datagrams to the port came into the Pod's namespace, by family, from before it had an interface. `later`: the
Pod stays until another line of input has come and so many have come in then, which is another answer."""
import json
import socket
import struct
import sys
import time

import runtime

ETH_P_ALL, PACKET_OUTGOING = 3, 4
PLUGIN, PORT = sys.argv[1], int(sys.argv[2])


def listen():
    """All that comes by any interface of the namespace, as soon as there is one."""
    made = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(ETH_P_ALL))
    made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
    made.setblocking(False)
    return made


def count(packets, heard):
    while True:
        try:
            data, (_, protocol, kind, _, _) = packets.recvfrom(128)
        except BlockingIOError:
            return heard
        if kind == PACKET_OUTGOING:
            continue
        if protocol == 0x0800 and data[9] == socket.IPPROTO_UDP:
            family, udp = '4', data[(data[0] & 15) * 4:]
        elif protocol == 0x86dd and data[6] == socket.IPPROTO_UDP:
            family, udp = '6', data[40:]
        else:
            continue
        if struct.unpack('!H', udp[2:4])[0] == PORT:
            heard[family] += 1


def await_packets(packets, heard, wanted):
    """Who is allowed gets them, in the end by both families."""
    until = time.monotonic() + 20
    while min(heard.values()) < wanted and time.monotonic() < until:
        time.sleep(0.002)
        count(packets, heard)


def start(pod):
    heard, name = {'4': 0, '6': 0}, pod['name']
    path, packets = runtime.make_namespace(name, listen)
    args, more = runtime.pod_args(pod['ns'], name, pod['uid']), {'runtimeConfig': {'ips': pod['ips']}}
    try:
        begun = time.monotonic()
        for _ in range(20):
            status, answer = runtime.cni(PLUGIN, 'ADD', name, path, args, more)
            count(packets, heard)
            if status == 0:
                break
            runtime.cni(PLUGIN, 'DEL', name, path, args, more)
            time.sleep(0.2)
        else:
            return {'error': f'ADD: {answer}'}
        got = sorted(entry['address'].split('/')[0] for entry in answer['ips'])
        if got != sorted(pod['ips']):
            return {'error': f'asked for {pod["ips"]}, got {got}'}
        added = time.monotonic()
        until = added + pod['hold']
        while time.monotonic() < until:
            time.sleep(0.005)
            count(packets, heard)
        await_packets(packets, heard, pod['wait'])
        told = {'heard': dict(heard), 'add': added - begun}
        if pod['later']:
            print(json.dumps(told), flush=True)
            sys.stdin.readline()
            await_packets(packets, heard, pod['later'])
            told['heard'] = heard
        return told
    finally:
        packets.close()
        runtime.cni(PLUGIN, 'DEL', name, path, args, more)
        runtime.remove_namespace(name)


while line := sys.stdin.readline():
    try:
        answer = start(json.loads(line))
    except Exception as error:
        answer = {'error': f'{type(error).__name__}: {error}'}
    print(json.dumps(answer), flush=True)
