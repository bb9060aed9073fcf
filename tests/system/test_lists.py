"""The lists `allow` and `block` of the policy file, over SPOP, HTTP, /auth, replay and HAProxy."""

import json
import signal

import pytest

from agent import bucket, run
from examples import PATIENT
from http_client import HttpClient
from test_http_openapi import assert_is_described
from web import get, get_asked

ALLOW = [{"src": "192.0.2.10"}, {"src": "10.0.0.0/8", "path": "/health"}]
BLOCK = [{"src": ["192.0.2.0/24", "2001:db8:bad::/48"]}, {"apikey": "leaked-*"}]


def policies(allow=(), block=(), **named):
    return json.dumps({"allow": list(allow), "block": list(block),
                       "policies": named or {"p": bucket(100)}})


LISTS = policies(ALLOW, BLOCK)
BLOCKED = {"allowed": False, "reason": "blocked", "degraded": False, "policy": "blocked", "limit": 0,
           "remaining": 0, "retry_after_ms": -1, "reset_ms": -1,
           "policies": [{"policy": "blocked", "allowed": False, "limit": 0, "remaining": 0,
                         "retry_after_ms": -1, "reset_ms": -1}]}


@pytest.fixture
def agent(start_agent):
    return start_agent("--log-decisions", "all", http=True, policies=LISTS)


def test_over_http_block_denies_and_allow_goes_first(agent):
    with HttpClient(agent) as client:
        denied = client.check(attributes={"src": "192.0.2.11"})
        assert (denied.status, denied.json) == (429, BLOCKED)
        assert not {"retry-after", "ratelimit", "ratelimit-policy"} & denied.headers.keys()
        allowed = client.check(attributes={"src": "192.0.2.10"})
        assert (allowed.status, allowed.json["reason"], allowed.json["policies"]) == (200, "none", [])
        assert client.check(attributes={"src": "10.1.2.3", "path": "/health"}).json["reason"] == \
            "none"
        assert client.check(attributes={"src": "10.1.2.3", "path": "/"}).json["reason"] == "ok"
        assert client.check(attributes={"apikey": "leaked-7"}).json == BLOCKED


def test_named_and_inline_requests_too(agent):
    with HttpClient(agent) as client:
        inline = {"algorithm": "token_bucket", "capacity": 5, "refill_rate": 1, "key": "k"}
        assert client.check(policy="p", key="192.0.2.11").json == BLOCKED
        assert client.check(policy="p", key="192.0.2.10").json["reason"] == "none"
        assert client.check_get(policy="p", src="2001:db8:bad::1").json == BLOCKED
        assert client.check_get(src="192.0.2.11", **inline).json == BLOCKED
        assert client.check_get(src="192.0.2.10", **inline).json["reason"] == "none"
        assert client.check(**inline).json["reason"] == "ok"


def test_over_spop_one_message_holds_for_its_frame(agent):
    clear, blocked, allowed = {"src": "198.51.100.1"}, {"src": "192.0.2.11"}, {"src": "192.0.2.10"}
    with agent.connect() as peer:
        for frame, reason in (([clear, blocked], "blocked"), ([blocked, clear], "blocked"),
                              ([blocked, clear, allowed], "none"), ([allowed, blocked], "none"),
                              ([clear, clear], "ok")):
            assert peer.ask(*frame).reason == reason
        verdict = peer.ask(**blocked)
    assert {"allowed": False, "reason": "blocked", "policy": "blocked", "retry_after": -1,
            "retry_after_ms": -1, "limit": 0, "remaining": 0, "reset": -1}.items() <= \
        verdict.vars.items()
    assert verdict.unset == {"ratelimit", "ratelimit_policy"}


def test_what_is_blocked_or_allowed_is_not_charged(agent):
    with agent.connect() as peer:
        peer.ask({"src": "198.51.100.1"}, {"src": "192.0.2.11"})
        peer.ask({"src": "198.51.100.1"}, {"src": "192.0.2.10"})
        assert peer.ask(src="198.51.100.1").remaining == 99


def test_over_auth(agent):
    def ask(client, source):
        return client.request("GET", "/auth?from=traefik", headers={
            "X-Forwarded-Method": "GET", "X-Forwarded-Host": "h", "X-Forwarded-Uri": "/",
            "X-Forwarded-For": source}).status
    with HttpClient(agent) as client:
        assert [ask(client, source) for source in ("192.0.2.11", "192.0.2.10", "198.51.100.1")] == \
            [429, 200, 200]


