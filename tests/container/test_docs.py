"""Types the commands of docs/container.md, with Podman in the place of Docker."""

import os
import re
import subprocess

import pytest
import yaml

import agent as agents
from container import POLICIES
from engine import IMAGE
from network import Network
from processes import ROOT, wait_until

DOCS = (ROOT / "docs/container.md").read_text()
BLOCKS = re.findall(r"^```sh\n(.*?)^```", DOCS, re.MULTILINE | re.DOTALL)
BUILD, RUN, CHECK, STOP, COMPOSE, COMPOSE_TLS, SIZE, SBOM = BLOCKS

# It differs from Docker in two ways: it uses no timers of systemd, and a network of its own in
# place of published ports, for which Podman would need packages that nothing else here needs.
DOCKER = """#!/bin/bash
command=$1
shift
words=()
while [ $# -gt 0 ]; do
    case $1 in
    -p) shift ;;
    *) words+=("$1") ;;
    esac
    shift
done
[ "$command" != run ] || words=(--no-healthcheck --network "$TEST_NETWORK" "${words[@]}")
exec podman "$command" "${words[@]}"
"""


@pytest.fixture(name="type_block")
def make_type_block(image, tmp_path, started):
    """Runs a block of the page in a shell that has a `docker`."""
    network = Network()
    started.append(network)
    docker = tmp_path / "bin/docker"
    docker.parent.mkdir()
    docker.write_text(DOCKER)
    docker.chmod(0o755)
    environment = {**image.environment, "TEST_NETWORK": f"ns:{network.path}",
                   "PATH": f"{docker.parent}:{os.environ['PATH']}"}
    image.run("tag", IMAGE, "ratelimit-spoa")

    def type_block(block):
        done = subprocess.run(["bash", "-euo", "pipefail", "-c", block], cwd=ROOT, text=True,
                              env=environment, capture_output=True, timeout=120, check=False)
        assert done.returncode == 0, f"{block}\n{done.stdout}{done.stderr}"
        return done.stdout + done.stderr
    type_block.network = network
    yield type_block
    image.run("rm", "-f", "-t", "0", "ratelimit", "ratelimit-size", check=False)


def test_those_that_no_engine_runs_here_are_what_the_other_tests_do():
    # The first is what scripts/image does for the fixture `image`; test_compose.py has the second.
    assert BUILD == "docker build -t ratelimit-spoa .\n"
    arguments = set(re.findall(r"--build-arg \"(\w+)=", (ROOT / "scripts/image").read_text()))
    assert arguments == set(re.findall(r"^ARG (\w+)", (ROOT / "Dockerfile").read_text(), re.M))
    assert COMPOSE == "docker compose -f haproxy-conf/compose.yaml up --build\n"
    assert COMPOSE_TLS.endswith("docker compose -f haproxy-conf/compose.yaml -f "
                                "haproxy-conf/compose-tls.yaml up --build\n")


def test_the_certificates_for_redis_are_those_that_compose_and_agents_want(tmp_path):
    commands, _, _ = COMPOSE_TLS.rpartition("docker compose ")
    (tmp_path / "haproxy-conf").mkdir()
    subprocess.run(["bash", "-euo", "pipefail", "-c", commands], cwd=tmp_path, check=True, capture_output=True)

    secrets = yaml.safe_load((ROOT / "haproxy-conf/compose-tls.yaml").read_text())["secrets"]
    ca, cert, key = (tmp_path / "haproxy-conf" / secrets[f"redis-{name}"]["file"]
                     for name in ("ca", "cert", "key"))
    assert key.stat().st_mode & 0o444 == 0o444
    subprocess.run(["openssl", "verify", "-CAfile", ca, "-verify_hostname", "redis", cert], check=True)
    with pytest.raises(subprocess.CalledProcessError):
        subprocess.run(["openssl", "verify", "-CAfile", ca, "-verify_hostname", "other", cert], check=True)


def test_the_agent_is_run_checked_reloaded_and_stopped(type_block):
    shown = type_block(RUN)
    assert '"event":"started"' in shown and '"policies":1' in shown
    assert agents.run("probe", f"{type_block.network.v4}:12345").returncode == 0

    assert "the configuration is good: 1 policy" in type_block(CHECK)
    wait_until(lambda: '"event":"reloaded"' in type_block("docker logs ratelimit"), "the reload")

    stop, remove = STOP.strip().splitlines()
    type_block(stop)
    assert '"event":"stopped"' in type_block("docker logs ratelimit")
    assert "0\n" == type_block("podman inspect --format '{{.State.ExitCode}}' ratelimit")
    type_block(remove)


def test_the_sizes_are_as_the_page_says(type_block):
    shown = dict(line.split(" ", 1)[::-1] for line in type_block(SIZE).splitlines()
                 if re.match(r"\d+ ", line))
    size = int(type_block("docker image inspect --format '{{.Size}}' ratelimit-spoa"))

    said = re.search(r"^About ([\d.]+) MB for amd64: ([\d.]+) MB the C library; ([\d.]+) MB other "
                     r"libraries; ([\d.]+) MB the agent; ([\d.]+) MB licences.*?; ([\d.]+) MB time",
                     DOCS, re.MULTILINE | re.DOTALL).groups()
    measured = [size, *(int(shown[part]) for part in (
        "the C library", "other libraries", "the agent", "licences and the rest", "time zones"))]
    for in_docs, in_image in zip(said, measured):
        assert float(in_docs) == pytest.approx(in_image / 10**6, rel=0.2, abs=0.1)


def test_the_bill_of_materials_is_printed(type_block, tmp_path):
    type_block(SBOM.replace("build/", f"{tmp_path}/").replace(" build\n", f" {tmp_path}\n"))
    assert '"SPDX-2.3"' in (tmp_path / "image.spdx.json").read_text()


def test_docker_run_has_the_bounds_of_compose():
    """k8s/README.md adds them up."""
    compose = yaml.safe_load((ROOT / "haproxy-conf/compose.yaml").read_text())["x-agent"]
    bounds = dict(re.findall(r"-e (RATELIMIT_\w+)=(\S+)", RUN))

    assert len(bounds) == 5
    assert bounds.items() <= compose["environment"].items()
    assert f"--memory {compose['mem_limit']} " in RUN


def test_the_table_says_what_the_image_sets(image):
    table = re.findall(r"^\| `(RATELIMIT_\w+)` \| `([^`]+)`", DOCS, re.MULTILINE)
    set_by_image = [tuple(variable.split("=", 1)) for variable in image.image()["Config"]["Env"]]

    assert sorted(table) == sorted(pair for pair in set_by_image if pair[0] != "PATH")
    assert ("RATELIMIT_POLICIES", POLICIES) in table
