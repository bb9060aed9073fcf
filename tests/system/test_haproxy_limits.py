"""The files of haproxy-conf/, as users copy them: what clients of HAProxy get."""

import itertools
import math
import re

import pytest

from agent import bucket, policies_text
from fake_agent import FakeAgent
from haproxy import check, reserve_port, shipped_files
from processes import wait_until
from web import get, get_asked, source_addresses

CAPACITY, REFILL_PER_SECOND = 20, 5  # of haproxy-conf/policies.json
ARGUMENTS = "args src=src method=method path=var(txn.path) host=var(txn.host)"
GROUP = "http-request send-spoe-group ratelimit ratelimit-check"


def answers_until_denied(port, source):
    """Requests one by one, up to the first that is denied or that the agent was not asked of."""
    answers = []
    while not answers or (answers[-1].status == 200 and answers[-1].was_asked):
        assert len(answers) < 1000, "nothing was ever denied"
        answers.append(get(port, source))
    return answers


def spend(port, sources):
    """A client that got its first denial, and its answers, all of them the agent's.

    HAProxy waits 50 ms and then goes on without the agent, which a busy machine can bring about.
    It is told apart from a mistake by the missing headers, and the next client is taken.
    """
    for source in itertools.islice(sources, 5):
        answers = answers_until_denied(port, source)
        if answers[-1].was_asked:
            return source, answers
    raise AssertionError("HAProxy went on without the agent for five clients in a row")


def most_allowed(capacity, per_second, answers):
    """No more can pass in the time that these took, however slow or fast they were."""
    return capacity + math.floor(per_second * (answers[-1].ended - answers[0].began))


def allowed(answers):
    return sum(answer.status == 200 and answer.was_asked for answer in answers)


def left(answer):
    return int(re.search(r";r=(\d+)", answer.limits["ratelimit"])[1])


def test_configuration_is_good_without_a_warning(suite, tmp_path):
    result = check(suite, shipped_files(tmp_path))

    assert result.returncode == 0, result.stderr
    assert "[" not in result.stdout + result.stderr  # [WARNING], [ALERT], [NOTICE]


def test_twenty_requests_pass_and_then_429_comes_with_its_headers(haproxy):
    _, answers = spend(haproxy.port, source_addresses())

    assert [answer.status for answer in answers[:CAPACITY]] == [200] * CAPACITY
    assert allowed(answers) <= most_allowed(CAPACITY, REFILL_PER_SECOND, answers)
    assert answers[-1].status == 429
    assert answers[-1].limits == {
        "retry-after": "1", "ratelimit": '"per-ip";r=0;t=1',
        "ratelimit-policy": '"per-ip";q=20;w=4'}


def test_an_allowed_answer_says_what_is_left(haproxy):
    first = get_asked(haproxy.port)

    assert first.status == 200
    assert first.limits == {
        "ratelimit": '"per-ip";r=19;t=1', "ratelimit-policy": '"per-ip";q=20;w=4'}


def test_a_denied_request_does_not_reach_the_application(haproxy, origin):
    source, _ = spend(haproxy.port, source_addresses())
    before, answers = origin.requests, [get(haproxy.port, source) for _ in range(10)]

    assert origin.requests - before == sum(answer.status == 200 for answer in answers)
    assert 429 in {answer.status for answer in answers}


def test_the_client_passes_again_after_retry_after(haproxy):
    source, answers = spend(haproxy.port, source_addresses())
    denied = answers[-1]
    due = denied.ended + int(denied.limits["retry-after"])

    while answers[-1].status == 429:
        assert answers[-1].began <= due, "denied although Retry-After was over"
        answers.append(get(haproxy.port, source))

    assert answers[-1].status == 200
    assert allowed(answers) <= most_allowed(CAPACITY, REFILL_PER_SECOND, answers)


