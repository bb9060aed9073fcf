"""Redis goes away under load, in every way that we know, and comes back."""

import contextlib
import itertools
import signal
import statistics
import time

import pytest

from agent import bucket, policies_text
from processes import undisturbed, wait_until
from tcp_proxy import TcpProxy
from watch import (PATIENT_HAPROXY, POLICIES, SHOW_DEGRADED, SMALL, TIMEOUT, TIMEOUT_SECONDS, WIDE,
                   Stalls, Watch, assert_each_change_is_said_once, is_degraded, is_from_redis,
                   local_units, redis_errors, shown)
from web import Load, get

# Two loads, whose answers have to come in time.
pytestmark = pytest.mark.alone

# Every fault with the servers of Debian 12, and once more with newer ones.
SERVERS = [pytest.param("bookworm", "redis-7.0", id="redis-7.0,haproxy-2.6"),
           pytest.param("forky", "redis-8.0", id="redis-8.0,haproxy-3.2")]
on_servers = pytest.mark.parametrize("suite, flavour", SERVERS, indirect=["suite"])
on_debian_12 = pytest.mark.parametrize("suite, flavour", SERVERS[:1], indirect=["suite"])

TOO_SLOW_SECONDS = TIMEOUT_SECONDS + 0.05


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
    def start(flavour, on_error, password="right", is_started=True, timeout=TIMEOUT,
              spoe=PATIENT_HAPROXY, **keywords):
        redis = start_redis(flavour, password="right", is_started=is_started)
        wire = TcpProxy(("127.0.0.1", redis.port))
        started.append(wire)
        # Without remembered denials, which are right for a moment longer than Redis answers.
        agent = start_agent("--store-timeout", timeout, "--on-error", on_error, "--deny-cache",
                            "off", store=wire.url, env={"RATELIMIT_REDIS_PASSWORD": password},
                            policies=POLICIES, http=True)
        if is_started and password == "right":
            agent.wait_for_event("store_up")
        haproxy = start_haproxy(agent.address, conf=SHOW_DEGRADED, spoe=spoe)
        return redis, wire, Watch(agent, haproxy, on_error, **keywords)
    return start


@on_servers
@pytest.mark.parametrize("cause, on_error, kinds", [
    pytest.param(stopped, "local", ["timeout"], id="stopped"),
    pytest.param(slow, "allow", ["timeout"], id="slow"),
    pytest.param(half_open, "deny", ["timeout"], id="half-open"),
    pytest.param(cut_off, "local", ["connection"], id="cut off"),
    pytest.param(another_password, "deny", ["connection", "other"], id="another password")])
def test_redis_is_away_and_comes_back(start_watch, flavour, cause, on_error, kinds):
    redis, wire, watch = start_watch(flavour, on_error)
    with watch:
        watch.before()
        with cause(redis, wire):
            watch.during()
        watch.after()

    watch.assert_all()
    watch.assert_nothing_is_charged_twice()
    assert (local_units(watch.agent)["charged"] > 0) == (on_error == "local")
    assert_each_change_is_said_once(watch.agent, kinds)


@on_servers
@pytest.mark.parametrize("on_error", ["allow", "deny"])
def test_redis_is_killed_and_comes_back_empty(start_watch, flavour, on_error):
    redis, _, watch = start_watch(flavour, on_error)
    with watch:
        watch.before()
        with killed(redis, None):
            watch.during()
        watch.after(is_empty=True)

    watch.assert_all(times_empty=2)
    assert_each_change_is_said_once(watch.agent, ["connection"])


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
            new = [get(watch.haproxy.port, "127.0.0.3") for _ in range(5)]
        watch.after()
        new_after = get(watch.haproxy.port, "127.0.0.3")

    assert not small.is_allowed
    assert set(map(shown, new)) == {("1", 200 if on_error == "allow" else 503)}
    assert shown(new_after) == ("0", 200)
    watch.assert_all()
    watch.assert_nothing_is_charged_twice()
    # The first one: `wide` alone asked for what needs memory then.
    errors = watch.agent.events("store_error", kind="oom")
    assert len(errors) == 1, errors
    error = errors[0]
    # When the machine stalls, a request may time out beside.
    assert {said["kind"] for said in watch.agent.events("store_error")} <= {"oom", "timeout"}
    assert (error["kind"], error["level"], error["policy"]) == ("oom", "warn", "wide")
    assert watch.agent.is_always_up()


@on_servers
def test_redis_is_away_at_the_start(start_watch, flavour):
    redis, _, watch = start_watch(flavour, "deny", is_started=False)
    with watch:
        watch.during()
        redis.start()
        watch.after(is_empty=True)

    watch.assert_all()
    watch.assert_nothing_is_charged_twice()
    assert_each_change_is_said_once(watch.agent, ["connection"], begins="store_down")


@on_servers
def test_the_password_is_wrong_and_then_right(start_watch, flavour):
    redis, _, watch = start_watch(flavour, "allow", password="soon right")
    with watch:
        watch.during()
        redis.ask("CONFIG", "SET", "requirepass", "soon right")
        watch.after(is_empty=True)

    redis.password = "soon right"
    watch.assert_all()
    watch.assert_nothing_is_charged_twice()
    assert_each_change_is_said_once(watch.agent, ["other"], begins="store_down")


