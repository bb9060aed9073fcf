"""Each example with applications behind it that read paths in different ways: whatever a client
writes, what is served is limited."""

import random
import re
import socket

import pytest

import http2
from path_spellings import REFUSED, SPELLINGS
from processes import PATIENCE
from stand_ins import STAND_INS

MUCH = 50_000
UNLIMITED = {
    "login": [('"limit": 5,', f'"limit": {MUCH},'), ('"limit": 20,', f'"limit": {MUCH},')],
    "path-cost": [('"capacity": 40, "refill_rate": "40/1m"',
                   f'"capacity": {MUCH}, "refill_rate": "1/1h"')],
    "backends": [('"limit": 10,', f'"limit": {MUCH},'),
                 ('"capacity": 30, "refill_rate": 10',
                  f'"capacity": {MUCH}, "refill_rate": "1/1h"')]}

TARGETS = ["/login", "/login/", "/api/login", "/api/x", "/export/all", "/search", "/static/x", "/x"]
SEED, SPELLINGS_PER_TARGET = 14, 100

# What stands between two segments, and what may be put before or behind one.
SEPARATORS = [
    "/", "//", "///", "%2f", "%2F", "\\", "%5c", "/;/", "//;x/", "/./", "/.//", "/;/", "/;a=b/",
    "/%2e/", "/y/../", "/y/%2e%2e/", "/a/b/c/d/e/f/../../../../../../", "/y/..;/", "/y%2f..%2f",
    "\\y\\..\\", "/%2e%2e/", "/../"]
TAILS = ["", "", "/", ";", ";a=1", ";a=1/", "%3ba", "//", "/.", "/y/..", "%2f", "/;x", "%00", "%23",
         "%20", "\\", "/%2e", "?a=/../b", "?", "%3f", "%", "%0a", ";/../login",
         "/..;/login", ";%2f..%2flogin"]


def written(random_source, target):
    """A path that some application may read as `target`."""
    text = ""
    for segment in target.split("/")[1:]:
        text += random_source.choice(SEPARATORS) if random_source.random() < 0.5 else "/"
        for letter in segment:
            chance = random_source.random()
            if chance < 0.15:
                letter = f"%{ord(letter):02{random_source.choice('xX')}}"
            elif chance < 0.25:
                letter = letter.upper()
            text += letter
        if random_source.random() < 0.2:
            text += random_source.choice([";", ";a", ";a=1;b", "%3b"])
    return ("" if text[0] == "/" else "/") + text + random_source.choice(TAILS)


def all_written():
    random_source = random.Random(SEED)
    found = {written(random_source, target)
             for target in TARGETS for _ in range(SPELLINGS_PER_TARGET)}
    return sorted(found | set(TARGETS) | {raw for raw, _ in SPELLINGS} | set(REFUSED))


class Line:
    """A connection that is kept as long as the other side keeps it."""

    def __init__(self, port):
        self.port, self.connection = port, None

    def ask(self, raw):
        """The status, the policy that counted with what is left of it, and the page."""
        if self.connection is None:
            self.connection = socket.create_connection(("127.0.0.1", self.port), PATIENCE)
        request = f"POST {raw} HTTP/1.1\r\nHost: example.com\r\nContent-Length: 0\r\n\r\n"
        self.connection.sendall(request.encode("latin-1"))
        head, body = self._read()
        counted = re.search(r'^ratelimit: "([a-z-]+)";r=(\d+)', head, re.M | re.I)
        return int(head[9:12]), counted and (counted[1], int(counted[2])), body

    def _read(self):
        data = b""
        while b"\r\n\r\n" not in data:
            more = self.connection.recv(65536)
            assert more, data
            data += more
        head, _, body = data.partition(b"\r\n\r\n")
        head = head.decode("latin-1")
        length = int(re.search(r"^content-length: (\d+)", head, re.M | re.I)[1])
        while len(body) < length:
            body += self.connection.recv(65536)
        if re.search(r"^connection: close", head, re.M | re.I) or head[9:12] != "200":
            self.close()
        return head, body.decode("latin-1")

    def close(self):
        if self.connection is not None:
            self.connection.close()
        self.connection = None


@pytest.fixture
def line():
    """Opens a connection to a port for the time of the test."""
    lines = []

    def to(port):
        lines.append(Line(port))
        return lines[-1]
    yield to
    for opened in lines:
        opened.close()


@pytest.fixture(params=STAND_INS)
def stand_in(request, tmp_path, started):
    directory = tmp_path / "stand-in"
    directory.mkdir()
    started.append(STAND_INS[request.param](directory))
    return started[-1]


