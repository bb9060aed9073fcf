"""`replay --format haproxy`: logs of real HAProxys, and lines that they might write."""

import http.client
import re
import socket
import time

import pytest

from agent import bucket, policies_text, window
from haproxy import LOG_REQUESTS, SHIPPED_LOG
from processes import PATIENCE, ROOT, wait_until
from replay import request, run
from web import get

LOG_FORMAT = re.search(r"```haproxy\n    log .*?\n(.*?)```", (ROOT / "docs/replay.md").read_text(),
                       re.DOTALL)[1]
ATTRIBUTES = ["src", "method", "path", "query", "frontend", "backend", "server", "status", "host"]
# What each attribute was, in the summary.
BY_EACH = policies_text(**{name: window(1000, "1d", "fixed_window", [name])
                           for name in ATTRIBUTES})


def seen(done, policy):
    """The keys of a policy, and how often they came."""
    told = [*done.told.splitlines(), ""]
    after = told[next(i for i, text in enumerate(told) if text.startswith(policy + " ")) + 1]
    if not after.startswith("  seen most: "):
        return {}
    pairs = (pair.rsplit(" ", 1) for pair in after.removeprefix("  seen most: ").split(", "))
    return {key: int(count) for key, count in pairs}


def ask(port):
    """Ten requests, and one that is none."""
    for number in range(8):
        get(port, f"127.0.0.{2 + number % 2}", path=f"/x?{number}" if number < 5 else "/x")
    get(port, "::1", path="/y")
    get(port, "127.0.0.2", method="HEAD", path="/y")
    with socket.create_connection(("127.0.0.1", port)) as nonsense:
        nonsense.sendall(b"nonsense\r\n\r\n")
        nonsense.recv(1000)


def logged(proxy, pattern, count):
    """The whole log, as soon as so many lines of it are of requests."""
    wait_until(lambda: len(re.findall(pattern, proxy.output.read_text())) >= count, "the log")
    return proxy.output.read_text()


@pytest.mark.parametrize("form", ["raw", "rfc3164", "rfc5424"])
def test_the_log_of_haproxy_is_replayed(start_haproxy, agent, tmp_path, form):
    proxy = start_haproxy(agent.address, conf=[
        (SHIPPED_LOG, LOG_REQUESTS.replace("raw", form))])
    ask(proxy.port)

    log = logged(proxy, r'"(?:GET|HEAD) /', 10)
    done = run(tmp_path, BY_EACH, log, "--format", "haproxy").good()

    assert done.told.startswith("requests: 10, 10 allowed, 0 denied\n")
    assert f"without a request: {len([x for x in log.splitlines() if x]) - 10}\n" in done.told
    assert seen(done, "path") == {"/x": 8, "/y": 2}
    assert seen(done, "src") == {"127.0.0.2": 5, "127.0.0.3": 4, "::": 1}  # its /64
    assert seen(done, "method") == {"GET": 9, "HEAD": 1}
    assert seen(done, "query") == {str(number): 1 for number in range(5)}
    assert (seen(done, "frontend"), seen(done, "backend"), seen(done, "server")) == \
        ({"web": 10}, {"app": 10}, {"app1": 10})
    assert sum(seen(done, "status").values()) == 10
    assert seen(done, "host") == {}


def test_the_log_format_of_the_page_is_replayed(start_haproxy, agent, tmp_path):
    proxy = start_haproxy(agent.address, conf=[
        (SHIPPED_LOG, LOG_REQUESTS), ("    option httplog\n", LOG_FORMAT)])
    began_ms = time.time() * 1000
    ask(proxy.port)
    get(proxy.port, path='/%22"\\')

    log = logged(proxy, r'"(?:GET|HEAD)"', 11)
    done = run(tmp_path, BY_EACH, log, "--format", "haproxy").good()

    assert {"/x": 8, "/y": 2}.items() <= seen(done, "path").items()
    assert done.row("host")[0] == done.row("path")[0] == len(done.answers) == 11
    assert seen(done, "method") == {"GET": 10, "HEAD": 1}
    # HAProxy's clock goes behind the machine's when HAProxy had to wait for a processor.
    assert all(began_ms - 1000 <= answer["at_ms"] <= time.time() * 1000 for answer in done.answers)


