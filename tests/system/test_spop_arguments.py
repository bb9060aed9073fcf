"""What a message's arguments mean: attributes, reserved names (docs/reference.md, section SPOP)."""

import pytest

import spop
from agent import bucket, policies_text
from cases import named

CLIENT = spop.ip("192.0.2.1")
BUCKET = {"algorithm": "token_bucket", "capacity": 10, "refill_rate": "1/1h"}
WINDOW = {"limit": 10, "window": "1h"}
POLICIES = policies_text(per_ip=bucket(10), per_user=bucket(5, key=["user", "app"]),
                         everybody=bucket(1000, key=[]))


@pytest.fixture
def agent(start_agent):
    """Denies what is invalid, so that nothing invalid can pass for allowed."""
    return start_agent("--on-error", "deny", policies=POLICIES)


def inline(key, **changes):
    return {**BUCKET, "key": key, **changes}


def window(algorithm, **changes):
    return {"algorithm": algorithm, "key": "k", **WINDOW, **changes}


def number(kind, value):
    return spop.Typed(kind, value)


# --- what is invalid --------------------------------------------------------------------------

INVALID = {
    "policy: a number": {"policy": 5, "src": CLIENT},
    "policy: a boolean": {"policy": True, "src": CLIENT},
    "policy: an address": {"policy": CLIENT, "src": CLIENT},
    "policy: unknown": {"policy": "nobody", "src": CLIENT},
    "policy: one of two is unknown": {"policy": "per-ip,nobody", "src": CLIENT},
    "policy: empty": {"policy": "", "src": CLIENT},
    "policy: an empty name in the list": {"policy": "per-ip,,everybody", "src": CLIENT},
    "policy: a comma at the end": {"policy": "per-ip,", "src": CLIENT},
    "policy: in other case": {"policy": "Per-IP", "src": CLIENT},
    "policy: only a beginning of a name": {"policy": "per", "src": CLIENT},
    "policy: a name and a NUL": {"policy": "per-ip\0", "src": CLIENT},
    "policy: inline by name": {"policy": "inline", "src": CLIENT},
    "policy with algorithm": {"policy": "per-ip", **inline("k"), "src": CLIENT},
    "policy without its attributes": {"policy": "per-ip"},
    "policy without one of its attributes": {"policy": "per-user", "user": "u"},
    "policy whose attribute is NULL": {"policy": "per-ip", "src": None},
    "key alone": {"key": "k"},
    "key alone, with attributes": {"key": "k", "src": CLIENT},
    "cost: negative": {"cost": -1, "src": CLIENT},
    "cost: 2^63": {"cost": number(spop.UINT64, 2**63), "src": CLIENT},
    "cost: 2^64-1": {"cost": number(spop.UINT64, 2**64 - 1), "src": CLIENT},
    "cost: a word": {"cost": "many", "src": CLIENT},
    "cost: a fraction": {"cost": "1.5", "src": CLIENT},
    "cost: negative text": {"cost": "-1", "src": CLIENT},
    "cost: 2^63 as text": {"cost": str(2**63), "src": CLIENT},
    "cost: 2^64 as text": {"cost": str(2**64), "src": CLIENT},
    "cost: empty": {"cost": "", "src": CLIENT},
    "cost: an address": {"cost": CLIENT, "src": CLIENT},
    "cost: a boolean": {"cost": True, "src": CLIENT},
    "algorithm: unknown": inline("k", algorithm="leaky_bucket"),
    "algorithm: a number": inline("k", algorithm=1),
    "algorithm: empty": inline("k", algorithm=""),
    "inline without key": inline(None),
    "inline without capacity": inline("k", capacity=None),
    "inline without refill_rate": inline("k", refill_rate=None),
    "inline without any number": {"algorithm": "token_bucket", "key": "k"},
    "capacity: 0": inline("k", capacity=0),
    "capacity: negative": inline("k", capacity=-1),
    "capacity: a fraction": inline("k", capacity="1.5"),
    "capacity: a word": inline("k", capacity="ten"),
    "capacity: 10^15": inline("k", capacity=10**15, refill_rate=1000000),
    "capacity: 10^15 as text": inline("k", capacity=str(10**15), refill_rate=1000000),
    "limit: 10^15": window("fixed_window", limit=10**15),
    "limit: 10^15 as text": window("fixed_window", limit=str(10**15)),
    "capacity: 2^63": inline("k", capacity=number(spop.UINT64, 2**63)),
    "capacity: an address": inline("k", capacity=CLIENT),
    "capacity: a boolean": inline("k", capacity=True),
    "refill_rate: 0": inline("k", refill_rate=0),
    "refill_rate: negative": inline("k", refill_rate=-1),
    "refill_rate: zero text": inline("k", refill_rate="0.0"),
    "refill_rate: negative text": inline("k", refill_rate="-0.5"),
    "refill_rate: two points": inline("k", refill_rate="0.5.1"),
    "refill_rate: an address": inline("k", refill_rate=CLIENT),
    "refill_rate: a ratio by nothing": inline("k", refill_rate="1/0s"),
    "refill_rate: half a ratio": inline("k", refill_rate="1/"),
    "refill_rate: infinite": inline("k", refill_rate="inf"),
    "refill_rate: not a number": inline("k", refill_rate="nan"),
    "window without limit": window("fixed_window", limit=None),
    "limit without window": window("fixed_window", window=None),
    "limit: 0": window("fixed_window", limit=0),
    "limit: over a million in a log": window("sliding_window", limit=1_000_001),
    "window: 0": window("sliding_window", window=0),
    "window: no duration": window("sliding_window_counter", window="1x"),
    "window: under 1 ms": window("fixed_window", window="0.0005"),
    "window: negative": window("fixed_window", window=-60),
    "window: empty": window("fixed_window", window=""),
}


