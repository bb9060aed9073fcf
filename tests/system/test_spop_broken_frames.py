"""A frame that breaks the protocol ends its connection with a status, and no other connection."""

import struct

import pytest

import spop
from cases import named

TOO_BIG, INVALID, NO_VERSION, NO_FRAME_SIZE = 3, 4, 5, 6
BAD_VERSION, BAD_FRAME_SIZE, FRAGMENTED = 8, 9, 10
CLIENT = spop.ip("192.0.2.1")


@pytest.fixture
def bystander(agent):
    """Another connection, which is served before and after."""
    with agent.connect() as other:
        before = other.ask(src=CLIENT)
        assert before.reason == "ok"
        yield other
        assert other.ask(src=CLIENT).reason == "ok"


@pytest.fixture
def stranger(agent, bystander):  # pylint: disable=unused-argument
    """A connection before its handshake."""
    with agent.connect(hello=None) as connection:
        yield connection


@pytest.fixture
def broken(agent, bystander):  # pylint: disable=unused-argument
    """A connection behind its handshake."""
    with agent.connect() as connection:
        yield connection


def sized(kind, size):
    return {"max_frame_size": spop.Typed(kind, size)}


@pytest.mark.parametrize("hello, status", named({
    "no version": (spop.hello(supported_versions=None), NO_VERSION),
    "version 1.0": (spop.hello(supported_versions="1.0"), BAD_VERSION),
    "version 3.0": (spop.hello(supported_versions="3.0"), BAD_VERSION),
    "version 20": (spop.hello(supported_versions="20"), BAD_VERSION),
    "empty version": (spop.hello(supported_versions=""), BAD_VERSION),
    "no frame size": (spop.hello(max_frame_size=None), NO_FRAME_SIZE),
    "frame size 255": (spop.hello(**sized(spop.UINT32, 255)), BAD_FRAME_SIZE),
    "frame size 0": (spop.hello(**sized(spop.UINT32, 0)), BAD_FRAME_SIZE),
    "cut": (spop.frame(spop.HELLO, spop.items(spop.HELLO_ITEMS.items())[:-5]), INVALID),
    "NOTIFY instead": (spop.notify({"src": CLIENT}), INVALID),
    "ACK instead": (spop.frame(spop.ACK), INVALID),
    "no FIN": (spop.frame(spop.HELLO, spop.items(spop.HELLO_ITEMS.items()), flags=0), FRAGMENTED),
}))
def test_a_broken_hello_gets_its_status(stranger, hello, status):
    stranger.send(hello)

    assert stranger.read_disconnect() == status


@pytest.mark.parametrize("length", [65537, 2**24, 2**31, 2**32 - 1])
def test_a_length_over_the_maximum_is_refused_before_any_byte_of_the_body(stranger, length):
    stranger.send(struct.pack(">I", length))

    assert stranger.read_disconnect() == TOO_BIG


def test_the_maximum_is_the_option_for_a_notify_too(start_agent):
    agent = start_agent("--max-frame-size", "1000")
    with agent.connect() as fits, agent.connect() as too_big:
        fits.send(frame_of_length(1000))
        too_big.send(struct.pack(">I", 1001))

        assert fits.read_verdict().reason == "none"
        assert too_big.read_disconnect() == TOO_BIG


def frame_of_length(length):
    """A NOTIFY with one argument that fills it up."""
    for padding in range(length):
        frame = spop.notify({"a": "x" * padding})
        if len(frame) == 4 + length:
            return frame
    raise AssertionError("no frame has that length")


def test_the_body_of_a_refused_frame_does_not_swallow_the_answer(broken):
    # Closing with unread input would reset the connection, DISCONNECT and all.
    broken.send(struct.pack(">I", 2**20) + b"x" * 100_000)

    assert broken.read_disconnect() == TOO_BIG


@pytest.mark.parametrize("length", range(7))
def test_a_length_that_no_frame_has_is_invalid(broken, length):
    broken.send(struct.pack(">I", length) + b"\x03\x00\x00\x00\x01\x01\x01"[:length])

    assert broken.read_disconnect() == INVALID


