"""PUT, GET and DELETE /exceptions, and block, allow, raise and exceptions: who may, what a request
gets then, in which order, and what is refused."""

import hashlib
import json
import re
import urllib.parse

import pytest

from agent import bucket, policies_text, run, window
from cases import named
from http_client import HttpClient, assert_problem
from processes import wait_until
from test_admin_tokens import ANN, UnixClient, admin_file, bearer  # pylint: disable=unused-import
from test_http_openapi import assert_is_described

POLICIES = policies_text(
    per_ip=bucket(3), login={**window(2), "match": {"path": "/login"}},
    pair=window(5, key=["src", "user"]), everybody={**window(9, key=[]), "match": {"all": "1"}},
    quiet={**window(1, key=["user"]), "shadow": True},
    tenant={**window(4, "1d", "fixed_window", ["tenant"]), "overrides": [
        {"match": {"tenant": "acme"}, "limit": 9}, {"match": {"tenant": "in-*"}, "unlimited": True},
        {"match": {"tenant": "bad"}, "blocked": True}]})
LISTS = {"allow": [{"src": "198.51.100.1"}], "block": [{"src": "198.51.100.0/24"}]}


class Operator(HttpClient):
    """Who has an admin's token."""

    def request(self, method, path, body=None, headers=None):
        return super().request(method, path, body, {**bearer(ANN), **(headers or {})})

    def change(self, method, policy, body, names):
        path = "/exceptions" + (f"/{policy}" if policy else "")
        text = None if body is None else json.dumps(body)
        headers = {} if body is None else {"Content-Type": "application/json"}
        return self.request(method, f"{path}?{urllib.parse.urlencode(names)}", text, headers)

    def set(self, policy=None, body=None, **names):
        answer = self.change("PUT", policy, body or {"blocked": True}, names)
        assert answer.status == 200, answer
        assert_is_described(answer, "put", "/exceptions/{policy}" if policy else "/exceptions")
        return answer.json

    def listed(self, **names):
        answer = self.request("GET", "/exceptions?" + urllib.parse.urlencode(names))
        assert answer.status == 200, answer
        assert_is_described(answer, "get", "/exceptions")
        return answer.json["exceptions"]

    def remove(self, exception):
        answer = self.change("DELETE", None, None, {"id": exception["id"]})
        assert answer.status == 200, answer
        assert_is_described(answer, "delete", "/exceptions")
        return answer.json

    def verdict(self, **attributes):
        answer = self.check(attributes=attributes)
        explained = self.request("POST", "/explain", json.dumps({"attributes": attributes}),
                                 {"Content-Type": "application/json"})
        assert_is_described(explained, "post", "/explain")
        return answer.json

    def reason(self, **attributes):
        return self.verdict(**attributes)["reason"]


@pytest.fixture
def start(start_agent, admin_file):  # pylint: disable=redefined-outer-name
    def start_operated(*arguments, policies=POLICIES, **options):
        return start_agent("--admin-token-file", admin_file, *arguments, http=True,
                           policies=policies, **options)
    return start_operated


@pytest.fixture
def client(start):
    with Operator(start()) as client:
        yield client


def with_lists(**more):
    return json.dumps({**json.loads(POLICIES), **LISTS, **more})


# --- what a request gets -------------------------------------------------------------------------

def test_a_block_denies_until_it_ends_or_is_removed(client):
    exception = client.set(src="192.0.2.1", body={"blocked": True, "for": "1h", "note": "scans"})

    verdict = client.verdict(src="192.0.2.1")
    assert (verdict["reason"], verdict["policy"], verdict["limit"]) == ("blocked", "blocked", 0)
    assert 3_500_000 < verdict["retry_after_ms"] <= 3_600_000
    assert verdict["reset_ms"] <= verdict["retry_after_ms"]
    named_policy = client.check(policy="per-ip", key="192.0.2.1").json
    assert named_policy["reason"] == "blocked"
    assert client.reason(src="192.0.2.2") == "ok"
    assert exception["scope"] == "this agent" and exception["overruled_by"] == []
    assert (exception["who"], exception["note"], exception["void"]) == ("ann", "scans", False)
    removed = client.remove(exception)
    assert removed["removed"] and removed["names"] == {"src": "192.0.2.1"}
    assert client.reason(src="192.0.2.1") == "ok"


