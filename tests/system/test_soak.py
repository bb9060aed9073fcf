"""Millions of requests through HAProxy while everything around the agent changes: nothing grows in it, and each
request gets a verdict. SOAK_REQUESTS says how many; scripts/test --long runs it."""

import itertools
import json
import os
import re
import subprocess

import pytest

import agent as agents
from agent import bucket, policies_text
from examples import PATIENT

REQUESTS = int(os.environ.get("SOAK_REQUESTS", 10**6))
ANSWER = [("# rate limit: end", "http-request return status 200\n    # rate limit: end")]
# Half of the requests are of 1,000 clients that come again and again, the others come once.
WRK = """
local count = 0
function request()
    count = count + 1
    local who = count % 2 == 0 and math.random(1000) or (count + math.random(2^30))
    return wrk.format("GET", "/" .. who)
end
function done(summary)
    io.write(string.format('{"requests": %d, "broken": %d}\\n', summary.requests,
        summary.errors.connect + summary.errors.read + summary.errors.write + summary.errors.timeout))
end
"""


@pytest.fixture
def suite(server_trees):  # pylint: disable=unused-argument
    """One HAProxy is enough, since this test is about the agent."""
    return "trixie"


def policies(number):
    return policies_text(per_path=bucket(20 + number, "5/1s", key=["path"]),
                         per_src=bucket(10**6, "1000000/1s"))


def while_asking(port, script, change):
    """What wrk counts in 5 s, in which something changes."""
    with subprocess.Popen(["wrk", "-t1", "-c16", "-d5s", "-s", script, f"http://127.0.0.1:{port}/"],
                          text=True, stdout=subprocess.PIPE) as wrk:
        change()
        said = wrk.communicate(timeout=60)[0]
    return json.loads(re.search(r"^{.*}$", said, re.MULTILINE)[0])


class Changes:
    """What happens around the agent, one thing a round, in turn."""

    def __init__(self, agent, redis, socket):
        self.agent, self.redis, self.socket = agent, redis, socket
        self.numbers = itertools.count(1)

    def operator(self, *words):
        done = agents.run(*words, "--agent", f"unix:{self.socket}")
        assert done.returncode in (0, 1), done.stderr  # 1: Redis was away

    def reload(self):
        loaded = len(self.agent.events("reloaded"))
        self.agent.policy_file.write_text(policies(next(self.numbers)))
        self.agent.wait_for_event("reloaded", loaded + 1)

    def break_the_file(self):
        failed = len(self.agent.events("reload_failed"))
        self.agent.policy_file.write_text("{")
        self.agent.wait_for_event("reload_failed", failed + 1)

    def restart_redis(self):
        up = len(self.agent.events("store_up"))
        self.redis.kill()
        self.redis.start()
        self.agent.wait_for_event("store_up", up + 1)

    def operate(self):
        number = next(self.numbers)
        self.operator("block", f"src=192.0.2.{number % 250}", "--for", "2s")
        self.operator("raise", "per-path", f"path=/{number}", "capacity=50", "--for", "2s")
        self.operator("reset", "per-path", f"path=/{number}")
        self.operator("explain", "src=192.0.2.1", "path=/1")
        self.operator("top")

    def in_round(self, number):
        steps = [self.reload, self.operate, self.restart_redis, self.break_the_file]
        return steps[number % len(steps)]


def seen(agent):
    return agent.rss_bytes(), agent.descriptors()


@pytest.mark.long
@pytest.mark.timeout(4 * 3600)
def test_nothing_grows_and_each_request_has_a_verdict(start_agent, start_redis, start_haproxy, tmp_path):
    redis, socket = start_redis(), tmp_path / "admin"
    agent = start_agent("--admin-listen", f"unix:{socket}", "--memory-limit", "16m",
                        "--store-timeout", "200ms", policies=policies(0), store=redis.url).wait_for_store()
    haproxy = start_haproxy(agent.address, spoe=PATIENT, conf=ANSWER)
    script = tmp_path / "soak.lua"
    script.write_text(WRK)
    changes, requests, broken, first = Changes(agent, redis, socket), 0, 0, None

    for number in itertools.count():
        result = while_asking(haproxy.port, script, changes.in_round(number))
        requests, broken = requests + result["requests"], broken + result["broken"]
        if number == 7:  # each change has been made twice, so what they need is there
            first = seen(agent)
        if requests >= REQUESTS and number > 8:
            break

    last = seen(agent)
    print(f"{requests} requests, {number + 1} rounds; RSS and descriptors {first} and then {last}")
    assert broken == 0
    assert haproxy.failed_asks() == 0
    assert last[0] < 1.2 * first[0] + 8 * 2**20
    assert last[1] < first[1] + 20  # connections of HAProxy come and go
