"""What each field of a policy does to requests, asked over HTTP."""

import json
import re
import signal
import time

import pytest

from agent import bucket, policies_text, run, window
from http_client import HttpClient


@pytest.fixture
def ask(start_agent):
    """Starts an agent with the policies and gives a function that asks it by attributes."""
    opened = []

    def start(*options, **policies):
        agent = start_agent(*options, http=True, policies=policies_text(**policies))
        client = HttpClient(agent)
        opened.append(client)

        def check(cost=None, **attributes):
            more = {} if cost is None else {"cost": cost}
            return client.check(attributes=attributes, **more).json
        return check
    yield start
    for client in opened:
        client.connection.close()


def names(verdict):
    return [check["policy"] for check in verdict["policies"]]


def test_match_says_which_requests_a_policy_is_for(ask):
    match = {"method": ["POST", "PUT"], "path": "/api/*"}
    check = ask(p={**bucket(5), "match": match})

    assert names(check(src="192.0.2.1", method="POST", path="/api/x")) == ["p"]
    assert names(check(src="192.0.2.1", method="PUT", path="/api/")) == ["p"]
    for other in ({"method": "GET", "path": "/api/x"}, {"method": "POST", "path": "/ap"},
                  {"path": "/api/x"}, {"method": "post", "path": "/api/x"}):
        assert check(src="192.0.2.1", **other)["reason"] == "none"


@pytest.mark.parametrize("network,inside,outside", [
    ("10.0.0.0/8", ["10.255.0.1", "::ffff:10.1.2.3"], ["11.0.0.0", "::a00:1", "10.0.0.0/8x"]),
    ("2001:db8::/32", ["2001:DB8:0:0:1:0:0:1"], ["2001:db9::1", "10.0.0.1"]),
    ("::ffff:10.0.0.0/104", ["10.0.0.1"], ["11.0.0.1", "::1"]),
    ("192.0.2.1", ["192.0.2.1", "::ffff:192.0.2.1"], ["192.0.2.2"]),
    ("::/0", ["::1", "2001:db8::1"], ["192.0.2.1", "text"]),
])
def test_match_on_a_network_fits_addresses_of_it(ask, network, inside, outside):
    check = ask(p={**bucket(100, key=[]), "match": {"src": network}})

    for address in inside:
        assert names(check(src=address)) == ["p"], address
    for address in outside:
        assert check(src=address)["reason"] == "none", address


def test_all_that_fit_are_charged_together_or_not_at_all(ask):
    check = ask(few=bucket(1, key=["src"]), many=bucket(10, key=["src"]))

    assert names(check(src="192.0.2.1")) == ["few", "many"]
    denied = check(src="192.0.2.1")

    assert (denied["allowed"], denied["policy"]) == (False, "few")
    assert [p["remaining"] for p in denied["policies"]] == [0, 9]


def test_a_key_of_several_attributes_counts_each_combination(ask):
    check = ask(p=bucket(5, key=["src", "path"]))

    assert check(src="192.0.2.1", path="/a")["remaining"] == 4
    assert check(src="192.0.2.1", path="/b")["remaining"] == 4
    assert check(src="192.0.2.1", path="/a")["remaining"] == 3
    assert check(src="192.0.2.1")["reason"] == "none"


def test_cost_is_the_policys_whatever_the_request_says(ask):
    check = ask(p={**bucket(10), "cost": 3})

    assert check(src="192.0.2.1")["remaining"] == 7
    assert check(src="192.0.2.1", cost=5)["remaining"] == 4
    assert check(src="192.0.2.1", cost=0)["remaining"] == 4


@pytest.mark.parametrize("value,cost", [("4", 4), (4, 4), ("0", 1), ("-1", 1), ("1.5", 1),
                                        ("many", 1), ("", 1), (True, 1), (None, 1)])
def test_cost_is_read_from_an_attribute(ask, value, cost):
    check = ask(p={**bucket(10), "cost": "units"})

    assert check(src="192.0.2.1", units=value, cost=7)["remaining"] == 10 - cost


