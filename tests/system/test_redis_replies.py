"""A Redis whose script answers what the script never says: the store believes none of it."""

import re

import pytest

import fake_redis
from agent import bucket, policies_text, window
from cases import named
from processes import wait_until

POLICIES = policies_text(
    bucket=bucket(10, "1/1h", ["bucket"]), log=window(10, "100d", key=["log"]),
    counter=window(10, "100d", "sliding_window_counter", ["counter"]),
    fixed=window(10, "100d", "fixed_window", ["fixed"]))
NAMES = ("bucket", "log", "counter", "fixed")


@pytest.fixture
def forger(redis, started):
    server = fake_redis.Forger(("127.0.0.1", redis.port))
    started.append(server)
    return server


@pytest.fixture
def agent(start_agent, forger):
    agent = start_agent("--store-timeout", "300ms", "--on-error", "deny", store=forger.url,
                        policies=POLICIES)
    return agent.wait_for_store()


def ask(peer, name="bucket"):
    return peer.ask(**{name: "x", "cost": 0})


def assert_works_again(peer, forger):
    forger.forge = None
    wait_until(lambda: not ask(peer).degraded, "an answer of Redis'")
    assert ask(peer).reason == "ok"


WRONG = {
    "a number": b":1\r\n", "a status": b"+OK\r\n", "a text": b"$2\r\nok\r\n", "nil": b"$-1\r\n",
    "nil array": b"*-1\r\n", "nothing": b"*0\r\n", "one": b"*1\r\n:1\r\n",
    "texts": b"*3\r\n$1\r\n1\r\n$1\r\n1\r\n$1\r\n1\r\n", "too much": b"*500\r\n" + b":1\r\n" * 500,
    "far too much": b"*100000\r\n" + b":1\r\n" * 100_000, "nils": b"*4\r\n" + b"$-1\r\n" * 4,
    "arrays": b"*2\r\n*2\r\n:1\r\n:1\r\n*2\r\n:1\r\n:1\r\n",
    "an error inside": b"*2\r\n:1\r\n-ERR x\r\n",
    "an error": b"-ERR something\r\n", "a long error": b"-ERR " + b"x" * 30_000 + b"\r\n",
    "noscript": b"-NOSCRIPT No matching script.\r\n",
    "a long text": b"$50000\r\n" + b"x" * 50_000 + b"\r\n"}


@pytest.mark.parametrize("reply", named(WRONG))
def test_a_reply_of_a_wrong_shape_is_an_error_and_no_more(agent, forger, reply):
    with agent.connect() as peer:
        assert ask(peer).reason == "ok"
        forger.forge = lambda _: reply

        verdicts = [ask(peer) for _ in range(10)]

        assert {(v.reason, v.degraded, v.allowed) for v in verdicts} == {("error", True, False)}
        assert_works_again(peer, forger)
    assert len(agent.events("store_error")) <= 1
    assert {e["kind"] for e in agent.events("store_error")} <= {"other", "noscript"}
    assert {e["kind"] for e in agent.events("store_down")} <= {"other", "noscript", "timeout"}
    assert agent.events("store_error") or agent.events("store_down")


@pytest.mark.parametrize("reply", named({
    "protocol error": b"?what\r\n", "half of one": b"*3\r\n:1\r\n"}))
def test_a_reply_that_is_none_drops_the_link(agent, forger, reply):
    with agent.connect() as peer:
        forger.forge = lambda _: reply
        assert ask(peer).reason == "error"
        agent.wait_for_event("store_down")

        assert_works_again(peer, forger)


def replaced(reply, position, number):
    """The reply with another number there, or with the same everywhere when that is None."""
    found = list(re.finditer(rb":-?\d+\r\n", reply))
    for match in reversed(found if position is None else found[position:position + 1]):
        reply = reply[:match.start()] + b":%d\r\n" % number + reply[match.end():]
    return reply


ABSURD = (-1, -2**63, 2**63 - 1, 2**62, 2**53, 2**53 - 1, 0, 1)


@pytest.mark.parametrize("name", NAMES)
def test_absurd_numbers_in_a_reply_are_an_error_or_make_a_sound_answer(agent, forger, name):
    with agent.connect() as peer:
        for position in (*range(8), None):
            for number in ABSURD:
                forger.forge = lambda reply, p=position, n=number: replaced(reply, p, n)
                verdict = ask(peer, name)
                if verdict.reason == "error":
                    continue
                assert 0 <= verdict.remaining <= 10, (position, number)
                assert verdict.reset >= 0 and verdict.retry_after >= 0, (position, number)
        assert_works_again(peer, forger)


def test_a_reply_that_comes_byte_by_byte_is_a_reply(agent, forger):
    forger.is_piecemeal = True
    with agent.connect() as peer:
        assert [ask(peer, NAMES[n % 4]).reason for n in range(20)] == ["ok"] * 20


def test_a_reply_to_nothing_that_was_asked_drops_the_link(agent, forger):
    with agent.connect() as peer:
        forger.forge = lambda reply: reply + b":1\r\n"
        ask(peer)
        agent.wait_for_event("store_down")

        assert_works_again(peer, forger)


def test_replies_of_the_wrong_order_are_never_given_to_another_client(agent, forger):
    """With one reply lost, those behind it would answer the wrong requests."""
    with agent.connect() as peer:
        forger.forge = lambda _: b""
        verdict = ask(peer)
        assert (verdict.reason, verdict.degraded) == ("error", True)

        assert_works_again(peer, forger)
        assert peer.ask(bucket="y").remaining == 9
        assert peer.ask(bucket="x", cost=3).remaining == 7
