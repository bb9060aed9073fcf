"""A real Redis Cluster: limits over many keys, slots that move, nodes that die, join and leave."""

import json
import random
import signal

import pytest

from agent import bucket, window
from http_client import HttpClient
from processes import ROOT, wait_until
from redis import FLAVOURS
from redis_cluster import Cluster
from test_admin_tokens import admin_file  # pylint: disable=unused-import
from test_balances import Operated

PATIENT = ("--store-timeout", "5s", "--on-error", "deny")
LIMIT = 3


def policies(hash_tag=None, **by_name):
    return json.dumps({**({"hash_tag": hash_tag} if hash_tag else {}), "policies": by_name})


@pytest.fixture(name="start_cluster")
def start_cluster_of(start_redis):
    def start(*arguments, **keywords):
        return Cluster(start_redis, *arguments, **keywords)
    return start


def wait_for_nodes(agent):
    """Until no slot of a hundred is without its node."""
    nothing = {"algorithm": "token_bucket", "capacity": 1, "refill_rate": 1, "cost": 0}
    with agent.connect() as peer:
        for n in range(100):
            wait_until(lambda key=f"-{n}": not peer.ask(key=key, **nothing).degraded, "the nodes")


def reasons(peer, count, **attributes):
    return [peer.ask(**attributes).reason for _ in range(count)]


def assert_limit_holds(peer, count, name="user"):
    """Each of so many clients gets exactly its limit, wherever its slot is."""
    for n in range(count):
        assert reasons(peer, LIMIT + 1, src=f"{name}-{n}") == ["ok"] * LIMIT + ["limited"]


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_limits_are_exact_over_many_keys(start_cluster, start_agent, flavour):
    cluster = start_cluster(flavour)
    agent = start_agent(*PATIENT, store=cluster.url, policies=policies(p=bucket(LIMIT)))
    wait_for_nodes(agent)

    with agent.connect() as peer:
        assert_limit_holds(peer, 200)
    assert all(node.ask("DBSIZE") > 30 for node in cluster.primaries)


def test_the_slot_of_a_key_is_the_one_that_redis_says(start_cluster, start_agent):
    """If it were another one, the first request of each key would be sent elsewhere."""
    cluster = start_cluster()
    agent = start_agent(*PATIENT, store=cluster.url, policies=policies(p=bucket(LIMIT)))
    wait_for_nodes(agent)
    rng = random.Random(1)

    def sent_elsewhere():
        return [line for node in cluster.primaries
                for line in node.ask("INFO", "errorstats").splitlines()
                if line.startswith(b"errorstat_MOVED")]

    before = sent_elsewhere()  # the greeting's PTTL
    with agent.connect() as peer:
        for _ in range(300):
            text = "".join(rng.choice("ab{}%|/ é") for _ in range(rng.randrange(20)))
            assert peer.ask(src=text).reason in ("ok", "limited")
    assert sent_elsewhere() == before


def test_a_node_is_enough_to_find_the_others(start_cluster, start_agent):
    """Also a replica, which can't be asked anything else."""
    cluster = start_cluster(has_replicas=True)
    for node in (cluster.primaries[0], cluster.replicas[2]):
        agent = start_agent(*PATIENT, store=f"redis+cluster://127.0.0.1:{node.port}",
                            policies=policies(p=bucket(LIMIT)))
        wait_for_nodes(agent)
        with agent.connect() as peer:
            assert_limit_holds(peer, 20, name=f"by {node.port}")


def test_policies_with_a_hash_tag_are_charged_together(start_cluster, start_agent):
    cluster = start_cluster()
    text = policies("src", per_ip=bucket(LIMIT), login=window(1, key=["path", "src"]))
    agent = start_agent(*PATIENT, store=cluster.url, policies=text)
    wait_for_nodes(agent)

    with agent.connect() as peer:
        for n in range(50):
            src = f"192.0.2.{n}"
            assert reasons(peer, 2, src=src, path="/") == ["ok", "limited"]
            # The denied request took nothing of the other policy.
            assert peer.ask(src=src, path="/x").remaining == 0
            assert peer.ask(src=src, path="/y").remaining == 0
            assert peer.ask(src=src, path="/z").reason == "limited"
    slots = {}
    for key in cluster.keys():
        slots.setdefault(key.partition(b"{")[2].partition(b"}")[0], set()).add(cluster.slot_of(key))
    assert len(slots) == 50
    assert all(len(of_one) == 1 for of_one in slots.values())


