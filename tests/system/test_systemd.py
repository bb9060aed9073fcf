"""The agent tells systemd its state, and writes for systemd's journal."""

import os
import re
import signal
import socket
import subprocess
import time
from pathlib import Path

import pytest

import agent as agents
import spop
from agent import BINARY, bucket, policies_text
from processes import PATIENCE, clean_environment, wait_until
from systemd import Manager

POLICIES = policies_text(p=bucket(10))


@pytest.fixture
def manager(tmp_path, started):
    made = Manager(tmp_path / "notify")
    started.append(made)
    return made


# ---- what systemd is told ----


@pytest.mark.parametrize("kind", ["a path", "an abstract name"])
def test_ready_comes_when_the_agent_listens(start_agent, started, tmp_path, kind):
    name = tmp_path / "n" if kind == "a path" else f"@ratelimit-spoa-{os.getpid()}-{time.time_ns()}"
    manager = Manager(name)
    started.append(manager)

    agent = start_agent(env=manager.environment(), policies=POLICIES)

    told = manager.wait_for("STATUS")
    assert told["STATUS"] == "serving; policies: 1; store: memory: up"
    assert manager.read() == {"READY": "1"}
    assert agent.is_running()


def test_a_start_that_fails_is_never_ready(manager, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = agents.run("--spop-listen", f"127.0.0.1:{port}", "--http-listen", "off",
                          env=manager.environment())

    assert done.returncode == 1
    assert manager.is_silent_for(0)
    bad = tmp_path / "bad.json"
    bad.write_text("{")
    done = agents.run("--policies", bad, "--spop-listen", "127.0.0.1:0", "--http-listen", "off",
                      env=manager.environment())
    assert done.returncode == 2
    assert manager.is_silent_for(0)


def test_a_reload_begins_and_ends(start_agent, manager):
    agent = start_agent(env=manager.environment(), policies=POLICIES)
    manager.wait_for("READY")
    before = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000

    agent.policy_file.write_text(policies_text(p=bucket(10), q=bucket(20)))
    agent.signal(signal.SIGHUP)

    assert int(manager.wait_for("RELOADING")["MONOTONIC_USEC"]) >= before
    manager.wait_for("READY")
    assert agent.events("reloaded")
    manager.wait_for("STATUS", lambda text: "policies: 2" in text)


def test_a_reload_that_fails_ends_too_and_the_status_says_why(start_agent, manager):
    agent = start_agent(env=manager.environment(), policies=POLICIES)
    manager.wait_for("READY")

    agent.policy_file.write_text("{")
    agent.signal(signal.SIGHUP)

    manager.wait_for("RELOADING")
    manager.wait_for("READY")
    manager.wait_for("STATUS", lambda text: "the last reload failed: " in text)


def test_a_reload_without_a_policy_file_ends_at_once(start_agent, manager):
    agent = start_agent(env=manager.environment())
    manager.wait_for("READY")

    agent.signal(signal.SIGHUP)

    manager.wait_for("RELOADING")
    assert manager.read() == {"READY": "1"}


def test_stopping_says_how_long_it_may_take(start_agent, manager):
    agent = start_agent("--drain-delay", "0s", "--drain-timeout", "90s",
                        env=manager.environment())
    manager.wait_for("READY")

    agent.signal(signal.SIGTERM)

    assert manager.wait_for("STOPPING")["EXTEND_TIMEOUT_USEC"] == "95000000"
    assert agent.wait() == 0


def test_the_status_tells_why_the_store_is_down(start_agent, redis, manager):
    agent = start_agent(env=manager.environment(), store=redis.url)
    agent.wait_for_store()
    manager.wait_for("STATUS", lambda text: text.endswith(" up"))

    redis.kill()

    manager.wait_for("STATUS", lambda text: " down: " in text)


# ---- the watchdog ----


def test_an_agent_that_hangs_gives_no_sign_to_the_watchdog(start_agent, manager):
    agent = start_agent(env=manager.environment(watchdog_us=100000))
    manager.wait_for("WATCHDOG")
    manager.wait_for("WATCHDOG")

    agent.signal(signal.SIGSTOP)
    # The state is read, since a signal takes its time.
    while Path(f"/proc/{agent.pid}/stat").read_text().rpartition(")")[2].split()[0] != "T":
        pass
    manager.drop_all()
    assert manager.is_silent_for(0.3)

    agent.signal(signal.SIGCONT)
    manager.wait_for("WATCHDOG")


# ---- the journal ----


def identity_of(fd):
    status = os.fstat(fd)
    return f"{status.st_dev}:{status.st_ino}"


def log_of(tmp_path, journal_stream, *options):
    """What a start that fails writes to its standard error, by the journal's name of that."""
    path = tmp_path / "log"
    with open(path, "wb") as log, socket.create_server(("127.0.0.1", 0)) as taken:
        name = identity_of(log.fileno()) if journal_stream is None else journal_stream
        subprocess.run(
            [BINARY, "--spop-listen", f"127.0.0.1:{taken.getsockname()[1]}", "--http-listen",
             "127.0.0.1:0", *options],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=log, check=False,
            env=clean_environment({"JOURNAL_STREAM": name}), timeout=PATIENCE)
    return path.read_text().splitlines()


@pytest.mark.parametrize("log_format", ["json", "text"])
def test_in_the_journal_each_line_has_its_priority(tmp_path, log_format):
    lines = log_of(tmp_path, None, "--log-format", log_format)

    assert lines
    assert re.match(r'<3>(\{"time":"20|20).*start_failed', lines[-1])
    assert all(re.match(r"<[346]>[{2]", line) for line in lines)


@pytest.mark.parametrize("stream", ["1:1", "", "x", "99999999999999999999:1", "8:"])
def test_elsewhere_no_line_has_one(tmp_path, stream):
    lines = log_of(tmp_path, stream)

    assert lines
    assert all(line.startswith("{") for line in lines)


def test_info_is_6_and_a_warning_is_4(tmp_path):
    path = tmp_path / "log"
    with open(path, "wb") as log:
        agent = subprocess.Popen(
            [BINARY, "--spop-listen", "127.0.0.1:0", "--http-listen", "off"],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=log,
            env=clean_environment({"JOURNAL_STREAM": identity_of(log.fileno())}))
    try:
        wait_until(lambda: '"started"' in path.read_text() or agent.poll() is not None, "a start")
        assert agent.poll() is None
        agent.send_signal(signal.SIGHUP)
        wait_until(lambda: '"reload_ignored"' in path.read_text(), "the line of the signal")
    finally:
        agent.terminate()
        assert agent.wait(PATIENCE) == 0
    levels = {re.match(r'<(\d)>.*"level":"(\w+)"', line).groups()
              for line in path.read_text().splitlines()}
    assert levels == {("6", "info"), ("4", "warn")}


@pytest.mark.parametrize("command", ["serve", "check-config"])
@pytest.mark.parametrize("fault", ["an option", "the file"])
def test_what_is_wrong_with_the_configuration_is_an_error_there(tmp_path, command, fault):
    path, bad = tmp_path / "log", tmp_path / "bad.json"
    bad.write_text("{")
    options = ["--store", "nowhere"] if fault == "an option" else ["--policies", bad]
    with open(path, "wb") as log:
        done = subprocess.run(
            [BINARY, command, *options], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=log, env=clean_environment({"JOURNAL_STREAM": identity_of(log.fileno())}),
            timeout=PATIENCE, check=False)
    assert done.returncode == 2
    assert re.fullmatch(r"<3>ratelimit-spoa: [^\n]*\n", path.read_text())
