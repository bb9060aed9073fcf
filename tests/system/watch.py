"""An agent with a Redis that goes away and comes back, under load over SPOP and through HAProxy."""

import datetime
import functools
import re
import statistics
import threading
import time

from agent import bucket, policies_text
from http_client import HttpClient
from processes import wait_until
from spop_load import SpopLoad
from web import Load

SMALL, WEB, WIDE = 50, 20, 10**6
CLIENTS, WEB_CLIENTS = 10, 2

# `per-ip` is for HAProxy's clients. `small` shows that a limit holds, and `wide` is never empty: it
# counts what Redis was asked to take. Once used up, the first two deny for the rest of a test.
POLICIES = policies_text(
    per_ip=bucket(WEB, "1/1d"), small=bucket(SMALL, "1/1d", ["small"]),
    wide=bucket(WIDE, "1/1h", ["wide"]))
REQUESTS = {"small": {"small": "x"}, "wide": {"wide": "x"}}

# How HAProxy sees a verdict: 1 or 0, or nothing when it went on without a verdict.
SHOW_DEGRADED = [("# rate limit: end",
                  "http-after-response set-header X-Degraded %[var(txn.rl.degraded)]")]
# As shipped it gives up after 50 ms, which a machine that stalls takes by itself. So patient, it
# sees all that the agent says, and when.
PATIENT_HAPROXY = [("timeout processing 50ms", "timeout processing 10s"),
                   ("timeout hello      100ms", "timeout hello 10s")]

# Much longer than the default, so that a machine that stalls is not taken for an outage.
TIMEOUT_SECONDS = 0.15
TIMEOUT = f"{TIMEOUT_SECONDS * 1000:.0f}ms"
# The longest that an answer may take beside that and the machine's own stalls: the clients have to
# wait for each other. A request without a deadline would be answered when the link is found dead,
# 500 ms after it was sent at the earliest: that is later.
SLACK_SECONDS = 0.35
# Most wait for nearly nothing.
MEDIAN_SECONDS, NEARLY_ALL_SECONDS = 0.01, 0.1
# How often an answer waits until the machine lets a process run: the agent, a proxy in between and
# Redis, which is asked a second time where a script is missing, and the client.
TURNS = 6
BACK_SECONDS = 1.5
RAMP_SECONDS = 0.1  # with ten clients it is some milliseconds
# What the clients take to use up limits that are full: 50 ms, if nothing holds them up.
USE_UP_SECONDS = 0.5


def is_degraded(answer):
    return answer.is_degraded


def is_from_redis(answer):
    return not answer.is_degraded


def is_denied_by_redis(answer):
    return answer.name == "small" and is_from_redis(answer) and not answer.is_allowed


def has_waited(answer):
    return answer.seconds >= TIMEOUT_SECONDS


def left_in_redis(peer):
    verdict = peer.ask(policy="wide", key="x", cost=0)
    return None if verdict.degraded else verdict.remaining


def shown(answer):
    """What a client of HAProxy sees: whether the verdict was degraded, and the status."""
    return answer.headers["x-degraded"], answer.status


def redis_errors(agent, kind):
    with HttpClient(agent) as client:
        page = client.get("/metrics").body.decode()
    return int(re.search(rf'^redis_errors_total{{kind="{kind}"}} (\d+)$', page, re.M)[1])


def local_units(agent):
    """What became of the units that the agent granted, by result."""
    with HttpClient(agent) as client:
        page = client.get("/metrics").body.decode()
    return {result: int(units) for result, units in re.findall(
        r'^ratelimit_local_units_total{result="(\w+)"} (\d+)$', page, re.M)}


class Stalls:
    """Measures stalls of the machine, by a thread that only sleeps. During a stall nobody counts
    as late."""

    def __init__(self):
        self.delays = [0]  # of each sleep, beyond its end
        self.is_over = threading.Event()
        self.thread = threading.Thread(target=self.watch, daemon=True)

    def watch(self):
        step = 0.01
        while True:
            before = time.monotonic()
            if self.is_over.wait(step):
                return
            self.delays.append(time.monotonic() - before - step)

    @property
    def longest(self):
        return max(self.delays)

    def count(self, seconds):
        """How many of them were longer than that."""
        return sum(delay > seconds for delay in self.delays)

    def delay(self, share):
        """The delay that this share of the sleeps did not exceed."""
        return sorted(self.delays)[int((len(self.delays) - 1) * share)]

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.is_over.set()
        self.thread.join()


