"""GET and DELETE /balances/POLICY: who may, what is shown, and what is forgiven, in memory and in
Redis."""

import json
import urllib.parse

import pytest

from agent import bucket, policies_text, run, window
from cases import named
from http_client import HttpClient, assert_problem
from processes import wait_until
from test_admin_tokens import ANN, UnixClient, admin_file, bearer  # pylint: disable=unused-import
from test_http_openapi import assert_is_described

POLICIES = policies_text(
    per_ip=bucket(3), login=window(2), counter=window(4, algorithm="sliding_window_counter"),
    pair=window(5, key=["src", "user"]), everybody=bucket(9, key=[]),
    large=window(100_000),
    tenant={**window(4, "1d", "fixed_window", ["tenant"]), "overrides": [
        {"match": {"tenant": "acme"}, "limit": 9}, {"match": {"plan": "gold"}, "limit": 50}]})


class Operated(HttpClient):
    def request(self, method, path, body=None, headers=None):
        return super().request(method, path, body, {**bearer(ANN), **(headers or {})})

    def balances(self, policy, method="GET", **names):
        answer = self.request(method, f"/balances/{policy}?" + urllib.parse.urlencode(names))
        assert answer.status == 200, answer
        assert_is_described(answer, method.lower(), "/balances/{policy}")
        return answer.json

    def used(self, policy, **names):
        return {b["terms"]: b["used"] for b in self.balances(policy, **names)["balances"]}


@pytest.fixture(params=["memory", "redis"])
def store(request):
    return request.getfixturevalue("redis").url if request.param == "redis" else None


@pytest.fixture
def start(start_agent, admin_file, store):  # pylint: disable=redefined-outer-name
    def start_operated():
        agent = start_agent("--admin-token-file", admin_file, "--store-timeout", "5s", http=True,
                            policies=POLICIES, store=store)
        return agent if store is None else agent.wait_for_store()
    return start_operated


@pytest.fixture
def client(start):
    with Operated(start()) as client:
        yield client


@pytest.mark.parametrize("policy", ["per-ip", "login", "counter", "large"])
def test_a_reset_forgives_and_says_what_was_used(client, store, policy):
    for _ in range(2):
        client.check(policy=policy, key="192.0.2.1")
    other = client.check(policy=policy, key="192.0.2.2")

    assert client.used(policy, src="192.0.2.1") == {"policy": 2}
    reset = client.balances(policy, "DELETE", src="192.0.2.1")

    assert (reset["reset"], reset["balances"][0]["used"]) == (1, 2)
    assert reset["scope"] == ("this agent" if store is None else "all agents")
    assert client.used(policy, src="192.0.2.1") == {}
    full = client.check(policy=policy, key="192.0.2.1", cost=0)
    assert full.json["reset_ms"] == 0
    assert client.check(policy=policy, key="192.0.2.2", cost=0).left == other.left
    again = client.balances(policy, "DELETE", src="192.0.2.1")
    assert (again["reset"], again["balances"]) == (0, [])


def test_a_log_of_a_large_limit_is_forgiven(client):
    for _ in range(3):
        client.post({"checks": [{"policy": "large", "key": "x", "cost": 3}] * 50})

    assert client.used("large", src="x") == {"policy": 450}
    client.balances("large", "DELETE", src="x")
    assert client.check(policy="large", key="x").left == 99_999


def test_each_override_with_numbers_has_a_balance(client):
    for attributes in ({"tenant": "acme"}, {"tenant": "x"}, {"tenant": "x", "plan": "gold"},
                       {"tenant": "x", "plan": "gold"}):
        client.check(attributes=attributes)

    assert client.used("tenant", tenant="acme") == {"overrides[0]": 1}
    assert client.used("tenant", key="x") == {"policy": 1, "overrides[1]": 2}
    assert client.balances("tenant", "DELETE", tenant="x")["reset"] == 2
    assert client.used("tenant", tenant="x") == {}


def raise_limit(client, policy, limit, **names):
    answer = client.request("PUT", f"/exceptions/{policy}?" + urllib.parse.urlencode(names),
                            json.dumps({"limit": limit}), {"Content-Type": "application/json"})
    assert answer.status == 200, answer
    return answer.json["id"]


