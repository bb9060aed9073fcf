"""The keys in Redis: each is made of a policy and values, and expires."""

import random

import pytest

from agent import bucket, policies_text, window
from cases import named
from processes import wait_until
from redis import FLAVOURS

LIMIT = 10
# No window ends while a test runs.
POLICIES = {
    "bucket": bucket(LIMIT, "1/1h", ["k"]), "log": window(LIMIT, "100d", key=["k"]),
    "counter": window(LIMIT, "100d", "sliding_window_counter", ["k"]),
    "fixed": window(LIMIT, "100d", "fixed_window", ["k"])}
SHORT = {
    "bucket": bucket(LIMIT, "100/1s", ["k"]), "log": window(LIMIT, "100ms", key=["k"]),
    "counter": window(LIMIT, "100ms", "sliding_window_counter", ["k"]),
    "fixed": window(LIMIT, "100ms", "fixed_window", ["k"])}

PATIENT = ("--store-timeout", "5s")


@pytest.fixture(name="start_shared")
def start_with_redis(start_agent, redis):
    def start(policies, *options, store=None, **keywords):
        return start_agent(*PATIENT, *options, store=store or redis.url,
                           policies=policies_text(**policies), **keywords).wait_for_store()
    return start


def shortest_ttl(redis):
    """In ms; it is -1 for a key without one."""
    return min(redis.ask("PTTL", key) for key in redis.keys())


def until_full(peer, key="x", limit=LIMIT):
    """In ms: how long to wait until all of it can be taken. Asks for all of it, and is denied."""
    verdict = peer.ask(k=key, cost=limit)
    assert not verdict.allowed
    return verdict.retry_after_ms


@pytest.mark.parametrize("policy", named(POLICIES))
def test_a_key_lives_until_its_balance_is_full_and_not_much_longer(start_shared, redis, policy):
    """To the millisecond: the TTL was read before the wait, and is rounded down, the wait up."""
    with start_shared({"p": policy}).connect() as peer:
        for number in range(40):
            for cost in (1, 3, 5):
                peer.ask(k=str(number), cost=cost)
                (key,) = redis.keys(f"*:{number}")
                ttl = redis.ask("PTTL", key)
                full = until_full(peer, str(number))
                assert full <= ttl <= 2 * full + 10_000


@pytest.mark.parametrize("policy", named(SHORT))
def test_keys_are_gone_when_their_balance_is_full(start_shared, each_redis, policy):
    """They are not read in between: nobody else removes them."""
    with start_shared({"p": policy}, store=each_redis.url).connect() as peer:
        for n in range(50):
            peer.ask(k=str(n), cost=LIMIT)

        wait_until(lambda: not each_redis.keys(), "the keys to expire", timeout=5)
        wait_until(lambda: each_redis.ask("DBSIZE") == 0, "their memory to be free")
        assert peer.ask(k="0", cost=LIMIT).allowed


@pytest.mark.parametrize("policy", named(POLICIES))
def test_every_key_has_a_ttl_after_any_sequence(start_shared, redis, policy):
    dice = random.Random(7)
    with start_shared({"p": policy}).connect() as peer:
        for _ in range(300):
            peer.ask(k=str(dice.randrange(30)), cost=dice.choice([0, 1, 1, 2, 5, 10, 11]))

    assert len(redis.keys()) == 30
    assert shortest_ttl(redis) > 0


def test_a_long_log_has_ttls_too(start_shared, redis):
    with start_shared({"p": window(2000, "1h", key=["k"])}).connect() as peer:
        for left in range(1999, 1699, -1):
            assert peer.ask(k="x").remaining == left

        ttl = shortest_ttl(redis)
        assert until_full(peer, limit=2000) <= ttl


@pytest.mark.parametrize("policy", named(POLICIES))
def test_a_key_that_lost_its_ttl_gets_one_with_the_next_write(start_shared, redis, policy):
    with start_shared({"p": policy}).connect() as peer:
        peer.ask(k="x", cost=2)
        (key,) = redis.keys()
        redis.ask("PERSIST", key)
        assert shortest_ttl(redis) == -1

        peer.ask(k="x", cost=3)

        assert until_full(peer) <= shortest_ttl(redis) + 1000