def test_a_request_over_several_slots_is_charged_in_all_or_in_none(start_cluster, start_agent):
    cluster = start_cluster()
    text = policies(p=bucket(5, key=["a"]), q=bucket(1000, key=["b"]), r=window(7, key=["c"]))
    agent = start_agent(*PATIENT, store=cluster.url, policies=text)
    wait_for_nodes(agent)

    with agent.connect() as peer:
        for n in range(30):
            key = f"user-{n}"
            assert reasons(peer, 6, a=key, b=key, c=key) == ["ok"] * 5 + ["limited"]
            # What was denied took nothing of the other two.
            assert peer.ask(b=key).remaining == 1000 - 5 - 1
            assert reasons(peer, 3, c=key) == ["ok", "ok", "limited"]


def test_what_another_slot_denies_after_the_look_is_given_back(start_cluster, start_agent):
    """Seventy requests at once all pass the look; then p has ten units for them, and q enough."""
    cluster = start_cluster()
    text = policies(p=window(10, key=["a"], algorithm="fixed_window"), q=bucket(1000, key=["b"]),
                    r=window(1000, key=["c"]))
    agent = start_agent(*PATIENT, store=cluster.url, policies=text, http=True)
    wait_for_nodes(agent)

    with HttpClient(agent) as client:
        for n in range(5):
            key = f"user-{n}"
            done = client.post({"checks": [{"attributes": dict.fromkeys("abc", key)}] * 70}).json
            assert sum(check["allowed"] for check in done["results"]) == 10
            # A bucket keeps what it has refilled meanwhile, here a small part of a token.
            assert client.left(key, policy="q") in (1000 - 10 - 1, 1000 - 10)
            assert client.left(key, policy="r") == 1000 - 10
    assert agent.is_always_up()


@pytest.mark.parametrize("url", ["redis", "redis+cluster"])
def test_a_cluster_of_one_node_with_a_hash_tag_in_the_prefix(start_cluster, start_agent, url):
    cluster = start_cluster(primaries=1)
    agent = start_agent(*PATIENT, "--key-prefix", "{rl}:",
                        store=f"{url}://127.0.0.1:{cluster.primaries[0].port}",
                        policies=policies(p=bucket(LIMIT), q=window(1, key=["path"])))
    wait_for_nodes(agent)

    with agent.connect() as peer:
        assert reasons(peer, 2, src="a", path="/") == ["ok", "limited"]
        assert reasons(peer, 2, src="a", path="/x") == ["ok", "limited"]
    assert len({cluster.slot_of(key) for key in cluster.keys()}) == 1


def test_a_server_without_a_cluster_is_refused_with_the_way_out(start_agent, redis):
    agent = start_agent(store=f"redis+cluster://127.0.0.1:{redis.port}",
                        policies=policies(p=bucket(LIMIT)))

    event = agent.wait_for_event("store_down")
    assert "--store begins with redis://" in event["reason"]


def test_agents_of_a_cluster_count_each_other(start_cluster, start_agent):
    """By seats that are all in one slot; also after that slot has moved."""
    cluster = start_cluster()
    agents = [start_agent("--store-timeout", "5s", "--on-error", "local", store=cluster.url,
                          policies=policies(p=bucket(LIMIT)), http=True) for _ in range(2)]

    def counted(agent):
        with HttpClient(agent) as client:
            return client.get("/status").json["store"]["agents"]

    for agent in agents:
        wait_until(lambda a=agent: counted(a) == 2, "the number of agents")
    seats = [key for key in cluster.keys() if b"{agents}" in key]
    assert sorted(seats) == [b"rl:{agents}:0", b"rl:{agents}:1"]
    slot = cluster.slot_of(seats[0])
    target = next(node for node in cluster.primaries if node is not cluster.owner_of(slot))
    cluster.move(slot, target)
    agents.append(start_agent("--store-timeout", "5s", "--on-error", "local", store=cluster.url,
                              policies=policies(p=bucket(LIMIT)), http=True))
    for agent in agents:
        wait_until(lambda a=agent: counted(a) == 3, "the number of agents")


