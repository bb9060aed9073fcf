"""The pods of the overlays, run by podman: see cluster.py for what differs from a cluster.

There is no cluster. The tests play the part of Kubernetes between the pods (scaling, Endpoints,
rolling out); the pods themselves are as the manifests say.
"""

import pytest

from manifests import containers, quantity, render
from processes import wait_until

UP = 'haproxy_server_status{proxy="ratelimit-agents",server="%s",state="UP"}'
NOTIFIES = 'ratelimit_spop_frames_received_total{type="notify"}'
CAPACITY = 20


def wait_for_agents(haproxy, *servers):
    """Waits until HAProxy's checks have found the agents."""
    for server in servers:
        wait_until(lambda name=server: haproxy.metric(UP % name, 8404) == 1,
                   f"{server}:\n{haproxy.cluster.logs()}")


def assert_limited(cluster, haproxy, at_least=CAPACITY):
    """Sends more requests than the policy has tokens. The agent was asked about all, and denied
    most."""
    got = cluster.statuses(haproxy, 200)
    allowed = [status for status, _, _ in got].count("200")
    assert len(got) == 200
    assert {(status, wait) for status, _, wait in got} <= {("200", ""), ("429", "1")}, got
    assert all(left.startswith('"per-ip";r=') for _, left, _ in got), got
    # 5 more a second, and curl takes much less than ten.
    assert at_least <= allowed < CAPACITY + 50, allowed


@pytest.fixture
def sidecar(cluster):
    pod = cluster.run(render("k8s/overlays/sidecar"), "haproxy").wait_until_ready()
    wait_for_agents(pod, "agent1")
    return pod


def test_haproxy_limits_with_the_agent_beside_it(cluster, sidecar):
    assert_limited(cluster, sidecar)


def test_each_probe_of_the_pod_succeeds_and_fails_without_its_container(sidecar):
    assert set(sidecar.probes().values()) == {True}
    assert len(sidecar.probes()) == 5

    sidecar.podman("kill", "-s", "KILL", sidecar.container("agent"))
    wait_until(lambda: sidecar.state("agent")["Status"] == "exited", "its end")
    assert {name for name, good in sidecar.probes().items() if not good} == {
        ("agent", "startupProbe"), ("agent", "livenessProbe"), ("agent", "readinessProbe")}
    sidecar.podman("kill", "-s", "KILL", sidecar.container("haproxy"))
    wait_until(lambda: sidecar.state("haproxy")["Status"] == "exited", "its end")
    assert set(sidecar.probes().values()) == {False}


def test_the_containers_have_no_more_rights_than_they_are_given(sidecar):
    for container in containers(sidecar.template):
        proc = sidecar.proc(container["name"])
        status = dict(line.split(":\t", 1) for line in (proc / "status").read_text().splitlines())
        assert status["Uid"].split() == ["10001"] * 4
        assert {status[f"Cap{kind}"] for kind in ("Inh", "Prm", "Eff", "Bnd", "Amb")} == {"0" * 16}
        assert (status["NoNewPrivs"], status["Seccomp"]) == ("1", "2")
        root, = [line.split()[5] for line in (proc / "mountinfo").read_text().splitlines()
                 if line.split()[4] == "/"]
        assert "ro" in root.split(",")
        inspected = sidecar.podman("inspect", "-f", "{{.HostConfig.Memory}}",
                                   sidecar.container(container["name"]))
        assert int(inspected) == quantity(container["resources"]["limits"]["memory"])


def test_when_the_pod_ends_haproxy_does_and_then_the_agent(cluster, sidecar):
    """They end in the order of a kubelet that knows sidecars, each by itself and well within its
    time."""
    assert cluster.statuses(sidecar, 1)[0][0] == "200"

    assert sidecar.stop("haproxy") == 0
    assert sidecar.state("agent")["Running"]
    assert sidecar.stop("agent") == 0
    assert '"event":"stopped"' in sidecar.log("agent")


