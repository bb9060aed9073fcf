"""Redis goes away in every way that is known, under load, and comes back."""

import contextlib
import signal
import statistics
import time

import pytest

from agent import bucket, policies_text
from processes import wait_until
from tcp_proxy import TcpProxy
from watch import (POLICIES, SHOW_DEGRADED, WIDE, Watch, assert_each_change_is_said_once,
                   is_degraded, is_from_redis)

# Every fault with the servers of Debian 12, and once more with newer ones.
SERVERS = [pytest.param("bookworm", "redis-7.0", id="redis-7.0,haproxy-2.6"),
           pytest.param("forky", "redis-8.0", id="redis-8.0,haproxy-3.2")]
on_servers = pytest.mark.parametrize("suite, flavour", SERVERS, indirect=["suite"])
on_debian_12 = pytest.mark.parametrize("suite, flavour", SERVERS[:1], indirect=["suite"])

# Much longer than the default, so that a machine that stalls is not taken for an outage.
TIMEOUT, TOO_SLOW_SECONDS = "150ms", 0.2


# --- what happens to Redis -----------------------------------------------------------------------


@contextlib.contextmanager
def stopped(redis, _):
    redis.signal(signal.SIGSTOP)
    yield
    redis.signal(signal.SIGCONT)


@contextlib.contextmanager
def killed(redis, _):
    redis.kill()
    yield
    redis.start()


@contextlib.contextmanager
def slow(_, wire):
    wire.set_delay(TOO_SLOW_SECONDS)
    yield
    wire.set_delay(0)


@contextlib.contextmanager
def half_open(_, wire):
    """As when the machine or the way to it is gone: no end is ever told."""
    wire.swallow()
    yield
    wire.deliver_new()


@contextlib.contextmanager
def cut_off(_, wire):
    wire.refuse()
    wire.cut()
    yield
    wire.accept()


@contextlib.contextmanager
def another_password(redis, wire):
    redis.ask("CONFIG", "SET", "requirepass", "another")
    redis.password = "another"
    wire.cut()
    yield
    redis.ask("CONFIG", "SET", "requirepass", "right")
    redis.password = "right"


@contextlib.contextmanager
def out_of_memory(redis, _):
    redis.ask("CONFIG", "SET", "maxmemory-policy", "noeviction")
    redis.ask("CONFIG", "SET", "maxmemory", 1)
    yield
    redis.ask("CONFIG", "SET", "maxmemory", 0)


@pytest.fixture(name="start_watch")
def start_all(start_redis, start_agent, start_haproxy, started):
    """A Redis, a wire to it, an agent and HAProxy; what is returned is to be entered."""
    def start(flavour, on_error, password="right", is_started=True, **keywords):
        redis = start_redis(flavour, password="right", is_started=is_started)
        wire = TcpProxy(("127.0.0.1", redis.port))
        started.append(wire)
        agent = start_agent("--store-timeout", TIMEOUT, "--on-error", on_error, store=wire.url,
                            env={"RATELIMIT_REDIS_PASSWORD": password}, policies=POLICIES)
        if is_started and password == "right":
            agent.wait_for_event("store_up")
        haproxy = start_haproxy(agent.address, conf=SHOW_DEGRADED)
        return redis, wire, Watch(agent, haproxy, on_error, **keywords)
    return start


@on_servers
@pytest.mark.parametrize("cause, on_error, kinds", [
    pytest.param(stopped, "local", {"timeout"}, id="stopped"),
    pytest.param(slow, "allow", {"timeout"}, id="slow"),
    pytest.param(half_open, "deny", {"timeout"}, id="half-open"),
    pytest.param(cut_off, "local", {"connection"}, id="cut off"),
    pytest.param(another_password, "deny", {"other", "connection"}, id="another password")])
