"""HAProxy or the agent is replaced while clients keep asking: nothing fails, the limits hold."""

import math
import signal

from agent import SHIPPED_POLICIES, kept_for_another
from web import Load, get_asked

CAPACITY, REFILL_PER_SECOND = 20, 5  # of haproxy-conf/policies.json


def test_no_request_fails_and_limits_hold_when_haproxy_is_reloaded_under_load(haproxy):
    get_asked(haproxy.port)
    old = haproxy.popen

    with Load(haproxy.port, "127.0.0.2") as load:
        load.wait_for_more(100)
        haproxy.reload()
        load.wait_for_more(200)
        assert old.wait(20) == 0
        before = len(load.answers)
        load.wait_for_more(100)

    asked = [answer for answer in load.answers if answer.was_asked]
    allowed = [answer for answer in asked if answer.status == 200]
    seconds = max(a.ended for a in asked) - min(a.began for a in asked)
    assert load.failures == []
    assert {answer.status for answer in load.answers} == {200, 429}
    assert len(allowed) <= CAPACITY + math.floor(REFILL_PER_SECOND * seconds)
    # The new process denies too, so both share the balance.
    assert 429 in {answer.status for answer in load.answers[before:]}
    # Answers without a verdict are those that HAProxy could not wait for, and says so in its log.
    assert len(load.answers) - len(asked) <= haproxy.failed_asks()
    assert len(asked) > 0.9 * len(load.answers)


def test_no_request_fails_when_the_agent_is_replaced_under_load(haproxy, agent, start_agent):
    """HAProxy may go on without an answer, and never with an error."""
    get_asked(haproxy.port)

    with Load(haproxy.port, "127.0.0.2") as load:
        load.wait_for_more(50)
        agent.signal(signal.SIGTERM)
        assert agent.wait() == 0
        with kept_for_another(agent.address):
            load.wait_for_more(10)
            start_agent(listen=agent.address, policies=SHIPPED_POLICIES.read_text())
        get_asked(haproxy.port)
        load.wait_for_more(50)

    assert load.failures == []
    assert {answer.status for answer in load.answers} == {200, 429}