@pytest.mark.parametrize("arguments", named(INVALID))
def test_a_bad_reserved_argument_is_invalid_and_the_connection_stays(peer, arguments):
    verdict = peer.ask(**arguments)

    assert (verdict.reason, verdict.allowed, verdict.degraded) == ("invalid", False, False)
    assert "policy" in verdict.unset and "ratelimit" in verdict.unset
    assert peer.ask(src=CLIENT, cost=0).reason == "ok"


@pytest.mark.parametrize("on_error, allowed", [("allow", True), ("deny", False), ("local", True)])
def test_what_is_invalid_is_answered_by_on_error(start_agent, on_error, allowed):
    with start_agent("--on-error", on_error).connect() as peer:
        verdict = peer.ask(policy="nobody")

    assert (verdict.reason, verdict.allowed) == ("invalid", allowed)


def test_one_invalid_message_of_two_spoils_the_frame_and_nothing_is_charged(peer):
    verdict = peer.ask(inline("k"), {"policy": "nobody"})

    assert (verdict.reason, verdict.allowed) == ("invalid", False)
    assert peer.ask(**inline("k", cost=0)).remaining == 10


# --- what is not --------------------------------------------------------------------------------

VALID = {
    "a NULL policy is absent": ({"policy": None, "src": CLIENT}, 9),
    "a NULL cost is 1": ({"cost": None, "src": CLIENT}, 9),
    "a NULL key is absent": ({"key": None, "src": CLIENT}, 9),
    "a NULL algorithm is absent": ({"algorithm": None, "src": CLIENT}, 9),
    "spaces around names": ({"policy": "  per-ip ", "src": CLIENT}, 9),
    "a repeated name counts once": ({"policy": "per-ip,per-ip", "src": CLIENT}, 9),
    "a policy as a binary": ({"policy": number(spop.BIN, b"per-ip"), "src": CLIENT}, 9),
    "cost of type INT32": ({"cost": number(spop.INT32, 3), "src": CLIENT}, 7),
    "cost of type UINT32": ({"cost": number(spop.UINT32, 3), "src": CLIENT}, 7),
    "cost of type UINT64": ({"cost": number(spop.UINT64, 3), "src": CLIENT}, 7),
    "cost 0 takes nothing": ({"cost": 0, "src": CLIENT}, 10),
    "numbers as text": (inline("k", capacity="7", refill_rate="0.5"), 6),
    "a rate as a ratio": (inline("k", refill_rate="1000/1h"), 9),
    "a fixed window": (window("fixed_window"), 9),
    "a sliding window": (window("sliding_window"), 9),
    "a sliding window counter": (window("sliding_window_counter"), 9),
    "a window in seconds": (window("fixed_window", window=3600), 9),
    "a window in seconds as text": (window("fixed_window", window="3600"), 9),
    "a window of 1 ms": (window("fixed_window", window="1ms"), 9),
    "a full log": (window("sliding_window", limit=1_000_000), 999_999),
    "a limit of 15 digits": (window("fixed_window", limit=10**15 - 1), 10**15 - 2),
    "an empty key": (inline(""), 9),
    "a key that is a number": (inline(-5), 9),
    "a key that is a boolean": (inline(False), 9),
    "a key that is an address": (inline(CLIENT), 9),
    "a key of any bytes": (inline(number(spop.BIN, bytes(range(256)))), 9),
    "a key of 10,000 bytes": (inline("x" * 10_000), 9),
    "an empty attribute": ({"policy": "per-user", "user": "", "app": ""}, 4),
    "attributes of any bytes": ({"policy": "per-user", "user": bytes(range(256)), "app": "a"}, 4),
    "a key in place of two attributes": ({"policy": "per-user", "key": "k"}, 4),
    "a key for a policy without any": ({"policy": "everybody", "key": "k"}, 999),
}


