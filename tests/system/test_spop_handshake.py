"""HELLO and its answer, byte by byte as HAProxy needs them (docs/reference.md, section SPOP)."""

import contextlib
import socket

import pytest

import spop
from agent import bucket, policies_text
from cases import named


def handshake(agent, hello):
    with agent.connect(hello=None) as peer:
        peer.send(hello)
        return peer.read()


def answered_size(agent, offered):
    answer = handshake(agent, spop.hello(max_frame_size=offered))
    return answer.pairs()["max-frame-size"]


def test_agent_hello_is_complete_and_says_nothing_else(agent):
    answer = handshake(agent, spop.hello())

    assert (answer.type, answer.flags, answer.stream_id, answer.frame_id) == (101, spop.FIN, 0, 0)
    assert answer.pairs() == {
        "version": "2.0", "max-frame-size": 16380, "capabilities": "pipelining"}


@pytest.mark.parametrize("versions", [
    "2.0", "2.1", "2.9", "2", "1.0,2.0", " 1.0 , 2.3 ", "1,2", " 2 "])
def test_any_version_2_is_answered_with_2_0(agent, versions):
    answer = handshake(agent, spop.hello(supported_versions=versions))

    assert answer.pairs()["version"] == "2.0"


@pytest.mark.parametrize("offered, answered", [
    (256, 256), (16380, 16380), (65536, 65536), (65537, 65536), (2**32 - 1, 65536)])
def test_the_smaller_frame_size_is_agreed(agent, offered, answered):
    assert answered_size(agent, spop.Typed(spop.UINT32, offered)) == answered


def test_max_frame_size_is_what_the_option_says(start_agent):
    agent = start_agent("--max-frame-size", "1000")

    assert answered_size(agent, spop.Typed(spop.UINT32, 999)) == 999
    assert answered_size(agent, spop.Typed(spop.UINT32, 16380)) == 1000


@pytest.mark.parametrize("kind", [spop.INT32, spop.UINT32, spop.INT64, spop.UINT64])
def test_integers_of_any_type_are_numbers(agent, kind):
    assert answered_size(agent, spop.Typed(kind, 4000)) == 4000


def test_of_a_repeated_item_the_last_counts(agent):
    items = [*spop.HELLO_ITEMS.items(), ("max-frame-size", spop.Typed(spop.UINT32, 5000))]

    answer = handshake(agent, spop.frame(spop.HELLO, spop.items(items)))

    assert answer.pairs()["max-frame-size"] == 5000


@pytest.mark.parametrize("capabilities, answered", [
    (None, ""), ("", ""), ("async", ""), ("async,fragmentation", ""), ("pipelining", "pipelining"),
    (" async , pipelining ", "pipelining")])
def test_only_pipelining_is_announced_and_only_if_offered(agent, capabilities, answered):
    answer = handshake(agent, spop.hello(capabilities=capabilities))

    assert answer.pairs()["capabilities"] == answered


def test_unknown_items_are_skipped(agent):
    answer = handshake(agent, spop.hello(x_number=5, x_text="a", x_null=spop.Typed(spop.NULL, b""),
                                         x_address=spop.ip("::1"), engine_id=None))

    assert answer.type == spop.AGENT_HELLO


def test_hello_may_come_byte_by_byte(agent):
    with agent.connect(hello=None) as peer:
        for byte in spop.hello():
            peer.send(bytes([byte]))

        assert peer.read().type == spop.AGENT_HELLO
        assert peer.ask(src=spop.ip("192.0.2.1")).allowed


def test_agent_hello_comes_in_one_piece(agent):
    # HAProxy 3.2 to 3.5 resets the connection if it does not (haproxy#3478).
    for _ in range(50):
        with agent.connect(hello=None) as peer:
            peer.send(spop.hello())
            first_read = peer.socket.recv(65536)
            assert spop.parse_frame(first_read[4:]).size == len(first_read) - 4 == 64


def test_a_healthcheck_is_answered_and_the_connection_closed(agent):
    with agent.connect(hello=None) as peer:
        peer.send(spop.HEALTHCHECK)

        assert peer.read().pairs() == {
            "version": "2.0", "max-frame-size": 16380, "capabilities": ""}
        assert peer.is_ended()


def test_a_healthcheck_of_false_is_a_usual_hello(agent):
    with agent.connect(hello=spop.hello(healthcheck=False)) as peer:
        assert peer.ask(src=spop.ip("192.0.2.1")).allowed


