"""`on_error` `local` with one node of a real Redis Cluster away: what is granted in place of that node
is charged there once, and nothing is charged for the slots of the others."""

import signal

import pytest

from agent import policies_text, window
from processes import wait_until
from test_redis_cluster import (start_cluster_of,  # pylint: disable=unused-import
                                wait_for_nodes)
from watch import local_units

LIMIT = 5
LOCAL = ("--store-timeout", "5s", "--on-error", "local", "--local-share", "1", "--deny-cache",
         "off")
USERS = [f"user-{n}" for n in range(30)]


@pytest.fixture(name="start_two")
def start_two_agents(start_agent):
    """Each of them grants all of a limit, and has seen all nodes."""
    def start(cluster):
        agents = [start_agent(*LOCAL, http=True, store=cluster.url, policies=policies_text(
            p=window(LIMIT, "3650d", "fixed_window", ["k"]))) for _ in range(2)]
        for agent in agents:
            wait_for_nodes(agent)
        return agents
    return start


def units(agent):
    return {name: count for name, count in local_units(agent).items() if count > 0}


def assert_granted(agent, users, times, is_degraded):
    with agent.connect() as peer:
        for user in users:
            verdicts = [peer.ask(k=user) for _ in range(times)]
            assert all(verdict.allowed for verdict in verdicts)
            assert {verdict.degraded for verdict in verdicts} == {is_degraded}


def assert_left(agents, users, left):
    for agent in agents:
        with agent.connect() as peer:
            for user in users:
                verdict = peer.ask(k=user, cost=0)
                assert (verdict.degraded, verdict.remaining) == (False, left), user


def users_of(node):
    """Whose balance is there, and who has one elsewhere."""
    there = {key.decode().rpartition(":")[2] for key in node.keys()} & set(USERS)
    assert 2 < len(there) < len(USERS) - 2
    return sorted(there), sorted(set(USERS) - there)


@pytest.mark.parametrize("has_data", [True, False])
def test_what_one_node_missed_is_charged_there_once(start_cluster, start_two, has_data):
    cluster = start_cluster(options=["--cluster-require-full-coverage", "no",
                                     "--cluster-node-timeout", 10_000])
    first, second = agents = start_two(cluster)
    node = cluster.primaries[1]
    assert_granted(first, USERS, 1, is_degraded=False)
    lost, others = users_of(node)

    if has_data:
        node.signal(signal.SIGSTOP)
    else:
        node.kill()
    for agent in agents:
        agent.wait_for_event("store_node_down")
    assert_granted(first, lost, 2, is_degraded=True)
    assert_granted(second, lost, 1, is_degraded=True)
    assert_granted(first, others, 1, is_degraded=False)
    if has_data:
        node.signal(signal.SIGCONT)
    else:
        node.start()

    for agent, each in ((first, 2), (second, 1)):
        wait_until(lambda a=agent, n=each: units(a) == {"charged": n * len(lost)}, "the charges")
    assert_left(agents, lost, LIMIT - 3 - has_data)
    assert_left(agents, others, LIMIT - 2)
    for agent, each in ((first, 2), (second, 1)):
        assert units(agent) == {"charged": each * len(lost)}
        assert not agent.events("store_down")
