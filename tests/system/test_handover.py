"""Balances in memory that systemd keeps from one agent to the next. In place of systemd there is a
Manager, which keeps descriptors as systemd's file-descriptor store does."""

import fcntl
import os
import re
import signal
import struct

import pytest

import spop
from agent import bucket, policies_text, window
from processes import wait_until
from systemd import Manager, Sockets
from test_admin_tokens import admin_file  # pylint: disable=unused-import
from test_exceptions import Operator

NAMES = ["bucket", "log", "counter", "fixed"]
POLICIES = policies_text(
    bucket=bucket(5), log=window(5), counter=window(5, "1000d", "sliding_window_counter"),
    fixed=window(5, "1000d", "fixed_window"))
FIXED = policies_text(fixed=window(5, "1000d", "fixed_window"))
MANY, MORE = 20000, 120000  # balances; more than come before the next end
LAYOUT, FIRST_CELL = 8, 4096  # where they are in the memory


class Service:
    """One agent after the other, with the same sockets and the same manager."""

    def __init__(self, start_agent, manager, sockets, state_file):
        self.start_agent, self.manager, self.sockets = start_agent, manager, sockets
        self.state_file = state_file
        self.agent = None

    def start(self, *options, store=None, policies=POLICIES, http=None, **environment):
        self.agent = self.start_agent(
            "--state-file", self.state_file, *options, store=store, policies=policies, http=http,
            **self.sockets.activate(
                kept=self.manager.kept,
                **{**self.manager.environment(keeps=True), **environment}))
        self.manager.wait_for("READY")
        return self.agent

    def end(self, number=signal.SIGTERM):
        self.agent.signal(number)
        assert self.agent.wait() == 0
        self.manager.wait_for("STOPPING")
        self.manager.read_what_is_there()

    def left(self, cost=0, client="192.0.2.1"):
        """What is left of the client's balances after a request of this cost."""
        with self.agent.connect() as peer:
            return [peer.ask(policy=name, key=client, cost=cost).remaining for name in NAMES]

    def wait_until_taken(self):
        taken = self.agent.wait_for_event("balances_taken")
        self.manager.wait_for("FDSTOREREMOVE")
        return taken

    def wait_until_the_file_has_no_balances(self):
        """What comes behind the line of the end would be balances."""
        wait_until(lambda: re.fullmatch(rb"ratelimit-spoa state 1\nend 0 [0-9a-f]+\n",
                                        self.state_file.read_bytes()), "a file without balances")

    def use_many(self, count=MANY):
        """0 to 5 units of each key, of which 5 are all."""
        with self.agent.connect() as peer:
            for first in range(0, count, 200):
                peer.send(b"".join(
                    spop.notify({"policy": "fixed", "key": f"k{n}", "cost": n % 6}, stream_id=n + 1)
                    for n in range(first, first + 200)))
                peer.skip(200)

    def assert_many_are_used(self, peer, count=MANY):
        for number in range(0, count, 997):
            left = peer.ask(policy="fixed", key=f"k{number}", cost=0).remaining
            assert left == 5 - number % 6


@pytest.fixture
def service(start_agent, started, tmp_path):
    manager, sockets = Manager(tmp_path / "notify"), Sockets(spop=["127.0.0.1:0"])
    started += [manager, sockets]
    return Service(start_agent, manager, sockets, tmp_path / "state")


def test_what_is_used_stays_used(service):
    service.start()
    assert service.left(3) == [2] * 4
    assert service.left(1, "192.0.2.2") == [4] * 4
    service.end()
    assert service.agent.wait_for_event("balances_left")["balances"] == 8

    agent = service.start()

    assert agent.wait_for_event("balances_handed_over")["balances"] == 8
    assert service.left() == [2] * 4
    taken = service.wait_until_taken()
    assert (taken["balances"], taken["full"], taken["dropped"]) == (8, 0, 0)
    assert not agent.events("balances_damaged")
    assert service.left(0, "192.0.2.2") == [4] * 4
    assert service.left(2) == [0] * 4
    assert len(service.manager.kept) == 1


