"""What the agent takes of the machine: memory, descriptors, processor time, system calls.

The figures are those of the release build, since sanitizers need memory, too."""

import contextlib
import functools
import ipaddress
import mmap
import os
import re
import resource
import socket
import struct
import subprocess
import time
from collections import Counter
from pathlib import Path

import pytest

import spop
from agent import bucket, policies_text
from processes import wait_until

KIB = 1024
MIB = 1024 * KIB
HERE = Path(__file__).resolve().parent


# --- asking fast -------------------------------------------------------------------------------


def inline(key, capacity=5):
    """A balance that does not visibly refill."""
    return {"key": key, "algorithm": "token_bucket", "capacity": capacity, "refill_rate": "1/1h"}


def ask_all(peer, frames, at_once=20):
    """Sends the NOTIFY frames in bursts of HAProxy's size and reads as many answers."""
    for start in range(0, len(frames), at_once):
        burst = frames[start:start + at_once]
        peer.send(b"".join(burst))
        peer.skip(len(burst))


@functools.cache
def frame_parts(address):
    """A NOTIFY frame before and after the four bytes of this address."""
    frame = spop.notify({"src": address})
    before, after = frame.split(address.packed)
    return before, after


def frames_from_addresses(first, count):
    """One NOTIFY from each of `count` addresses."""
    before, after = frame_parts(spop.ip(first))
    number = int(ipaddress.IPv4Address(first))
    return [before + struct.pack(">I", number + n) + after for n in range(count)]


# --- memory ------------------------------------------------------------------------------------


def test_an_agent_that_just_started_takes_less_than_8_mib(start_agent):
    agent = start_agent(policies=policies_text(p=bucket(20)))

    with agent.connect() as peer:
        assert peer.ask(src=spop.ip("192.0.2.1")).allowed

    assert agent.rss_bytes() < 8 * MIB


def test_a_balance_takes_less_than_128_bytes(start_agent):
    agent = start_agent(policies=policies_text(p=bucket(20)))
    count = 330_000
    with agent.connect() as peer:
        ask_all(peer, frames_from_addresses("10.0.0.0", 1000))
        before = agent.rss_bytes()

        ask_all(peer, frames_from_addresses("11.0.0.0", count), at_once=200)

        grown = agent.rss_bytes() - before
        assert peer.ask(src=spop.ip("11.0.0.0")).remaining == 18  # it was not forgotten
    assert grown / count < 128


def test_memory_stays_under_the_limit_and_what_is_used_is_kept(start_agent):
    agent = start_agent("--memory-limit", "1m", policies=policies_text(p=bucket(3)))
    hot = spop.ip("192.0.2.1")
    with agent.connect() as peer:
        ask_all(peer, frames_from_addresses("10.0.0.0", 100))
        before = agent.rss_bytes()
        for _ in range(3):
            assert peer.ask(src=hot).allowed

        for block in range(200):
            ask_all(peer, frames_from_addresses(f"11.{block}.0.0", 1000), at_once=200)
            assert not peer.ask(src=hot).allowed, f"forgotten after {block} thousand others"

    assert agent.rss_bytes() - before <= MIB + 256 * KIB


def test_a_long_log_of_a_sliding_window_stays_under_the_limit_too(start_agent):
    window = {"algorithm": "sliding_window", "limit": 1_000_000, "window": "1h", "key": ["src"]}
    agent = start_agent("--memory-limit", "1m", policies=policies_text(p=window))
    with agent.connect() as peer:
        ask_all(peer, frames_from_addresses("10.0.0.0", 100))
        before = agent.rss_bytes()

        # One by one, so that each is an entry of its own in the log.
        ask_all(peer, [spop.notify({"src": spop.ip("192.0.2.1")})] * 150_000, at_once=100)

        assert agent.rss_bytes() - before <= MIB + 256 * KIB
        assert peer.ask(src=spop.ip("192.0.2.2")).reason in ("ok", "error")


def test_an_exhausted_client_is_not_forgotten_for_new_keys(start_agent):
    agent = start_agent("--memory-limit", "64k", policies=policies_text(p=bucket(3)))
    with agent.connect() as peer:
        for _ in range(3):
            peer.ask(src=spop.ip("192.0.2.1"))

        ask_all(peer, frames_from_addresses("11.0.0.0", 20_000), at_once=200)

        assert not peer.ask(src=spop.ip("192.0.2.1")).allowed


