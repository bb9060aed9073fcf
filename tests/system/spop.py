"""SPOP 2.0 as HAProxy speaks it: a codec and a client. They are written from SPOE.txt and share no
code with the agent, so that a mistake of one is noticed by the other."""

import ipaddress
import itertools
import re
import socket
import struct
from typing import NamedTuple

UNSET, HELLO, HAPROXY_DISCONNECT, NOTIFY = 0, 1, 2, 3
AGENT_HELLO, AGENT_DISCONNECT, ACK = 101, 102, 103
FIN = 1
SET_VAR, UNSET_VAR = 1, 2
SCOPE_TXN = 2
FRAME_SIZE = 16380  # what HAProxy offers by default
PATIENCE = 20
PROBLEM_RESET = "the agent reset the connection"


class Typed(NamedTuple):
    """A value with the type that the test chooses, as in Typed(UINT64, 5)."""
    type: int
    value: object


NULL, BOOL, INT32, UINT32, INT64, UINT64, IPV4, IPV6, STR, BIN = range(10)


class Ended(Exception):
    """The other side closed the connection."""


# --- bytes -----------------------------------------------------------------------------------


def varint(number):
    if number < 240:
        return bytes([number])
    out = [number & 0xff | 0xf0]
    number = (number - 240) >> 4
    while number >= 128:
        out.append(number & 0xff | 0x80)
        number = (number - 128) >> 7
    return bytes(out + [number])


def string(text):
    data = text.encode() if isinstance(text, str) else text
    return varint(len(data)) + data


def typed(value):
    """The bytes of a value and its type: of `Typed`, or of the type in which HAProxy sends such a
    value."""
    if not isinstance(value, Typed):
        value = Typed(*natural_type(value))
    kind, content = value
    if kind == BOOL:
        return bytes([0x11 if content else 0x01])
    if kind in (INT32, UINT32, INT64, UINT64):
        return bytes([kind]) + varint(content % 2**64)
    if kind in (STR, BIN):
        return bytes([kind]) + string(content)
    return bytes([kind]) + (content or b"")


def natural_type(value):
    if value is None:
        return NULL, None
    if isinstance(value, bool):
        return BOOL, value
    if isinstance(value, int):
        return INT64, value
    if isinstance(value, (str, bytes)):
        return STR, value
    return (IPV4 if value.version == 4 else IPV6), value.packed


def frame(kind, payload=b"", flags=FIN, stream_id=0, frame_id=0):
    body = struct.pack(">BI", kind, flags) + varint(stream_id) + varint(frame_id) + payload
    return struct.pack(">I", len(body)) + body


def items(pairs):
    """The bytes of the body of a HELLO or DISCONNECT, or of the arguments of a message."""
    return b"".join(string(name) + typed(value) for name, value in pairs)


def message(arguments, name="check"):
    """`arguments` is a dict, or a list of pairs if a name is to be repeated."""
    pairs = list(arguments.items()) if isinstance(arguments, dict) else list(arguments)
    return string(name) + bytes([len(pairs)]) + items(pairs)


def notify(*messages, stream_id=1, frame_id=1, flags=FIN):
    payload = b"".join(m if isinstance(m, bytes) else message(m) for m in messages)
    return frame(NOTIFY, payload, flags, stream_id, frame_id)


HELLO_ITEMS = {
    "supported-versions": "2.0",
    "max-frame-size": Typed(UINT32, FRAME_SIZE),
    "capabilities": "pipelining,async",
    "engine-id": "01234567-89ab-cdef-0123-456789abcdef",
}


def hello(**changes):
    """A HAPROXY-HELLO with changed items. None leaves an item out; "_" in a name stands for "-"."""
    pairs = {**HELLO_ITEMS, **{name.replace("_", "-"): v for name, v in changes.items()}}
    return frame(HELLO, items((n, v) for n, v in pairs.items() if v is not None))


# All versions of HAProxy send this for "option spop-check".
HEALTHCHECK = frame(HELLO, items([("supported-versions", "2.0"),
                                  ("max-frame-size", Typed(UINT32, FRAME_SIZE)),
                                  ("capabilities", ""), ("healthcheck", True)]))


# --- reading ---------------------------------------------------------------------------------


class Reader:
    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, count):
        assert count <= len(self.data) - self.at, "a frame of the agent ends too early"
        self.at += count
        return self.data[self.at - count:self.at]

    def byte(self):
        return self.take(1)[0]

    def varint(self):
        number = byte = self.byte()
        shift = 4
        while byte >= (240 if shift == 4 else 128):
            byte = self.byte()
            number += byte << shift
            shift += 7
        return number

    def string(self):
        return self.take(self.varint())

    def typed(self):
        tag = self.byte()
        kind = tag & 0x0f
        # HAProxy takes a string whose flags are not 0 for a binary.
        assert tag == kind or kind == BOOL, f"type byte {tag:#x}"
        if kind == BOOL:
            return bool(tag & 0x10)
        if kind in (INT32, INT64):
            number = self.varint()
            return number - 2**64 if number >= 2**63 else number
        if kind in (UINT32, UINT64):
            return self.varint()
        assert kind == STR, f"a value of type {kind}"
        return self.string().decode()

    def pairs(self):
        found = {}
        while self.at < len(self.data):
            name = self.string().decode()
            found[name] = self.typed()
        return found


