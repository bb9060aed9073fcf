"""HAProxy keeps serving when the agent is gone, and limits again when it is back."""

import signal
import statistics

from agent import SHIPPED_POLICIES, kept_for_another
from haproxy import reserve_port
from processes import wait_until
from web import get, get_asked

# HAProxy waits 50 ms for an answer; a busy machine may add to it, but not this much.
NO_LONGER_THAN = 2


def assert_all_pass(haproxy, count=5):
    for _ in range(count):
        answer = get(haproxy.port)
        assert (answer.status, answer.limits) == (200, {})
        assert answer.seconds < NO_LONGER_THAN


def assert_no_wait(haproxy):
    """HAProxy knows that there is nobody to ask, so nothing takes its 50 ms."""
    assert statistics.median(get(haproxy.port).seconds for _ in range(15)) < 0.05


def close_all(sockets):
    for socket in sockets:
        socket.close()


def test_requests_pass_while_the_agent_is_dead_and_limits_return_with_it(
        haproxy, agent, start_agent):
    get_asked(haproxy.port)

    agent.kill()
    with kept_for_another(agent.address):
        assert_all_pass(haproxy)
        wait_until(lambda: haproxy.agent_is("DOWN"), "HAProxy's check to fail")
        assert_all_pass(haproxy, count=30)
        assert_no_wait(haproxy)

        start_agent(listen=agent.address, policies=SHIPPED_POLICIES.read_text())
    assert get_asked(haproxy.port).limits["ratelimit"] == '"per-ip";r=19;t=1'


def test_requests_pass_while_the_agent_hangs_and_limits_return_with_it(haproxy, agent):
    get_asked(haproxy.port)

    agent.signal(signal.SIGSTOP)
    assert_all_pass(haproxy)

    agent.signal(signal.SIGCONT)
    get_asked(haproxy.port)


def test_requests_pass_when_the_agent_was_never_started(start_haproxy):
    port, reserved = reserve_port()
    haproxy = start_haproxy(f"127.0.0.1:{port}")

    assert_all_pass(haproxy)
    wait_until(lambda: haproxy.agent_is("DOWN"), "HAProxy's check to fail")
    assert_all_pass(haproxy)
    close_all(reserved)


def test_an_agent_that_starts_after_haproxy_limits(start_haproxy, start_agent):
    port, reserved = reserve_port()
    haproxy = start_haproxy(f"127.0.0.1:{port}")
    assert_all_pass(haproxy, count=1)
    close_all(reserved)

    start_agent(listen=f"127.0.0.1:{port}", policies=SHIPPED_POLICIES.read_text())

    assert get_asked(haproxy.port).limits["ratelimit"] == '"per-ip";r=19;t=1'


def test_the_line_to_fail_closed_denies_while_the_agent_is_away(start_haproxy, start_agent):
    port, reserved = reserve_port()
    rule = "http-request deny deny_status 503 if { var(txn.rl.err) -m found }"
    haproxy = start_haproxy(f"127.0.0.1:{port}", conf=[("#" + rule, rule)])

    for _ in range(3):
        answer = get(haproxy.port)
        assert (answer.status, answer.limits) == (503, {})

    close_all(reserved)
    start_agent(listen=f"127.0.0.1:{port}", policies=SHIPPED_POLICIES.read_text())
    assert get_asked(haproxy.port).status == 200
