"""The formats of logs that `replay` reads, as real HAProxys write them."""

import json
import re

import pytest

from agent import policies_text, window
from examples import EXAMPLES, NAMES
from haproxy import LOG_REQUESTS, SHIPPED_LOG
from processes import wait_until
from replay import request, run
from test_replay_haproxy import line, seen
from web import exchange, get

EACH = ["src", "method", "path", "query", "host", "frontend", "backend", "server", "status",
        "user-agent", "plan", "x"]
BY_EACH = policies_text(**{name: window(1000, "1d", "fixed_window", [name])
                           for name in EACH})
CAPTURES = """    capture request header User-Agent len 100
    capture request header X-Forwarded-For len 100
    capture response header Content-Type len 20
    capture cookie S len 100
"""
# The default of haproxytech's ingress controller and of its unified gateway.
INGRESS = (r"""    http-request set-var(txn.base) base
    log-format '%ci:%cp [%tr] %ft %b/%s %TR/%Tw/%Tc/%Tr/%Ta %ST %B %CC %CS %tsc """
           r"""%ac/%fc/%bc/%sc/%rc %sq/%bq %hr %hs "%HM %[var(txn.base)] %HV"'
""")
OWN = [
    '\'%ci:%cp [%tr] "%HM %HP" %HQ|\'',
    '"%{+Q}o %{-Q}ci [%trl] %HM %HPO %HQ %{-Q}ST"',
    '"%{+X}ci %Ts %ms %Ta %{+Q}r"',
    "'%[src] %[date(0,ms)] %Ta %[method] %[capture.req.uri]'",
    '%{+E}[src]\\ %t\\ %HU\\ %HM',
    '%ID|%ci|%T|%ft|%b|%s|%HM|%HU',
]


def read(directory, log, *options):
    return run(directory, BY_EACH, log, "--format", "haproxy", *options)


def log_of(proxy, pattern, count):
    """The log, without the lines of HAProxy's start, when so many lines match."""
    def lines():
        found = [text for text in proxy.lines() if re.search(pattern, text)]
        return len(found) >= count and "".join(text + "\n" for text in found)
    return wait_until(lines, "the log")


@pytest.fixture(name="start_logging")
def start_with_a_log(start_haproxy, agent):
    """HAProxy that logs each request in a format."""
    def start(log_format):
        return start_haproxy(agent.address, conf=[
            (SHIPPED_LOG, LOG_REQUESTS), ("    option httplog\n", log_format)])
    return start


def ask(port):
    """Three requests, one of them with all that clients can make difficult."""
    get(port, "127.0.0.2", path="/a?q=1")
    get(port, "127.0.0.2", method="HEAD", path='/b"c')
    get(port, "127.0.0.3", path="/a", headers={
        "Host": "API.example.com:80", "User-Agent": 'x {y|z} "w" #1',
        "X-Forwarded-For": "198.51.100.1, 198.51.100.2",
        "Cookie": "S=a b - SC-- 1/1/1/1/1 0/0 {u|v}"})


@pytest.mark.parametrize("log_format", [
    "    option httplog\n", "    option httpslog\n", "    option httplog clf\n", INGRESS,
    CAPTURES + "    option httplog\n", CAPTURES + "    option httplog clf\n", CAPTURES + INGRESS])
def test_each_format_tells_of_each_request(start_logging, tmp_path, log_format):
    proxy = start_logging(log_format)
    ask(proxy.port)

    done = read(tmp_path, log_of(proxy, "HTTP/1.1", 3)).good()

    assert len(done.answers) == 3
    assert seen(done, "src") == {"127.0.0.2": 2, "127.0.0.3": 1}
    assert seen(done, "method") == {"GET": 2, "HEAD": 1}
    assert seen(done, "path") == {"/a": 2, "/b%22c": 1}
    assert (seen(done, "frontend"), seen(done, "backend"), seen(done, "server")) == \
        ({"web": 3}, {"app": 3}, {"app1": 3})
    if "txn.base" in log_format:
        assert seen(done, "host") == {"127.0.0.1": 2, "api.example.com": 1}
    else:
        assert seen(done, "query") == {"q%3d1": 1}