@pytest.fixture
def service(cluster):
    """HAProxy and two agents, each of which counts its clients by itself."""
    objects = render("k8s/overlays/service")
    agents = [cluster.run(objects, "ratelimit-spoa") for _ in range(2)]
    haproxy = cluster.run(objects, "haproxy")
    for pod in [*agents, haproxy]:
        pod.wait_until_ready()
    wait_for_agents(haproxy, "agent1", "agent2")
    return haproxy, agents, objects


def asked(agents):
    return [agent.metric(NOTIFIES) for agent in agents]


def ask_until(cluster, haproxy, condition, what):
    """Sends requests of several clients, which HAProxy spreads over the agents."""
    def ask():
        got = [one for client in cluster.network.clients[:8]
               for one in cluster.statuses(haproxy, 5, client)]
        assert len(got) == 40 and all(left for _, left, _ in got), f"{got}\n{cluster.logs()}"
        return condition()
    wait_until(ask, what)


def test_an_agent_that_is_added_gets_traffic_and_one_that_goes_loses_none(cluster, service):
    haproxy, agents, objects = service
    ask_until(cluster, haproxy, lambda: all(asked(agents)), "traffic for both agents")

    agents.append(cluster.run(objects, "ratelimit-spoa").wait_until_ready())
    wait_for_agents(haproxy, "agent3")
    ask_until(cluster, haproxy, lambda: all(asked(agents)), "traffic for the third")

    # Until the agent is gone, every request is asked about, which ask_until checks.
    leaving, *others = agents
    cluster.terminate(leaving)
    ask_until(cluster, haproxy, lambda: not leaving.state("agent")["Running"], "its end")
    assert leaving.state("agent")["ExitCode"] == 0
    before = asked(others)
    ask_until(cluster, haproxy, lambda: sum(asked(others)) >= sum(before) + 40, "the others")


def test_a_client_gets_its_limit_once_from_two_agents_through_two_haproxys(cluster, service):
    haproxy, agents, objects = service
    # The second HAProxy reads the agents in another order, so its agent1 is the first one's agent2.
    cluster.pods.reverse()
    cluster.publish()
    second = cluster.run(objects, "haproxy").wait_until_ready()
    wait_for_agents(second, "agent1", "agent2")

    for client in cluster.network.clients:
        got = [one for asked_pod in (haproxy, second, haproxy, second)
               for one in cluster.statuses(asked_pod, 25, client)]
        assert all(left for _, left, _ in got), f"{got}\n{cluster.logs()}"
        # Two balances would allow 40 at once. 5 more come a second, and curl takes much less than three.
        assert CAPACITY <= [status for status, _, _ in got].count("200") < 2 * CAPACITY, got
    assert all(asked(agents))


def test_agents_share_a_limit_in_the_valkey_for_trials(cluster):
    objects = render("k8s/overlays/redis")
    valkey = cluster.run(objects, "redis-trial").wait_until_ready()
    agents = [cluster.run(objects, "ratelimit-spoa") for _ in range(2)]
    haproxy = cluster.run(objects, "haproxy")
    for pod in [*agents, haproxy]:
        pod.wait_until_ready()
    wait_for_agents(haproxy, "agent1", "agent2")
    for agent in agents:
        wait_until(lambda pod=agent: pod.metric("ratelimit_store_up") == 1, cluster.logs())

    ask_until(cluster, haproxy, lambda: all(asked(agents)), "traffic for both agents")
    assert_shared(cluster, haproxy)

    valkey.podman("kill", "-s", "KILL", valkey.container("valkey"))
    wait_until(lambda: all(agent.metric("ratelimit_store_up") == 0 for agent in agents), "the end")
    for agent in agents:
        assert set(agent.probes().values()) == {True}
    # Each agent goes on from what Valkey said last: the client was exhausted, and 5 tokens come a second.
    wait_until(lambda: cluster.statuses(haproxy, 1)[0][0] == "200", "a token")
    assert_limited(cluster, haproxy, at_least=0)


def assert_shared(cluster, haproxy):
    """When the tokens are gone, two agents together have allowed as many requests as one would."""
    got = cluster.statuses(haproxy, 200)
    assert [status for status, _, _ in got].count("200") < 40, got
