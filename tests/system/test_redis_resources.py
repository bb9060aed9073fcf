"""What Redis costs the agent, most of all while Redis is away.

The figures are those of the release build, since sanitizers need memory and time, too."""

import signal
import time

import pytest

import fake_redis
import spop
from agent import bucket, policies_text
from cases import named
from processes import undisturbed, wait_until
from redis import reserve_port
from spop_load import SpopLoad

KIB, MIB = 1024, 1024 * 1024
POLICIES = policies_text(p=bucket(10**6, "1/1h", ["k"]))
FRAME = spop.notify({"k": "x"})


def cpu_of(agent, peer, bursts, at_once=20):
    """Processor time of the agent for so many requests, in bursts of HAProxy's size."""
    before = agent.cpu_seconds()
    for _ in range(bursts):
        peer.send(FRAME * at_once)
        peer.skip(at_once)
    return agent.cpu_seconds() - before


@pytest.mark.alone
@pytest.mark.parametrize("on_error", ["allow", "local"])
def test_a_check_costs_no_more_when_redis_hangs(start_agent, redis, on_error):
    agent = start_agent("--store-timeout", "20ms", "--on-error", on_error, store=redis.url,
                        policies=POLICIES)
    agent.wait_for_store()
    with agent.connect() as peer:
        def measure():
            wait_until(lambda: not peer.ask(k="x").degraded, "an answer of Redis'")
            well = cpu_of(agent, peer, 5000)
            wait_until(lambda: not peer.ask(k="x").degraded, "an answer of Redis'")

            redis.signal(signal.SIGSTOP)
            hanging = cpu_of(agent, peer, 5000)
            assert peer.ask(k="x").degraded
            redis.signal(signal.SIGCONT)
            return well, hanging

        def is_no_more(costs):
            well, hanging = costs
            return hanging <= well * 1.1 + 0.02  # the clock has 10 ms steps

        cpu_of(agent, peer, 500)
        costs = undisturbed(measure, is_no_more)

    assert is_no_more(costs), costs


def test_an_agent_without_redis_idles(start_agent):
    """A try to connect every now and then is all."""
    port, reserved = reserve_port()
    agent = start_agent(store=f"redis://127.0.0.1:{port}", policies=POLICIES)
    agent.wait_for_event("store_down")
    before = agent.cpu_seconds()

    time.sleep(1)  # what is measured is time in which there is nothing to do

    assert agent.cpu_seconds() - before <= 0.03
    reserved.close()


def test_an_agent_with_redis_idles(start_agent, redis):
    """A heartbeat every now and then, and four times a second the question what operators have changed:
    to Redis that is a script and the two commands in it."""
    agent = start_agent(store=redis.url, policies=POLICIES)
    agent.wait_for_event("store_up")
    before, asked = agent.cpu_seconds(), redis.commands()

    time.sleep(1)  # what is measured is time in which there is nothing to do

    assert agent.cpu_seconds() - before <= 0.03
    assert redis.commands() - asked <= 20 + 3 * 5


# What the memory may vary by from one half of the outages to the other: pages that are touched for
# the first time, of which there were four at most. One KiB that leaks in each outage is more.
FLAT = 48 * KIB


def assert_flat(agent, ride_out, count):
    """Through so many outages, and as many again: all that is needed is there after the first."""
    ride_out(count)
    descriptors = agent.descriptors()

    def growth():
        memory = agent.rss_bytes()
        ride_out(count)
        return agent.rss_bytes() - memory

    # What leaks, leaks each time. When the machine stalls, more is in flight than ever before, and the
    # agent takes memory for that once.
    assert undisturbed(growth, lambda bytes_more: bytes_more < FLAT, attempts=3) < FLAT
    wait_until(lambda: agent.descriptors() == descriptors, "the descriptors of before")


def test_memory_and_descriptors_stay_through_100_outages(start_agent, wire):
    """Of both kinds: the connection is cut, and it hangs."""
    agent = start_agent("--store-timeout", "20ms", store=wire.url, policies=POLICIES)
    requests = {"p": {"k": "x"}}
    with SpopLoad([agent.address], requests, clients=5, pause=0.003) as load:
        def ride_out(count):
            for number in range(count):
                # It is said when it has lasted a moment; what flaps is tried ever more rarely.
                # The end is not awaited too: it may be down already, as the machine has stalled.
                ups = len(agent.events("store_up"))
                if number % 2:
                    wire.cut()
                else:
                    # New connections are well: the old one is given up when requests are late.
                    wire.swallow(new=False)
                agent.wait_for_event("store_up", ups + 1)

        agent.wait_for_event("store_up")
        assert_flat(agent, ride_out, 50)

    assert (load.wrong, load.lost) == ([], 0)
    assert wire.connections > 100
    assert sum(answer.is_degraded for answer in load.answers) > 100


def test_memory_stays_through_outages_in_which_requests_hang(start_agent, wire):
    agent = start_agent("--store-timeout", "5ms", store=wire.url, policies=POLICIES)
    agent.wait_for_event("store_up")
    with agent.connect() as peer:
        def ride_out(count):
            for _ in range(count):
                ups = len(agent.events("store_up"))
                wire.swallow()
                peer.send(FRAME * 200)
                peer.skip(200)
                assert peer.ask(k="x").degraded
                wire.deliver_new()
                agent.wait_for_event("store_up", ups + 1)

        assert_flat(agent, ride_out, 9)


def test_many_names_of_broken_keys_write_few_lines(start_agent, redis):
    agent = start_agent("--store-timeout", "5s", store=redis.url, policies=POLICIES)
    agent.wait_for_store()
    with agent.connect() as peer:
        for number in range(30):
            peer.ask(k=str(number))
        for key in redis.keys():
            redis.ask("SET", key, "foreign")
        for _ in range(10):
            peer.send(b"".join(spop.notify({"k": str(number)}) for number in range(30)))
            assert all(peer.read_verdict().reason == "error" for _ in range(30))

    assert len(agent.events("store_error")) == 1


@pytest.mark.parametrize("start", named({"line": b"+", "text": b"$536870912\r\n"}))
def test_a_server_that_sends_without_an_end_takes_little_memory(start_agent, started, start):
    server = fake_redis.Flood(start)
    started.append(server)
    agent = start_agent(store=server.url, policies=POLICIES)

    wait_until(lambda: server.connections >= 3, "some tries")

    assert agent.status_field("VmHWM") * KIB < 32 * MIB


def test_max_in_flight_is_answered_by_on_error_at_once(start_agent, wire):
    agent = start_agent("--store-timeout", "1s", "--max-in-flight", "50", store=wire.url,
                        policies=POLICIES)
    agent.wait_for_store()
    wire.set_delay(0.2)
    peers = [agent.connect() for _ in range(10)]
    for peer in peers:
        peer.send(FRAME * 20)
    verdicts = [peer.read_verdict() for peer in peers for _ in range(20)]
    for peer in peers:
        peer.close()

    assert [verdict.degraded for verdict in verdicts].count(True) == 150
