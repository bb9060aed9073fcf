"""--policies store: -- the policy file is in the store: policies get, put, history and rollback."""

import concurrent.futures
import contextlib
import json
import signal

import pytest

import many_records
from agent import policies_text, run, window
from http_client import HttpClient, assert_problem
from processes import ROOT, wait_until
from test_admin_tokens import (ANN, ASKER, admin_file, asker_file,  # pylint: disable=unused-import
                               bearer)
from test_http_openapi import assert_is_described

JSON = {"Content-Type": "application/json"}
FIRST = policies_text(login=window(2))
SECOND = policies_text(login=window(7), other=window(3))
EMPTY = {"policies": {}}


class Operator(HttpClient):
    """Who has an admin's token."""

    def request(self, method, path, body=None, headers=None):
        return super().request(method, path, body, {**bearer(ANN), **(headers or {})})

    def get_policies(self, number=None):
        answer = self.request("GET", "/policies" + (f"?version={number}" if number else ""))
        assert_is_described(answer, "get", "/policies")
        return answer

    def version(self):
        return self.get_policies().headers["etag"]

    def try_to_put(self, text, version, **headers):
        condition = {} if version is None else {"If-Match": str(version)}
        answer = self.request("PUT", "/policies", text, {**JSON, **condition, **headers})
        assert_is_described(answer, "put", "/policies")
        return answer

    def put(self, text, version):
        answer = self.try_to_put(text, version)
        assert answer.status == 200, answer
        assert answer.headers["etag"] == f'"{version + 1}"'
        assert answer.json["version"] == answer.json["used"] == version + 1
        return answer.json

    def history(self):
        answer = self.request("GET", "/policies/history")
        assert_is_described(answer, "get", "/policies/history")
        return answer.json

    def limit(self, policy="login"):
        """None: the policy is not known, or none is."""
        answer = self.check(policy=policy, key="192.0.2.1", cost=0)
        return answer.json.get("limit")

    def is_ready(self):
        return self.request("GET", "/ready").status == 200


@pytest.fixture
def start(start_agent, admin_file):  # pylint: disable=redefined-outer-name
    def start_one(store=None, *options, policies="store:", **more):
        agent = start_agent("--admin-token-file", admin_file, "--store-timeout", "5s",
                            *(("--policies", policies) if policies else ()), *options, http=True,
                            store=store, **more)
        return Operator(agent)
    return start_one


@pytest.fixture
def client(start):
    with start() as client:
        yield client


@pytest.fixture
def two(start, redis):
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(start(redis.url)) for _ in range(2)]
        for client in clients:
            wait_until(client.is_ready, "the policies")
        yield clients


def await_put(client, text, version):
    """Asks again after a 503; when the answer of Redis was lost, Redis may have taken the text."""
    wait_until(lambda: client.try_to_put(text, version).status == 200 or
               client.history()["version"] == version + 1, "a change")


def await_limit(client, limit, policy="login"):
    wait_until(lambda: client.limit(policy) == limit, f"{policy} with {limit}")


# --- one agent -----------------------------------------------------------------------------------

def test_an_empty_store_has_version_0_and_the_agent_is_ready(client):
    client.agent.wait_for_event("policies_store_empty", level="warn")
    wait_until(client.is_ready, "the policies")

    answer = client.get_policies()
    assert (answer.status, answer.headers["etag"], answer.json) == (200, '"0"', EMPTY)
    assert client.check(attributes={"src": "192.0.2.1"}).json["reason"] == "none"
    assert client.history() == {"version": 0, "used": 0, "versions": [], "scope": "this agent"}


