"""What an ACK says, and which frames belong together (docs/reference.md, section SPOP)."""

import threading

import pytest

import spop
from agent import bucket, policies_text

CLIENT = spop.ip("192.0.2.1")
ALWAYS = {"allowed", "reason", "degraded", "retry_after", "retry_after_ms"}
WITH_A_CHECK = {"policy", "limit", "remaining", "reset", "ratelimit", "ratelimit_policy"}


@pytest.fixture
def agent(start_agent):
    return start_agent(policies=policies_text(per_ip=bucket(10)))


def inline(key, capacity=10, cost=1, **changes):
    return {"algorithm": "token_bucket", "capacity": capacity, "refill_rate": "1/1h", "key": key,
            "cost": cost, **changes}


# --- the variables -----------------------------------------------------------------------------


def test_an_allowed_request_has_every_variable_in_its_type(peer):
    verdict = peer.ask(src=CLIENT, cost=4)

    assert verdict.unset == set()
    assert verdict.vars == {
        "allowed": True, "reason": "ok", "degraded": False, "retry_after": 0, "retry_after_ms": 0,
        "policy": "per-ip", "limit": 10, "remaining": 6, "reset": 14400,
        "ratelimit": '"per-ip";r=6;t=3600', "ratelimit_policy": '"per-ip";q=10;w=36000'}
    assert type(verdict.allowed) is bool and type(verdict.degraded) is bool
    assert type(verdict.retry_after) is int and type(verdict.limit) is int


