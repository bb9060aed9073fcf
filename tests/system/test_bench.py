"""bench/spop-load, whose figures are worth nothing when it does not see what went wrong."""

import json
import subprocess

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


def test_it_fails_when_the_agent_is_gone(start_agent, tmp_path):
    agent = start_agent(policies=policies_text(p=bucket(7)))
    running = Process([LOAD, "--address", agent.address, "--seconds", 60], tmp_path / "load.log")
    wait_until(lambda: agent.cpu_seconds() > 0.05, "some checks")

    agent.kill()

    assert running.wait() == 1
    assert len(running.lines()) == 1
