"""The agent answers for Redis while it knows that Redis would deny (`--deny-cache`)."""

import time

import pytest

from agent import bucket, policies_text, window
from http_client import HttpClient
from processes import wait_until
from test_admin_tokens import admin_file  # pylint: disable=unused-import
from test_balances import Operated
from test_http_metrics import Page
from watch import PATIENT_HAPROXY
from web import Load, get_asked

# Nothing is to be decided without Redis on a busy machine, and nothing forgotten by time.
PATIENT = ("--store-timeout", "5s", "--on-error", "deny")
LONG = ("--deny-cache", "1h")
WINDOW = window(5, "3650d", "fixed_window", ["k"])


@pytest.fixture(name="start")
def start_with_redis(start_agent, redis):
    def start(*options, **policies):
        return start_agent(*PATIENT, *options, store=redis.url, policies=policies_text(**policies),
                           http=True).wait_for_store()
    return start


class Counts:
    """What /metrics says, less what it said at first."""

    def __init__(self, agent):
        self.client = HttpClient(agent)
        self.first = Page(self.client)

    def since(self, name, **labels):
        return Page(self.client).value(name, **labels) - self.first.value(name, **labels)

    @property
    def asked(self):
        """Requests that Redis was asked for."""
        return self.since("ratelimit_store_call_requests_sum")

    @property
    def hits(self):
        return self.since("ratelimit_deny_cache_hits_total")


def exhaust(peer, **attributes):
    """Asks until Redis has denied, and returns that denial."""
    while (verdict := peer.ask(**attributes)).allowed:
        assert not verdict.degraded
    return verdict


@pytest.mark.parametrize("policy", [
    pytest.param(bucket(5, "5/1d", ["k"]), id="bucket"),
    pytest.param(window(5, "1d", key=["k"]), id="log"),
    pytest.param(window(5, "1d", "sliding_window_counter", ["k"]), id="counter"),
    pytest.param(WINDOW, id="fixed")])
def test_redis_is_asked_for_the_first_denial_only(start, policy):
    agent = start(*LONG, p=policy)
    with agent.connect() as peer:
        counts = Counts(agent)
        first = exhaust(peer, k="x")
        asked = counts.asked
        verdicts = [peer.ask(k="x") for _ in range(20)]

        assert (counts.asked, counts.hits) == (asked, 20)
        for verdict in verdicts:
            assert (verdict.allowed, verdict.reason, verdict.degraded) == (False, "limited", False)
            assert (verdict.policy, verdict.limit, verdict.remaining) == ("p", 5, 0)
            # The clock goes on, and the two bounds of Redis' clock lie apart by 0.2 % at most.
            assert 0 < verdict.retry_after <= first.retry_after + 1
            assert verdict.ratelimit.startswith('"p";r=0;t=')
        assert peer.ask(k="y").allowed


def test_off_asks_redis_each_time(start):
    agent = start("--deny-cache", "off", p=WINDOW)
    with agent.connect() as peer:
        counts = Counts(agent)
        exhaust(peer, k="x")
        asked = counts.asked
        for _ in range(20):
            assert not peer.ask(k="x").allowed

        assert (counts.asked, counts.hits) == (asked + 20, 0)


def test_whoever_waits_as_told_passes(start):
    agent = start(*LONG, p=bucket(1, "5", ["k"]))
    counts = Counts(agent)
    with agent.connect() as peer:
        for _ in range(5):
            exhaust(peer, k="x")
            verdict = peer.ask(k="x")
            # On a machine that stalls for 0.2 s the wait may be over by now.
            time.sleep(verdict.retry_after_ms / 1000)
            assert verdict.allowed or peer.ask(k="x").allowed
    assert counts.hits > 0