def test_a_forgotten_client_starts_afresh(start_agent):
    """Each of the others is exhausted too, by its one request, and was used later."""
    agent = start_agent("--memory-limit", "64k", policies=policies_text(p=bucket(1)))
    with agent.connect() as peer:
        assert peer.ask(src=spop.ip("192.0.2.1")).allowed
        assert not peer.ask(src=spop.ip("192.0.2.1")).allowed

        ask_all(peer, frames_from_addresses("11.0.0.0", 20_000), at_once=200)

        assert peer.ask(src=spop.ip("192.0.2.1")).allowed


# --- connections -------------------------------------------------------------------------------


def open_at_once(address, count):
    """`count` connections of which nobody waits for another, each with its HELLO on the way."""
    host, port = address.rsplit(":", 1)
    sockets = []
    for _ in range(count):
        opened = socket.socket()
        opened.setblocking(False)
        opened.connect_ex((host, int(port)))
        sockets.append(opened)
    peers = []
    for opened in sockets:
        opened.settimeout(60)
        peer = spop.Peer.__new__(spop.Peer)
        peer.socket, peer.buffer, peer.frame_ids = opened, b"", iter(range(1, 1000))
        peers.append(peer)
    return peers


def close_all(peers):
    for peer in peers:
        peer.close()


def say_hello(peers):
    for peer in peers:
        wait_until(functools.partial(can_send_hello, peer), "a connection")


def can_send_hello(peer):
    try:
        peer.send(spop.hello())
        return True
    except BrokenPipeError:
        return False


def test_2000_connections_at_once_are_all_served(start_agent):
    agent = start_agent(policies=policies_text(p=bucket(2000)))
    peers = open_at_once(agent.address, 2000)

    say_hello(peers)
    assert all(peer.read().type == spop.AGENT_HELLO for peer in peers)
    for peer in peers:
        peer.send(spop.notify({"src": spop.ip("192.0.2.1")}))
    left = [peer.read_verdict().remaining for peer in peers]

    close_all(peers)
    # Each was charged once.
    assert sorted(left) == list(range(2000))


def assert_idle(agent, seconds=0.5):
    before = agent.cpu_seconds()
    time.sleep(seconds)  # what is measured is time in which there is nothing to do
    assert agent.cpu_seconds() - before <= 0.03


def few_descriptors():
    resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))


def wait_for_hello(peer, seconds):
    """Whether AGENT-HELLO comes within that time."""
    peer.socket.settimeout(seconds)
    try:
        return peer.read().type == spop.AGENT_HELLO
    except TimeoutError:
        return False
    finally:
        peer.socket.settimeout(60)


def served_and_waiting(peers):
    """Those that got AGENT-HELLO, up to the first that did not."""
    for number, peer in enumerate(peers):
        if not wait_for_hello(peer, 2):
            return peers[:number], peers[number:]
    return peers, []


def test_at_the_descriptor_limit_connections_wait_and_the_processor_idles(start_agent):
    agent = start_agent(policies=policies_text(p=bucket(1000)), preexec_fn=few_descriptors)
    peers = open_at_once(agent.address, 100)
    say_hello(peers)
    served, waiting = served_and_waiting(peers)
    assert 40 <= len(served) <= 64 and waiting

    assert_idle(agent, seconds=1)
    # Those that are connected are served on.
    served[0].send(spop.notify({"src": spop.ip("192.0.2.1")}))
    assert served[0].read_verdict().allowed

    close_all(served[-len(waiting):])
    assert all(peer.read().type == spop.AGENT_HELLO for peer in waiting[:len(served)])
    close_all(peers)


EXTRAS = 64  # accepted above --max-connections


def say_nothing(agent):
    return spop.Peer(agent.address, hello=None)


def say_hello_only(agent):
    return agent.connect()


def passes_health_check(agent):
    with spop.Peer(agent.address, hello=None) as check:
        check.send(spop.HEALTHCHECK)
        return check.read().type == spop.AGENT_HELLO and check.is_ended()


