"""sender.py RATE PORT: UDP from where it is started, RATE datagrams a second to each of the addresses of the last line of its input
(separated by blanks); at the end of its input it says how many it sent, and what the least rate of a second was."""
import os
import select
import socket
import sys
import time

rate, port = int(sys.argv[1]), int(sys.argv[2])
sockets = {family: socket.socket(family, socket.SOCK_DGRAM) for family in (socket.AF_INET, socket.AF_INET6)}
for one in sockets.values():
    one.setblocking(False)
targets, sent, rounds, start, least, second, text = [], 0, 0, time.monotonic(), None, (0, 0.0), b''
while True:
    if select.select([0], [], [], 0)[0]:
        data = os.read(0, 1 << 16)
        if not data:
            break
        *lines, text = (text + data).split(b'\n')
        if lines:
            targets = [(socket.AF_INET6 if ':' in ip else socket.AF_INET, ip) for ip in lines[-1].decode().split()]
    due = int((time.monotonic() - start) * rate) - rounds
    if due <= 0:
        time.sleep(0.0005)
        continue
    for _ in range(due):
        for family, ip in targets:
            try:
                sockets[family].sendto(b'x', (ip, port))
                sent += 1
            except OSError:
                pass  # nobody has it yet, and a router said so
    rounds += due
    done, at = second
    if (passed := time.monotonic() - start - at) >= 1:
        least = min(least or rate, (rounds - done) / passed)
        second = rounds, at + passed
print(sent, int(least or 0))
