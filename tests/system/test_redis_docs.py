"""Types the commands of docs/redis.md."""

import os
import re
import subprocess
import time

import pytest

import agent as agents
import spop
from agent import bucket, policies_text
from processes import ROOT, clean_environment
from redis import Client, Refused
from trees import program

DOCS = (ROOT / "docs/redis.md").read_text()
# Nothing is to be decided without Redis, on a busy machine neither.
PATIENT = ("--store-timeout", "5s")

BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```", DOCS, re.MULTILINE | re.DOTALL)
COMMANDS = [block for kind, block in BLOCKS if kind == "sh"]
ACL = next(block for _, block in BLOCKS if block.startswith("ACL SETUSER")).split()


@pytest.fixture(name="shared")
def start_agent_on_redis(start_agent, redis):
    """An agent whose policy has counted one client."""
    agent = start_agent(*PATIENT, store=redis.url, policies=policies_text(per_ip=bucket(5)))
    agent.wait_for_event("store_up")
    with agent.connect() as peer:
        assert peer.ask(src=spop.ip("203.0.113.9")).remaining == 4
        yield peer


@pytest.fixture(name="type_command")
def make_type_command(tmp_path, redis):
    """Runs a block of the page, where `redis-cli` finds the test's own Redis."""
    client = tmp_path / "bin/redis-cli"
    client.parent.mkdir()
    words = " ".join(map(str, program("bookworm", "usr/bin/redis-cli")))
    client.write_text(f'#!/bin/sh\nexec {words} -p {redis.port} "$@"\n')
    client.chmod(0o755)
    environment = clean_environment({"PATH": f"{client.parent}:{os.environ['PATH']}"})

    def type_command(block):
        done = subprocess.run(["bash", "-euo", "pipefail", "-c", block], cwd=ROOT, text=True,
                              env=environment, capture_output=True, timeout=60, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout
    return type_command


def block_with(text):
    found = [block for block in COMMANDS if text in block]
    assert len(found) == 1, f"{text!r} stands in {len(found)} blocks"
    return found[0]


def test_every_command_of_the_page_is_known():
    # The first one is that of the README but for the name of a host; the others are typed here.
    ours = ["--store redis://", "--store rediss://", "--store redis+sentinel://",
            "--scan --pattern 'rl:*'", "unlink", "redis-cli eval ", "SCRIPT LOAD"]

    assert sorted(map(block_with, ours)) == sorted(COMMANDS)


def test_the_options_of_tls_are_known():
    """The file of the example does not exist. Without TLS the agent says that it has none."""
    words = block_with("--store rediss://").replace("\\\n", " ").split()
    assert words[:3] == ["ratelimit-spoa", "--policies", "policies.json"]

    done = agents.run("check-config", *words[3:])

    assert done.returncode == 2
    assert "--redis-ca-file" in done.stderr or "not in this build" in done.stderr


def test_the_url_with_sentinels_is_taken():
    words = block_with("--store redis+sentinel://").replace("\\\n", " ").split()

    assert agents.run("check-config", *words[3:]).returncode == 0


def test_a_user_may_have_both_passwords_for_a_while(redis):
    first, second = next(block for _, block in BLOCKS if "<OLD" in block).splitlines()
    redis.ask("ACL", "SETUSER", "ratelimit", "on", ">OLD", "+ping")

    redis.ask(*first.split())
    for password in ("OLD", "NEW"):
        with Client(redis.address, "ratelimit", password) as client:
            assert client.ask("PING") == "PONG"

    redis.ask(*second.split())
    with pytest.raises(Refused):
        Client(redis.address, "ratelimit", "OLD")
    with Client(redis.address, "ratelimit", "NEW") as client:
        assert client.ask("PING") == "PONG"


def test_keys_are_listed(shared, type_command):  # pylint: disable=unused-argument
    shown = type_command(block_with("--scan --pattern 'rl:*'"))

    assert re.fullmatch(r"rl:per-ip:[0-9a-f]{12}:203\.0\.113\.9\n", shown)


def test_a_client_is_forgiven_and_then_everybody(shared, type_command, redis):
    one, everybody = block_with("unlink").strip().splitlines()
    key = redis.keys()[0].decode()

    type_command(re.sub(r"rl:\S+", key, one))
    assert shared.ask(src=spop.ip("203.0.113.9")).remaining == 4

    assert shared.ask(src=spop.ip("203.0.113.10")).remaining == 4
    type_command(everybody)
    assert shared.ask(src=spop.ip("203.0.113.10")).remaining == 4


def test_a_balance_is_read(shared, type_command, redis):  # pylint: disable=unused-argument
    (key,) = redis.keys()

    shown = type_command(re.sub(r"rl:\S+", key.decode(), block_with("redis-cli eval "))).split()

    assert len(shown) == 4 and int(shown[0]) == 4 * int(shown[1])
    assert abs(int(shown[2]) / 1e6 - time.time()) < 60


def test_a_check_by_hand_is_answered(type_command):
    shown = type_command(block_with("SCRIPT LOAD")).split()

    assert len(shown) == 4
    assert shown[1:3] == ["1", "10000000"] and shown[0] == shown[3]


def test_the_user_of_the_page_may_do_what_an_agent_does(redis, start_agent):
    redis.ask(*[word.replace("PASSWORD", "s3cret") for word in ACL])
    every = {name: {**bucket(5), "key": ["src"]} if name == "token_bucket" else
             {"algorithm": name, "limit": 40, "window": "1h", "key": ["src"]}
             for name in ("token_bucket", "sliding_window", "sliding_window_counter",
                          "fixed_window")}
    agent = start_agent(*PATIENT, store=redis.url, policies=policies_text(**every), env={
        "RATELIMIT_REDIS_USER": ACL[2], "RATELIMIT_REDIS_PASSWORD": "s3cret"})
    agent.wait_for_event("store_up")

    # 40 entries: the log of the sliding window becomes a hash on the way.
    with agent.connect() as peer:
        for n in range(45):
            verdict = peer.ask(src=spop.ip("203.0.113.9"), policy="sliding-window")
            assert (verdict.reason, verdict.allowed) == \
                (("ok", True) if n < 40 else ("limited", False))
        assert peer.ask(src=spop.ip("203.0.113.8")).reason == "ok"
    assert not agent.events("store_lacks_right")
