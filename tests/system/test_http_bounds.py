"""What a client of the HTTP port may take: headers, connections, answers that are not read, time."""

import json
import signal
import socket
import time

import pytest

import http_client
from agent import window
from cases import named
from http_client import CAPACITY, HttpClient, Raw, assert_problem, get_bytes, post_bytes
from processes import wait_until
from watch import Stalls

GOOD = b'{"policy":"login","key":"x"}'
HEADER_MAX = 12288
MIB = 2**20


# --- headers -------------------------------------------------------------------------------------

def ask(path, *fields):
    """A GET with these fields."""
    return get_bytes(path, "".join(f"{field}\r\n" for field in fields))


def fill(path, size):
    """A header of exactly `size` bytes: one field is as long as it takes."""
    return ask(path, "Cookie: " + "c" * (size - len(ask(path, "Cookie: "))))


@pytest.mark.parametrize("data", named({
    "a large cookie": ask("/check?policy=login&key=x", "Cookie: " + "c" * 9980),
    "many cookies": ask("/check?policy=login&key=x", *(f"Cookie: c{n}={n}" for n in range(80))),
    "many fields": ask("/check?policy=login&key=x", *(f"X-{n}: {n}" for n in range(900))),
    "twelve KiB": fill("/check?policy=login&key=x", HEADER_MAX),
    "a long query": get_bytes("/check?policy=login&key=x&a=" + "b" * 12000),
}))
def test_any_header_up_to_twelve_kib_is_answered_and_charged_once(client, data):
    with client.raw(data + data) as raw:
        assert [raw.read_answer().left for _ in range(2)] == [CAPACITY - 1, CAPACITY - 2]


def test_nine_kb_of_attributes_with_sixteen_policies_are_answered(start_agent):
    text = json.dumps({"policies": {f"p{n:02}" + "x" * 61: window(5, "1m") for n in range(16)}})
    agent = start_agent(http=True, policies=text)
    fields = [f"X-Attr-A{n}: {'v' * 80}" for n in range(90)]
    with Raw(agent.http_address, ask("/check?src=192.0.2.1", *fields)) as raw:
        answer = raw.read_answer()
        assert answer.status == 200
        assert len(answer.json["policies"]) == 16
        raw.send(get_bytes("/health"))
        assert raw.read_answer().status == 200


def test_a_byte_more_is_431_and_the_end(client):
    with client.raw(fill("/check?policy=login&key=x", HEADER_MAX + 1)) as raw:
        assert_problem(raw.read_answer(), 431, "12 KiB")
        assert raw.is_ended()
    assert client.left("x") == CAPACITY


# --- refusals ------------------------------------------------------------------------------------

def lines(*texts):
    return "\r\n".join([*texts, "", ""]).encode()


BROKEN = {
    "a space in Host": (lines("GET /health HTTP/1.1", "Host: a b"), 400),
    "no host in Host": (lines("GET /health HTTP/1.1", "Host: http://a"), 400),
    "a tab in the request line": (lines("GET /health\tHTTP/1.1", "Host: a"), 400),
    "chunks in HTTP/1.0": (lines("POST /check HTTP/1.0", "Host: a", "Connection: keep-alive",
                                 "Transfer-Encoding: chunked") + b"0\r\n\r\n", 400),
    "HTTP/0.9": (b"GET /health\r\n\r\n", 400),
    "HTTP/0.9 with a bare LF": (b"GET /health\nHost: a\r\n\r\n", 400),
    "a fragment": (lines("GET /health#a HTTP/1.1", "Host: a"), 400),
    "another host's URL": (lines("GET http://b/health HTTP/1.1", "Host: a"), 400),
    "no URL and no path": (lines("GET health HTTP/1.1", "Host: a"), 400),
    "HTTP/1.7": (lines("GET /health HTTP/1.7", "Host: a"), 505),
    "a long request line": (b"GET /" + b"a" * 13000, 414),
    "a long field": (b"GET /health HTTP/1.1\r\nX: " + b"a" * 13000, 431),
    "a large body": (lines("POST /check HTTP/1.1", "Host: a", "Content-Length: 65537"), 413),
}


@pytest.mark.parametrize("data, status", named(BROKEN))
def test_a_broken_request_is_a_problem_and_the_end(client, data, status):
    with client.raw(data) as raw:
        answer = raw.read_answer()
        assert_problem(answer, status)
        assert answer.headers["connection"] == "close"
        raw.send(get_bytes("/health"))
        assert raw.is_ended()


BY_HEAD = {
    "404": ("POST /nope HTTP/1.1", "application/json", 404),
    "405": ("PUT /check HTTP/1.1", "application/json", 405),
    "405 of a page": ("POST /health HTTP/1.1", "application/json", 405),
    "405 of a method that nobody knows": ("BREW /check HTTP/1.1", "application/json", 405),
    "415": ("POST /check HTTP/1.1", "text/plain", 415),
    "421": ("GET /status HTTP/1.1", "application/json", 421),
}


