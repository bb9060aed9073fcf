"""The lines of haproxy-conf/ that normalise the path and the host, and what they make of each."""

import random
import re

import pytest

import http2
from agent import bucket, policies_text
from examples import PATIENT
from haproxy import SHIPPED, SHIPPED_CONF
from http_client import Raw
from path_spellings import RAW_BYTES, REFUSED, SPELLINGS
from processes import ROOT
from web import exchange

WITH_HOST = [SHIPPED_CONF, SHIPPED / "compose-haproxy.cfg",
             ROOT / "k8s/components/haproxy/haproxy.cfg"]
WITH_PATH = WITH_HOST + [SHIPPED / "examples" / name / "haproxy.cfg"
                         for name in ("backends", "login", "path-cost")]


def lines_between(file, name):
    found = re.findall(rf"^    # {name}: begin\n(.*?)^    # {name}: end\n", file.read_text(),
                       re.M | re.S)
    assert len(found) == 1, file
    return found[0]


@pytest.mark.parametrize("name, files", [("path", WITH_PATH), ("host", WITH_HOST)])
def test_the_lines_are_the_same_everywhere(name, files):
    assert len({lines_between(file, name) for file in files}) == 1


def test_each_example_that_uses_the_path_has_the_lines():
    """Nothing looks at the path as the client wrote it, but where it must be written so."""
    for file in SHIPPED.glob("**/*.cfg"):
        text = re.sub(r"    # path: begin\n.*    # path: end\n", "", file.read_text(), flags=re.S)
        text = re.sub(r"^ *#.*", "", text, flags=re.M)
        raw = re.findall(r"\{ (?:path|url|base|pathq)\w* [^}]*\}|\b(?:path|url|base),", text)
        assert raw in ([], ["{ path_beg /static/ }"]), file
        assert ("txn.path" not in text) or file in WITH_PATH, file
    for file in SHIPPED.glob("**/*-spoe.conf"):
        arguments = " ".join(re.findall(r"^ *args (.*)", file.read_text(), re.M))
        assert not re.search(r"\b(path|url|base)\b(?!=var\(txn\.path\)|\))", arguments), file
        assert not re.search(r"req\.f?hdr\(host", arguments), file


def test_docs_show_the_lines():
    shown = (ROOT / "docs/paths.md").read_text()

    for name in ("path", "host"):
        for line in lines_between(SHIPPED_CONF, name).splitlines():
            assert line.strip() in shown


def test_no_page_sets_the_variables_in_another_way():
    """A line like `set-var(txn.path) path`, copied from another page, would undo the others."""
    for page in sorted(ROOT.glob("docs/*.md")) + [ROOT / "README.md", ROOT / "k8s/README.md"]:
        setting = re.findall(r"set-var\(txn\.(?:path|host)\)", page.read_text())
        assert not setting or page.name == "paths.md", page


SHOW = [("    # rate limit: end", "    http-request return status 200 content-type text/plain "
         'lf-string "%[var(txn.path),hex] %[var(txn.host),hex]."\n    # rate limit: end')]


def ask(port, data):
    """The status of the answer to these bytes, and its body."""
    head, _, body = exchange(port, data).partition(b"\r\n\r\n")
    return int(head.split(b" ")[1]), body.decode()


@pytest.fixture
def start_showing(start_haproxy, start_agent):
    """A HAProxy with the shipped lines, which answers with the path and the host it counts by."""
    def start(*conf):
        agent = start_agent(policies=policies_text(unused=bucket(5, key=["unused"])))
        return start_haproxy(agent.address, conf=[*SHOW, *conf])
    return start


def request(target, host="example.com", version="1.1", method="GET"):
    field = "" if host is None else f"Host: {host}\r\n"
    head = f"{method} {target} HTTP/{version}\r\n{field}Connection: close\r\n\r\n"
    return head.encode("latin-1")