def test_a_raise_in_force_has_the_numbers_of_its_balances(client, tmp_path):
    token = tmp_path / "token"
    token.write_text(ANN)
    for _ in range(2):
        client.check(attributes={"tenant": "x", "plan": "gold"})
    client.check(attributes={"tenant": "x"})
    exception = raise_limit(client, "tenant", 5000, tenant="x")
    inline = {"algorithm": "fixed_window", "limit": "3", "window": "1h", "key": "x"}
    client.check(**inline)

    balances = client.balances("tenant", tenant="x")["balances"]
    assert [(b["terms"], b["exception"], b["limit"], b["used"], b["remaining"])
            for b in balances] == [("policy", exception, 5000, 1, 4999),
                                   ("overrides[1]", exception, 5000, 2, 4998)]
    client.check(attributes={"tenant": "y"})
    assert "exception" not in client.balances("tenant", tenant="y")["balances"][0]
    assert "exception" not in client.balances("inline", **inline)["balances"][0]
    shown = run("balance", "tenant", "tenant=x", "--agent",
                f"http://{client.agent.http_address}", "--token-file", token)
    assert f"policy, raised by {exception}" in shown.stdout
    assert client.balances("tenant", "DELETE", tenant="x")["balances"][0]["limit"] == 5000
    assert client.used("tenant", tenant="x") == {}


def test_more_overrides_than_are_asked_for_at_once(start_agent, admin_file, store):
    overrides = [{"match": {"plan": str(i)}, "limit": i + 2} for i in range(700)]
    policies = policies_text(many={**window(1, "1d", "fixed_window"), "overrides": overrides})
    agent = start_agent("--admin-token-file", admin_file, "--store-timeout", "5s", http=True,
                        policies=policies, store=store)
    with Operated(agent if store is None else agent.wait_for_store()) as client:
        plans = [None, 0, 254, 255, 256, 511, 699]
        for plan in plans:
            client.check(attributes={"src": "192.0.2.1", **({} if plan is None else
                                                            {"plan": str(plan)})})
        used = client.used("many", src="192.0.2.1")
        assert used == {"policy" if plan is None else f"overrides[{plan}]": 1 for plan in plans}
        assert client.balances("many", "DELETE", src="192.0.2.1")["reset"] == len(plans)
        assert client.used("many", src="192.0.2.1") == {}


def test_keys_of_none_and_several_attributes_and_of_inline_policies(client):
    inline = {"algorithm": "token_bucket", "capacity": "5", "refill_rate": "1/1h", "key": "x"}
    client.check(attributes={"src": "192.0.2.1", "user": "ann"})
    client.check(policy="pair", key="one")
    client.check(**inline)

    assert client.used("pair", src="::ffff:192.0.2.1", user="ann") == {"policy": 1}
    assert client.used("pair", key="one") == {"policy": 1}
    assert client.used("everybody") == {"policy": 1}
    assert client.used("inline", **inline) == {"policy": 1}
    for policy, names in (("pair", {"key": "one"}), ("everybody", {}), ("inline", inline)):
        assert client.balances(policy, "DELETE", **names)["reset"] == 1
        assert client.used(policy, **names) == {}


@pytest.mark.parametrize("path, status", named({
    "an unknown policy": ("nope?src=x", 404), "no policy": ("?src=x", 404),
    "no names": ("login", 400), "one is missing": ("pair?src=x", 400),
    "one too many": ("login?src=x&user=y", 400), "beside key": ("login?src=x&key=x", 400),
    "twice": ("login?src=x&src=y", 400), "a cost": ("login?src=x&cost=1", 400),
    "a policy": ("login?src=x&policy=login", 400), "deny_status": ("login?src=x&deny_status=401", 400),
    "numbers": ("login?src=x&limit=5", 400), "inline without numbers": ("inline?key=x", 400),
    "inline without key": ("inline?algorithm=fixed_window&limit=1&window=1", 400),
    "invalid UTF-8": ("login?src=%ff", 400),
}))
@pytest.mark.parametrize("method", ["GET", "DELETE"])
def test_what_is_wrong_is_refused_and_described(client, method, path, status):
    client.check(policy="login", key="x")
    answer = client.request(method, f"/balances/{path}")
    assert_problem(answer, status)
    assert_is_described(answer, method.lower(), "/balances/{policy}")
    assert client.used("login", src="x") == {"policy": 1}


