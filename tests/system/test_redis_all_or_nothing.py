"""All checks of a request are charged, or none: in a batch, and beside keys that are unusable."""

import itertools
import random

import pytest

import spop
from agent import bucket, policies_text, window
from spop_load import SpopLoad

HOUR = "1/1h"
POLICIES = policies_text(
    wide=bucket(1000, HOUR, ["wide"]), narrow=bucket(5, HOUR, ["narrow"]),
    log=window(1000, "100d", key=["log"]), fixed=window(1000, "100d", "fixed_window", ["fixed"]),
    counter=window(1000, "100d", "sliding_window_counter", ["counter"]))
WIDE = ("wide", "log", "counter", "fixed")

# Redis has to answer, on a busy machine too.
PATIENT = ("--store-timeout", "5s")


@pytest.fixture(name="start_shared")
def start_with_redis(start_agent, redis):
    return lambda *options: start_agent(
        *PATIENT, *options, store=redis.url, policies=POLICIES).wait_for_store()


@pytest.fixture
def agent(start_shared):
    return start_shared()


def ask_at_once(peer, requests):
    """All in one write, so that they share batches; the verdicts in the order of the requests.

    A request is a dict, or a list of them: the messages of one frame.
    """
    frames = [spop.notify(*(r if isinstance(r, list) else [r]), frame_id=n)
              for n, r in enumerate(requests)]
    peer.send(b"".join(frames))
    verdicts = {v.frame.frame_id: v for v in (peer.read_verdict() for _ in requests)}
    return [verdicts[n] for n in range(len(requests))]


def left(peer, policy, value="x"):
    return peer.ask(cost=0, policy=policy, key=value).remaining


def key_of(redis, policy):
    """The one key that the policy has in Redis."""
    (key,) = redis.keys(f"rl:{policy}:*")
    return key


def spoil(redis, policy, how):
    key = key_of(redis, policy)
    redis.ask("DEL", key)
    redis.ask(how[0], key, *how[1:])


UNUSABLE = {"list": ("RPUSH", "foreign"), "hash": ("HSET", "a", "1"), "text": ("SET", "foreign"),
            "empty": ("SET", ""), "long": ("SET", b"\xff" * 4000)}
each_unusable = pytest.mark.parametrize("how", UNUSABLE.values(), ids=UNUSABLE)


# --- one request at a time -----------------------------------------------------------------------


@pytest.mark.parametrize("wide", WIDE)
def test_what_one_policy_denies_charges_no_other(peer, wide):
    verdicts = [peer.ask(**{wide: "x", "narrow": "x"}) for _ in range(9)]

    assert [verdict.allowed for verdict in verdicts] == [True] * 5 + [False] * 4
    assert verdicts[-1].policy == "narrow"
    assert left(peer, wide) == 995
    assert left(peer, "narrow") == 0


def test_a_denial_by_the_last_of_16_policies_charges_none(start_agent, redis):
    policies = {f"p{n:02}": bucket(100, HOUR, ["k"]) for n in range(15)}
    agent = start_agent(*PATIENT, store=redis.url, policies=policies_text(
        **policies, p15=bucket(1, HOUR, ["k"]))).wait_for_store()
    with agent.connect() as peer:
        assert [peer.ask(k="x").allowed for _ in range(3)] == [True, False, False]

        assert {left(peer, name) for name in policies} == {99}


def test_two_messages_that_meet_in_one_key_are_added_up(peer):
    assert not peer.ask({"narrow": "x", "cost": 3}, {"narrow": "x", "cost": 3}).allowed
    assert left(peer, "narrow") == 5

    assert peer.ask({"narrow": "x", "cost": 3}, {"narrow": "x", "cost": 2}).remaining == 0
    assert left(peer, "narrow") == 0


# --- in batches ----------------------------------------------------------------------------------


@pytest.mark.parametrize("wide", WIDE)
def test_in_a_batch_a_denied_request_charges_nothing_either(peer, wide):
    requests = [{wide: "x", "narrow": f"n{n % 10}"} for n in range(200)]

    verdicts = ask_at_once(peer, requests)

    assert [verdict.allowed for verdict in verdicts] == [True] * 50 + [False] * 150
    assert {verdict.reason for verdict in verdicts[50:]} == {"limited"}
    assert left(peer, wide) == 950


def test_in_a_batch_the_same_key_twice_in_a_request_is_added_up(peer):
    twice = [{"narrow": "x"}, {"narrow": "x"}, {"wide": "x"}]

    verdicts = ask_at_once(peer, [twice] * 40)

    # Two of five each: the third time it is denied, and takes nothing.
    assert [verdict.allowed for verdict in verdicts] == [True] * 2 + [False] * 38
    assert left(peer, "narrow") == 1
    assert left(peer, "wide") == 998


def test_requests_of_a_batch_see_what_those_before_them_took(peer):
    verdicts = ask_at_once(peer, [{"wide": "x"}] * 500)

    assert [verdict.remaining for verdict in verdicts] == list(range(999, 499, -1))