def test_ten_agents_one_after_the_other_lose_nothing(service):
    service.start()
    for number in range(10):
        client = f"192.0.2.{number}"
        assert service.left(5, client) == [0] * 4
        service.end()
        assert service.start().wait_for_event("balances_handed_over")
        for earlier in range(number + 1):
            assert service.left(0, f"192.0.2.{earlier}") == [0] * 4
    service.wait_until_taken()
    assert len(service.manager.kept) == 1


def test_an_agent_that_is_killed_leaves_nothing(service):
    service.start()
    service.left(3)
    service.agent.kill()
    service.manager.read_what_is_there()
    assert len(service.manager.kept) == 1

    agent = service.start()

    line = agent.wait_for_event("handover_unusable", level="warn")
    assert line["reason"] == "the agent before did not end cleanly"
    assert service.left() == [5] * 4
    service.manager.read_what_is_there()
    assert len(service.manager.kept) == 1


def test_balances_that_were_taken_are_not_taken_again_after_a_crash(service):
    service.start()
    service.left(3)
    service.end()
    # As if the agent had been killed before systemd had dropped it.
    (_, fd), = service.manager.kept
    old = fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 100)
    service.start()
    service.left(1)
    service.wait_until_the_file_has_no_balances()
    service.agent.kill()
    service.manager.read_what_is_there()
    service.manager.kept.insert(0, ("balances-0", old))

    agent = service.start()

    assert agent.wait_for_event("handover_unusable")["name"] == "balances-0"
    assert not agent.events("balances_handed_over")
    assert service.left() == [5] * 4


def test_an_agent_that_does_not_start_loses_no_balances_if_there_are_few(service):
    service.start()
    service.left(3)
    service.end()
    service.manager.forget()  # as systemd does when the next agent fails

    service.start()

    assert service.left() == [2] * 4


def test_nobody_waits_for_a_file_of_many_exceptions(
        service, admin_file):  # pylint: disable=redefined-outer-name
    options = ("--admin-token-file", admin_file)
    agent = service.start(*options, http=True)
    service.left(3)
    with Operator(agent) as operator:
        for number in range(257):
            operator.change("PUT", None, {"blocked": True}, {"user": f"u{number}"})
    service.end()
    assert not agent.events("balances_kept")

    service.start(*options, http=True)

    assert service.left() == [2] * 4


def test_what_is_of_no_use_makes_room_for_the_agents_own_memory(service, tmp_path):
    service.manager.most = 2
    service.start(FDSTORE="2")
    service.agent.kill()
    service.manager.read_what_is_there()
    path = tmp_path / "something"
    path.write_bytes(bytes(8192))
    service.manager.kept.append(("balances-0", os.open(path, os.O_RDWR)))

    service.start(FDSTORE="2")

    service.manager.read_what_is_there()
    assert [name == "balances-0" for name, _ in service.manager.kept] == [False]


def test_balances_of_the_file_are_gone_once_there_are_later_ones(service):
    service.start()
    service.left(3)
    service.end(signal.SIGINT)
    service.start()
    service.left(1)
    service.wait_until_the_file_has_no_balances()
    service.agent.kill()
    service.manager.forget()

    service.start()

    assert service.left() == [5] * 4


def change(manager, at, data):
    (_, fd), = manager.kept
    os.pwrite(fd, data, at)


@pytest.mark.parametrize(("at", "data", "reason"), [
    (LAYOUT, struct.pack("<Q", 77), "another version of this program wrote it"),
    (0, b"x", "it is damaged"),
    (100, b"\xaa\xaa\xaa\xaa\xaa", "it is damaged"),
])
def test_memory_that_can_not_be_used_is_dropped(service, at, data, reason):
    service.start()
    service.left(3)
    service.end()
    change(service.manager, at, data)

    agent = service.start()

    assert agent.wait_for_event("handover_unusable", level="warn")["reason"] == reason
    assert not agent.events("balances_handed_over")
    # These are from the file.
    assert service.left() == [2] * 4


def test_a_descriptor_of_something_else_is_dropped(service, tmp_path):
    path = tmp_path / "something"
    path.write_bytes(bytes(8192))
    service.manager.kept.append(("balances-0", os.open(path, os.O_RDWR)))

    agent = service.start()

    assert agent.wait_for_event("handover_unusable")["reason"].startswith("it is no memory")
    service.manager.read_what_is_there()
    assert [name for name, _ in service.manager.kept if name == "balances-0"] == []