@pytest.mark.parametrize("form", ["    option httplog\n", "    option httplog clf\n", INGRESS])
def test_captured_headers_get_their_names(start_logging, tmp_path, form):
    proxy = start_logging(CAPTURES + form)
    ask(proxy.port)

    done = read(tmp_path, log_of(proxy, "HTTP/1.1", 3),
                "--captures", "user-agent,src=x-forwarded-for:1").good()

    assert seen(done, "user-agent") == {"x%20%7by%7cz%7d%20%22w%22%20%231": 1}
    assert seen(done, "src") == {"127.0.0.2": 2, "198.51.100.2": 1}
    assert "other captured headers" not in done.told
    done = read(tmp_path, log_of(proxy, "HTTP/1.1", 3), "--captures", "user-agent").good()
    assert ("other captured headers than --captures names: 3\n" in done.told) == \
        ("clf" not in form)


@pytest.mark.parametrize("log_format", OWN)
def test_a_format_of_ones_own_is_read(start_logging, tmp_path, log_format):
    proxy = start_logging(f"    log-format {log_format}\n")
    get(proxy.port, "127.0.0.2", path="/a?q=1")
    get(proxy.port, "127.0.0.3", method="HEAD", path="/b")

    log = log_of(proxy, "/b", 1)
    done = run(tmp_path, BY_EACH, log_of(proxy, "/[ab]", 2), "--log-format", log_format).good()

    assert log and len(done.answers) == 2
    assert seen(done, "src") == {"127.0.0.2": 1, "127.0.0.3": 1}
    assert seen(done, "method") == {"GET": 1, "HEAD": 1}
    assert seen(done, "path") == {"/a": 1, "/b": 1}
    assert seen(done, "query") == {"q%3d1": 1}


def test_times_are_those_of_the_requests_in_every_format(start_logging, tmp_path):
    """Of one request, by each field that has a time: as near to another as the field is exact."""
    marks = [("%tr", 0), ("%trl", 1000), ("%trg", 1000), ("%Ts %ms", 100), ("%Ts", 1100),
             ("%[date(0,ms)] %Ta", 100), ("%t", 100), ("%T %ms", 100), ("%Tl %ms", 100)]
    text = "|".join(f"({mark} )" for mark, _ in marks)
    proxy = start_logging(f'    log-format "{text}"\n')
    get(proxy.port)
    log = log_of(proxy, r"\(", 1)

    times = []
    for at, (mark, _) in enumerate(marks):
        others = [re.sub(r"%(?!%)[a-zA-Z]+|%\[[^]]*\]", "%[x]", other) if i != at else other
                  for i, (other, _) in enumerate(marks)]
        own = "|".join(f"({other} )" for other in others)
        done = run(tmp_path, BY_EACH, log, "--log-format", own, "--tz", "UTC")
        times += [answer["at_ms"] for answer in done.answers]

    late = {mark: at - times[0] for at, (mark, slack) in zip(times, marks, strict=True)
            if abs(at - times[0]) > slack}
    assert not late


@pytest.mark.parametrize("name", NAMES)
def test_the_log_of_each_example_is_read(start_example, tmp_path, name):
    """An example without a format of its own gets httplog, or tcplog."""
    text = (EXAMPLES / name / "haproxy.cfg").read_text()
    own = re.search(r'log-format (".*")', text)
    is_tcp = name == "tcp"
    conf = [(SHIPPED_LOG, LOG_REQUESTS)]
    if not own:
        conf.append(("frontend ", f"    option {'tcplog' if is_tcp else 'httplog'}\nfrontend "))
    haproxy = start_example(name, conf=conf)
    if is_tcp:
        exchange(haproxy.port, b"GET / HTTP/1.0\r\n\r\n", "127.0.0.2")
    else:
        get(haproxy.port, "127.0.0.2", path="/a")

    log = log_of(haproxy, r"^127\.0\.0\.2:", 1)
    options = ["--log-format", own[1]] if own else ["--format", "haproxy"]
    done = run(tmp_path, BY_EACH, log, *options).good()

    assert len(done.answers) == 1
    assert seen(done, "src") == {"127.0.0.2": 1}
    assert seen(done, "path") == ({} if is_tcp else {"/a": 1})
    assert len(seen(done, "frontend")) == len(seen(done, "backend")) == 1


