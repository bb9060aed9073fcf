"""What else passes through a proxy that asks the agent, and through one whose agent hangs."""

import signal
from contextlib import ExitStack

import pytest

from agent import bucket, policies_text
from client import HOST, Talk, ask, curl, open_websocket
from proxy_recipes import GOES_ON, RECIPES

VISITOR, DENIED = "127.0.0.2", "127.0.0.3"
POLICIES = policies_text(per_ip=bucket(100) | {
    "overrides": [{"match": {"src": DENIED}, "blocked": True}]})
MEGABYTE = 1_000_000


@pytest.fixture(params=[(name, False) for name in RECIPES] + [(name, True) for name in GOES_ON],
                ids=lambda case: case[0] + (", the agent hangs" if case[1] else ""))
def proxy(request, start_proxy):
    """A proxy of each recipe, and again with an agent that hangs."""
    recipe, hangs = request.param
    started = start_proxy(recipe, POLICIES, is_patient=not hangs)
    if hangs:
        started.agent.signal(signal.SIGSTOP)
    return started


def test_all_kinds_of_requests_pass(proxy, tmp_path):
    port = proxy.port
    body = tmp_path / "body"
    body.write_bytes(MEGABYTE * b"x")

    for method in ("GET", "HEAD", "OPTIONS", "DELETE"):
        answer = ask(port, VISITOR, method, "/a%20b?c=d")
        assert answer.status == 200
        assert answer.body == (b"" if method == "HEAD" else b"from the site\n")
        assert proxy.site.seen[-1][:2] == (method, "/a%20b?c=d")
    for method in ("POST", "PUT"):
        assert ask(port, VISITOR, method, "/", body=body.read_bytes()).status == 200
        assert (proxy.site.seen[-1].method, proxy.site.seen[-1].body_bytes) == (method, MEGABYTE)

    assert curl(proxy.http2_port, VISITOR, "--http2-prior-knowledge") == (200, "2")
    assert curl(proxy.http2_port, VISITOR, "--http2-prior-knowledge", "--data-binary",
                f"@{body}") == (200, "2")
    assert proxy.site.seen[-1].body_bytes == MEGABYTE


def test_a_body_that_waits_for_100_passes(proxy):
    with Talk(proxy.port, VISITOR, (
            f"POST / HTTP/1.1\r\nHost: {HOST}\r\nExpect: 100-continue\r\n"
            f"Content-Length: {MEGABYTE}\r\n\r\n").encode()) as talk:
        assert talk.read_head() == 100
        talk.send(MEGABYTE * b"x")
        assert talk.read_answer() == 200
    assert proxy.site.seen[-1].body_bytes == MEGABYTE


def test_a_site_that_fails_is_asked_once(proxy):
    reached = proxy.site.requests

    assert ask(proxy.port, VISITOR, "POST", "/cut", body=b"x").status in (502, 503, 504)
    assert proxy.site.requests == reached + 1


def test_websockets_pass(proxy):
    with open_websocket(proxy.port, VISITOR) as talk:
        assert talk.read_head() == 101
        for word in (b"\x81\x05hello", b"\x00\xff"):
            talk.send(word)
            assert talk.read(len(word)) == word


def test_many_requests_at_once_are_limited(recipe, start_proxy):
    """A proxy that could not ask for all of them would let some of them go on."""
    limit, count = 3, 1500
    # Two recipes bound the connections to the agent, so that it needs no room for more.
    keywords = {"room": []} if recipe in ("caddy", "envoy") else {}
    proxy = start_proxy(recipe, policies_text(per_ip=bucket(limit)), **keywords)
    reached = proxy.site.requests

    got = []
    for _ in range(2):  # the second time with connections to the agent that are open already
        with ExitStack() as stack:
            talks = [stack.enter_context(Talk(proxy.port, VISITOR)) for _ in range(count)]
            for talk in talks:
                talk.send(f"GET / HTTP/1.1\r\nHost: {HOST}\r\n\r\n".encode())
            got += [talk.read_answer() for talk in talks]

    assert (got.count(200), got.count(429)) == (limit, 2 * count - limit)
    assert proxy.site.requests == reached + limit


def test_each_kind_of_request_is_denied(recipe, start_proxy, tmp_path):
    proxy = start_proxy(recipe, POLICIES)
    body = tmp_path / "body"
    body.write_bytes(MEGABYTE * b"x")
    reached = proxy.site.requests

    for method in ("GET", "HEAD", "OPTIONS", "DELETE"):
        assert ask(proxy.port, DENIED, method).status == 429
    assert curl(proxy.port, DENIED, "--data-binary", f"@{body}") == (429, "1.1")
    # The curl of Debian 12 loses an answer that comes over HTTP/2 before the body is sent.
    assert curl(proxy.http2_port, DENIED, "--http2-prior-knowledge") == (429, "2")
    with open_websocket(proxy.port, DENIED) as talk:
        assert talk.read_head() == 429
    assert proxy.site.requests == reached