@pytest.mark.parametrize("line, kind, status", named(BY_HEAD))
def test_what_the_head_decides_does_not_wait_for_the_body(client, line, kind, status):
    head = lines(line, "Host: agent", f"Content-Type: {kind}", f"Content-Length: {len(GOOD)}")

    with client.raw(head + GOOD[:-1]) as raw:
        answer = raw.read_answer()
        assert_problem(answer, status)
        assert answer.headers["connection"] == "close"
        assert raw.is_ended()
    with client.raw(head + GOOD + get_bytes("/health")) as raw:
        answer = raw.read_answer()
        assert_problem(answer, status)
        assert "connection" not in answer.headers
        assert raw.read_answer().status == 200
    assert client.left("x") == CAPACITY


def test_without_the_token_a_body_is_not_waited_for(start_agent, tmp_path):
    token = tmp_path / "token"
    token.write_text("secret\n")
    agent = start_agent("--http-token-file", token, http=True, policies=http_client.POLICIES)

    with Raw(agent.http_address, post_bytes(GOOD)[:-1]) as raw:
        assert_problem(raw.read_answer(), 401)
        assert raw.is_ended()


def test_continue_is_said_when_the_head_is_good_only(client):
    expect = "Expect: 100-continue\r\n"
    with client.raw(post_bytes(GOOD, extra=expect)[:-len(GOOD)]) as raw:
        assert raw.read_answer().status == 100
        raw.send(GOOD)
        assert raw.read_answer().left == CAPACITY - 1
    with client.raw(post_bytes(GOOD, "/nope", extra=expect)[:-len(GOOD)]) as raw:
        assert_problem(raw.read_answer(), 404)
        assert raw.is_ended()


@pytest.mark.parametrize("host, status", named({
    "localhost": ("localhost", 200), "with a port": ("LocalHost:8080", 200),
    "IPv4": ("127.0.0.1:80", 200), "IPv6": ("[::1]:80", 200), "another": ("attacker.example", 421),
    "nearly": ("localhost.example", 421), "nearly IPv4": ("127.0.0.1.example", 421)}))
def test_what_loopback_may_see_wants_a_host_of_this_machine(client, host, status):
    for path in ("/status", "/top"):
        with client.raw(get_bytes(path, host=host)) as raw:
            answer = raw.read_answer()
            assert answer.status == status
            if status == 421:
                assert_problem(answer, 421, "Host")
    with client.raw(get_bytes("/check?policy=login&key=x", host=host)) as raw:
        assert raw.read_answer().left == CAPACITY - 1


@pytest.mark.parametrize("headers, status", named({
    "cross-site": ({"Sec-Fetch-Site": "cross-site"}, 403),
    "same-site": ({"Sec-Fetch-Site": "same-site"}, 403),
    "same-origin": ({"Sec-Fetch-Site": "same-origin"}, 200),
    "typed": ({"Sec-Fetch-Site": "none"}, 200),
    "another origin": ({"Origin": "https://b.example"}, 403),
    "no origin": ({"Origin": "null"}, 403),
    "its own origin": ({"Host": "a.example:80", "Origin": "http://A.example:80"}, 200),
    "another port": ({"Host": "a.example:80", "Origin": "http://a.example:81"}, 403),
    "passed on by a proxy": ({"Sec-Fetch-Site": "cross-site", "X-Forwarded-For": "192.0.2.1"}, 200),
}))
def test_what_a_browser_sends_for_another_site_charges_nothing(client, headers, status):
    answer = client.check_get(policy="login", key="x", headers=headers)

    assert answer.status == status
    if status == 403:
        assert_problem(answer, 403)
    assert client.left("x") == CAPACITY - (status == 200)


# --- answers that are not read ---------------------------------------------------------------------

def test_pages_that_nobody_reads_are_bounded(start_agent):
    text = json.dumps({"policies": {f"p{n}": window(5, "1m") for n in range(10_000)}})
    agent = start_agent(http=True, policies=text)
    with HttpClient(agent) as client:
        page = len(client.get("/metrics").body)
        assert page > MIB
        before = agent.rss_bytes()
        deaf = []
        for _ in range(60):
            raw = Raw(agent.http_address)
            raw.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            raw.send(get_bytes("/metrics"))
            deaf.append(raw)
            time.sleep(0.05)  # so that the copies are of several seconds
        assert client.get("/health").status == 200
        # The bound, and what one page takes while it is written.
        assert agent.rss_bytes() - before < 16 * MIB + 3 * page
        assert client.get("/metrics").status == 200
        for raw in deaf:
            raw.close()


# --- time ----------------------------------------------------------------------------------------

