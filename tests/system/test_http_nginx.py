"""A real nginx whose auth_request asks /auth, as docs/http.md says."""

import http.client
import signal
import socket
import threading

import pytest

from agent import bucket, policies_text, window
from cases import named
from http_client import HttpClient
from nginx import DOCS, Nginx
from processes import PATIENCE, wait_until
from web import exchange, get

CAPACITY = 3
POLICIES = policies_text(per_ip=bucket(CAPACITY, "1/1h"),
                         per_user=window(100, key=["x-user"]),
                         login={**bucket(1, "1/1h", key=["host"]),
                                "match": {"path": "/login", "method": "POST"}})


@pytest.fixture
def agent(start_agent):
    return start_agent(http=True, policies=POLICIES)


@pytest.fixture
def start_nginx(origin, tmp_path, started):
    def start(agent_address, *changes):
        server = Nginx(tmp_path, agent_address, origin.address, changes)
        started.append(server)
        return server
    return start


@pytest.fixture
def nginx(start_nginx, agent):
    return start_nginx(agent.http_address)


def test_a_denial_is_429_with_its_headers(nginx, origin):
    answers = [get(nginx.port) for _ in range(CAPACITY + 2)]

    assert [answer.status for answer in answers] == [200] * CAPACITY + [429] * 2
    assert answers[0].limits == {"ratelimit": '"per-ip";r=2;t=3600',
                                 "ratelimit-policy": '"per-ip";q=3;w=10800'}
    wait = answers[-1].limits["retry-after"]
    assert 3500 < int(wait) <= 3600
    assert answers[-1].limits["ratelimit"] == f'"per-ip";r=0;t={wait}'
    # One more was nginx's start.
    assert origin.requests == CAPACITY + 1


def test_each_client_has_a_balance_of_its_own(nginx, agent):
    for source in ("127.0.0.2", "127.0.0.3"):
        assert [get(nginx.port, source).status for _ in range(4)] == [200] * 3 + [429]
    with agent.connect() as peer:
        assert peer.ask(policy="per-ip", key="127.0.0.2", cost=0).remaining == 0
        assert peer.ask(policy="per-ip", key="127.0.0.4", cost=0).remaining == CAPACITY


def request(port, path, headers=None, method="GET"):
    connection = http.client.HTTPConnection("127.0.0.1", port, PATIENCE)
    try:
        connection.putrequest(method, path, skip_host=True)
        for name, value in {"Host": "site", **(headers or {})}.items():
            connection.putheader(name, value)
        connection.endheaders()
        return connection.getresponse().status
    finally:
        connection.close()


PATHS = {
    "cost": "/x?a&cost=0", "cost escaped": "/x%3fa%26cost=0", "cost behind a path": "/x&cost=0",
    "another client": "/x?src=203.0.113.9", "an escaped client": "/%3fsrc=203.0.113.9",
    "another policy": "/x?policy=per-user&key=x", "deny_status": "/x?deny_status=200",
    "a line end": "/x%0d%0aX-Attr-Cost:%200", "a NUL": "/x%00", "bad UTF-8": "/%ff%fe",
    "a hash": "/x%23&cost=0", "long": "/" + "a" * 3000, "dots": "/a/../b", "an escape": "/%zz",
    "dots behind an escape": "/a%2f..;/b", "another proxy": "/x?from=traefik&uri=/",
}
HEADERS = {
    "cost": {"X-Attr-Cost": "0"}, "src": {"X-Attr-Src": "203.0.113.9"},
    "policy": {"X-Attr-Policy": "per-user", "X-Attr-Key": "x"}, "method": {"Expect": "nothing"},
    "user": {"X-User": "x&cost=0"}, "bad user": {"X-User": b"\xff"},
    "bad user with escapes": {"X-User": "%00"},
    "length": {"Content-Length": "0"}, "another type": {"Content-Type": "text/plain"},
    "an encoding": {"Content-Encoding": "gzip"}, "a trace": {"traceparent": "x"},
    "what nginx would say": {"X-Original-URI": "/y", "X-Original-Method": "PUT",
                             "X-Original-Host": "y", "X-Real-IP": "203.0.113.9"},
    "what others would say": {"X-Forwarded-Uri": "/y", "X-Forwarded-For": "203.0.113.9",
                              "X-Forwarded-Method": "PUT", "X-Original-URL": "http://y/"},
    "another site": {"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"},
    "credentials": {"Authorization": "Bearer x"}, "cookies": {"Cookie": "c" * 7000},
    "a host": {"Host": "203.0.113.9"}, "a broken host": {"Host": "a..b"},
}


@pytest.mark.parametrize("path, headers", [
    *named({f"path: {name}": (path, {}) for name, path in PATHS.items()}),
    *named({f"header: {name}": ("/", headers) for name, headers in HEADERS.items()})])