class Frame(NamedTuple):
    type: int
    flags: int
    stream_id: int
    frame_id: int
    payload: bytes
    size: int  # as LENGTH says

    def pairs(self):
        return Reader(self.payload).pairs()


def parse_frame(body):
    kind, flags = struct.unpack_from(">BI", body)
    reader = Reader(body[5:])
    stream_id, frame_id = reader.varint(), reader.varint()
    return Frame(kind, flags, stream_id, frame_id, reader.data[reader.at:], len(body))


class Verdict(NamedTuple):
    """What an ACK says: the variables that it sets, and the names of those that it unsets."""
    vars: dict
    unset: set
    frame: Frame

    def __getattr__(self, name):
        return self.vars[name]


def parse_ack(ack):
    assert (ack.type, ack.flags) == (ACK, FIN), ack
    reader, found, unset = Reader(ack.payload), {}, set()
    while reader.at < len(ack.payload):
        action, arguments, scope = reader.byte(), reader.byte(), reader.byte()
        assert (action, arguments) in ((SET_VAR, 3), (UNSET_VAR, 2)) and scope == SCOPE_TXN
        name = reader.string().decode()
        assert name not in found and name not in unset, f"{name} stands there twice"
        if action == SET_VAR:
            found[name] = reader.typed()
        else:
            unset.add(name)
    return Verdict(found, unset, ack)


# --- the client ------------------------------------------------------------------------------


def open_socket(address):
    """127.0.0.1:P, [::1]:P or unix:/path."""
    if address.startswith("unix:"):
        opened = socket.socket(socket.AF_UNIX)
        opened.settimeout(PATIENCE)
        opened.connect(address[len("unix:"):])
        return opened
    host, port = re.fullmatch(r"\[?(.*?)\]?:(\d+)", address).groups()
    opened = socket.create_connection((host, int(port)), PATIENCE)
    opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return opened


class Peer:
    """A connection to the agent. With `hello=None` the test does the handshake itself."""

    def __init__(self, address, hello=hello()):  # pylint: disable=redefined-outer-name
        self.socket = open_socket(address)
        self.buffer = b""
        self.frame_ids = itertools.count(1)
        if hello is not None:
            self.send(hello)
            answer = self.read()
            assert answer.type == AGENT_HELLO, answer

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.socket.close()

    def send(self, data):
        self.socket.sendall(data)

    def _receive(self, count):
        while len(self.buffer) < count:
            try:
                data = self.socket.recv(65536)
            except ConnectionResetError as error:
                # A reset throws away the bytes that were sent before it, also a DISCONNECT.
                raise AssertionError(PROBLEM_RESET) from error
            if not data:
                raise Ended
            self.buffer += data

    def read(self):
        self._receive(4)
        length = struct.unpack_from(">I", self.buffer)[0]
        self._receive(4 + length)
        body, self.buffer = self.buffer[4:4 + length], self.buffer[4 + length:]
        return parse_frame(body)

    def skip(self, count):
        """Reads so many frames, and looks at their lengths only."""
        for _ in range(count):
            self._receive(4)
            length = 4 + struct.unpack_from(">I", self.buffer)[0]
            self._receive(length)
            self.buffer = self.buffer[length:]

    def read_verdict(self):
        return parse_ack(self.read())

    def read_disconnect(self):
        """Reads an AGENT-DISCONNECT, after which the connection has to end, and returns its
        status."""
        got = self.read()
        assert (got.type, got.flags, got.stream_id, got.frame_id) == (AGENT_DISCONNECT, FIN, 0, 0)
        assert isinstance(got.pairs()["message"], str)
        assert self.is_ended()
        return got.pairs()["status-code"]

    def is_ended(self):
        """Waits for the end of the connection; false if something else comes."""
        try:
            self._receive(len(self.buffer) + 1)
        except Ended:
            return not self.buffer
        return False

    def has_silence(self, seconds=0.2):
        """Whether nothing comes for so long. Only here a test has to wait for a fixed time."""
        self.socket.settimeout(seconds)
        try:
            self._receive(len(self.buffer) + 1)
            return False
        except TimeoutError:
            return True
        finally:
            self.socket.settimeout(PATIENCE)

    def ask(self, *messages, **arguments):
        """Sends a NOTIFY with these messages, or with one message of these arguments; returns the
        verdict."""
        frame_id = next(self.frame_ids)
        self.send(notify(*(messages or [arguments]), stream_id=1, frame_id=frame_id))
        verdict = self.read_verdict()
        assert (verdict.frame.stream_id, verdict.frame.frame_id) == (1, frame_id)
        return verdict


def ip(text):
    return ipaddress.ip_address(text)
