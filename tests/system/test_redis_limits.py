"""Agents that share a Redis share the limits, exactly, however many ask at once."""

import time

import pytest

from agent import bucket, policies_text, window
from processes import wait_until
from spop_load import SpopLoad
from web import Load, get_asked

CLIENTS = 20
REQUEST = {"p": {"who": "all"}}
KEY = ["who"]
SECONDS = 3

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


def seconds_of(answers):
    return max(a.read for a in answers) - min(a.sent for a in answers)


def assert_never_more_than(capacity, per_second, answers):
    """In any interval, from the sending of one request to the answer of that one or another.

    The n-th by Redis' clock was not decided before the n-th was sent, nor after the n-th answer.
    """
    sent, read = sorted(a.sent for a in answers), sorted(a.read for a in answers)
    start = float("-inf")
    for n, (began, ended) in enumerate(zip(sent, read)):
        start = max(start, per_second * began - n)
        assert n + 1 + start - per_second * ended <= capacity + 1e-3, f"at the {n + 1}th"


@pytest.mark.parametrize("count", [2, 4])
def test_agents_that_share_a_bucket_allow_what_it_holds_and_gets(start_agents, each_redis, count):
    capacity, per_second = 300, 400
    agents = start_agents(count, each_redis, bucket(capacity, f"{per_second}/1s", KEY))

    with load_on(agents) as load:
        load.wait_for(lambda answer: answer.sent > load.answers[0].sent + SECONDS, "the time")

    allowed, most = allowed_of(load), capacity + per_second * seconds_of(load.answers)
    assert_never_more_than(capacity, per_second, allowed)
    assert 0.98 * most <= len(allowed) <= most


@pytest.mark.parametrize("count", [2, 4])
def test_of_a_bucket_of_n_exactly_n_pass(start_agents, each_redis, count):
    agents = start_agents(count, each_redis, bucket(500, "1/1d", KEY))

    with load_on(agents) as load:
        load.wait_for_more(1500)

    assert len(allowed_of(load)) == 500


LIMIT, LENGTH, WINDOWS = 300, 0.5, 6


def load_for_windows(agents):
    """From the start of one to a moment before the end of another."""
    wait_until(lambda: time.time() % LENGTH < 0.02, "the start of a window")
    end = (time.time() // LENGTH + WINDOWS) * LENGTH - 0.008
    with load_on(agents) as load:
        wait_until(lambda: time.time() > end, "the end of the last window")
    return load


def windows_touched(answers):
    return max(a.read for a in answers) // LENGTH - min(a.sent for a in answers) // LENGTH + 1


def in_window(answers, number):
    return [a for a in answers if a.sent // LENGTH == number == a.read // LENGTH]


@pytest.mark.parametrize("count", [2, 4])
@pytest.mark.parametrize("algorithm", ["fixed_window", "sliding_window_counter"])
def test_agents_that_share_an_aligned_window_allow_its_limit(
        start_agents, redis, algorithm, count):
    agents = start_agents(count, redis, window(LIMIT, LENGTH, algorithm, KEY))

    load = load_for_windows(agents)

    allowed = allowed_of(load)
    assert 0.98 * LIMIT * WINDOWS <= len(allowed) <= LIMIT * windows_touched(load.answers)
    for number in {a.sent // LENGTH for a in allowed}:
        assert len(in_window(allowed, number)) <= LIMIT


@pytest.mark.parametrize("count", [2, 4])
def test_agents_that_share_a_sliding_window_allow_its_limit_in_any_window(
        start_agents, redis, count):
    agents = start_agents(count, redis, window(LIMIT, LENGTH, "sliding_window", KEY))

    load = load_for_windows(agents)

    allowed = allowed_of(load)
    sent, read = sorted(a.sent for a in allowed), sorted(a.read for a in allowed)
    assert min(end - start for start, end in zip(sent, read[LIMIT:])) >= LENGTH
    assert len(allowed) >= 0.98 * LIMIT * WINDOWS


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