def test_they_are_counted_shown_and_logged(agent):
    with HttpClient(agent) as client, agent.connect() as peer:
        client.check(attributes={"src": "192.0.2.11"})
        peer.ask(src="192.0.2.11")
        peer.ask(src="192.0.2.10")
        metrics = client.get("/metrics").body.decode()
        for line in ('requests_blocked_total{policy="blocked",source="spop"} 1',
                     'requests_blocked_total{policy="blocked",source="http"} 1',
                     'requests_allowed_total{policy="none",source="spop"} 1',
                     'ratelimit_checks_total{policy="blocked",result="denied"} 2'):
            assert line in metrics
        status = client.get("/status").json
        assert (status["load"]["allow"], status["load"]["block"]) == (2, 2)
        row = next(p for p in status["policies"] if p["policy"] == "blocked")
        assert (row["denied"], "limit" in row) == (2, False)
    assert agent.wait_for_event("decision", 2, policy="blocked")["reason"] == "blocked"


def test_explain_names_the_list(agent):
    with HttpClient(agent) as client:
        for src, reason, why in (("192.0.2.10", "none", "allow list"),
                                 ("192.0.2.11", "blocked", "block list")):
            told = client.post({"attributes": {"src": src}}, "/explain").json
            assert (told["verdict"]["reason"], told["policies"][0]["why"]) == (reason, why)
        counted = client.get("/metrics").body.decode()
    assert 'requests_blocked_total{policy="blocked",source="http"} 0' in counted


def test_in_shadow_block_is_reported_and_policies_are_decided(start_agent):
    agent = start_agent("--shadow-all", "on", http=True, policies=LISTS)
    with HttpClient(agent) as client:
        verdict = client.check(attributes={"src": "192.0.2.11"}).json
        allowed = client.check(attributes={"src": "192.0.2.10"}).json
    assert (verdict["allowed"], verdict["reason"], verdict["policy"]) == (True, "shadow", "blocked")
    assert [(p["policy"], p["allowed"], p["shadow"]) for p in verdict["policies"]] == \
        [("blocked", False, True), ("p", True, True)]
    assert allowed["reason"] == "none"


def test_a_reload_takes_other_lists(start_agent):
    agent = start_agent(policies=LISTS)
    agent.policy_file.write_text(policies(ALLOW, [{"src": "198.51.100.0/24"}]))
    event = agent.wait_for_event("reloaded")
    assert (event["lists"], event["added"], event["changed"], event["removed"]) == \
        ("block", "", "", "")
    with agent.connect() as peer:
        assert peer.ask(src="192.0.2.11").reason == "ok"
        assert peer.ask(src="198.51.100.1").reason == "blocked"


def test_replay_counts_the_list_as_a_policy(tmp_path):
    (tmp_path / "old").write_text(policies())
    (tmp_path / "new").write_text(LISTS)
    lines = "".join(json.dumps({"at_ms": 1, "attributes": {"src": src}}) + "\n"
                    for src in ("192.0.2.10", "192.0.2.11", "192.0.2.12", "198.51.100.1"))
    done = run("replay", "--policies", tmp_path / "new", "--against", tmp_path / "old", "--json",
               "--plot", tmp_path / "plot.svg", stdin=lines)

    assert [json.loads(line)["reason"] for line in done.stdout.splitlines()] == \
        ["none", "blocked", "blocked", "ok"]
    summary = json.loads(done.stderr)
    assert summary["denied"] == 2 and summary["against"]["denied_here_only"] == 2
    row = next(p for p in summary["policies"] if p["policy"] == "blocked")
    assert (row["checked"], row["denied"], row["denied_here_only"]["count"]) == (2, 2, 2)
    assert "blocked" in (tmp_path / "plot.svg").read_text()
    swapped = run("replay", "--policies", tmp_path / "old", "--against", tmp_path / "new", "--json",
                  stdin=lines)
    assert json.loads(swapped.stderr)["against"]["denied_there_only"] == 2


def test_through_haproxy(start_agent, start_haproxy):
    agent = start_agent(policies=policies([{"src": "127.0.0.2"}], [{"src": "127.0.0.3"}],
                                          **{"per-ip": bucket(1)}))
    haproxy = start_haproxy(agent.address, spoe=PATIENT)

    assert [get_asked(haproxy.port, "127.0.0.4").status for _ in range(2)] == [200, 429]
    assert {get(haproxy.port, "127.0.0.2").status for _ in range(3)} == {200}
    denied = get(haproxy.port, "127.0.0.3")
    assert (denied.status, denied.limits) == (429, {})


