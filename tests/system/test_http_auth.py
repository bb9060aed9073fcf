"""/auth, as each proxy asks it. test_http_nginx.py asks through a real nginx."""

import pytest

from agent import bucket, policies_text
from cases import named
from http_client import HttpClient, Raw, assert_problem

CAPACITY = 3
POLICIES = policies_text(
    per_ip=bucket(CAPACITY), per_key=bucket(CAPACITY, key=["x-api-key"]),
    login={**bucket(1, key=["host"]), "match": {"path": "/login", "method": "P*", "query": "q=*"}})
KIB = 1024


@pytest.fixture
def agent(start_agent):
    return start_agent(http=True, policies=POLICIES)


def forwarded(path, src="192.0.2.1", method="GET", host="example.com"):
    return {"X-Forwarded-Method": method, "X-Forwarded-Host": host, "X-Forwarded-Uri": path,
            "X-Forwarded-For": src}


def original(path, src="192.0.2.1", method="GET", host="example.com"):
    return {"X-Original-Method": method, "X-Original-Host": host, "X-Original-URI": path,
            "X-Real-IP": src}


def ingress(path, src="192.0.2.1", method="GET", host="example.com"):
    return {"X-Original-Method": method, "X-Original-URL": f"https://{host}{path}",
            "X-Forwarded-For": src}


def request_bytes(query, fields, method="GET", host="agent", version="HTTP/1.1"):
    lines = [f"{method} /auth?{query} {version}", f"Host: {host}",
             *(f"{name}: {value}" for name, value in fields.items())]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def ask(agent, query, fields, method="GET", host="agent", version="HTTP/1.1"):
    """One request over a new connection."""
    with Raw(agent.http_address, request_bytes(query, fields, method, host, version)) as raw:
        return raw.read_answer(is_head=method == "HEAD")


class Proxy:
    """How a proxy asks of a visitor's request."""

    def __init__(self, name, fields, denial=429):
        self.name, self.fields, self.denial = name, fields, denial

    def ask(self, agent, path="/", more="", headers=None, **visitor):
        query = f"from={self.name}{more}"
        if self.name == "envoy":
            fields = {"X-Forwarded-For": visitor.get("src", "192.0.2.1"), **(headers or {})}
            return ask(agent, f"{query}&uri={path}", fields, visitor.get("method", "GET"),
                       visitor.get("host", "example.com"))
        return ask(agent, query, {**self.fields(path, **visitor), **(headers or {})})


PROXIES = [Proxy("traefik", forwarded), Proxy("caddy", forwarded), Proxy("nginx", original, 403),
           Proxy("ingress-nginx", ingress, 403), Proxy("envoy", None)]
every_proxy = pytest.mark.parametrize("proxy", PROXIES, ids=lambda proxy: proxy.name)


@every_proxy
def test_each_visitor_is_limited(agent, proxy):
    answers = [proxy.ask(agent) for _ in range(CAPACITY + 1)]

    assert [answer.status for answer in answers] == [200] * CAPACITY + [proxy.denial]
    assert answers[0].headers["ratelimit"].startswith('"per-ip";r=2')
    assert int(answers[-1].headers["retry-after"]) > 0
    assert answers[-1].json["reason"] == "limited"
    assert proxy.ask(agent, src="192.0.2.2").status == 200
    # In src alone a port and a zone are cut off.
    assert proxy.ask(agent, src="192.0.2.1:4711").status == proxy.denial


@every_proxy
def test_method_host_path_and_query_are_the_visitors(agent, proxy):
    def login(**visitor):
        return proxy.ask(agent, **{"method": "POST", "path": "/login?q=1", **visitor}).status

    assert login(src="192.0.2.1") == 200
    assert login(src="192.0.2.2", path="/a%2f..%2flogin?q=1") == proxy.denial  # a segment ..
    assert login(src="192.0.2.3", path="//%6cogin/;a?q=2", host="EXAMPLE.com.:8443") == proxy.denial
    assert login(src="192.0.2.4", method="GET") == 200
    assert login(src="192.0.2.5", path="/login?r") == 200
    assert login(src="192.0.2.6", path="/Login?q=1") == 200
    assert login(src="192.0.2.7", host="other.example.com") == 200


@every_proxy
@pytest.mark.parametrize("path", ["/../x", "/%", "/%00", "/a/%2e%2e/b", "/x%23y"])
def test_a_refused_path_is_a_denial_and_charges_nothing(agent, proxy, path):
    for _ in range(CAPACITY + 1):
        assert_problem(proxy.ask(agent, path), proxy.denial, "path")
    with agent.connect() as peer:
        assert peer.ask(policy="per-ip", key="192.0.2.1", cost=0).remaining == CAPACITY


