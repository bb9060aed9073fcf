"""What the alerts about HAProxy read, on the page of its prometheus-exporter."""

import http.client
import re
import signal

import pytest

from agent import SHIPPED_POLICIES, kept_for_another
from haproxy import SUITES
from processes import PATIENCE, ROOT, wait_until
from web import get

ALERTS = (ROOT / "k8s/components/prometheus-rule/alerts.yaml").read_text()
EXPORTER = "    http-request use-service prometheus-exporter if { path /metrics }\n"
QUESTIONS = 5


@pytest.fixture
def haproxy(start_haproxy, agent):
    found = start_haproxy(agent.address, conf=[
        ("    # rate limit: begin\n", EXPORTER + "    # rate limit: begin\n")])
    wait_until(lambda: found.agent_is("UP"), "the agent")
    return found


def value(haproxy, metric):
    """A metric of the agents' backend."""
    connection = http.client.HTTPConnection("127.0.0.1", haproxy.port, PATIENCE)
    try:
        connection.request("GET", "/metrics")
        page = connection.getresponse().read().decode()
    finally:
        connection.close()
    return int(re.search(rf'^{metric}{{proxy="ratelimit-agents"}} (\d+)$', page, re.M)[1])


def test_the_metrics_of_the_alerts_are_there(haproxy):
    names = set(re.findall(r"(haproxy_\w+)\{", ALERTS))

    assert len(names) == 3
    for name in names:
        value(haproxy, name)


def test_an_agent_that_is_gone_is_seen(haproxy, agent, start_agent):
    assert value(haproxy, "haproxy_backend_active_servers") == 1

    agent.kill()

    with kept_for_another(agent.address):
        wait_until(lambda: value(haproxy, "haproxy_backend_active_servers") == 0,
                   "HAProxy to see it")
        start_agent(listen=agent.address, policies=SHIPPED_POLICIES.read_text())
    wait_until(lambda: value(haproxy, "haproxy_backend_active_servers") == 1, "HAProxy to see it")


def test_what_haproxy_gives_up_on_is_counted_from_3_1_on(haproxy, agent, suite):
    get(haproxy.port)
    assert value(haproxy, "haproxy_backend_client_aborts_total") == 0

    agent.signal(signal.SIGSTOP)
    for _ in range(QUESTIONS):
        get(haproxy.port)
    given_up = value(haproxy, "haproxy_backend_client_aborts_total")
    agent.signal(signal.SIGCONT)

    if SUITES[suite] == "haproxy-3.2":  # older ones count connections
        assert given_up == QUESTIONS
    assert haproxy.failed_asks() == QUESTIONS
