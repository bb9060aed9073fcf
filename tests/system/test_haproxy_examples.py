"""Runs each configuration of haproxy-conf/examples/ unchanged, and checks what clients get."""

import json
import re
import socket
import time

import pytest

from examples import CDN, EXAMPLES, NAMES, SLOW, asked, checks, statuses
from haproxy import LOG_REQUESTS, SHIPPED_LOG, check, shipped_files
from processes import PATIENCE, wait_until
from web import get


def test_the_readme_lists_them():
    listed = re.findall(r"^\| \[([a-z-]+)\]\(\1\)", (EXAMPLES / "README.md").read_text(), re.M)

    assert sorted(listed) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_it_is_good_without_a_warning(name, suite, tmp_path):
    result = check(suite, shipped_files(tmp_path, folder=EXAMPLES / name))

    assert result.returncode == 0, result.stderr
    assert "[" not in result.stdout + result.stderr  # [WARNING], [ALERT], [NOTICE]


def test_per_ip(start_example):
    haproxy = start_example("per-ip", policies=[('"refill_rate": 5', '"refill_rate": "1/1h"')])

    assert statuses(haproxy, 21, "127.0.0.2") == [200] * 20 + [429]
    assert get(haproxy.port, "127.0.0.3").status == 200


def test_api_key(start_example):
    haproxy = start_example("api-key", policies=[('"5/1m"', '"5/1h"'), ('"1m"', '"1h"')])
    free, pro = {"X-Api-Key": "k-free-1"}, {"X-Api-Key": "k-pro-1"}

    assert statuses(haproxy, 11, headers=free) == [200] * 10 + [429]
    assert statuses(haproxy, 101, headers=pro) == [200] * 100 + [429]
    assert statuses(haproxy, 102, headers={"X-Api-Key": "k-monitoring"}) == [200] * 102
    assert get(haproxy.port, headers={"X-Api-Key": "k-stolen"}).status == 429
    assert statuses(haproxy, 6) == [200] * 5 + [429]
    assert asked(haproxy) == 11 + 101 + 102 + 1 + 6


def test_api_key_that_is_revoked_is_not_told_when_to_come_again(start_example):
    haproxy = start_example("api-key")

    answer = get(haproxy.port, headers={"X-Api-Key": "k-stolen"})

    assert (answer.status, answer.limits) == (429, {})


LOGINS = ["/login", "//login", "/%6cogin", "/LOGIN", "/%2flogin", "/login/", "/login//x", "//%4Cogin"]


@pytest.mark.parametrize("path", LOGINS)
def test_login_however_it_is_written(start_example, path):
    haproxy = start_example("login")

    assert statuses(haproxy, 3, "127.0.0.2", method="POST", path="/login") == [200] * 3
    assert statuses(haproxy, 3, "127.0.0.2", method="POST", path=path) == [200, 200, 429]


def test_login_limits_nothing_else(start_example):
    haproxy = start_example("login")

    assert statuses(haproxy, 30, method="GET", path="/login") == [200] * 30
    assert statuses(haproxy, 30, method="POST", path="/loginx") == [200] * 30


def test_login_waits_for_the_longer_of_both_limits(start_example):
    haproxy = start_example("login", policies=[('"1m"', '"1ms"')])

    answers = [get(haproxy.port, method="POST", path="/login") for _ in range(200)]

    assert sum(answer.status == 200 for answer in answers) == 20
    assert int(answers[-1].headers["retry-after"]) > 3000


def test_path_cost(start_example):
    haproxy = start_example("path-cost", policies=[('"40/1m"', '"40/1h"')])

    assert statuses(haproxy, 2, "127.0.0.2", path="/export/all") == [200, 200]  # 40
    assert get(haproxy.port, "127.0.0.2").status == 429
    assert statuses(haproxy, 8, "127.0.0.3", path="/search?q=x") == [200] * 8
    assert get(haproxy.port, "127.0.0.3").status == 429
    assert statuses(haproxy, 41, "127.0.0.4") == [200] * 40 + [429]


def passes(port, source):
    """Whether a connection gets through to the origin."""
    with socket.create_connection(("127.0.0.1", port), PATIENCE, (source, 0)) as connection:
        connection.sendall(b"GET / HTTP/1.0\r\n\r\n")
        try:
            return connection.recv(65536).startswith(b"HTTP/1.1 200")
        except ConnectionError:
            return False


def test_tcp(start_example):
    haproxy = start_example("tcp", policies=[('"refill_rate": 1', '"refill_rate": "1/1h"')],
                            conf=[("inspect-delay 100ms", "inspect-delay 20s")])

    assert [passes(haproxy.port, "127.0.0.2") for _ in range(12)] == [True] * 10 + [False] * 2
    assert passes(haproxy.port, "127.0.0.3")
    assert asked(haproxy) == 13


def test_tcp_without_inspect_delay_limits_nobody(start_example, suite):
    """What its first lines warn of. HAProxy 3.2 asks, and does not wait for the answer."""
    haproxy = start_example("tcp", conf=[("    tcp-request inspect-delay 100ms\n", "")])

    assert all(passes(haproxy.port, "127.0.0.2") for _ in range(20))
    assert suite == "forky" or asked(haproxy) == 0


