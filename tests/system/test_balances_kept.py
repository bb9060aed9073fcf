"""Balances of a memory store that --state-file keeps from a clean end to the next start."""

import contextlib
import signal
import stat
import time

import pytest

import spop
from agent import bucket, policies_text, run, window
from http_client import HttpClient
from processes import wait_until
from systemd import Sockets

POLICIES = policies_text(
    bucket=bucket(5), log=window(5), counter=window(5, "1000d", "sliding_window_counter"),
    fixed=window(5, "1000d", "fixed_window"))
NAMES = ["bucket", "log", "counter", "fixed"]
CLIENT = "192.0.2.1"


@pytest.fixture
def start(start_agent, tmp_path):
    """Starts an agent with the state file, which is `start.path`."""
    def start_one(*options, policies=POLICIES, **keywords):
        return start_agent("--state-file", start_one.path, *options, policies=policies,
                           **{"http": True, **keywords})
    start_one.path = tmp_path / "state"
    return start_one


def left(agent, policy, cost=0, key=CLIENT):
    """What is left of the key after a request of this cost."""
    with agent.connect() as peer:
        return peer.ask(policy=policy, key=key, cost=cost).remaining


def left_of_all(agent, cost=0):
    return [left(agent, name, cost) for name in NAMES]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_what_is_used_stays_used_over_a_clean_end(start, number):
    agent = start()
    assert left_of_all(agent, 3) == [2] * 4
    agent.signal(number)
    assert agent.wait() == 0
    kept = agent.wait_for_event("balances_kept", level="info")
    assert kept["balances"] == 4 and kept["ms"] >= 0 and kept["bytes"] > 0
    assert stat.S_IMODE(start.path.stat().st_mode) == 0o600

    agent = start()

    taken = agent.wait_for_event("balances_taken", level="info")
    assert (taken["balances"], taken["full"], taken["dropped"]) == (4, 0, 0)
    assert left_of_all(agent) == [2] * 4
    with agent.connect() as peer:
        assert not peer.ask(policy="fixed", key=CLIENT, cost=3).allowed
    assert left_of_all(agent, 1) == [1] * 4
    assert agent.stop() == 0
    assert left_of_all(start()) == [1] * 4


def test_the_next_agent_with_the_sockets_of_systemd_has_the_balances(start, started):
    sockets = Sockets(spop=["127.0.0.1:0"])
    started.append(sockets)
    agent = start(**sockets.activate())
    assert left_of_all(agent, 3) == [2] * 4
    with agent.connect() as idle:
        agent.signal(signal.SIGTERM)
        assert idle.read_disconnect() == 0
    assert agent.wait() == 0

    assert left_of_all(start(**sockets.activate())) == [2] * 4


def test_who_is_killed_leaves_what_the_last_clean_end_kept(start):
    agent = start()
    left_of_all(agent, 3)
    assert agent.stop() == 0
    agent = start()
    left_of_all(agent, 1)
    agent.kill()

    assert left_of_all(start()) == [2] * 4


def test_exceptions_that_come_back_leave_the_balances_in_the_file(start, tmp_path):
    """Nothing was changed, so the file is not written anew, and a kill loses nothing of it."""
    admin = f"unix:{tmp_path}/admin.sock"
    agent = start("--admin-listen", admin)
    done = run("block", "src=192.0.2.9", "--agent", admin)
    assert done.returncode == 0, done.stderr
    left_of_all(agent, 3)
    assert agent.stop() == 0
    file = start.path.stat().st_ino

    agent = start("--admin-listen", admin)
    began = time.monotonic()
    wait_until(lambda: time.monotonic() > began + 1, "four times as long as a change takes")
    assert start.path.stat().st_ino == file
    agent.kill()

    agent = start("--admin-listen", admin)
    assert left_of_all(agent) == [2] * 4
    assert "192.0.2.9" in run("exceptions", "--agent", admin).stdout


def test_a_balance_that_is_full_meanwhile_is_dropped(start):
    policies = policies_text(fixed=window(5, "1000d", "fixed_window"), soon=bucket(1, "1000/1s"))
    agent = start(policies=policies)
    left(agent, "fixed", 2)
    left(agent, "soon", 1)
    assert agent.stop() == 0
    # The agent keeps a balance for a second after it is full, for a clock that is set back.
    agent.wait_for_event("balances_kept")

    def found():
        again = start(policies=policies)
        taken = again.wait_for_event("balances_taken")
        again.kill()
        return taken["balances"] + taken["full"] <= 2 and taken["balances"] == 1
    wait_until(found, "the balance that is full")


def test_other_numbers_keep_what_is_used_and_another_algorithm_begins_anew(start):
    agent = start()
    left_of_all(agent, 3)
    assert agent.stop() == 0

    agent = start(policies=policies_text(
        bucket=bucket(4), log=window(10), counter=window(4, "1000d", "fixed_window"),
        fixed=window(2, "1000d", "fixed_window")))

    assert left_of_all(agent) == [2, 7, 4, 0]


