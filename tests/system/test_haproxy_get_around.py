"""How somebody would get around each example, and what becomes of it: what examples/README.md says.

What can be done with the path is in test_haproxy_walk_around.py.
"""

import http.server
import re
import select
import socket
import threading

import pytest

import http2
from agent import bucket, policies_text
from examples import CDN, NAMES, PATIENT, SLOW, asked, checks, statuses
from haproxy import SHIPPED
from processes import PATIENCE, wait_until
from web import exchange, get

README = (SHIPPED / "examples/README.md").read_text()


def ask(port, *fields, target="/", method="GET", source="127.0.0.1"):
    """The whole answer to a request with these lines as its header fields."""
    lines = [f"{method} {target} HTTP/1.1", "Host: example.com", "Connection: close", *fields,
             "", ""]
    return exchange(port, "\r\n".join(lines).encode("latin-1"), source).decode("latin-1")


def status(port, *fields, **request):
    return int(ask(port, *fields, **request)[9:12])


def left(answer):
    """What is left of the policy that the answer names, or None when nothing was counted."""
    found = re.search(r";r=(\d+)", answer)
    return int(found[1]) if found else None


def test_the_readme_asks_it_of_each_example():
    for name in NAMES:
        section = re.search(rf"^### {name}\n(.*?)(?=^##|\Z)", README, re.M | re.S)
        assert section and section[1].count("\n* **") >= 1, name


class Names(http.server.BaseHTTPRequestHandler):
    """Answers with the names of the fields that came, and with the value of Upgrade."""

    def do_GET(self):
        upgrades = [f"upgrade={value}" for value in self.headers.get_all("upgrade", [])]
        body = " ".join([*self.headers.keys(), *upgrades]).lower().encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):  # pylint: disable=arguments-differ
        pass