def test_shadow_first(start_example):
    haproxy = start_example("shadow-first", policies=[
        ('"refill_rate": 5', '"refill_rate": "1/1h"'), ('"refill_rate": 1,', '"refill_rate": "1/1h",')],
        conf=[(SHIPPED_LOG, LOG_REQUESTS)])

    assert statuses(haproxy, 21) == [200] * 20 + [429]
    assert checks(haproxy, "per-ip-new", "shadow_denied") == 16
    assert checks(haproxy, "per-ip-new", "denied") == 0
    wait_until(lambda: sum("reason=" in line for line in haproxy.lines()) == 21, "HAProxy's log")
    told = [re.search(r"reason=(\S+) policy=(\S+)", line) for line in haproxy.lines()]
    assert [match.groups() for match in told if match] == (
        [("ok", "per-ip")] * 5 + [("shadow", "per-ip-new")] * 15 + [("limited", "per-ip")])


def test_backends(start_example):
    haproxy = start_example("backends", policies=[('"10s"', '"1h"'),
                                                 ('"refill_rate": 10', '"refill_rate": "1/1h"')])

    assert statuses(haproxy, 11, path="/api/x") == [200] * 10 + [429]
    assert statuses(haproxy, 31, path="/x") == [200] * 30 + [429]
    assert statuses(haproxy, 40, path="/static/x") == [200] * 40
    assert asked(haproxy) == 11 + 31


def test_behind_cdn_counts_the_clients_that_it_tells(start_example):
    haproxy = start_example("behind-cdn", policies=SLOW, conf=CDN)
    first, second = {"X-Forwarded-For": "192.0.2.1"}, {"X-Forwarded-For": "10.0.0.1, 192.0.2.2"}

    assert statuses(haproxy, 21, "127.0.0.8", headers=first) == [200] * 20 + [429]
    assert get(haproxy.port, "127.0.0.8", headers=second).status == 200


def test_behind_cdn_believes_nobody_else(start_example):
    haproxy = start_example("behind-cdn", policies=SLOW, conf=CDN)

    got = [get(haproxy.port, "127.0.0.9", headers={"X-Forwarded-For": f"192.0.2.{n}"}).status
           for n in range(21)]

    assert got == [200] * 20 + [429]


def test_behind_cdn_a_request_of_its_own_counts_as_it(start_example):
    haproxy = start_example("behind-cdn", policies=SLOW, conf=CDN)

    assert statuses(haproxy, 21, "127.0.0.8") == [200] * 20 + [429]


def test_allow_list(start_example):
    haproxy = start_example("allow-list", policies=[
        *SLOW, ('"10.0.0.0/8"', '"127.0.10.0/24"'), ('"203.0.113.0/24"', '"127.0.66.0/24"')])

    assert statuses(haproxy, 40, "127.0.10.7") == [200] * 40
    assert statuses(haproxy, 2, "127.0.66.9") == [403, 403]
    assert statuses(haproxy, 21, "127.0.0.2") == [200] * 20 + [429]
    assert checks(haproxy, "per-ip", "allowed") == 20


@pytest.mark.parametrize("name", NAMES)
def test_policies_are_json_that_the_agent_takes(start_agent, name):
    text = (EXAMPLES / name / "policies.json").read_text()

    agent = start_agent(policies=text)

    started = agent.wait_for_event("started")
    assert started["policies"] == len(json.loads(text)["policies"])


def test_shield_asks_the_agent_for_the_first_denial_only(start_example):
    haproxy = start_example("shield", policies=[('"refill_rate": 5', '"refill_rate": "1/10m"')])

    assert statuses(haproxy, 60, "127.0.0.2") == [200] * 20 + [429] * 40
    assert asked(haproxy) == 21
    assert get(haproxy.port, "127.0.0.3").status == 200
    answer = get(haproxy.port, "127.0.0.2")
    wait = int(answer.headers["retry-after"])
    assert 500 < wait <= 601
    assert answer.headers["ratelimit"] == f'"per-ip";r=0;t={wait}'
    assert asked(haproxy) == 22


def test_shield_lets_pass_whoever_waited_as_told(start_example):
    haproxy = start_example("shield", policies=[('"capacity": 20', '"capacity": 1'),
                                                ('"refill_rate": 5', '"refill_rate": 1')])
    assert statuses(haproxy, 2, "127.0.0.2") == [200, 429]
    answer = get(haproxy.port, "127.0.0.2")  # on a machine that stalls its wait may be over

    time.sleep(int(answer.headers.get("retry-after", 0)))

    assert answer.status == 200 or get(haproxy.port, "127.0.0.2").status == 200


def test_shield_keeps_no_denial_without_an_end(start_example):
    """Of a wait above an hour, and of what is blocked."""
    blocked = '"key": ["src"], "overrides": [{"match": {"src": "127.0.0.3"}, "blocked": true}]'
    haproxy = start_example("shield", policies=[('"refill_rate": 5', '"refill_rate": "1/2h"'),
                                                ('"key": ["src"]', blocked)])

    assert statuses(haproxy, 25, "127.0.0.2") == [200] * 20 + [429] * 5
    assert statuses(haproxy, 5, "127.0.0.3") == [429] * 5
    assert asked(haproxy) == 30