@pytest.mark.parametrize("arguments, remaining", named(VALID))
def test_a_good_argument_is_taken(peer, arguments, remaining):
    verdict = peer.ask(**arguments)

    assert (verdict.reason, verdict.allowed) == ("ok", True)
    assert verdict.remaining == remaining


def test_a_cost_above_the_capacity_is_never_allowed(peer):
    for cost in (11, 2**53, 2**63 - 1):
        verdict = peer.ask(src=CLIENT, cost=cost)

        assert (verdict.reason, verdict.allowed) == ("limited", False)
        assert (verdict.retry_after, verdict.retry_after_ms) == (-1, -1)
        assert verdict.remaining == 10


@pytest.mark.parametrize("first, second", named({
    "an address and its text": (CLIENT, "192.0.2.1"),
    "an IPv4-mapped address": (CLIENT, spop.ip("::ffff:192.0.2.1")),
    "the text of an IPv4-mapped address": (CLIENT, "::ffff:192.0.2.1"),
    "the same in hexadecimal": (CLIENT, "::FFFF:C000:0201"),
    "two ways to write IPv6": ("2001:db8::1", "2001:0DB8:0:0:0:0:0:1"),
    "IPv6 and its text": (spop.ip("2001:db8::1"), "2001:db8::1"),
    "IPv6 within a /64": (spop.ip("2001:db8::1"), spop.ip("2001:db8::ffff:1")),
    "a number and its text": (42, "42"),
    "a negative number and its text": (-42, "-42"),
    "a number in two types": (42, number(spop.UINT32, 42)),
    "2^64-1 and its text": (number(spop.UINT64, 2**64 - 1), str(2**64 - 1)),
    "true and its text": (True, "true"),
    "false and its text": (False, "false"),
    "a string and a binary": ("abc", number(spop.BIN, b"abc")),
}))
@pytest.mark.parametrize("arguments_of", named({
    "attribute": lambda value: {"policy": "per-ip", "src": value},
    "key": inline,
}))
def test_values_with_one_text_form_share_a_balance(peer, first, second, arguments_of):
    assert peer.ask(**arguments_of(first)).remaining == 9
    assert peer.ask(**arguments_of(second)).remaining == 8


@pytest.mark.parametrize("first, second", named({
    "addresses": (CLIENT, spop.ip("192.0.2.2")),
    "networks": (spop.ip("2001:db8::1"), spop.ip("2001:db8:0:1::1")),
    "case": ("a", "A"),
    "a NUL at the end": ("a", "a\0"),
    "a space at the end": ("a", "a "),
    "an empty string and none": ("", " "),
    "zeros before a number": ("1", "01"),
    "one byte of many": ("x" * 200 + "a", "x" * 200 + "b"),
    "bytes that are not UTF-8": (b"\xff", b"\xfe"),
}))
@pytest.mark.parametrize("arguments_of", named({
    "attribute": lambda value: {"policy": "per-ip", "src": value},
    "key": inline,
}))
def test_different_values_have_different_balances(peer, first, second, arguments_of):
    assert peer.ask(**arguments_of(first)).remaining == 9
    assert peer.ask(**arguments_of(second)).remaining == 9


@pytest.mark.parametrize("one, other", [
    (("a", "bc"), ("ab", "c")), (("a,b", "c"), ("a", "b,c")), (("a:b", "c"), ("a", "b:c")),
    (("a\0b", "c"), ("a", "b\0c")), (("", "a"), ("a", "")), (("{a}", "b"), ("a", "{b}")),
    (("a%3Ab", "c"), ("a:b", "c")), (("a/b", "c"), ("a", "b/c")), (("a|b", "c"), ("a", "b|c"))])
def test_two_attributes_cannot_be_moved_into_one_another(peer, one, other):
    for user, app in (one, other):
        assert peer.ask(policy="per-user", user=user, app=app).remaining == 4