@pytest.fixture
def start_in_front_of(start_example, origin):
    """An example, whose numbers are so large that nobody is denied, in front of an application."""
    def start(name, application):
        return start_example(name, UNLIMITED[name], [(origin.address, application.address)])
    return start


def served(line, stand_in):
    """The page that the application serves for each path when nobody stands before it."""
    direct = line(stand_in.port)
    pages = {raw: direct.ask(raw) for raw in all_written()}
    return {raw: page for raw, (status, _, page) in pages.items() if status == 200}


def test_the_login_page_is_limited_however_it_is_written(line, stand_in, start_in_front_of):
    pages, through = served(line, stand_in), line(start_in_front_of("login", stand_in).port)

    got = {raw: through.ask(raw) for raw in pages}

    logins = {raw: counted for raw, (status, counted, page) in got.items()
              if status == 200 and page == "login"}
    assert logins and not [raw for raw, counted in logins.items() if counted is None]
    # Nothing is served by another name: what is not refused is the page that was asked for.
    assert all(page == pages[raw] for raw, (status, _, page) in got.items() if status == 200)
    assert {status for status, _, _ in got.values()} == {200, 400}
    assert len([raw for raw, page in pages.items() if page == "login"]) > 50


COSTS = {"export": 20, "search": 5}


def test_the_cost_is_taken_however_the_path_is_written(line, stand_in, start_in_front_of):
    pages, through = served(line, stand_in), line(start_in_front_of("path-cost", stand_in).port)
    left, cheap, seen = MUCH, [], set()

    for raw in pages:
        status, counted, page = through.ask(raw)
        if status == 200:
            assert left - counted[1] in (1, 5, 20)
            if left - counted[1] < COSTS.get(page, 1):
                cheap.append(raw)
            left = counted[1]
            seen.add(page)

    assert not cheap
    assert seen >= {"export", "search", "login", "other"}


def test_each_backend_is_limited_however_the_path_is_written(line, stand_in, start_in_front_of):
    pages, through = served(line, stand_in), line(start_in_front_of("backends", stand_in).port)
    wrong, seen = [], set()

    for raw in pages:
        status, counted, page = through.ask(raw)
        if status != 200:
            continue
        seen.add((page, counted and counted[0]))
        if page != "static" and (counted is None or (page == "api" and counted[0] != "api")):
            wrong.append((raw, page, counted))

    assert not wrong
    assert seen >= {("api", "api"), ("other", "site"), ("static", None)}


def expected(name, path):
    """What the example does with a normalised path: the policy that counts, or the cost."""
    if name == "login":
        path = path.lower()
        is_login = path in ("/login", "/api/login") or path.startswith(("/login/", "/api/login/"))
        return "login-minute" if is_login else None
    if name == "path-cost":
        return next((cost for page, cost in COSTS.items() if path.startswith("/" + page)), 1)
    return "api" if (path + "/").lower().startswith("/api/") else "site"


@pytest.mark.parametrize("name", UNLIMITED)
def test_the_table_of_spellings_at_each_example(name, line, origin, start_in_front_of):
    """Also what no application serves is limited by its normalised path, or refused."""
    haproxy = start_in_front_of(name, origin)
    through, left, got = line(haproxy.port), MUCH, {}
    table = SPELLINGS + [
        ("/api;x/a", "/api/a"), ("/%61PI//a", "/aPI/a"), ("/api/", "/api"),
        ("/export;/a", "/export/a"), ("//%65xport", "/export"), ("/s%65arch/;x", "/search"),
        ("/api/login/;", "/api/login")]

    for raw, _ in table:
        status, counted, _ = through.ask(raw)
        assert status == 200, raw
        got[raw] = counted and counted[0]
        if name == "path-cost":
            got[raw], left = left - counted[1], counted[1]

    assert got == {raw: expected(name, path) for raw, path in table}
    for raw in REFUSED:
        assert through.ask(raw)[0] == 400, raw
        assert http2.ask(haproxy.port, method=b"POST", path=raw.encode("latin-1"))[0] == 400, raw


def test_what_is_not_limited_must_be_written_so(line, origin, start_in_front_of):
    through = line(start_in_front_of("backends", origin).port)

    for raw in ("/static/x", "/static//x", "/static/x;y", "/static/%78"):
        assert through.ask(raw)[:2] == (200, None), raw
    for raw in ("/static;/x", "/static%2fx", "/static\\x", "//static/x", "/%73tatic/x", "/static",
                "/STATIC/x"):
        status, counted, _ = through.ask(raw)
        assert (status, counted[0]) == (200, "site"), raw