def test_damaged_cells_are_left_out_and_the_others_come(service):
    service.start()
    service.left(3)
    service.end()
    change(service.manager, FIRST_CELL + 64, b"\xff" * 64)

    agent = service.start()

    assert agent.wait_for_event("balances_damaged", level="warn")["balances"] >= 1
    # Which one is damaged depends on the order in which they were made: the first one.
    assert service.left()[1:] == [2] * 3


def test_a_stop_writes_the_file_too_and_the_memory_comes_first(service):
    service.start()
    service.left(3)
    service.end(signal.SIGINT)
    assert service.agent.wait_for_event("balances_kept")["balances"] == 4

    agent = service.start()
    assert agent.wait_for_event("balances_handed_over")
    assert service.left(1) == [1] * 4
    service.end()
    service.manager.forget()  # a stop, or another boot

    agent = service.start()
    # A hand-over writes so few to the file as well.
    assert agent.wait_for_event("balances_taken")["balances"] == 4
    assert not agent.events("balances_handed_over")
    assert service.left() == [1] * 4


def test_policies_that_changed_keep_balances_as_at_a_reload(service):
    service.start()
    service.left(3)
    service.end()

    agent = service.start(policies=policies_text(
        bucket=bucket(10), log=window(10), counter=window(10, "1000d", "sliding_window_counter"),
        fixed=window(5, "500d", "fixed_window", key=("host",))))

    assert agent.wait_for_event("balances_handed_over")
    assert service.left()[:3] == [2, 7, 7]


def test_a_smaller_memory_takes_what_fits(service):
    service.start()
    service.left(3)
    service.end()

    agent = service.start("--memory-limit", "64k")

    assert agent.wait_for_event("balances_handed_over")
    assert service.left() == [2] * 4


def test_with_redis_what_was_kept_is_dropped(service, redis):
    service.start()
    service.left(3)
    service.end()

    agent = service.start(store=redis.url)

    assert agent.wait_for_event("handover_unusable")["reason"].endswith("in Redis")
    service.manager.read_what_is_there()
    assert service.manager.kept == []


def test_without_a_file_descriptor_store_the_file_serves(service):
    service.start(FDSTORE="0")
    service.left(3)
    service.end()
    assert service.manager.kept == []
    assert service.agent.wait_for_event("balances_kept")["balances"] == 4

    service.start(FDSTORE="0")

    assert service.left() == [2] * 4


def test_many_balances_come_while_the_agent_answers(service):
    """20,000 take some 40 turns of the loop; whoever asks has its own at once."""
    service.start(policies=FIXED)
    service.use_many()
    service.end()
    # Nobody waits for a file of so many.
    assert not service.agent.events("balances_kept")

    service.start(policies=FIXED)

    with service.agent.connect() as peer:
        assert peer.ask(policy="fixed", key="k19999").remaining == 5 - 19999 % 6 - 1
        assert service.wait_until_taken()["balances"] == sum(n % 6 > 0 for n in range(MANY))
        service.assert_many_are_used(peer)


def test_an_agent_that_ends_at_once_hands_over_the_rest_too(service):
    service.start(policies=FIXED)
    service.use_many(MORE)
    service.end()
    service.start(policies=FIXED)
    service.end()

    agent = service.start(policies=FIXED)

    assert agent.wait_for_event("balances_handed_over")
    assert service.wait_until_taken()["balances"] == sum(n % 6 > 0 for n in range(MORE))
    with service.agent.connect() as peer:
        service.assert_many_are_used(peer, MORE)


def test_an_agent_that_ends_at_once_writes_the_rest_to_the_file(service):
    service.start(policies=FIXED)
    service.use_many(MORE)
    service.end()
    agent = service.start(policies=FIXED, FDSTORE="0")
    service.end()
    assert agent.wait_for_event("balances_handed_over")

    agent = service.start(policies=FIXED)

    assert agent.wait_for_event("balances_taken")["balances"] == sum(n % 6 > 0 for n in range(MORE))
    assert not agent.events("handover_unusable")
    with service.agent.connect() as peer:
        service.assert_many_are_used(peer, MORE)