@pytest.mark.parametrize("policy, status", named({
    "escaped": ("l%6Fgi%6e", 200), "half an escape": ("login%", 400),
    "no hexadecimal digit": ("lo%gin", 400), "NUL": ("login%00", 400),
    "invalid UTF-8": ("login%ff", 400), "a space": ("login%20", 404), "a plus": ("login+", 404),
    "a slash": ("login%2f", 404), "up": ("..%2flogin", 404), "long": ("x" * 5000, 404),
}))
def test_the_name_of_a_policy_in_a_path_may_be_escaped(client, policy, status):
    client.check(policy="login", key="x")
    client.check(policy="login", key="x")

    for method, path in (("GET", "/balances/"), ("PUT", "/exceptions/"), ("DELETE", "/balances/")):
        answer = client.request(method, f"{path}{policy}?src=x",
                                '{"unlimited":true}' if method == "PUT" else None,
                                {"Content-Type": "application/json"} if method == "PUT" else {})
        if status == 200:
            assert answer.status == 200 and answer.json["policy"] == "login"
        else:
            assert_problem(answer, status, "policy: ")
    assert client.used("login", src="x") == ({} if status == 200 else {"policy": 2})


def test_names_of_a_policy_without_key_are_refused_in_a_whole_sentence(client):
    answer = client.request("GET", "/balances/everybody?src=x")

    assert_problem(answer, 400, '"src": not accepted; accepted are no names, or key alone')


def test_all_agents_of_a_redis_forgive(start, store):
    if store is None:
        return
    with Operated(start()) as one, Operated(start()) as other:
        for client in (one, other):
            client.check(policy="login", key="x")
        for client in (one, other):
            assert client.check(policy="login", key="x").status == 429
        one.balances("login", "DELETE", src="x")
        assert one.check(policy="login", key="x").status == 200
        wait_until(lambda: other.check(policy="login", key="x").status == 200, "the other agent")


def test_agents_that_were_not_asked_forget_their_denials(
        start_agent, admin_file, redis):  # pylint: disable=redefined-outer-name
    def start_one():
        return Operated(start_agent(
            "--admin-token-file", admin_file, "--store-timeout", "5s", "--deny-cache", "1h",
            http=True, policies=POLICIES, store=redis.url).wait_for_store())

    inline = {"algorithm": "fixed_window", "limit": "1", "window": "1h", "key": "x"}
    with start_one() as one, start_one() as other:
        for _ in range(3):
            other.check(policy="login", key="x")
            other.check(**inline)
        assert other.check(policy="login", key="x").status == 429
        assert other.check(**inline).status == 429
        one.balances("login", "DELETE", src="x")
        wait_until(lambda: other.check(policy="login", key="x").status == 200, "the other agent")
        assert other.check(**inline).status == 429
        one.balances("inline", "DELETE", **inline)
        wait_until(lambda: other.check(**inline).status == 200, "the other agent")


def test_a_copy_for_on_error_local_is_forgiven_too(
        start_agent, admin_file, redis):  # pylint: disable=redefined-outer-name
    def start_one():
        return Operated(start_agent(
            "--admin-token-file", admin_file, "--store-timeout", "5s", "--on-error", "local",
            "--local-share", "1", "--deny-cache", "1h", http=True, policies=POLICIES,
            store=redis.url).wait_for_store())

    with start_one() as one, start_one() as other:
        for key in ("x", "y", "z"):
            while other.check(policy="login", key=key).status == 200:
                pass
        for key in ("x", "z"):
            one.balances("login", "DELETE", src=key)
        wait_until(lambda: other.check(policy="login", key="z").status == 200, "the resets")
        redis.kill()
        other.agent.wait_for_event("store_down")

        assert other.check(policy="login", key="x").status == 200
        assert other.check(policy="login", key="y").status == 429


def test_a_reset_is_counted_and_logged(client):
    client.balances("login", "DELETE", src="personal")

    event = client.agent.wait_for_event("balance_reset")
    assert (event["who"], event["policy"], event["balances"]) == ("ann", "login", 0)
    assert event["from"].startswith("127.0.0.1:")
    assert b"\nratelimit_balance_resets_total 1\n" in client.get("/metrics").body
    assert "personal" not in client.agent.output.read_text()


