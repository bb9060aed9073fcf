"""POST /explain: what a request would get, and why not otherwise."""

import json

import pytest

import http_client
from agent import bucket, policies_text, window
from cases import named
from http_client import HttpClient, assert_problem
from test_http_openapi import GOOD_BODIES, assert_is_described

POLICIES = policies_text(
    per_ip=bucket(3),
    login={**window(2), "match": {"path": ["/login", "/api/login/*"]}},
    quiet={**bucket(1), "shadow": True},
    tenant={**window(4, "1d", "fixed_window", ["tenant"]), "overrides": [
        {"match": {"tenant": "acme"}, "limit": 9}, {"match": {"tenant": "in-*"}, "unlimited": True},
        {"match": {"tenant": "bad"}, "blocked": True}]})
WITHOUT_TIMES = {"reset_ms", "retry_after_ms"}


@pytest.fixture(params=["memory", "redis"])
def client(request, start_agent):
    store = request.getfixturevalue("redis").url if request.param == "redis" else None
    agent = start_agent("--store-timeout", "5s", "--deny-cache", "60s", http=True,
                        policies=POLICIES, store=store)
    if store is not None:
        agent.wait_for_store()
    with HttpClient(agent) as client:
        yield client


def explain(client, **attributes):
    answer = client.post({"attributes": attributes}, "/explain")
    assert answer.status == 200, answer
    assert_is_described(answer, "post", "/explain")
    return answer.json


def policy_of(explanation, name):
    return next(policy for policy in explanation["policies"] if policy["policy"] == name)


def without_times(verdict):
    """Time goes on between two requests."""
    policies = [without_times(policy) for policy in verdict.get("policies", [])]
    rest = {name: value for name, value in verdict.items() if name not in WITHOUT_TIMES}
    return {**rest, "policies": policies} if "policies" in verdict else rest


def test_the_verdict_is_that_of_the_request_which_comes_next(client):
    attributes = {"src": "192.0.2.1", "path": "/login", "tenant": "acme"}
    for allowed in (True, True, False, False):
        looks = [explain(client, **attributes) for _ in range(3)]
        answer = client.post({"attributes": attributes})
        assert (answer.status == 200) == allowed
        for look in looks:
            assert without_times(look["verdict"]) == without_times(answer.json)


def test_a_denial_that_the_agent_remembers_is_told(redis, start_agent):
    agent = start_agent("--deny-cache", "60s", "--store-timeout", "5s", http=True, store=redis.url,
                        policies=POLICIES).wait_for_store()
    attributes = {"src": "192.0.2.1", "path": "/login", "tenant": "acme"}
    with HttpClient(agent) as client:
        for _ in range(3):
            answer = client.post({"attributes": attributes})
        explanation = explain(client, **attributes)
        again = client.post({"attributes": attributes})

    assert answer.status == again.status == 429
    assert without_times(explanation["verdict"]) == without_times(again.json)
    assert policy_of(explanation, "login")["cached_denial"] is True
    assert policy_of(explanation, "tenant")["skipped"] is True


def test_each_policy_says_why(client):
    explanation = explain(client, src="192.0.2.1", path="/x")

    assert [policy["policy"] for policy in explanation["policies"]] == \
        ["per-ip", "login", "quiet", "tenant"]
    assert policy_of(explanation, "login")["why"] == \
        'match.path: "/x" is none of "/login", "/api/login/*"'
    assert policy_of(explanation, "tenant")["why"] == \
        'key: no attribute "tenant"; there are "src", "path"'
    per_ip = policy_of(explanation, "per-ip")
    assert (per_ip["applies"], per_ip["capacity"], per_ip["remaining"]) == (True, 3, 2)
    assert per_ip["key"].startswith("rl:per-ip:") and per_ip["key"].endswith(":192.0.2.1")
    assert policy_of(explanation, "quiet")["shadow"] is True