def test_the_first_override_that_fits_replaces_numbers(ask):
    check = ask(p={**bucket(5), "overrides": [
        {"match": {"plan": "gold"}, "capacity": 50}, {"match": {"plan": "*"}, "capacity": 10}]})

    assert check(src="192.0.2.1", plan="gold")["limit"] == 50
    assert check(src="192.0.2.1", plan="silver")["limit"] == 10
    assert check(src="192.0.2.1")["limit"] == 5
    # Each has a balance of its own.
    assert check(src="192.0.2.1", plan="gold")["remaining"] == 48
    assert check(src="192.0.2.1", plan="bronze")["remaining"] == 8
    assert check(src="192.0.2.1")["remaining"] == 3


def test_an_override_of_the_cost_only_shares_the_balance(ask):
    check = ask(p={**bucket(10), "overrides": [{"match": {"method": "POST"}, "cost": 5}]})

    assert check(src="192.0.2.1", method="GET")["remaining"] == 9
    assert check(src="192.0.2.1", method="POST")["remaining"] == 4


def test_who_is_unlimited_is_not_checked(ask):
    check = ask(p={**bucket(1), "overrides": [{"match": {"src": "10.0.0.0/8"},
                                               "unlimited": True}]})

    for _ in range(3):
        assert check(src="10.1.1.1")["reason"] == "none"
    assert check(src="192.0.2.1")["policy"] == "p"


def test_who_is_blocked_is_always_denied(ask):
    check = ask(p={**bucket(5), "overrides": [{"match": {"src": "192.0.2.66"}, "blocked": True}]})

    denied = check(src="192.0.2.66")

    assert (denied["allowed"], denied["reason"], denied["policy"]) == (False, "blocked", "p")
    assert (denied["limit"], denied["remaining"], denied["retry_after_ms"]) == (0, 0, -1)
    assert check(src="192.0.2.1")["allowed"]


@pytest.mark.parametrize("prefixes,one,other,is_one", [
    ({}, "192.0.2.1", "192.0.2.2", False),
    ({"ipv4_prefix": 24}, "192.0.2.1", "192.0.2.200", True),
    ({"ipv4_prefix": 24}, "192.0.2.1", "192.0.3.1", False),
    ({"ipv4_prefix": 0}, "192.0.2.1", "10.0.0.1", True),
    ({}, "2001:db8::1", "2001:db8:0:0:ffff::2", True),
    ({}, "2001:db8::1", "2001:db8:0:1::1", False),
    ({"ipv6_prefix": 128}, "2001:db8::1", "2001:db8::2", False),
    ({"ipv6_prefix": 32}, "2001:db8::1", "2001:db8:ffff::1", True),
])
def test_addresses_are_counted_by_their_prefix(ask, prefixes, one, other, is_one):
    check = ask(p={**bucket(5), **prefixes})

    assert check(src=one)["remaining"] == 4
    assert check(src=other)["remaining"] == (3 if is_one else 4)


def test_shadow_is_reported_and_denies_nothing(ask):
    check = ask(dark={**bucket(1), "shadow": True}, light=bucket(10))

    assert check(src="192.0.2.1")["reason"] == "ok"
    over = check(src="192.0.2.1")

    assert (over["allowed"], over["reason"], over["policy"]) == (True, "shadow", "dark")
    assert over["policies"][0]["shadow"] is True and over["policies"][0]["allowed"] is False
    assert over["policies"][1]["remaining"] == 8


def test_an_override_takes_a_policy_out_of_its_shadow(ask):
    check = ask(p={**bucket(1), "shadow": True,
                   "overrides": [{"match": {"path": "/login"}, "shadow": False}]})

    assert check(src="192.0.2.1", path="/")["allowed"]
    assert check(src="192.0.2.1", path="/")["reason"] == "shadow"
    assert check(src="192.0.2.1", path="/login")["reason"] == "limited"