def test_what_is_put_is_used_when_it_is_answered(client):
    assert client.put(FIRST, 0)["scope"] == "this agent"

    assert client.limit() == 2
    assert client.get_policies().body.decode() == FIRST
    line = client.agent.wait_for_event("policies_put", version=1, who="ann", bytes=len(FIRST))
    assert line["from"].startswith("127.0.0.1:") and line["scope"] == "this agent"
    client.agent.wait_for_event("reloaded", cause="store", policies_version=1, added="login")
    metrics = client.get("/metrics", bearer(ANN)).body.decode()
    for line in ("ratelimit_policies_version 1", "ratelimit_policies_stored_version 1",
                 "ratelimit_policies_puts_total 1"):
        assert f"\n{line}\n" in metrics
    load = client.get("/status", bearer(ANN)).json["load"]
    assert (load["version"], load["stored_version"], load["policies"]) == (1, 1, 1)
    assert client.put(SECOND, 1)["version"] == 2
    assert (client.limit(), client.limit("other")) == (7, 3)


def test_a_put_names_the_latest_version_or_is_refused(client):
    client.put(FIRST, 0)

    assert_problem(client.try_to_put(SECOND, None), 428, "If-Match")
    answer = client.try_to_put(SECOND, 0)
    assert_problem(answer, 412, "which is 1")
    assert answer.headers["etag"] == '"1"'
    assert_problem(client.try_to_put(SECOND, 2), 412)
    for wrong in ("x", "*", '"1', "-1", ""):
        assert_problem(client.try_to_put(SECOND, wrong), 400, "If-Match")
    assert client.limit() == 2 and client.version() == '"1"'
    assert client.try_to_put(SECOND, '"1"').status == 200
    assert client.limit() == 7


def test_bad_policies_are_refused_with_all_problems(client):
    client.put(FIRST, 0)
    bad = json.dumps({"policies": {"a": {**window(2), "limit": 0}, "b": {**window(2), "x": 1}},
                      "block": [{"src": "@addresses"}], "y": 1})

    answer = client.try_to_put(bad, 1)
    assert answer.status == 422 and answer.json["count"] == 4 == len(answer.json["problems"])
    text = "\n".join(answer.json["problems"])
    for place in ("y: ", "block[0].src: ", "policies.a.limit: ", "policies.b.x: "):
        assert place in text
    assert "list files are accepted only in the file of --policies" in text
    for broken in ("", "{", "[]", '{"policies":{},"policies":{}}'):
        assert client.try_to_put(broken, 1).status == 422
    assert client.version() == '"1"' and client.limit() == 2


def test_a_text_of_1_mib_is_taken_and_a_larger_one_is_not(client):
    text = json.dumps(json.loads(FIRST))
    large = text + " " * ((1 << 20) - len(text))

    client.put(large, 0)
    assert client.limit() == 2
    assert client.get_policies().body.decode() == large
    assert_problem(client.try_to_put(large + " ", 1), 413, "1 MiB")
    with Operator(client.agent) as again:
        assert_problem(again.try_to_put("x" * 70000, 1, **{"Content-Type": "text/plain"}), 415)
    with Operator(client.agent) as again:
        assert_problem(again.request("POST", "/check", "x" * 70000, JSON), 413, "64 KiB")


def test_the_last_20_versions_are_kept_and_an_old_one_can_be_put_again(client):
    texts = [policies_text(login=window(10 + number)) for number in range(23)]
    for number, text in enumerate(texts):
        client.put(text, number)

    wait_until(lambda: len(client.history()["versions"]) == 20, "20 versions")
    history = client.history()
    assert (history["version"], history["used"]) == (23, 23)
    assert [item["version"] for item in history["versions"]] == list(range(23, 3, -1))
    assert all(item["who"] == "ann" and item["bytes"] == len(texts[0])
               for item in history["versions"])
    assert client.get_policies(4).body.decode() == texts[3]
    wait_until(lambda: client.get_policies(3).status == 404, "the end of version 3")
    assert_problem(client.get_policies(24), 404, "the latest is 23")
    assert_problem(client.request("GET", "/policies?version=x"), 400, "version")
    assert_problem(client.request("GET", "/policies?x=1"), 400)
    assert_problem(client.request("GET", "/policies/history?x=1"), 400)


