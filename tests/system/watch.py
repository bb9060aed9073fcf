"""An agent with a Redis, under load directly and through HAProxy, while something happens to it."""

import statistics
import time

from agent import bucket, policies_text
from processes import wait_until
from spop_load import SpopLoad
from web import Load

SMALL, WIDE = 50, 10**6

# `per-ip` is for HAProxy's clients. `small` shows that a limit holds, and `wide` is never empty: it
# counts what Redis was asked to take.
POLICIES = policies_text(
    per_ip=bucket(20, 5), small=bucket(SMALL, "1/1d", ["small"]),
    wide=bucket(WIDE, "1/1h", ["wide"]))
REQUESTS = {"small": {"small": "x"}, "wide": {"wide": "x"}}

# HAProxy's own view of an answer: 1 or 0, or nothing when it went on without one.
SHOW_DEGRADED = [("# rate limit: end",
                  "http-after-response set-header X-Degraded %[var(txn.rl.degraded)]")]

# What a client of the agent waits for an answer is nearly nothing, but for a few who wait for
# --store-timeout; the bounds are below that, and for a machine that is busy with other things.
MEDIAN_SECONDS, NEARLY_ALL_SECONDS = 0.01, 0.1
BACK_SECONDS = 1.5


def is_degraded(answer):
    return answer.is_degraded


def is_from_redis(answer):
    return not answer.is_degraded


def left_in_redis(peer):
    verdict = peer.ask(policy="wide", key="x", cost=0)
    return None if verdict.degraded else verdict.remaining


class Watch:
    """Both loads, and what they got before, while and after Redis was away."""

    def __init__(self, agent, haproxy, on_error, affected=("small", "wide")):
        self.agent, self.haproxy, self.on_error, self.affected = agent, haproxy, on_error, affected
        self.direct = SpopLoad([agent.address], REQUESTS, clients=10, pause=0.004)
        self.web = Load(haproxy.port, "127.0.0.2", clients=2)
        self.began = self.ended = self.recovered = None
        self.web_began = self.web_ended = self.web_recovered = None

    def __enter__(self):
        self.direct.__enter__()
        self.web.__enter__()
        return self

    def __exit__(self, *error):
        self.web.__exit__(*error)
        self.direct.__exit__(*error)

    def before(self):
        """Until the limits are reached, for both loads."""
        self.direct.wait_for(lambda a: is_from_redis(a) and not a.is_allowed, "a denial")
        self.web.wait_for_more(60)

    def during(self):
        """From the first answer without Redis on, for as long as a few hundred take."""
        self.direct.wait_for(lambda a: a.name in self.affected and is_degraded(a), "an outage")
        # What was asked until now may have got its answer from Redis still.
        self.direct.wait_for_more(50)
        self.began, self.web_began = time.time(), time.monotonic()
        self.direct.wait_for_more(500)
        self.web.wait_for_more(60)
        self.ended, self.web_ended = time.time(), time.monotonic()

    def after(self):
        """Redis is back now: until it answers again, and for a few hundred answers more."""
        back = time.time()
        first = self.direct.wait_for(
            lambda a: a.name in self.affected and is_from_redis(a), "an answer of Redis'")
        self.recovered, self.web_recovered = first.read, time.monotonic()
        assert first.read - back < BACK_SECONDS
        self.direct.wait_for_more(500)
        self.web.wait_for_more(60)

    # --- what must have been, once the loads are over ---

    def assert_all(self, times_empty=1):
        """`times_empty`: how often Redis began without balances."""
        self.assert_each_is_answered_once_and_in_time()
        self.assert_on_error_decided()
        self.assert_limits_hold(times_empty)
        self.assert_haproxys_clients_saw_the_same()

    def assert_each_is_answered_once_and_in_time(self):
        assert (self.direct.wrong, self.direct.lost) == ([], 0)
        seconds = sorted(answer.seconds for answer in self.direct.answers)
        assert statistics.median(seconds) < MEDIAN_SECONDS
        assert seconds[len(seconds) * 95 // 100] < NEARLY_ALL_SECONDS

    def assert_on_error_decided(self):
        outage = [a for a in self.direct.answers if a.name in self.affected
                  and self.began < a.sent and a.read < self.ended]
        assert len(outage) > 100
        assert all(answer.is_degraded for answer in outage)
        small = [answer for answer in outage if answer.name == "small"]
        if self.on_error == "local":
            assert {a.vars["reason"] for a in outage} <= {"ok", "limited"}
            local = [a for a in self.direct.of("small") if a.is_degraded]
            assert sum(a.is_allowed for a in local) == SMALL
            assert not small[-1].is_allowed
        else:
            is_allowed = self.on_error == "allow"
            assert {a.vars["reason"] for a in outage} == {"error"}
            assert {a.is_allowed for a in outage} == {is_allowed}
            assert {a.vars["retry_after"] for a in outage} == {0 if is_allowed else 1}

    def assert_limits_hold(self, times_empty):
        """Also after it: what Redis allowed is never more than what it held."""
        allowed = [a for a in self.direct.of("small") if is_from_redis(a) and a.is_allowed]
        late = sum(a.is_degraded and a.read - a.sent > 0.001 for a in self.direct.of("small"))
        assert SMALL * times_empty - late <= len(allowed) <= SMALL * times_empty
        after = [a for a in self.direct.answers if a.sent > self.recovered]
        assert sum(map(is_degraded, after)) <= 0.05 * len(after)
        small = [a for a in after if a.name == "small" and is_from_redis(a)]
        assert not small[-1].is_allowed

    def assert_nothing_is_charged_twice(self):
        """Late ones may have been charged, once; what Redis said that it allowed was."""
        asked = self.direct.of("wide")
        with self.agent.connect() as peer:
            taken = WIDE - wait_until(lambda: left_in_redis(peer), "an answer of Redis'")
        assert sum(map(is_from_redis, asked)) <= taken <= len(asked)

    def assert_haproxys_clients_saw_the_same(self):
        assert self.web.failures == []
        during = [a for a in self.web.answers
                  if self.web_began < a.began and a.ended < self.web_ended]
        asked = [a for a in during if a.headers["x-degraded"]]
        assert len(asked) > 0.9 * len(during)
        if "wide" in self.affected and "small" in self.affected:
            assert {a.headers["x-degraded"] for a in asked} == {"1"}
            statuses = {"allow": {200}, "deny": {503}, "local": {200, 429}}[self.on_error]
            assert {a.status for a in asked} <= statuses
        after = [a for a in self.web.answers if a.began > self.web_recovered]
        assert any(a.status == 429 and a.headers["x-degraded"] == "0" for a in after)


def assert_each_change_is_said_once(agent, kinds, begins="store_up", at_most=3):
    """A state is said again only when its reason is another one."""
    states = agent.store_states()
    assert all(one != next_one for one, next_one in zip(states, states[1:])), states
    assert (states[0][0], states[-1][0]) == (begins, "store_up"), states
    downs = [state for state in states if state[0] == "store_down"]
    assert {kind for _, kind, _ in downs} <= kinds, states
    assert 1 <= len(downs) <= at_most, states
    assert all(isinstance(reason, str) and reason for _, _, reason in downs), states
    assert {event["level"] for event in agent.events("store_down")} == {"warn"}
    assert {event["level"] for event in agent.events("store_up")} == {"info"}
