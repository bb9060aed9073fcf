"""SIGTERM and SIGINT drain. What SIGHUP does is in test_reload.py."""

import select
import signal
import socket
import time
from datetime import datetime

import pytest

import agent as agents
import spop
import web
from agent import SHIPPED_POLICIES, bucket, policies_text
from processes import undisturbed, wait_until

SRC = spop.ip("192.0.2.1")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_connections_with_disconnect_0_and_the_agent_with_0(start_agent, number):
    agent = start_agent()
    with agent.connect() as idle, agent.connect() as used:
        used.ask(src=SRC)

        agent.signal(number)

        assert idle.read_disconnect() == 0
        assert used.read_disconnect() == 0
    assert agent.wait() == 0


def test_without_connections_the_agent_ends_at_once(start_agent):
    agent = start_agent("--drain-timeout", "1h")

    agent.signal(signal.SIGTERM)

    assert agent.wait() == 0


def test_what_was_read_before_the_disconnect_is_answered(start_agent):
    agent = start_agent(policies=policies_text(p=bucket(1000)))
    with agent.connect() as peer:
        peer.send(b"".join(spop.notify({"src": SRC}, frame_id=n) for n in range(500)))
        agent.signal(signal.SIGTERM)

        answers = [peer.read()]
        while answers[-1].type == spop.ACK:
            answers.append(peer.read())

        # In order, without a gap, and no reset that would have thrown some of them away.
        assert answers[-1].type == spop.AGENT_DISCONNECT
        assert [answer.frame_id for answer in answers[:-1]] == list(range(len(answers) - 1))
        assert answers[-1].pairs()["status-code"] == 0
        assert peer.is_ended()
    assert agent.wait() == 0


def test_while_it_drains_checks_fail_and_traffic_is_served(start_agent):
    agent = start_agent("--drain-delay", "2s", policies=policies_text(p=bucket(10)))
    with agent.connect() as peer:
        agent.signal(signal.SIGTERM)
        agent.wait_for_event("draining")

        with spop.Peer(agent.address, hello=None) as check:
            check.send(spop.HEALTHCHECK)
            check.read_disconnect()
        assert agents.run("probe", agent.address).returncode == 1
        assert peer.ask(src=SRC).remaining == 9
        with agent.connect() as late:
            assert late.ask(src=SRC).remaining == 8

        assert peer.read_disconnect() == 0
    assert agent.wait() == 0


def test_after_the_drain_delay_nobody_listens(start_agent):
    agent = start_agent("--drain-timeout", "1h")
    with agent.connect() as peer:
        # What the peer does not read keeps its connection, and so the agent, from ending.
        fill_until_it_blocks(peer)
        agent.signal(signal.SIGTERM)
        agent.wait_for_event("ending")

        with pytest.raises(OSError):
            spop.open_socket(agent.address)
        assert agent.is_running()
        agent.kill()


def fill_until_it_blocks(peer):
    """Asks and asks and reads no answer, until the agent takes no more."""
    peer.socket.settimeout(0.3)
    many = spop.notify({"src": SRC}) * 1000
    with pytest.raises(TimeoutError):
        while True:
            peer.send(many)


def test_a_peer_that_reads_nothing_is_waited_for_until_drain_timeout(start_agent):
    agent = start_agent("--drain-timeout", "200ms", policies=policies_text(p=bucket(10)))
    with agent.connect() as peer:
        fill_until_it_blocks(peer)

        agent.signal(signal.SIGTERM)

        assert agent.wait() == 0


def test_without_a_drain_timeout_connections_still_get_their_disconnect(start_agent):
    agent = start_agent("--drain-timeout", "0s", policies=policies_text(p=bucket(10)))
    with agent.connect() as peer:
        peer.ask(src=SRC)

        agent.signal(signal.SIGTERM)

        assert peer.read_disconnect() == 0
        assert agent.wait() == 0


def test_a_connection_without_hello_does_not_hold_the_end_up(start_agent):
    agent = start_agent("--drain-timeout", "1h")
    with socket.create_connection(agent.address.rsplit(":", 1)):
        with agent.connect() as peer:  # by now the first one is accepted
            peer.ask(src=SRC)
            agent.signal(signal.SIGTERM)

            assert agent.wait() == 0


def end_under_use(peers):
    """Asks over all of them, one after the other and again, until the agent has ended each.

    What is asked behind a DISCONNECT is lost, so it looks for one first, as HAProxy does. Returns
    the ends as (the peer's place, when), in their order, and what was lost. What was lost after a
    pause of this process's own does not count: the agent takes the connection for unused then.
    """
    ends, lost, used = [], [], {peer: time.monotonic() for peer in peers}
    left = list(peers)
    while left:
        for peer in list(left):
            if not select.select([peer.socket], [], [], 0)[0]:
                peer.send(spop.notify({"src": SRC}))
                answer = peer.read()
                if answer.type == spop.ACK:
                    used[peer] = time.monotonic()
                    continue
                if time.monotonic() - used[peer] < PAUSE:
                    lost.append(peer)
            else:
                answer = peer.read()
            assert answer.type == spop.AGENT_DISCONNECT
            assert answer.pairs()["status-code"] == 0
            ends.append((peers.index(peer), time.monotonic()))
            left.remove(peer)
            peer.close()
    return ends, lost


PAUSE = 0.05  # half of what makes a connection an unused one


def seconds_between(agent, first, last):
    began, ended = (datetime.fromisoformat(agent.wait_for_event(name)["time"].replace("Z", "+00:00"))
                    for name in (first, last))
    return (ended - began).total_seconds()