def test_a_connection_without_hello_is_closed_after_ten_seconds(agent):
    with agent.connect(hello=None) as silent, agent.connect(hello=None) as slow:
        slow.send(spop.hello()[:20])
        assert silent.has_silence(8)

        assert silent.is_ended()
        assert slow.is_ended()


def test_nothing_is_logged_for_what_haproxy_does_all_day(agent):
    lines = len(agent.events())
    agent.connect(hello=None).close()
    handshake(agent, spop.HEALTHCHECK)
    for status in (0, 2):  # a reload, an idle connection
        with agent.connect() as peer:
            peer.send(disconnect(status))
            assert peer.read_disconnect() == 0
    agent.connect().close()

    with agent.connect() as peer:
        assert peer.ask(src=spop.ip("192.0.2.1")).allowed
    assert agent.events()[lines:] == []


def disconnect(status):
    return spop.frame(spop.HAPROXY_DISCONNECT, spop.items([
        ("status-code", spop.Typed(spop.UINT32, status)), ("message", "by HAProxy")]))


@pytest.mark.parametrize("status", [0, 1, 2, 3, 99])
def test_disconnect_is_answered_with_normal_whatever_it_said(agent, status):
    with agent.connect() as peer:
        peer.send(disconnect(status))

        assert peer.read_disconnect() == 0


def test_what_came_before_a_disconnect_is_answered(peer):
    peer.send(spop.notify({"src": spop.ip("192.0.2.1")}, stream_id=7) + disconnect(0))

    assert peer.read_verdict().frame.stream_id == 7
    assert peer.read_disconnect() == 0


def test_what_came_before_the_end_of_the_input_is_answered(peer):
    peer.send(spop.notify({"src": spop.ip("192.0.2.1")}, stream_id=7))
    peer.socket.shutdown(socket.SHUT_WR)

    assert peer.read_verdict().frame.stream_id == 7
    assert peer.is_ended()


# --- behind a DISCONNECT ------------------------------------------------------------------------

CLIENT = spop.ip("192.0.2.1")
POLICIES = policies_text(per_ip=bucket(10))


@pytest.fixture
def slow_store(start_agent, wire):
    """An agent that can ask Redis, and gets each reply half a second later."""
    agent = start_agent("--store-timeout", "20s", store=wire.url, policies=POLICIES)
    agent.wait_for_store()
    wire.set_delay(0.5)
    return agent


def left(agent):
    with agent.connect() as peer:
        return peer.ask(src=CLIENT, cost=0).remaining


@pytest.fixture
def counting(start_agent):
    return start_agent(policies=POLICIES)


def test_a_notify_behind_a_disconnect_is_neither_answered_nor_charged(counting):
    with counting.connect() as peer:
        peer.send(disconnect(0) + spop.notify({"src": CLIENT}))

        assert peer.read_disconnect() == 0
    assert left(counting) == 10


def test_a_notify_that_comes_some_time_after_a_disconnect_is_neither_answered_nor_charged(counting):
    with counting.connect() as peer:
        peer.send(disconnect(0))
        assert (peer.read().type, peer.buffer) == (spop.AGENT_DISCONNECT, b"")
        with contextlib.suppress(ConnectionError):
            peer.send(spop.notify({"src": CLIENT}))

        assert peer.is_ended()
    assert left(counting) == 10


@pytest.mark.parametrize("behind", named({
    "a HELLO": spop.hello(), "a health check": spop.HEALTHCHECK, "half a frame": b"\0\0\0\x20\x03",
    "a broken frame": spop.frame(99, b"", flags=0), "garbage": b"\xff" * 100,
    "another DISCONNECT": disconnect(1)}))
@pytest.mark.parametrize("is_before_the_hello", [False, True])
def test_whatever_stands_behind_a_disconnect_is_thrown_away(counting, behind, is_before_the_hello):
    with counting.connect(**{"hello": None} if is_before_the_hello else {}) as peer:
        peer.send(disconnect(0) + behind)

        assert peer.read_disconnect() == 0
    assert counting.events("spop_refused") == counting.events("spop_disconnected") == []


def test_a_notify_behind_a_disconnect_is_thrown_away_while_another_is_awaited(slow_store):
    with slow_store.connect() as peer:
        peer.send(spop.notify({"src": CLIENT}, stream_id=7) + disconnect(0))
        peer.send(spop.notify({"src": CLIENT}, stream_id=9))

        assert peer.read_verdict().frame.stream_id == 7
        assert peer.read_disconnect() == 0
    assert left(slow_store) == 9