@pytest.fixture
def names():
    """The address of an application that shows which fields reach it."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Names) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        yield f"127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


# --- all examples ---------------------------------------------------------------------------------

def test_http_2_counts_as_http_1_does(start_example):
    haproxy = start_example("per-ip", policies=SLOW)

    got = [http2.ask(haproxy.port, "127.0.0.2")[0] for _ in range(10)]

    assert got + statuses(haproxy, 10, "127.0.0.2") == [200] * 20
    assert http2.ask(haproxy.port, "127.0.0.2")[0] == 429
    assert get(haproxy.port, "127.0.0.2").status == 429


# As many as the smallest limit, that of api-key for no key, lets through.
UPGRADES = [["Upgrade: h2c"], ["Upgrade: H2C"], ["Upgrade: websocket, h2c"],
            ["Upgrade: TLS/1.0"], ["Upgrade: websocket", "Upgrade: h2c"]]
WEBSOCKET = ["Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="]


def assert_nobody_takes_over(haproxy):
    """The application behind it is `names`."""
    for fields in UPGRADES:
        answer = ask(haproxy.port, "Connection: Upgrade", *fields, *WEBSOCKET)
        got = re.findall("upgrade=(.*)", answer.rpartition("\n")[2])
        # HAProxy from 3.0 on takes h2c out of the field, before any rule.
        assert answer[9:12] == "200" and got in ([], ["websocket"]), fields


@pytest.mark.parametrize("name", [name for name in NAMES if name != "tcp"])
def test_no_application_takes_over_the_connection(start_example, origin, names, name):
    haproxy = start_example(name, conf=[(origin.address, names)])

    assert_nobody_takes_over(haproxy)


def test_no_application_takes_over_the_connection_with_the_shipped_files(start_haproxy, agent,
                                                                         origin, names):
    haproxy = start_haproxy(agent.address, conf=[(origin.address, names)])

    assert_nobody_takes_over(haproxy)


def test_a_websocket_passes(start_example, origin, names):
    haproxy = start_example("per-ip", conf=[(origin.address, names)])

    answer = ask(haproxy.port, "Connection: Upgrade", "Upgrade: WebSocket", *WEBSOCKET)

    assert answer[9:12] == "200" and answer.endswith(" upgrade=websocket")


def test_a_header_of_the_client_is_no_address(start_example):
    for name, policies in (("per-ip", SLOW), ("allow-list", SLOW)):
        haproxy = start_example(name, policies=policies)

        got = [status(haproxy.port, f"X-Forwarded-For: 10.0.0.{n}", f"Forwarded: for=10.0.0.{n}",
                      f"X-Real-IP: 10.0.0.{n}") for n in range(21)]

        assert got == [200] * 20 + [429]


def test_a_line_of_the_proxy_protocol_is_refused(start_example):
    haproxy = start_example("per-ip")

    with socket.create_connection(("127.0.0.1", haproxy.port), PATIENCE) as connection:
        connection.sendall(b"PROXY TCP4 10.0.0.1 10.0.0.2 1 80\r\nGET / HTTP/1.0\r\n\r\n")
        assert b" 400 " in connection.recv(65536)


def test_fail_closed_refuses_while_no_agent_answers(start_example):
    haproxy = start_example("per-ip", conf=[("    default_backend app", """\
    http-request deny deny_status 503 if { var(txn.rl.err) -m found }
    default_backend app""")])

    assert get(haproxy.port).status == 200
    haproxy.agent.kill()
    wait_until(lambda: haproxy.agent_is("DOWN"), "the agent's end")

    assert "http-request deny deny_status 503 if { var(txn.rl.err) -m found }" in README
    assert get(haproxy.port).status == 503


# --- per-ip ---------------------------------------------------------------------------------------

def test_a_wider_prefix_takes_more_addresses_together(start_example):
    """Loopback has one IPv6 address, so a CDN tells the addresses."""
    addresses = "2001:db8:1:1::1", "2001:db8:1:1:ffff::2", "2001:db8:1:2::1", "2001:db8:2::1"
    wider = [('"key": ["src"]', '"key": ["src"], "ipv6_prefix": 48')]

    def left_of_each(policies):
        haproxy = start_example("behind-cdn", policies=policies, conf=CDN)
        return [left(ask(haproxy.port, f"X-Forwarded-For: {address}", source="127.0.0.8"))
                for address in addresses]

    assert left_of_each(SLOW) == [19, 18, 19, 19]
    assert left_of_each(SLOW + wider) == [19, 18, 17, 19]
    assert '"ipv6_prefix": 48' in README


# --- api-key --------------------------------------------------------------------------------------

HOUR = [('"5/1m"', '"5/1h"'), ('"1m"', '"1h"')]


@pytest.fixture
def keys(start_example):
    return start_example("api-key", policies=HOUR)


def test_invented_keys_do_not_get_further_than_no_key(keys):
    got = [status(keys.port, f"X-Api-Key: invented-{n}") for n in range(60)]

    assert got == [200] * 5 + [429] * 55
    assert status(keys.port) == 429
    assert status(keys.port, "X-Api-Key: k-free-1") == 200


def test_an_unknown_key_has_its_own_limit_as_well(keys):
    got = [status(keys.port, "X-Api-Key: shared", source=f"127.0.0.{n // 4 + 2}")
           for n in range(12)]

    assert got == [200] * 10 + [429] * 2


@pytest.mark.parametrize("fields", [
    ["X-Api-Key: k-unknown", "X-Api-Key: k-stolen"],
    ["X-Api-Key: k-stolen", "X-Api-Key: k-unknown"],
    ["X-Api-Key: k-stolen, k-unknown"], ["X-Api-Key: k-unknown,k-stolen"],
    ["X-Api-Key: k-stolen", "x-api-key:"], ["X-Api-Key:", "X-Api-Key: k-stolen"]])
def test_two_keys_are_refused(keys, fields):
    assert status(keys.port, *fields) == 400
    assert asked(keys) == 0


def test_two_keys_are_refused_over_http_2(keys):
    two = [(b"x-api-key", b"k-unknown"), (b"x-api-key", b"k-stolen")]

    assert http2.ask(keys.port, fields=two)[0] == 400
    assert http2.ask(keys.port, fields=two[1:])[0] == 429


@pytest.mark.parametrize("field", [
    "X-Api-Key:", "X-Api-Key: K-PRO-1", "X-Api-Key: k-pro-1;", 'X-Api-Key: "k-pro-1"',
    "X-Api-Key: k-pro", "X-Api-Key: " + 14000 * "k", "X-Api-Key: k-pro-1 x", "X-Api-Key: \xff"])
def test_what_is_not_exactly_a_listed_key_is_unknown(keys, field):
    assert [status(keys.port, field) for _ in range(6)] == [200] * 5 + [429]


@pytest.mark.parametrize("field", [
    "X-Api-Key:k-stolen", "X-Api-Key: \t k-stolen \t", "x-API-key: k-stolen"])
def test_a_stolen_key_is_found_however_its_field_is_written(keys, field):
    assert status(keys.port, field) == 429


LOOKALIKES = ["X_Api_Key: k-stolen", "X-Api_Key: k-stolen", "x.api.key: k-stolen",
              "X!Api!Key: k-stolen"]


def test_what_some_applications_read_as_the_key_does_not_reach_them(start_example, origin, names):
    haproxy = start_example("api-key", conf=[(origin.address, names)])

    answer = ask(haproxy.port, *LOOKALIKES, "X-Api-Key-Id: 7")

    assert answer[9:12] == "200"
    assert sorted(answer.rpartition("\r\n\r\n")[2].split()) == ["host", "x-api-key-id"]
    assert checks(haproxy, "anonymous", "allowed") == 1


# --- login ----------------------------------------------------------------------------------------

@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "post", "LOGIN"])
def test_every_method_that_may_log_in_counts(start_example, method):
    haproxy = start_example("login")

    got = [left(ask(haproxy.port, "Content-Length: 0", method=method, target="/login"))
           for _ in range(2)]

    assert got == [4, 3]


@pytest.mark.parametrize("fields, target", [
    (["X-HTTP-Method-Override: POST"], "/login"), (["X-HTTP-Method: POST"], "/login"),
    (["X-Method-Override: post"], "/login"),
    ([], "/login?_method=POST"), ([], "/login?a=b&_method=post")])
def test_a_get_that_stands_for_a_post_counts(start_example, fields, target):
    haproxy = start_example("login")

    assert left(ask(haproxy.port, *fields, target=target)) == 4


def test_fields_that_some_applications_read_as_others_do_not_reach_them(start_example, origin,
                                                                        names):
    haproxy = start_example("login", conf=[(origin.address, names)])

    answer = ask(haproxy.port, "X_HTTP_Method_Override: POST", "X.Http.Method: POST",
                 target="/login")

    assert left(answer) is None
    assert answer.rpartition("\r\n\r\n")[2].split() == ["host"]


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS"])
def test_reading_the_login_page_does_not_count(start_example, method):
    haproxy = start_example("login")

    assert left(ask(haproxy.port, method=method, target="/login?method=POST")) is None


def test_nobody_logs_in_while_no_agent_answers(start_example):
    haproxy = start_example("login")
    haproxy.agent.kill()
    wait_until(lambda: haproxy.agent_is("DOWN"), "the agent's end")

    def status_of(target, method="POST"):
        return status(haproxy.port, "Content-Length: 0", method=method, target=target)

    for target in ("/login", "//LOGIN;x", "/login/", "/login/x", "/api/login", "/api/login/x"):
        assert status_of(target) == 503, target
    for target in ("/", "/loginx", "/api/loginx", "/api"):
        assert status_of(target) == 200, target
    assert status_of("/login", "GET") == 200


# --- path-cost ------------------------------------------------------------------------------------

def test_another_method_costs_the_same(start_example):
    haproxy = start_example("path-cost", policies=[('"40/1m"', '"40/1h"')])

    got = [left(ask(haproxy.port, "Content-Length: 0", method=method, target="//export;x"))
           for method in ("HEAD", "post")]

    assert got == [20, 0]
    assert status(haproxy.port, target="http://example.com/EXPORT") == 429


# --- tcp ------------------------------------------------------------------------------------------

def test_a_connection_that_says_nothing_counts(start_example):
    haproxy = start_example("tcp", policies=[('"refill_rate": 1', '"refill_rate": "1/1h"')],
                            conf=[("inspect-delay 100ms", "inspect-delay 20s")])

    silent = [socket.create_connection(("127.0.0.1", haproxy.port), PATIENCE, ("127.0.0.2", 0))
              for _ in range(12)]

    wait_until(lambda: checks(haproxy, "connections", "denied") == 2, "two denials")
    wait_until(lambda: len(select.select(silent, [], [], PATIENCE)[0]) == 2, "two ends")
    assert checks(haproxy, "connections", "allowed") == 10
    for connection in silent:
        connection.close()


def test_requests_within_a_connection_are_not_counted(start_example):
    """What the README says that this example does not do."""
    haproxy = start_example("tcp")

    with socket.create_connection(("127.0.0.1", haproxy.port), PATIENCE) as connection:
        for _ in range(50):
            connection.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            data = b""
            while b"from the origin\n" not in data:
                data += connection.recv(65536)
            assert data.startswith(b"HTTP/1.1 200")
    assert asked(haproxy) == 1


# --- behind-cdn -----------------------------------------------------------------------------------

def test_behind_cdn_the_last_address_of_all_lines_counts(start_example):
    haproxy = start_example("behind-cdn", policies=SLOW, conf=CDN)

    got = [left(ask(haproxy.port, f"X-Forwarded-For: 10.0.0.{n}",
                    f"x-forwarded-for: 10.1.0.{n}, 192.0.2.1", source="127.0.0.8"))
           for n in range(3)]

    assert got == [19, 18, 17]


@pytest.mark.parametrize("told", [
    [], ["junk"], ["192.0.2.1, junk"], [""], ["192.0.2.1,"], ["[2001:db8::1]:80"]])
def test_behind_cdn_what_is_no_address_counts_as_the_cdn(start_example, told):
    haproxy = start_example("behind-cdn", policies=SLOW, conf=CDN)

    before = left(ask(haproxy.port, source="127.0.0.8"))
    after = left(ask(haproxy.port, *[f"X-Forwarded-For: {value}" for value in told],
                     source="127.0.0.8"))

    assert (before, after) == (19, 18)


FROM_CDN = "    acl from_cdn src 198.51.100.0/24 2001:db8:cd::/48\n"


def test_behind_cdn_another_customer_of_the_cdn_is_kept_out(start_example):
    line = re.search(r"^http-request deny .*\(x-from-cdn\).*$", README, re.M)[0]
    haproxy = start_example("behind-cdn", policies=SLOW, conf=[
        (FROM_CDN, FROM_CDN + f"    {line}\n"), *CDN])

    assert status(haproxy.port, "X-Forwarded-For: 192.0.2.1", source="127.0.0.8") == 403
    assert status(haproxy.port, "X-From-CDN: a-long-secret", source="127.0.0.8") == 200


# --- allow-list -----------------------------------------------------------------------------------

def test_behind_a_proxy_whose_address_is_allowed_nobody_is_limited(start_example):
    """Why the README says that the list needs the clients' addresses."""
    haproxy = start_example("allow-list", policies=[*SLOW, ('"10.0.0.0/8"', '"127.0.10.0/24"')])

    got = [status(haproxy.port, f"X-Forwarded-For: 203.0.113.{n}", source="127.0.10.1")
           for n in range(30)]

    assert got == [200] * 30


# --- docs/paths.md --------------------------------------------------------------------------------

def test_the_lines_that_docs_add(start_haproxy, start_agent):
    docs = (SHIPPED.parent / "docs/paths.md").read_text()
    twice = re.search(r"`(http-request deny deny_status 400 if \{ path -m sub %25 \})`", docs)[1]
    hosts = re.search(r"^http-request deny deny_status 421 .*$", docs, re.M)[0]
    agent = start_agent(policies=policies_text(p=bucket(5, key=["path"])))
    haproxy = start_haproxy(agent.address, conf=[
        ("    # host: end\n", f"    # host: end\n    {hosts}\n    {twice}\n")],
        spoe=[("path=var(txn.path)", "path=var(txn.path),lower"), *PATIENT])

    def answer(target, host="www.example.com:80"):
        request = f"GET {target} HTTP/1.0\r\nHost: {host}\r\n\r\n"
        return exchange(haproxy.port, request.encode()).decode()

    assert [left(answer(target)) for target in ("/Login", "/login", "//LOGIN/")] == [4, 3, 2]
    assert answer("/%256cogin")[9:12] == "400"
    assert answer("/", "other.example")[9:12] == "421"