def shown(answer):
    status, body = answer
    if status != 200:
        return status
    path, host = body.rstrip(".").split(" ")
    return bytes.fromhex(path).decode("latin-1"), bytes.fromhex(host).decode("latin-1")


def test_each_spelling_of_the_table(start_showing):
    haproxy = start_showing()

    got = {raw: shown(ask(haproxy.port, request(raw))) for raw, _ in SPELLINGS}
    refused = {raw: shown(ask(haproxy.port, request(raw))) for raw in REFUSED + RAW_BYTES}

    assert got == {raw: (path, "example.com") for raw, path in SPELLINGS}
    assert refused == dict.fromkeys(refused, 400)


def test_a_query_is_no_part_of_it(start_showing):
    haproxy = start_showing()

    for query in ("", "/../x", "%", "%00", ";x", "a=/./"):
        assert shown(ask(haproxy.port, request("/login/?" + query))) == ("/login", "example.com")


def test_a_haproxy_that_lets_more_through_refuses_the_same(start_showing):
    """option accept-invalid-http-request, and later accept-unsafe-violations-in-http-request."""
    haproxy = start_showing(("    option httplog", "    option httplog\n"
                             ".if version_atleast(3.2-dev0)\n"
                             "    option accept-unsafe-violations-in-http-request\n.else\n"
                             "    option accept-invalid-http-request\n.endif"))

    for raw in REFUSED + ["/#", "/login#", "/login#/x"]:
        assert shown(ask(haproxy.port, request(raw))) == 400, raw
    assert shown(ask(haproxy.port, request("/\xc3\xa4/"))) == ("/\xc3\xa4", "example.com")


@pytest.mark.parametrize("target, path", [
    ("http://example.com", "/"), ("http://example.com/", "/"),
    ("http://example.com//login", "/login"), ("HTTP://example.com/login;x", "/login"),
    ("http://example.com/a/../login", None), ("http://example.com/%", None)])
def test_a_whole_url_is_its_path(start_showing, target, path):
    haproxy = start_showing()

    assert shown(ask(haproxy.port, request(target))) == ((path, "example.com") if path else 400)


def test_no_path_at_all_is_the_root(start_showing):
    haproxy = start_showing()

    for target, method, host in (("*", "OPTIONS", "example.com"),
                                 ("http://example.com?x", "GET", "example.com"),
                                 ("example.com:443", "CONNECT", "example.com:443")):
        answer = shown(ask(haproxy.port, request(target, host, method=method)))
        assert answer in (("/", "example.com"), 400), target  # some versions refuse the first two


HOSTS = [
    ("example.com", "example.com"), ("API.Example.com", "api.example.com"),
    ("api.example.com:80", "api.example.com"), ("api.example.com:", "api.example.com"),
    ("api.example.com.", "api.example.com"), ("API.example.com.:8080", "api.example.com"),
    ("a_b-c.example", "a_b-c.example"), ("localhost", "localhost"), ("10.0.0.1:80", "10.0.0.1"),
    ("[2001:DB8::1]:443", "[2001:db8::1]"), ("[::1]", "[::1]"),
    ("[::ffff:10.0.0.1]", "[::ffff:10.0.0.1]"),
    ("", ""), (None, "")]
BAD_HOSTS = [
    "a..", "a..b", ".a", "a:80:80", "a, b", "a b", "a/b", "u@a", "%61pi", "a;b", "::1",
    "[::1", "::1]", "a\\b", "b\xfccher.example", "[::1%25lo]", "a,", "*.a", "."]


def test_each_host(start_showing):
    haproxy = start_showing()

    for host, counted in HOSTS:
        for version in ("1.0", "1.1"):
            got = shown(ask(haproxy.port, request("/", host, version)))
            assert got == ("/", counted), (host, version)
    for host in BAD_HOSTS[:-1]:
        assert shown(ask(haproxy.port, request("/", host))) == 400, host
    assert shown(ask(haproxy.port, request("/", "."))) == ("/", "")