def test_redis_is_away_and_comes_back(start_watch, flavour, cause, on_error, kinds):
    redis, wire, watch = start_watch(flavour, on_error)
    with watch:
        watch.before()
        with cause(redis, wire):
            watch.during()
        watch.after()

    watch.assert_all()
    watch.assert_nothing_is_charged_twice()
    assert_each_change_is_said_once(watch.agent, kinds)


@on_servers
@pytest.mark.parametrize("on_error", ["allow", "deny"])
def test_redis_is_killed_and_comes_back_empty(start_watch, flavour, on_error):
    redis, _, watch = start_watch(flavour, on_error)
    with watch:
        watch.before()
        with killed(redis, None):
            watch.during()
        watch.after()

    watch.assert_all(times_empty=2)
    assert_each_change_is_said_once(watch.agent, {"connection"})


@on_servers
@pytest.mark.parametrize("on_error", ["allow", "deny"])
def test_redis_is_out_of_memory_for_a_while(start_watch, flavour, on_error):
    """Who is denied anyway needs no memory: that goes on."""
    redis, _, watch = start_watch(flavour, on_error, affected=["wide"])
    with watch:
        watch.before()
        with out_of_memory(redis, None):
            watch.during()
            small = watch.direct.wait_for(lambda a: a.name == "small" and is_from_redis(a),
                                          "a request")
        watch.after()

    assert not small.is_allowed
    watch.assert_all()
    watch.assert_nothing_is_charged_twice()
    (error,) = watch.agent.events("store_error")
    assert (error["kind"], error["level"], error["policy"]) in (
        ("oom", "warn", "wide"), ("oom", "warn", "per-ip"))
    assert watch.agent.is_always_up()


@on_servers
def test_redis_is_away_at_the_start(start_watch, flavour):
    redis, _, watch = start_watch(flavour, "deny", is_started=False)
    with watch:
        watch.during()
        redis.start()
        watch.after()

    watch.assert_all()
    watch.assert_nothing_is_charged_twice()
    assert_each_change_is_said_once(watch.agent, {"connection"}, begins="store_down")


@on_servers
def test_the_password_is_wrong_and_then_right(start_watch, flavour):
    redis, _, watch = start_watch(flavour, "allow", password="soon right")
    with watch:
        watch.during()
        redis.ask("CONFIG", "SET", "requirepass", "soon right")
        watch.after()

    redis.password = "soon right"
    watch.assert_all()
    watch.assert_nothing_is_charged_twice()
    assert_each_change_is_said_once(watch.agent, {"other"}, begins="store_down", at_most=1)


@on_servers
def test_scripts_are_flushed_again_and_again(start_watch, flavour):
    """Nobody notices: the script is sent once more, and who waits for it waits on."""
    redis, _, watch = start_watch(flavour, "deny")
    with watch:
        watch.before()
        for _ in range(20):
            redis.ask("SCRIPT", "FLUSH", "SYNC")
            watch.direct.wait_for_more(60)

    watch.assert_each_is_answered_once_and_in_time()
    assert sum(map(is_degraded, watch.direct.answers)) <= 0.02 * len(watch.direct.answers)
    assert sum(a.is_allowed for a in watch.direct.of("small") if is_from_redis(a)) <= 50
    watch.assert_nothing_is_charged_twice()
    assert watch.agent.is_always_up()


@on_debian_12
def test_an_agent_and_a_redis_that_freeze_together_go_on(start_watch, flavour):
    """As when all of a host is moved to another one: nothing is lost."""
    redis, _, watch = start_watch(flavour, "local")
    with watch:
        watch.before()
        for process in (redis, watch.agent):
            process.signal(signal.SIGSTOP)
        watch.web.wait_for_more(10)
        for process in (watch.agent, redis):
            process.signal(signal.SIGCONT)
        back = time.time()
        answer = watch.direct.wait_for(is_from_redis, "an answer of Redis'")
        watch.direct.wait_for_more(300)

    assert answer.read - back < 1.5
    assert (watch.direct.wrong, watch.direct.lost) == ([], 0)
    watch.assert_nothing_is_charged_twice()