def test_above_max_connections_notifies_get_on_error_and_a_disconnect(start_agent):
    agent = start_agent("--max-connections", "10", policies=policies_text(p=bucket(1000)))
    usual = [agent.connect() for _ in range(10)]
    extra = agent.connect()

    verdict = extra.ask(src=spop.ip("192.0.2.1"))
    assert (verdict.allowed, verdict.degraded, verdict.reason) == (True, True, "error")
    assert extra.read_disconnect() == 0
    assert [peer.ask(src=spop.ip("192.0.2.1")).degraded for peer in usual] == [False] * 10
    close_all([*usual, extra])


def test_above_max_connections_an_extra_takes_a_place_that_becomes_free(start_agent):
    agent = start_agent("--max-connections", "10", policies=policies_text(p=bucket(1000)))
    usual = [agent.connect() for _ in range(10)]
    extras = [agent.connect() for _ in range(5)]

    assert_idle(agent)
    close_all(usual[:5])
    # The agent may not have read the ends of the five yet.
    wait_until(lambda: len(agent_ends(agent)) == 10, "the ends of five")

    assert not any(peer.ask(src=spop.ip("192.0.2.1")).degraded for peer in extras)
    close_all([*usual[5:], *extras])


def agent_ends(agent):
    """What the agent's descriptors of its connections with HAProxy refer to."""
    ends = []
    for fd in Path(f"/proc/{agent.pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # closed since it was listed
            ends.append(os.readlink(fd))
    # One of the sockets is the listener.
    return [end for end in ends if end.startswith("socket:")][1:]


@pytest.mark.parametrize("come", [say_nothing, say_hello_only])
def test_health_checks_pass_whoever_else_is_above_max_connections(start_agent, come):
    agent = start_agent("--max-connections", "10", policies=policies_text(p=bucket(1000)))
    usual = [agent.connect() for _ in range(10)]
    others = [come(agent) for _ in range(EXTRAS)]

    assert all(passes_health_check(agent) for _ in range(20))

    # More of them come all the time: each takes the place of an older one.
    for _ in range(EXTRAS):
        others.append(come(agent))
        assert passes_health_check(agent)
    assert_idle(agent)
    assert len(agent_ends(agent)) <= 10 + EXTRAS
    assert not any(peer.ask(src=spop.ip("192.0.2.1")).degraded for peer in usual)
    close_all([*usual, *others])


def test_connections_without_traffic_cost_no_processor_time(start_agent):
    agent = start_agent()
    peers = open_at_once(agent.address, 200)
    say_hello(peers[:100])
    assert all(peer.read().type == spop.AGENT_HELLO for peer in peers[:100])

    assert_idle(agent)

    close_all(peers)


def test_a_peer_that_reads_nothing_costs_no_processor_time_and_little_memory(start_agent):
    agent = start_agent()
    with agent.connect() as peer:
        before = agent.rss_bytes()
        peer.socket.settimeout(0.3)
        with pytest.raises(TimeoutError):
            while True:
                peer.send(spop.notify({"src": spop.ip("192.0.2.1")}) * 1000)

        assert_idle(agent)
        assert agent.rss_bytes() - before < MIB


def test_memory_of_unfinished_frames_comes_back(start_agent):
    agent = start_agent()
    before = agent.rss_bytes()
    peers = [agent.connect() for _ in range(500)]
    for peer in peers:
        peer.send(spop.notify({"path": b"x" * 60_000})[:-1])
    wait_until(lambda: agent.rss_bytes() > before + 500 * 50_000, "the frames to be read")

    for peer in peers:
        peer.close()

    wait_until(lambda: agent.rss_bytes() < before + 8 * 2**20, "the memory to come back")


def test_a_flood_of_broken_frames_writes_few_lines(start_agent):
    agent = start_agent()
    for _ in range(300):
        with spop.Peer(agent.address, hello=None) as peer:
            peer.send(spop.frame(spop.NOTIFY))
            assert peer.read_disconnect() == 4

    assert len(agent.events()) < 20


# --- a steady NOTIFY -> ACK --------------------------------------------------------------------


@pytest.fixture(name="allocations")
def count_allocations(tmp_path):
    """(environment that makes a program count its allocations, how to read the count)."""
    library, counter = tmp_path / "count_allocations.so", tmp_path / "allocations"
    compiler = os.environ.get("CC", "cc")
    subprocess.run([compiler, "-shared", "-fPIC", "-O2", "-o", library,
                    HERE / "count_allocations.c"], check=True)
    counter.write_bytes(bytes(8))
    with open(counter, "r+b") as file:
        count = mmap.mmap(file.fileno(), 8)
    environment = {"LD_PRELOAD": str(library), "ALLOCATION_COUNT": str(counter)}
    return environment, lambda: struct.unpack("=Q", count[:])[0]


def steady_frames():
    """The file's policies, an inline one, and one of several messages."""
    other = {"src": spop.ip("192.0.2.2"), "method": "GET", "path": "/" + "x" * 300,
             "host": "example.com"}
    return [spop.notify({"src": spop.ip("192.0.2.1")}), spop.notify(inline("k")),
            spop.notify(other), spop.notify(other, inline("a" * 200)),
            spop.notify({"src": spop.ip("2001:db8::1")}), spop.notify({"policy": "nosuch"})]


def test_a_steady_notify_allocates_nothing(start_agent, allocations):
    environment, count = allocations
    agent = start_agent(env=environment, policies=policies_text(p=bucket(20)))
    assert count() > 0  # it does count
    with agent.connect() as peer:
        ask_all(peer, steady_frames() * 50)
        before = count()

        ask_all(peer, steady_frames() * 500)

        assert count() - before == 0


def test_a_new_balance_allocates_nothing(start_agent, allocations):
    environment, count = allocations
    agent = start_agent(env=environment, policies=policies_text(p=bucket(20)))
    with agent.connect() as peer:
        ask_all(peer, frames_from_addresses("10.0.0.0", 100))
        before = count()

        ask_all(peer, frames_from_addresses("10.1.0.0", 1000))

        # The store takes its memory in pieces of many balances each.
        assert count() - before <= 5


SYSTEM_CALLS = "read,readv,recvfrom,recvmsg,write,writev,sendto,sendmsg,epoll_wait,epoll_pwait," \
    "poll,ppoll,select,pselect6,epoll_pwait2"


@pytest.fixture(name="traced")
def start_traced(start_agent, tmp_path):
    """(an agent, what ends it and returns the lines of its system calls)."""
    file = tmp_path / "trace"
    # -D: strace stays beside, and the child of this process is the agent. The policy file is not
    # watched: other programs that create files in /tmp would have the agent read inotify's events.
    agent = start_agent("--policies-watch", "off", policies=policies_text(p=bucket(20)), wrapper=[
        "strace", "-D", "-s", "200", "-e", f"trace={SYSTEM_CALLS}", "-o", file])

    def trace():
        agent.stop()
        wait_until(lambda: "+++ exited" in file.read_text(), "the end of the trace")
        return file.read_text().splitlines()

    return agent, trace


def calls(trace):
    """("wait" | "read" | "write", descriptor, line) for each call that is not about the log."""
    for line in trace:
        call = re.match(r"(\w+)\((\d*)", line)
        if call and re.match(r"epoll|p?poll|p?select", call[1]):
            yield "wait", None, line
        elif call and int(call[2]) > 2:
            yield "read" if call[1].startswith(("read", "recv")) else "write", int(call[2]), line


def turns(trace):
    """For each turn of the loop, how often it read and wrote which descriptor."""
    found = []
    for kind, descriptor, _ in calls(trace):
        if kind == "wait":
            found.append(Counter())
        elif found:
            found[-1][kind, descriptor] += 1
    return found


@pytest.mark.alone
def test_a_turn_of_the_loop_reads_and_writes_each_connection_once(traced):
    agent, trace = traced
    frames = steady_frames()
    with agent.connect() as one, agent.connect() as two:
        for _ in range(20):
            for peer in (one, two):
                peer.send(b"".join(frames))
            for peer in (one, two):
                peer.skip(len(frames))

    served = [turn for turn in turns(trace()) if any(kind == "write" for kind, _ in turn)]

    # All of a burst is read in one turn and answered by one write, mostly for both at a time.
    assert 20 <= len(served) <= 2 * 20 + 10
    assert [turn for turn in served if set(turn.values()) != {1}] == []


def test_agent_hello_is_one_write(traced):
    agent, trace = traced
    agent.connect().close()

    writes = [line for kind, _, line in calls(trace()) if kind == "write"]

    assert "max-frame-size" in writes[0] and "pipelining" in writes[0]
    assert writes[0].endswith("= 68")