def test_a_key_shares_the_balance_of_a_policys_only_attribute(peer):
    assert peer.ask(policy="per-ip", src=CLIENT).remaining == 9
    assert peer.ask(policy="per-ip", key=CLIENT).remaining == 8
    assert peer.ask(policy="per-ip", key="192.0.2.1", src=spop.ip("192.0.2.9")).remaining == 7


def test_inline_checks_share_a_balance_only_if_algorithm_numbers_and_key_are_equal(peer):
    assert peer.ask(**inline("k")).remaining == 9
    assert peer.ask(**inline("k", capacity="10")).remaining == 8
    assert peer.ask(**inline("k", refill_rate="2/2h")).remaining == 7
    assert peer.ask(**inline("k", capacity=11)).remaining == 10
    assert peer.ask(**inline("k", refill_rate="2/1h")).remaining == 9
    assert peer.ask(**window("fixed_window")).remaining == 9
    assert peer.ask(**window("sliding_window")).remaining == 9
    assert peer.ask(**inline("k", cost=0)).remaining == 7


def test_an_inline_policy_does_not_meet_one_of_the_file(peer):
    assert peer.ask(policy="per-ip", key="k").remaining == 9
    assert peer.ask(**inline("k")).remaining == 9


def test_without_policy_all_that_have_their_attributes_apply(peer):
    verdict = peer.ask(src=CLIENT, user="u", app="a")

    assert verdict.policy == "per-user"  # the least remaining
    assert verdict.ratelimit_policy == (
        '"per-user";q=5;w=18000, "per-ip";q=10;w=36000, "everybody";q=1000;w=3600000')
    assert peer.ask(user="u").ratelimit_policy == '"everybody";q=1000;w=3600000'


def test_policy_applies_just_those_it_names(peer):
    verdict = peer.ask(policy="everybody, per-ip", src=CLIENT, user="u", app="a")

    assert verdict.ratelimit_policy == '"per-ip";q=10;w=36000, "everybody";q=1000;w=3600000'


def test_of_a_repeated_argument_the_last_counts(peer):
    other = spop.ip("192.0.2.2")
    twice = spop.message([("src", CLIENT), ("cost", 5), ("src", other), ("cost", 2)])

    assert peer.ask(twice).remaining == 8
    assert peer.ask(src=CLIENT).remaining == 9
    assert peer.ask(src=other).remaining == 7


def test_a_last_argument_of_null_makes_it_absent(peer):
    verdict = peer.ask(spop.message([("src", CLIENT), ("src", None), ("cost", 9), ("cost", None)]))

    assert verdict.policy == "everybody"
    assert verdict.remaining == 999


def test_255_arguments_are_read(peer):
    pairs = [(f"argument-{number}", number) for number in range(254)] + [("src", CLIENT)]

    assert peer.ask(spop.message(pairs)).policy == "per-ip"


def test_arguments_may_have_any_name(peer):
    pairs = [("", 1), ("x" * 1000, 2), (b"\xff\x00\n", 3), ("SRC", CLIENT), ("src ", CLIENT)]

    assert peer.ask(spop.message(pairs)).policy == "everybody"


@pytest.mark.parametrize("name", ["", "x" * 1000, b"\xff\x00\n", "policy"])
def test_a_message_may_have_any_name(peer, name):
    assert peer.ask(spop.message({"src": CLIENT}, name)).policy == "per-ip"


@pytest.mark.parametrize("value", named({
    "NULL": None, "true": True, "minus one": -1, "IPv6": spop.ip("::1"),
    "empty": "", "2^64-1": number(spop.UINT64, 2**64 - 1),
    "UINT32 beyond 32 bits": number(spop.UINT32, 2**40),
    "INT32 beyond 32 bits": number(spop.INT32, 2**40),
    "a large binary": number(spop.BIN, b"\0" * 15_000),
    "a string with flags": spop.Typed(0x18, b"")}))
def test_other_attributes_may_have_any_value(peer, value):
    if isinstance(value, spop.Typed) and value.type == 0x18:
        # 1.3 of SPOE.txt: the high four bits are flags, and nobody says what they mean here.
        message = spop.string("m") + b"\x02" + spop.string("x") + b"\x18\x01a"
        message += spop.string("src") + spop.typed(CLIENT)
    else:
        message = spop.message({"other": value, "src": CLIENT})

    assert peer.ask(message).policy == "per-ip"