def test_an_admin_may_change_and_the_asker_may_not_even_look(
        start_agent, admin_file, asker_file):  # pylint: disable=redefined-outer-name
    agent = start_agent("--policies", "store:", "--admin-token-file", admin_file,
                        "--http-token-file", asker_file, http=True)
    with HttpClient(agent) as client:
        for headers in ({}, bearer(ASKER)):
            for path in ("/policies", "/policies/history"):
                assert_problem(client.get(path, headers), 401)
            assert_problem(client.request("PUT", "/policies", FIRST,
                                          {**JSON, "If-Match": "0", **headers}), 403)
    with Operator(agent) as client:
        answer = client.try_to_put(FIRST, 0, **{"Sec-Fetch-Site": "cross-site"})
        assert_problem(answer, 403, "another site")
        assert_problem(client.request("DELETE", "/policies"), 405)
        assert client.version() == '"0"'


def test_an_agent_with_a_file_has_no_policies_in_the_store(start_agent, admin_file):  # pylint: disable=redefined-outer-name
    agent = start_agent("--admin-token-file", admin_file, http=True, policies=FIRST)
    with Operator(agent) as client:
        assert_problem(client.get_policies(), 404, "--policies store:")
        assert_problem(client.try_to_put(FIRST, 0), 404, "--policies store:")
        assert_problem(client.request("GET", "/policies/history"), 404)


def test_sighup_has_nothing_to_read(client):
    client.put(FIRST, 0)
    client.agent.signal(signal.SIGHUP)
    line = client.agent.wait_for_event("reload_ignored")
    assert "in the store" in line["reason"]
    assert client.limit() == 2


def test_replay_wants_a_file_and_check_config_says_where_the_policies_are():
    done = run("replay", "--policies", "store:")
    assert done.returncode == 2 and "policies get" in done.stderr
    done = run("check-config", "--policies", "store:")
    assert done.returncode == 0 and "the policies are in the store" in done.stderr


# --- several agents ------------------------------------------------------------------------------

def test_a_version_that_is_put_at_one_agent_is_used_by_the_other(two):
    one, other = two
    assert one.put(FIRST, 0)["scope"] == "all agents"
    await_limit(other, 2)
    assert other.get_policies().body.decode() == FIRST

    other.put(SECOND, 1)
    await_limit(one, 7)
    wait_until(lambda: one.version() == '"2"', "the version")
    assert_problem(one.try_to_put(FIRST, 1), 412, "which is 2")
    wait_until(lambda: one.history() == other.history(), "the same history")


def test_of_two_operators_with_the_same_version_the_second_is_told(two):
    one, other = two
    for number in range(0, 6, 2):
        one.put(FIRST, number)
        # It may not have heard of the first one yet, and is told by the store.
        assert_problem(other.try_to_put(SECOND, number), 412)
        await_put(other, SECOND, number + 1)
        wait_until(lambda number=number: one.version() == f'"{number + 2}"', "that version")
    await_limit(one, 7)


def test_an_agent_that_starts_has_the_policies_of_the_store(two, start, redis):
    two[0].put(FIRST, 0)

    with start(redis.url) as late:
        await_limit(late, 2)
        assert late.is_ready()
        assert not late.agent.events("policies_store_empty")


def test_an_emptied_redis_gets_its_versions_back(two, start, redis):
    one, other = two
    one.put(FIRST, 0)
    one.put(SECOND, 1)
    await_limit(other, 7)
    before = one.history()["versions"]

    redis.ask("FLUSHALL")
    for client in two:
        client.agent.wait_for_event("store_state_lost", level="warn")
    wait_until(lambda: redis.ask("HLEN", "rl:{records}:values") == 4, "both versions")
    assert (one.limit(), other.limit()) == (7, 7)
    with start(redis.url) as late:
        await_limit(late, 7)
        assert late.history()["versions"] == before
        assert late.get_policies(1).body.decode() == FIRST
    await_put(other, FIRST, 2)
    await_limit(one, 2)


