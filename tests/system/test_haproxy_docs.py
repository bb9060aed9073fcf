"""Runs each snippet of docs/haproxy.md, put into the shipped files where the page says."""

import base64
import concurrent.futures
import contextlib
import hashlib
import http.server
import json
import re
import socket
import socketserver
import threading

import pytest

import http2
from agent import run
from examples import PATIENT, SLOW, asked, checks, statuses
from fake_agent import SlowAgent
from haproxy import LOG_REQUESTS, SHIPPED, SHIPPED_LOG, check, replace_all, shipped_files
from processes import PATIENCE, ROOT, wait_until
from recipes import PAGE, blocks_of, policies_of, replacements_of, section_of
from web import exchange, get

TITLES = re.findall(r"^## (.*)$", PAGE, re.M)
WITH_SNIPPETS = [title for title in TITLES if blocks_of(title, "haproxy")]


@pytest.fixture(name="start_recipe")
def make_start_recipe(start_agent, start_haproxy):
    """HAProxy with the shipped files and a recipe of the page; its agent is `haproxy.agent`."""
    def start(title, policies=(), conf=()):
        agent = start_agent(policies=replace_all(policies_of(title), policies), http=True)
        changes = replacements_of(title)
        haproxy = start_haproxy(agent.address, spoe=[*PATIENT, *changes["spoe"]],
                                conf=[*changes["conf"], *conf])
        wait_until(lambda: haproxy.agent_is("UP"), "the agent")
        haproxy.agent = agent
        return haproxy
    return start


def ask(port, method="GET", target="/", body="", fields=(), source="127.0.0.1"):
    """The whole answer to a request with these header fields."""
    lines = [f"{method} {target} HTTP/1.1", "Host: example.com", "Connection: close",
             *([f"Content-Length: {len(body)}"] if body else []), *fields, "", body]
    return exchange(port, "\r\n".join(lines).encode("latin-1"), source).decode("latin-1")


def status_of(answer):
    return int(answer[9:12])


@pytest.mark.parametrize("title", WITH_SNIPPETS)
def test_it_is_good_without_a_warning(title, suite, tmp_path):
    result = check(suite, shipped_files(tmp_path, **replacements_of(title)))

    assert result.returncode == 0, result.stderr
    assert "[" not in result.stdout + result.stderr  # [WARNING], [ALERT], [NOTICE]


@pytest.mark.parametrize("title", [title for title in TITLES if blocks_of(title, "json")])
def test_the_policies_are_good(title, tmp_path):
    path = tmp_path / "policies.json"
    path.write_text(policies_of(title))

    assert run("check-config", "--policies", path).returncode == 0


def test_the_page_lists_its_sections_and_each_section_is_tested():
    listed = re.findall(r"\[([^\]]+)\]\(#", PAGE[:PAGE.index("\n## ")])
    source = (ROOT / "tests/system/test_haproxy_docs.py").read_text()

    assert len(listed) == len(TITLES)
    for title in WITH_SNIPPETS:
        assert f'"{title}"' in source, title


