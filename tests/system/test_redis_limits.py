"""Agents that share a Redis share the limits, exactly, however many ask at once."""

import collections
import time
from bisect import bisect_left, bisect_right

import pytest

from agent import bucket, policies_text, window
from spop_load import SpopLoad
from web import Load, get_asked

CLIENTS = 20
REQUEST = {"p": {"who": "all"}}
KEY = ["who"]

# Nothing is to be decided without Redis, on a busy machine neither.
PATIENT = ("--store-timeout", "5s", "--spop-vars", "none")


@pytest.fixture(name="start_agents")
def start_several(start_agent):
    def start(count, store, policy):
        return [start_agent(*PATIENT, store=store.url, policies=policies_text(p=policy))
                .wait_for_store() for _ in range(count)]
    return start


def load_on(agents):
    return SpopLoad([agent.address for agent in agents], REQUEST, clients=CLIENTS)


def allowed_of(load):
    """The answers that allow, of a load of which each request was answered once, by Redis."""
    assert (load.wrong, load.lost) == ([], 0)
    assert not any(answer.is_degraded for answer in load.answers)
    return [answer for answer in load.answers if answer.is_allowed]


def denied_of(load):
    return [answer for answer in load.answers if not answer.is_allowed]


class Decided:
    """When some answers were decided, by Redis' clock: each between its sending and its reading."""

    def __init__(self, answers):
        self.sent, self.read = sorted(a.sent for a in answers), sorted(a.read for a in answers)

    def at_least(self, start, end):
        """So many for certain from `start` to `end`."""
        return bisect_left(self.read, end) - bisect_left(self.sent, start)

    def at_most(self, start, end):
        """So many, and those that may have been."""
        return bisect_right(self.sent, end) - bisect_left(self.read, start)


# What is measured has to be sharp enough to show a limit that is wrong by so much.
SHARPNESS = 0.02

# However late answers are and however long the machine stalls: the bounds that the tests compare
# with are computed of when answers were asked for and came, and of when some were denied, for
# only then was all taken that there was. On a busy machine it takes longer until they are sharp.
SECONDS, ROUNDS = 3, 20


def load_until(agents, is_sharp):
    """As long as it takes until `is_sharp`, of the load, is true."""
    with load_on(agents) as load:
        for _ in range(ROUNDS):
            end = time.time() + SECONDS
            load.wait_for(lambda answer, end=end: answer.sent > end, "the time")
            if is_sharp(load):
                return load
    raise AssertionError(f"{ROUNDS * SECONDS} s were not enough to see {SHARPNESS:.0%}")


def assert_never_more_than(capacity, per_second, answers):
    """In any interval, from the sending of one request to the answer of that one or another.

    The n-th by Redis' clock was not decided before the n-th was sent, nor after the n-th answer.
    """
    sent, read = sorted(a.sent for a in answers), sorted(a.read for a in answers)
    start = float("-inf")
    for n, (began, ended) in enumerate(zip(sent, read)):
        start = max(start, per_second * began - n)
        assert n + 1 + start - per_second * ended <= capacity + 1e-3, f"at the {n + 1}th"


# It is not full again before a stall of three seconds.
CAPACITY, PER_SECOND = 1200, 400


def certain_refill(first, last):
    """Of the bucket, between two denials: what came into it has been taken, but for less than 1."""
    return PER_SECOND * (last.sent - first.read) - 1


MANY = 1000


def quickest(answers):
    return min(answers, key=lambda answer: answer.seconds)


def is_refill_sharp(load):
    denied, allowed = denied_of(load), Decided(allowed_of(load))
    if not denied:
        return False
    first, last = quickest(denied[:MANY]), quickest(denied[-MANY:])
    blur = (PER_SECOND * (last.read - first.sent) - certain_refill(first, last)
            + allowed.at_most(first.sent, last.read) - allowed.at_least(first.read, last.sent))
    return blur < SHARPNESS * certain_refill(first, last)