@on_servers
def test_scripts_are_flushed_again_and_again(start_watch, flavour):
    """Nobody notices: the script is sent once more, and who waits for it waits on."""
    redis, _, watch = start_watch(flavour, "deny", timeout="5s")
    with watch:
        watch.before()
        for _ in range(20):
            redis.ask("SCRIPT", "FLUSH", "SYNC")
            watch.direct.wait_for_more(60)
            watch.web.wait_for_more(2)

    assert redis_errors(watch.agent, "noscript") >= 20
    watch.assert_each_is_answered_once_and_in_time()
    assert not any(map(is_degraded, watch.direct.answers))
    assert set(map(shown, watch.web.answers)) == {("0", 200), ("0", 429)}
    assert sum(a.is_allowed for a in watch.direct.of("small")) == SMALL
    watch.assert_nothing_is_charged_twice()
    assert watch.agent.is_always_up()


@on_servers
@pytest.mark.parametrize("cause", [stopped, killed])
def test_as_shipped_haproxy_is_answered_in_its_time(start_redis, start_agent, start_haproxy,
                                                    flavour, cause):
    """2 ms for Redis, and 50 ms for the agent. The machine may stall for as long by itself, but
    not in most of the outages."""
    redis = start_redis(flavour)
    agent = start_agent("--on-error", "deny", store=redis.url, policies=POLICIES).wait_for_store()
    haproxy = start_haproxy(agent.address, conf=SHOW_DEGRADED)
    in_outages = []
    with Load(haproxy.port, "127.0.0.2", clients=4) as load:
        for _ in range(5):
            load.wait_for(lambda answer: shown(answer) == ("0", 429), "a denial of Redis'")
            with cause(redis, None):
                before = len(load.answers)
                load.wait_for(lambda answer: shown(answer) == ("1", 503), "an outage")
                load.wait_for_more(20)
                in_outages.append(load.answers[before:])

    assert load.failures == []
    unanswered = [sum(shown(a) == ("", 200) for a in answers) for answers in in_outages]
    assert statistics.median(unanswered) == 0, unanswered
    assert set(map(shown, load.answers)) <= {("0", 200), ("0", 429), ("1", 503), ("", 200)}
    assert sum(shown(a) == ("", 200) for a in load.answers) == haproxy.failed_asks()


@on_debian_12
def test_an_agent_and_a_redis_that_freeze_together_go_on(start_watch, flavour):
    """As when all of a host is moved to another one: nothing is lost."""
    redis, _, watch = start_watch(flavour, "local", spoe=())
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


def waits_in_vain(agent, redis, peer, timeout):
    """Seconds of the answers while Redis hangs: before the link is given up, and afterwards."""
    downs = len(agent.events("store_down"))
    wait_until(lambda: not peer.ask(k="x").degraded, "an answer of Redis'")
    redis.signal(signal.SIGSTOP)
    # Until the link is given up, which takes a few that waited in vain.
    waits = list(itertools.takewhile(
        lambda seconds: seconds >= timeout, iter(lambda: seconds_of_an_answer(peer), None)))
    agent.wait_for_event("store_down", downs + 1)
    later = [seconds_of_an_answer(peer) for _ in range(50)]
    redis.signal(signal.SIGCONT)
    return waits, later


# The shorter it is, the more of them wait, and one at least is not held up by the machine.
@pytest.mark.parametrize("timeout_ms, slack", [(1, 0.02), (2, 0.02), (50, 0.1), (300, 0.2)])
def test_a_request_waits_for_store_timeout_and_no_longer(start_agent, redis, timeout_ms, slack):
    options = () if timeout_ms == 2 else ("--store-timeout", f"{timeout_ms}ms")  # 2: the default
    agent, timeout = start_agent(*options, store=redis.url, policies=ONE), timeout_ms / 1000
    agent.wait_for_event("store_up")
    with agent.connect() as peer:
        waits, later = undisturbed(
            lambda: waits_in_vain(agent, redis, peer, timeout),
            lambda measured: measured[0] and max(measured[0]) < timeout + 0.2
            and min(measured[0]) < timeout + slack
            and statistics.median(measured[1]) < timeout / 2)

    # The link is found dead after 0.25 s at the earliest: that is not what is waited for.
    assert min(waits) < timeout + slack
    assert max(waits) < timeout + 0.2
    # There is no link now, and so nothing to wait for.
    assert statistics.median(later) < timeout / 2
    assert agent.events("store_down")[-1]["kind"] == "timeout"


def test_a_dead_link_is_found_without_any_request(start_agent, wire):
    agent = start_agent(store=wire.url, policies=ONE)
    agent.wait_for_event("store_up")

    with Stalls() as stalls:
        wire.swallow()
        began = time.monotonic()
        down = agent.wait_for_event("store_down")
        seconds = time.monotonic() - began

    assert seconds < 1.5 + stalls.longest
    assert down["kind"] == "timeout"
    wire.deliver_new()
    agent.wait_for_event("store_up", 2)


def test_a_link_that_died_half_open_is_replaced(start_agent, wire):
    """Only the connection is dead: a new one is all that it takes."""
    agent = start_agent("--store-timeout", TIMEOUT, store=wire.url, policies=ONE)
    agent.wait_for_event("store_up")
    with agent.connect() as peer:
        with Stalls() as stalls:
            wire.swallow(new=False)
            began = time.monotonic()
            assert peer.ask(k="x").degraded
            wait_until(lambda: not peer.ask(k="x").degraded, "an answer of Redis'")
            seconds = time.monotonic() - began

    assert seconds < 1.5 + stalls.longest
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
    """`local` decides by the same policies. Whom Redis did not see yet has all of the limit."""
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