def test_a_block_without_an_end_waits_for_ever(client):
    client.set("per-ip", src="192.0.2.1")

    verdict = client.verdict(src="192.0.2.1")
    assert (verdict["reason"], verdict["policy"]) == ("blocked", "per-ip")
    assert (verdict["retry_after_ms"], verdict["reset_ms"]) == (-1, -1)


def test_an_exception_ends_by_itself(client):
    client.set(src="192.0.2.1", body={"blocked": True, "for": "300ms"})

    wait_until(lambda: client.reason(src="192.0.2.1") == "ok", "the end of the block")
    assert client.listed() == []
    wait_until(lambda: "\nratelimit_exceptions 0\n" in client.get("/metrics").body.decode(), "the metric")


def test_allow_takes_the_check_away(client):
    client.set("per-ip", {"unlimited": True}, src="192.0.2.1")
    client.set(None, {"unlimited": True}, user="root")

    assert client.reason(src="192.0.2.1") == "none"
    assert client.reason(src="192.0.2.2", user="root") == "none"
    assert client.reason(src="192.0.2.2") == "ok"


def test_raise_keeps_what_is_used_whatever_override_holds(client):
    for tenant, used in (("plain", 4), ("acme", 9)):
        for _ in range(used):
            assert client.verdict(tenant=tenant)["allowed"]
        assert not client.verdict(tenant=tenant)["allowed"]
        client.set("tenant", {"limit": 20}, tenant=tenant)
        verdict = client.verdict(tenant=tenant)
        assert (verdict["limit"], verdict["remaining"]) == (20, 20 - used - 1)
    for tenant in ("in-side", "bad"):
        client.set("tenant", {"limit": 2}, tenant=tenant)
        assert client.verdict(tenant=tenant)["limit"] == 2


def test_the_headers_have_the_numbers_of_the_exception(client):
    policy = "ratelimit-policy"
    assert client.check(attributes={"tenant": "x"}).headers[policy] == '"tenant";q=4;w=86400'

    client.set("tenant", {"limit": 20}, tenant="x")
    assert client.check(attributes={"tenant": "x"}).headers[policy] == '"tenant";q=20;w=86400'


def test_numbers_of_a_bucket_and_of_an_inline_policy(client):
    client.set("per-ip", {"capacity": 10}, src="192.0.2.1")
    client.set("per-ip", {"refill_rate": "7/1h"}, key="192.0.2.2")
    numbers = {"algorithm": "fixed_window", "limit": 3, "window": "1h", "key": "x"}
    client.set("inline", {"limit": 30}, **numbers)

    assert client.verdict(src="192.0.2.1")["limit"] == 10
    assert client.verdict(src="192.0.2.2")["limit"] == 3
    assert client.check(**numbers).json["remaining"] == 29
    assert client.check(**{**numbers, "limit": 4}).json["remaining"] == 3


def test_a_block_denies_in_shadow_too(start):
    with Operator(start("--shadow-all", "on", policies=with_lists())) as client:
        client.set("quiet", user="mallory")
        client.set(src="192.0.2.0/24")

        assert client.reason(user="mallory") == "blocked"
        assert client.reason(src="192.0.2.200") == "blocked"
        assert client.reason(src="198.51.100.2") == "shadow"


def test_the_order_of_exceptions_and_lists(start):
    with Operator(start(policies=with_lists())) as client:
        assert client.reason(src="198.51.100.1") == "none"
        assert client.reason(src="198.51.100.2") == "blocked"
        of_policy = client.set("per-ip", {"unlimited": True}, src="198.51.100.2")
        assert of_policy["overruled_by"] == ["block list"]
        assert client.set("per-ip", src="198.51.100.1")["overruled_by"] == ["allow list"]
        assert client.reason(src="198.51.100.2") == "blocked"
        wide = client.set(None, {"unlimited": True}, src="198.51.0.0/16")
        assert client.reason(src="198.51.100.2") == "none"
        longer = client.set(None, {"blocked": True}, src="198.51.100.0/24")
        assert client.reason(src="198.51.100.1") == client.reason(src="198.51.100.2") == "blocked"
        assert client.reason(src="198.51.1.1") == "none"
        more = client.set(None, {"unlimited": True}, src="198.51.0.0/16", user="ann")
        assert client.reason(src="198.51.100.2", user="ann") == "none"
        again = client.set(None, {"blocked": True}, src="198.51.0.0/16")
        assert again["id"] == wide["id"]
        assert again["overruled_by"] == sorted(f"exception {e['id']}" for e in (longer, more))