# ---- lists from files ----


FILE_POLICIES = json.dumps({
    "allow": [{"src": "@friends.txt"}], "block": [{"src": ["@bad/ips.txt", "198.51.100.9"]},
                                                  {"path": "@paths.txt"}],
    "policies": {"p": {**bucket(100), "overrides": [{"match": {"tenant": "@gold.txt"},
                                                     "capacity": 500}]}}})


@pytest.fixture
def files(tmp_path):
    (tmp_path / "bad").mkdir()
    (tmp_path / "friends.txt").write_text("# who may\n192.0.2.10\n")
    (tmp_path / "bad/ips.txt").write_text("192.0.2.0/24  # a network\r\n\n2001:db8:bad::/48\n")
    (tmp_path / "paths.txt").write_text("/.env\n/wp-*\n*.bak\n")
    (tmp_path / "gold.txt").write_text("acme\nbig-*\n")
    return tmp_path


def start_on(directory, start_agent, text):
    (directory / "policies.json").write_text(text)
    return start_agent("--policies", directory / "policies.json")


def test_a_value_of_a_match_is_a_file(files, start_agent):
    agent = start_on(files, start_agent, FILE_POLICIES)
    with agent.connect() as peer:
        for src in ("192.0.2.11", "::ffff:192.0.2.11", "2001:db8:bad:1::1", "198.51.100.9"):
            assert peer.ask(src=src).reason == "blocked", src
        assert peer.ask(src="192.0.2.10").reason == "none"
        for path in ("/.env", "/wp-login.php", "/x/y.bak"):
            assert peer.ask(src="203.0.113.1", path=path).reason == "blocked", path
        assert peer.ask(src="203.0.113.1", path="/wp").limit == 100
        assert peer.ask(src="203.0.113.1", tenant="big-one").limit == 500
        assert peer.ask(src="203.0.113.1", tenant="@gold.txt").limit == 100


def test_a_list_file_is_watched(files, start_agent):
    agent = start_on(files, start_agent, FILE_POLICIES)
    with agent.connect() as peer:
        assert peer.ask(src="203.0.113.1", tenant="acme").remaining == 499
        (files / "bad/ips.txt").write_text("203.0.113.0/24\n")
        assert agent.wait_for_event("reloaded")["lists"] == "block"
        assert peer.ask(src="192.0.2.11").reason == "ok"
        assert peer.ask(src="203.0.113.1").reason == "blocked"
        # A line that is added resets nobody.
        (files / "bad/new.txt").write_text("192.0.2.99\n")
        (files / "bad/new.txt").rename(files / "bad/ips.txt")
        agent.wait_for_event("reloaded", 2)
        (files / "gold.txt").write_text("acme\nother\n")
        event = agent.wait_for_event("reloaded", 3)
        assert (event["lists"], event["changed"]) == ("", "p")
        assert peer.ask(src="203.0.113.1", tenant="acme").remaining == 498


def test_a_list_file_with_a_mistake_changes_nothing_until_it_is_mended(files, start_agent):
    agent = start_on(files, start_agent, FILE_POLICIES)
    (files / "paths.txt").write_text("/secret-path\n10.0.0.0/40\n")
    reason = agent.wait_for_event("reload_failed")["reason"]
    assert 'block[1].path: "@paths.txt": line 2: no network' in reason
    (files / "paths.txt").unlink()
    agent.wait_for_event("reload_failed", 2)
    with agent.connect() as peer:
        assert peer.ask(src="203.0.113.1", path="/.env").reason == "blocked"
        (files / "paths.txt").write_text("/other\n")
        agent.wait_for_event("reloaded")
        assert peer.ask(src="203.0.113.1", path="/.env").reason == "ok"
    assert "secret-path" not in agent.output.read_text()


def test_a_file_that_the_policies_name_after_a_reload_is_watched_too(files, start_agent):
    agent = start_on(files, start_agent, policies())
    (files / "policies.json").write_text(FILE_POLICIES)
    agent.wait_for_event("reloaded")
    (files / "friends.txt").write_text("192.0.2.11\n")
    agent.wait_for_event("reloaded", lists="allow")


# ---- explain names the entry, the file and the line ----


