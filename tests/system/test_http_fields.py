"""RateLimit and RateLimit-Policy, read by a parser of structured fields that is not ours.

The draft (draft-ietf-httpapi-ratelimit-headers-10) makes both a List of Strings with parameters,
RFC 9651: `q` and `w` of a policy, `r` and `t` of what is left; `qu` and `pk` are left out.
"""

import json
import subprocess

import pytest

from agent import bucket, policies_text, window
from http_client import HttpClient
from processes import PATIENCE, ROOT

# npm may have to wait for its registry.
pytestmark = pytest.mark.timeout(600)

PARSER = ROOT / "tests/system/structured-fields"


@pytest.fixture(scope="module")
def parse(tmp_path_factory):
    """Parses values of fields, by the parser that package-lock.json names."""
    folder = tmp_path_factory.mktemp("structured-fields")
    for file in PARSER.iterdir():
        (folder / file.name).write_text(file.read_text())
    subprocess.run(["npm", "ci", "--no-audit", "--no-fund", "--fetch-retries=5"], cwd=folder,
                   check=True, timeout=300)

    def parsed(*values):
        done = subprocess.run(["node", "parse.js"], input=json.dumps(values), cwd=folder, text=True,
                              capture_output=True, timeout=PATIENCE, check=False)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)
    return parsed


def fields(answer):
    return answer.headers["ratelimit"], answer.headers["ratelimit-policy"]


def test_the_parser_refuses_what_is_no_list(parse):
    with pytest.raises(AssertionError):
        parse('"a";r=1;;t=2')


def test_all_policies_in_both_the_named_one_first(start_agent, parse):
    agent = start_agent(http=True, policies=policies_text(
        wide=window(100, "1h"), narrow=bucket(3, "1/20s"), shady={**window(1, "1m"), "shadow": True}))
    with HttpClient(agent) as client:
        answer = client.post({"attributes": {"src": "192.0.2.1"}})

    assert parse(*fields(answer)) == [
        [["narrow", {"r": 2, "t": 20}], ["wide", {"r": 99, "t": 3600}]],
        [["narrow", {"q": 3, "w": 60}], ["wide", {"q": 100, "w": 3600}]]]


def test_a_denial_says_when(start_agent, parse):
    agent = start_agent(http=True, policies=policies_text(
        one=bucket(1, "1/20s"), wide=window(100, "1h")))
    with HttpClient(agent) as client:
        client.post({"attributes": {"src": "192.0.2.1"}})
        answer = client.post({"attributes": {"src": "192.0.2.1"}})

    assert answer.status == 429
    limits, policies = parse(*fields(answer))
    assert limits == [["one", {"r": 0, "t": int(answer.headers["retry-after"])}],
                      ["wide", {"r": 99}]]  # one that did not deny has no `t` then
    assert policies == [["one", {"q": 1, "w": 20}], ["wide", {"q": 100, "w": 3600}]]


@pytest.mark.parametrize("policy, told", [
    (window(5, "500ms"), {"q": 5}), (window(5, 1), {"q": 5, "w": 1}),
    (window(5, "1500ms"), {"q": 5, "w": 2}), (window(5, "1ms"), {"q": 5}),
    (bucket(10, 100), {"q": 10}), (bucket(10, 3), {"q": 10, "w": 4}),
    (window(10**6, "3650d"), {"q": 10**6, "w": 3650 * 86400})])
def test_w_is_whole_seconds_and_left_out_under_one(start_agent, parse, policy, told):
    agent = start_agent(http=True, policies=policies_text(p=policy))
    with HttpClient(agent) as client:
        answer = client.post({"attributes": {"src": "192.0.2.1"}})

    assert parse(answer.headers["ratelimit-policy"]) == [[["p", told]]]


def test_t_is_left_out_when_nothing_was_taken(start_agent, parse):
    agent = start_agent(http=True, policies=policies_text(p=window(5, "1m")))
    with HttpClient(agent) as client:
        answer = client.post({"attributes": {"src": "192.0.2.1"}, "cost": 0})

    assert parse(answer.headers["ratelimit"]) == [[["p", {"r": 5}]]]


def test_names_of_every_character_that_a_policy_may_have(start_agent, parse):
    name = "A-Z.a_z-0123456789"
    text = json.dumps({"policies": {name: window(5, "1m"), "x" * 64: window(6, "1m")}})
    with HttpClient(start_agent(http=True, policies=text)) as client:
        answer = client.post({"attributes": {"src": "192.0.2.1"}})

    assert [[item for item, _ in values] for values in parse(*fields(answer))] == [
        [name, "x" * 64]] * 2


def test_an_inline_policy(client, parse):
    answer = client.post({"key": "k", "algorithm": "token_bucket", "capacity": 10,
                          "refill_rate": 0.5})

    assert parse(*fields(answer)) == [[["inline", {"r": 9, "t": 2}]], [["inline", {"q": 10, "w": 20}]]]


def test_the_largest_numbers_are_integers_of_the_field(start_agent, parse):
    """RFC 8941 has 15 digits: a parser throws the field away at the sixteenth."""
    most = 10**15 - 1
    agent = start_agent(http=True, policies=policies_text(
        p=window(most, "3650d", "fixed_window"), q=bucket(most, 10**6)))
    with HttpClient(agent) as client:
        answer = client.post({"attributes": {"src": "192.0.2.1"}})
        inline = client.post({"key": "k", "algorithm": "fixed_window", "limit": most, "window": 1})
        refused = client.post({"key": "k", "algorithm": "fixed_window", "limit": 10**15,
                               "window": 1})

    for answered in (answer, inline):
        limits, policies = parse(*fields(answered))
        assert {parameters["r"] for _, parameters in limits} == {most - 1}
        assert {parameters["q"] for _, parameters in policies} == {most}
    assert refused.status == 400
    assert "limit is not a whole number from 1 to 999999999999999" in refused.json["detail"]


def test_sixteen_with_long_names_are_whole_lists(start_agent, parse):
    """HAProxy gets at most 700 bytes of answer, HTTP more; either is a list, and both the same."""
    names = [f"{n:02}{'x' * 62}" for n in range(16)]
    text = json.dumps({"policies": {name: window(5, "1m") for name in names}})
    agent = start_agent(http=True, policies=text)
    with HttpClient(agent) as client, agent.connect() as peer:
        answer = client.post({"attributes": {"src": "192.0.2.1"}})
        verdict = peer.ask(src="192.0.2.1")

    over_http = [[name for name, _ in values] for values in parse(*fields(answer))]
    over_spop = [[name for name, _ in values]
                 for values in parse(verdict.ratelimit, verdict.ratelimit_policy)]
    assert over_http[0] == over_http[1] and over_http[0] == names[:len(over_http[0])]
    assert over_spop[0] == over_spop[1] and over_spop[0] == names[:len(over_spop[0])]
    assert over_spop[0] and len(over_spop[0]) < len(over_http[0])