def test_a_key_is_overruled_as_the_one_name_that_it_stands_for(start):
    with Operator(start(policies=with_lists())) as client:
        by_key = {listed: client.set("per-ip", key=address)["overruled_by"] for listed, address in
                  (("allow", "198.51.100.1"), ("block", "198.51.100.2"), ("neither", "192.0.2.7"))}
        assert by_key == {"allow": ["allow list"], "block": ["block list"], "neither": []}
        wide = client.set(None, {"unlimited": True}, src="192.0.2.0/24")
        for names in ({"src": "192.0.2.7"}, {"key": "192.0.2.7"}):
            of_policy = client.set("login", **names)
            assert of_policy["overruled_by"] == [f"exception {wide['id']}"]
        assert client.check(policy="login", key="192.0.2.7").json["reason"] == "none"
        assert client.set("pair", key="192.0.2.7")["overruled_by"] == []


def test_of_equals_the_newer_holds(client):
    client.set(None, {"unlimited": True}, a="1")
    client.set(None, {"blocked": True}, b="1")
    assert client.reason(a="1", b="1", src="192.0.2.1") == "blocked"
    client.set(None, {"unlimited": True}, a="1")
    assert client.reason(a="1", b="1", src="192.0.2.1") == "none"


def test_one_exception_a_client_and_the_later_one_holds(client):
    first = client.set("login", src="192.0.2.1")
    second = client.set("login", {"limit": 7}, key="192.0.2.1")

    assert first["id"] == second["id"] and len(client.listed()) == 1
    assert client.verdict(src="192.0.2.1", path="/login")["allowed"]


def test_addresses_are_those_of_requests(client):
    client.set(src="::ffff:192.0.2.1")
    client.set("per-ip", src="[2001:db8::1]:443")

    assert client.reason(src="192.0.2.1:4711") == "blocked"
    assert client.reason(src="2001:db8:0:0:1::") == "blocked", "the policy cuts to a /64"
    assert client.reason(src="2001:db8:0:1::1") == "ok"
    assert client.reason(src="192.0.2.2") == "ok"


def test_explain_says_which_exception_and_what_it_overrules(client):
    allowed = client.set("per-ip", {"unlimited": True}, src="192.0.2.1")
    everywhere = client.set(src="192.0.2.0/24")

    def explain(**attributes):
        answer = client.request("POST", "/explain", json.dumps({"attributes": attributes}),
                                {"Content-Type": "application/json"}).json
        return answer, {p["policy"]: p for p in answer["policies"]}["per-ip"]

    answer, policy = explain(src="192.0.2.1")
    assert answer["exception"]["id"] == everywhere["id"]
    assert policy["why"] == f"exception {everywhere['id']}: blocked; it overrules " \
                            f"exception {allowed['id']}: unlimited"
    client.remove(everywhere)
    answer, policy = explain(src="192.0.2.1")
    assert "exception" not in answer
    assert policy["why"] == f"exception {allowed['id']}: unlimited"
    raised = client.set("per-ip", {"capacity": 50}, src="192.0.2.1")
    answer, policy = explain(src="192.0.2.1")
    assert policy["applies"] and policy["limit"] == 50
    assert policy["exception"]["id"] == raised["id"]


# --- policies that change ------------------------------------------------------------------------