def explain(client, **question):
    answer = client.post(question, "/explain")
    assert answer.status == 200, answer
    assert_is_described(answer, "post", "/explain")
    return answer.json


def line(place, file, number, changed=False):
    return {"place": place, "file": file, "line": number, "changed": changed}


def test_explain_names_the_entry_that_decided(agent):
    with HttpClient(agent) as client:
        for attributes, entry in (
                ({"src": "192.0.2.10"}, {"name": "allow", "entry": 0, "fits": [
                    {"place": "allow[0].src", "value": "192.0.2.10"}]}),
                ({"src": "10.1.2.3", "path": "/health"}, {"name": "allow", "entry": 1, "fits": [
                    {"place": "allow[1].src", "value": "10.0.0.0/8"},
                    {"place": "allow[1].path", "value": "/health"}]}),
                ({"src": "2001:db8:bad::1"}, {"name": "block", "entry": 0, "fits": [
                    {"place": "block[0].src[1]", "value": "2001:db8:bad::/48"}]}),
                ({"apikey": "leaked-7"}, {"name": "block", "entry": 1, "fits": [
                    {"place": "block[1].apikey", "value": "leaked-*"}]}),
                ({"src": "198.51.100.1"}, None)):
            assert explain(client, attributes=attributes).get("list") == entry
        by_key = explain(client, policy="p", key="192.0.2.11")["list"]
        assert by_key["fits"] == [{"place": "block[0].src[0]", "value": "192.0.2.0/24"}]


def test_explain_names_one_of_many_entries_and_values(start_agent):
    block = [{"src": [f"10.{n}.{i}.0/24" for i in range(100)]} for n in range(40)]
    agent = start_agent("--shadow-all", "on", http=True, policies=policies(block=block))
    with HttpClient(agent) as client:
        explanation = explain(client, attributes={"src": "10.30.77.1"})
    assert explanation["list"] == {"name": "block", "entry": 30, "shadow": True, "fits": [
        {"place": "block[30].src[77]", "value": "10.30.77.0/24"}]}


def start_operated(directory, start_agent, text, *options):
    (directory / "policies.json").write_text(text)
    return start_agent("--policies", directory / "policies.json", *options, http=True)


def test_explain_names_file_and_line_and_never_the_text_of_a_line(files, start_agent):
    (files / "bad/ips.txt").write_text("# secret-note\n\n192.0.2.0/24 # x\r\n192.0.2.7\n"
                                       "2001:db8:bad::/48\n")
    with HttpClient(start_operated(files, start_agent, FILE_POLICIES)) as client:
        for attributes, name, entry, fits in (
                ({"src": "192.0.2.10"}, "allow", 0, line("allow[0].src", "friends.txt", 2)),
                ({"src": "192.0.2.7"}, "block", 0, line("block[0].src[0]", "bad/ips.txt", 3)),
                ({"src": "2001:db8:bad::1"}, "block", 0,
                 line("block[0].src[0]", "bad/ips.txt", 5)),
                ({"path": "/.env"}, "block", 1, line("block[1].path", "paths.txt", 1)),
                ({"path": "/wp-login.php"}, "block", 1, line("block[1].path", "paths.txt", 2)),
                ({"path": "/x.bak"}, "block", 1, line("block[1].path", "paths.txt", 3))):
            told = explain(client, attributes=attributes)
            assert told["list"] == {"name": name, "entry": entry, "fits": [fits]}
            assert "secret-note" not in json.dumps(told) and "wp-*" not in json.dumps(told)
        told = explain(client, policy="p", key="192.0.2.7")
        assert told["list"]["fits"] == [line("block[0].src[0]", "bad/ips.txt", 3)]
        gold = explain(client, attributes={"src": "203.0.113.1", "tenant": "big-1"})
        assert "list" not in gold
        assert gold["policies"][0]["fits"] == [
            line("policies.p.overrides[0].match.tenant", "gold.txt", 2)]
        plain = explain(client, attributes={"src": "203.0.113.1", "tenant": "small"})
        assert "fits" not in plain["policies"][0]


