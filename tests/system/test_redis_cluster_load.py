"""A real Redis Cluster that changes under load: every request gets a verdict, and limits hold."""

import collections
import json

import pytest

from agent import bucket, window
from processes import wait_until
from redis_cluster import Cluster
from spop_load import SpopLoad

LIMIT, CLIENTS = 5, 200
# The time-outs are long, so that only what the cluster does counts, and not how busy the machine is.
PATIENT = ("--store-timeout", "5s", "--on-error", "deny")
WIDE = window(10**9, "1d", "fixed_window")
# The two keys of a wide request share a slot, so they get TRYAGAIN while one of them has moved.
POLICIES = json.dumps({"hash_tag": "wide", "policies": {
    "small": {**bucket(LIMIT, "1/1d", ["small"]), "match": {"small": "*"}},
    "wide": {**WIDE, "key": ["wide"], "match": {"wide": "*"}},
    "also": {**WIDE, "key": ["wide", "also"], "match": {"wide": "*"}}}})
REQUESTS = {
    **{("small", n): {"small": f"small-{n}"} for n in range(CLIENTS)},
    **{("wide", n): {"wide": f"wide-{n}", "also": "x"} for n in range(CLIENTS)}}


@pytest.fixture(name="start_cluster")
def start_cluster_of(start_redis):
    def start():
        return Cluster(start_redis, node_timeout_ms=30_000)
    return start


@pytest.fixture(name="start_agents")
def start_agents_of(start_agent):
    def start(cluster):
        agents = [start_agent(*PATIENT, store=cluster.url, policies=POLICIES) for _ in range(2)]
        for agent in agents:
            agent.wait_for_event("store_up")
        return agents
    return start


def start_load(agents):
    return SpopLoad([agent.address for agent in agents], REQUESTS, clients=16, pause=0.002)


def wait_for_keys(cluster, load):
    """Until all clients have asked; those of the small limit are denied soon after."""
    wait_until(lambda: len(cluster.keys()) == 3 * CLIENTS, "all keys", 60)
    load.wait_for(lambda answer: not answer.is_allowed and not answer.is_degraded, "a denial")


def slots_of(cluster, node, count):
    slots = list(dict.fromkeys(map(cluster.slot_of, node.keys())))
    assert len(slots) >= count
    return slots[:count]


def has_stalled(agents):
    """Whether the machine kept a node from answering for half a second: agents drop its connection
    then, and what was in flight is decided by `on_error`, and maybe charged."""
    return any(agent.events(name, kind="timeout") for agent in agents
               for name in ("store_node_down", "store_down"))


def assert_all_is_well(cluster, agents, load):
    """Each request has one verdict, of a balance; no more than the limits passed; and Redis has
    counted what was asked, no more and no less."""
    assert (load.wrong, load.lost) == ([], 0)
    decided = [answer for answer in load.answers if not answer.is_degraded]
    asked = collections.Counter(answer.name for answer in load.answers)
    allowed = collections.Counter(answer.name for answer in decided if answer.is_allowed)
    at_least = collections.Counter(answer.name for answer in decided)
    if not has_stalled(agents):
        assert at_least == asked
        assert all(allowed["small", n] == min(LIMIT, asked["small", n]) for n in range(CLIENTS))
    assert all(allowed["small", n] <= LIMIT for n in range(CLIENTS))
    for policy, name, used in charges(cluster):
        assert at_least[name] <= used <= asked[name], (policy, name)


def charges(cluster):
    """What Redis has counted of the wide clients."""
    for node in cluster.primaries:
        for policy in ("wide", "also"):
            for key in node.keys(f"rl:{policy}:*"):
                used = int.from_bytes(node.ask("GET", key)[:8], "big")
                number = int(key.partition(b"{wide-")[2].partition(b"}")[0])
                yield policy, ("wide", number), used


@pytest.mark.parametrize("count", [25, pytest.param(100, marks=pytest.mark.long)])
def test_slots_move_there_and_back_under_load(start_cluster, start_agents, count):
    """ASK, MOVED and TRYAGAIN alone leave no request to `on_error`, and charge none twice."""
    cluster = start_cluster()
    source, target, _ = cluster.primaries
    agents = start_agents(cluster)
    with start_load(agents) as load:
        wait_for_keys(cluster, load)
        slots = slots_of(cluster, source, count)
        for slot in slots:
            cluster.move(slot, target)
        load.wait_for_more(200)
        for slot in slots:
            cluster.move(slot, source)
        load.wait_for_more(200)

    assert_all_is_well(cluster, agents, load)


def is_left_alone(node, load):
    """Whether nobody asks it, while each request comes twice."""
    def calls():
        return node.ask("INFO", "commandstats").partition(b"cmdstat_evalsha:calls=")[2].split(b",")[0]
    before = calls()
    load.wait_for_more(2 * len(REQUESTS))
    return calls() == before


def test_a_node_joins_gets_slots_and_leaves_under_load(start_cluster, start_agents):
    cluster = start_cluster()
    agents = start_agents(cluster)
    with start_load(agents) as load:
        wait_for_keys(cluster, load)
        joined = cluster.add()
        slots = slots_of(cluster, cluster.primaries[0], 10)
        for slot in slots:
            cluster.move(slot, joined)
        load.wait_for_more(200)
        for slot in slots:
            cluster.move(slot, cluster.primaries[1])
        wait_until(lambda: is_left_alone(joined, load), "agents that know of it", 60)
        cluster.remove(joined)
        joined.kill()
        load.wait_for_more(200)

    assert_all_is_well(cluster, agents, load)
