"""A client of HTTP/2 without TLS, which sends any bytes: one request a connection."""

import socket
import struct

from processes import PATIENCE

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
HEADERS, SETTINGS, RST_STREAM, GOAWAY = 1, 4, 3, 7
END_STREAM, END_HEADERS, PADDED, PRIORITY = 1, 4, 8, 32
# The statuses that have a place of their own in HPACK's table (RFC 7541, appendix A).
INDEXED = {8: 200, 9: 204, 10: 206, 11: 304, 12: 400, 13: 404, 14: 500}


def _integer(value, bits):
    """An integer of HPACK (RFC 7541, 5.1), in a byte whose first bits are zero."""
    most = 2**bits - 1
    if value < most:
        return bytes([value])
    value, out = value - most, bytes([most])
    while value >= 128:
        out, value = out + bytes([value % 128 + 128]), value // 128
    return out + bytes([value])


def _text(text):
    return _integer(len(text), 7) + text


def _field(name, value):
    """A field that is written out, and that enters no table."""
    return b"\x00" + _text(name) + _text(value)


def _frame(kind, flags, stream, payload=b""):
    length = struct.pack(">I", len(payload))[1:]
    return length + bytes([kind, flags]) + struct.pack(">I", stream) + payload


def _read(connection, size):
    data = b""
    while len(data) < size:
        more = connection.recv(size - len(data))
        if not more:
            raise ConnectionError("HTTP/2: the connection ended")
        data += more
    return data


def _status(block):
    if block[0] & 0xe0 == 0x20:  # the size of the table, before the first field
        block = block[1:]
    if block[0] & 0x80:
        return INDEXED[block[0] & 0x7f]
    assert block[0] & 0x0f == 8 or block[0] == 0x48, block  # a literal whose name is `:status`
    assert block[1] == 3, block  # three bytes, not Huffman's
    return int(block[2:5])


def ask(port, source="127.0.0.1", method=b"GET", path=b"/", authority=b"example.com", fields=()):
    """The status of the answer, and its encoded fields; HAProxy writes their values out."""
    block = b"".join(_field(name, value) for name, value in (
        (b":method", method), (b":scheme", b"http"), (b":path", path),
        *([(b":authority", authority)] if authority is not None else []), *fields))
    with socket.create_connection(("127.0.0.1", port), PATIENCE, (source, 0)) as connection:
        connection.sendall(PREFACE + _frame(SETTINGS, 0, 0)
                           + _frame(HEADERS, END_STREAM | END_HEADERS, 1, block))
        while True:
            head = _read(connection, 9)
            payload = _read(connection, int.from_bytes(head[:3], "big"))
            if head[3] in (RST_STREAM, GOAWAY):
                return 400, b""
            if head[3] == HEADERS:
                assert not head[4] & (PADDED | PRIORITY)
                return _status(payload), payload