def test_half_a_request_line_over_a_unix_socket_has_ten_seconds(start_agent, tmp_path):
    path = tmp_path / "http.sock"
    start_agent(http=f"unix:{path}", policies=http_client.POLICIES)
    with socket.socket(socket.AF_UNIX) as half, Stalls() as stalls:
        half.settimeout(60)
        half.connect(str(path))
        half.sendall(b"GET /hea")
        began = time.monotonic()
        assert half.recv(1) == b""
        seconds = time.monotonic() - began
    assert 9 < seconds < 13 + stalls.longest


# --- connections -----------------------------------------------------------------------------------

def connections(client):
    return client.get("/status").json["connections"]["http"]


def test_a_newcomer_closes_who_asks_slowly_before_who_is_idle(start_agent):
    agent = start_agent("--http-max-connections", "4", http=True, policies=http_client.POLICIES)
    with HttpClient(agent) as client:
        client.get("/health")
        idle, slow, slower = (Raw(agent.http_address) for _ in range(3))
        slower.send(b"GET /")
        wait_until(lambda: connections(client) == 4, "all connections")
        client.get("/health")  # by its answer the agent has read what came before
        slow.send(b"GET /")
        client.get("/health")

        with HttpClient(agent) as newcomer:
            assert newcomer.get("/health").status == 200
            assert slower.is_ended()
            idle.send(get_bytes("/health"))
            slow.send(b"health HTTP/1.1\r\nHost: a\r\n\r\n")
            assert idle.read_answer().status == slow.read_answer().status == 200
            assert "ratelimit_http_connections_dropped_total{reason=\"evicted\"} 1\n" in \
                client.get("/metrics").body.decode()


def other_address():
    """This machine's own, by which it comes to itself as another one would."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(("192.0.2.1", 9))  # nothing is sent
        return probe.getsockname()[0]


def test_an_address_has_a_bound_of_its_own_and_loopback_has_none(start_agent):
    agent = start_agent("--http-max-per-address", "2", http="0.0.0.0:0",
                        policies=http_client.POLICIES)
    port = agent.http_address.rsplit(":", 1)[1]
    far = [Raw(f"{other_address()}:{port}") for _ in range(2)]
    near = [Raw(f"127.0.0.1:{port}") for _ in range(4)]
    with HttpClient(agent, f"127.0.0.1:{port}") as client:
        wait_until(lambda: connections(client) == 7, "all connections")
        third = Raw(f"{other_address()}:{port}", get_bytes("/health"))
        assert third.read_answer().status == 200
        assert far[0].is_ended()
        for raw in (far[1], *near):
            raw.send(get_bytes("/health"))
            assert raw.read_answer().status == 200


# --- the end ---------------------------------------------------------------------------------------

def test_half_a_request_does_not_hold_up_a_drain(start_agent):
    agent = start_agent(http=True, policies=http_client.POLICIES)
    with Raw(agent.http_address, b"GET /hea") as half, HttpClient(agent) as client:
        wait_until(lambda: connections(client) == 2, "both connections")
        began = time.monotonic()
        agent.signal(signal.SIGTERM)
        assert half.is_ended()
        assert agent.wait() == 0
        assert time.monotonic() - began < 5
    assert agent.events("ending")[0]["http_requests"] == 0


def test_from_sigterm_on_answers_say_that_the_connection_ends(start_agent):
    agent = start_agent("--drain-delay", "60s", http=True, policies=http_client.POLICIES)
    with Raw(agent.http_address, get_bytes("/health")) as raw:
        assert "connection" not in raw.read_answer().headers
        agent.signal(signal.SIGTERM)
        agent.wait_for_event("draining")
        raw.send(get_bytes("/health"))
        assert raw.read_answer().headers["connection"] == "close"
        assert raw.is_ended()


def test_the_drain_counts_http_and_waits_for_its_verdicts(start_agent, redis):
    agent = start_agent("--store-timeout", "2s", http=True, policies=http_client.POLICIES,
                        store=redis.url)
    agent.wait_for_store()
    redis.signal(signal.SIGSTOP)
    try:
        with Raw(agent.http_address, get_bytes("/check?policy=login&key=x")) as raw:
            with HttpClient(agent) as client:
                wait_until(lambda: client.get("/status").json["connections"]["http"] == 2, "both")
            agent.signal(signal.SIGTERM)
            answer = raw.read_answer()
            assert answer.json["degraded"] is True
            assert answer.headers["connection"] == "close"
        assert agent.wait() == 0
    finally:
        redis.signal(signal.SIGCONT)
    assert agent.events("ending")[0]["http_requests"] == 1


def test_a_late_denial_has_the_status_that_was_asked_for(start_agent, redis):
    agent = start_agent("--store-timeout", "2s", http=True, policies=http_client.POLICIES,
                        store=redis.url)
    agent.wait_for_store()
    with HttpClient(agent) as client:
        for status in (401, 403, 429):
            answer = client.check_get(policy="login", key="x", cost=9, deny_status=status)
            assert (answer.status, answer.json["reason"]) == (status, "limited")
