"""GET /top?by=&last= and the command top: who asks and is denied most, over SPOP and HTTP alike."""

import subprocess

import pytest

from agent import BINARY, bucket, policies_text, run
from cases import named
from http_client import HttpClient, assert_problem
from processes import clean_environment
from test_http_openapi import assert_is_described

POLICIES = policies_text(login=bucket(2, key=["user"]), per_ip=bucket(100),
                         quiet={**bucket(1, key=["user"]), "shadow": True})


@pytest.fixture
def client(start_agent):
    with HttpClient(start_agent(http=True, policies=POLICIES)) as client:
        yield client


def top(client, query):
    answer = client.get(f"/top?{query}")
    assert answer.status == 200, answer
    assert_is_described(answer, "get", "/top")
    return answer.json


def counts(answer):
    return [(key["policy"], key["key"], key["count"], key["error"]) for key in answer["keys"]]


@pytest.mark.parametrize("last", ["1m", "5m", "all"])
def test_spop_and_http_count_alike(client, last):
    with client.agent.connect() as peer:
        for _ in range(3):
            peer.ask(policy="login", key="ann")
    for _ in range(2):
        client.check(policy="login", key="ann")
    client.check(policy="login", key="bob")
    client.check(policy="per-ip", key="192.0.2.1")

    asked, denied = top(client, f"by=asked&last={last}"), top(client, f"by=denied&last={last}")

    assert counts(asked)[0] == ("login", "ann", 5, 0)
    assert sorted(counts(asked)[1:]) == [("login", "bob", 1, 0), ("per-ip", "192.0.2.1", 1, 0)]
    assert counts(denied) == [("login", "ann", 3, 0)]
    assert (asked["total"], denied["total"], asked["error_max"]) == (7, 3, 0)
    ann = denied["keys"][0]
    assert (ann["limit"], ann["remaining"]) == (2, 0)
    assert 0 < ann["retry_after_ms"] <= 3_600_000


def test_what_is_not_given_is_denied_in_the_last_minute(client):
    for _ in range(3):
        client.check(policy="login", key="ann")

    assert counts(top(client, "last=1m")) == counts(top(client, "by=denied")) == \
        [("login", "ann", 1, 0)]


def test_shadow_looks_and_unknown_keys_are_no_denials(client):
    for _ in range(3):
        client.check(policy="quiet", key="ann")
        client.post({"policy": "login", "key": "bob", "cost": 9}, "/explain")

    assert top(client, "by=denied")["keys"] == []
    assert counts(top(client, "by=asked")) == [("quiet", "ann", 3, 0)]


def test_at_most_a_hundred_keys_are_shown_and_their_error_is_told(client):
    checks = [{"policy": "per-ip", "key": f"10.0.{number // 250}.{number % 250}"}
              for number in range(2000)]
    for first in range(0, 2000, 100):
        client.post({"checks": checks[first:first + 100]})
    client.post({"checks": [{"policy": "per-ip", "key": "192.0.2.1"}] * 100})

    answer = top(client, "by=asked&last=all")

    assert len(answer["keys"]) == 100
    first = answer["keys"][0]
    assert first["key"] == "192.0.2.1"
    assert first["count"] - first["error"] <= 100 <= first["count"]
    assert 0 < answer["error_max"] <= answer["total"] // 100


def test_hashed_keys_are_not_shown(start_agent):
    agent = start_agent("--hash-keys", "on", http=True, policies=POLICIES)
    with HttpClient(agent) as client:
        client.check(policy="login", key="personal")
        answer = top(client, "by=asked")
    assert answer["hashed"] is True and "personal" not in str(answer)


@pytest.mark.parametrize("query", named({
    "by": "by=seen", "last": "last=2m", "unknown": "a=b", "twice": "by=asked&by=asked",
    "empty": "by=", "case": "by=Denied"}))
def test_a_bad_query_is_refused_and_described(client, query):
    answer = client.get(f"/top?{query}")
    assert_problem(answer, 400)
    assert_is_described(answer, "get", "/top")


def test_without_a_query_the_page_is_by_policy(client):
    client.check(policy="login", key="ann")
    answer = client.get("/top")
    assert_is_described(answer, "get", "/top")
    assert answer.json["policies"][0]["seen"]["keys"][0]["key"] == "ann"


def test_the_command_prints_a_table(client):
    for _ in range(3):
        client.check(policy="login", key="ann")
    url = f"http://{client.agent.http_address}"

    done = run("top", "--agent", url)
    asked = run("top", "--by=asked", "--last", "all", "--agent", url)

    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("denied most in the last ")
    assert done.stdout.splitlines()[-1].split()[:5] == ["1", "0", "login", "2", "0"]
    assert asked.stdout.splitlines()[-1].split()[0] == "3"
    assert run("top", "--by", "seen", "--agent", url).returncode == 2
    assert run("top", "stray", "--agent", url).returncode == 2


def test_watch_shows_it_anew(client):
    command = [BINARY, "top", "--watch", "--agent", f"http://{client.agent.http_address}"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True,
                          env=clean_environment()) as process:
        try:
            seen = 0
            while seen < 2:
                line = process.stdout.readline()
                assert line
                seen += line.startswith("denied most")
        finally:
            process.terminate()
