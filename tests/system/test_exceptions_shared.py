"""Exceptions of agents that share a Redis: all of them have each change, whatever Redis loses."""

import contextlib

import pytest

from agent import run
from http_client import assert_problem
from processes import wait_until
from test_admin_tokens import ANN, BOB, admin_file, bearer  # pylint: disable=unused-import
from test_exceptions import POLICIES, Operator
from test_http_openapi import assert_is_described
from test_policies_store import put_as_another_agent


@pytest.fixture
def start(start_agent, admin_file):  # pylint: disable=redefined-outer-name
    def start_one(store=None, *options):
        agent = start_agent("--admin-token-file", admin_file, "--store-timeout", "5s", *options,
                            http=True, policies=POLICIES, store=store)
        return Operator(agent)
    return start_one


@pytest.fixture
def three(start, redis):
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(start(redis.url)) for _ in range(3)]
        for client in clients:
            client.agent.wait_for_store()
        yield clients


def ids(client):
    return {exception["id"] for exception in client.listed()}


def await_ids(clients, wanted):
    for client in clients:
        wait_until(lambda client=client: ids(client) == wanted, f"{wanted} at {client.agent}")


def test_each_change_reaches_all_agents(three):
    one, two, third = three
    blocked = one.set(None, {"blocked": True}, src="192.0.2.1")
    raised = two.set("login", {"limit": 7}, src="192.0.2.2")

    assert blocked["scope"] == raised["scope"] == "all agents"
    await_ids(three, {blocked["id"], raised["id"]})
    for client in three:
        assert client.reason(src="192.0.2.1") == "blocked"
        assert client.check(policy="login", key="192.0.2.2", cost=0).json["limit"] == 7
    third.remove(blocked)
    await_ids(three, {raised["id"]})
    for client in three:
        assert client.reason(src="192.0.2.1") == "ok"


def test_of_two_operators_at_once_the_last_one_wins_and_the_log_has_both(three):
    one, two, _ = three
    by_ann = one.set("login", {"limit": 7}, src="192.0.2.2")
    answer = two.request("PUT", "/exceptions/login?src=192.0.2.2", '{"limit":9}',
                         {"Content-Type": "application/json", **bearer(BOB)})
    assert answer.status == 200 and answer.json["id"] == by_ann["id"]

    def has_the_last_one(client):
        return [exception["limit"] for exception in client.listed()] == [9]
    for client in three:
        wait_until(lambda client=client: has_the_last_one(client), "the change of bob")
        assert client.check(policy="login", key="192.0.2.2", cost=0).json["limit"] == 9
    one.agent.wait_for_event("exception_set", id=by_ann["id"], who="ann")
    two.agent.wait_for_event("exception_set", id=by_ann["id"], who="bob")


def test_an_agent_that_was_killed_has_all_again(three, start, redis):
    one, two, third = three
    kept = one.set(None, {"blocked": True}, src="192.0.2.1")
    gone = one.set(None, {"blocked": True}, src="192.0.2.2")
    await_ids(three, {kept["id"], gone["id"]})
    third.agent.kill()
    two.remove(gone)

    with start(redis.url) as again:
        await_ids([one, two, again], {kept["id"]})
        assert again.reason(src="192.0.2.2") == "ok"


def test_what_redis_loses_comes_back_from_the_agents(three, start, redis):
    one, two, _ = three
    kept = one.set(None, {"blocked": True}, src="192.0.2.1")
    gone = one.set(None, {"blocked": True}, src="192.0.2.2")
    await_ids(three, {kept["id"], gone["id"]})
    two.remove(gone)
    await_ids(three, {kept["id"]})

    redis.ask("FLUSHALL")
    for client in three:
        client.agent.wait_for_event("store_state_lost", level="warn")
    wait_until(lambda: redis.ask("HLEN", "rl:{records}:values") == 2, "the records")
    with start(redis.url) as again:
        await_ids([*three, again], {kept["id"]})


def texts(client):
    """The warnings of /status, which every answer has as well."""
    warnings = client.request("GET", "/status").json["store"]["warnings"]
    assert client.request("GET", "/exceptions").json.get("warnings", []) == warnings
    for path in ("/balances/login?src=x", "/top?last=all"):
        assert client.request("GET", path).json.get("warnings", []) == warnings
    explained = client.request("POST", "/explain", '{"attributes":{}}',
                               {"Content-Type": "application/json"})
    assert_is_described(explained, "post", "/explain")
    assert explained.json.get("warnings", []) == warnings
    return warnings


