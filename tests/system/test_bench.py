"""bench/spop-load, whose figures are worth nothing when it does not see what went wrong."""

import json
import subprocess

import pytest

import spop
from agent import bucket, policies_text
from processes import ROOT, PATIENCE, Process, wait_until

LOAD = ROOT / "build/bench/spop-load"


def load(agent, *options):
    return subprocess.run([LOAD, "--address", agent.address, "--json", *map(str, options)],
                          capture_output=True, text=True, timeout=PATIENCE, check=False)


def test_it_counts_the_checks_and_what_they_were_answered(start_agent):
    agent = start_agent(policies=policies_text(p=bucket(7)))

    done = load(agent, "--warmup", 0, "--checks", 1000, "--keys", 1, "--pid", agent.pid)

    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert said["checks"] == 1000
    assert (said["allowed"], said["denied"]) == (7, 993)


@pytest.mark.parametrize("checks", [1, 999, 1010])
def test_it_asks_as_many_checks_as_it_is_to_and_no_more(start_agent, checks):
    """Also when the last answers come together: 1000 checks are in flight at once."""
    agent = start_agent(policies=policies_text(p=bucket(10**6)))

    done = load(agent, "--connections", 50, "--warmup", 0, "--checks", checks, "--keys", 1)

    assert done.returncode == 0, done.stderr
    with agent.connect() as peer:
        left = peer.ask(src=spop.ip("10.0.0.0"), cost=0).remaining
    assert json.loads(done.stdout)["checks"] == checks == 10**6 - left


@pytest.mark.parametrize("checks", [7, 1010])
def test_of_what_it_asks_in_the_warm_up_nothing_counts(start_agent, checks):
    agent = start_agent(policies=policies_text(p=bucket(10**6)))

    done = load(agent, "--connections", 50, "--warmup", 1, "--checks", checks, "--keys", 1)

    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert said["checks"] == said["allowed"] == checks


def test_it_fails_when_the_agent_is_gone(start_agent, tmp_path):
    agent = start_agent(policies=policies_text(p=bucket(7)))
    running = Process([LOAD, "--address", agent.address, "--seconds", 60], tmp_path / "load.log")
    wait_until(lambda: agent.cpu_seconds() > 0.05, "some checks")

    agent.kill()

    assert running.wait() == 1
    assert len(running.lines()) == 1
