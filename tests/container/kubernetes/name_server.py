"""A DNS server with as much as HAProxy and a C library need: A and AAAA records from a JSON file.

    name_server.py ADDRESS FILE        {"name": ["10.0.0.1", ...], ...}, read for each question

With "rcode" in the file and another number than 0, that is the answer to each question: 2 is SERVFAIL, 3 is
NXDOMAIN.
"""

import json
import socket
import struct
import sys
from pathlib import Path

NAME_ERROR, A, AAAA, IN = 3, 1, 28, 1


def question_of(query):
    """The name asked for, the type, and where the question ends."""
    labels, at = [], 12
    while query[at]:
        labels.append(query[at + 1:at + 1 + query[at]].decode())
        at += 1 + query[at]
    return ".".join(labels).lower(), struct.unpack_from("!H", query, at + 1)[0], at + 5


def answer(query, records):
    name, kind, end = question_of(query)
    addresses = records.get(name)
    found = [address for address in addresses or [] if (AAAA if ":" in address else A) == kind]
    flags = 0x8580 | (records.get("rcode") or (0 if addresses is not None else NAME_ERROR))
    head = query[:2] + struct.pack("!HHHHH", flags, 1, len(found), 0, 0)
    return head + query[12:end] + b"".join(
        b"\xc0\x0c" + struct.pack("!HHIH", kind, IN, 5, len(packed)) + packed
        for packed in map(pack, found))


def pack(address):
    return socket.inet_pton(family_of(address), address)


def family_of(address):
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def main():
    address, file = sys.argv[1], Path(sys.argv[2])
    with socket.socket(family_of(address), socket.SOCK_DGRAM) as server:
        server.bind((address, 53))
        while True:
            query, client = server.recvfrom(4096)
            server.sendto(answer(query, json.loads(file.read_text())), client)


if __name__ == "__main__":
    main()
