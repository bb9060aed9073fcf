"""What visitors write into their requests changes neither who they are nor what they ask for."""

from agent import policies_text, window
from client import HOST, ask, exchange

LIMIT = 2
POLICIES = policies_text(
    login=window(LIMIT, key=["src"]) | {
        "match": {"method": "POST", "path": "/login", "host": HOST}})

FIELDS = {
    "cost": [("X-Attr-Cost", "0")],
    "src": [("X-Attr-Src", "203.0.113.9")],
    "policy": [("X-Attr-Policy", "none"), ("X-Attr-Key", "x")],
    "another address": [("X-Forwarded-For", "203.0.113.9")],
    "two addresses": [("X-Forwarded-For", "203.0.113.9"), ("X-Forwarded-For", "203.0.113.10")],
    "no address": [("X-Forwarded-For", "unknown, , \"")],
    "a long list": [("X-Forwarded-For", ", ".join(["203.0.113.9"] * 300))],
    "another list": [("X_Forwarded_For", "203.0.113.9"), ("Forwarded", "for=203.0.113.9")],
    "another real address": [("X-Real-IP", "203.0.113.9"), ("True-Client-IP", "203.0.113.9")],
    "another path": [("X-Forwarded-Uri", "/")],
    "another original path": [("X-Original-URI", "/"), ("X-Original-URL", "http://site.example/")],
    "another path of Envoy": [("X-Envoy-Original-Path", "/"), ("X-Rewrite-URL", "/")],
    "another method": [("X-Forwarded-Method", "GET"), ("X-Original-Method", "GET")],
    "a method in place of the method": [("X-HTTP-Method-Override", "GET")],
    "another host": [("X-Forwarded-Host", "elsewhere"), ("X-Original-Host", "elsewhere")],
    "fields of one hop": [("Connection", "X-Forwarded-For, X-Forwarded-Uri, X-Forwarded-Method"),
                          ("Connection", "X-Forwarded-Host, X-Real-IP, X-Original-URL")],
    "a token": [("Authorization", "Bearer x")],
    "another site": [("Origin", "https://elsewhere"), ("Sec-Fetch-Site", "cross-site")],
    "a trace": [("traceparent", "x"), ("Accept-Encoding", "x"), ("Via", "1.1 x")],
    "an upgrade": [("Upgrade", "h2c"), ("Connection", "Upgrade")],
}
TARGETS = {
    "cost in the query": "/login?cost=0",
    "an address in the query": "/login?src=203.0.113.9&xff=9&from=caddy",
    "a path in the query": "/login?uri=/&uri=/x",
    "a status in the query": "/login?deny_status=200&policy=none&header=x",
    "an escaped path": "/%6cogin",
    "slashes": "//login/",
}


def test_nothing_that_a_visitor_writes_counts(recipe, start_proxy):
    proxy = start_proxy(recipe, POLICIES)
    requests = {name: ("/login", fields) for name, fields in FIELDS.items()} | {
        name: (target, []) for name, target in TARGETS.items()}

    got = {}
    for number, (name, (target, fields)) in enumerate(requests.items(), 2):
        got[name] = [ask(proxy.port, f"127.0.0.{number}", "POST", target, fields, b"x").status
                     for _ in range(LIMIT + 2)]

    expected = {name: [200] * LIMIT + [429] * 2 for name in requests}
    if recipe == "envoy":  # which takes no such request from anybody
        expected["fields of one hop"] = [400] * (LIMIT + 2)
    assert got == expected


# Request lines and fields that some part on the way may refuse to read.
LINES = ["FOO /x", "get /", "OPTIONS *", "GET http://site.example/x", "GET http://elsewhere/x",
         "GET /\xff\xfe", "GET /a|b\"<>{}", "GET /a\\b", "GET /%zz", "GET /%00", "GET /a/../b",
         "GET /a/%2e%2e/b", "GET /a#b", "GET //", "GET /?uri=%0d%0aX-Real-IP:%20x", "GET /?#&&==%",
         "GET ?x", "GET x", "POST /\x01", "DELETE /" + 3000 * "%2f"]
HOSTS = ["", "bad host", "a,b", "[::1]:80", "[::1", "site.example:99999", "user@site.example",
         "site.example/x", "\xc3\xa4", "a..b.", "http://x", "-", "%00", "xn--\xff"]
EXTRA = ["X-Other: \xff\xfe", "X-Other:\t \t", "X-Forwarded-For: \xff", "X-Forwarded-Uri: \xff",
         "X-Original-URL: \xff", "Content-Length: 0", "Transfer-Encoding: chunked", "Upgrade: x",
         "TE: trailers", "Trailer: X-Forwarded-For", "Range: bytes=0-0", "Max-Forwards: 0",
         "Expect: nothing", "Host: site.example", "X-Forwarded-Proto: x", "Content-Encoding: x"]
REQUESTS = [f"{line} HTTP/1.1\r\nHost: {HOST}\r\n" for line in LINES] + [
    f"GET / HTTP/1.1\r\nHost: {host}\r\n" for host in HOSTS] + [
    f"GET / HTTP/1.1\r\nHost: {HOST}\r\n{extra}\r\n" for extra in EXTRA] + [
    "GET / HTTP/1.1\r\n", "GET / HTTP/1.0\r\n", "GET / HTTP/1.9\r\n"]


def test_no_strange_request_passes_for_an_agent_that_is_away(recipe, start_proxy):
    """A refusal that a proxy took for a fault of the agent would let all such requests pass."""
    proxy = start_proxy(recipe, policies_text(per_ip=window(LIMIT)))

    for number, head in enumerate(REQUESTS, 2):
        reached = proxy.site.requests
        for _ in range(LIMIT + 3):
            exchange(proxy.port, f"{head}Connection: close\r\n\r\n0\r\n\r\n".encode("latin-1"),
                     f"127.0.0.{number}")
        assert proxy.site.requests - reached <= LIMIT, head
