"""What operators change, shared by the agents of a real Redis Cluster, where one node has all of it:
exceptions and stored policies are the same in all agents, whatever becomes of that node."""

import contextlib

import pytest

import test_policies_store
from http_client import assert_problem
from processes import wait_until
from test_admin_tokens import admin_file  # pylint: disable=unused-import
from test_exceptions import POLICIES, Operator
from test_exceptions_shared import await_ids, texts
from test_policies_store import FIRST, SECOND, await_limit, await_put
from test_redis_cluster import (start_cluster_of,  # pylint: disable=unused-import
                                wait_for_nodes)

VERSION = b"rl:{records}:version"
# Where no replica is to be promoted, a busy machine is to be no reason to call a node failed.
CALM = ("--cluster-node-timeout", 10_000)


class Both(Operator, test_policies_store.Operator):
    """Changes exceptions and policies."""


@pytest.fixture
def start(start_agent, admin_file):  # pylint: disable=redefined-outer-name
    def start_one(cluster, *options, operator=Operator, **more):
        return operator(start_agent("--admin-token-file", admin_file, "--store-timeout", "5s",
                                    *options, http=True, store=cluster.url, **more))
    return start_one


@contextlib.contextmanager
def two_agents(start, cluster, **options):
    with start(cluster, **options) as one, start(cluster, **options) as two:
        for client in (one, two):
            wait_for_nodes(client.agent)
        yield one, two


def node_of_records(cluster):
    return cluster.owner_of(cluster.slot_of(VERSION))


def replica_of(cluster, primary):
    return cluster.replicas[cluster.primaries.index(primary)]


def await_replication(cluster, primary):
    """Until its replica has all that it has written."""
    def state(node, field):
        return node.ask("INFO", "replication").split(field)[1].split(b"\r")[0]

    replica = replica_of(cluster, primary)
    wait_until(lambda: state(primary, b"\nmaster_repl_offset:") ==
               state(replica, b"\nslave_repl_offset:"), "the replica")


def promote_replica(cluster, primary):
    """By the death of its primary. The promoted one is a primary of the cluster from then on."""
    promoted = replica_of(cluster, primary)
    primary.kill()
    wait_until(lambda: b"role:master" in promoted.ask("INFO", "replication"), "the promotion")
    place = cluster.primaries.index(primary)
    cluster.primaries[place], cluster.replicas[place] = promoted, primary
    return promoted


def blocks(client, src):
    """A change, as soon as it is taken; until a slot has an owner again, changes are refused."""
    answer = wait_until(lambda: (answer := client.change(
        "PUT", None, {"blocked": True}, {"src": src})).status == 200 and answer, "a change")
    return answer.json["id"]


# --- a node that dies, is emptied, joins ----------------------------------------------------------


def stop_replication(cluster, primary):
    """From now on its replica gets nothing, until it is promoted."""
    replica_of(cluster, primary).ask("CONFIG", "SET", "masterauth", "wrong")
    primary.ask("CLIENT", "KILL", "TYPE", "replica")


def test_exceptions_and_policies_outlive_a_primary(start, start_cluster):
    """The replica that is promoted lacks the last change, which the agents write back."""
    cluster = start_cluster(has_replicas=True)

    def start_stored():
        return start(cluster, "--policies", "store:", operator=Both)

    with start_stored() as one, start_stored() as two:
        for client in (one, two):
            wait_until(client.is_ready, "the store's answer")
        assert one.put(FIRST, 0)["scope"] == "all agents"
        kept = one.set(None, {"blocked": True}, src="198.51.100.1")
        gone = two.set(None, {"blocked": True}, src="198.51.100.2")
        assert kept["scope"] == "all agents"
        await_ids([one, two], {kept["id"], gone["id"]})
        two.remove(gone)
        await_ids([one, two], {kept["id"]})
        await_limit(two, 2)
        primary = node_of_records(cluster)
        await_replication(cluster, primary)
        stop_replication(cluster, primary)
        last = one.set(None, {"blocked": True}, src="198.51.100.3")
        await_ids([one, two], {kept["id"], last["id"]})

        promoted = promote_replica(cluster, primary)

        new = blocks(two, "198.51.100.4")
        await_put(two, SECOND, 1)
        with start_stored() as late:
            for client in (one, two, late):
                await_limit(client, 7)
            await_ids([one, two, late], {kept["id"], last["id"], new})
            assert late.get_policies(1).body.decode() == FIRST
        # Four exceptions, with the one that was removed, and two records of each version.
        assert promoted.ask("HLEN", "rl:{records}:values") == 4 + 2 * 2
        assert not one.agent.events("store_down") and not two.agent.events("store_down")