def test_an_exception_whose_policy_changes_is_void_until_it_fits_again(start):
    agent = start()
    with Operator(agent) as client:
        client.set("tenant", tenant="x")
        client.set("per-ip", src="192.0.2.1")

        def void_by_policy():
            return {e["policy"]: e["void"] for e in client.listed()}

        for policies, is_void in (
                (policies_text(per_ip=bucket(3)), True),
                (policies_text(per_ip=bucket(3), tenant=bucket(5, key=["tenant"])), True),
                (policies_text(per_ip=bucket(3), tenant=window(4, "1d", "fixed_window",
                                                               ["tenant", "src"])), True),
                (POLICIES, False)):
            agent.policy_file.write_text(policies)
            wait_until(lambda void=is_void: void_by_policy()["tenant"] == void, "the reload")
            assert void_by_policy()["per-ip"] is False
            assert client.reason(src="192.0.2.1") == "blocked"
        assert client.reason(tenant="x") == "blocked"


# --- what is refused -----------------------------------------------------------------------------

BLOCKED = {"blocked": True}


BAD = {
    "no names": (None, {}, BLOCKED, 400, "names are missing"),
    "a name is missing": ("pair", {"src": "192.0.2.1"}, BLOCKED, 400, "an attribute is missing"),
    "no name of the key": ("login", {"user": "x"}, BLOCKED, 400, '"user": not accepted'),
    "an unknown policy": ("nope", {"src": "x"}, BLOCKED, 404, 'policy: "nope" is unknown'),
    "a policy without a name": ("%20", {"src": "x"}, BLOCKED, 404, "is unknown"),
    "a time in the past": (None, {"src": "x"},
          {"blocked": True, "until": "2020-01-01T00:00:00Z"}, 400, "until: the time is in the past"),
    "no time": (None, {"src": "x"}, {"blocked": True, "until": "tomorrow"}, 400, "until: "),
    "30th of February": (None, {"src": "x"},
          {"blocked": True, "until": "2099-02-30T00:00:00Z"}, 400, "until: "),
    "no duration": (None, {"src": "x"}, {"blocked": True, "for": "soon"}, 400, "for: "),
    "a duration of 0": (None, {"src": "x"}, {"blocked": True, "for": "0s"}, 400, "for: "),
    "for and until": (None, {"src": "x"},
          {"blocked": True, "for": "1h", "until": "2099-01-01T00:00:00Z"}, 400, "for and until"),
    "nothing": (None, {"src": "x"}, {}, 400, "accepted is one of"),
    "two things": (None, {"src": "x"}, {"blocked": True, "unlimited": True}, 400, "one of"),
    "not blocked": (None, {"src": "x"}, {"blocked": False}, 400, "blocked: accepted is true"),
    "numbers without a policy": (None, {"src": "x"}, {"limit": 5}, 400, "with a policy only"),
    "numbers of another algorithm": ("login", {"src": "x"}, {"capacity": 5}, 400,
          "capacity: is not a number of a sliding_window"),
    "a limit of a bucket": ("per-ip", {"src": "x"}, {"limit": 5}, 400, "limit: is not a number"),
    "a limit of 0": ("login", {"src": "x"}, {"limit": 0}, 400, "limit: accepted is"),
    "a limit that is text": ("login", {"src": "x"}, {"limit": "5"}, 400, "limit: accepted is"),
    "a limit that the algorithm does not have": ("login", {"src": "x"}, {"limit": 1000001}, 400,
          "at most 1000000"),
    "no rate": ("per-ip", {"src": "x"}, {"refill_rate": -1}, 400, "refill_rate: accepted is"),
    "a wide network": (None, {"src": "10.0.0.0/7"}, BLOCKED, 400, "wider than /8"),
    "a wide network of IPv6": (None, {"src": "2001::/23"}, BLOCKED, 400, "wider than /24"),
    "no network": (None, {"src": "10.0.0.0/33"}, BLOCKED, 400, "is no network"),
    "no length": (None, {"src": "10.0.0.0/"}, BLOCKED, 400,
          'src: "10.0.0.0/" is no address and no network; accepted are such as "192.0.2.1"'),
    "a length of letters": (None, {"src": "10.0.0.0/x"}, BLOCKED, 400, "no address and no network"),
    "no address": (None, {"src": "10.0.0.300"}, BLOCKED, 400, "no address and no network"),
    "a short address": (None, {"src": "10.0.0"}, BLOCKED, 400, "no address and no network"),
    "a short network": (None, {"src": "10.0.0/24"}, BLOCKED, 400, "no address and no network"),
    "a port that is none": (None, {"src": "10.0.0.1:99999"}, BLOCKED, 400, "no address and"),
    "no address of IPv6": (None, {"src": "2001:db8::1::"}, BLOCKED, 400, "no address and"),
    "no address of a policy": ("login", {"src": "10.0.0.300"}, BLOCKED, 400, "no address and"),
    "no length of a policy": ("login", {"src": "10.0.0.0/"}, BLOCKED, 400, "no address and"),
    "no address as key": ("login", {"key": "10.0.0.300"}, BLOCKED, 400,
          'key: "10.0.0.300" is no address'),
    "no address is raised": ("login", {"src": "10.0.0.300"}, {"limit": 9}, 400, "no address and"),
    "a network of a policy": ("login", {"src": "10.0.0.0/24"}, BLOCKED, 400,
          "without a policy only"),
    "everybody": ("everybody", {}, BLOCKED, 400, "--wide"),
    "a file": (None, {"src": "@list.txt"}, BLOCKED, 400, "a file is not accepted"),
    "a reserved name": (None, {"cost": "5"}, BLOCKED, 400, "cost: is no attribute"),
    "key without a policy": (None, {"key": "x"}, BLOCKED, 400, "key: is no attribute"),
    "deny_status": (None, {"src": "x", "deny_status": "403"}, BLOCKED, 400, "deny_status"),
    "inline without numbers": ("inline", {"key": "x"}, BLOCKED, 400, "algorithm: missing"),
    "an unknown field": (None, {"src": "x"}, {"blocked": True, "x": 1}, 400, "unknown field"),
    "a long note": (None, {"src": "x"}, {"blocked": True, "note": "x" * 501}, 400, "500 bytes"),
    "long values": (None, {"src": "x" * 5000}, BLOCKED, 400, "too long"),
    "many names": (None, {f"n{i}": "x" for i in range(17)}, BLOCKED, 400, "16 attributes"),
}


