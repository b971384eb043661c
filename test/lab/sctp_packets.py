"""SCTP packets (RFC 9260) by hand: this kernel has no SCTP sockets. Text of programs that run in places of a lab, before their own."""
import struct

SCTP = 132
INIT, INIT_ACK = 1, 2

TABLE = []
for value in range(256):  # CRC-32C (RFC 9260, appendix A), bit by bit
    for _ in range(8):
        value = (value >> 1) ^ (0x82f63b78 if value & 1 else 0)
    TABLE.append(value)


def crc32c(data):
    crc = 0xffffffff
    for byte in data:
        crc = TABLE[(crc ^ byte) & 255] ^ (crc >> 8)
    return crc ^ 0xffffffff


def sctp_packet(source, target, tag, kind, body):
    chunk = struct.pack('!BBH', kind, 0, 4 + len(body)) + body
    packet = struct.pack('!HHII', source, target, tag, 0) + chunk
    return packet[:8] + struct.pack('<I', crc32c(packet)) + packet[12:]


def sctp_parse(data):
    source, target, tag, checksum = struct.unpack('!HHII', data[:12])
    good = struct.unpack('<I', data[8:12])[0] == crc32c(data[:8] + bytes(4) + data[12:])
    return source, target, data[12], good