def test_with_redis_away_the_policies_stay_and_changes_are_refused(two, redis, tmp_path):
    one, other = two
    one.put(FIRST, 0)
    await_limit(other, 2)
    redis.kill()
    for client in two:
        client.agent.wait_for_event("store_down")

    assert_problem(other.try_to_put(SECOND, 1), 503, "nothing has changed")
    answer = other.get_policies()
    assert answer.body.decode() == FIRST and answer.headers["warning"].startswith("110 ")
    assert other.history()["stale"] is True
    (tmp_path / "token").write_text(f"ann {ANN}\n")
    done = run("policies", "get", "--token-file", tmp_path / "token",
               "--agent", f"http://{other.agent.http_address}")
    assert (done.returncode, done.stdout.strip()) == (0, FIRST.strip())
    assert done.stderr == ("version 1\nstale: the store does not answer, and this is what the agent "
                           "knew last\n")
    assert other.is_ready()


# --- starts without the store --------------------------------------------------------------------

def test_a_start_without_redis_answers_by_on_error_until_redis_answers(start, redis):
    with start(redis.url) as client:
        wait_until(client.is_ready, "the policies")
        client.put(FIRST, 0)
    dump = redis.ask("HGETALL", "rl:{records}:values")
    assert len(dump) == 4
    redis.kill()

    for on_error, status in (("allow", 200), ("deny", 503), ("local", 200)):
        with start(redis.url, "--on-error", on_error) as client:
            answer = client.check(attributes={"src": "192.0.2.1"})
            assert (answer.status, answer.json["reason"]) == (status, "error")
            assert answer.json["degraded"] and "policy" not in answer.json
            assert client.check(policy="login", key="x").json["reason"] == "error"
            ready = client.request("GET", "/ready")
            assert_is_described(ready, "get", "/ready")
            assert ready.status == 503
            assert client.get_policies().status == 503
            with client.agent.connect() as peer:
                assert peer.ask(path="/").vars["reason"] == "error"
            client.agent.stop()

    with start(redis.url) as client:
        redis.start()  # it has nothing any more
        wait_until(client.is_ready, "the store's answer")
        assert client.check(attributes={"src": "192.0.2.1"}).json["reason"] == "none"


def test_the_state_file_has_the_policies_for_a_start_without_redis(start, redis, tmp_path):
    path = tmp_path / "state"
    with start(redis.url, "--state-file", path) as client:
        wait_until(client.is_ready, "the policies")
        client.put(FIRST, 0)
        wait_until(lambda: b"policies.1" in path.read_bytes(), "the file")
        client.agent.stop()
    redis.kill()

    with start(redis.url, "--state-file", path) as client:
        wait_until(client.is_ready, "the policies of the file")
        assert client.get_policies().body.decode() == FIRST
        wait_until(lambda: client.history()["used"] == 1, "their use")
        redis.start()  # it has nothing at all: the file fills it
        wait_until(lambda: redis.ask("HLEN", "rl:{records}:values") == 2, "the records")
        client.agent.stop()

    with start(redis.url) as other:
        await_limit(other, 2)
        await_put(other, SECOND, 1)
    with start(redis.url, "--state-file", path) as client:
        await_limit(client, 7)


def test_the_state_file_has_the_policies_of_an_agents_memory(start, tmp_path):
    path = tmp_path / "state"
    with start(None, "--state-file", path) as client:
        client.put(FIRST, 0)
        wait_until(lambda: b"policies.1" in path.read_bytes(), "the file")
        client.agent.stop()

    with start(None, "--state-file", path) as client:
        await_limit(client, 2)
        assert client.history()["versions"][0]["who"] == "ann"
        client.put(SECOND, 1)


def test_a_version_that_an_agent_cannot_read_is_refused_and_the_old_one_stays(two, redis):
    """As of an agent that is newer, and has a field more."""
    one, other = two
    one.put(FIRST, 0)
    await_limit(other, 2)
    assert one.try_to_put(NEWER, 1).status == 422

    put_version_as_another_agent(redis, 2)
    for client in two:
        line = client.agent.wait_for_event("policies_refused", version=2, used=1, level="error")
        assert "policies.login.burst" in line["reason"]
        history = client.history()
        assert (history["version"], history["used"], client.limit()) == (2, 1, 2)
        assert history["refused"]["version"] == 2 and "burst" in history["refused"]["reason"]
        metrics = client.get("/metrics", bearer(ANN)).body.decode()
        assert "\nratelimit_policies_version 1\n" in metrics
        assert "\nratelimit_policies_stored_version 2\n" in metrics
    one.put(SECOND, 2)
    await_limit(other, 7)
    wait_until(lambda: "refused" not in other.history(), "the next version")


