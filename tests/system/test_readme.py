"""Types the commands of the README."""

import json
import os
import re
import subprocess

import pytest

import agent
from processes import ROOT, Process, clean_environment, wait_until

# It builds the release preset.
pytestmark = [pytest.mark.alone, pytest.mark.timeout(900)]

README = (ROOT / "README.md").read_text()
BLOCKS = re.findall(r"^ *```(\w*)\n(.*?)^ *```", README, re.MULTILINE | re.DOTALL)
COMMANDS = [line.strip() for kind, block in BLOCKS if kind == "sh" for line in block.splitlines()]
POLICIES = [block for kind, block in BLOCKS if kind == "json"]

# test_demo.py runs the first, and the second runs this.
ELSEWHERE = ["scripts/demo", "scripts/test"]


@pytest.fixture(name="environment", scope="module")
def installed(tmp_path_factory):
    """What `cmake --install` puts where a package would, found by its name alone."""
    prefix = tmp_path_factory.mktemp("installed")
    path = f"{prefix}/usr/local/bin:{os.environ['PATH']}"
    return clean_environment({"DESTDIR": str(prefix), "PATH": path,
                              "RATELIMIT_SPOP_LISTEN": "127.0.0.1:0",
                              "RATELIMIT_HTTP_LISTEN": "127.0.0.1:0"})


def run_to_the_start(command, environment, log):
    """The agent runs in the foreground: that it says `started` is what can be waited for."""
    process = Process(["bash", "-c", f"exec {command}"], log, env=environment, cwd=ROOT)
    try:
        wait_until(lambda: '"event":"started"' in log.read_text(), "the agent to start")
    finally:
        process.kill()


def test_the_commands_of_the_readme_work_in_their_order(environment, tmp_path):
    assert set(ELSEWHERE) < set(COMMANDS)
    for command in COMMANDS:
        if command in ELSEWHERE:
            continue
        if command.startswith("ratelimit-spoa --"):
            run_to_the_start(command, environment, tmp_path / "agent.log")
            continue
        done = subprocess.run(command, shell=True, cwd=ROOT, env=environment, timeout=300,
                              capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"


@pytest.mark.parametrize("text", POLICIES)
def test_the_policies_of_the_readme_are_good(text, tmp_path):
    path = tmp_path / "policies.json"
    path.write_text(text)

    done = agent.run("check-config", "--policies", path)

    assert done.returncode == 0, done.stderr
    assert f"{len(json.loads(text)['policies'])} policies" in done.stdout
