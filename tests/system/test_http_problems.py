"""/check in batches, problems (RFC 9457), health and readiness."""

import signal
import time

import pytest

import http_client
from cases import named
from http_client import CAPACITY, HttpClient, assert_problem
from processes import undisturbed, wait_until

GOOD = {"policy": "login", "key": "x"}


def bad(status, *words):
    return status, words


# --- batches -------------------------------------------------------------------------------------

def test_a_batch_is_answered_in_order_each_as_if_alone(client):
    answer = client.check(checks=[GOOD, {"policy": "nope", "key": "x"}, {**GOOD, "cost": 9}, GOOD,
                                  {"policy": "login"}, {"attributes": {"src": "x"}}, 5])

    assert answer.status == 200
    assert answer.type == "application/json"
    results = answer.json["results"]
    assert [result.get("status") for result in results] == [None, 404, None, None, 400, None, 400]
    assert [result.get("allowed") for result in results] == \
        [True, None, False, True, None, True, None]
    assert [results[index]["remaining"] for index in (0, 3, 5)] == [4, 3, 2]
    assert "nope" in results[1]["detail"]
    assert client.left("x") == CAPACITY - 3


def test_each_of_a_batch_is_charged_on_its_own(client):
    results = client.check(checks=[GOOD] * (CAPACITY + 2)).json["results"]

    assert [result["allowed"] for result in results] == [True] * CAPACITY + [False] * 2
    assert results[-1]["policies"][0]["retry_after_ms"] > 0


def test_a_batch_of_a_hundred(client):
    results = client.check(checks=[{"policy": "wide", "key": "x"}] * 100).json["results"]

    assert [result["remaining"] for result in results] == list(range(10**6 - 1, 10**6 - 101, -1))


@pytest.mark.parametrize("body", named({
    "a hundred and one": {"checks": [GOOD] * 101},
    "empty": {"checks": []},
    "not an array": {"checks": GOOD},
    "null": {"checks": None},
    "with another field": {"checks": [GOOD], "cost": 1},
    "twice": b'{"checks":[{"policy":"login","key":"x"}],"checks":[{"policy":"login","key":"x"}]}',
    "one that is cut": b'{"checks":[{"policy":"login","key":"x"},{"policy"]}',
}))
def test_a_batch_that_is_none_charges_nothing(client, body):
    assert_problem(client.post(body), 400)
    assert client.left("x") == CAPACITY


def test_a_batch_in_a_batch_is_a_problem_of_its_own(client):
    results = client.check(checks=[{"checks": [GOOD]}, GOOD]).json["results"]

    assert (results[0]["status"], results[1]["remaining"]) == (400, CAPACITY - 1)


# --- problems ------------------------------------------------------------------------------------