def test_inline_policies_and_overrides_are_kept_too(start):
    policies = policies_text(tenant={**window(4, "1000d", "fixed_window", ["tenant"]), "overrides": [
        {"match": {"tenant": "acme"}, "limit": 9}]})
    inline = {"algorithm": "fixed_window", "limit": 7, "window": "1000d", "key": "x"}
    agent = start(policies=policies)
    with agent.connect() as peer:
        assert peer.ask(tenant="acme", cost=2).remaining == 7
        assert peer.ask(**inline, cost=3).remaining == 4
    assert agent.stop() == 0

    with start(policies=policies).connect() as peer:
        assert peer.ask(tenant="acme", cost=0).remaining == 7
        assert peer.ask(**inline, cost=0).remaining == 4


def test_a_reload_after_a_restart_keeps_the_balances(start):
    agent = start()
    left_of_all(agent, 3)
    assert agent.stop() == 0
    agent = start()
    agent.policy_file.write_text(policies_text(fixed=window(6, "1000d", "fixed_window")))
    agent.signal(signal.SIGHUP)
    agent.wait_for_event("reloaded")

    assert left(agent, "fixed") == 3


def set_version(path, at, text):
    data = path.read_bytes()
    assert data.count(at) == 1
    path.write_bytes(data.replace(at, text))


@pytest.mark.parametrize("at, text, reason", [
    (b"ratelimit-spoa state 1\n", b"ratelimit-spoa state 2\n",
     "it was written by another version of this program"),
    (b"rl-spoa\n\x01", b"rl-spoa\n\x02",
     "its balances were written by another version of this program"),
    (b"rl-spoa\n\x01", b"rl-spoa\r\x01", "its balances are damaged"),
    (b"end 0 ", b"end 1 ", "it is no state file of this program, or it is damaged"),
])
def test_a_file_that_can_not_be_used_is_kept_aside_and_the_agent_starts(start, at, text, reason):
    agent = start()
    left_of_all(agent, 3)
    assert agent.stop() == 0
    set_version(start.path, at, text)
    bad = start.path.read_bytes()

    agent = start()

    line = agent.wait_for_event("state_file_unusable", level="warn")
    assert line["reason"] == reason
    assert line["moved_to"] == f"{start.path}.unusable"
    assert (start.path.parent / "state.unusable").read_bytes() == bad
    assert left_of_all(agent, 1) == [4] * 4
    assert agent.stop() == 0
    assert left_of_all(start()) == [4] * 4


def test_without_memory_for_all_the_least_used_are_dropped(start):
    agent = start("--memory-limit", "1m")
    left(agent, "fixed", 5)
    with agent.connect() as peer:
        for n in range(2000):
            peer.send(spop.notify({"policy": "fixed", "key": f"k{n}"}))
            assert peer.read_verdict().allowed
    assert agent.stop() == 0

    agent = start("--memory-limit", "64k")

    taken = agent.wait_for_event("balances_taken")
    assert taken["balances"] + taken["dropped"] == 2001
    assert taken["dropped"] > 1000
    assert left(agent, "fixed") == 0


def ask_for_many(agent, count):
    with HttpClient(agent) as client:
        for first in range(0, count, 100):
            answer = client.check(checks=[{"policy": "fixed", "key": f"k{first + n}"}
                                          for n in range(100)])
            assert answer.status == 200


def test_an_agent_that_is_killed_while_it_writes_leaves_a_good_file(start):
    """Either the old one or the new one, wherever it was."""
    agent = start()
    left(agent, "fixed", 3)
    assert agent.stop() == 0
    agent = start()
    left(agent, "fixed", 1)
    ask_for_many(agent, 20000)
    new = start.path.parent / "state.new"
    agent.signal(signal.SIGTERM)
    with contextlib.suppress(ProcessLookupError):
        wait_until(lambda: new.exists() or not agent.is_running(), "the writing")
        agent.kill()

    agent = start()

    assert not agent.events("state_file_unusable")
    assert left(agent, "fixed") in (1, 2)


def test_a_second_signal_ends_an_agent_without_a_new_file(start):
    agent = start("--drain-delay", "1h")
    left(agent, "fixed", 3)
    agent.signal(signal.SIGTERM)
    agent.wait_for_event("draining")
    agent.signal(signal.SIGTERM)
    assert agent.wait() == 1

    assert left(start(), "fixed") == 5


def test_balances_of_memory_are_not_taken_by_an_agent_with_redis(start, redis):
    agent = start()
    left_of_all(agent, 3)
    assert agent.stop() == 0

    agent = start("--store-timeout", "5s", store=redis.url)

    line = agent.wait_for_event("state_file_unusable")
    assert line["reason"] == "it has balances of a memory store, and this agent has them in Redis"
    agent.wait_for_store()
    assert left_of_all(agent) == [5] * 4
    assert agent.stop() == 0
    assert not agent.events("balances_kept")
    (start.path.parent / "state.unusable").rename(start.path)
    assert left_of_all(start()) == [2] * 4


def test_without_a_state_file_nothing_is_kept(start_agent):
    agent = start_agent(policies=POLICIES)
    left(agent, "fixed", 3)
    assert agent.stop() == 0
    assert not agent.events("balances_kept")
    assert left(start_agent(policies=POLICIES), "fixed") == 5