def test_each_source_address_has_its_own_balance(haproxy):
    sources = source_addresses()
    spend(haproxy.port, sources)

    other = get_asked(haproxy.port, next(sources))

    assert other.limits["ratelimit"] == '"per-ip";r=19;t=1'


def test_ipv6_clients_are_limited_too_and_on_their_own(haproxy):
    spend(haproxy.port, itertools.repeat("127.0.0.1"))

    assert get_asked(haproxy.port, "::1").limits["ratelimit"] == '"per-ip";r=19;t=1'
    _, answers = spend(haproxy.port, itertools.repeat("::1"))
    assert answers[-1].limits["retry-after"] == "1"


def test_an_ipv4_client_has_one_balance_on_every_listener(start_haproxy, start_agent):
    # Over such a bind HAProxy sees, and sends, ::ffff:127.0.0.2.
    port, reserved = reserve_port()
    agent = start_agent(policies=policies_text(slow=bucket(20)))
    haproxy = start_haproxy(agent.address, conf=[
        ("# rate limit: begin", f"bind [::ffff:127.0.0.1]:{port}")])

    first = left(get_asked(haproxy.port, "127.0.0.2"))

    assert left(get_asked(port, "127.0.0.2")) < first
    assert left(get_asked(haproxy.port, "127.0.0.3")) == first
    for socket in reserved:
        socket.close()


def test_a_wait_of_never_gives_429_without_retry_after(start_haproxy, agent):
    haproxy = start_haproxy(agent.address, spoe=[(ARGUMENTS, ARGUMENTS + " cost=int(1000)")])

    denied = get_asked(haproxy.port)

    assert denied.status == 429
    assert "retry-after" not in denied.limits
    assert denied.limits["ratelimit"].startswith('"per-ip";r=20')
    assert denied.limits["ratelimit-policy"] == '"per-ip";q=20;w=4'


def wait_for_verdict(haproxy, status):
    """The first answer that is not HAProxy's own decision after a wait of 50 ms."""
    def answered():
        answer = get(haproxy.port)
        return answer if answer.status == status else None
    return wait_until(answered, f"an answer with {status}")


def test_a_denial_by_error_is_503(start_haproxy):
    error = {"allowed": False, "reason": "error", "degraded": True, "retry_after": 1,
             "retry_after_ms": 1000, "policy": "per-ip", "limit": 20}
    with FakeAgent(error) as agent:
        denied = wait_for_verdict(start_haproxy(agent.address), 503)

    assert denied.limits == {"retry-after": "1"}


def test_a_blocked_request_gets_429_without_retry_after(start_haproxy):
    blocked = {"allowed": False, "reason": "blocked", "retry_after": -1, "retry_after_ms": -1,
               "policy": "per-ip", "limit": 0, "remaining": 0, "reset": -1}
    with FakeAgent(blocked) as agent:
        denied = wait_for_verdict(start_haproxy(agent.address), 429)

    assert denied.limits == {}


def test_an_answer_without_variables_lets_requests_pass(start_haproxy):
    with FakeAgent({"something": "else"}) as agent:
        haproxy = start_haproxy(agent.address)
        answers = [get(haproxy.port) for _ in range(CAPACITY + 5)]

    assert {(answer.status, len(answer.limits)) for answer in answers} == {(200, 0)}


def test_haproxy_has_every_variable_of_the_verdict(start_haproxy, agent):
    names = ["allowed", "reason", "degraded", "retry_after", "retry_after_ms", "policy", "limit",
             "remaining", "reset", "ratelimit", "ratelimit_policy"]
    shown = "|".join(f"%[var(txn.rl.{name})]" for name in names)
    haproxy = start_haproxy(agent.address, conf=[
        ("# rate limit: end", f"http-after-response set-header X-All '{shown}'")])

    values = dict(zip(names, get_asked(haproxy.port).headers["x-all"].split("|")))

    assert values == {
        "allowed": "1", "reason": "ok", "degraded": "0", "retry_after": "0",
        "retry_after_ms": "0", "policy": "per-ip", "limit": "20", "remaining": "19", "reset": "1",
        "ratelimit": '"per-ip";r=19;t=1', "ratelimit_policy": '"per-ip";q=20;w=4'}