def test_explain_names_the_lines_of_a_match_and_of_what_is_unlimited(files, start_agent):
    text = json.dumps({"policies": {"p": {
        **bucket(100), "match": {"path": "@paths.txt"},
        "overrides": [{"match": {"tenant": "@gold.txt"}, "unlimited": True}]}}})
    with HttpClient(start_operated(files, start_agent, text)) as client:
        by_path = explain(client, attributes={"src": "192.0.2.1", "path": "/.env"})["policies"][0]
        both = explain(client, attributes={"src": "192.0.2.1", "path": "/.env", "tenant": "acme"})
        named = explain(client, policy="p", attributes={"src": "192.0.2.1", "tenant": "acme"})
    of_path = line("policies.p.match.path", "paths.txt", 1)
    of_tenant = line("policies.p.overrides[0].match.tenant", "gold.txt", 1)
    assert by_path["fits"] == [of_path]
    assert both["policies"][0]["why"] == "overrides[0]: unlimited"
    assert both["policies"][0]["fits"] == [of_path, of_tenant]
    assert named["policies"][0]["fits"] == [of_tenant]


def test_explain_says_that_a_file_has_changed_since_it_was_read(files, start_agent):
    agent = start_operated(files, start_agent, FILE_POLICIES, "--policies-watch", "off")
    with HttpClient(agent) as client:
        (files / "bad/new.txt").write_text("# one more line\n192.0.2.0/24\n")
        (files / "bad/new.txt").rename(files / "bad/ips.txt")
        told = explain(client, attributes={"src": "192.0.2.7"})["list"]["fits"]
        assert told == [line("block[0].src[0]", "bad/ips.txt", 1, changed=True)]
        shown = run("explain", "src=192.0.2.7", "--agent", f"http://{agent.http_address}")
        assert "block[0] of the policy file comes before all policies\n" \
            "  block[0].src[0]: bad/ips.txt, line 1 of the file as the agent read it; " \
            "the file has changed since\n" in shown.stdout
        (files / "bad/ips.txt").unlink()
        assert explain(client, attributes={"src": "192.0.2.7"})["list"]["fits"] == told
        (files / "bad/ips.txt").write_text("# one more line\n192.0.2.0/24\n")
        agent.signal(signal.SIGHUP)
        agent.wait_for_event("reloaded")
        told = explain(client, attributes={"src": "192.0.2.7"})["list"]["fits"]
        assert told == [line("block[0].src[0]", "bad/ips.txt", 2)]
        shown = run("explain", "src=192.0.2.7", "--agent", f"http://{agent.http_address}")
        assert "  block[0].src[0]: bad/ips.txt, line 2\n" in shown.stdout


def check(directory, value):
    (directory / "policies.json").write_text(json.dumps(
        {"block": [{"a": value}], "policies": {}}))
    return run("check-config", "--policies", directory / "policies.json")


@pytest.mark.parametrize("value,words", [
    ("@none.txt", 'block[0].a: "@none.txt": No such file or directory'),
    ("@", 'block[0].a: "@": the name of a file is missing'),
    ("@/etc/hostname", "is relative to the policy file"),
    ("@../x", '".." is not accepted'),
    ("@bad/../friends.txt", '".." is not accepted'),
    ("@bad", 'block[0].a: "@bad": Is a directory'),
    (["x", "@bad/ips.txt", "@none"], 'block[0].a[2]: "@none": No such file'),
])
def test_bad_names_are_refused_with_their_place(files, value, words):
    done = check(files, value)
    assert done.returncode == 2 and words in done.stderr, done.stderr


def test_a_text_that_begins_with_the_sign_is_written_twice(tmp_path):
    assert check(tmp_path, "@@home").returncode == 0
    shown = run("check-config", "--json", "--policies", tmp_path / "policies.json")
    assert json.loads(shown.stdout)["block"] == [{"a": ["@@home"]}]
    line = json.dumps({"at_ms": 1, "attributes": {"a": "@home"}})
    done = run("replay", "--policies", tmp_path / "policies.json", stdin=line)
    assert json.loads(done.stdout)["reason"] == "blocked"


def test_a_million_addresses_take_at_most_32_bytes_each(tmp_path, start_agent):
    """Nothing but the list differs between two agents."""
    addresses = "".join(f"10.{n >> 16}.{n >> 8 & 255}.{n & 255}\n" for n in range(1_000_000))
    empty = start_agent(policies=policies())
    (tmp_path / "list.txt").write_text(addresses)
    full = start_on(tmp_path, start_agent, policies(block=[{"src": "@list.txt"}]))

    assert full.rss_bytes() - empty.rss_bytes() < 32 * 1_000_000
    with full.connect() as peer:
        assert peer.ask(src="10.15.66.63").reason == "blocked"
        assert peer.ask(src="10.15.66.64").reason == "ok"