def test_a_json_line_is_cut_at_1024_bytes_without_len(start_haproxy, agent, tmp_path):
    page = (EXAMPLES.parents[1] / "docs/replay.md").read_text()
    log_format = re.search(r"```haproxy\n.*?```\n", page, re.DOTALL)[0]
    log_line, lines = re.search(r"(    log .*\n)((?:    .*\n)*)", log_format).groups()
    assert "len 65535" in log_line
    path = "/" + 2000 * "x"
    for length, cut in (("", 1), (" len 65535", 0)):
        conf = [(SHIPPED_LOG, LOG_REQUESTS.replace("stdout", f"stdout{length}")),
                ("    option httplog\n", lines)]
        proxy = start_haproxy(agent.address, conf=conf)
        get(proxy.port, path=path)

        done = read(tmp_path, log_of(proxy, "at_ms", 1))

        assert (done.status, len(done.answers)) == (cut, 1 - cut)
        assert ("lines that were cut off" in done.told) == bool(cut)
        if cut:
            assert "`log` line of HAProxy `len 65535`" in done.told.splitlines()[-1]
        else:
            assert len(seen(done, "path")) == 1


# --- lines that HAProxy might write, and what others make of them ------------------------------

@pytest.mark.parametrize("cookies", [
    "S=a b c -", "- S=a b", "S=a - S=b c", "S=x ---- 0/0/0/0/0 0/0 {y} -",
    'S=x SC-- 1/1/1/1/1 0/0 "GET /fake HTTP/1.1" -'])
def test_cookies_with_spaces_are_no_other_fields(tmp_path, cookies):
    done = read(tmp_path, line("11:44:28.123").replace(" - - ", f" {cookies} ")).good()

    assert seen(done, "path") == {"/x": 1}
    assert seen(done, "status") == {"503": 1}


@pytest.mark.parametrize("text", [line("11:44:28.123"), request(1795520668123, path="/x")])
@pytest.mark.parametrize("prefix", ["", "<134>Nov 24 11:44:28 lb haproxy[1]: "])
@pytest.mark.parametrize("wrap", [
    lambda text: json.dumps({"log": text + "\n", "stream": "stdout", "time": "2026-11-24T11:44"}),
    lambda text: '{"log":"' + json.dumps(text)[1:-1].replace("/", "\\/") + '\\r\\n"}',
    lambda text: f"2026-11-24T11:44:28.123456789Z stdout F {text}"])
def test_logs_of_containers_are_read(tmp_path, text, prefix, wrap):
    done = read(tmp_path, wrap(prefix + text)).good()

    assert [answer["at_ms"] for answer in done.answers] == [1795520668123]
    assert seen(done, "path") == {"/x": 1}


@pytest.mark.parametrize("asked,host,path", [
    ('"GET example.com/api/x HTTP/1.1"', "example.com", "/api/x"),
    ('"GET EXAMPLE.com:8080/ HTTP/2.0"', "example.com", "/"),
    ('"GET example.com./x?y HTTP/1.1"', "example.com", "/x"),
    ('"GET /x HTTP/1.1"', None, "/x"), ('"GET - HTTP/1.1"', None, None),
    ('"OPTIONS example.com* HTTP/1.1"', None, None)])
def test_a_request_may_begin_with_its_host(tmp_path, asked, host, path):
    done = read(tmp_path, line("11:44:28.123", asked=asked)).good()

    assert list(seen(done, "host")) == ([host] if host else [])
    assert list(seen(done, "path")) == ([path] if path else [])


def test_a_line_of_haproxy_ingress_is_httplog(tmp_path):
    text = ('192.0.2.1:40912 [24/Nov/2026:11:44:28.123] _front_https~ default_echo_8080/srv001 '
            '0/0/1/2/3 200 653 - - ---- 1/1/0/0/0 0/0 "GET https://echo.example/x HTTP/2.0"')

    done = read(tmp_path, text).good()

    assert seen(done, "path") == {"/x": 1} and seen(done, "frontend") == {"_front_https": 1}


def test_a_line_of_tcplog_is_a_connection(tmp_path):
    text = ("192.0.2.1:40912 [24/Nov/2026:11:44:28.123] smtp mail/m1 1/0/5007 212 -- "
            "1/1/3/1/0 0/0")

    done = read(tmp_path, [text, text + " more"]).good()

    assert len(done.answers) == 1 and done.row("path")[0] == 0
    assert seen(done, "src") == {"192.0.2.1": 1} and seen(done, "server") == {"m1": 1}