def test_connections_in_use_end_one_after_the_other_and_each_with_an_answer(start_agent):
    def end_twenty():
        agent = start_agent(policies=policies_text(p=bucket(1000)))
        peers = [agent.connect() for _ in range(20)]
        for peer in peers:
            peer.ask(src=SRC)

        agent.signal(signal.SIGTERM)
        ends, lost = end_under_use(peers)

        assert agent.wait() == 0
        assert agent.events("drain_timeout") == []
        return [place for place, _ in ends], lost, ends[-1][1] - ends[0][1]

    # After a pause of this process or of the machine, the agent takes connections for unused ones.
    places, lost, seconds = undisturbed(
        end_twenty, lambda ended: ended[:2] == (list(range(20)), []) and ended[2] > 0.1)

    assert lost == []
    assert places == list(range(20))
    assert seconds > 0.1  # 10 ms each


def test_a_thousand_connections_in_use_end_within_the_drain_timeout(start_agent):
    agent = start_agent("--drain-timeout", "8s", policies=policies_text(p=bucket(10**5)))
    peers = [agent.connect() for _ in range(1000)]
    for peer in peers:
        peer.ask(src=SRC)

    agent.signal(signal.SIGTERM)
    ends, _ = end_under_use(peers)

    assert agent.wait() == 0
    assert len(ends) == 1000
    assert agent.events("drain_timeout") == []
    assert seconds_between(agent, "ending", "stopped") < 4


def test_unused_connections_end_at_once(start_agent):
    def seconds_of_the_end():
        agent = start_agent("--drain-delay", "500ms", policies=policies_text(p=bucket(10**5)))
        peers = [agent.connect() for _ in range(200)]
        for peer in peers:
            peer.ask(src=SRC)

        agent.signal(signal.SIGTERM)
        for peer in peers:
            assert peer.read_disconnect() == 0
            peer.close()

        assert agent.wait() == 0
        return seconds_between(agent, "ending", "stopped")

    seconds = undisturbed(seconds_of_the_end, lambda seconds: seconds < 0.5)
    assert seconds < 0.5  # one by one it takes a second


def test_a_connection_that_is_used_no_more_is_not_waited_for(start_agent):
    agent = start_agent("--drain-timeout", "1h", policies=policies_text(p=bucket(10)))
    with agent.connect() as peer:
        peer.ask(src=SRC)

        agent.signal(signal.SIGTERM)

        assert peer.read_disconnect() == 0
    assert agent.wait() == 0


def test_a_notify_that_is_half_read_is_waited_for(start_agent):
    notify = spop.notify({"src": SRC}, frame_id=7)

    def attempt():
        agent = start_agent("--drain-timeout", "1h", policies=policies_text(p=bucket(10)))
        with agent.connect() as peer:
            began = time.monotonic()
            peer.ask(src=SRC)
            agent.signal(signal.SIGTERM)
            peer.send(notify[:20])
            agent.wait_for_event("ending")
            peer.send(notify[20:])
            if time.monotonic() - began > PAUSE:
                return False  # so long that it may have been taken for unused

            answer = peer.read()
            assert (answer.type, answer.frame_id) == (spop.ACK, 7)
            assert peer.read_disconnect() == 0
            assert agent.wait() == 0
            return True

    wait_until(attempt, "an attempt without a pause")


def test_a_connection_that_always_has_something_in_flight_ends_too(start_agent, redis, wire):
    """Each question waits 50 ms for Redis, and there is one all 5 ms."""
    policies = policies_text(p=bucket(10**6))
    agent = start_agent("--drain-timeout", "1h", "--store-timeout", "5s", store=wire.url,
                        policies=policies).wait_for_store()
    wire.set_delay(0.05)
    with agent.connect() as peer:
        for n in range(10):
            peer.send(spop.notify({"src": SRC}, frame_id=n))
            time.sleep(0.005)  # nothing to await: so far apart are the answers, too
        agent.signal(signal.SIGTERM)

        answered = 0
        while (frame := peer.read()).type == spop.ACK:
            answered += 1
            peer.send(spop.notify({"src": SRC}, frame_id=10 + answered))

        assert frame.type == spop.AGENT_DISCONNECT
    assert agent.wait() == 0
    other = start_agent(store=redis.url, policies=policies).wait_for_store()
    with other.connect() as peer:
        assert peer.ask(src=SRC, cost=0).remaining == 10**6 - answered


@pytest.mark.parametrize("second", [signal.SIGTERM, signal.SIGINT])
def test_a_second_signal_ends_it_at_once(start_agent, second):
    agent = start_agent("--drain-delay", "1h")
    with agent.connect():
        agent.signal(signal.SIGTERM)
        agent.wait_for_event("draining")

        agent.signal(second)

        agent.wait()


def test_haproxy_takes_a_draining_agent_for_down_and_serves_on(start_agent, start_haproxy):
    agent = start_agent("--drain-delay", "1h", policies=SHIPPED_POLICIES.read_text())
    haproxy = start_haproxy(agent.address)
    assert web.get_asked(haproxy.port).status == 200

    agent.signal(signal.SIGTERM)
    wait_until(lambda: haproxy.agent_is("DOWN"), "a failed check")

    # HAProxy up to 3.0 goes on using the connections that it has, newer ones ask no more.
    answers = [web.get(haproxy.port) for _ in range(25)]
    assert {answer.status for answer in answers} <= {200, 429}
    assert answers[0].status == 200
    assert agent.is_running()


def test_an_agent_that_ends_fails_no_request(start_agent, start_haproxy):
    agent = start_agent(policies=SHIPPED_POLICIES.read_text())
    haproxy = start_haproxy(agent.address)
    assert web.get_asked(haproxy.port).status == 200

    agent.signal(signal.SIGTERM)

    answers = [web.get(haproxy.port) for _ in range(10)]
    assert agent.wait() == 0
    assert {answer.status for answer in answers} == {200}