@pytest.fixture
def nowhere(tmp_path):
    """A store that nothing answers at."""
    return "--store", f"redis+unix://{tmp_path}/nosuch.socket"


def test_on_error_is_the_policys_own(ask, nowhere):
    check = ask(*nowhere, strict={**bucket(5, key=["a"]), "on_error": "deny"},
                local={**bucket(5, key=["b"]), "on_error": "local"}, flag=bucket(5, key=["c"]))

    assert check(a="x")["allowed"] is False
    assert (check(b="x")["remaining"], check(b="x")["remaining"]) == (4, 3)
    flag = check(c="x")
    assert (flag["allowed"], flag["reason"], flag["degraded"]) == (True, "error", True)


def test_on_error_of_an_override_holds_for_its_requests(ask, nowhere):
    check = ask(*nowhere, p={**bucket(5), "overrides": [
        {"match": {"path": "/pay"}, "on_error": "deny"}]})

    assert check(src="192.0.2.1", path="/")["allowed"]
    assert check(src="192.0.2.1", path="/pay")["allowed"] is False


# --- keys that never come -----------------------------------------------------------------------


def absent(client):
    """What /metrics says of keys that were not there, by policy."""
    return {name: int(count) for name, count in re.findall(
        r'ratelimit_policy_key_absent_total{policy="([^"]*)"} (\d+)', client.get("/metrics").body.decode())}


def test_a_key_that_never_comes_is_counted_and_told_once(start_agent):
    agent = start_agent(http=True, policies=policies_text(
        per_ip=bucket(1000), misspelt=bucket(1000, key=["scr"]), other=bucket(1000, key=["user"]),
        elsewhere={**bucket(1, key=["user"]), "match": {"path": "/x"}}))
    with HttpClient(agent) as client, agent.connect() as peer:
        for number in range(150):
            assert peer.ask(src="192.0.2.1").policy == "per-ip"
            assert client.check(attributes={"src": f"192.0.2.{number}"}).json["reason"] == "ok"

        assert absent(client) == {"per-ip": 0, "misspelt": 300, "other": 300, "elsewhere": 0}
    told = [(event["level"], event["policy"], event["requests"])
            for event in agent.events("policy_key_absent")]
    assert told == [("warn", "misspelt", 100), ("warn", "other", 100)]


def test_a_key_that_comes_at_times_is_counted_and_not_told(start_agent):
    agent = start_agent(http=True, policies=policies_text(
        per_user=bucket(1000, key=["user"])))
    with HttpClient(agent) as client, agent.connect() as peer:
        for number in range(250):
            peer.ask(**{"src": "192.0.2.1", **({"user": "u"} if number == 50 else {})})

        assert absent(client) == {"per-user": 249}
    assert agent.events("policy_key_absent") == []


def test_a_key_is_awaited_anew_after_a_reload_that_changes_it(start_agent):
    agent = start_agent("--policies-watch", "off", policies=policies_text(p=bucket(1000)))
    with agent.connect() as peer:
        peer.ask(src="192.0.2.1")
        agent.policy_file.write_text(policies_text(p=bucket(1000, key=["scr"])))
        agent.signal(signal.SIGHUP)
        agent.wait_for_event("reloaded")
        for _ in range(100):
            peer.ask(src="192.0.2.1")

    agent.wait_for_event("policy_key_absent", policy="p")


# --- windows ------------------------------------------------------------------------------------

DAY = 86_400_000


@pytest.mark.parametrize("length, begins", [("1d", 20_000), ("7d", 7 * 2_900), ("30d", 30 * 700)])
def test_a_fixed_window_is_aligned_to_1970(tmp_path, length, begins):
    """In days since 1970-01-01, a Thursday."""
    (tmp_path / "p.json").write_text(policies_text(p=window(1, length, "fixed_window")))
    times = [begins * DAY - 2, begins * DAY - 1, begins * DAY, begins * DAY + 1]
    lines = "".join(json.dumps({"at_ms": at, "attributes": {"src": "a"}}) + "\n" for at in times)

    done = run("replay", "--policies", tmp_path / "p.json", stdin=lines)

    assert [json.loads(line)["allowed"] for line in done.stdout.splitlines()] == [
        True, False, True, False]
    assert length != "7d" or time.gmtime(begins * 86_400).tm_wday == 3  # a Thursday


