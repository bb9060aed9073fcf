"""A real nginx whose auth_request asks /check."""

import http.client

import pytest

from agent import bucket, policies_text, window
from cases import named
from nginx import Nginx
from processes import PATIENCE
from web import get

CAPACITY = 3
POLICIES = policies_text(per_ip=bucket(CAPACITY, "1/1h"),
                         per_user=window(100, key=["user"]))


@pytest.fixture
def agent(start_agent):
    return start_agent(http=True, policies=POLICIES)


@pytest.fixture
def nginx(agent, origin, tmp_path, started):
    server = Nginx(tmp_path, agent.http_address, origin.address)
    started.append(server)
    return server


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
    "a hash": "/x%23&cost=0", "long": "/" + "a" * 3000,
}
HEADERS = {
    "cost": {"X-Attr-Cost": "0"}, "src": {"X-Attr-Src": "203.0.113.9"},
    "policy": {"X-Attr-Policy": "per-user", "X-Attr-Key": "x"}, "method": {"Expect": "nothing"},
    "user": {"X-User": "x&cost=0"}, "bad user": {"X-User": b"\xff"},
    "bad user with escapes": {"X-User": "%00"},
    "length": {"Content-Length": "0"}, "another type": {"Content-Type": "text/plain"},
    "an encoding": {"Content-Encoding": "gzip"}, "a trace": {"traceparent": "x"},
}


@pytest.mark.parametrize("path, headers", [
    *named({f"path: {name}": (path, {}) for name, path in PATHS.items()}),
    *named({f"header: {name}": ("/", headers) for name, headers in HEADERS.items()})])
def test_nothing_a_client_says_gets_it_through(nginx, agent, origin, path, headers):
    seen = origin.requests
    statuses = [request(nginx.port, path, headers) for _ in range(CAPACITY + 5)]

    assert statuses.count(200) <= CAPACITY
    assert origin.requests - seen <= CAPACITY
    assert set(statuses[CAPACITY:]) <= {429, 400, 500}, statuses
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