@pytest.mark.parametrize("place", re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", PAGE))
def test_what_the_page_links_is_there(place):
    assert (ROOT / "docs" / place).exists()


# --- gRPC -----------------------------------------------------------------------------------------

GRPC = [(b"content-type", b"application/grpc"), (b"te", b"trailers")]


def test_grpc(start_recipe):
    haproxy = start_recipe("gRPC", SLOW)

    def call(**request):
        return http2.ask(haproxy.port, method=b"POST", path=b"/shop.Cart/Add", **request)

    assert [call(fields=GRPC)[0] for _ in range(20)] == [200] * 20
    got, fields = call(fields=GRPC)
    assert got == 200 and b"grpc-status\x018" in fields
    pushback = re.search(rb"grpc-retry-pushback-ms.(\d+)", fields, re.S)
    assert 3_000_000 < int(pushback[1]) <= 3_600_000
    assert b"limit exceeded" in fields and b"application/grpc" in fields
    assert call()[0] == 429


def test_grpc_that_is_denied_for_ever_is_told_not_to_retry(start_recipe):
    haproxy = start_recipe("gRPC", [*SLOW, ('"key": ["src"] }', '"key": ["src"], "overrides": '
                                            '[{ "match": { "src": "127.0.0.9" }, "blocked": true }] }')])

    _, fields = http2.ask(haproxy.port, "127.0.0.9", fields=GRPC)

    assert b"grpc-retry-pushback-ms\x02-1" in fields


# --- CORS -----------------------------------------------------------------------------------------

PREFLIGHT = ["Access-Control-Request-Method: POST"]
OURS = "Origin: https://www.example.com"


def test_cors(start_recipe, origin):
    haproxy = start_recipe("CORS", SLOW)

    for _ in range(40):
        answer = ask(haproxy.port, "OPTIONS", fields=[OURS, *PREFLIGHT])
        assert status_of(answer) == 204
        assert "access-control-allow-origin: https://www.example.com" in answer.lower()
    assert origin.requests == asked(haproxy) == 0
    assert statuses(haproxy, 20) == [200] * 20
    denied = ask(haproxy.port, fields=[OURS]).lower()
    assert status_of(denied) == 429
    assert "access-control-allow-origin: https://www.example.com" in denied
    assert "access-control-expose-headers: retry-after" in denied and "vary: origin" in denied


@pytest.mark.parametrize("fields", [
    [OURS], PREFLIGHT, ["Origin: https://evil.example", *PREFLIGHT],
    ["Origin: null", *PREFLIGHT], ["Origin: https://www.example.com.evil.example", *PREFLIGHT]])
def test_cors_what_is_no_preflight_of_ours_counts(start_recipe, fields):
    haproxy = start_recipe("CORS", SLOW)

    answers = [ask(haproxy.port, "OPTIONS", fields=fields) for _ in range(21)]

    assert [status_of(answer) for answer in answers][-1] == 429
    assert asked(haproxy) == 21
    if OURS not in fields:
        assert "access-control-allow-origin" not in answers[-1].lower()


# --- JSON bodies ----------------------------------------------------------------------------------

JSON = ["Content-Type: application/json"]


def post(haproxy, body, *fields, target="/", source="127.0.0.1"):
    return status_of(ask(haproxy.port, "POST", target, body, fields, source))


def test_json_body(start_recipe):
    haproxy = start_recipe("JSON bodies", SLOW)

    got = [post(haproxy, json.dumps({"x": [n], "tenant": "a"}), *JSON) for n in range(21)]
    assert got == [200] * 20 + [429]
    assert post(haproxy, '{"tenant":"b"}', *JSON) == 200
    assert post(haproxy, '{ "deep": {"tenants": 1}, "tenant" : "a" }', *JSON) == 429
    assert post(haproxy, '{"tenant":"a"}', "Content-Type: text/plain") == 429
    for method in ("GET", "PUT", "DELETE"):
        assert status_of(ask(haproxy.port, method, "/", '{"tenant":"a"}', JSON)) == 429
    assert statuses(haproxy, 30) == [200] * 30


CHUNKED = ('POST / HTTP/1.1\r\nHost: example.com\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n'
           '\r\n8\r\n{"tenant\r\n6\r\n":"a"}\r\n0\r\n\r\n')


def test_json_body_in_chunks(start_recipe):
    haproxy = start_recipe("JSON bodies", SLOW)

    got = [exchange(haproxy.port, CHUNKED.encode())[9:12] for _ in range(21)]

    assert got == [b"200"] * 20 + [b"429"]


NOBODYS = {
    "none": '{"x":1}', "empty": "{}", "text": "tenant=a", "an array": '[{"tenant":"a"}]',
    "two": '{"tenant":"a","tenant":"b"}', "two, in lines": '{"tenant"\n:"a",\n"tenant":\t"b"}',
    "escaped name": '{"\\u0074enant":"b","tenant":"a"}', "cut": '{"tenant',
    "a NUL": '{"tenant":"a"\0,"tenant":"b"}', "null": '{"tenant":null}', "an object": '{"tenant":{"a":1}}',
    "behind much": json.dumps({"x": 9000 * "x", "tenant": "a"}),
    "two, the second behind much": '{"tenant":"a","x":"' + 16000 * "x" + '","tenant":"b"}',
}


@pytest.mark.parametrize("body", NOBODYS.values(), ids=NOBODYS)
def test_json_body_of_nobody(start_recipe, origin, body):
    haproxy = start_recipe("JSON bodies", SLOW)

    got = post(haproxy, body, *JSON)
    chunked = (CHUNKED[:CHUNKED.index("8\r\n{")] + f"{len(body):x}\r\n{body}\r\n0\r\n\r\n").encode()

    assert got in (400, 413)
    assert exchange(haproxy.port, chunked)[9:12] in (b"400", b"413")
    assert origin.requests == 0


# --- logins by user -------------------------------------------------------------------------------

FORM = ["Content-Type: application/x-www-form-urlencoded"]
SAME_USER = [
    ("username=alice&password=x", FORM), ("password=x&username=Alice", FORM),
    ("username=+alice+&x=1", FORM), ("username=%61lice", FORM), ("username=alice%20", FORM),
    ('{"username":"alice","password":"x"}', JSON), ('{"password":"\\"","username":" ALICE "}', JSON)]


def addresses():
    """A new client for each request, so that none uses up its own limit."""
    return (f"127.0.1.{n}" for n in range(1, 255))


def test_login_by_user(start_recipe):
    haproxy = start_recipe("Logins by user")
    source = addresses()

    for n in range(10):
        body, fields = SAME_USER[n % len(SAME_USER)]
        assert post(haproxy, body, *fields, target="/login", source=next(source)) == 200, body
    for body, fields in SAME_USER:
        assert post(haproxy, body, *fields, target="/Login/", source=next(source)) == 429, body
    assert post(haproxy, "username=bob", *FORM, target="/login", source=next(source)) == 200
    assert statuses(haproxy, 30, path="/login") == [200] * 30


def test_login_by_user_limits_addresses_too(start_recipe):
    haproxy = start_recipe("Logins by user")

    got = [post(haproxy, f"username=u{n}", *FORM, target="/login") for n in range(6)]

    assert got == [200] * 5 + [429]


TWO_READINGS = {
    "two users": ("username=alice&username=bob", FORM), "no user": ("password=x", FORM),
    "an escaped name": ("username=alice&user%6eame=bob", FORM),
    "an upper-case name": ("username=alice&USERNAME=bob", FORM),
    "a name with a plus": ("username=alice&+username=bob", FORM),
    "a name with a space": ("username=alice&%20username=bob", FORM),
    "lines between": ("username=alice&x=%0a&username=bob", FORM),
    "raw lines": ("username=alice&x=\n&username=bob", FORM), "a NUL": ("username=alice\0&username=bob", FORM),
    "an escaped NUL": ("username=alice%00&username=bob", FORM),
    "a broken escape": ("username=alice&user%6eame=bob&x=%zz", FORM),
    "a user and a list": ("username=alice&username[]=bob", FORM),
    "a user and an escaped list": ("username=alice&username%5B%5D=bob", FORM),
    "a semicolon": ("x=1;username=bob&username=alice", FORM),
    "a list": ("username[]=bob", FORM), "no type": ("username=alice", []),
    "another type": ("username=alice", ["Content-Type: multipart/form-data; boundary=x"]),
    "JSON as a form": ('{"username":"alice"}', FORM), "a form as JSON": ("username=alice", JSON),
    "JSON with a NUL": ('{"username":"alice"\0,"username":"bob"}', JSON),
    "two JSON users": ('{"username":"alice","username":"bob"}', JSON),
    "an escaped JSON name": ('{"user\\u006eame":"bob","username":"alice"}', JSON),
    "much": ("x=" + 9000 * "x" + "&username=alice", FORM),
    "two types": ("username=alice", [*FORM, *JSON]),
}


@pytest.mark.parametrize("body, fields", TWO_READINGS.values(), ids=TWO_READINGS)
def test_login_that_two_may_read_differently(start_recipe, origin, body, fields):
    haproxy = start_recipe("Logins by user")

    assert post(haproxy, body, *fields, target="/login") in (400, 413)
    assert origin.requests == 0


def test_login_by_another_way_than_the_body(start_recipe, origin):
    haproxy = start_recipe("Logins by user")

    assert post(haproxy, "username=a", *FORM, target="/login?username=bob") == 400
    assert status_of(ask(haproxy.port, "PUT", "/login", "username=a", FORM)) == 405
    assert status_of(ask(haproxy.port, "GET", "/login?username=bob")) == 400
    for field in ("X-HTTP-Method-Override: POST", "X-HTTP-Method: POST", "X-Method-Override: POST"):
        assert status_of(ask(haproxy.port, "GET", "/login", "username=bob", [*FORM, field])) == 400
    assert status_of(ask(haproxy.port, "GET", "/login?_method=post")) == 400
    assert origin.requests == 0


# --- plans that change ----------------------------------------------------------------------------

def test_plans_that_change(start_example):
    haproxy = start_example("api-key", policies=[('"1m"', '"1h"')])
    (block,) = blocks_of("Plans that change while HAProxy runs", "sh")
    commands = re.findall(r'echo "(.+)" \| socat stdio /run/haproxy/admin\.sock\n', block)
    assert len(commands) == len(block.splitlines()) == 3

    def type_command(command):
        told = haproxy.ask(command.replace("/etc/haproxy", str(haproxy.directory)))
        assert told.strip() == "", told

    free, new = {"X-Api-Key": "k-free-1"}, {"X-Api-Key": "k-new-1"}
    assert statuses(haproxy, 11, headers=free) == [200] * 10 + [429]
    type_command(commands[0])
    assert statuses(haproxy, 101, headers=free) == [200] * 100 + [429]
    type_command(commands[1])
    assert statuses(haproxy, 11, "127.0.0.2", headers=new) == [200] * 10 + [429]
    type_command(commands[2])
    assert get(haproxy.port, headers=free).headers["ratelimit-policy"].count("anonymous") == 1
    haproxy.reload()
    assert get(haproxy.port, headers=free).headers["ratelimit-policy"].count("anonymous") == 0


# --- WebSockets -----------------------------------------------------------------------------------

WEBSOCKET = ["Upgrade: WebSocket", "Sec-WebSocket-Version: 13",
             "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="]


def open_websocket(port, source):
    """The status of the handshake, and what came back of "hello"."""
    lines = ["GET /chat HTTP/1.1", "Host: example.com", "Connection: Upgrade", *WEBSOCKET, "", ""]
    with socket.create_connection(("127.0.0.1", port), PATIENCE, (source, 0)) as connection:
        connection.sendall("\r\n".join(lines).encode())
        head = b""
        while b"\r\n\r\n" not in head:
            head += connection.recv(1) or pytest.fail(f"it ended: {head}")
        got = int(head[9:12])
        if got != 101:
            return got, b""
        for _ in range(50):
            connection.sendall(b"hello")
        echo = b""
        while len(echo) < 250:
            echo += connection.recv(250)
        return got, echo


@pytest.fixture(name="echo")
def start_echo():
    """The address of an application that takes over each connection and says what it hears."""
    class Echo(socketserver.StreamRequestHandler):
        def handle(self):
            head = b""
            while (line := self.rfile.readline()).strip():
                head += line
            key = re.search(rb"sec-websocket-key: (\S+)", head, re.I)[1]
            accept = hashlib.sha1(key + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11")  # RFC 6455
            self.wfile.write(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n"
                             b"Upgrade: websocket\r\nSec-WebSocket-Accept: "
                             + base64.b64encode(accept.digest()) + b"\r\n\r\n")
            with contextlib.suppress(ConnectionError):
                while data := self.connection.recv(4096):
                    self.connection.sendall(data)

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Echo) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        yield f"127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


def test_websockets(start_recipe, origin, echo):
    haproxy = start_recipe("WebSockets", [*SLOW, ('"5/1m"', '"5/1h"')],
                           conf=[(origin.address, echo)])

    assert [open_websocket(haproxy.port, "127.0.0.2") for _ in range(6)] == \
        [(101, 50 * b"hello")] * 5 + [(429, b"")]
    assert asked(haproxy) == 6
    assert checks(haproxy, "websockets", "allowed") == 5


def test_websockets_over_http_2(start_recipe, origin, echo):
    """Extended CONNECT, RFC 8441."""
    haproxy = start_recipe("WebSockets", [*SLOW, ('"5/1m"', '"5/1h"')],
                           conf=[(origin.address, echo)])

    got = [http2.ask(haproxy.port, method=b"CONNECT", path=b"/chat", fields=[
        (b":protocol", b"websocket"), (b"sec-websocket-version", b"13")])[0] for _ in range(6)]

    assert got == [200] * 5 + [429]
    assert checks(haproxy, "websockets", "denied") == 1


# --- the log --------------------------------------------------------------------------------------

def test_the_verdict_in_the_log(start_recipe, tmp_path):
    haproxy = start_recipe("The verdict in HAProxy's log", SLOW, conf=[
        (SHIPPED_LOG, LOG_REQUESTS)])

    statuses(haproxy, 21, path="/x y".replace(" ", "+"))
    wait_until(lambda: sum(" rl=" in line for line in haproxy.lines()) == 21, "HAProxy's log")

    lines = [line for line in haproxy.lines() if " rl=" in line]
    assert lines[0].endswith(' "GET /x+y HTTP/1.1" rl=ok policy=per-ip remaining=19 retry_after=0 err=-')
    assert re.search(r" 429 .* rl=limited policy=per-ip remaining=0 retry_after=3\d{3} err=-$", lines[20])
    log = tmp_path / "haproxy.log"
    log.write_text("\n".join(lines) + "\n")
    done = run("replay", "--format", "haproxy", "--policies", SHIPPED / "policies.json",
               stdin=log.read_text())
    assert done.returncode == 0, done.stderr
    assert done.stderr.startswith("requests: 21, ")


def test_the_error_in_the_log(start_recipe):
    haproxy = start_recipe("The verdict in HAProxy's log", conf=[
        (SHIPPED_LOG, LOG_REQUESTS)])
    haproxy.agent.kill()
    wait_until(lambda: haproxy.agent_is("DOWN"), "HAProxy's check to fail")

    get(haproxy.port)

    last = wait_until(lambda: [line for line in haproxy.lines() if " rl=" in line], "HAProxy's log")[-1]
    assert re.search(r" rl=- policy=- remaining=- retry_after=- err=(2|257)$", last)


# --- compression and cache ------------------------------------------------------------------------

class Page(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.server.count += 1
        body = 200 * b"a page that is worth to be compressed\n"
        self.send_response(200)
        self.send_header("Content-Type", "text/plain")
        self.send_header("Cache-Control", "max-age=60")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):  # pylint: disable=arguments-differ
        pass


@pytest.fixture(name="pages")
def start_pages():
    """An application whose answers may be cached and compressed, and that counts its requests."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Page) as server:
        server.count = 0
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def test_compression_and_cache(start_recipe, origin, pages):
    haproxy = start_recipe("Compression and cache", SLOW,
                           conf=[(origin.address, f"127.0.0.1:{pages.server_port}")])
    gzip = {"Accept-Encoding": "gzip"}

    answers = [get(haproxy.port, "127.0.0.2", headers=gzip) for _ in range(20)]
    assert {answer.status for answer in answers} == {200}
    assert {answer.headers["content-encoding"] for answer in answers} == {"gzip"}
    assert [int(re.search(r"r=(\d+)", answer.headers["ratelimit"])[1]) for answer in answers] == \
        list(range(19, -1, -1))
    assert pages.count <= 2
    assert get(haproxy.port, "127.0.0.2", headers=gzip).status == 429
    other = get(haproxy.port, "127.0.0.3")
    assert (other.status, other.headers["ratelimit"][:14]) == (200, '"per-ip";r=19;')
    assert "content-encoding" not in other.headers and "retry-after" not in other.headers
    assert asked(haproxy) == 22


# --- long values ----------------------------------------------------------------------------------

def test_long_values(start_recipe):
    haproxy = start_recipe("Values that may be long", SLOW)
    long = {"User-Agent": 6000 * "x"}

    assert [get(haproxy.port, path="/?" + 7000 * "x", headers=long).status for _ in range(21)] == \
        [200] * 20 + [429]
    assert asked(haproxy) == 21


# --- maxconn at the agent -------------------------------------------------------------------------

def ask_at_once(haproxy, count):
    """How many of so many simultaneous requests no agent decided."""
    with concurrent.futures.ThreadPoolExecutor(count) as pool:
        answers = list(pool.map(lambda _: get(haproxy.port), range(count)))
    return sum(not answer.was_asked for answer in answers)


@pytest.mark.parametrize("maxconn, all_are_limited", [("", True), (" maxconn 1", False)])
def test_maxconn_at_the_agent_lets_requests_through(start_haproxy, maxconn, all_are_limited):
    answer = {"allowed": True, "reason": "ok", "ratelimit": '"x";r=1'}
    with SlowAgent(answer, seconds=0.1) as agent:
        haproxy = start_haproxy(agent.address, spoe=[("processing 50ms", "processing 2s")], conf=[
            ("check inter 1s fall 2 rise 1", "check inter 1s fall 2 rise 1" + maxconn)])
        wait_until(lambda: haproxy.agent_is("UP"), "the agent")

        assert (ask_at_once(haproxy, 40) == 0) == all_are_limited


# --- HTTP/3 ---------------------------------------------------------------------------------------

def test_what_is_only_read_says_so():
    assert "from HAProxy's documentation; the tests have no client" in section_of("HTTP/3")
    assert "not tested" in section_of("The Data Plane API")