# --- slots that move -----------------------------------------------------------------------------


def test_slots_that_move_change_no_balance(start_cluster, start_agent):
    """While a slot migrates, and after it has moved; each request is decided, and none twice."""
    cluster = start_cluster()
    agent = start_agent(*PATIENT, store=cluster.url, policies=policies(p=bucket(100)))
    wait_for_nodes(agent)
    users = [f"user-{n}" for n in range(30)]
    left = dict.fromkeys(users, 100)

    def ask_all(peer):
        for user in users:
            verdict = peer.ask(src=user)
            left[user] -= 1
            assert (verdict.reason, verdict.remaining) == ("ok", left[user])

    with agent.connect() as peer:
        ask_all(peer)
        slots = sorted({cluster.slot_of(key) for key in cluster.keys()})
        target = cluster.primaries[2]
        for slot in [slot for slot in slots if cluster.owner_of(slot) is not target]:
            source = cluster.begin_move(slot, target)
            ask_all(peer)  # the key is at the source still
            cluster.move_keys(slot, source, target)
            ask_all(peer)  # ASK
            cluster.end_move(slot, source, target)
            if left[users[0]] < 50:
                break
        ask_all(peer)
    assert agent.is_always_up()


def test_keys_of_one_request_on_both_sides_of_a_migration(start_cluster, start_agent):
    """Both nodes answer TRYAGAIN to a call with both keys, for as long as the slot migrates."""
    cluster = start_cluster()
    text = policies("src", p=bucket(10), q=bucket(20, key=["src", "path"]))
    agent = start_agent(*PATIENT, store=cluster.url, policies=text)
    wait_for_nodes(agent)

    with agent.connect() as peer:
        assert peer.ask(src="a", path="/").remaining == 9
        first, _ = cluster.keys()
        slot = cluster.slot_of(first)
        target = next(node for node in cluster.primaries if node is not cluster.owner_of(slot))
        source = cluster.begin_move(slot, target)
        source.ask("MIGRATE", "127.0.0.1", target.port, first, 0, 5000)
        assert peer.ask(src="a", path="/").remaining == 8
        assert peer.ask(src="a", path="/new").remaining == 7
        cluster.move_keys(slot, source, target)
        assert peer.ask(src="a", path="/").remaining == 6
        cluster.end_move(slot, source, target)
        assert peer.ask(src="a", path="/").remaining == 5
    assert not agent.events("store_error")


def test_a_node_that_joins_is_found_by_the_first_request_sent_there(start_cluster, start_agent):
    cluster = start_cluster(primaries=2)
    agent = start_agent(*PATIENT, store=cluster.url, policies=policies(p=bucket(10)))
    wait_for_nodes(agent)
    with agent.connect() as peer:
        assert peer.ask(src="a").remaining == 9
        key, = cluster.keys()
        slot = cluster.slot_of(key)
        joined = cluster.add()
        source = cluster.begin_move(slot, joined)
        cluster.move_keys(slot, source, joined)
        assert peer.ask(src="a").remaining == 8  # by ASK, over a connection that is new
        cluster.end_move(slot, source, joined)
        assert peer.ask(src="a").remaining == 7
        cluster.move(slot, source)
        assert peer.ask(src="a").remaining == 6
    assert agent.is_always_up()


# --- nodes that die ------------------------------------------------------------------------------


def test_without_one_of_three_nodes_the_slots_of_the_others_hold(start_cluster, start_agent):
    cluster = start_cluster(options=["--cluster-require-full-coverage", "no"])
    agent = start_agent("--store-timeout", "5s", "--on-error", "allow", store=cluster.url,
                        policies=policies(p=bucket(LIMIT)))
    wait_for_nodes(agent)
    with agent.connect() as peer:
        users = [f"user-{n}" for n in range(60)]
        for user in users:
            assert peer.ask(src=user).reason == "ok"
        lost = {key.decode().rpartition(":")[2] for key in cluster.primaries[1].keys()}
        assert 5 < len(lost) < 40
        cluster.primaries[1].kill()
        agent.wait_for_event("store_node_down", kind="connection")
        for user in users:
            expected = ["error"] * 3 if user in lost else ["ok"] * 2 + ["limited"]
            assert reasons(peer, 3, src=user) == expected
    assert not agent.events("store_down")


