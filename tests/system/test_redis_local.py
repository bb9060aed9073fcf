"""`on_error` `local` goes on from what Redis last said of a balance."""

import signal
import time

import pytest

import spop
from agent import bucket, policies_text, window
from http_client import HttpClient
from processes import wait_until
from watch import local_units

LIMIT = 5
POLICIES = {
    "bucket": bucket(LIMIT, "5/1h", ["k"]), "log": window(LIMIT, "1h", key=["k"]),
    "counter": window(LIMIT, "10d", "sliding_window_counter", ["k"]),
    "fixed": window(LIMIT, "3650d", "fixed_window", ["k"])}
# Nothing is to be decided without Redis before it is stopped, on a busy machine neither.
PATIENT = ("--store-timeout", "1s", "--on-error", "local")

each_policy = pytest.mark.parametrize("policy", [
    pytest.param(policy, id=name) for name, policy in POLICIES.items()])


@pytest.fixture(name="start_three")
def start_three_agents(start_agent, redis):
    """Each of them grants all of a limit, unless the options say otherwise."""
    def start(policy, *options):
        return [start_agent(*PATIENT, "--local-share", "1", *options, store=redis.url,
                            policies=policies_text(p=policy)).wait_for_store() for _ in range(3)]
    return start


def ask(agents, times, **attributes):
    """The verdicts of so many requests to each of the agents."""
    verdicts = []
    for agent in agents:
        with agent.connect() as peer:
            verdicts += [peer.ask(**attributes) for _ in range(times)]
    return verdicts


def kill(redis, agents):
    redis.kill()
    for agent in agents:
        agent.wait_for_event("store_down")


def allowed(verdicts, is_degraded=True):
    assert {verdict.degraded for verdict in verdicts} == {is_degraded}
    assert {verdict.reason for verdict in verdicts} <= {"ok", "limited"}
    return sum(verdict.allowed for verdict in verdicts)


@each_policy
def test_an_exhausted_client_stays_so_in_every_agent_that_saw_it(start_three, redis, policy):
    agents = start_three(policy)
    assert allowed(ask(agents[:1], LIMIT, k="x"), is_degraded=False) == LIMIT
    assert allowed(ask(agents, 1, k="x"), is_degraded=False) == 0

    kill(redis, agents)

    assert allowed(ask(agents, LIMIT, k="x")) == 0
    # What none of them ever saw has the whole limit, in each.
    assert allowed(ask(agents, LIMIT + 1, k="new")) == 3 * LIMIT


@each_policy
def test_what_was_left_is_granted_once_by_each_agent(start_three, redis, policy):
    agents = start_three(policy)
    ask(agents[:1], 3, k="x")
    for verdict in ask(agents, 1, k="x", cost=0):
        assert (verdict.degraded, verdict.remaining) == (False, LIMIT - 3)

    kill(redis, agents)

    verdicts = ask(agents, LIMIT, k="x")
    assert [verdict.allowed for verdict in verdicts] == ([True] * 2 + [False] * 3) * 3
    assert [verdict.remaining for verdict in verdicts] == [1, 0, 0, 0, 0] * 3
    assert allowed(verdicts) == 6


@each_policy
def test_a_blip_of_a_redis_that_keeps_its_data(start_three, redis, policy):
    agents = start_three(policy, "--store-timeout", "20ms", "--deny-cache", "off")
    with agents[0].connect() as peer:
        wait_until(lambda: not peer.ask(k="x").allowed, "the limit")
        assert wait_until(lambda: not peer.ask(k="x").degraded, "an answer of Redis")
    for agent in agents:
        with agent.connect() as peer:
            wait_until(lambda peer=peer: not peer.ask(k="x", cost=0).degraded, "it saw that")

    redis.signal(signal.SIGSTOP)
    late = ask(agents, 3, k="x")
    redis.signal(signal.SIGCONT)

    assert allowed(late) == 0
    with agents[0].connect() as peer:
        wait_until(lambda: not peer.ask(k="x").degraded, "an answer of Redis")
        assert not peer.ask(k="x").allowed


@each_policy
def test_agents_with_a_third_each_grant_together_one_limit(start_three, redis, policy):
    policy = {**policy, "capacity" if "capacity" in policy else "limit": 12}
    agents = start_three(policy, "--local-share", "1/3")
    ask(agents[:1], 2, k="x")
    for verdict in ask(agents, 1, k="x", cost=0):
        assert verdict.remaining == 10

    kill(redis, agents)

    assert [verdict.allowed for verdict in ask(agents, 5, k="x")] == (
        [True] * 3 + [False] * 2) * 3
    assert [verdict.allowed for verdict in ask(agents, 5, k="new")] == (
        [True] * 4 + [False]) * 3