def test_a_request_that_was_cut_off_is_told(tmp_path):
    done = read(tmp_path, [line("11:44:28.123", asked='"GET /very/lo'), line("11:44:29.123")])

    assert done.good().row("path")[0] == 2
    assert "1,024 bytes unless its log line has `len 65535`: 1\n" in done.told


@pytest.mark.parametrize("lines,words", [
    (["Connect from 127.0.0.1:1 to 127.0.0.1:80 (web/HTTP)"] * 3 + [line("11:44:28.123")],
     ["1 of 4", "line 1", "Connect from", "--log-format"]),
    ([line("11:44:28.123", asked='"<BADREQ>"')] * 2 + [line("11:44:28.123")], ["1 of 3", "line 1"]),
    (["x"], ["0 of 1", "line 1", '"x"'])])
def test_less_than_half_of_the_lines_is_no_replay(tmp_path, lines, words):
    done = read(tmp_path, lines)

    assert done.status == 1
    assert all(word in done.told.splitlines()[-1] for word in words)


def test_half_of_the_lines_is_one(tmp_path):
    read(tmp_path, ["x", line("11:44:28.123")]).good()


@pytest.mark.parametrize("log_format,words", [
    ("%ci %xyz %t", ["%xyz", "not known"]), ("%ci %HM", ["no time"]),
    ("%{+json}o %t", ["+json"]), ("%t %[src", ["%[src"]), ("", ["no time"])])
def test_a_format_that_can_not_be_read_is_told_where(tmp_path, log_format, words):
    done = run(tmp_path, BY_EACH, "", "--log-format", log_format)

    assert (done.status, done.output) == (2, "")
    assert done.told.startswith("ratelimit-spoa: --log-format: ")
    assert len(done.told.splitlines()) == 1 and all(word in done.told for word in words)


@pytest.mark.parametrize("count,told", [(1, "%[a(b),hex]"), (10, "%[a(b),hex] and 2 more")])
def test_expressions_that_are_not_known_are_named(tmp_path, count, told):
    expressions = " ".join(["%[a(b),hex]"] * count)

    done = run(tmp_path, BY_EACH, f"{' '.join('x' * count)} 5 192.0.2.1",
               "--log-format", expressions + " %Ts %ci").good()

    line_told = next(text for text in done.told.splitlines() if "not read" in text)
    assert line_told.startswith("not read in --log-format: %[a(b),hex]")
    assert line_told.endswith(told) and seen(done, "src") == {"192.0.2.1": 1}


@pytest.mark.parametrize("names", ["", "a,,b", "a:0", "a b"])
def test_names_that_can_not_be_read_are_refused(tmp_path, names):
    done = run(tmp_path, BY_EACH, "", "--captures", names)

    assert (done.status, done.output) == (2, "") and "--captures" in done.told


# --- the hour that comes twice -----------------------------------------------------------------

def local_log(utc_times, offset_s, day, took_ms=0):
    """Lines of a clock that is so far ahead of UTC at each time; times are seconds of the day."""
    lines = []
    for at in utc_times:
        clock = at + offset_s(at)
        text = line(f"{clock // 3600:02}:{clock // 60 % 60:02}:{clock % 60:02}.000", day=day)
        lines.append(text.replace("0/-1/+2/3/4", f"0/0/0/0/{took_ms}"))
    return lines


@pytest.mark.parametrize("zone,day,midnight_s,change_s,before_s,after_s", [
    ("Europe/Berlin", "25/Oct/2026", 1792886400, 3600, 7200, 3600),
    ("Australia/Lord_Howe", "05/Apr/2026", 1775347200, -9 * 3600, 11 * 3600, 37800)])
def test_the_hour_that_comes_twice_denies_nobody(tmp_path, zone, day, midnight_s, change_s,
                                                 before_s, after_s):
    """A client that stays below its limit through the change."""
    times = range(change_s - 5400, change_s + 5400)
    log = local_log(times, lambda at: before_s if at < change_s else after_s, day)

    done = run(tmp_path, policies_text(p=window(60, "60s")), log, "--format", "haproxy",
               "--tz", zone).good()

    assert [answer["at_ms"] for answer in done.answers] == \
        [(midnight_s + at) * 1000 for at in times]
    assert all(done.allowed)