# --- one request ---------------------------------------------------------------------------------

ONE = policies_text(p=bucket(WIDE, "1/1h", ["k"]))


def seconds_of_an_answer(peer):
    began = time.monotonic()
    assert peer.ask(k="x").degraded
    return time.monotonic() - began


@pytest.mark.parametrize("timeout_ms", [1, 2, 50, 300])
def test_a_request_waits_for_store_timeout_and_no_longer(start_agent, redis, timeout_ms):
    agent = start_agent("--store-timeout", f"{timeout_ms}ms", store=redis.url, policies=ONE)
    agent.wait_for_event("store_up")
    with agent.connect() as peer:
        assert not peer.ask(k="x").degraded or timeout_ms < 5
        redis.signal(signal.SIGSTOP)
        first = seconds_of_an_answer(peer)
        agent.wait_for_event("store_down")
        later = [seconds_of_an_answer(peer) for _ in range(50)]

    # The link is found dead after 0.25 s at the earliest: that is not what is waited for.
    assert timeout_ms / 1000 <= first < timeout_ms / 1000 + 0.2
    # There is no link now, and so nothing to wait for; an answer alone may take a millisecond.
    assert statistics.median(later) < timeout_ms / 1000 / 2 or timeout_ms < 5
    assert agent.events("store_down")[-1]["kind"] == "timeout"


def test_a_dead_link_is_found_without_any_request(start_agent, wire):
    agent = start_agent(store=wire.url, policies=ONE)
    agent.wait_for_event("store_up")

    wire.swallow()
    began = time.monotonic()
    down = agent.wait_for_event("store_down")

    assert time.monotonic() - began < 1.5
    assert down["kind"] == "timeout"
    wire.deliver_new()
    agent.wait_for_event("store_up", 2)


def test_a_link_that_died_half_open_is_replaced(start_agent, wire):
    """Only the connection is dead: a new one is all that it takes."""
    agent = start_agent("--store-timeout", TIMEOUT, store=wire.url, policies=ONE)
    agent.wait_for_event("store_up")
    with agent.connect() as peer:
        wire.swallow(new=False)
        began = time.monotonic()
        assert peer.ask(k="x").degraded
        wait_until(lambda: not peer.ask(k="x").degraded, "an answer of Redis'")

    assert time.monotonic() - began < 1.5
    assert wire.connections <= 3


def test_a_redis_that_is_always_too_slow_is_down(start_agent, wire):
    wire.set_delay(TOO_SLOW_SECONDS)
    agent = start_agent("--store-timeout", TIMEOUT, store=wire.url, policies=ONE)

    assert agent.wait_for_event("store_down")["kind"] == "timeout"
    with agent.connect() as peer:
        assert all(peer.ask(k="x").degraded for _ in range(20))
        wire.set_delay(0)
        agent.wait_for_event("store_up")
        assert not peer.ask(k="x").degraded
    assert len(agent.store_states()) <= 3


def test_without_redis_a_denial_by_a_limit_is_not_an_error(start_agent, redis):
    """`local` decides by the same policies, and begins with full balances."""
    agent = start_agent("--on-error", "local", store=redis.url,
                        policies=policies_text(p=bucket(3, "1/1d", ["k"])))
    agent.wait_for_event("store_up")
    redis.kill()
    agent.wait_for_event("store_down")

    with agent.connect() as peer:
        verdicts = [peer.ask(k="x") for _ in range(5)]

    assert [(v.allowed, v.reason, v.degraded) for v in verdicts] == (
        [(True, "ok", True)] * 3 + [(False, "limited", True)] * 2)
    assert [v.remaining for v in verdicts] == [2, 1, 0, 0, 0]
    assert verdicts[0].ratelimit_policy == '"p";q=3;w=259200'
