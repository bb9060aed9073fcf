"""/check over HTTP (docs/reference.md, section HTTP)."""

import json
import re
import subprocess

import pytest

import http_client
from cases import named
from http_client import CAPACITY, HttpClient, get_bytes, post_bytes
from processes import PATIENCE, wait_until

INLINE = {"key": "user:123", "algorithm": "token_bucket", "capacity": 10, "refill_rate": 1}
CURL = ["curl", "-X", "POST", "http://localhost:8080/check", "-H",
        "Content-Type: application/json", "-d",
        '{"key":"user:123","algorithm":"token_bucket","capacity":10,"refill_rate":1}']
LIMITS = {"ratelimit", "ratelimit-policy", "retry-after"}


def one_policy(name="login", limit=CAPACITY, remaining=0, retry_after_ms=0, reset_ms=0, **more):
    """What a verdict says of its one policy, and itself."""
    numbers = {"limit": limit, "remaining": remaining, "retry_after_ms": retry_after_ms,
               "reset_ms": reset_ms}
    allowed = more.get("allowed", retry_after_ms == 0)
    return {"allowed": allowed, "reason": more.get("reason", "ok" if allowed else "limited"),
            "degraded": False, "policy": name, **numbers,
            "policies": [{"policy": name, "allowed": allowed, **numbers}]}


def waits(answer):
    """The times in a verdict go down by themselves: what they are, and all the rest."""
    verdict = answer.json
    times = {name: verdict.pop(name) for name in ("retry_after_ms", "reset_ms")}
    verdict["policies"] = [{name: value for name, value in policy.items() if name not in times}
                           for policy in verdict["policies"]]
    return times, verdict


def spend_all(client, key):
    while client.check(policy="login", key=key).status == 200:
        pass


# --- the forms -----------------------------------------------------------------------------------

def test_the_example_with_curl(client):
    port = client.address.rsplit(":", 1)[1]
    command = [word.replace("8080", port) for word in CURL]

    done = subprocess.run([command[0], "-s", *command[1:]], capture_output=True, check=True,
                          timeout=PATIENCE)

    assert json.loads(done.stdout) == one_policy("inline", 10, 9, reset_ms=1000)


def test_an_inline_check_denies_when_it_is_empty(client):
    answers = [client.post({**INLINE, "refill_rate": "1/1h"}) for _ in range(11)]

    assert [answer.status for answer in answers] == [200] * 10 + [429]
    assert [answer.left for answer in answers] == [*range(9, -1, -1), 0]


FORMS = named({
    "policy and key": {"policy": "login", "key": "203.0.113.9"},
    "policy and attributes": {"policy": "login", "attributes": {"src": "203.0.113.9"}},
    "attributes": {"attributes": {"src": "203.0.113.9", "path": "/login", "method": "POST"}},
    "cost 1": {"policy": "login", "key": "203.0.113.9", "cost": 1},
    "cost as text": {"policy": "login", "key": "203.0.113.9", "cost": "1"},
    "null is absent": {"policy": "login", "key": "203.0.113.9", "cost": None, "window": None},
    "escapes": b'{"polic\\u0079":"login","key":"203.0.113\\u002e9"}',
    "spaces": b' \t\r\n{ "policy" : "login" , "key" : "203.0.113.9" } \n',
    "an IPv4-mapped address": {"policy": "login", "key": "::ffff:203.0.113.9"},
})


@pytest.mark.parametrize("form", FORMS)
def test_a_form_of_post(client, form):
    assert client.post(form).json["allowed"]
    assert client.left("203.0.113.9") == CAPACITY - 1


@pytest.mark.parametrize("path, headers", named({
    "policy and key": ("/check?policy=login&key=203.0.113.9", {}),
    "attributes": ("/check?src=203.0.113.9&path=%2Flogin&method=POST", {}),
    "a header": ("/check", {"X-Attr-src": "203.0.113.9"}),
    "a header's name has no case": ("/check", {"x-aTTR-SRC": "203.0.113.9"}),
    "both": ("/check?policy=login", {"X-Attr-Src": "203.0.113.9"}),
    "cost": ("/check?src=203.0.113.9&cost=1", {}),
    "escapes": ("/check?%73rc=203%2E0.113.9", {}),
    "empty pairs": ("/check?&src=203.0.113.9&&", {}),
    "other headers": ("/check?src=203.0.113.9", {"X-Attribute": "x", "X-Src": "y"}),
}))
def test_a_form_of_get(client, path, headers):
    assert client.get(path, headers).json["allowed"]
    assert client.left("203.0.113.9") == CAPACITY - 1


def test_plus_is_a_space_in_a_query(client):
    client.check_get(src="a b+c")

    assert client.left("a b+c") == CAPACITY - 1


@pytest.mark.parametrize("value, text", [(7, "7"), (-7, "-7"), (2**63 - 1, str(2**63 - 1)),
                                         (True, "true"), (False, "false"), ("é\t", "é\t")])
def test_a_value_has_the_text_that_spop_gives_it(client, value, text):
    client.check(attributes={"src": value})

    with client.agent.connect() as peer:
        assert peer.ask(policy="login", key=text, cost=0).remaining == CAPACITY - 1


def test_what_is_counted_over_spop_is_counted_over_http(client):
    key = "203.0.113.9"
    with client.agent.connect() as peer:
        assert peer.ask(src=key).remaining == CAPACITY - 1
        assert client.check(attributes={"src": key}).left == CAPACITY - 2
        assert client.check_get(src=key).left == CAPACITY - 3
        assert peer.ask(policy="login", key=key).remaining == CAPACITY - 4