@every_proxy
def test_fields_that_the_visitor_adds_change_nothing(agent, proxy):
    headers = {"X-Attr-Cost": "0", "X-Attr-Src": "192.0.2.9", "Authorization": "Bearer x",
               "Cookie": "a=b", "Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site",
               "traceparent": "x", "Expect": "nothing", "Content-Length": "0"}
    foreign = {**forwarded("/x", "192.0.2.9"), **original("/x", "192.0.2.9"),
               **ingress("/x", "192.0.2.9")}
    own = set(proxy.fields("/")) if proxy.fields else {"X-Forwarded-For"}
    headers |= {name: value for name, value in foreign.items() if name not in own}
    statuses = [proxy.ask(agent, "/?cost=0&src=192.0.2.8", headers=headers).status
                for _ in range(CAPACITY + 1)]

    assert statuses == [200] * CAPACITY + [proxy.denial]
    with agent.connect() as peer:
        for key in ("192.0.2.8", "192.0.2.9"):
            assert peer.ask(policy="per-ip", key=key, cost=0).remaining == CAPACITY


@every_proxy
def test_heads_of_up_to_32_kib_each_are_answered_and_larger_ones_denied(agent, proxy):
    long = "/" + "a" * (32 * KIB - 200)
    assert proxy.ask(agent, long).status == 200
    assert proxy.ask(agent, headers={"Cookie": "c" * (32 * KIB - 400)}).status == 200
    for path, cookie in ((long + "b" * 300, ""), ("/", "c" * 33 * KIB)):
        assert_problem(proxy.ask(agent, path, headers={"Cookie": cookie}), proxy.denial, "32 KiB")
    assert proxy.ask(agent, headers={"Cookie": "c" * 33 * KIB}, more="&deny_status=401"
                     ).status == 401


def test_both_parts_may_be_large_at_once(agent):
    path = "/" + "a" * (32 * KIB - 100)
    with Raw(agent.http_address) as raw:
        data = request_bytes(f"from=envoy&uri={path}", {"X-Forwarded-For": "192.0.2.1",
                                                        "Cookie": "c" * (32 * KIB - 100)})
        for _ in range(CAPACITY):
            for at in range(0, len(data), 10_000):
                raw.send(data[at:at + 10_000])
            assert raw.read_answer().status == 200
        raw.send(data)
        assert raw.read_answer().status == 429


@pytest.mark.parametrize("fields", named({
    "a field twice": {"X-Forwarded-For": "192.0.2.1", "content-length": "1", "Content-Length": "1"},
    "a broken length": {"Content-Length": "-1"}, "a control character": {"X": "a\x01b"},
    "no field": {"a b": "c"}, "an unknown coding": {"Transfer-Encoding": "gzip"},
}))
def test_what_a_visitor_makes_of_a_head_is_a_denial(agent, fields):
    assert_problem(ask(agent, "from=envoy&deny_status=403&uri=/", fields), 403)
    assert_problem(ask(agent, "uri=/", fields), 400)


@pytest.mark.parametrize("data", named({
    "a hash": b"GET /auth?from=envoy&uri=/a#b HTTP/1.1\r\n\r\n",
    "a space": b"GET /auth?from=envoy&uri=/a b HTTP/1.1\r\n\r\n",
    "a version": b"GET /auth?from=envoy&uri=/ HTTP/2.0\r\n\r\n",
    "no host": b"GET /auth?from=envoy&uri=/ HTTP/1.1\r\n\r\n",
    "a broken host": b"GET /auth?from=envoy&uri=/ HTTP/1.1\r\nHost: a b\r\n\r\n",
    "two hosts": b"GET /auth?from=envoy&uri=/ HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
}))
def test_a_broken_head_is_a_denial(agent, data):
    with Raw(agent.http_address, data) as raw:
        assert_problem(raw.read_answer(), 429)
        assert raw.is_ended()


@pytest.mark.parametrize("query", [
    "", "from=", "from=haproxy", "from=nginx&from=nginx", "from=nginx&key=x", "from=nginx&cost=0",
    "from=nginx&algorithm=token_bucket", "from=nginx&limit=1", "from=nginx&src=192.0.2.1",
    "from=nginx&path=/", "from=nginx&raw_path=/", "from=nginx&query=x", "from=nginx&host=a",
    "from=nginx&method=GET", "from=nginx&header=src", "from=nginx&header=Cost",
    "from=nginx&tenant=a&header=Tenant", "from=nginx&deny_status=429", "from=nginx&deny_status=503",
    "from=nginx&xff=1", "from=nginx&uri=/"])