def test_random_requests_in_batches_charge_exactly_what_was_allowed(start_shared):
    """Two agents take turns; the books of a bucket are one subtraction."""
    agents, dice = [start_shared(), start_shared()], random.Random(3)
    balances = {("narrow", str(n)): 5 for n in range(8)}
    balances |= {("wide", str(n)): 1000 for n in range(2)}
    with agents[0].connect() as one, agents[1].connect() as other:
        for peer in itertools.islice(itertools.cycle([one, other]), 30):
            requests = [dice.sample(sorted(balances), dice.randint(1, 4)) for _ in range(30)]
            verdicts = ask_at_once(peer, [
                [{policy: key, "cost": 1 + (policy == "wide")} for policy, key in request]
                for request in requests])
            for request, verdict in zip(requests, verdicts):
                costs = {balance: 1 + (balance[0] == "wide") for balance in request}
                fits = all(balances[balance] >= cost for balance, cost in costs.items())
                assert (verdict.allowed, verdict.degraded) == (fits, False)
                for balance, cost in costs.items() if fits else ():
                    balances[balance] -= cost

        assert {balance: left(one, *balance) for balance in balances} == balances


def test_agents_that_ask_at_the_same_time_charge_exactly_what_was_allowed(start_shared):
    agents = [start_shared(), start_shared()]
    requests = {n: {"narrow": f"n{n}", "wide": "x"} for n in range(40)}

    with SpopLoad([agent.address for agent in agents], requests) as load:
        load.wait_for_more(2000)

    assert (load.wrong, load.lost) == ([], 0)
    assert sum(answer.is_allowed for answer in load.answers) == 40 * 5
    with agents[0].connect() as peer:
        assert left(peer, "wide") == 1000 - 40 * 5


# --- unusable keys -------------------------------------------------------------------------------


@each_unusable
def test_an_unusable_key_spoils_its_own_requests_only(peer, redis, how):
    peer.ask(wide="bad")
    spoil(redis, "wide", how)
    kinds = [{"narrow": "n"}, {"wide": "bad"}, {"log": "x"}, {"wide": "bad", "log": "x"},
             {"narrow": "other", "fixed": "x"}, {"fixed": "x", "wide": "bad"}]

    verdicts = ask_at_once(peer, kinds * 10)

    for request, verdict in zip(kinds * 10, verdicts):
        if "wide" in request:
            assert (verdict.allowed, verdict.reason, verdict.degraded) == (True, "error", True)
        else:
            assert verdict.reason in ("ok", "limited") and not verdict.degraded
    assert [v.allowed for v in verdicts[::6]] == [True] * 5 + [False] * 5
    assert left(peer, "log") == 990  # by the third kind alone
    assert left(peer, "fixed") == 995  # by the fifth, while `other` had some
    assert redis.ask("EXISTS", key_of(redis, "wide")) == 1  # what is there is not ours to remove


def test_an_unusable_key_met_twice_spoils_its_own_request_only(peer, redis):
    peer.ask(wide="bad")
    spoil(redis, "wide", UNUSABLE["list"])

    verdicts = ask_at_once(peer, [
        [{"wide": "bad"}, {"wide": "bad"}, {"narrow": "n"}], {"narrow": "n"}] * 5)

    assert [verdict.reason for verdict in verdicts] == ["error", "ok"] * 5
    assert left(peer, "narrow", "n") == 0


@pytest.mark.parametrize("policy", WIDE)
def test_a_key_of_another_type_is_an_error_of_each_algorithm(peer, redis, policy):
    peer.ask(**{policy: "x"})
    spoil(redis, policy, UNUSABLE["list"])
    assert (peer.ask(**{policy: "x"}).reason, peer.ask(**{policy: "y"}).reason) == ("error", "ok")

    redis.ask("DEL", *redis.keys(f"rl:{policy}:*"))

    assert peer.ask(**{policy: "x"}).remaining == 999


def test_beside_an_error_a_limit_is_not_decided_either(peer, redis):
    peer.ask(wide="bad", narrow="n", cost=5)
    spoil(redis, "wide", UNUSABLE["list"])

    verdict = peer.ask(wide="bad", narrow="n")

    assert (verdict.reason, verdict.degraded) == ("error", True)
    assert left(peer, "narrow", "n") == 0


@pytest.mark.parametrize("policy, allowed", [("deny", False), ("allow", True)])
def test_an_unusable_key_is_answered_by_on_error(start_shared, redis, policy, allowed):
    with start_shared("--on-error", policy).connect() as peer:
        peer.ask(wide="bad")
        spoil(redis, "wide", UNUSABLE["text"])

        verdict = peer.ask(wide="bad")

        assert (verdict.allowed, verdict.reason, verdict.degraded) == (allowed, "error", True)
        assert verdict.retry_after == (0 if allowed else 1)


def test_an_unusable_key_can_be_decided_locally(start_shared, redis):
    with start_shared("--on-error", "local").connect() as peer:
        peer.ask(narrow="bad")
        spoil(redis, "narrow", UNUSABLE["text"])

        verdicts = [peer.ask(narrow="bad") for _ in range(7)]

        # Of 5 units Redis had taken one.
        assert [verdict.reason for verdict in verdicts] == ["ok"] * 4 + ["limited"] * 3
        assert {verdict.degraded for verdict in verdicts} == {True}