def test_without_one_of_three_nodes_requests_of_four_policies(start_cluster, start_agent):
    """The checks of the two other nodes are charged, and their limits hold."""
    cluster = start_cluster(options=["--cluster-require-full-coverage", "no"])
    names = ["w", "x", "y", "z"]
    agent = start_agent("--store-timeout", "5s", "--on-error", "allow", store=cluster.url,
                        policies=policies(**{name: bucket(LIMIT, key=[name]) for name in names}))
    wait_for_nodes(agent)
    with agent.connect() as peer:
        users = [f"user-{n}" for n in range(20)]
        for user in users:
            assert peer.ask(**dict.fromkeys(names, user)).reason == "ok"
        at_lost = [key.decode() for key in cluster.primaries[1].keys()]
        cluster.primaries[1].kill()
        agent.wait_for_event("store_node_down", kind="connection")
        for user in users:
            lost = sum(key.endswith(f":{user}") for key in at_lost)
            verdicts = [peer.ask(**dict.fromkeys(names, user)) for _ in range(3)]
            expected = [True] * 3 if lost == len(names) else [True, True, False]
            assert [verdict.allowed for verdict in verdicts] == expected
            assert all(verdict.degraded == (lost > 0) for verdict in verdicts[:2])


def test_while_one_of_three_nodes_hangs_the_limits_of_the_others_hold(start_cluster, start_agent):
    """Its slots decide their own checks, at the deadline; those of the others are charged."""
    cluster = start_cluster(options=["--cluster-require-full-coverage", "no"])
    names = ["w", "x", "y", "z"]
    agent = start_agent("--store-timeout", "250ms", "--on-error", "allow", store=cluster.url,
                        policies=policies(**{name: bucket(LIMIT, key=[name]) for name in names}))
    wait_for_nodes(agent)
    hanging = cluster.primaries[1]
    with agent.connect() as peer:
        users = [f"user-{n}" for n in range(6)]
        for user in users:
            assert peer.ask(**dict.fromkeys(names, user)).reason == "ok"
        at_hanging = [key.decode() for key in hanging.keys()]
        lost = {user: sum(key.endswith(f":{user}") for key in at_hanging) for user in users}
        user = next(user for user in users if 0 < lost[user] < len(names))
        hanging.signal(signal.SIGSTOP)
        try:
            verdicts = [peer.ask(**dict.fromkeys(names, user)) for _ in range(3)]
        finally:
            hanging.signal(signal.SIGCONT)
        assert [verdict.allowed for verdict in verdicts] == [True, True, False]
        assert all(verdict.degraded for verdict in verdicts[:2])


def test_a_shadow_balance_that_is_broken_leaves_the_others_of_its_slot_charged(
        start_cluster, start_agent):
    cluster = start_cluster()
    text = policies("src", p=bucket(LIMIT), seen={**bucket(10), "shadow": True},
                    q=bucket(1000, key=["path"]))
    agent = start_agent(*PATIENT, store=cluster.url, policies=text)
    wait_for_nodes(agent)
    with agent.connect() as peer:
        assert peer.ask(src="a", path="/").reason == "ok"
        broken = next(key for key in cluster.keys() if key.startswith(b"rl:seen:"))
        cluster.owner_of(cluster.slot_of(broken)).ask("SET", broken, "nonsense")
        verdicts = [peer.ask(src="a", path="/") for _ in range(3)]
        assert [verdict.allowed for verdict in verdicts] == [True, True, False]


