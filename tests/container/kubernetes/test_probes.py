"""The probes of the manifests, asked as a kubelet does, while Redis runs, is stopped, and is
gone."""

import http.client
import signal
import time

import pytest

from agent import SHIPPED_POLICIES
from manifests import OVERLAYS, agent_of, environment, port_number, render
from http_client import HttpClient
from processes import wait_until

PROBES = ["startupProbe", "livenessProbe", "readinessProbe"]


def ask(probe, container, addresses):
    """The status that a probe gets in its time, or None. `addresses` has the address of each
    port."""
    request = probe["httpGet"]
    assert set(request) == {"path", "port"}
    host, _, port = addresses[port_number(container, request["port"])].rpartition(":")
    connection = http.client.HTTPConnection(host, int(port), probe.get("timeoutSeconds", 1))
    try:
        connection.request("GET", request["path"], headers={"User-Agent": "kube-probe/1.33",
                                                            "Connection": "close"})
        return connection.getresponse().status
    except OSError:
        return None
    finally:
        connection.close()


class Probed:
    """An agent with the environment of a manifest, on ports of its own."""

    def __init__(self, start_agent, folder, *options, **keywords):
        self.container = agent_of(render(folder))
        mine = ("RATELIMIT_SPOP_LISTEN", "RATELIMIT_HTTP_LISTEN", "RATELIMIT_POLICIES",
                "RATELIMIT_STORE", "RATELIMIT_REDIS_PASSWORD_FILE")
        env = {name: value for name, value in environment(self.container).items()
               if name not in mine}
        self.agent = start_agent("--drain-delay", "0s", *options, http=True, env=env,
                                 policies=SHIPPED_POLICIES.read_text(), **keywords)
        self.agent.ends_at_once = True
        self.addresses = {port_number(self.container, "http"): self.agent.http_address}

    def statuses(self):
        return {name: ask(self.container[name], self.container, self.addresses) for name in PROBES}

    def degraded(self):
        with HttpClient(self.agent) as client:
            return client.check(policy="per-ip", key="192.0.2.1").json["degraded"]


GOOD = dict.fromkeys(PROBES, 200)


@pytest.fixture(params=OVERLAYS)
def folder(request):
    return request.param


def test_each_probe_is_good_with_redis_well_stopped_and_dead(start_agent, redis, folder):
    probed = Probed(start_agent, folder, store=redis.url)
    probed.agent.wait_for_store()
    assert not probed.degraded()
    assert probed.statuses() == GOOD

    redis.signal(signal.SIGSTOP)
    wait_until(probed.degraded, "the stopped Redis")
    assert probed.statuses() == GOOD
    probed.agent.wait_for_event("store_down")
    assert probed.statuses() == GOOD

    redis.kill()
    wait_until(probed.degraded, "the dead Redis")
    assert probed.statuses() == GOOD


def test_each_probe_is_good_when_redis_never_was_there(start_agent, redis, folder):
    redis.kill()

    probed = Probed(start_agent, folder, store=redis.url)

    assert probed.statuses() == GOOD
    assert probed.degraded()


def test_no_more_than_a_moment_goes_by_until_a_probe_is_answered(start_agent, redis):
    probed = Probed(start_agent, "k8s/overlays/redis", store=redis.url)
    redis.signal(signal.SIGSTOP)
    wait_until(probed.degraded, "the stopped Redis")

    start = time.monotonic()
    for _ in range(20):
        assert probed.statuses() == GOOD
    least = min(probed.container[name].get("timeoutSeconds", 1) for name in PROBES)
    assert (time.monotonic() - start) / 60 < least / 4


def test_an_agent_that_drains_is_alive_and_not_ready(start_agent, folder):
    probed = Probed(start_agent, folder, "--drain-delay", "60s")
    assert probed.statuses() == GOOD

    probed.agent.signal(signal.SIGTERM)
    wait_until(lambda: probed.statuses()["readinessProbe"] == 503, "the readiness of a drain")

    assert probed.statuses()["livenessProbe"] == 200
    probed.agent.kill()


def test_a_probe_of_an_agent_that_hangs_or_is_gone_fails(start_agent, folder):
    probed = Probed(start_agent, folder)

    probed.agent.signal(signal.SIGSTOP)
    assert probed.statuses() == dict.fromkeys(PROBES)
    probed.agent.signal(signal.SIGCONT)
    assert probed.statuses() == GOOD
    probed.agent.kill()
    assert probed.statuses() == dict.fromkeys(PROBES)


def test_a_hanging_agent_is_sent_no_more_traffic_long_before_it_is_killed(folder):
    container = agent_of(render(folder))
    ready, alive = container["readinessProbe"], container["livenessProbe"]

    assert ready["periodSeconds"] * ready["failureThreshold"] < \
        alive["periodSeconds"] * (alive["failureThreshold"] - 1)
