"""A Redis that sends replies that the script never gives. The store must believe none of them."""

import re

import pytest

import fake_redis
from agent import bucket, policies_text, window
from cases import named
from processes import wait_until

LIMIT = 1000
POLICIES = policies_text(
    bucket=bucket(LIMIT, "1/1h", ["bucket"]), log=window(LIMIT, "100d", key=["log"]),
    counter=window(LIMIT, "100d", "sliding_window_counter", ["counter"]),
    fixed=window(LIMIT, "100d", "fixed_window", ["fixed"]))
NAMES = ("bucket", "log", "counter", "fixed")


@pytest.fixture
def forger(redis, started):
    server = fake_redis.Forger(("127.0.0.1", redis.port))
    started.append(server)
    return server


@pytest.fixture
def agent(start_agent, forger):
    # Each question goes to Redis, also after a forged denial.
    agent = start_agent("--store-timeout", "300ms", "--on-error", "deny", "--deny-cache", "off",
                        store=forger.url, policies=POLICIES)
    return agent.wait_for_store()


class Asker:
    """Asks for one each time, over one connection, and keeps the books."""

    def __init__(self, agent, forger):
        self.peer, self.forger, self.asked = agent.connect(), forger, dict.fromkeys(NAMES, 0)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.peer.close()

    def ask(self, name="bucket"):
        self.asked[name] += 1
        return self.peer.ask(**{name: "x"})

    def assert_works_again(self, name="bucket", repeated=0):
        """And all that was asked was charged once; `repeated`: how much of it was rightly asked
        again."""
        self.forger.forge = None
        # It can't be charged while there is no link.
        wait_until(lambda: not self.peer.ask(**{name: "x"}, cost=0).degraded,
                   "an answer of Redis'")
        verdict = self.ask(name)
        assert verdict.reason == "ok"
        assert LIMIT - verdict.remaining == self.asked[name] + repeated


@pytest.fixture
def asker(agent, forger):
    with Asker(agent, forger) as opened:
        yield opened


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


@pytest.mark.parametrize("name", WRONG)
def test_a_reply_of_a_wrong_shape_is_an_error_and_no_more(agent, forger, asker, name):
    assert asker.ask().reason == "ok"
    forger.forge = lambda _: WRONG[name]

    verdicts = [asker.ask() for _ in range(10)]

    assert {(v.reason, v.degraded, v.allowed) for v in verdicts} == {("error", True, False)}
    # "noscript" says that nothing was done: that it was is this server's lie.
    asker.assert_works_again(repeated=10 if name == "noscript" else 0)
    assert len(agent.events("store_error")) <= 1
    assert {e["kind"] for e in agent.events("store_error")} <= {"other", "noscript"}
    assert {e["kind"] for e in agent.events("store_down")} <= {"other", "noscript", "timeout"}
    assert agent.events("store_error") or agent.events("store_down")


@pytest.mark.parametrize("reply", named({
    "protocol error": b"?what\r\n", "half of one": b"*3\r\n:1\r\n"}))
def test_a_reply_that_is_none_drops_the_link(agent, forger, asker, reply):
    forger.forge = lambda _: reply
    assert asker.ask().reason == "error"
    agent.wait_for_event("store_down")

    asker.assert_works_again()


def replaced(reply, position, number):
    """The reply with another number there, or with the same everywhere when that is None."""
    found = list(re.finditer(rb":-?\d+\r\n", reply))
    for match in reversed(found if position is None else found[position:position + 1]):
        reply = reply[:match.start()] + b":%d\r\n" % number + reply[match.end():]
    return reply


ABSURD = (-1, -2**63, 2**63 - 1, 2**62, 2**53, 2**53 - 1, 0, 1)


@pytest.mark.parametrize("name", NAMES)
def test_absurd_numbers_in_a_reply_are_an_error_or_make_a_sound_answer(forger, asker, name):
    for position in (*range(8), None):
        for number in ABSURD:
            forger.forge = lambda reply, p=position, n=number: replaced(reply, p, n)
            verdict = asker.ask(name)
            if verdict.reason == "error":
                continue
            assert 0 <= verdict.remaining <= LIMIT, (position, number)
            assert verdict.reset >= 0 and verdict.retry_after >= 0, (position, number)
    asker.assert_works_again(name)


def test_a_reply_that_comes_byte_by_byte_is_a_reply(forger, asker):
    forger.is_piecemeal = True

    assert [asker.ask(NAMES[n % 4]).reason for n in range(20)] == ["ok"] * 20
    for name in NAMES:
        asker.assert_works_again(name)


def test_a_reply_to_nothing_that_was_asked_drops_the_link(agent, forger, asker):
    forger.forge = lambda reply: reply + b":1\r\n"
    asker.ask()
    agent.wait_for_event("store_down")

    asker.assert_works_again()


def test_replies_of_the_wrong_order_are_never_given_to_another_client(forger, asker):
    """With one reply lost, those behind it would answer the wrong requests."""
    forger.forge = lambda _: b""
    verdict = asker.ask()
    assert (verdict.reason, verdict.degraded) == ("error", True)

    asker.assert_works_again()
    assert asker.peer.ask(bucket="y").remaining == LIMIT - 1
    assert asker.peer.ask(bucket="x", cost=3).remaining == LIMIT - asker.asked["bucket"] - 3