def test_a_missing_right_is_shown_until_it_is_there(start, redis, tmp_path):
    redis.ask("ACL", "SETUSER", "default", "-zadd")
    token = tmp_path / "token"
    token.write_text(ANN)
    with start(redis.url) as client:
        client.agent.wait_for_store()
        client.agent.wait_for_event("store_lacks_right", command="ZADD")
        assert [text.split(":")[0] for text in texts(client)] == [
            "the agent's user of Redis may not run ZADD"]
        answer = client.change("PUT", None, {"blocked": True}, {"src": "192.0.2.1"})
        assert_problem(answer, 503, "lacks a right", "nothing has changed")
        shown = run("exceptions", "--agent", f"http://{client.agent.http_address}", "--token-file",
                    token)
        assert shown.returncode == 0 and "warning: the agent's user of Redis may not" in shown.stderr
        assert not client.agent.events("store_down")

        redis.ask("ACL", "SETUSER", "default", "+@all")
        client.agent.wait_for_event("store_regained_right")
        assert not texts(client)
        client.set(None, {"blocked": True}, src="192.0.2.1")
        assert len(client.agent.events("store_lacks_right")) == 1


def test_what_is_no_exception_is_said_and_ignored(three, start, redis):
    kept, spoilt = (three[0].set(src=f"192.0.2.{number}")["id"] for number in (1, 2))
    put_as_another_agent(redis, "0123456789abcdef", "enonsense")
    for client in three:
        line = client.agent.wait_for_event("exception_unusable", level="warn")
        assert line["id"] == "0123456789abcdef"
    await_ids(three, {kept, spoilt})
    redis.ask("HSET", "rl:{records}:values", spoilt, "foreign")
    with start(redis.url) as late:
        line = late.agent.wait_for_event("store_records_failed", level="warn")
        assert "is none of ours" in line["reason"]
        await_ids([late], {kept})
        assert late.reason(src="192.0.2.1") == "blocked"


def test_more_than_the_bound_is_refused_and_nothing_changes(three, redis):
    one, *_ = three
    kept = one.set(src="192.0.2.1")["id"]
    version = "rl:{records}:version"
    words = redis.ask("GET", version).decode().split()
    redis.ask("SET", version, " ".join([*words[:-1], "100000"]))  # so many are in force

    answer = one.change("PUT", None, {"blocked": True}, {"src": "192.0.2.2"})
    assert_problem(answer, 409, "100000 exceptions")
    await_ids(three, {kept})
    assert one.reason(src="192.0.2.2") == "ok"


def test_a_redis_that_may_delete_exceptions_is_warned_about(start, redis):
    redis.ask("CONFIG", "SET", "maxmemory-policy", "allkeys-lfu")
    with start(redis.url) as client:
        client.agent.wait_for_store()
        assert not texts(client)
        client.set(None, {"blocked": True}, src="192.0.2.1")
        line = client.agent.wait_for_event("store_evicts_exceptions", level="warn")
        assert line["maxmemory_policy"] == "allkeys-lfu" and "volatile-lfu" in line["hint"]
        assert ["allkeys-lfu" in text for text in texts(client)] == [True]
    with start(redis.url) as client:
        client.agent.wait_for_event("store_evicts_exceptions")
    redis.ask("CONFIG", "SET", "maxmemory-policy", "volatile-lfu")
    with start(redis.url) as client:
        client.agent.wait_for_store()
        wait_until(lambda: len(ids(client)) == 1, "the exception")
        assert not texts(client) and not client.agent.events("store_evicts_exceptions")


def test_with_redis_away_what_is_known_holds_and_changes_are_refused(three, redis):
    one, two, third = three
    kept = one.set(None, {"blocked": True}, src="192.0.2.1")
    await_ids(three, {kept["id"]})
    redis.kill()
    for client in three:
        client.agent.wait_for_event("store_down")

    answer = two.change("PUT", None, {"blocked": True}, {"src": "192.0.2.3"})
    assert_problem(answer, 503, "nothing has changed")
    assert_problem(two.change("DELETE", None, None, {"id": kept["id"]}), 503)
    for client in three:
        assert ids(client) == {kept["id"]}
        assert client.reason(src="192.0.2.1") == "blocked"

    redis.start()  # without what it had
    wait_until(lambda: redis.ask("HLEN", "rl:{records}:values") == 1, "the record")
    wait_until(lambda: third.change("PUT", None, {"blocked": True},
                                    {"src": "192.0.2.3"}).status == 200, "a change")
    wait_until(lambda: all(len(ids(client)) == 2 for client in three), "both")


def test_a_change_whose_answer_is_lost_may_have_been_taken(start, redis):
    with start(redis.url) as client:
        client.agent.wait_for_store()
        known = client.set(None, {"blocked": True}, src="192.0.2.1")
        redis.ask("CLIENT", "PAUSE", "600000", "WRITE")

        answer = client.change("PUT", None, {"blocked": True}, {"src": "192.0.2.2"})
        assert_problem(answer, 503, "may have taken the change")
        event = client.agent.wait_for_event("exception_unconfirmed", level="warn")
        assert (event["who"], event["what"]) == ("ann", "exception")
        assert "192.0.2.2" not in str(event)
        assert ids(client) == {known["id"]}
        redis.ask("CLIENT", "UNPAUSE")
        wait_until(lambda: client.change("PUT", None, {"blocked": True},
                                         {"src": "192.0.2.2"}).status == 200, "a change")