# --- who may -------------------------------------------------------------------------------------

RESET = ("DELETE", "/balances/login?src=x")


def test_without_an_admin_nothing_changes(start_agent):
    agent = start_agent(http=True, policies=POLICIES)
    with HttpClient(agent) as client:
        client.check(policy="login", key="x")
        for headers in ({}, bearer("guessed"), {"Host": "evil.example"}):
            answer = client.request(*RESET, headers=headers)
            assert_problem(answer, 403, "--admin-token-file", "--admin-listen")
            assert_is_described(answer, "delete", "/balances/{policy}")
        shown = client.get("/balances/login?src=x")
        assert shown.json["balances"][0]["used"] == 1
        assert_problem(client.get("/balances/login?src=x", {"Host": "evil.example"}), 421)
    assert not agent.events("balance_reset")


def test_the_askers_token_and_no_token_change_nothing(
        start_agent, admin_file, tmp_path):  # pylint: disable=redefined-outer-name
    asker = tmp_path / "asker"
    asker.write_text("asker-s3cret\n")
    agent = start_agent("--admin-token-file", admin_file, "--http-token-file", asker, http=True,
                        policies=POLICIES)
    with HttpClient(agent) as client:
        for headers in ({}, bearer("asker-s3cret"), bearer("ann")):
            assert_problem(client.request(*RESET, headers=headers), 403, "--admin-token-file")
            assert_problem(client.get("/balances/login?src=x", headers), 401)
        for more in ({"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"}):
            assert_problem(client.request(*RESET, headers={**bearer(ANN), **more}), 403)
        assert not agent.events("balance_reset")
        assert client.request(*RESET, headers=bearer(ANN)).status == 200
        answer = client.request("PUT", RESET[1], headers=bearer(ANN))
        assert_problem(answer, 405)
        assert_is_described(answer, "get", "/balances/{policy}")


def test_of_unix_sockets_the_admins_alone_may_change(start_agent, tmp_path):
    agent = start_agent("--admin-listen", f"unix:{tmp_path}/admin.sock", http=True,
                        policies=POLICIES)
    agent.listening("http", 2)
    with UnixClient(tmp_path / "admin.sock") as client:
        assert client.request(*RESET).status == 200
    with HttpClient(agent) as client:
        assert_problem(client.request(*RESET), 404)


def test_a_unix_socket_of_http_shows_and_does_not_change(start_agent, tmp_path):
    start_agent(http=f"unix:{tmp_path}/http.sock", policies=POLICIES)
    with UnixClient(tmp_path / "http.sock") as client:
        assert client.get("/balances/login?src=x").status == 200
        assert_problem(client.request(*RESET), 403, "--admin-token-file")


# --- a store that is away ------------------------------------------------------------------------

def test_with_redis_away_a_reset_is_503_and_what_is_shown_is_stale(
        start_agent, admin_file):  # pylint: disable=redefined-outer-name
    agent = start_agent("--admin-token-file", admin_file, "--on-error", "local", http=True,
                        store="redis://127.0.0.1:1", policies=POLICIES)
    with Operated(agent) as client:
        client.check(policy="login", key="x")
        answer = client.request(*RESET)
        assert_problem(answer, 503, "nothing has changed")
        assert_is_described(answer, "delete", "/balances/{policy}")
        shown = client.balances("login", src="x")
        assert shown["stale"] is True and shown["balances"][0]["used"] == 1
    assert not agent.events("balance_reset")


def test_a_reset_that_redis_was_asked_for_may_have_been_done(
        start_agent, admin_file, redis):  # pylint: disable=redefined-outer-name
    agent = start_agent("--admin-token-file", admin_file, "--store-timeout", "100ms", http=True,
                        store=redis.url, policies=POLICIES).wait_for_store()
    with Operated(agent) as client:
        redis.ask("CLIENT", "PAUSE", "600000", "WRITE")
        answer = client.request(*RESET)
        assert_problem(answer, 503, "may be reset all the same")
        assert_is_described(answer, "delete", "/balances/{policy}")
        event = agent.wait_for_event("balance_reset_unconfirmed", level="warn")
        assert (event["who"], event["policy"]) == ("ann", "login")
        redis.ask("CLIENT", "UNPAUSE")