def test_a_notify_without_fin_is_refused_as_fragmented(broken):
    broken.send(spop.notify({"src": CLIENT}, flags=0))

    assert broken.read_disconnect() == FRAGMENTED


def test_a_continuation_is_refused_as_fragmented(broken):
    broken.send(spop.frame(spop.UNSET, b"", stream_id=1, frame_id=1))

    assert broken.read_disconnect() == FRAGMENTED


NAME = spop.string("check")
ARGUMENT = spop.string("src")
UNENDING = b"\xff" * 11
HUGE = spop.varint(2**64 - 1)


@pytest.mark.parametrize("payload", named({
    "a name cut": b"\x05chec",
    "a name without an end": UNENDING,
    "a name of 2^64-1 bytes": HUGE,
    "a name of 2^64-4096 bytes": spop.varint(2**64 - 4096) + b"x",
    "no number of arguments": NAME,
    "255 arguments and none": NAME + b"\xff",
    "an argument's name cut": NAME + b"\x01\x03sr",
    "no type": NAME + b"\x01" + ARGUMENT,
    "a number cut": NAME + b"\x01" + ARGUMENT + b"\x04\xff",
    "a number without an end": NAME + b"\x01" + ARGUMENT + b"\x04" + UNENDING,
    "an IPv4 address cut": NAME + b"\x01" + ARGUMENT + b"\x06\x7f\x00\x00",
    "an IPv6 address cut": NAME + b"\x01" + ARGUMENT + b"\x07" + bytes(15),
    "a string cut": NAME + b"\x01" + ARGUMENT + b"\x08\x05abcd",
    "a string of 2^64-1 bytes": NAME + b"\x01" + ARGUMENT + b"\x08" + HUGE + b"abc",
    "a binary of 2^63 bytes": NAME + b"\x01" + ARGUMENT + b"\x09" + spop.varint(2**63),
    **{f"type {kind}": NAME + b"\x01" + ARGUMENT + bytes([kind]) + b"\x01a"
       for kind in range(10, 16)},
    "a second message cut": spop.message({"src": CLIENT}) + b"\x05chec",
}))
def test_a_payload_that_cannot_be_decoded_is_invalid(broken, payload):
    broken.send(spop.frame(spop.NOTIFY, payload, stream_id=1, frame_id=1))

    assert broken.read_disconnect() == INVALID


@pytest.mark.parametrize("ids", named({
    "unending": b"\xff" * 11, "unending twice": b"\xff" * 20, "second cut": b"\x01\xff",
    "first cut": b"\xff"}))
def test_ids_that_cannot_be_decoded_are_invalid(broken, ids):
    body = struct.pack(">BI", spop.NOTIFY, spop.FIN) + ids
    broken.send(struct.pack(">I", max(len(body), 7)) + body.ljust(7, b"\xff"))

    assert broken.read_disconnect() == INVALID


def test_a_second_hello_is_invalid(broken):
    broken.send(spop.hello())

    assert broken.read_disconnect() == INVALID


def test_what_came_before_a_broken_frame_is_answered(broken):
    broken.send(spop.notify({"src": CLIENT}, stream_id=9) + spop.notify({}, flags=0))

    assert broken.read_verdict().frame.stream_id == 9
    assert broken.read_disconnect() == FRAGMENTED


def test_what_comes_behind_a_broken_frame_is_not_charged(agent, broken):
    left = broken.ask(src=CLIENT, policy="per-ip", cost=0).remaining
    with agent.connect() as other:
        other.send(spop.notify({}, flags=0) + spop.notify({"src": CLIENT, "cost": 10}))
        assert other.read_disconnect() == FRAGMENTED

    # The shipped policy gives 5 a second, and none is taken.
    assert broken.ask(src=CLIENT, policy="per-ip", cost=0).remaining >= left


def test_garbage_ends_its_own_connection_only(agent, bystander):  # pylint: disable=unused-argument
    for garbage in (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"\x16\x03\x01\x02\x00\x01", b"\xff" * 64,
                    bytes(64)):
        with agent.connect(hello=None) as stranger_too:
            stranger_too.send(garbage)
            assert stranger_too.read_disconnect() in (TOO_BIG, INVALID)
