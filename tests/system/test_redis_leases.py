"""Agents take units from Redis ahead of need (`lease`), and together they keep the limit."""

import contextlib
import time

import pytest

from agent import bucket, policies_text, window
from http_client import HttpClient
from processes import wait_until
from test_admin_tokens import admin_file  # pylint: disable=unused-import
from test_balances import Operated
from test_http_metrics import Page

# Nothing is to be decided without Redis on a busy machine.
PATIENT = ("--store-timeout", "5s", "--on-error", "deny")
LEASE = {"lease": "200ms"}
WINDOW = {**window(3000, "3650d", "fixed_window", ["k"]), **LEASE}


@pytest.fixture(name="start")
def start_with_redis(start_agent, redis, admin_file):  # pylint: disable=redefined-outer-name
    def start(**policies):
        return start_agent(*PATIENT, "--admin-token-file", admin_file, store=redis.url, http=True,
                           policies=policies_text(**policies)).wait_for_store()
    return start


def value(agent, name, **labels):
    with Operated(agent) as client:
        return Page(client).value(name, **labels)


def hits(agent):
    return value(agent, "ratelimit_lease_hits_total")


def warm_up(agent, peer, wanted=20, **attributes):
    """Asks until requests are allowed out of leases; returns how many were allowed."""
    allowed = 0

    def is_warm():
        nonlocal allowed
        verdicts = [peer.ask(**attributes) for _ in range(5)]  # little of the limit
        allowed += sum(verdict.allowed for verdict in verdicts)
        assert not any(verdict.degraded for verdict in verdicts)
        return hits(agent) >= wanted
    wait_until(is_warm, "requests that are allowed out of leases")
    return allowed


def exhaust(peers, limit, **attributes):
    """Asks in turn until all is allowed that there is; never more."""
    allowed = 0

    def is_exhausted():
        nonlocal allowed
        for peer in peers:
            for _ in range(10):
                verdict = peer.ask(**attributes)
                assert not verdict.degraded
                allowed += verdict.allowed
        assert allowed <= limit
        return allowed == limit
    wait_until(is_exhausted, "all units of the limit")
    for peer in peers:
        assert not peer.ask(**attributes).allowed


@pytest.mark.parametrize("algorithm", ["fixed_window", "sliding_window_counter"])
@pytest.mark.parametrize("agents", [1, 4, pytest.param(8, marks=pytest.mark.long)])
def test_agents_together_allow_the_limit_and_ask_less(start, agents, algorithm):
    started = [start(p={**WINDOW, "algorithm": algorithm}) for _ in range(agents)]
    with contextlib.ExitStack() as stack:
        peers = [stack.enter_context(agent.connect()) for agent in started]
        allowed = sum(warm_up(*pair, k="x") for pair in zip(started, peers))
        exhaust(peers, 3000 - allowed, k="x")

    asked = sum(value(agent, "ratelimit_store_call_requests_sum") for agent in started)
    assert asked < 3000
    with Operated(started[0]) as client:
        assert client.used("p", k="x") == {"policy": 3000}


def test_a_bucket_grants_what_it_holds_and_what_is_refilled(start):
    agents = [start(p={**bucket(1000, "500", ["k"]), **LEASE}) for _ in range(3)]
    with contextlib.ExitStack() as stack:
        peers = [stack.enter_context(agent.connect()) for agent in agents]
        begun = time.monotonic()
        allowed = sum(warm_up(*pair, k="x") for pair in zip(agents, peers))
        # Each round is a burst: what is held and what the bucket has go at once.
        for _ in range(4):
            for peer in peers:
                for _ in range(300):
                    verdict = peer.ask(k="x")
                    assert verdict.limit == 900
                    allowed += verdict.allowed
            assert allowed <= 1000 + 500 * (time.monotonic() - begun)
    assert allowed >= 900


def test_what_is_unspent_comes_back_at_the_end(start):
    agent = start(p=WINDOW)
    with agent.connect() as peer, Operated(agent) as client:
        allowed = warm_up(agent, peer, k="x")

        # To look counts what this agent holds as given back; so another agent looks.
        with Operated(start(p=WINDOW)) as other:
            wait_until(lambda: other.used("p", k="x") == {"policy": allowed}, "the units")
        assert client.used("p", k="x") == {"policy": allowed}