def test_the_time_in_the_log_is_that_of_the_request(start_haproxy, agent, tmp_path):
    """And not that of its connection, or of the end of the request before it."""
    proxy = start_haproxy(agent.address, conf=[
        (SHIPPED_LOG, LOG_REQUESTS), ("    option httplog\n", LOG_FORMAT)])
    connection = http.client.HTTPConnection("127.0.0.1", proxy.port, PATIENCE)
    sent_ms = []
    for _ in range(2):
        ended = time.monotonic()
        wait_until(lambda: time.monotonic() > ended + 0.05, "a pause")  # pylint: disable=W0640
        sent_ms.append(int(time.time() * 1000))
        connection.request("GET", "/x")
        connection.getresponse().read()
    connection.close()

    log = logged(proxy, r'"GET"', 2)
    done = run(tmp_path, BY_EACH, log, "--format", "haproxy").good()

    assert all(sent <= answer["at_ms"] for sent, answer in zip(sent_ms, done.answers, strict=True))


# --- lines -------------------------------------------------------------------------------------

def line(clock, client="192.0.2.1:4711", asked='"GET /x HTTP/1.1"', day="24/Nov/2026", times=5):
    numbers = "/".join(["0", "-1", "+2", "3", "4"][:times])
    return (f"{client} [{day}:{clock}] web~ app/<NOSRV> {numbers} 503 +212 - - SC-- "
            f"1/1/0/0/+3 0/0 {asked}")


def replayed(directory, lines, *options):
    return run(directory, BY_EACH, lines, "--format", "haproxy", *options)


@pytest.mark.parametrize("prefix", [
    "", "Nov 24 11:44:28 lb haproxy[123]: ", "<134>Nov 24 11:44:28 lb haproxy[123]: ",
    "<134>1 2026-11-24T11:44:28.123456+00:00 lb haproxy 123 - - ",
    "2026-11-24T11:44:28.123456+00:00 lb haproxy[123]: "])
@pytest.mark.parametrize("captured", ["", "{} ", "{curl/8 (x)|} {text/html} "])
def test_what_stands_around_is_left_out(tmp_path, prefix, captured):
    done = replayed(tmp_path, [prefix + line("11:44:28.123", asked=captured + '"PUT /x?y HTTP/2"')])

    assert [answer["at_ms"] for answer in done.good().answers] == [1795520668123]
    assert {name: list(seen(done, name)) for name in ATTRIBUTES} == {
        "src": ["192.0.2.1"], "method": ["PUT"], "path": ["/x"], "query": ["y"],
        "frontend": ["web"], "backend": ["app"], "server": ["%3cNOSRV%3e"], "status": ["503"],
        "host": []}


def test_a_json_line_may_have_a_prefix(tmp_path):
    done = replayed(tmp_path, [
        "Nov 24 11:44:28 lb haproxy[123]: " + request(5, path="/ 1.2.3.4:5 [24/Nov/2026:1"),
        request(6, src="192.0.2.1")])

    assert [answer["at_ms"] for answer in done.good().answers] == [5, 6]


@pytest.mark.parametrize("asked,path", [
    ('"GET / HTTP/1.1"', "/"), ('"GET https://example.com/a/b?c HTTP/2.0"', "/a/b"),
    ('"GET https://example.com HTTP/2.0"', "/"), ('"GET /#22#23#C3#A4 HTTP/1.1"', "/%22%23%c3%a4"),
    ('"GET /very/lo', "/very/lo"), ('"GET /x', "/x"), ('"GET /#4', "/%234"), ('"GET /#', "/%23"),
    ('"GET //%78;a=1/ HTTP/1.1"', "/x"), ('"GET /x/./y HTTP/1.1"', "/x/./y"), ('"GET /%7', "/%257"),
    ('"GET /?x', "/"), ('"GET /a?b://c/d HTTP/1.1"', "/a")])
def test_a_path_is_what_haproxy_calls_so(tmp_path, asked, path):
    done = replayed(tmp_path, [line("11:44:28.123", asked=asked)]).good()

    assert list(seen(done, "path")) == [path]


@pytest.mark.parametrize("asked", ['"OPTIONS * HTTP/1.1"', '"CONNECT example.com:443 HTTP/1.1"'])
def test_no_path_is_a_slash_as_in_the_shipped_file(tmp_path, asked):
    done = replayed(tmp_path, [line("11:44:28.123", asked=asked)]).good()

    assert done.row("method")[0] == 1
    assert seen(done, "path") == {"/": 1}


@pytest.mark.parametrize("client,src", [
    ("2001:db8::1:40000", ["2001:db8::"]), ("::ffff:192.0.2.7:40000", ["192.0.2.7"]),
    ("unix:1", []), ("x", [])])
def test_a_client_is_an_address_or_none(tmp_path, client, src):
    done = replayed(tmp_path, [line("11:44:28.123", client)]).good()

    assert done.row("method")[0] == 1
    assert list(seen(done, "src")) == src