NEWER = '{"policies":{"login":{"algorithm":"fixed_window","limit":9,"window":"1h","key":[],"burst":1}}}'


def put_as_another_agent(redis, name, value, kind=0):
    script = (ROOT / "lua/records/records.lua").read_text()
    keys = [f"rl:{{records}}:{key}" for key in many_records.KEYS]
    redis.ask("EVAL", script, len(keys), *keys, "put", "0" * 16, name, 0, kind, value, 0, 100000,
              100000, 1000000, 0)


def put_version_as_another_agent(redis, number, text=NEWER):
    upload = f"{number:016x}"
    put_as_another_agent(redis, f"policies.{upload}.0", "p" + text)
    put_as_another_agent(redis, f"policies.{number}", f"p{upload} {len(text)} eve")


def test_an_agent_that_starts_uses_the_latest_version_that_it_can_read(two, start, redis, tmp_path):
    """As one that is older than the agent that put the latest two versions."""
    one, _ = two
    one.put(FIRST, 0)
    one.put(SECOND, 1)
    put_version_as_another_agent(redis, 3)
    put_version_as_another_agent(redis, 4)

    def assert_uses_the_second(client):
        wait_until(client.is_ready, "a version")
        await_limit(client, 7)
        for number in (4, 3):
            line = client.agent.wait_for_event("policies_refused", version=number, used=0)
            assert "policies.login.burst" in line["reason"] and "before this one" in line["hint"]
        client.agent.wait_for_event("reloaded", policies_version=2)
        history = client.history()
        assert (history["version"], history["used"]) == (4, 2)
        assert history["refused"]["version"] == 4
        assert not client.agent.events("policies_store_empty")

    with start(redis.url, "--state-file", tmp_path / "state") as client:
        assert_uses_the_second(client)
        wait_until(lambda: b"policies.4" in (tmp_path / "state").read_bytes(), "the file")
        client.agent.stop()
    redis.kill()
    with start(redis.url, "--state-file", tmp_path / "state") as client:
        assert_uses_the_second(client)
        redis.start()  # it has nothing, and gets all of it back
        await_put(client, FIRST, 4)
        await_limit(client, 2)
        assert "refused" not in client.history()


def test_an_agent_that_can_read_no_version_is_not_ready(start, redis):
    for number in (1, 2):
        put_version_as_another_agent(redis, number)
    with start(redis.url) as client:
        client.agent.wait_for_event("policies_refused", version=1, used=0)
        assert not client.is_ready()
        assert client.check(attributes={"src": "192.0.2.1"}).json["reason"] == "error"
        put_version_as_another_agent(redis, 3, FIRST)
        await_limit(client, 2)
        assert client.is_ready()


def test_an_agent_with_the_empty_set_uses_the_latest_version_that_it_can_read(start, redis):
    """As one that is older, and starts before the others bring back what Redis has lost."""
    with start(redis.url) as client:
        wait_until(client.is_ready, "the empty set")
        put_version_as_another_agent(redis, 2)
        line = client.agent.wait_for_event("policies_refused", version=2, used=0)
        assert "before this one" in line["hint"]
        put_version_as_another_agent(redis, 1, FIRST)
        await_limit(client, 2)


def test_when_the_version_that_was_refused_is_gone_the_next_one_is_refused_once(start, redis):
    for number in (4, 9):
        put_version_as_another_agent(redis, number)
    with start(redis.url) as client:
        client.agent.wait_for_event("policies_refused", version=4, used=0)
        assert client.history()["refused"]["version"] == 9
        put_as_another_agent(redis, "policies.9", "", kind=1)
        wait_until(lambda: client.history().get("refused", {}).get("version") == 4, "version 4")
        put_version_as_another_agent(redis, 5, FIRST)
        await_limit(client, 2)