def test_an_attribute_that_is_null_is_not_said_to_be_there(client):
    explanation = explain(client, src=None, user="ann")

    assert policy_of(explanation, "per-ip")["why"] == 'key: no attribute "src"; there is "user"'


def test_the_override_that_counted_is_named(client):
    acme, inner, bad = (policy_of(explain(client, tenant=tenant), "tenant")
                        for tenant in ("acme", "in-side", "bad"))

    assert (acme["override"], acme["limit"], acme["remaining"]) == (0, 9, 8)
    assert inner["why"] == "overrides[1]: unlimited"
    assert (bad["override"], bad["blocked"], bad["allowed"]) == (2, True, False)


def test_nothing_is_counted(client):
    for _ in range(5):
        explain(client, src="192.0.2.1", path="/login")

    text = client.get("/metrics").body.decode()
    lines = [line for line in text.splitlines()
             if line.startswith(("ratelimit_checks_total", "requests_"))
             and 'policy="inline"' not in line and 'policy="none"' not in line]
    assert lines and all(line.endswith(" 0") for line in lines)
    answer = client.check_get(src="192.0.2.1", cost=0)
    assert [policy["remaining"] for policy in answer.json["policies"]] == [3, 1]


@pytest.mark.parametrize("body", named({name: body for name, body in GOOD_BODIES.items()
                                        if "checks" not in body}))
def test_what_check_takes_explain_takes(start_agent, body):
    agent = start_agent(http=True, policies=http_client.POLICIES)
    with HttpClient(agent) as client:
        answer = client.post(body, "/explain")
        assert answer.status == 200
        assert_is_described(answer, "post", "/explain")


@pytest.mark.parametrize("status, arguments", named({
    "no JSON": (400, ("POST", "/explain", b"{")),
    "a batch": (400, ("POST", "/explain", b'{"checks":[{"attributes":{}}]}')),
    "a query": (400, ("POST", "/explain?a=b", b'{"attributes":{}}')),
    "an unknown field": (400, ("POST", "/explain", b'{"attributes":{},"a":1}')),
    "an unknown policy": (404, ("POST", "/explain", b'{"policy":"nope","key":"x"}')),
    "another method": (405, ("GET", "/explain")),
    "too large": (413, ("POST", "/explain", b" " * 70000)),
}))
def test_problems_are_described(client, status, arguments):
    method, path, *body = arguments
    answer = client.request(method, path, *body, headers={"Content-Type": "application/json"})
    assert_problem(answer, status)
    assert_is_described(answer, "post", "/explain")


def test_a_body_that_is_not_json_and_another_site_are_refused(client):
    body, kind = json.dumps({"attributes": {}}).encode(), {"Content-Type": "application/json"}
    assert_problem(client.request("POST", "/explain", body, {"Content-Type": "text/plain"}), 415)
    for headers in ({"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"}):
        assert_problem(client.request("POST", "/explain", body, {**kind, **headers}), 403)
    assert_problem(client.request("POST", "/explain", body, {**kind, "Host": "evil.example"}), 421)


def test_at_most_a_thousand_policies_are_shown_and_those_that_apply_always(start_agent):
    policies = {f"p{number}": {**bucket(5), "match": {"path": f"/{number}"}}
                for number in range(1200)}
    agent = start_agent(http=True, policies=json.dumps({"policies": policies}))
    with HttpClient(agent) as client:
        explanation = explain(client, src="192.0.2.1", path="/1150")

    assert len(explanation["policies"]) == 1000
    assert explanation["policies_left_out"] == 200
    assert [policy["policy"] for policy in explanation["policies"] if policy["applies"]] == \
        ["p1150"]


def test_a_store_that_is_away_is_seen(start_agent):
    agent = start_agent("--on-error", "deny", http=True, store="redis://127.0.0.1:1",
                        policies=POLICIES)
    with HttpClient(agent) as client:
        explanation = explain(client, src="192.0.2.1")

    assert explanation["verdict"]["reason"] == "error"
    assert "remaining" not in policy_of(explanation, "per-ip")