@pytest.mark.parametrize("body, status, words", named({
    "unknown policy": ({"policy": "nope", "key": "x"}, *bad(404, "policy", "nope")),
    "one of two unknown": ({"policy": "login,nope", "key": "x"}, *bad(404, "policy")),
    "unknown field": ({**GOOD, "costs": 1}, *bad(400, "costs")),
    "unknown attribute form": ({**GOOD, "attributes": 5}, *bad(400, "attributes")),
    "reserved attribute": ({"attributes": {"key": "x"}}, *bad(400, "key")),
    "a list as a value": ({"attributes": {"src": ["x"]}}, *bad(400, "src")),
    "a fraction": ({"attributes": {"src": 1.5}}, *bad(400, "src")),
    "a fraction as key": ({"policy": "login", "key": 1.5}, *bad(400, "key")),
    "cost negative": ({**GOOD, "cost": -1}, *bad(400, "cost")),
    "cost not whole": ({**GOOD, "cost": 1.5}, *bad(400, "cost")),
    "cost a word": ({**GOOD, "cost": "lots"}, *bad(400, "cost")),
    "cost a boolean": ({**GOOD, "cost": True}, *bad(400, "cost")),
    "cost 2^63": ({**GOOD, "cost": 2**63}, *bad(400, "cost")),
    "policy a number": ({"policy": 5, "key": "x"}, *bad(400, "policy")),
    "policy and algorithm": ({**GOOD, "algorithm": "token_bucket", "capacity": 1,
                              "refill_rate": 1}, *bad(400, "policy")),
    "key alone": ({"key": "x"}, *bad(400)),
    "nothing": ({}, *bad(400)),
    "no key": ({"policy": "login"}, *bad(400, "key")),
    "inline without key": ({"algorithm": "token_bucket", "capacity": 1, "refill_rate": 1},
                           *bad(400, "key")),
    "inline without capacity": ({"algorithm": "token_bucket", "key": "x", "refill_rate": 1},
                                *bad(400, "capacity")),
    "unknown algorithm": ({"algorithm": "leaky", "key": "x"}, *bad(400, "algorithm")),
    "capacity 0": ({"algorithm": "token_bucket", "capacity": 0, "refill_rate": 1, "key": "x"},
                   *bad(400, "capacity")),
    "an array": ([GOOD], *bad(400)),
    "a string": ("x", *bad(400)),
    "a field twice": (b'{"policy":"login","key":"x","key":"y"}', *bad(400, "key")),
    "a field twice, escaped": (b'{"policy":"login","key":"x","ke\\u0079":"y"}', *bad(400, "key")),
    "an attribute twice": (b'{"attributes":{"src":"x","src":"x"}}', *bad(400, "src")),
    "attributes twice": (b'{"attributes":{},"attributes":{}}', *bad(400, "attributes")),
}))
def test_a_bad_check_is_named_and_charges_nothing(client, body, status, words):
    assert_problem(client.post(body), status, *words)
    assert client.left("x") == CAPACITY


@pytest.mark.parametrize("path, status, words", named({
    "twice": ("/check?policy=login&key=x&key=y", *bad(400, "key")),
    "twice the same": ("/check?policy=login&key=x&key=x", *bad(400, "key")),
    "deny_status 200": ("/check?policy=login&key=x&deny_status=200", *bad(400, "deny_status")),
    "deny_status 503": ("/check?policy=login&key=x&deny_status=503", *bad(400, "deny_status")),
    "deny_status empty": ("/check?policy=login&key=x&deny_status=", *bad(400, "deny_status")),
    "deny_status twice": ("/check?policy=login&key=x&deny_status=403&deny_status=403",
                          *bad(400, "deny_status")),
    "an unknown policy": ("/check?policy=nope&key=x", *bad(404, "policy")),
    "cost a word": ("/check?policy=login&key=x&cost=x", *bad(400, "cost")),
    "key alone": ("/check?key=x", *bad(400)),
}))
def test_a_bad_query_is_named_and_charges_nothing(client, path, status, words):
    assert_problem(client.get(path), status, *words)
    assert client.left("x") == CAPACITY


def test_a_name_in_the_query_and_in_a_header_is_400(client):
    assert_problem(client.check_get(policy="login", src="x", headers={"X-Attr-Src": "x"}),
                   400, "src")
    assert client.left("x") == CAPACITY


@pytest.mark.parametrize("name", ["policy", "key", "cost", "algorithm", "capacity", "refill_rate",
                                  "limit", "window", "COST"])
def test_a_reserved_name_in_a_header_is_400(client, name):
    assert_problem(client.check_get(policy="login", src="x", headers={f"X-Attr-{name}": "1"}),
                   400, name.lower(), "reserved")
    assert client.left("x") == CAPACITY