def test_a_record_that_is_no_version_is_said_and_ignored(two, redis):
    two[0].put(FIRST, 0)
    put_as_another_agent(redis, "policies.2", "pnonsense")
    for client in two:
        assert client.agent.wait_for_event("policies_unusable", level="warn")["id"] == "policies.2"
        await_limit(client, 2)
        assert client.version() == '"1"'


def test_a_put_names_the_right_that_the_agent_lacks(two, redis):
    one, _ = two
    one.put(FIRST, 0)

    def is_refused():
        answer = one.try_to_put(SECOND, 1)
        assert_problem(answer, 503, "nothing has changed")
        return "lacks a right" in answer.json["detail"]
    redis.ask("ACL", "SETUSER", "default", "-get")
    wait_until(is_refused, "the refusal of Redis in time")
    redis.ask("ACL", "SETUSER", "default", "+@all")
    await_put(one, SECOND, 1)


def answer_in_time(client, text, version):
    """503: this machine was too busy for Redis."""
    return wait_until(lambda: (answer := client.try_to_put(text, version)).status != 503 and answer,
                      "an answer of Redis in time")


def pieces_in_force(redis):
    values = redis.ask("HGETALL", "rl:{records}:values")
    return [name for name, value in zip(values[::2], values[1::2])
            if name.count(b".") == 2 and value.split(b" ")[2] == b"0"]


def test_a_put_that_is_refused_as_full_leaves_nothing(two, redis):
    one, _ = two
    one.put(FIRST, 0)
    version = "rl:{records}:version"
    words = redis.ask("GET", version).decode().split()
    redis.ask("SET", version, " ".join([*words[:-1], "99999"]))  # so many are in force

    assert_problem(answer_in_time(one, SECOND, 1), 409, "no room")
    wait_until(lambda: len(pieces_in_force(redis)) == 1, "the end of the second text")
    assert redis.ask("GET", version).decode().split()[-1] == "99999"
    assert (one.version(), one.limit()) == ('"1"', 2)


def test_an_agent_that_was_away_puts_nothing_below_the_latest_version(two, redis):
    one, other = two
    one.put(FIRST, 0)
    await_limit(other, 2)
    one.agent.signal(signal.SIGSTOP)
    for number in range(2, 24):
        put_version_as_another_agent(redis, number, SECOND)
    put_as_another_agent(redis, "policies.2", "", kind=1)  # too old, so its number is free again

    with concurrent.futures.ThreadPoolExecutor() as pool:
        answer = pool.submit(answer_in_time, one, FIRST, 1)
        one.agent.signal(signal.SIGCONT)
        assert_problem(answer.result(), 412, "which is 23")
    await_limit(one, 7)
    await_limit(other, 7)


# --- the commands --------------------------------------------------------------------------------

def test_the_commands_get_put_and_go_back(two, tmp_path):
    token = tmp_path / "token"
    token.write_text(f"ann {ANN}\n")
    addresses = [f"http://{client.agent.http_address}" for client in two]
    (tmp_path / "first.json").write_text(FIRST)
    (tmp_path / "second.json").write_text(SECOND)
    (tmp_path / "bad.json").write_text('{"policies":{"a":{}},"x":1}')

    def policies(*arguments, agents=addresses[:1]):
        return run("policies", *arguments, "--token-file", token,
                   *(word for address in agents for word in ("--agent", address)))

    done = policies("get")
    assert (done.returncode, json.loads(done.stdout), done.stderr) == (0, EMPTY, "version 0\n")
    done = policies("put", tmp_path / "first.json", "--version", "0", agents=addresses)
    assert (done.returncode, done.stderr) == (0, "")
    assert "version 1 is put, for all agents" in done.stdout
    done = policies("put", tmp_path / "second.json", "--version", "0")
    assert done.returncode == 1 and "412 If-Match is not the latest version" in done.stderr
    done = policies("put", tmp_path / "second.json", "--force", "--json", agents=addresses[1:])
    assert json.loads(done.stdout)["version"] == 2
    done = policies("put", tmp_path / "bad.json", "--force")
    assert done.returncode == 1 and "422" in done.stderr
    assert "policies.a.algorithm: is missing" in done.stderr and "x: unknown field" in done.stderr
    done = policies("rollback", "1")
    assert (done.returncode, done.stdout) == (0, "version 3 is put, for all agents\n")
    done = policies("get")
    assert (done.stdout.strip(), done.stderr) == (FIRST.strip(), "version 3\n")
    done = policies("get", "--version", "2")
    assert (done.stdout.strip(), done.stderr) == (SECOND.strip(), "version 2\n")
    done = policies("history")
    lines = [line.split() for line in done.stdout.splitlines()]
    assert lines[0] == ["VERSION", "PUT", "WHO", "BYTES", "STATE"]
    assert [line[0] for line in lines[1:]] == ["3", "2", "1"]
    assert lines[1][2:] == ["ann", str(len(FIRST)), "in", "use"]
    assert json.loads(policies("history", "--json").stdout)["used"] == 3
    assert policies("rollback", "9").returncode == 1