def test_a_denied_request_says_when_to_come_back(peer):
    peer.ask(src=CLIENT, cost=8)

    verdict = peer.ask(src=CLIENT, cost=4)

    assert (verdict.allowed, verdict.reason, verdict.remaining) == (False, "limited", 2)
    # Two tokens at one an hour, less the moment since they were taken.
    assert 7190_000 < verdict.retry_after_ms <= 7200_000
    assert verdict.retry_after == -(-verdict.retry_after_ms // 1000)
    assert verdict.ratelimit == f'"per-ip";r=2;t={verdict.retry_after}'


def test_without_a_policy_the_variables_of_a_check_are_unset(peer):
    verdict = peer.ask(path="/")

    assert verdict.vars == {"allowed": True, "reason": "none", "degraded": False,
                            "retry_after": 0, "retry_after_ms": 0}
    assert verdict.unset == WITH_A_CHECK


def test_a_frame_without_messages_gets_an_answer_with_actions(peer):
    peer.send(spop.frame(spop.NOTIFY, b"", stream_id=1, frame_id=1))

    verdict = peer.read_verdict()

    assert (verdict.reason, verdict.allowed, verdict.unset) == ("none", True, WITH_A_CHECK)


def test_a_message_without_arguments_gets_an_answer(peer):
    assert peer.ask({}).reason == "none"


@pytest.mark.parametrize("option, optional", [
    ("all", WITH_A_CHECK), ("policy", {"policy"}), ("reset,limit", {"reset", "limit"}),
    (" ratelimit , ratelimit_policy ", {"ratelimit", "ratelimit_policy"})])
def test_spop_vars_narrows_the_optional_ones(start_agent, option, optional):
    agent = start_agent("--spop-vars", option, policies=policies_text(per_ip=bucket(10)))
    with agent.connect() as peer:
        with_check, without = peer.ask(src=CLIENT), peer.ask(path="/")

    assert set(with_check.vars) == ALWAYS | optional
    assert with_check.unset == set()
    assert set(without.vars) == ALWAYS
    assert without.unset == optional


def test_variables_whose_value_is_gone_are_unset(peer):
    """A second group in one transaction leaves nothing of the first."""
    assert peer.ask(src=CLIENT).unset == set()
    assert peer.ask(policy="nobody").unset == WITH_A_CHECK


# --- several policies ----------------------------------------------------------------------------


def test_the_denying_policy_with_the_longest_wait_is_named_first(start_agent):
    agent = start_agent(policies=policies_text(
        short=bucket(1, "1/1m"), wide=bucket(100), long=bucket(1, "1/1h")))
    with agent.connect() as peer:
        peer.ask(src=CLIENT)
        verdict = peer.ask(src=CLIENT)

    assert (verdict.policy, verdict.limit, verdict.remaining) == ("long", 1, 0)
    assert verdict.ratelimit_policy == '"long";q=1;w=3600, "short";q=1;w=60, "wide";q=100;w=360000'
    # Another one denied, so nobody can say when `wide` changes.
    assert verdict.ratelimit.endswith(', "wide";r=99')


def test_the_allowing_policy_with_the_least_left_is_named_and_the_first_of_equals(start_agent):
    agent = start_agent(policies=policies_text(
        wide=bucket(100), first=bucket(5), second=bucket(5)))
    with agent.connect() as peer:
        verdict = peer.ask(src=CLIENT)

    assert (verdict.policy, verdict.remaining) == ("first", 4)
    assert verdict.ratelimit_policy == (
        '"first";q=5;w=18000, "wide";q=100;w=360000, "second";q=5;w=18000')


def test_policies_of_one_request_are_charged_together_or_not_at_all(start_agent):
    agent = start_agent(policies=policies_text(
        wide=bucket(10), user=bucket(2, key=["user"])))
    with agent.connect() as peer:
        for _ in range(5):
            verdict = peer.ask(src=CLIENT, user="u")

        assert (verdict.allowed, verdict.policy) == (False, "user")
        assert peer.ask(src=CLIENT, cost=0).remaining == 8


def test_of_more_than_16_policies_the_first_16_apply_and_the_log_says_so(start_agent):
    agent = start_agent(policies=policies_text(
        **{f"p{number:02}": bucket(100 - number) for number in range(20)}))
    with agent.connect() as peer:
        assert peer.ask(src=CLIENT).policy == "p15"
        assert peer.ask(policy="p16", src=CLIENT, cost=0).remaining == 84

    agent.wait_for_event("policies_left_out")


def test_an_answer_never_passes_700_bytes(start_agent):
    names = [f"{'n' * 62}{number:02}" for number in range(16)]
    agent = start_agent(policies=policies_text(
        **{name: bucket(1_000_000) for name in names}))
    with agent.connect() as peer:
        for request in ({"src": CLIENT}, {"src": CLIENT, "cost": 2**62}):
            peer.send(spop.notify(request, stream_id=2**63, frame_id=2**63))
            verdict = peer.read_verdict()

            assert verdict.frame.size + 4 <= 700
            assert verdict.unset == set()
            # As many as fit, whole ones, the same in both, and at least one.
            shown = [item.split('"')[1] for item in verdict.ratelimit.split(", ")]
            assert shown == names[:len(shown)] and len(shown) >= 2
            assert len(verdict.ratelimit_policy.split(", ")) == len(shown)


def test_an_answer_never_passes_the_agreed_frame_size(start_agent):
    agent = start_agent(policies=policies_text(
        **{f"{'n' * 62}{number:02}": bucket(10) for number in range(16)}))
    with agent.connect(hello=spop.hello(max_frame_size=spop.Typed(spop.UINT32, 256))) as peer:
        for _ in range(3):
            verdict = peer.ask(src=CLIENT)

            assert verdict.frame.size <= 256
            assert ALWAYS <= set(verdict.vars)


# --- several messages -----------------------------------------------------------------------------


def test_two_messages_are_charged_together(peer):
    verdict = peer.ask(inline("a", cost=2), inline("b", cost=3))

    assert (verdict.allowed, verdict.remaining) == (True, 7)
    assert peer.ask(**inline("a", cost=0)).remaining == 8
    assert peer.ask(**inline("b", cost=0)).remaining == 7


@pytest.mark.parametrize("costs", [(2, 11), (11, 2)])
def test_two_messages_are_not_charged_if_one_is_denied(peer, costs):
    verdict = peer.ask(inline("a", cost=costs[0]), inline("b", cost=costs[1]))

    assert (verdict.allowed, verdict.retry_after) == (False, -1)
    assert peer.ask(**inline("a", cost=0)).remaining == 10
    assert peer.ask(**inline("b", cost=0)).remaining == 10


def test_messages_that_meet_in_one_balance_are_added_up(peer):
    assert not peer.ask(inline("a", cost=6), inline("a", cost=5)).allowed
    assert peer.ask(**inline("a", cost=0)).remaining == 10
    assert peer.ask(inline("a", cost=6), inline("a", cost=4)).allowed
    assert peer.ask(**inline("a", cost=0)).remaining == 0


def test_a_message_and_the_policies_of_the_file_are_one_request(peer):
    assert not peer.ask({"src": CLIENT}, inline("a", cost=11)).allowed
    assert peer.ask(src=CLIENT, cost=0).remaining == 10


# --- frames and connections ---------------------------------------------------------------------


def test_twenty_pipelined_frames_get_their_own_answers(peer):
    sent = [(2 * number + 1, 1) for number in range(20)]
    peer.send(b"".join(spop.notify(inline("k", 20), stream_id=s, frame_id=f) for s, f in sent))

    verdicts = [peer.read_verdict() for _ in sent]

    assert [(v.frame.stream_id, v.frame.frame_id) for v in verdicts] == sent
    assert [v.remaining for v in verdicts] == list(range(19, -1, -1))


def test_many_more_frames_than_fit_into_any_buffer_are_answered(agent):
    count = 20_000
    with agent.connect() as peer:
        peer.socket.setblocking(True)
        sender = threading.Thread(
            target=peer.send, args=(spop.notify(inline("k", 10**6)) * count,))
        sender.start()
        last = [peer.read() for _ in range(count)][-1]
        sender.join()

    assert spop.parse_ack(last).remaining == 10**6 - count


@pytest.mark.parametrize("ids", [(0, 1), (0, 0), (1, 0), (239, 240), (2287, 2288), (2**31, 2**32),
                                 (2**63 - 1, 2**63), (2**64 - 1, 2**64 - 1)])
def test_ids_come_back_as_they_were(peer, ids):
    peer.send(spop.notify({"src": CLIENT}, stream_id=ids[0], frame_id=ids[1]))

    answer = peer.read_verdict().frame

    assert (answer.stream_id, answer.frame_id) == ids


def test_equal_ids_on_two_connections_are_two_requests(agent):
    with agent.connect() as one, agent.connect() as other:
        for peer in (one, other):
            peer.send(spop.notify({"src": CLIENT}, stream_id=1, frame_id=1))

        assert {one.read_verdict().remaining, other.read_verdict().remaining} == {8, 9}


def test_a_notify_may_come_byte_by_byte(peer):
    for byte in spop.notify({"src": CLIENT}):
        peer.send(bytes([byte]))

    assert peer.read_verdict().remaining == 9


def test_an_unfinished_frame_holds_up_nobody_else(agent, peer):
    with agent.connect() as slow:
        slow.send(spop.notify({"src": CLIENT})[:-1])
        assert peer.ask(src=CLIENT).remaining == 9

        slow.send(spop.notify({"src": CLIENT})[-1:])
        assert slow.read_verdict().remaining == 8


def test_a_client_that_does_not_read_holds_up_nobody_else(agent, peer):
    with agent.connect() as deaf:
        deaf.socket.settimeout(0.2)
        try:
            while True:
                deaf.socket.sendall(spop.notify({"path": "/"}) * 1000)
        except TimeoutError:
            pass  # its answers have filled every buffer on the way

        assert peer.ask(src=CLIENT).remaining == 9


def test_busy_neighbours_do_not_keep_a_pipeline_from_its_answers(agent):
    """What waits for room in its own output is gone on with while other connections are busy."""
    asked = 300
    is_over = threading.Event()

    def flood():
        with agent.connect() as busy:
            while not is_over.is_set():
                busy.send(spop.frame(50, stream_id=1, frame_id=1) * 2000)

    floods = [threading.Thread(target=flood) for _ in range(3)]
    for thread in floods:
        thread.start()
    try:
        with agent.connect() as peer:
            peer.send(spop.notify({"path": "/"}) * asked)
            for _ in range(asked):
                peer.read_verdict()
    finally:
        is_over.set()
        for thread in floods:
            thread.join()


@pytest.mark.parametrize("messages, status", [(64, None), (65, 4)])
def test_a_frame_may_have_64_messages(peer, messages, status):
    peer.send(spop.notify(*[{"path": "/"}] * messages))

    if status is None:
        assert peer.read_verdict().reason == "none"
    else:
        assert peer.read_disconnect() == status


@pytest.mark.parametrize("kind", [4, 50, 100, 104, 255])
def test_frames_of_an_unknown_type_are_skipped(peer, kind):
    peer.send(spop.frame(kind, b"later version", stream_id=1, frame_id=1))

    assert peer.ask(src=CLIENT).remaining == 9