class Watch:
    """Runs both loads, and keeps what they got before, while and after Redis was away."""

    def __init__(self, agent, haproxy, on_error, affected=("small", "wide")):
        self.agent, self.haproxy, self.on_error, self.affected = agent, haproxy, on_error, affected
        self.direct = SpopLoad([agent.address], REQUESTS, clients=CLIENTS, pause=0.004)
        self.web = Load(haproxy.port, "127.0.0.2", clients=WEB_CLIENTS)
        self.stalls = Stalls()
        self.began = self.ended = self.recovered = None
        self.web_began = self.web_ended = self.web_recovered = None

    def __enter__(self):
        self.stalls.__enter__()
        self.direct.__enter__()
        self.web.__enter__()
        return self

    def __exit__(self, *error):
        self.web.__exit__(*error)
        self.direct.__exit__(*error)
        self.stalls.__exit__(*error)

    def before(self):
        """Waits until both loads have reached their limits."""
        self.direct.wait_for(is_denied_by_redis, "a denial")
        self.web.wait_for(lambda a: shown(a) == ("0", 429), "a denial")

    def during(self):
        """Waits for the first answer without Redis, and for a few hundred answers more."""
        self.direct.wait_for(lambda a: a.name in self.affected and is_degraded(a), "an outage")
        # What was asked until now may have got its answer from Redis still.
        self.direct.wait_for_more(50)
        self.began, self.web_began = time.time(), time.monotonic()
        self.direct.wait_for_more(500)
        self.web.wait_for_more(60)
        self.ended, self.web_ended = time.time(), time.monotonic()

    def after(self, is_empty=False):
        """Waits until Redis, which is back now, answers and denies again, and for a few hundred
        answers
        more. With `is_empty` the loads have to use up the limits first."""
        back, web_back = time.time(), time.monotonic()
        first = self.direct.wait_for(
            lambda a: a.name in self.affected and is_from_redis(a), "an answer of Redis'")
        self.recovered, self.web_recovered = first.read, time.monotonic()
        denied = self.direct.wait_for(is_denied_by_redis, "a denial of Redis'")
        web_denied = self.web.wait_for(lambda a: shown(a) == ("0", 429), "a denial of Redis'")
        within = BACK_SECONDS + self.stalls.longest
        denied_within = within + (USE_UP_SECONDS if is_empty else 0)
        assert first.read - back < within
        assert denied.read - back < denied_within
        assert web_denied.ended - web_back < denied_within
        self.direct.wait_for_more(500)
        self.web.wait_for_more(60)

    # --- what must have been, once the loads are over ---

    def assert_all(self, times_empty=1):
        """Checks everything. `times_empty` is how often Redis started without balances."""
        self.assert_each_is_answered_once_and_in_time()
        self.assert_on_error_decided()
        self.assert_limits_hold(times_empty)
        self.assert_redis_decides_again()
        self.assert_haproxys_clients_saw_the_same(times_empty)

    def assert_each_is_answered_once_and_in_time(self):
        assert (self.direct.wrong, self.direct.lost) == ([], 0)
        assert self.web.failures == []
        seconds = sorted(answer.seconds for answer in self.direct.answers)
        assert statistics.median(seconds) < MEDIAN_SECONDS + TURNS * self.stalls.delay(0.5)
        assert seconds[len(seconds) * 95 // 100] < \
            NEARLY_ALL_SECONDS + TURNS * self.stalls.delay(0.95)
        longest = TIMEOUT_SECONDS + SLACK_SECONDS + self.stalls.longest
        assert seconds[-1] < longest
        assert max(a.seconds for a in self.web.answers) < longest

    def assert_on_error_decided(self):
        """on_error must have decided every question that Redis did not answer."""
        outage = [a for a in self.direct.answers if a.name in self.affected
                  and self.began < a.sent and a.read < self.ended]
        assert len(outage) > 100
        assert all(answer.is_degraded for answer in outage)
        degraded = list(filter(is_degraded, self.direct.answers))
        if self.on_error == "local":
            assert {(a.is_allowed, a.vars["reason"]) for a in degraded} == {
                (True, "ok"), (False, "limited")}
            # The agent knows what Redis said before: that nothing is left of it.
            local = [a for a in degraded if a.name == "small"]
            assert local and not any(a.is_allowed for a in local)
        else:
            is_allowed = self.on_error == "allow"
            assert {(a.is_allowed, a.vars["reason"], a.vars["retry_after"]) for a in degraded} == {
                (is_allowed, "error", 0 if is_allowed else 1)}

    def may_be_charged(self, answer):
        """Whether Redis may have charged a request that it did not answer: the request waited for
        Redis,
        or was on its way when the link was lost."""
        return is_degraded(answer) and (has_waited(answer) or any(
            answer.sent < lost + 0.002 and answer.read > lost - 0.001 for lost in self.losses))

    @functools.cached_property
    def losses(self):
        """When the link was lost, according to the log, whose times have steps of 1 ms."""
        events = [e for e in self.agent.events() if e["event"] in ("store_up", "store_down")]
        return [datetime.datetime.fromisoformat(later["time"]).timestamp()
                for one, later in zip(events, events[1:])
                if (one["event"], later["event"]) == ("store_up", "store_down")]

    def assert_limits_hold(self, times_empty):
        """Redis must never have allowed more than the balances held, also after the outage."""
        allowed = [a for a in self.direct.of("small") if is_from_redis(a) and a.is_allowed]
        unknown = sum(map(self.may_be_charged, self.direct.of("small")))
        assert SMALL * times_empty - unknown <= len(allowed) <= SMALL * times_empty
        assert is_denied_by_redis([a for a in self.direct.of("small") if is_from_redis(a)][-1])

    def assert_redis_decides_again(self):
        """Redis must have decided every question that was asked after the outage. When the machine
        stalls, each client may wait in vain once for each stall; nobody gets another answer without
        waiting. Only a Redis that was too slow is asked a little at first, one request more with
        each answer."""
        ramp = RAMP_SECONDS + self.stalls.longest if self.was_too_slow() else 0
        for answers, clients in (
                ([a for a in self.direct.answers
                  if a.sent > self.recovered + ramp and is_degraded(a)], CLIENTS),
                ([a for a in self.web.answers if a.began > self.web_recovered + ramp
                  and a.headers["x-degraded"] != "0"], WEB_CLIENTS)):
            assert all(map(has_waited, answers))
            assert len(answers) <= clients * max(1, self.stalls.count(TIMEOUT_SECONDS / 3))

    def was_too_slow(self):
        return any((event["reason"] or "").startswith("answered after ")
                   for event in self.agent.events("store_down"))

    def assert_nothing_is_charged_twice(self):
        """Redis charged what it allowed, and what the agent says that it had it charge of what it
        granted itself. It may have charged each other question that it got, once at most."""
        asked = self.direct.of("wide")
        granted = sum(is_degraded(a) and a.is_allowed for a in asked) * (self.on_error == "local")

        def settled():
            """What Redis has taken, and what became of the units that the agent granted, when that
            is known of all of them."""
            left, units = left_in_redis(peer), local_units(self.agent)
            return (WIDE - left, units) if left and sum(units.values()) == granted else None
        with self.agent.connect() as peer:
            wait_until(settled, "the end of the charges")
            taken, units = wait_until(settled, "what is left then")
        from_redis = sum(map(is_from_redis, asked))
        known = from_redis + units["charged"]
        assert known + units["late"] <= taken <= known + sum(map(self.may_be_charged, asked))

    def assert_haproxys_clients_saw_the_same(self, times_empty):
        """HAProxy must have got a verdict for each request, and on_error decided the degraded
        ones."""
        assert self.haproxy.failed_asks() == 0
        statuses = {"allow": {200}, "deny": {503}, "local": {429}}[self.on_error]
        degraded = {("1", status) for status in statuses}
        of_redis = {("0", 200), ("0", 429)}
        assert set(map(shown, self.web.answers)) <= degraded | of_redis
        assert self.count_shown("0", 200) <= WEB * times_empty
        during = [a for a in self.web.answers
                  if self.web_began < a.began and a.ended < self.web_ended]
        if "small" not in self.affected:  # a request that is denied anyway does not need Redis
            assert {shown(a) for a in during if not has_waited(a)} == {("0", 429)}
            return
        assert {a.headers["x-degraded"] for a in during} == {"1"}
        assert degraded <= set(map(shown, self.web.answers))

    def count_shown(self, *what):
        return sum(shown(answer) == what for answer in self.web.answers)


def assert_each_change_is_said_once(agent, kinds, begins="store_up"):
    """While the store is down, the log may give another reason only if its kind is another."""
    states = agent.store_states()
    downs = [state for state in states if state[0] == "store_down"]
    assert (states[0][0], states[-1][0]) == (begins, "store_up"), states
    assert [kind for _, kind, _ in downs] == kinds, states
    assert all(isinstance(reason, str) and reason for _, _, reason in downs), states
    assert {event["level"] for event in agent.events("store_down")} == {"warn"}
    assert {event["level"] for event in agent.events("store_up")} == {"info"}