@pytest.mark.parametrize("path,count", [("-", 0), ("--", 1), ("", 1)])
def test_a_dash_is_nothing(tmp_path, path, count):
    done = replayed(tmp_path, [request(1, path=path, method="GET")]).good()

    assert (done.row("method")[0], done.row("path")[0]) == (1, count)


OTHER_LINES = [
    "[NOTICE]   (1) : New worker (2) forked", "Proxy web started.", "{", "{}", '{"a":1}', "{x",
    '{"time":1,"attributes":{}}', line("11:44:28.123", asked='"<BADREQ>"'),
    request(1, method="<BADREQ>"),
    line("11:44:28.123", asked='"'), line("11:44:28.123", asked=""), line("11:44:28.123", times=3),
    line("25:44:28.123"), line("11:60:28.123"), line("11:44:28.1234"), line("1:44:28.123"),
    line("11:44:28.123", day="32/Nov/2026"), line("11:44:28.123", day="24/Nvo/2026"),
    "[24/Nov/2026:11:44:28.123]", " [24/Nov/2026:11:44:28.123] ", "\0\xff" * 9,
    line("11:44:28.123").replace(" web~", " "), line("11:44:28.123").replace("app/", "app-"),
    line("11:44:28.123", asked='{x "GET / HTTP/1.1"'),
    "192.0.2.1:4711 [24/Nov/2026:11:44:28.123] web/1: SSL handshake failure",
]


@pytest.mark.parametrize("text", OTHER_LINES)
def test_other_lines_are_left_out_and_counted(tmp_path, text):
    done = replayed(tmp_path, [line("11:44:28.123"), text, "", line("11:44:28.124")]).good()

    assert len(done.answers) == 2
    assert "without a request: 1\n" in done.told


def test_a_json_line_with_a_time_is_to_be_valid(tmp_path):
    lines = [line("11:44:28.123"), '{"at_ms":5,"atributes":{}}',
             request(1795520668200, src="192.0.2.1")]

    once, on = replayed(tmp_path, lines), replayed(tmp_path, lines, "--keep-going")

    assert once.status == on.status == 1
    assert once.told.splitlines()[-1].startswith("ratelimit-spoa: line 2: ")
    assert (len(once.answers), len(on.answers)) == (0, 2)


# --- zones -------------------------------------------------------------------------------------

@pytest.mark.parametrize("zone,day,at_s", [
    (None, "24/Nov/2026", 1795520668), ("UTC", "24/Nov/2026", 1795520668),
    ("+01:00", "24/Nov/2026", 1795517068), ("-05:30", "24/Nov/2026", 1795540468),
    ("Europe/Berlin", "24/Nov/2026", 1795517068), ("Europe/Berlin", "24/Jul/2026", 1784886268),
    ("America/New_York", "24/Nov/2026", 1795538668), ("Asia/Kathmandu", "24/Nov/2026", 1795499968),
    (None, "29/Feb/2028", 1835437468)])
def test_a_date_is_one_of_its_zone(tmp_path, zone, day, at_s):
    options = [] if zone is None else ["--tz", zone]

    done = replayed(tmp_path, [line("11:44:28.250", day=day)], *options).good()

    assert [answer["at_ms"] for answer in done.answers] == [at_s * 1000 + 250]


def test_the_zone_of_the_environment_is_not_that_of_the_log(tmp_path):
    done = run(tmp_path, BY_EACH, [line("11:44:28.250")], "--format", "haproxy",
               env={"TZ": "Asia/Tokyo"}).good()

    assert [answer["at_ms"] for answer in done.answers] == [1795520668250]


# --- the order ---------------------------------------------------------------------------------

def at(seconds):
    return request(1000 * seconds, src="192.0.2.1")


def test_lines_are_sorted_within_a_minute(tmp_path):
    order = [60, 0, 30, 61, 1, 119, 60, 59, 120, 121, 61]

    done = replayed(tmp_path, [at(seconds) for seconds in order]).good()

    assert [answer["at_ms"] // 1000 for answer in done.answers] == sorted(order)
    assert "late" not in done.told


def test_what_is_later_is_left_out_and_counted(tmp_path):
    done = replayed(tmp_path, [at(seconds) for seconds in [0, 100, 39, 40, 5, 300, 239]])

    assert [answer["at_ms"] // 1000 for answer in done.answers] == [0, 40, 100, 300]
    assert "lines more than 60s late, left out: 3\n" in done.told
    assert done.status == 1


def test_json_lines_of_the_other_format_are_not_sorted(tmp_path):
    done = run(tmp_path, policies_text(p=bucket(5)), [at(5), at(3), at(4)]).good()

    assert [answer["at_ms"] for answer in done.answers] == [5000, 3000, 4000]
