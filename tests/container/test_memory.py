"""64 MiB for the container, half of them for balances, and millions of different keys."""

import json
import re
import subprocess

import pytest

import spop
from agent import bucket, policies_text
from processes import ROOT, wait_until
from web_metrics import metric

MIB = 2**20
CONTAINER, BALANCES = "64m", "32m"
THROUGH_HAPROXY, DIRECTLY = 2_000_000, 3_000_000

# Each request has ten keys: HAProxy asks with ten messages in one frame.
KEYS_A_REQUEST = 10
POLICIES = policies_text(per_src=bucket(20), per_path=bucket(20, key=["path"]))
GROUP = "    messages ratelimit-request"
MESSAGE = "    args src=src method=method path=var(txn.path) host=var(txn.host)"
MANY_KEYS = [
    (GROUP, GROUP + "".join(f" more{n}" for n in range(1, KEYS_A_REQUEST))),
    (MESSAGE, "    args policy=str(per-path) key=path" + "".join(
        f"\nspoe-message more{n}\n    args policy=str(per-path) key=path,concat(/{n})"
        for n in range(1, KEYS_A_REQUEST))),
]
# HAProxy answers by itself, since an origin would be the bottleneck.
ANSWER = [("# rate limit: end", "http-request return status 200\n    # rate limit: end")]

# No path comes twice in any run.
WRK = """
local threads = 0
function setup(thread) thread:set("id", threads) threads = threads + 1 end
function init(args) run, count = args[1], 0 end
function request()
    count = count + 1
    return wrk.format("GET", "/" .. run .. "/" .. id .. "/" .. count)
end
function done(summary)
    io.write(string.format('{"requests": %d, "not_200": %d, "broken": %d}\\n', summary.requests,
        summary.errors.status, summary.errors.connect + summary.errors.read +
        summary.errors.write + summary.errors.timeout))
end
"""


@pytest.fixture(name="spop_load", scope="module")
def build_spop_load():
    for command in (["cmake", "--preset", "bench"], ["cmake", "--build", "--preset", "bench"]):
        subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    return ROOT / "build/bench/spop-load"


@pytest.fixture
def suite(server_trees):  # pylint: disable=unused-argument
    """One HAProxy is enough, since these tests are about the agent."""
    return "trixie"


@pytest.fixture(name="small")
def start_small_container(start_container):
    return start_container(policies=POLICIES, options=["--memory", CONTAINER],
                           environment={"RATELIMIT_MEMORY_LIMIT": BALANCES})


def run_wrk(port, script, run):
    done = subprocess.run(["wrk", "-t2", "-c32", "-d5s", "-s", script, f"http://127.0.0.1:{port}/",
                           "--", str(run)], text=True, capture_output=True, timeout=60, check=True)
    return json.loads(re.search(r"^{.*}$", done.stdout, re.MULTILINE)[0])


def checks(container):
    return metric(container.http_address, "ratelimit_checks_total")


def ask_through_haproxy(small, port, script):
    """Asks until the agent has counted so many checks, each of a different key."""
    requests = run = 0
    while checks(small) < THROUGH_HAPROXY:
        assert run < 40, "HAProxy takes too few requests"
        got = run_wrk(port, script, run)
        assert (got["not_200"], got["broken"]) == (0, 0)
        requests, run = requests + got["requests"], run + 1
    return requests


def test_64_mib_are_enough_for_millions_of_keys(small, start_haproxy, tmp_path, spop_load):
    assert small.memory_limit() == 64 * MIB
    haproxy = start_haproxy(small.address, spoe=MANY_KEYS, conf=ANSWER)
    script = tmp_path / "paths.lua"
    script.write_text(WRK)

    requests = ask_through_haproxy(small, haproxy.port, script)
    # On a busy machine HAProxy may not wait for an answer; such a request may be counted or not.
    assert checks(small) <= KEYS_A_REQUEST * (requests + 1000)

    # spop-load asks by 16 million addresses, and fails when an answer is missing or denies.
    before = checks(small)
    done = subprocess.run([spop_load, "--address", small.address, "--warmup", "0", "--checks",
                           str(DIRECTLY), "--keys", str(2**24)], text=True, capture_output=True,
                          timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    wait_until(lambda: checks(small) >= before + DIRECTLY, "all of the checks")

    assert small.wait_for_event("memory_store_full")["evicted"] > 0
    assert small.status_field("VmHWM") * 1024 < 48 * MIB
    assert small.oom_kills() == 0
    assert not small.state()["OOMKilled"]
    with small.connect() as peer:
        assert [peer.ask(src=spop.ip("198.51.100.1"), cost=20).allowed for _ in range(2)] == [
            True, False]
    assert small.stop() == 0