def test_a_replica_that_is_promoted_takes_over(start_cluster, start_agent):
    cluster = start_cluster(has_replicas=True)
    agent = start_agent("--store-timeout", "1s", "--on-error", "deny", store=cluster.url,
                        policies=policies(p=bucket(1_000_000)))
    wait_for_nodes(agent)
    with agent.connect() as peer:
        users = [f"user-{n}" for n in range(20)]
        for user in users:
            wait_until(lambda u=user: peer.ask(src=u).reason == "ok", "a verdict")
        cluster.primaries[0].kill()
        promoted = cluster.replicas[0]
        wait_until(lambda: b"role:master" in promoted.ask("INFO", "replication"), "the promotion")
        for user in users:
            wait_until(lambda u=user: peer.ask(src=u).reason == "ok", "a verdict")
    assert not agent.events("store_down")


def test_the_documented_user_is_enough(start_cluster, start_agent):
    """The ACL line of docs/redis.md, on every node; a slot migrates meanwhile."""
    line = next(line for line in (ROOT / "docs/redis.md").read_text().splitlines()
                if line.startswith("ACL SETUSER ratelimit") and "+asking" in line)
    cluster = start_cluster()
    for node in cluster.nodes:
        node.ask(*line.replace("PASSWORD", "s3cret").split())
    agent = start_agent(*PATIENT, store=cluster.url, policies=policies(p=bucket(10)), env={
        "RATELIMIT_REDIS_USER": "ratelimit", "RATELIMIT_REDIS_PASSWORD": "s3cret"})
    wait_for_nodes(agent)

    with agent.connect() as peer:
        assert peer.ask(src="a").remaining == 9
        slot = cluster.slot_of(next(key for key in cluster.keys() if key.endswith(b":a")))
        target = next(node for node in cluster.primaries if node is not cluster.owner_of(slot))
        source = cluster.begin_move(slot, target)
        cluster.move_keys(slot, source, target)
        assert peer.ask(src="a").remaining == 8
    assert not agent.events("store_lacks_right")


def test_an_operator_resets_balances_in_several_slots(
        start_cluster, start_agent, admin_file):  # pylint: disable=redefined-outer-name
    """Each override with numbers of its own has another key."""
    cluster = start_cluster()
    overrides = [{"match": {"plan": f"p{n}"}, "capacity": 10 + n} for n in range(8)]
    agent = start_agent(*PATIENT, "--admin-token-file", admin_file, store=cluster.url, http=True,
                        policies=policies(p={**bucket(5), "overrides": overrides}))
    wait_for_nodes(agent)

    with agent.connect() as peer, Operated(agent) as client:
        for n in range(8):
            assert peer.ask(src="a", plan=f"p{n}").remaining == 9 + n
        used = client.used("p", src="a")
        assert sorted(used.values()) == [1] * 8
        assert sorted(b["used"] for b in client.balances("p", "DELETE", src="a")["balances"]) == \
            [1] * 8
        assert set(client.used("p", src="a").values()) <= {0}
        assert peer.ask(src="a", plan="p0").remaining == 9


def test_an_operator_is_answered_by_the_node_that_has_the_key(
        start_cluster, start_agent, admin_file):  # pylint: disable=redefined-outer-name
    """While its slot migrates, and when it has moved: explain, balances and reset."""
    cluster = start_cluster()
    agent = start_agent(*PATIENT, "--admin-token-file", admin_file, store=cluster.url, http=True,
                        policies=policies(p=bucket(5), q=window(9, key=["path"])))
    wait_for_nodes(agent)

    def left(client):
        answer = client.post({"attributes": {"src": "a", "path": "/"}}, "/explain")
        return [policy["remaining"] for policy in answer.json["policies"]]

    with agent.connect() as peer, Operated(agent) as client:
        assert peer.ask(src="a", path="/").allowed
        assert left(client) == [3, 7]
        key = next(key for key in cluster.keys() if key.endswith(b":a"))
        slot = cluster.slot_of(key)
        target = next(node for node in cluster.primaries if node is not cluster.owner_of(slot))
        source = cluster.begin_move(slot, target)
        cluster.move_keys(slot, source, target)
        assert left(client) == [3, 7]
        assert list(client.used("p", src="a").values()) == [1]
        cluster.end_move(slot, source, target)
        assert left(client) == [3, 7]
        assert client.balances("p", "DELETE", src="a")["reset"] == 1
        assert left(client) == [4, 7]
        assert target.ask("EXISTS", key) == 0