def test_what_the_node_loses_comes_back_from_the_agents(start, start_cluster):
    cluster = start_cluster(options=CALM)
    with two_agents(start, cluster, policies=POLICIES) as (one, two):
        kept = blocks(one, "192.0.2.1")
        gone = two.set(None, {"blocked": True}, src="192.0.2.2")
        await_ids([one, two], {kept, gone["id"]})
        two.remove(gone)
        await_ids([one, two], {kept})
        node = node_of_records(cluster)

        for other in cluster.primaries:
            if other is not node:
                other.ask("FLUSHALL")  # which concerns no record
        node.ask("FLUSHALL")

        for client in (one, two):
            client.agent.wait_for_event("store_state_lost", level="warn")
        wait_until(lambda: node.ask("HLEN", "rl:{records}:values") == 2, "the records")
        with start(cluster, policies=POLICIES) as late:
            await_ids([one, two, late], {kept})


def test_the_records_move_with_their_slot(start, start_cluster):
    """To a node that has just joined, and back. While the slot migrates, what is known holds."""
    cluster = start_cluster(options=CALM)
    with two_agents(start, cluster, policies=POLICIES) as (one, two):
        known = {blocks(one, "192.0.2.1"), blocks(two, "192.0.2.2")}
        slot, source = cluster.slot_of(VERSION), node_of_records(cluster)
        joined = cluster.add()
        for n, (begin, end) in enumerate([(source, joined), (joined, source)]):
            cluster.begin_move(slot, end)
            cluster.move_keys(slot, begin, end)
            answer = one.change("PUT", None, {"blocked": True}, {"src": f"198.51.100.{n}"})
            assert_problem(answer, 503, "nothing has changed")
            assert two.reason(src="192.0.2.1") == "blocked"
            cluster.end_move(slot, begin, end)
            known.add(blocks(one, f"203.0.113.{n}"))
            known.add(blocks(two, f"198.51.100.{n}"))
            await_ids([one, two], known)
            assert end.ask("HLEN", "rl:{records}:values") == len(known)
        for client in (one, two):
            assert not client.agent.events("store_state_lost")
            assert not client.agent.events("store_records_failed")
            assert not client.agent.events("store_down")


# --- warnings ------------------------------------------------------------------------------------


def connects(client):
    metrics = client.get("/metrics").body.decode()
    return int(metrics.split("\nratelimit_store_connects_total ")[1].split("\n")[0])


def hang_up(node):
    """To every client; the agent connects again at once, and reads anew what the node may."""
    node.ask("CLIENT", "KILL", "TYPE", "normal")


def lacking(client):
    return client.agent.events("store_lacks_right", command="PTTL")


def test_a_right_that_one_node_refuses_is_shown_until_all_nodes_have_it(start, start_cluster):
    cluster = start_cluster(options=CALM)
    first, second, third = cluster.primaries
    for node in (first, second):
        node.ask("ACL", "SETUSER", "default", "-pttl")
    with start(cluster, policies=POLICIES) as client:
        wait_until(lambda: len(lacking(client)) == 2, "two nodes that refuse it")
        wait_until(lambda: connects(client) == 3, "three nodes")

        first.ask("ACL", "SETUSER", "default", "+pttl")
        hang_up(first)
        wait_until(lambda: connects(client) == 4, "a connection")
        # When it has told of this node, it has told of the one that came back before it.
        third.ask("ACL", "SETUSER", "default", "-pttl")
        hang_up(third)
        wait_until(lambda: len(lacking(client)) == 3, "the third node")
        assert not client.agent.events("store_regained_right")
        assert ["PTTL" in text for text in texts(client)] == [True]

        for node in (second, third):
            node.ask("ACL", "SETUSER", "default", "+pttl")
            hang_up(node)
        client.agent.wait_for_event("store_regained_right")
        assert not texts(client)
        assert len(client.agent.events("store_regained_right")) == 1


def test_a_node_that_may_delete_exceptions_is_warned_about(start, start_cluster):
    """Whichever node was connected to last: the slot of the exceptions may be moved to it."""
    cluster = start_cluster(options=CALM)
    deleting, usual, last = cluster.primaries
    deleting.ask("CONFIG", "SET", "maxmemory-policy", "allkeys-lfu")
    with start(cluster, policies=POLICIES) as client:
        wait_until(lambda: connects(client) == 3, "three nodes")
        client.agent.wait_for_store()
        blocks(client, "192.0.2.1")
        client.agent.wait_for_event("store_evicts_exceptions", maxmemory_policy="allkeys-lfu")

        hang_up(usual)
        wait_until(lambda: connects(client) == 4, "a connection")
        last.ask("ACL", "SETUSER", "default", "-pttl")
        hang_up(last)
        wait_until(lambda: len(lacking(client)) == 1, "the last node")
        assert ["allkeys-lfu" in text for text in texts(client)] == [False, True]

        deleting.ask("CONFIG", "SET", "maxmemory-policy", "volatile-lfu")
        hang_up(deleting)
        wait_until(lambda: len(client.request("GET", "/status").json["store"]["warnings"]) == 1,
                   "the end of the warning")