@pytest.mark.parametrize("policy, names, body, status, why", named(BAD))
def test_a_bad_change_is_refused_with_its_reason(client, policy, names, body, status, why):
    answer = client.change("PUT", policy, body, names)

    assert_problem(answer, status)
    assert why in answer.json["detail"]
    assert_is_described(answer, "put", "/exceptions/{policy}" if policy else "/exceptions")
    assert client.listed() == []
    assert client.reason(src="x", tenant="y") == "ok"


def test_texts_that_no_address_was_meant_by_and_all_forms_of_addresses_are_accepted(client):
    for names in ({"src": "unix"}, {"src": "1234"}, {"src": "host.example"},
                  {"src": "192.0.2.1:4711"}, {"src": "[2001:db8::1]:443"}, {"src": "fe80::1%eth0"},
                  {"src": "::ffff:10.0.0.0/104"}, {"tenant": "10.0.0.300"}, {"path": "10.0.0.0/"}):
        client.set(None, {"blocked": True}, **names)
        assert client.reason(**{name: value.replace("/104", "") for name, value in names.items()}) \
            == "blocked", names
    client.set("tenant", {"blocked": True}, tenant="10.0.0.300")
    assert client.reason(tenant="10.0.0.300") == "blocked"


def test_bodies_and_ids_that_are_refused(client):
    headers = {"Content-Type": "application/json"}
    for text in ("", "[]", "{", '{"blocked":true,"blocked":true}'):
        assert_problem(client.request("PUT", "/exceptions?src=x", text, headers), 400)
    assert_problem(client.request("PUT", "/exceptions?src=x", '{"blocked":true}'), 415)
    assert_problem(client.request("PUT", "/exceptions?src=x&src=y", '{"blocked":true}', headers), 400)
    for query, status in (("", 400), ("?id=", 404), ("?id=0123456789abcdef", 404), ("?src=x", 400)):
        answer = client.request("DELETE", f"/exceptions{query}")
        assert_problem(answer, status)
        assert_is_described(answer, "delete", "/exceptions")
    assert client.listed() == []


def test_what_wide_allows(client):
    wide = {"blocked": True, "wide": True}
    client.set(None, wide, src="0.0.0.0/0")
    assert client.reason(src="203.0.113.9") == "blocked"
    client.remove(client.listed()[0])
    client.set("everybody", wide)
    assert client.reason(all="1") == "blocked"