def test_a_mistake_in_the_proxys_configuration_is_400(agent, query):
    assert_problem(ask(agent, query, original("/")), 400)


def test_an_unknown_policy_is_404(agent):
    assert_problem(ask(agent, "from=nginx&policy=nobody", original("/")), 404, "nobody")


def test_a_header_that_is_left_out_shares_a_balance_when_its_policy_is_named(agent):
    def denied(query, headers):
        return [PROXIES[0].ask(agent, more=query, headers=headers, src=f"192.0.2.{number}"
                               ).status for number in range(CAPACITY + 1)][-1] == 429

    named_policy = "&header=X-API-Key&policy=per-key"
    assert denied(named_policy, {})
    assert PROXIES[0].ask(agent, more=named_policy, headers={"x-api-key": ""}).status == 429
    assert denied(named_policy, {"X-Api-Key": "a\xff"})
    assert not denied("&header=X-API-Key", {})
    assert denied("&header=X-API-Key", {"X-Api-Key": "b"})


def test_xff_counts_from_the_right(agent):
    def ask_by(entries, xff):
        return PROXIES[0].ask(agent, src=entries, more=f"&xff={xff}").status

    assert [ask_by(f"198.51.100.{n}, 192.0.2.1, 10.0.0.{n}", 2) for n in range(4)] == \
        [200] * 3 + [429]
    assert ask_by("192.0.2.1", 2) == 429
    assert ask_by("192.0.2.7, x", 1) == 429


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PURGE",
                                    "PROPFIND", "M-SEARCH"])
def test_every_method_is_answered(agent, method):
    answers = [ask(agent, "from=nginx", original("/"), method) for _ in range(CAPACITY + 1)]

    assert [answer.status for answer in answers] == [200] * CAPACITY + [403]
    assert (answers[0].body == b"") == (method == "HEAD")
    assert int(answers[0].headers["content-length"]) > 0


@pytest.mark.parametrize("fields", named({
    "a megabyte": {"Content-Length": str(2**20)}, "chunks": {"Transfer-Encoding": "chunked"},
    "a body that is asked for": {"Content-Length": "5", "Expect": "100-continue"}}))
def test_an_announced_body_is_not_awaited(agent, fields):
    with Raw(agent.http_address, request_bytes("from=nginx", original("/") | fields, "POST")) as raw:
        answer = raw.read_answer()
        assert answer.status == 200
        assert answer.headers["connection"] == "close"
        assert raw.is_ended()


def test_a_body_that_is_here_is_skipped(agent):
    data = request_bytes("from=nginx", {**original("/"), "Content-Length": "5"}, "POST") + b"hello"
    with Raw(agent.http_address, data * (CAPACITY + 1)) as raw:
        assert [raw.read_answer().status for _ in range(CAPACITY + 1)] == [200] * 3 + [403]


def test_no_token_is_wanted(start_agent, tmp_path):
    token = tmp_path / "token"
    token.write_text("s3cret\n")
    token.chmod(0o600)
    agent = start_agent("--http-token-file", token, http=True, policies=POLICIES)

    assert ask(agent, "from=nginx", original("/")).status == 200
    with HttpClient(agent) as client:
        assert client.get("/check?src=192.0.2.1").status == 401


def test_an_address_for_admins_does_not_have_it(start_agent):
    agent = start_agent("--admin-listen", "127.0.0.1:0", http=True, policies=POLICIES)
    admin = agent.listening("http", 2)[1]
    with Raw(admin, request_bytes("from=nginx", original("/"))) as raw:
        assert raw.read_answer().status == 404


@every_proxy
def test_a_denial_by_error_is_no_5xx(start_agent, proxy):
    agent = start_agent("--on-error", "deny", http=True, policies=POLICIES,
                        store="redis://127.0.0.1:1")
    answer = proxy.ask(agent)
    assert (answer.status, answer.json["reason"]) == (proxy.denial, "error")
    assert answer.headers["retry-after"] == "1"


def test_it_is_counted_as_http(agent):
    for _ in range(CAPACITY + 1):
        ask(agent, "from=nginx", original("/"))
    ask(agent, "from=nginx", original("/.."))
    with HttpClient(agent) as client:
        text = client.get("/metrics").body.decode()
    assert 'requests_allowed_total{policy="per-ip",source="http"} 3' in text
    assert 'requests_blocked_total{policy="per-ip",source="http"} 1' in text