@pytest.mark.parametrize("policy", named(POLICIES))
def test_what_is_denied_or_costs_nothing_leaves_nothing(start_shared, redis, policy):
    with start_shared({"p": policy}).connect() as peer:
        assert peer.ask(k="x", cost=0).remaining == LIMIT
        assert peer.ask(k="x", cost=LIMIT + 1).retry_after == -1
        assert redis.keys() == []

        peer.ask(k="x", cost=LIMIT)
        (key,) = redis.keys()
        before = redis.ask("DUMP", key)
        assert not peer.ask(k="x").allowed
        assert redis.ask("DUMP", key) == before


def test_a_key_names_its_policy_and_its_values(start_shared, redis):
    policies = {"p": bucket(LIMIT, key=["host", "path"])}
    with start_shared(policies, "--key-prefix", "mine:").connect() as peer:
        peer.ask(host="example.com", path="a")

        (key,) = redis.keys()
        assert key.startswith(b"mine:p:")
        assert b"example.com" in key and len(key.split(b":")) >= 4


def test_the_prefix_is_rl_unless_it_is_set(start_shared, redis):
    with start_shared({"p": POLICIES["log"]}).connect() as peer:
        peer.ask(k="x")

    assert [key[:5] for key in redis.keys()] == [b"rl:p:"]


def test_different_requests_never_meet_in_one_key(start_shared, redis):
    pairs = [("a", "b"), ("a:b", ""), ("", "a:b"), ("a", ":b"), ("a:", "b"), ("a%3ab", ""),
             ("{a}", "b"),
             ("a,b", ""), ("a\\", "b"), ("a", "\\b"), ("a\0", "b"), ("a", "\0b"), ("\r\n", ""),
             ("a" * 127, "b"), ("a" * 128, ""), ("a" * 128, "b"), ("a" * 5000, ""),
             ("a" * 5001, ""), ("ü", ""), (b"\xff\xfe", ""), ("A", "b"), (" a", "b"), ("*", "?")]
    with start_shared({"p": bucket(LIMIT, key=["one", "two"])}).connect() as peer:
        for one, two in pairs:
            assert peer.ask(one=one, two=two).remaining == LIMIT - 1, (one, two)

    keys = redis.keys()
    assert len(keys) == len(pairs)
    assert max(map(len, keys)) < 300
    # A Cluster looks for the part in braces: a client must not choose it.
    assert not any(b"{" in key for key in keys)


def test_agents_with_the_same_policy_meet_and_with_another_window_do_not(start_shared, redis):
    agents = [start_shared({"p": policy}) for policy in (
        POLICIES["log"], POLICIES["log"], window(LIMIT, "200d", key=["k"]), POLICIES["counter"],
        window(20, "100d", key=["k"]))]
    left = []
    for agent in agents:
        with agent.connect() as peer:
            left.append(peer.ask(k="x").remaining)

    # The last has a higher limit, and the balance of the first two.
    assert left == [9, 8, 9, 9, 17]
    assert len(redis.keys()) == 3


def test_a_restarted_agent_finds_the_balances(start_shared):
    for left in (9, 8, 7):
        agent = start_shared({"p": POLICIES["bucket"]})
        with agent.connect() as peer:
            assert peer.ask(k="x").remaining == left
        assert agent.stop() == 0


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_all_algorithms_work_on_each_server(start_redis, start_shared, flavour):
    agent = start_shared(POLICIES, store=start_redis(flavour).url)
    agent.wait_for_event("store_up")
    with agent.connect() as peer:
        allowed = [[peer.ask(policy=name, key="x", cost=3).allowed for _ in range(5)]
                   for name in POLICIES]

    assert allowed == [[True, True, True, False, False]] * 4
    assert agent.store_states() == [("store_up", None, None)]