def test_sets_of_names_and_lengths_of_networks_are_bounded(client):
    for i in range(8):
        client.set(**{f"name{i}": "x"})
    refused = client.change("PUT", None, BLOCKED, {"src": "192.0.2.1"})
    assert_problem(refused, 409)
    assert "8 different sets" in refused.json["detail"]
    client.set(name0="y")
    for exception in client.listed():
        client.remove(exception)
    for length in range(9, 25):
        client.set(src=f"10.0.0.0/{length}")
    client.set(src="10.1.0.0/16")
    for network in ("10.0.0.0/25", "10.0.0.1", "2001:db8::/32"):
        refused = client.change("PUT", None, BLOCKED, {"src": network})
        assert_problem(refused, 409)
        assert "16 different lengths" in refused.json["detail"]
    client.set(src="anything else")
    assert client.reason(src="10.0.0.1") == "blocked"


# --- who may -------------------------------------------------------------------------------------

REFUSED = [("PUT", "/exceptions?src=x"), ("PUT", "/exceptions/per-ip?src=x"),
           ("DELETE", "/exceptions?id=x")]


def test_changes_want_an_admin(start_agent, admin_file, tmp_path):  # pylint: disable=redefined-outer-name
    asker = tmp_path / "asker"
    asker.write_text("ask\n")
    agent = start_agent("--admin-token-file", admin_file, "--http-token-file", asker, "--http-listen",
                        f"127.0.0.1:0,unix:{tmp_path}/http.sock", policies=POLICIES)
    headers, tcp = {"Content-Type": "application/json"}, agent.listening("http", 2)[0]

    def asks(method, path, token):
        for client in (HttpClient(agent, tcp), UnixClient(f"{tmp_path}/http.sock")):
            with client:
                yield client.request(method, path, '{"blocked":true}', {**headers, **token})

    for token in ({}, bearer("wrong"), bearer("ask")):
        for method, path in REFUSED:
            for answer in asks(method, path, token):
                assert_problem(answer, 403)
        for answer in asks("GET", "/exceptions", token):
            assert answer.status == 401
    with HttpClient(agent, tcp) as client:
        site = {"Sec-Fetch-Site": "cross-site", **headers, **bearer(ANN)}
        assert_problem(client.request("PUT", "/exceptions?src=x", '{"blocked":true}', site), 403)
        assert client.request("GET", "/exceptions", headers=bearer(ANN)).json["exceptions"] == []


def test_each_change_is_logged_with_who_and_counted(start):
    agent = start()
    with Operator(agent) as client:
        exception = client.set("login", {"limit": 9, "for": "1h"}, src="192.0.2.1")
        event = agent.wait_for_event("exception_set")
        assert (event["id"], event["who"], event["policy"]) == (exception["id"], "ann", "login")
        assert event["from"].startswith("127.0.0.1:") and event["until"] == exception["until"]
        assert event["key_hash"] == hashlib.sha256(b"192.0.2.1").hexdigest()
        metrics = client.get("/metrics").body.decode()
        assert "\nratelimit_exceptions 1\n" in metrics
        client.remove(exception)
        removed = agent.wait_for_event("exception_removed")
        assert removed["who"] == "ann"
        assert [removed[name] for name in ("id", "key_hash")] == \
            [event[name] for name in ("id", "key_hash")]
        metrics = client.get("/metrics").body.decode()
        assert 'ratelimit_exception_changes_total{change="set"} 1' in metrics
        assert 'ratelimit_exception_changes_total{change="removed"} 1' in metrics
        assert "192.0.2.1" not in json.dumps([event, removed])


def test_with_hash_keys_no_value_is_kept(start):
    with Operator(start("--hash-keys", "on")) as client:
        client.set("per-ip", src="192.0.2.1")
        client.set(user="mallory", path="/x")
        refused = client.change("PUT", None, BLOCKED, {"src": "192.0.2.0/24"})
        assert_problem(refused, 400)

        assert client.reason(src="192.0.2.1") == "blocked"
        assert client.reason(user="mallory", path="/x") == "blocked"
        assert client.reason(user="mallory", path="/y") != "blocked"
        text = json.dumps(client.listed())
        assert "192.0.2.1" not in text and "mallory" not in text
        assert hashlib.sha256(b"mallory").hexdigest() in text
        assert len(client.listed(user="mallory")) == len(client.listed(src="192.0.2.1")) == 1