@pytest.mark.parametrize("count", [2, 4])
def test_agents_that_share_a_bucket_allow_what_it_holds_and_gets(start_agents, each_redis, count):
    agents = start_agents(count, each_redis, bucket(CAPACITY, f"{PER_SECOND}/1s", KEY))

    load = load_until(agents, is_refill_sharp)

    assert_never_more_than(CAPACITY, PER_SECOND, allowed_of(load))
    allowed, denied = Decided(allowed_of(load)), denied_of(load)
    first = quickest(denied[:MANY])
    for denial in denied:
        assert allowed.at_most(float("-inf"), denial.read) >= CAPACITY
        assert allowed.at_most(first.sent, denial.read) >= certain_refill(first, denial)


@pytest.mark.parametrize("count", [2, 4])
def test_of_a_bucket_of_n_exactly_n_pass(start_agents, each_redis, count):
    agents = start_agents(count, each_redis, bucket(500, "1/1d", KEY))

    with load_on(agents) as load:
        load.wait_for_more(1500)

    assert len(allowed_of(load)) == 500


LIMIT, LENGTH, WINDOWS = 300, 1, 3


class AlignedWindows:
    """What a load says of each window that it was in, by their numbers."""

    def __init__(self, algorithm, load):
        self.algorithm, self.allowed = algorithm, Decided(allowed_of(load))
        self.numbers = range(int(min(a.sent for a in load.answers) // LENGTH),
                             int(max(a.read for a in load.answers) // LENGTH) + 1)
        self.last_denial = {}  # how much of the window was gone for certain when the last came
        for answer in denied_of(load):
            number, gone = divmod(answer.sent, LENGTH)
            if answer.read // LENGTH == number:
                self.last_denial[number] = max(gone / LENGTH, self.last_denial.get(number, 0))

    def least(self, number):
        """What the last denial tells. Of the window before, which had the limit at most, counts as
        much as is still to come of this one; so much less may be taken."""
        if number not in self.last_denial:
            return 0
        if self.algorithm == "fixed_window":
            return LIMIT
        return LIMIT * self.last_denial[number] - 1

    def rows(self):
        """Windows that follow one another: how many, what was allowed at least and at most, and
        what may not be less."""
        for first in self.numbers:
            least = 0
            for last in range(first, self.numbers.stop):
                least += self.least(last)
                span = first * LENGTH, (last + 1) * LENGTH
                yield (last - first + 1, self.allowed.at_least(*span), self.allowed.at_most(*span),
                       least)

    def are_sharp(self):
        return any(count >= WINDOWS and at_most - at_least + LIMIT * count - least
                   < SHARPNESS * LIMIT * count for count, at_least, at_most, least in self.rows())

    def assert_the_limit(self):
        for count, at_least, at_most, least in self.rows():
            assert at_least <= LIMIT * count
            assert at_most >= least


def assert_the_window_before_counts(allowed):
    """At the n-th answer that allows n were taken, and of the window before a part still counts."""
    windows = collections.defaultdict(list)
    for answer in allowed:
        if answer.sent // LENGTH == answer.read // LENGTH:
            windows[answer.sent // LENGTH].append(answer.read)
    for number, reads in windows.items():
        before = len(windows.get(number - 1, []))
        for n, read in enumerate(sorted(reads)):
            assert n + 1 + before * (1 - read % LENGTH / LENGTH) <= LIMIT + 1e-3


@pytest.mark.parametrize("count", [2, 4])
@pytest.mark.parametrize("algorithm", ["fixed_window", "sliding_window_counter"])
def test_agents_that_share_an_aligned_window_allow_its_limit(
        start_agents, redis, algorithm, count):
    agents = start_agents(count, redis, window(LIMIT, LENGTH, algorithm, KEY))

    load = load_until(agents, lambda load: AlignedWindows(algorithm, load).are_sharp())

    AlignedWindows(algorithm, load).assert_the_limit()
    if algorithm == "sliding_window_counter":
        assert_the_window_before_counts(allowed_of(load))


def windows_seen_sharply(load):
    """Those of which a denial shows what was allowed in the time of one before it."""
    denied, allowed = denied_of(load), Decided(allowed_of(load))
    return {a.sent // LENGTH for a in denied
            if allowed.at_most(a.sent - LENGTH, a.read) - allowed.at_least(a.read - LENGTH, a.sent)
            < SHARPNESS * LIMIT}


@pytest.mark.parametrize("count", [2, 4])
def test_agents_that_share_a_sliding_window_allow_its_limit_in_any_window(
        start_agents, redis, count):
    agents = start_agents(count, redis, window(LIMIT, LENGTH, "sliding_window", KEY))

    load = load_until(agents, lambda load: len(windows_seen_sharply(load)) >= WINDOWS)

    allowed = Decided(allowed_of(load))
    assert min(end - start for start, end in zip(allowed.sent, allowed.read[LIMIT:])) >= LENGTH
    for denial in denied_of(load):
        assert allowed.at_most(denial.sent - LENGTH, denial.read) >= LIMIT


# --- through HAProxy -----------------------------------------------------------------------------


@pytest.fixture(name="start_patient")
def start_one(start_agent):
    def start(store, policy=bucket(60, "1/1d", [])):
        return start_agent(*PATIENT[:2], store=store.url,
                           policies=policies_text(all=policy)).wait_for_store()
    return start


def assert_60_passed(answers):
    """A request that HAProxy went on with, after 50 ms, may have taken one too."""
    passed = sum(answer.was_asked and answer.status == 200 for answer in answers)
    unasked = sum(not answer.was_asked for answer in answers)
    assert passed <= 60 <= passed + unasked


def test_two_haproxys_with_an_agent_each_share_a_limit(start_haproxy, start_patient, redis):
    haproxys = [start_haproxy(start_patient(redis).address) for _ in range(2)]

    with Load(haproxys[0].port, "127.0.0.2") as one, Load(haproxys[1].port, "127.0.0.3") as other:
        for load in (one, other):
            load.wait_for_more(100)

    assert one.failures == other.failures == []
    assert_60_passed(one.answers + other.answers)
    for answers in (one.answers, other.answers):
        assert {answer.status for answer in answers} == {200, 429}


def test_two_agents_of_one_haproxy_share_a_limit(start_haproxy, start_patient, redis):
    agents = [start_patient(redis) for _ in range(2)]
    second = f"timeout queue   50ms\n    server agent2 {agents[1].address} check inter 1s\n"
    haproxy = start_haproxy(agents[0].address, conf=[("timeout queue   50ms\n", second)])

    with Load(haproxy.port, "127.0.0.2", clients=6) as load:
        load.wait_for_more(200)

    assert load.failures == []
    assert_60_passed(load.answers)
    assert all(haproxy.sessions(name) > 0 for name in ("agent1", "agent2"))


@pytest.mark.parametrize("suite", ["bookworm"], indirect=True)
def test_the_headers_come_from_redis_too(each_redis, start_haproxy, start_patient):
    agent = start_patient(each_redis, bucket(2, "1/1h", []))
    haproxy = start_haproxy(agent.address)

    answers = [get_asked(haproxy.port) for _ in range(3)]

    assert [answer.limits["ratelimit"].partition(";t=")[0] for answer in answers] == [
        '"all";r=1', '"all";r=0', '"all";r=0']
    assert {answer.limits["ratelimit-policy"] for answer in answers} == {'"all";q=2;w=7200'}
    assert 3590 < int(answers[2].limits["retry-after"]) <= 3600


def test_an_agent_with_old_numbers_forgives_nobody_in_a_rollout(start_agent, redis):
    """By the old numbers the bucket is full after 50 ms, by the new ones after 10,000 s."""
    numbers = {"old": (1, 20), "new": (200_000, 20)}
    agents = {name: start_agent("--store-timeout", "5s", store=redis.url, policies=policies_text(
        p=bucket(capacity, refill_rate=rate, key=KEY))).wait_for_store()
              for name, (capacity, rate) in numbers.items()}
    with agents["old"].connect() as old, agents["new"].connect() as new:
        begin = time.monotonic()
        assert new.ask(who="x", cost=200_000).remaining == 0
        granted, turns = 0, 0
        while time.monotonic() < begin + 1:
            granted += old.ask(who="x").allowed
            granted += new.ask(who="x").allowed
            turns += 1
            time.sleep(0.02)  # so that each finds a new part of a token
        granted += new.ask(who="x", cost=0).remaining

        assert turns >= 5 and 1 <= granted <= 20 * (time.monotonic() - begin) + 1