def test_an_attack_through_haproxy_costs_redis_little(start_haproxy, start_agent, redis):
    agent = start_agent(*PATIENT, store=redis.url, http=True, policies=policies_text(
        per_ip=bucket(10, "50"))).wait_for_store()
    haproxy = start_haproxy(agent.address, spoe=PATIENT_HAPROXY)
    get_asked(haproxy.port)
    counts, begin = Counts(agent), time.monotonic()
    with Load(haproxy.port, "127.0.0.2", clients=1) as load:
        load.wait_for_more(500)
        wait_until(lambda: time.monotonic() - begin > 2, "two seconds")
    seconds = time.monotonic() - begin

    assert load.failures == []
    passed = len([answer for answer in load.answers if answer.status == 200])
    assert passed <= 10 + 50 * seconds + 1
    assert counts.asked <= 2 * passed + seconds
    assert counts.asked + counts.hits == len(load.answers)


SEVERAL = {"few": WINDOW, "all": {**WINDOW, "limit": 1000}, "tried": {**WINDOW, "shadow": True}}


def test_checks_that_are_not_known_are_skipped(start):
    agent = start(*LONG, **SEVERAL)
    with agent.connect() as peer, HttpClient(agent) as client:
        counts = Counts(agent)
        exhaust(peer, k="x", policy="few")
        verdict, answer = peer.ask(k="x"), client.check(attributes={"k": "x"})

        assert (verdict.reason, verdict.policy, verdict.degraded) == ("limited", "few", False)
        assert verdict.ratelimit_policy == '"few";q=5;w=315360000'
        assert answer.status == 429
        assert answer.headers["ratelimit-policy"] == '"few";q=5;w=315360000'
        assert [check["policy"] for check in answer.json["policies"]] == ["few"]
        assert answer.json["retry_after_ms"] == answer.json["policies"][0]["retry_after_ms"] > 0
        for name in ("all", "tried"):
            assert counts.since("ratelimit_checks_total", policy=name, result="skipped") == 2
            assert counts.since("ratelimit_checks_total", policy=name, result="error") == 0
        assert counts.since("ratelimit_checks_total", policy="few", result="denied") == 3
        assert counts.hits == 2
        # Nothing was charged.
        assert peer.ask(k="x", policy="all").remaining == 999


def test_what_only_shadow_denies_is_asked_each_time(start):
    agent = start(*LONG, tried={**WINDOW, "shadow": True})
    with agent.connect() as peer:
        counts = Counts(agent)
        for _ in range(10):
            assert peer.ask(k="x").allowed

        assert (counts.asked, counts.hits) == (10, 0)
        assert counts.since("ratelimit_checks_total", policy="tried", result="shadow_denied") == 5


def test_a_reload_forgets_all_denials(start):
    agent = start(*LONG, p=WINDOW)
    with agent.connect() as peer:
        exhaust(peer, k="x")
        assert not peer.ask(k="x").allowed
        agent.policy_file.write_text(policies_text(p={**WINDOW, "limit": 7}))
        agent.wait_for_event("reloaded")

        verdict = peer.ask(k="x")
        assert (verdict.allowed, verdict.remaining) == (True, 1)


def test_a_reset_forgets_the_denial(start, admin_file):  # pylint: disable=redefined-outer-name
    agent = start(*LONG, "--admin-token-file", admin_file, p=WINDOW)
    with agent.connect() as peer, Operated(agent) as client:
        exhaust(peer, k="x")
        assert not peer.ask(k="x").allowed
        assert client.used("p", k="x") == {"policy": 5}  # to look does not forget
        client.balances("p", "DELETE", k="x")

        verdict = peer.ask(k="x")
        assert (verdict.allowed, verdict.remaining) == (True, 4)


def test_a_connection_that_ends_takes_its_denials_with_it(start, redis):
    agent = start(*LONG, p=WINDOW)
    with agent.connect() as peer:
        exhaust(peer, k="x")
        redis.ask("FLUSHALL")
        assert not peer.ask(k="x").allowed
        redis.ask("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
        wait_until(lambda: not peer.ask(k="y", cost=0).degraded, "the next connection")

        verdict = peer.ask(k="x")
        assert (verdict.allowed, verdict.remaining) == (True, 4)