def test_shadow_all_denies_nobody_and_reports_everything(start_agent):
    policies = {"few": bucket(1), "open": {**bucket(9), "overrides": [
        {"match": {"src": "192.0.2.9"}, "blocked": True}]}}
    agent = start_agent("--shadow-all", "on", http=True, policies=policies_text(**policies))
    with HttpClient(agent) as client, agent.connect() as peer:
        first = client.check(attributes={"src": "192.0.2.1"})
        second = client.check(attributes={"src": "192.0.2.1"})
        assert (first.json["reason"], second.json["reason"]) == ("ok", "shadow")
        assert (second.status, second.json["policy"]) == (200, "few")
        assert "ratelimit" not in second.headers
        assert [(p["policy"], p["allowed"], p["shadow"]) for p in second.json["policies"]] == \
            [("few", False, True), ("open", True, True)]
        assert peer.ask(src="192.0.2.9").reason == "shadow"
        inline = {"key": "k", "algorithm": "token_bucket", "capacity": 1, "refill_rate": "1/1h"}
        assert [client.check(**inline).json["reason"] for _ in range(2)] == ["ok", "shadow"]
        assert client.get("/status").json["shadow_all"] is True
    assert agent.wait_for_event("shadow_all")["level"] == "warn"


def test_shadow_all_stays_after_a_reload(start_agent):
    agent = start_agent("--shadow-all", "on", http=True, policies=policies_text(p=bucket(1)))
    agent.policy_file.write_text(policies_text(p=bucket(1), q=bucket(1)))
    agent.wait_for_event("reloaded")
    with HttpClient(agent) as client:
        asked = [client.check(attributes={"src": "192.0.2.1"}).json["reason"] for _ in range(2)]
    assert asked == ["ok", "shadow"]


def test_replay_and_check_config_know_shadow_all(tmp_path):
    file = tmp_path / "policies.json"
    file.write_text(policies_text(p=bucket(1)))
    line = json.dumps({"at_ms": 1, "attributes": {"src": "192.0.2.1"}}) + "\n"

    replayed = run("replay", "--policies", file, "--shadow-all", "on", stdin=2 * line)
    shown = run("check-config", "--json", "--policies", file, "--shadow-all", "on")

    assert [json.loads(each)["reason"] for each in replayed.stdout.splitlines()] == \
        ["ok", "shadow"]
    assert json.loads(shown.stdout)["policies"][0]["shadow"] is True


def test_a_share_in_shadow_is_the_same_keys_on_all_agents(start_agent, tmp_path):
    """And of a smaller share, no other keys are in shadow."""
    addresses = [f"198.51.100.{n}" for n in range(200)]

    def in_shadow(share, directory):
        directory.mkdir()
        (directory / "p").write_text(policies_text(p={**bucket(1), "shadow": share}))
        lines = [json.dumps({"at_ms": 1, "attributes": {"src": a}}) for a in addresses for _ in "12"]
        done = run("replay", "--policies", directory / "p", stdin="\n".join(lines))
        answers = [json.loads(line) for line in done.stdout.splitlines()]
        return {a for a, second in zip(addresses, answers[1::2]) if second["reason"] == "shadow"}

    most, half = in_shadow("90%", tmp_path / "1"), in_shadow("50%", tmp_path / "2")
    assert half < most and 70 < len(half) < 130 and 160 < len(most) < 200
    agent = start_agent(policies=policies_text(p={**bucket(1), "shadow": "50%"}))
    with agent.connect() as peer:
        for address in addresses[:40]:
            assert peer.ask(src=address).allowed
            assert peer.ask(src=address).reason == ("shadow" if address in half else "limited")
