"""SIGTERM to PID 1 while clients ask all the time. test_compose.py has two agents and HAProxy."""

import threading

import pytest

import spop
from agent import bucket, policies_text
from processes import wait_until

POLICIES = policies_text(p=bucket(10**6))


class Asker:
    """A connection that always has `at_once` NOTIFYs on the way, until the agent ends it.

    `answered` has the answered frames, in order; `ended_by` is what came instead of an answer.
    """

    def __init__(self, address, at_once=20):
        self.peer, self.at_once = spop.Peer(address), at_once
        self.asked, self.answered, self.ended_by, self.is_clean = 0, [], None, None
        self.thread = threading.Thread(target=self._run)
        self.thread.start()

    def _ask(self, count):
        frames = [spop.notify({"src": spop.ip("192.0.2.1")}, frame_id=self.asked + n)
                  for n in range(count)]
        self.asked += count
        try:
            self.peer.send(b"".join(frames))
        except BrokenPipeError:
            pass  # the agent has closed; what it wrote before is still to be read

    def _run(self):
        self._ask(self.at_once)
        while True:
            frame = self.peer.read()
            if frame.type != spop.ACK:
                break
            self.answered.append(frame)
            self._ask(1)
        self.ended_by = frame
        self.is_clean = self.peer.is_ended()

    def finish(self):
        self.thread.join(20)
        assert not self.thread.is_alive(), "the connection did not end"
        self.peer.close()

    def assert_all_is_answered(self):
        """Each request that was read before the DISCONNECT was answered once and in order; none
        was lost."""
        ids = [frame.frame_id for frame in self.answered]
        assert sorted(ids) == list(range(len(ids)))
        assert self.asked - len(ids) <= self.at_once
        assert {spop.parse_ack(frame).reason for frame in self.answered} <= {"ok", "limited"}
        assert self.ended_by.type == spop.AGENT_DISCONNECT
        assert self.ended_by.pairs()["status-code"] == 0
        assert self.is_clean


def answers_so_far(askers):
    return sum(len(asker.answered) for asker in askers)


def load_then_sigterm(container, count=8):
    askers = [Asker(container.address) for _ in range(count)]
    before = answers_so_far(askers)
    wait_until(lambda: answers_so_far(askers) > before + 2000, "a load")
    status = container.stop()
    for asker in askers:
        asker.finish()
    return askers, status


@pytest.mark.parametrize("delay", ["0s", "1s"])
def test_every_notify_that_was_read_is_answered(start_container, delay):
    container = start_container(policies=POLICIES, environment={"RATELIMIT_DRAIN_DELAY": delay})

    askers, status = load_then_sigterm(container)

    for asker in askers:
        asker.assert_all_is_answered()
    assert status == 0
    assert [event["signal"] for event in container.events("draining")] == ["SIGTERM"]
    assert container.events("drain_timeout") == []


def test_what_waits_for_redis_is_answered_too(start_container, redis, wire):
    """Every reply of Redis is slow, so at the signal every request that was read waits for one."""
    container = start_container(policies=POLICIES, environment={
        "RATELIMIT_STORE": wire.url, "RATELIMIT_STORE_TIMEOUT": "5s"})
    container.wait_for_store()
    wire.set_delay(0.05)

    askers, status = load_then_sigterm(container)

    for asker in askers:
        asker.assert_all_is_answered()
        assert all(not spop.parse_ack(frame).degraded for frame in asker.answered)
    assert status == 0
    taken = 10**6 - left_in_redis(start_container, redis)
    assert taken == answers_so_far(askers)


def left_in_redis(start_container, redis):
    other = start_container(policies=POLICIES, environment={"RATELIMIT_STORE": redis.url})
    with other.wait_for_store().connect() as peer:
        return peer.ask(src=spop.ip("192.0.2.1"), cost=0).remaining


def test_a_second_sigterm_does_not_wait(start_container):
    container = start_container(environment={"RATELIMIT_DRAIN_DELAY": "1h"})
    container.engine.run("kill", "--signal", "TERM", container.name)
    container.wait_for_event("draining")

    container.engine.run("kill", "--signal", "TERM", container.name)

    assert container.wait() == 1


def test_podman_stop_is_a_sigterm(start_container):
    container = start_container(policies=POLICIES)

    container.engine.run("stop", "--time", "10", container.name)

    assert container.wait() == 0
    assert [event["signal"] for event in container.events("draining")] == ["SIGTERM"]
    assert container.events("stopped")
