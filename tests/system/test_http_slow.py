"""Clients that are slow, or do nothing at all: they are closed, and cost nobody else anything."""

import statistics
import threading
import time

import pytest

import http_client
import spop
from http_client import CAPACITY, HttpClient, Raw, get_bytes, post_bytes
from processes import undisturbed, wait_until
from watch import Stalls

pytestmark = pytest.mark.alone

GOOD = b'{"policy":"login","key":"x"}'
LORISES = 500
UNTIL_CLOSED = (9, 13)  # seconds; a request has 10

# Each is sent up to its end but for the last byte, a byte every half second.
SLOW = {
    "nothing of a line": b"GET /",
    "a line": b"GET /check?policy=login&key=x HTTP/1.1\r\nHost: agent\r\n",
    "fields": get_bytes("/check?policy=login&key=x", "".join(f"X-{n}: y\r\n" for n in range(99))),
    "a body": post_bytes(GOOD.ljust(1000)),
    "chunks": (b"POST /check HTTP/1.1\r\nHost: agent\r\nContent-Type: application/json\r\n"
               b"Transfer-Encoding: chunked\r\n\r\n" + b"1\r\n \r\n" * 100),
}
AT_ONCE = {"nothing of a line": 1, "a line": 40, "fields": 60, "a body": len(SLOW["a body"]) - 900,
           "chunks": len(SLOW["chunks"]) - 500}


def drip(address, data, at_once, ends):
    """Sends so much at once and then a byte now and then, until the agent closes."""
    with Raw(address, data[:at_once]) as raw:
        began = time.monotonic()
        raw.socket.settimeout(0.5)
        for byte in data[at_once:] + b"x" * 100:
            try:
                if not raw.socket.recv(65536):
                    break
            except TimeoutError:
                raw.send(bytes([byte]))
            except ConnectionResetError:
                break
        ends.append(time.monotonic() - began)


def test_a_request_that_is_not_complete_after_ten_seconds_is_closed(client):
    ends = {name: [] for name in SLOW}
    threads = [threading.Thread(target=drip,
                                args=(client.address, data, AT_ONCE[name], ends[name]))
               for name, data in SLOW.items()]
    with Stalls() as stalls:
        for thread in threads:
            thread.start()
        # Who has got an answer already is no other case.
        with client.raw(get_bytes("/health")) as second:
            assert second.read_answer().status == 200
            second.send(b"GET /check?policy=login&key=x HTTP/1.1\r\n")
            began = time.monotonic()
            second.read_all()
            ends["the second request"] = [time.monotonic() - began]
        for thread in threads:
            thread.join()

    low, high = UNTIL_CLOSED
    assert all(low < seconds < high + stalls.longest for [seconds] in ends.values()), ends
    assert client.left("x") == CAPACITY
    assert "ratelimit_http_timeouts_total 6\n" in client.get("/metrics").body.decode()


def latencies(ask, count=300):
    took = []
    for _ in range(count):
        began = time.monotonic()
        ask()
        took.append(time.monotonic() - began)
    return took


def test_five_hundred_slow_clients_cost_nobody_anything(start_agent):
    agent = start_agent(http=True, policies=http_client.POLICIES)
    with agent.connect() as peer:
        def ask():
            assert peer.ask(wide="x").allowed

        def is_quick(took, before):
            return statistics.median(took) < 2 * statistics.median(before) + 0.001 \
                and sorted(took)[285] < 0.05
        before = latencies(ask)
        lorises = [Raw(agent.http_address, b"GET /check HTTP/1.1\r\nX-A: b")
                   for _ in range(LORISES)]
        try:
            with HttpClient(agent) as client:
                wait_until(lambda: client.get("/status").json["connections"]["http"] >= LORISES,
                           "all connections")
                during = undisturbed(lambda: latencies(ask), lambda took: is_quick(took, before))
                health = undisturbed(lambda: latencies(lambda: client.get("/health"), 100),
                                     lambda took: sorted(took)[95] < 0.05)
                with spop.Peer(agent.address) as other:
                    assert other.ask(wide="x").allowed
                for loris in lorises:
                    loris.send(b"c")
                assert client.get("/health").status == 200
        finally:
            for loris in lorises:
                loris.close()

    assert is_quick(during, before)
    assert sorted(health)[95] < 0.05


def test_health_is_answered_when_every_connection_is_taken(start_agent):
    agent = start_agent(http=True, policies=http_client.POLICIES)
    lorises = [Raw(agent.http_address, b"GET /check HTTP/1.1\r\n") for _ in range(1100)]
    try:
        for path in ("/health", "/ready", "/metrics"):
            with HttpClient(agent) as client:
                def ask(client=client, path=path):
                    assert client.get(path).status == 200
                took = undisturbed(lambda ask=ask: latencies(ask, 1), lambda took: took[0] < 1)
                assert took[0] < 1
        assert agent.descriptors() < 1100 + 100
    finally:
        for loris in lorises:
            loris.close()
    with HttpClient(agent) as client:
        wait_until(lambda: client.get("/status").json["connections"]["http"] == 1,
                   "the end of the others")


def test_who_does_not_read_answers_holds_up_nobody(client):
    with client.raw() as deaf:
        deaf.socket.setblocking(False)
        data = get_bytes("/") * 100
        sent = 0
        try:
            while sent < 10**8:
                sent += deaf.socket.send(data)
        except BlockingIOError:
            pass
        assert sent < 10**8
        assert client.get("/health").status == 200
        assert client.check(policy="login", key="x").left == CAPACITY - 1
        assert client.agent.rss_bytes() < 100 * 2**20