def test_nothing_a_client_says_gets_it_through(nginx, agent, origin, path, headers):
    seen = origin.requests
    statuses = [request(nginx.port, path, headers) for _ in range(CAPACITY + 5)]

    assert statuses.count(200) <= CAPACITY
    assert origin.requests - seen <= CAPACITY
    assert set(statuses[CAPACITY:]) <= {429, 400}, statuses
    with agent.connect() as peer:
        for key in ("127.0.0.2", "203.0.113.9"):
            assert peer.ask(policy="per-ip", key=key, cost=0).remaining == CAPACITY


@pytest.mark.parametrize("method", ["POST", "HEAD", "PUT", "DELETE"])
def test_every_method_is_counted(nginx, method):
    statuses = [request(nginx.port, "/", method=method) for _ in range(CAPACITY + 2)]

    assert statuses[-2:] == [429, 429]


def test_a_value_arrives_as_it_is(nginx, agent):
    request(nginx.port, "/a%20b?c=d", {"X-User": "m&m 100%"})

    with agent.connect() as peer:
        assert peer.ask(policy="per-user", key="m&m 100%", cost=0).remaining == 99


def raw_request(target, *fields, version="1.1", method="GET"):
    """The status of the answer, and whether it came from the origin."""
    head = "\r\n".join([f"{method} {target} HTTP/{version}", "Connection: close", *fields, "", ""])
    return head.encode("latin-1")


def status_of(port, data, source="127.0.0.2"):
    return int(exchange(port, data, source).split(b" ")[1])


@pytest.mark.parametrize("path", ["/login", "//login/", "/%6cogin;a=1", "/login?path=/x"])
def test_a_policy_for_a_path_applies(nginx, path):
    first, second = [request(nginx.port, path, method="POST") for _ in range(2)]
    assert (first, second) == (200, 429)
    assert request(nginx.port, path, {"Host": "other"}, method="POST") == 200


def test_a_whole_url_is_its_path_and_its_host(nginx):
    url = "http://site/login"
    assert [request(nginx.port, url, method="POST") for _ in range(2)] == [200, 429]
    assert request(nginx.port, url, {"Host": "other"}, method="POST") == 429
    assert request(nginx.port, "/login", {"Host": "other"}, method="POST") == 200


def test_eight_kb_of_uri_with_eight_kb_of_host_are_limited(nginx, origin):
    # What nginx itself takes: the request line and each field in a buffer of 8 KiB.
    data = raw_request("/" + "a" * 8000, "Host: " + "h" * 8000, "X-User: " + "u" * 8000)
    seen = origin.requests

    assert [status_of(nginx.port, data) for _ in range(CAPACITY + 2)] == [200] * 3 + [429] * 2
    assert origin.requests - seen == CAPACITY


@pytest.mark.parametrize("size", [20_000, 60_000])
def test_a_larger_uri_than_the_agent_takes_does_not_get_through(start_nginx, agent, origin, size):
    nginx = start_nginx(agent.http_address,
                        ("server_name", "large_client_header_buffers 4 64k;\n    server_name"))
    data = raw_request("/" + "a" * size, "Host: a")
    seen = origin.requests
    statuses = [status_of(nginx.port, data) for _ in range(CAPACITY + 2)]

    assert statuses == ([200] * 3 + [429] * 2 if size < 32_000 else [429] * 5)
    assert origin.requests - seen == statuses.count(200)


@pytest.mark.parametrize("changes", [[], [("    server_name example.com;", "    #")]],
                         ids=["with a name", "without a name"])
def test_http_1_0_without_a_host_is_limited(start_nginx, agent, origin, changes):
    data = raw_request("/", version="1.0")
    if changes:
        nginx = start_nginx(agent.http_address, *changes)
    else:
        nginx = start_nginx(agent.http_address)
    seen = origin.requests
    statuses = [status_of(nginx.port, data) for _ in range(CAPACITY + 2)]

    assert statuses == ([429] * 5 if changes else [200] * 3 + [429] * 2)
    assert origin.requests - seen == statuses.count(200)


def test_sixteen_policies_with_long_names_are_limits_too(start_agent, start_nginx):
    """The header of such an answer is the largest that there is."""
    names = [f"p{number:02}" + "x" * 61 for number in range(16)]
    agent = start_agent(http=True, policies=policies_text(
        **{name: window(10**12, "365d", "fixed_window", ["src"]) for name in names[1:]},
        last=bucket(CAPACITY)))
    nginx = start_nginx(agent.http_address)

    answers = [get(nginx.port, "127.0.0.2") for _ in range(CAPACITY + 2)]
    assert [answer.status for answer in answers] == [200] * CAPACITY + [429] * 2
    assert sum(map(len, answers[0].limits.values())) > 2500