# --- verdicts ------------------------------------------------------------------------------------

def test_a_denial_word_by_word(client):
    spend_all(client, "x")

    answer = client.check(policy="login", key="x")

    times, rest = waits(answer)
    assert answer.status == 429
    assert 3_590_000 < times["retry_after_ms"] <= 3_600_000
    assert 5 * 3_590_000 < times["reset_ms"] <= 5 * 3_600_000
    numbers = {"limit": CAPACITY, "remaining": 0}
    assert rest == {"allowed": False, "reason": "limited", "degraded": False, "policy": "login",
                    **numbers, "policies": [{"policy": "login", "allowed": False, **numbers}]}
    seconds = answer.headers["retry-after"]
    assert -(-times["retry_after_ms"] // 1000) == int(seconds)
    assert answer.headers["ratelimit"] == f'"login";r=0;t={seconds}'
    assert answer.headers["ratelimit-policy"] == '"login";q=5;w=18000'


@pytest.mark.parametrize("fields", [{"key": "x"}, {"key": "x", "cost": CAPACITY + 1}])
def test_the_headers_of_a_verdict(client, fields):
    answer = client.check(policy="login", **fields)

    assert answer.type == "application/json"
    assert answer.headers["cache-control"] == "no-store"
    assert {"ratelimit", "ratelimit-policy"} <= set(answer.headers)
    # Allowed, or a denial that waiting does not help.
    assert "retry-after" not in answer.headers


def test_a_cost_above_the_capacity_never_passes(client):
    answer = client.check(policy="login", key="x", cost=6)

    assert answer.status == 429
    assert (answer.json["reason"], answer.json["retry_after_ms"]) == ("limited", -1)
    assert client.left("x") == CAPACITY


def test_nothing_applies(client):
    answer = client.check(attributes={"unheard": "of"})

    assert answer.status == 200
    assert answer.json == {"allowed": True, "reason": "none", "degraded": False,
                           "retry_after_ms": 0, "policies": []}
    assert not LIMITS & set(answer.headers)


def test_policies_are_in_file_order(client):
    answer = client.check(attributes={"fixed": "x", "user": "x", "src": "x"})

    assert [policy["policy"] for policy in answer.json["policies"]] == ["login", "second", "third"]
    assert answer.json["policy"] == "login"
    assert re.match('"login";.*, "second";.*, "third";', answer.headers["ratelimit"])


@pytest.mark.parametrize("status", [401, 403, 429])
def test_deny_status_is_the_status_of_a_denial(client, status):
    spend_all(client, "x")

    denied = client.check_get(policy="login", key="x", deny_status=status)
    allowed = client.check_get(policy="login", key="y", deny_status=status)

    assert (denied.status, allowed.status) == (status, 200)
    assert denied.json["reason"] == "limited"
    assert LIMITS <= set(denied.headers)


def test_an_error_is_503_whatever_deny_status_says(start_agent):
    agent = start_agent("--on-error", "deny", http=True, store="redis://127.0.0.1:1",
                        policies=http_client.POLICIES)
    with HttpClient(agent) as client:
        for answer in (client.check(policy="login", key="x"),
                       client.check_get(policy="login", key="x", deny_status=403)):
            assert answer.status == 503
            assert answer.headers["retry-after"] == "1"
            assert "ratelimit" not in answer.headers
            assert answer.json == {
                "allowed": False, "reason": "error", "degraded": True, "policy": "login",
                "limit": CAPACITY, "retry_after_ms": 1000, "policies": [
                    {"policy": "login", "allowed": False, "limit": CAPACITY,
                     "retry_after_ms": 1000}]}


# --- several requests on a connection ------------------------------------------------------------

def test_a_connection_is_kept(client):
    with client.raw() as raw:
        for left in range(4, -1, -1):
            raw.send(post_bytes(b'{"policy":"login","key":"x"}'))
            assert raw.read_answer().left == left
        wait_until(lambda: client.get("/health").status == 200, "health")
        raw.send(get_bytes("/check?policy=login&key=x"))
        assert raw.read_answer().status == 429


def test_pipelined_requests_are_answered_in_order(client):
    one = post_bytes(b'{"policy":"wide","key":"x"}') + get_bytes("/check?policy=wide&key=x")
    with client.raw(one * 50 + get_bytes("/nope") + get_bytes("/health")) as raw:
        lefts = [raw.read_answer().left for _ in range(100)]
        last = [raw.read_answer().status for _ in range(2)]

    assert lefts == list(range(10**6 - 1, 10**6 - 101, -1))
    assert last == [404, 200]


@pytest.mark.parametrize("data", named({
    "close": get_bytes("/health", "Connection: close\r\n"),
    "HTTP/1.0": get_bytes("/health", version="HTTP/1.0"),
}))
def test_a_connection_ends_when_the_client_says_so(client, data):
    with client.raw(data) as raw:
        assert raw.read_answer().status == 200
        assert raw.is_ended()


def test_an_expected_continue(client):
    body = b'{"policy":"login","key":"x"}'
    head = post_bytes(body, extra="Expect: 100-continue\r\n")[:-len(body)]
    with client.raw(head) as raw:
        assert raw.read_answer().status == 100
        raw.send(body)
        assert raw.read_answer().left == CAPACITY - 1
