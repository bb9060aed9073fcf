"""Explain, and then the same request: both have the same verdict, by the same policies, whatever the
policies, lists, overrides, shadows and exceptions are, and wherever the balances are.

No time passes for these balances: windows last for years, and buckets fill in days. How long a wait
is, is left out: it is some microseconds shorter at the second time."""

import json
import os
import random

import pytest

from agent import window
from http_client import HttpClient
from processes import wait_until
from test_admin_tokens import ANN, admin_file, bearer  # pylint: disable=unused-import
from test_explain import without_times

SEED = int(os.environ.get("EXPLAIN_SEED", "17"))
LONG = "3650d"
SOURCES = ["192.0.2.1", "192.0.2.2", "198.51.100.7", "2001:db8::1"]
NETWORKS = ["192.0.2.1", "192.0.2.0/24", "198.51.0.0/16", "2001:db8::/32"]
PATHS = ["/login", "/"]
TENANTS = ["acme", "in-side", "bad", "dim", "other"]
VALUES = {"src": SOURCES, "path": PATHS, "tenant": TENANTS}
JSON = {"Content-Type": "application/json"}


def policies(lease, **more):
    leased = {"lease": lease} if lease else {}
    return json.dumps({**more, "policies": {
        "per-ip": {"algorithm": "token_bucket", "capacity": 20, "refill_rate": "1/1d", "key": ["src"],
                   **leased},
        "login": {**window(3, LONG, key=["src", "tenant"]), "match": {"path": "/login"},
                  "on_error": "deny"},
        "half": {**window(4, LONG, "sliding_window_counter"), "shadow": "50%", **leased},
        "tenant": {**window(12, LONG, "fixed_window", ["tenant"]), **leased, "overrides": [
            {"match": {"tenant": "acme"}, "limit": 18},
            {"match": {"tenant": "in-*"}, "unlimited": True},
            {"match": {"tenant": "bad"}, "blocked": True},
            {"match": {"tenant": "dim"}, "shadow": True}]}}})


LISTS = {"allow": [{"src": "192.0.2.1", "path": "/"}],
         "block": [{"src": "198.51.100.0/24", "path": "/"}, {"tenant": "bad", "path": "/login"}]}
STORES = {"memory": (False, None, "off"), "redis": (True, None, "off"),
          "redis with leases and denials": (True, "10s", "60s")}


class Pairs:
    """Random questions and changes."""

    def __init__(self, client, seed):
        self.client, self.chance, self.ids = client, random.Random(seed), []
        self.seen, self.late = {}, 0

    def is_one_in(self, count):
        return self.chance.randrange(count) == 0

    def question(self):
        asked = {"attributes": {name: self.chance.choice(values) for name, values in VALUES.items()
                                if not self.is_one_in(4)}}
        if self.is_one_in(3):
            asked["cost"] = self.chance.choice([0, 2, 3, 99])
        if self.is_one_in(8):
            asked |= {"policy": self.chance.choice(["per-ip", "tenant,per-ip"]),
                      "key": self.chance.choice(SOURCES + TENANTS)}
        elif self.is_one_in(16):
            asked |= {"algorithm": "fixed_window", "limit": 30, "window": LONG, "key": "x"}
        return asked

    def change(self):
        if self.ids and self.is_one_in(2):
            self.done("DELETE", f"/exceptions?id={self.ids.pop(0)}")
            return
        policy, names = self.chance.choice([
            ("", "src={net}"), ("", "path={path}&src={net}"), ("", "tenant={tenant}"),
            ("/per-ip", "src={src}"), ("/tenant", "tenant={tenant}"),
            ("/login", "src={src}&tenant={tenant}")])
        names = names.format(src=self.chance.choice(SOURCES), net=self.chance.choice(NETWORKS),
                             path=self.chance.choice(PATHS), tenant=self.chance.choice(TENANTS))
        numbers = {"/per-ip": {"capacity": 30}, "/tenant": {"limit": 30}, "/login": {"limit": 9}}
        what = self.chance.choice([{"blocked": True}, {"unlimited": True},
                                   numbers.get(policy, {"blocked": True})])
        answer = self.done("PUT", f"/exceptions{policy}?{names}", json.dumps(what), JSON)
        if answer.json["id"] not in self.ids:
            self.ids.append(answer.json["id"])

    def done(self, *request):
        """The answer, when the change is made; a 404 after a lost answer is one too. 503: the machine
        was too busy for Redis."""
        answer = wait_until(lambda: (given := self.client.request(*request)).status != 503 and given,
                            "an answer of Redis in time")
        assert answer.status in (200, 404), answer
        return answer

    def reset(self):
        policy, name, values = self.chance.choice([("per-ip", "src", SOURCES), ("half", "src", SOURCES),
                                                   ("tenant", "tenant", TENANTS)])
        self.done("DELETE", f"/balances/{policy}?{name}={self.chance.choice(values)}")

    def compare(self):
        asked = json.dumps(self.question())
        look = self.client.request("POST", "/explain", asked, JSON)
        real = self.client.request("POST", "/check", asked, JSON)
        assert look.status == 200, (asked, look)
        looked, answered = look.json["verdict"], real.json
        if looked["degraded"] or answered["degraded"]:  # the machine was too busy for Redis
            self.late += 1
            return
        assert without_times(looked) == without_times(answered), (asked, look.json)
        applied = [policy["policy"] for policy in look.json["policies"]
                   if policy["applies"] and not policy.get("skipped")]
        assert applied == [check["policy"] for check in answered["policies"]] or \
            look.json.get("exception") or look.json.get("list"), (asked, look.json, answered)
        self.seen[answered["reason"]] = self.seen.get(answered["reason"], 0) + 1


@pytest.mark.parametrize("pairs", [400, pytest.param(34_000, marks=[pytest.mark.long,
                                                                   pytest.mark.timeout(3000)])])
@pytest.mark.parametrize("with_lists", [False, True], ids=["overrides", "lists"])
@pytest.mark.parametrize("store", STORES)
def test_explain_and_the_verdict_agree(start_agent, admin_file, store_of, store, with_lists, pairs):  # pylint: disable=redefined-outer-name
    is_shared, lease, deny_cache = STORES[store]
    agent = start_agent("--admin-token-file", admin_file, "--store-timeout", "5s", "--deny-cache",
                        deny_cache, http=True, store=store_of(is_shared),
                        policies=policies(lease, **LISTS if with_lists else {}))
    if is_shared:
        agent.wait_for_store()
    with Operator(agent) as client:
        walk = Pairs(client, SEED)
        for number in range(pairs // 2):
            if number % 12 == 11:
                walk.change()
            if number % 4 == 3:
                walk.reset()
            walk.compare()

    print(f"{store}: {walk.seen}, {walk.late} late")
    assert walk.late < pairs // 4
    assert {"ok", "limited", "blocked", "none"} <= set(walk.seen), walk.seen


class Operator(HttpClient):
    """Who has an admin's token."""

    def request(self, method, path, body=None, headers=None):
        return super().request(method, path, body, {**bearer(ANN), **(headers or {})})


@pytest.fixture
def store_of(request):
    """A Redis's URL, or None for the agent's memory."""
    return lambda is_shared: request.getfixturevalue("redis").url if is_shared else None