def counted(agent):
    """The number of agents in /status."""
    with HttpClient(agent) as client:
        return client.get("/status").json["store"]["agents"]


def test_agents_count_each_other_and_grant_their_share(start_agent, redis):
    agents = [start_agent(*PATIENT, http=True, store=redis.url, policies=policies_text(
        p={**POLICIES["fixed"], "limit": 12})) for _ in range(3)]
    for agent in agents:
        wait_until(lambda agent=agent: counted(agent) == 3, "three agents")
        with HttpClient(agent) as client:
            assert b"\nratelimit_agents 3\n" in client.get("/metrics").body
    assert all(redis.ask("PTTL", f"rl:{{agents}}:{seat}") > 0 for seat in range(3))
    ask(agents, 1, k="seen by none of them before it is gone")

    kill(redis, agents)

    assert allowed(ask(agents, 5, k="new")) == 12
    assert counted(agents[0]) == 3


def test_agents_without_local_do_not_count_each_other(start_agent, redis):
    agent = start_agent(http=True, store=redis.url, policies=policies_text(p=POLICIES["bucket"]))
    agent.wait_for_store()
    counting = start_agent("--on-error", "local", http=True, store=redis.url)
    wait_until(lambda: counted(counting) == 1, "one agent")
    assert counted(agent) == 0


def test_an_agent_that_never_learnt_the_number_grants_all(start_agent, redis):
    redis.kill()
    agent = start_agent(*PATIENT, store=redis.url, policies=policies_text(p=POLICIES["fixed"]))

    agent.wait_for_event("local_share_unknown")

    assert allowed(ask([agent], LIMIT + 1, k="x")) == LIMIT


def test_a_user_who_may_not_use_the_seats_lacks_this_alone(start_agent, redis):
    redis.ask("ACL", "SETUSER", "agent", "on", ">secret", "~rl:p:*", "+@all")
    agent = start_agent(*PATIENT, store=redis.url, policies=policies_text(p=POLICIES["bucket"]),
                        env={"RATELIMIT_REDIS_USER": "agent", "RATELIMIT_REDIS_PASSWORD": "secret"})

    # What operators change has keys of its own, and a line too.
    wait_until(lambda: any("--local-share" in line["hint"] for line in
                           agent.events("store_lacks_right", command="EVALSHA")), "the line")

    assert allowed(ask([agent], LIMIT + 1, k="x"), is_degraded=False) == LIMIT


def test_a_request_that_there_is_no_room_for(start_agent, redis):
    """It is decided as one is that Redis would answer too late."""
    agent = start_agent("--store-timeout", "1m", "--on-error", "local", "--max-in-flight", "1",
                        store=redis.url, policies=policies_text(p=POLICIES["bucket"]))
    agent.wait_for_store()
    ask([agent], 3, k="x")
    with agent.connect() as waiting, agent.connect() as peer:
        redis.signal(signal.SIGSTOP)
        waiting.send(spop.notify({"k": "y"}))
        agent.connect().close()  # by now it was read

        verdicts = [peer.ask(k="x") for _ in range(4)]
        redis.signal(signal.SIGCONT)
        assert not waiting.read_verdict().degraded

        assert [verdict.allowed for verdict in verdicts] == [True] * 2 + [False] * 2
        # Redis is told of the 2 as soon as there is room.
        wait_until(lambda: peer.ask(k="x", cost=0).remaining == 0, "the charge of the 2")
        redis.kill()
        agent.wait_for_event("store_down")
        assert not peer.ask(k="x").allowed


def test_it_refills_by_the_policy(start_agent, redis):
    agent = start_agent(*PATIENT, store=redis.url, policies=policies_text(
        p=bucket(10, "10", ["k"]))).wait_for_store()
    begin = time.monotonic()
    with agent.connect() as peer:
        while peer.ask(k="x", cost=2).allowed:
            pass
        kill(redis, [agent])

        seen = time.monotonic()
        granted = 0
        while time.monotonic() < seen + 0.5:
            granted += peer.ask(k="x").allowed

    assert 3 <= granted <= 1 + 10 * (time.monotonic() - begin)


