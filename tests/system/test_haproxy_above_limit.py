"""HAProxy at an agent whose --max-connections are taken by others."""

import re

import pytest

from agent import SHIPPED_POLICIES
from http_client import HttpClient
from processes import wait_until
from spop import Peer
from web import get

EXTRAS = 64  # accepted above --max-connections
REQUESTS = 50


class Counts:
    """What the agent counted since it started."""

    def __init__(self, agent):
        with HttpClient(agent) as client:
            self.page = client.get("/metrics").body.decode()
        self.accepted = self._value('ratelimit_connections_accepted_total{kind="spop"}')
        self.health_checks = self._value("ratelimit_spop_healthchecks_total")

    def _value(self, name):
        return int(re.search(f"^{re.escape(name)} (\\d+)$", self.page, re.M)[1])

    def other_connections(self, before):
        """How many came since `before` that were no health checks. A check that began may not have
        said its HELLO yet, so there may be one too many."""
        return (self.accepted - before.accepted) - (self.health_checks - before.health_checks)


def silent(agent):
    return Peer(agent.address, hello=None)


def idle(agent):
    return agent.connect()


@pytest.mark.parametrize("come", [silent, idle])
def test_haproxy_stays_up_and_does_not_connect_again_and_again(start_haproxy, start_agent, come):
    agent = start_agent("--max-connections", "1", policies=SHIPPED_POLICIES.read_text(), http=True)
    others = [agent.connect(), *(come(agent) for _ in range(EXTRAS))]
    haproxy = start_haproxy(agent.address)
    wait_until(lambda: haproxy.agent_is("UP"), "HAProxy's check to pass")

    before = Counts(agent)
    wait_until(lambda: Counts(agent).health_checks >= before.health_checks + 3, "health checks")
    assert Counts(agent).other_connections(before) <= 1

    before = Counts(agent)
    for _ in range(REQUESTS):
        assert get(haproxy.port).status == 200
    # A request makes HAProxy connect once, and once more when it crossed a DISCONNECT.
    assert Counts(agent).other_connections(before) <= 2 * REQUESTS + 1
    assert haproxy.agent_is("UP")
    assert haproxy.agent_field("chkfail") == "0"
    for other in others:
        other.close()
