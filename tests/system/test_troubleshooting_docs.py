"""What docs/troubleshooting.md says: names that must exist, and symptoms with a real HAProxy."""

import re
import signal

import pytest

from agent import bucket, policies_text, run
from examples import PATIENT, metric
from haproxy import SHIPPED, SUITES
from http_client import HttpClient
from processes import ROOT, wait_until
from web import get

PAGE = (ROOT / "docs/troubleshooting.md").read_text()
REFERENCE = (ROOT / "docs/reference.md").read_text()
ARGS = "args src=src method=method path=var(txn.path) host=var(txn.host)"
GROUP = "http-request send-spoe-group ratelimit ratelimit-check"
EVENTS = re.compile(r"`((?:spop|store|listener|reload)_\w+|draining)`")


@pytest.fixture(name="start_both")
def make_start_both(start_agent, start_haproxy):
    """HAProxy with the shipped files and an agent that has an HTTP port, `haproxy.agent`."""
    def start(policies=None, is_up=True, **changes):
        agent = start_agent(policies=policies or (SHIPPED / "policies.json").read_text(), http=True)
        haproxy = start_haproxy(agent.address, **changes)
        haproxy.agent = agent
        if is_up:
            wait_until(lambda: haproxy.agent_is("UP"), "the agent")
        return haproxy
    return start


def spop_of(haproxy):
    """What the status page says of HAProxy."""
    with HttpClient(haproxy.agent) as client:
        return client.get("/status").json["spop"]


def numbers(haproxy):
    """The `st=` of HAProxy's log, in order."""
    return [int(number) for line in haproxy.lines()
            for number in re.findall(r"SPOE: .* st=(\d+) ", line)]


def test_each_metric_of_the_page_is_there(start_agent):
    with HttpClient(start_agent(http=True, policies=(SHIPPED / "policies.json").read_text())) as client:
        page = client.get("/metrics").body.decode()

    names = set(re.findall(r"`((?:ratelimit|redis)_\w+)", PAGE))
    assert len(names) > 10
    for name in names:
        assert f"# TYPE {name} " in page, name


def test_each_event_of_the_page_is_one():
    events = set(EVENTS.findall(PAGE))

    assert len(events) >= 5
    for event in events:
        assert f"| `{event}` |" in REFERENCE, event


def test_its_links_lead_somewhere():
    for file, heading in re.findall(r"\]\(([\w./-]*)(?:#([\w-]+))?\)", PAGE):
        target = (ROOT / "docs" / file).resolve() if file else ROOT / "docs/troubleshooting.md"
        assert target.exists(), file
        if heading:
            headings = re.findall(r"^#+ (.*)$", target.read_text(), re.M)
            names = {re.sub(r"[^\w\- ]", "", line).lower().replace(" ", "-") for line in headings}
            assert heading in names, heading


# --- nobody is limited ----------------------------------------------------------------------------

def test_haproxy_checks_and_never_asks(start_both):
    haproxy = start_both(conf=[(f"    {GROUP}\n", ""), (f"    {GROUP} if {{ var(txn.rl.err) -m int 256 }}\n", "")])

    assert get(haproxy.port).status == 200
    wait_until(lambda: spop_of(haproxy)["healthchecks"] >= 2, "checks")
    found = spop_of(haproxy)
    assert (found["notifies"], found["last_notify_ms"], found["attributes"]) == (0, 0, [])
    assert metric(haproxy, "ratelimit_spop_last_notify_timestamp_seconds") == 0


def test_the_key_does_not_come(start_both):
    haproxy = start_both(policies=policies_text(per_user=bucket(1, key=["user"])),
                         spoe=[*PATIENT, (ARGS, ARGS + " user=req.fhdr(x-user)")])

    assert [get(haproxy.port).status for _ in range(3)] == [200] * 3
    assert get(haproxy.port, headers={"X-User": "a"}).status == 200
    assert get(haproxy.port, headers={"X-User": "a"}).status == 429
    found = {each["name"]: each for each in spop_of(haproxy)["attributes"]}
    assert set(found) == {"src", "method", "path", "host", "user"}
    assert (found["user"]["times"], found["user"]["absent"]) == (5, 3)
    assert found["src"]["absent"] == 0
    assert metric(haproxy, 'ratelimit_requests_total{source="spop",reason="none"}') == 3


# --- what HAProxy's numbers mean ------------------------------------------------------------------

def listed(number):
    return re.search(rf"^\| {number} \| (.*)$", PAGE, re.M)[1]


def test_1_is_a_timeout(start_both):
    haproxy = start_both()
    get(haproxy.port)

    haproxy.agent.signal(signal.SIGSTOP)
    get(haproxy.port)
    haproxy.agent.signal(signal.SIGCONT)

    assert numbers(haproxy)[-1] == 1 and "timeout processing" in listed(1)


def test_2_or_257_is_no_agent(start_both, suite):
    haproxy = start_both()
    haproxy.agent.kill()
    wait_until(lambda: haproxy.agent_is("DOWN"), "HAProxy's check to fail")

    get(haproxy.port)

    expected = 257 if SUITES[suite] == "haproxy-3.2" else 2
    assert numbers(haproxy)[-1] == expected and "no agent is up" in listed(expected)


def test_3_is_too_much_for_a_frame(start_both):
    haproxy = start_both(spoe=[(ARGS, ARGS + " url=url")])

    assert get(haproxy.port, path="/" + 9000 * "a").status == 413
    assert numbers(haproxy) == [3] and "do not fit" in listed(3)


def test_259_is_too_much_for_the_agent(start_agent, start_haproxy):
    agent = start_agent("--max-frame-size", "1k", policies=(SHIPPED / "policies.json").read_text())
    haproxy = start_haproxy(agent.address)
    wait_until(lambda: haproxy.agent_is("UP"), "the agent")

    get(haproxy.port, path="/" + 2000 * "a")

    assert numbers(haproxy)[-1] in (1, 3, 259) and "--max-frame-size" in listed(259)


# --- marked down ----------------------------------------------------------------------------------

def check_of(haproxy):
    return haproxy.agent_field("check_status").lstrip("* ")


def test_the_http_port_is_no_agent(start_agent, start_haproxy):
    agent = start_agent(policies=(SHIPPED / "policies.json").read_text(), http=True)
    haproxy = start_haproxy(agent.http_address)

    wait_until(lambda: haproxy.agent_is("DOWN"), "HAProxy's check to fail")

    assert check_of(haproxy) in ("L7RSP", "L7TOUT"), check_of(haproxy)
    assert run("probe", agent.http_address).returncode == 1
    assert run("probe", agent.address).returncode == 0


def test_a_port_where_nobody_listens(start_both):
    haproxy = start_both()
    haproxy.agent.kill()

    wait_until(lambda: haproxy.agent_is("DOWN"), "HAProxy's check to fail")

    assert check_of(haproxy) == "L4CON"


def test_an_agent_that_drains(start_agent, start_haproxy):
    agent = start_agent("--drain-delay", "20s", policies=(SHIPPED / "policies.json").read_text())
    haproxy = start_haproxy(agent.address)
    wait_until(lambda: haproxy.agent_is("UP"), "the agent")

    agent.signal(signal.SIGTERM)
    wait_until(lambda: haproxy.agent_is("DOWN"), "HAProxy's check to fail")

    assert check_of(haproxy) == "L7RSP"
    agent.kill()