def test_a_policy_without_it_keeps_nothing(start_agent, redis):
    agent = start_agent("--store-timeout", "1s", store=redis.url, policies=policies_text(
        p=POLICIES["bucket"])).wait_for_store()
    ask([agent], LIMIT, k="x")
    kill(redis, [agent])

    verdicts = ask([agent], 2, k="x")

    assert {(verdict.allowed, verdict.reason) for verdict in verdicts} == {(True, "error")}


# --- what was granted is charged when Redis is back ---

def some_units(agent):
    """What became of the units that the agent granted, but for what there are none of."""
    return {name: count for name, count in local_units(agent).items() if count > 0}


def wait_for_units(agent, **units):
    wait_until(lambda: some_units(agent) == units, f"{units} of {some_units(agent)}")


def left(agent, key):
    """What Redis says is left."""
    verdict, = ask([agent], 1, k=key, cost=0)
    assert not verdict.degraded
    return verdict.remaining


@pytest.fixture(name="start_two")
def start_two_agents(start_agent):
    """They grant all of a limit each, and have seen Redis."""
    def start(policy, store, *options):
        return [start_agent(*PATIENT, "--local-share", "1", "--deny-cache", "off", *options,
                            http=True, store=store, policies=policies_text(p=policy))
                .wait_for_store() for _ in range(2)]
    return start


def start_again(redis, agents):
    redis.start()
    for agent in agents:
        agent.wait_for_store()


@each_policy
def test_what_was_granted_is_charged_once_when_redis_is_back(start_two, redis, policy):
    first, second = agents = start_two(policy, redis.url)
    kill(redis, agents)
    assert allowed(ask([first], 3, k="x")) == 3
    assert allowed(ask([first], LIMIT + 1, k="y")) == LIMIT
    assert allowed(ask([second], 4, k="x")) == 4

    start_again(redis, agents)
    wait_until(lambda: sum(some_units(agent).get("charged", 0) for agent in agents) == 10,
               "the charges")

    # The agents granted 7 of 5. Redis can charge 5 of them.
    assert sum(some_units(agent).get("nothing_left", 0) for agent in agents) == 2
    assert [left(agent, key) for agent in agents for key in "xy"] == [0] * 4


@each_policy
def test_the_next_request_counts_behind_what_was_granted(start_two, redis, policy):
    first, second = agents = start_two(policy, redis.url)
    kill(redis, agents)
    assert allowed(ask([first], 2, k="x")) == 2

    start_again(redis, agents)

    assert left(first, "x") == LIMIT - 2  # asks for the charge, if it was not made yet
    verdicts = ask([second], LIMIT - 1, k="x")
    assert allowed(verdicts, is_degraded=False) == LIMIT - 2
    wait_for_units(first, charged=2)
    assert some_units(second) == {}


@each_policy
def test_what_redis_charged_though_its_replies_were_lost_is_not_charged_again(
        start_two, redis, wire, policy):
    first, second = agents = start_two(policy, wire.url)
    wire.set_delay(60)
    with first.connect() as peer:
        peer.send(spop.notify({"k": "x"}))
        wait_until(lambda: redis.ask("DBSIZE") > 0 and redis.ask("KEYS", "rl:p:*"), "the charge")
        wire.cut()
        wire.set_delay(0)
        assert peer.read_verdict().degraded
    for agent in agents:
        agent.wait_for_store()

    wait_for_units(first, unsure=1)
    assert [left(agent, "x") for agent in agents] == [LIMIT - 1] * 2
    assert some_units(first) == {"unsure": 1}


@each_policy
def test_a_hang_charges_each_request_once(start_two, redis, policy):
    """Redis works off what waited in its socket, late; the agent charges only what never left."""
    first, second = agents = start_two(policy, redis.url, "--store-timeout", "50ms")
    redis.signal(signal.SIGSTOP)
    granted = allowed(ask([first], 3, k="x"))
    redis.signal(signal.SIGCONT)
    for agent in agents:
        agent.wait_for_store()

    assert granted == 3
    with second.connect() as peer:
        wait_until(lambda: peer.ask(k="x", cost=0).remaining == LIMIT - 3, "all charges")
        for _ in range(20):
            verdict = peer.ask(k="x", cost=0)
            assert verdict.degraded or verdict.remaining == LIMIT - 3
    assert "unsure" not in some_units(first)