# --- further groups and messages ------------------------------------------------------------------


def second_group(arguments):
    """The SPOE file with a group `second` besides the shipped one."""
    return [
        ("groups      ratelimit-check", "groups      ratelimit-check second"),
        (ARGUMENTS, f"{ARGUMENTS}\n\nspoe-group second\n    messages second-request\n"
                    f"spoe-message second-request\n    args {arguments}\n")]


INLINE = "key=src algorithm=str(token_bucket) capacity=int(3) refill_rate=str(0.5)"


def test_an_inline_policy_limits_without_a_policy_file(start_haproxy, start_agent):
    haproxy = start_haproxy(start_agent().address, spoe=second_group(INLINE),
                            conf=[(GROUP, GROUP.replace("ratelimit-check", "second"))])

    _, answers = spend(haproxy.port, source_addresses())

    assert 3 <= allowed(answers) <= most_allowed(3, 0.5, answers)
    assert answers[0].limits == {
        "ratelimit": '"inline";r=2;t=2', "ratelimit-policy": '"inline";q=3;w=6'}
    assert re.fullmatch(r'"inline";r=0;t=[12]', answers[-1].limits["ratelimit"])
    assert answers[-1].limits["retry-after"] == answers[-1].limits["ratelimit"][-1]


def test_two_messages_of_a_group_are_one_verdict(start_haproxy, agent):
    both = "messages ratelimit-request second-request"
    haproxy = start_haproxy(agent.address, spoe=[
        ("messages ratelimit-request", both),
        (ARGUMENTS, f"{ARGUMENTS}\n\nspoe-message second-request\n    args {INLINE}\n")])

    _, answers = spend(haproxy.port, source_addresses())

    assert answers[0].limits["ratelimit"] == '"inline";r=2;t=2, "per-ip";r=19;t=1'
    assert answers[-1].limits["ratelimit"].startswith('"inline";r=0;t=')


@pytest.mark.parametrize("phase", ["http-request", "http-response"])
def test_a_second_group_leaves_nothing_stale(start_haproxy, agent, phase):
    # Its message has no src, so that no policy applies: all that the first group set is unset.
    second = f"{phase} send-spoe-group ratelimit second"
    haproxy = start_haproxy(agent.address, spoe=second_group("nothing=int(1)"), conf=[
        (f"{GROUP}\n\n",
         f"{GROUP}\n    http-request set-var(txn.first) var(txn.rl.reason)\n    {second}\n\n"),
        ("# rate limit: end",
         'http-after-response set-header X-Reasons "%[var(txn.first)] %[var(txn.rl.reason)]"')])

    def both_asked():
        answer = get(haproxy.port)
        return answer if answer.headers["x-reasons"] == "ok none" else None
    answer = wait_until(both_asked, "an answer to both groups")

    assert (answer.status, answer.limits) == (200, {})


def test_the_agent_can_be_asked_over_a_unix_socket(start_haproxy, start_agent, tmp_path):
    agent = start_agent(listen=f"unix:{tmp_path}/agent.sock",
                        policies=policies_text(one=bucket(1)))
    haproxy = start_haproxy(agent.address)

    _, answers = spend(haproxy.port, source_addresses())

    assert [answer.status for answer in answers] == [200, 429]
    assert answers[-1].limits["ratelimit-policy"] == '"one";q=1;w=3600'


def test_the_agent_can_be_asked_over_ipv6(start_haproxy, start_agent):
    agent = start_agent(listen="[::1]:0")
    haproxy = start_haproxy(agent.address, spoe=[(ARGUMENTS, f"args {INLINE}")])

    assert get_asked(haproxy.port).limits["ratelimit"] == '"inline";r=2;t=2'