@pytest.mark.parametrize("words, reason", [
    ([], "accepted are get, put FILE, history and rollback N"),
    (["delete"], "accepted are get, put FILE, history and rollback N"),
    (["put"], "put FILE is missing"),
    (["put", "x.json"], "--version is missing"),
    (["put", "x.json", "--version", "1", "--force"], "one of --version and --force"),
    (["put", "x.json", "--version", "one"], '"one" is not the number of a version'),
    (["put", "x.json", "y.json", "--version", "1"], '"y.json" is not accepted'),
    (["get", "x"], '"x" is not accepted'),
    (["get", "--force"], "--force is for put alone"),
    (["history", "--version", "1"], "--version is for get and put alone"),
    (["rollback"], "rollback N is missing"),
    (["rollback", "0"], '"0" is not the number of a version'),
], ids=lambda value: " ".join(value) or "nothing" if isinstance(value, list) else "")
def test_wrong_words_are_exit_2(words, reason):
    done = run("policies", *words)
    assert (done.returncode, done.stdout) == (2, "")
    assert reason in done.stderr


def test_a_file_that_is_missing_or_too_large_is_exit_1(client, tmp_path):
    (tmp_path / "large").write_text(" " * ((1 << 20) + 1))
    for name, reason in (("none", "No such file"), ("large", "larger than 1 MiB")):
        done = run("policies", "put", tmp_path / name, "--version", "0", "--agent",
                   f"http://{client.agent.http_address}")
        assert done.returncode == 1 and reason in done.stderr


def test_a_redis_that_may_delete_the_policies_is_warned_about(start, redis, tmp_path):
    redis.ask("CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
    with start(redis.url) as client:
        wait_until(client.is_ready, "the policies")
        status = client.request("GET", "/status").json
        assert status["store"]["warnings"] == []
        assert not client.agent.events("store_evicts_exceptions")
        client.put(FIRST, 0)
        line = client.agent.wait_for_event("store_evicts_exceptions", level="warn")
        assert line["maxmemory_policy"] == "allkeys-lru" and "stored policies" in line["hint"]
        status = client.request("GET", "/status").json
        assert ["allkeys-lru" in text for text in status["store"]["warnings"]] == [True]
        assert client.history()["warnings"] == status["store"]["warnings"]
        assert client.put(SECOND, 1)["warnings"] == status["store"]["warnings"]
        (tmp_path / "first.json").write_text(FIRST)
        (tmp_path / "token").write_text(f"ann {ANN}\n")
        for words in (["history"], ["put", tmp_path / "first.json", "--force"], ["rollback", "1"]):
            done = run("policies", *words, "--token-file", tmp_path / "token",
                       "--agent", f"http://{client.agent.http_address}")
            assert done.returncode == 0 and "warning: " in done.stderr, (words, done)
            assert "allkeys-lru" in done.stderr and "warning" not in done.stdout
    with start(redis.url) as client:
        client.agent.wait_for_event("store_evicts_exceptions")