@pytest.mark.parametrize("method", ["HEAD", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE", "BREW"])
def test_another_method_is_405_and_charges_nothing(client, method):
    answer = client.request(method, "/check?policy=login&key=x")

    assert answer.status == 405
    assert answer.headers["allow"] == "GET, POST"
    if method == "HEAD":
        assert answer.body == b""
    else:
        assert_problem(answer, 405)
    assert client.left("x") == CAPACITY


@pytest.mark.parametrize("path", ["/health", "/ready", "/metrics", "/", "/status", "/top"])
def test_head_is_get_without_a_body_and_post_is_405(client, path):
    assert client.get(path).status == 200
    head = client.request("HEAD", path)
    assert (head.status, head.body) == (200, b"")
    answer = client.post({}, path)
    assert_problem(answer, 405)
    assert answer.headers["allow"] == "GET, HEAD"


@pytest.mark.parametrize("path", ["/nope", "/check/", "/Check", "//check", "/check%20", "/health/",
                                  "/../check"])
def test_another_path_is_404(client, path):
    assert_problem(client.get(path), 404)
    assert_problem(client.post(GOOD, path), 404)
    assert client.left("x") == CAPACITY


@pytest.mark.parametrize("headers", named({
    "none": {"Content-Type": ""},
    "a form": {"Content-Type": "application/x-www-form-urlencoded"},
    "text": {"Content-Type": "text/plain"},
    "nearly": {"Content-Type": "application/json5"},
    "compressed": {"Content-Encoding": "gzip"},
}))
def test_another_type_of_content_is_415(client, headers):
    assert_problem(client.post(GOOD, headers=headers), 415)
    assert client.left("x") == CAPACITY


@pytest.mark.parametrize("kind", ["application/json; charset=utf-8", "Application/JSON"])
def test_a_type_of_json_may_be_written_otherwise(client, kind):
    assert client.post(GOOD, headers={"Content-Type": kind}).status == 200


@pytest.mark.parametrize("size, status", [(65536, 200), (65537, 413), (10**6, 413)])
def test_a_body_may_have_64_kib(client, size, status):
    body = b'{"policy":"login","key":"x"}'

    answer = client.post(body.ljust(size))

    assert answer.status == status
    if status == 413:
        assert_problem(answer, 413, "64 KiB")
    assert client.left("x") == CAPACITY - (status == 200)


# --- health --------------------------------------------------------------------------------------

def test_health_and_readiness(client):
    health, ready = client.get("/health"), client.get("/ready")

    assert (health.status, ready.status) == (200, 200)
    assert {health.type, ready.type} == {"application/json"}
    assert health.json["store"] == {"kind": "memory", "state": "up"}


def seconds_of(client, path):
    began = time.monotonic()
    assert client.get(path).status == 200
    return time.monotonic() - began


def test_health_is_answered_at_once_while_redis_hangs(start_agent, redis):
    agent = start_agent(http=True, policies=http_client.POLICIES, store=redis.url)
    agent.wait_for_store()
    with HttpClient(agent) as client:
        wait_until(lambda: client.get("/health").json["store"]["state"] == "up", "a store")
        redis.signal(signal.SIGSTOP)
        client.check(policy="login", key="x")
        took = undisturbed(lambda: sorted(seconds_of(client, path) for _ in range(50)
                                          for path in ("/health", "/ready")),
                           lambda took: took[95] < 0.05)
        assert took[95] < 0.05
        wait_until(lambda: client.get("/health").json["store"]["state"] == "down",
                   "a store that is down")
        assert client.get("/health").json["store"]["reason"]
        assert client.get("/health").status == 200
        redis.signal(signal.SIGCONT)
        wait_until(lambda: client.get("/health").json["store"]["state"] == "up", "a store")


def test_readiness_ends_with_the_drain_and_checks_do_not(start_agent):
    agent = start_agent("--drain-delay", "60s", http=True, policies=http_client.POLICIES)
    with HttpClient(agent) as client:
        agent.signal(signal.SIGTERM)
        wait_until(lambda: client.get("/ready").status == 503, "an end of readiness")
        assert client.get("/health").status == 200
        assert client.check(policy="login", key="x").left == CAPACITY - 1