# --- the list and the commands -------------------------------------------------------------------

def test_the_list_comes_in_pieces_and_by_names(start, tmp_path):
    agent = start()
    with Operator(agent) as client:
        for i in range(1005):
            client.change("PUT", "per-ip", BLOCKED, {"src": f"10.0.{i // 256}.{i % 256}"})
        client.set(src="192.0.2.0/24")
        answer = client.request("GET", "/exceptions").json
        assert len(answer["exceptions"]) == 1000 and answer["count"] == 1006
        rest = client.listed(after=answer["next"])
        ids = [e["id"] for e in answer["exceptions"] + rest]
        assert len(ids) == 1006 and ids == sorted(set(ids))
        assert [e["names"]["src"] for e in client.listed(src="192.0.2.7")] == ["192.0.2.0/24"]
        assert [e["names"]["src"] for e in client.listed(src="10.0.3.1")] == ["10.0.3.1"]
        assert client.listed(src="10.0.3.1", user="x") == []
        token = tmp_path / "token"
        token.write_text(ANN)
        done = run("exceptions", "--json", "--agent", f"http://{agent.http_address}",
                   "--token-file", token)
        assert done.returncode == 0, done
        assert [e["id"] for e in json.loads(done.stdout)["exceptions"]] == ids


@pytest.fixture
def ask(start_agent, tmp_path):
    start_agent("--admin-listen", f"unix:{tmp_path}/admin.sock", policies=POLICIES)
    return lambda *arguments: run(*arguments, env={
        "RATELIMIT_AGENT": f"unix:{tmp_path}/admin.sock"})


def test_the_commands_set_list_and_remove(ask):
    done = ask("block", "src=192.0.2.1", "--for", "1h", "--note", "a\x1b[31mü")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("set on this agent:\n")
    assert re.search(r"block +\(all\) +src=192\.0\.2\.1 .* a\\x1b\[31mü$", done.stdout, re.MULTILINE)
    raised = ask("raise", "login", "src=192.0.2.1", "limit=50")
    assert "overruled, at least for a part of its requests, by: exception " in raised.stdout
    again = ask("raise", "inline", "algorithm=fixed_window", "limit=3", "window=1h", "key=x",
                "limit=9", "--json")
    assert json.loads(again.stdout)["names"]["limit"] == "3"
    assert json.loads(again.stdout)["limit"] == 9
    assert ask("allow", "pair", "src=192.0.2.1", "user=ann", "--until",
               "2099-01-01T00:00:00Z").returncode == 0
    assert ask("block", "src=10.0.0.0/7", "--wide").returncode == 0
    listed = json.loads(ask("exceptions", "--json").stdout)["exceptions"]
    assert len(listed) == 5
    shown = ask("exceptions").stdout
    for exception in listed:
        assert exception["id"] in shown
        assert ask("exceptions", "--remove", exception["id"]).returncode == 0
    assert ask("exceptions").stdout.endswith("there is none\n")


@pytest.mark.parametrize("arguments, status, why", [
    (["block"], 2, "names are missing"), (["raise", "src=x"], 2, "the policy is missing"),
    (["raise", "login", "src=x"], 2, "the numbers are missing"), (["block", "login", "x"], 2, "name="),
    (["block", "src=x", "--for", "1h", "--until", "2099-01-01T00:00:00Z"], 2, "--for and --until"),
    (["exceptions", "--remove", "x", "src=y"], 2, "alone"), (["block", "src=x", "--nope"], 2, "no such"),
    (["exceptions", "--remove", "x"], 1, "404 "), (["block", "login", "user=x"], 1, "400 "),
    (["raise", "nope", "src=x", "limit=5"], 1, "404 "), (["block", "src=10.0.0.0/7"], 1, "--wide")],
    ids=str)
def test_what_the_commands_refuse(ask, arguments, status, why):
    done = ask(*arguments)

    assert (done.returncode, done.stdout) == (status, "")
    assert why in done.stderr and len(done.stderr.splitlines()) == 1
