"""Whatever standard error is, and whoever reads it or does not: the agent answers and ends."""

import fcntl
import json
import os
import pty
import signal
import socket
import subprocess

import pytest

import spop
from agent import BINARY, bucket, policies_text
from processes import PATIENCE, clean_environment, wait_until

QUESTION = {"algorithm": "token_bucket", "capacity": 1000000, "refill_rate": 1, "key": "k"}


def is_answered(path):
    with socket.socket(socket.AF_UNIX) as probe:
        return probe.connect_ex(str(path)) == 0


@pytest.fixture
def start(tmp_path):
    """Starts an agent with the given standard error, whose address is known without its log."""
    started = []

    def start_with(stderr, *options, **process):
        socket_path = tmp_path / "spop.sock"
        agent = subprocess.Popen(
            [BINARY, "--spop-listen", f"unix:{socket_path}", "--http-listen", "off",
             *options],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=stderr,
            env=clean_environment(), **process)
        started.append(agent)
        wait_until(lambda: is_answered(socket_path) or agent.poll() is not None, "the socket")
        assert agent.poll() is None
        return agent, f"unix:{socket_path}"
    yield start_with
    for agent in started:
        agent.kill()
        agent.wait()


def make_many_lines(agent, peer, count=1500):
    """Without --policies each SIGHUP is a line (reload_ignored); an answer after each of them says
    that the loop goes on."""
    for _ in range(count):
        agent.send_signal(signal.SIGHUP)
        assert peer.ask(**QUESTION).allowed


def end_in_order(agent):
    agent.send_signal(signal.SIGTERM)
    assert agent.wait(PATIENCE) == 0


def read_all(fd):
    """What lies in there, and what comes while the agent goes on."""
    os.set_blocking(fd, False)
    try:
        return os.read(fd, 1 << 20)
    except BlockingIOError:
        return b""


def test_a_pipe_that_nobody_reads_stops_nothing_and_the_lines_are_counted(start):
    reader, writer = os.pipe()
    fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, 4096)
    agent, address = start(writer)
    os.close(writer)
    with spop.Peer(address) as peer:
        make_many_lines(agent, peer)

        text = b""

        def dropped():
            nonlocal text
            text += read_all(reader)
            make_many_lines(agent, peer, 1)
            return b'"dropped":' in text
        wait_until(dropped, "a line that says how many were dropped")

    events = [json.loads(line) for line in text[:text.rindex(b"\n")].splitlines()]
    assert [event["dropped"] for event in events if "dropped" in event][0] > 0
    assert os.get_blocking(reader) is False and events[0]["event"] == "listening"
    os.set_blocking(reader, True)
    end_in_order(agent)
    os.close(reader)


def test_a_pipe_that_nobody_reads_does_not_keep_the_agent_from_ending(start):
    reader, writer = os.pipe()
    fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, 4096)
    agent, address = start(writer)
    with spop.Peer(address) as peer:
        make_many_lines(agent, peer)

    end_in_order(agent)
    assert os.get_blocking(writer)  # the description is shared with others: it is as it was
    os.close(reader)
    os.close(writer)


def test_a_pipe_whose_reader_went_away_stops_nothing(start):
    reader, writer = os.pipe()
    agent, address = start(writer)
    os.close(writer)
    os.close(reader)
    with spop.Peer(address) as peer:
        make_many_lines(agent, peer, 10)
    end_in_order(agent)


def test_a_socket_that_nobody_reads_stops_nothing(start):
    reader, writer = socket.socketpair()
    agent, address = start(writer)
    with spop.Peer(address) as peer:
        make_many_lines(agent, peer)
    end_in_order(agent)
    reader.close()
    writer.close()


def test_a_terminal_that_nobody_reads_stops_nothing(start):
    reader, writer = pty.openpty()
    agent, address = start(writer)
    with spop.Peer(address) as peer:
        make_many_lines(agent, peer)
    end_in_order(agent)
    os.close(reader)
    os.close(writer)


def test_a_full_disk_stops_nothing(start):
    with open("/dev/full", "wb") as full:
        agent, address = start(full)
        with spop.Peer(address) as peer:
            make_many_lines(agent, peer, 10)
        end_in_order(agent)


def test_closed_standard_descriptors_get_no_connection(start):
    agent, address = start(None, preexec_fn=lambda: os.closerange(0, 3))
    with spop.Peer(address) as peer:
        make_many_lines(agent, peer, 10)
        assert {os.readlink(f"/proc/{agent.pid}/fd/{fd}") for fd in range(3)} == {"/dev/null"}
    end_in_order(agent)


def test_two_signals_end_an_agent_whose_log_is_stuck(start):
    reader, writer = os.pipe()
    fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, 4096)
    agent, address = start(writer, "--drain-delay", "1h")
    with spop.Peer(address) as peer:
        make_many_lines(agent, peer)
        agent.send_signal(signal.SIGTERM)
        wait_until(lambda: peer.ask(**QUESTION).allowed, "an answer while it drains")
        agent.send_signal(signal.SIGTERM)
        assert agent.wait(PATIENCE) == 1
    os.close(reader)
    os.close(writer)


def blocks_sighup(pid):
    status = open(f"/proc/{pid}/status", encoding="utf-8").read()
    mask = int(status[status.index("SigBlk:"):].split()[1], 16)
    return mask & 1 << signal.SIGHUP - 1


def test_a_sighup_before_the_agent_can_take_it_makes_one_reload_after_the_start(tmp_path):
    policies = tmp_path / "policies.json"
    policies.write_text(policies_text(**{f"p{n}": bucket(10) for n in range(10000)}))
    log = tmp_path / "log"
    with open(log, "wb") as stderr, subprocess.Popen(
            [BINARY, "--spop-listen", "127.0.0.1:0", "--http-listen", "off", "--policies",
             policies], stderr=stderr, env=clean_environment()) as agent:
        wait_until(lambda: blocks_sighup(agent.pid) or agent.poll() is not None, "the start")

        agent.send_signal(signal.SIGHUP)
        agent.send_signal(signal.SIGHUP)

        wait_until(lambda: "reloaded" in log.read_text() or agent.poll() is not None, "a reload")
        end_in_order(agent)
    events = [json.loads(line)["event"] for line in log.read_text().splitlines()]
    assert events.count("reloaded") == 1
    assert events.index("started") < events.index("reloaded")