def test_a_body_is_the_applications_and_not_the_agents(nginx):
    body = b"x" * 2**20
    data = raw_request("/", "Host: a", f"Content-Length: {len(body)}", method="POST") + body

    assert [status_of(nginx.port, data) for _ in range(CAPACITY + 1)] == [200] * 3 + [429]
    waits = raw_request("/", "Host: a", "Content-Length: 1", "Expect: 100-continue", method="POST")
    assert exchange(nginx.port, waits + b"x", "127.0.0.3").startswith(b"HTTP/1.1 100")


# --- without the agent -----------------------------------------------------------------------------

def test_with_a_killed_agent_visitors_go_on(start_nginx, agent, origin):
    nginx = start_nginx(agent.http_address)
    assert get(nginx.port).status == 200
    agent.kill()

    seen = origin.requests
    answers = [get(nginx.port, "127.0.0.2") for _ in range(CAPACITY + 5)]
    assert {answer.status for answer in answers} == {200}
    assert not any(answer.limits for answer in answers)
    assert origin.requests - seen == CAPACITY + 5


def test_with_a_hanging_agent_visitors_go_on_after_a_moment(start_nginx, agent):
    nginx = start_nginx(agent.http_address)
    assert get(nginx.port).status == 200
    agent.signal(signal.SIGSTOP)

    for _ in range(3):
        answer = get(nginx.port, "127.0.0.2")
        assert answer.status == 200 and 0.09 < answer.seconds < 2
    agent.signal(signal.SIGCONT)
    wait_until(lambda: get(nginx.port, "127.0.0.3").limits, "verdicts again")


def test_who_would_rather_deny_without_the_agent_can(start_nginx, agent, origin):
    assert "`return 403;`" in DOCS
    nginx = start_nginx(agent.http_address, ("return 204;", "return 403;"))
    assert get(nginx.port).status == 200
    agent.kill()

    seen = origin.requests
    assert {get(nginx.port, "127.0.0.2").status for _ in range(3)} == {429}
    assert origin.requests == seen


def test_visitors_whose_verdict_an_ending_agent_owes_go_on(start_agent, start_nginx, redis):
    """The agent says 503 to them."""
    agent = start_agent("--store-timeout", "60s", "--drain-timeout", "100ms", http=True,
                        policies=POLICIES, store=redis.url).wait_for_store()
    agent.ends_at_once = False
    nginx = start_nginx(agent.http_address, ("proxy_read_timeout 100ms", "proxy_read_timeout 30s"))
    redis.signal(signal.SIGSTOP)
    answers = []
    visitor = threading.Thread(target=lambda: answers.append(get(nginx.port, "127.0.0.2")))
    visitor.start()
    with HttpClient(agent) as client:
        wait_until(lambda: client.get("/status").json["in_flight"] > 0, "a check")
    agent.signal(signal.SIGTERM)
    visitor.join()
    redis.signal(signal.SIGCONT)
    assert [answer.status for answer in answers] == [200]


# --- many connections ------------------------------------------------------------------------------

def other_address():
    """This machine's own, by which it comes to itself as another one would."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(("192.0.2.1", 9))  # nothing is sent
        return probe.getsockname()[0]


def requests_that_wait_at(address):
    """How many connections to it have bytes in them that it has not read; it is on this machine."""
    host, port = address.rsplit(":", 1)
    wanted = f"{socket.inet_aton(host)[::-1].hex()}:{int(port):04x}".upper()
    with open("/proc/net/tcp", encoding="ascii") as lines:
        fields = [line.split() for line in lines]
    return sum(at == wanted and state == "01" and not queues.endswith(":00000000")
               for _, at, _, state, queues, *_ in fields[1:])


def test_six_hundred_connections_of_one_proxy_are_answered(start_agent, start_nginx):
    """More than --http-max-per-address, all of them asked before the agent sees the first."""
    agent = start_agent(http="0.0.0.0:0", policies=policies_text(per_ip=bucket(100, "1/1h")))
    address = f"{other_address()}:{agent.http_address.rsplit(':', 1)[1]}"
    nginx = start_nginx(address, ("proxy_read_timeout 100ms", "proxy_read_timeout 20s"),
                        ("proxy_connect_timeout 100ms", "proxy_connect_timeout 20s"))
    agent.signal(signal.SIGSTOP)
    visitors = []
    for number in range(600):
        visitors.append(socket.create_connection(("127.0.0.1", nginx.port), PATIENCE,
                                                 (f"127.0.1.{1 + number % 3}", 0)))
        visitors[-1].sendall(raw_request("/", "Host: a"))
    wait_until(lambda: requests_that_wait_at(address) >= 600, "600 requests")
    agent.signal(signal.SIGCONT)
    statuses = [int(visitor.recv(65536).split(b" ")[1]) for visitor in visitors]
    for visitor in visitors:
        visitor.close()

    assert (statuses.count(200), statuses.count(429)) == (300, 300)
