"""Rolling updates and outages of DNS with answers that are as old as they may be: HAProxy and the files and
times of overlays/service, agents with an address each, and a DNS server of the tests' own.

These tests take the time that they are about, so scripts/test runs them with --long only.
test_manifests.py compares the numbers always.
"""

import time

import pytest

from agents_by_dns import AGE, Setting
from manifests import find

pytestmark = [pytest.mark.long, pytest.mark.timeout(900)]


@pytest.fixture
def setting(tmp_path, started, server_trees):  # pylint: disable=unused-argument
    return Setting(tmp_path, started)


@pytest.fixture
def running(setting):
    """Two agents that HAProxy has found, and clients that ask."""
    agents = [setting.start_agent(), setting.start_agent()]
    setting.names.write_agents(agents)
    setting.start_haproxy()
    setting.wait_until_up(2)
    setting.begin_load()
    return setting, agents


def test_a_rolling_update_leaves_no_request_unlimited(running):
    setting, agents = running
    rollout = find(setting.objects, "Deployment", "ratelimit-spoa")["spec"]
    assert rollout["strategy"]["rollingUpdate"] == {"maxUnavailable": 0, "maxSurge": 1}

    for old in list(agents):
        new = setting.start_agent()
        agents.append(new)
        setting.names.write_later(agents)
        time.sleep(rollout["minReadySeconds"])
        agents.remove(old)
        setting.names.write_later(agents)
        assert old.stop() == 0
    # Until the last answer with an old agent in it is forgotten.
    time.sleep(AGE + 45)

    verdicts, others = setting.end_load()
    assert others == [] and verdicts > 1000
    setting.wait_until_up(2)


@pytest.mark.parametrize("outage", ["silence", "SERVFAIL", "NXDOMAIN", "no address"])
def test_an_outage_of_dns_takes_no_agent_away(running, outage):
    setting, agents = running

    if outage == "silence":
        setting.names.server.finish()
    else:
        setting.names.write([], {"SERVFAIL": 2, "NXDOMAIN": 3, "no address": 0}[outage])
    time.sleep(45)  # HAProxy's own hold times are 30 s

    setting.wait_until_up(2)
    if outage == "silence":
        setting.names.start()
    agents.append(setting.start_agent())
    setting.names.write_agents(agents)
    setting.wait_until_up(3)
    verdicts, others = setting.end_load()
    assert others == [] and verdicts > 1000