def test_two_hosts_are_refused(start_showing):
    haproxy = start_showing()

    two = b"GET / HTTP/1.1\r\nHost: a.example\r\nHost: b.example\r\nConnection: close\r\n\r\n"
    assert ask(haproxy.port, two)[0] == 400
    assert ask(haproxy.port, request("http://a.example/", "b.example"))[0] == 400


@pytest.fixture
def start_counting(start_haproxy, start_agent):
    """The shipped files with one policy; HAProxy is patient."""
    def start(**policy):
        agent = start_agent(policies=policies_text(p=bucket(10**6, **policy)))
        return start_haproxy(agent.address, spoe=PATIENT)
    return start


def balance_left(answer):
    match = re.search(rb'ratelimit.{0,3}"p";r=(\d+)', answer, re.S | re.I)
    return int(match[1]) if match else None


def test_a_host_has_one_balance_over_http_1_and_2(start_counting):
    haproxy = start_counting(key=["host"])
    hosts = ["api.example.com", "API.example.com", "api.example.com:80", "api.example.com.",
             "aPi.example.com.:80"]

    answers = [exchange(haproxy.port, request("/", host)) for host in hosts]
    answers += [http2.ask(haproxy.port, authority=host.encode())[1] for host in hosts]
    field = (b"host", b"API.example.com:80")
    answers += [http2.ask(haproxy.port, authority=None, fields=[field])[1]]

    left = [balance_left(answer) for answer in answers]
    assert left == list(range(10**6 - 1, 10**6 - 12, -1))


def test_a_request_without_a_host_is_limited_too(start_counting):
    haproxy = start_counting(key=["host"])

    left = [balance_left(exchange(haproxy.port, request("/", host, "1.0")))
            for host in (None, "", None)]

    assert left == [10**6 - 1, 10**6 - 2, 10**6 - 3]


def test_a_path_has_one_balance_over_http_1_and_2(start_counting):
    haproxy = start_counting(key=["path"])
    raws = [raw for raw, path in SPELLINGS if path == "/login"]

    left = [balance_left(exchange(haproxy.port, request(raw))) for raw in raws]
    left += [balance_left(http2.ask(haproxy.port, path=raw.encode("latin-1"))[1]) for raw in raws]

    assert left == list(range(10**6 - 1, 10**6 - 1 - 2 * len(raws), -1))


def test_each_spelling_is_counted(start_counting):
    haproxy = start_counting(key=["path", "host"])

    for raw, _ in SPELLINGS:
        assert balance_left(exchange(haproxy.port, request(raw))) is not None, raw


def test_http_2_refuses_the_same(start_counting):
    haproxy = start_counting(key=["path"])

    for raw in REFUSED + RAW_BYTES + ["", "login", "?x", "http://example.com/login"]:
        assert http2.ask(haproxy.port, path=raw.encode("latin-1"))[0] == 400, raw
    # HAProxy itself cuts the port of http:// from the host: `a:80:80` reaches everybody as `a:80`.
    for host in set(BAD_HOSTS[:-1]) - {"a:80:80"}:
        assert http2.ask(haproxy.port, authority=host.encode("latin-1"))[0] == 400, host