def test_a_request_of_two_policies_is_decided_here_only_when_both_are_leased(start):
    agent = start(p=WINDOW, q=window(100000, "3650d", "fixed_window", ["j"]),
                  r={**WINDOW, "key": ["i"]})
    with agent.connect() as peer:
        warm_up(agent, peer, k="x")
        before = hits(agent)
        for _ in range(50):
            assert peer.ask(k="x", j="y").allowed
        assert hits(agent) == before
        warm_up(agent, peer, before + 20, k="x", i="z")
        assert hits(agent) >= before + 20


def test_explain_leases_nothing(start):
    agent = start(p=WINDOW)
    with agent.connect() as peer, Operated(agent) as client:
        warm_up(agent, peer, k="x")
        before = hits(agent)
        answer = client.request("POST", "/explain", '{"attributes":{"k":"x"}}',
                                {"Content-Type": "application/json"})
        assert answer.json["verdict"]["allowed"]
        assert hits(agent) == before


def test_a_raise_of_a_leased_bucket_is_reduced_like_the_policy(start):
    agent = start(p={**bucket(100, "50", ["k"]), **LEASE})
    with agent.connect() as peer, Operated(agent) as client:
        assert peer.ask(k="x").limit == 90
        raised = client.request("PUT", "/exceptions/p?k=x", '{"capacity":200}',
                                {"Content-Type": "application/json"})
        assert raised.status == 200
        wait_until(lambda: peer.ask(k="x").limit == 190, "the raise")
        balance, = client.balances("p", k="x")["balances"]
        assert (balance["limit"], balance["exception"]) == (190, raised.json["id"])


def test_a_reset_drops_what_is_held(start):
    agent = start(p=WINDOW)
    with agent.connect() as peer, Operated(agent) as client:
        warm_up(agent, peer, k="x")
        client.balances("p", "DELETE", k="x")
        exhaust([peer], 3000, k="x")


def test_a_reload_drops_what_is_held(start):
    agent = start(p=WINDOW)
    with agent.connect() as peer:
        warm_up(agent, peer, k="x")
        agent.policy_file.write_text(policies_text(p={**WINDOW, "limit": 10}))
        agent.wait_for_event("reloaded")
        assert not peer.ask(k="x").allowed


def test_a_connection_that_ends_takes_its_leases_with_it(start, redis):
    agent = start(p=WINDOW)
    with agent.connect() as peer:
        warm_up(agent, peer, k="x")
        redis.ask("FLUSHALL")
        redis.ask("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
        wait_until(lambda: not peer.ask(k="y", cost=0).degraded, "the next connection")
        exhaust([peer], 3000, k="x")


@pytest.mark.long  # it needs a machine that answers in time
def test_units_of_an_agent_that_dies_are_lost_and_never_won(start):
    dying, other = start(p=WINDOW), start(p=WINDOW)
    with other.connect() as peer:
        with dying.connect() as dying_peer:
            allowed = warm_up(dying, dying_peer, k="x") + warm_up(other, peer, k="x")
            dying.kill()

        def is_exhausted():
            nonlocal allowed
            verdicts = [peer.ask(k="x") for _ in range(10)]
            assert not any(verdict.degraded for verdict in verdicts)
            allowed += sum(verdict.allowed for verdict in verdicts)
            assert allowed <= 3000
            return not verdicts[-1].allowed
        wait_until(is_exhausted, "a denial")
        assert allowed > 3000 / 2  # it held what it needed in 200 ms
    with Operated(other) as client:
        assert client.used("p", k="x") == {"policy": 3000}


def test_without_redis_a_leased_bucket_holds_less_and_leases_nothing(start_agent):
    agent = start_agent(http=True, policies=policies_text(
        p={**bucket(10, "1", ["k"]), "lease": "1s"}))
    with agent.connect() as peer, HttpClient(agent) as client:
        assert [peer.ask(k="x").allowed for _ in range(9)] == [True] * 9
        verdict = peer.ask(k="x", cost=10)
        assert (verdict.allowed, verdict.limit, verdict.retry_after) == (False, 9, -1)
        assert Page(client).value("ratelimit_lease_hits_total") == 0