@pytest.mark.parametrize("unit", ["/", ";", "\\", "/;", "%2f", "%3b", "a/", ".", "/.a"])
@pytest.mark.parametrize("key", ["src", "path", "host"])
def test_the_longest_path_is_counted(start_counting, unit, key):
    """What the agent is sent fits into one frame, however long the path and the host are."""
    haproxy = start_counting(key=[key])
    long = "/" + unit * (7000 // len(unit))

    for answer in (exchange(haproxy.port, request(long, "h" * 7000)),
                   exchange(haproxy.port, request(2 * long, "h"))):
        assert balance_left(answer) is not None


# --- /auth reads them in the same way -------------------------------------------------------------

class Auth:
    """/auth of an agent that counts by path and host, and says over SPOP which ones it counted."""

    CAPACITY = 10

    def __init__(self, agent):
        self.agent, self.asked, self.peer = agent, 0, agent.connect()
        self.raw = Raw(agent.http_address)

    def ask(self, target, host):
        """Whether the target and the host are taken. Each of these requests has its own balances,
        by its number."""
        self.asked += 1
        head = (f"GET /auth?from=traefik&number={self.asked} HTTP/1.1\r\nHost: agent\r\n"
                f"X-Forwarded-Method: GET\r\nX-Forwarded-For: 192.0.2.1\r\n"
                f"X-Forwarded-Host: {host}\r\nX-Forwarded-Uri: {target}\r\n\r\n")
        self.raw.send(head.encode("latin-1"))
        answer = self.raw.read_answer()
        if answer.headers.get("connection") == "close":
            self.raw.close()
            self.raw = Raw(self.agent.http_address)
        assert answer.status in (200, 429), answer
        return answer.status == 200

    def counted(self, path, host):
        """Whether the last request was counted by this path and this host."""
        left = self.peer.ask(path=path.encode("latin-1"), host=host, number=str(self.asked),
                             cost=0).remaining
        return left == self.CAPACITY - 1

    def reads_as(self, target, host, shown_by_haproxy):
        is_taken = self.ask(target, host)
        if shown_by_haproxy == 400:
            return not is_taken
        return is_taken and self.counted(*shown_by_haproxy)


@pytest.fixture
def auth(start_agent):
    opened = Auth(start_agent(http=True, policies=policies_text(
        p=bucket(Auth.CAPACITY, key=["path", "host", "number"]))))
    yield opened
    opened.raw.close()
    opened.peer.close()


def random_paths(seed, count):
    pieces = ["/", "/", "a", "login", ".", "..", ";", "%2f", "%2F", "\\", "%5c", "%3b", "%2e", "%2E",
              "%25", "%6c", "%00", "%0a", "%7f", "%23", "%", "%4", "+", "=", "&", "%3f",
              "%ff", "~", "...", "/;", "..;", ";/"]
    chance = random.Random(seed)
    for _ in range(count):
        yield "/" + "".join(chance.choices(pieces, k=chance.randrange(1, 9)))


def test_auth_reads_each_spelling_as_haproxy_does(start_showing, auth):
    haproxy = start_showing()
    paths = [raw for raw, _ in SPELLINGS] + REFUSED + RAW_BYTES + list(random_paths(14, 400))

    for raw in paths:
        for query in ("", "?a=/../b"):
            by_haproxy = shown(ask(haproxy.port, request(raw + query)))
            assert auth.reads_as(raw + query, "example.com", by_haproxy), (raw, by_haproxy)


def test_auth_reads_each_host_as_haproxy_does(start_showing, auth):
    haproxy = start_showing()

    for host in [host for host, _ in HOSTS if host is not None] + BAD_HOSTS:
        by_haproxy = shown(ask(haproxy.port, request("/", host)))
        assert auth.reads_as("/", host, by_haproxy), (host, by_haproxy)


@pytest.mark.parametrize("target", [
    "http://example.com", "http://example.com/", "http://example.com//login", "*",
    "HTTP://example.com/login;x", "http://example.com/a/../login", "http://example.com/%",
    "http://example.com?x"])
def test_auth_reads_a_whole_url_as_haproxy_does(start_showing, auth, target):
    haproxy = start_showing()

    method = "OPTIONS" if target == "*" else "GET"
    by_haproxy = shown(ask(haproxy.port, request(target, method=method)))
    if by_haproxy == 400 and target in ("*", "http://example.com?x"):
        by_haproxy = ("/", "example.com")  # this version refuses all such requests
    assert auth.reads_as(target, "example.com", by_haproxy)
