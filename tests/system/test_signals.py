"""Signals: SIGHUP reloads the policies, SIGTERM and SIGINT drain."""

import json
import signal
import socket

import pytest

import agent as agents
import spop
import web
from agent import SHIPPED_POLICIES, bucket, policies_text, window
from processes import wait_until

SRC = spop.ip("192.0.2.1")


def reload_policies(agent, text):
    """Puts that into the policy file and awaits what the agent says to it."""
    names = ("reloaded", "reload_failed")
    before = len(agent.events("reloaded")) + len(agent.events("reload_failed"))
    agent.policy_file.write_text(text)
    agent.signal(signal.SIGHUP)
    wait_until(lambda: sum(len(agent.events(name)) for name in names) > before, "a reload")
    return [event for event in agent.events() if event["event"] in names][-1]


def left(peer, policy):
    """What is left of the policy's balance; asks without taking."""
    return peer.ask(policy=policy, src=SRC, cost=0).remaining


# --- SIGHUP ------------------------------------------------------------------------------------


def test_a_reload_changes_a_policy_and_keeps_the_balance_of_another(start_agent):
    agent = start_agent(policies=policies_text(same=bucket(10), other=bucket(10)))
    with agent.connect() as peer:
        for _ in range(4):
            peer.ask(src=SRC)

        assert reload_policies(agent, policies_text(same=bucket(10), other=bucket(3)))[
            "event"] == "reloaded"

        assert left(peer, "same") == 6
        verdict = peer.ask(policy="other", src=SRC, cost=0)
        assert (verdict.limit, verdict.remaining) == (3, 3)  # a lowered capacity clamps


@pytest.mark.parametrize("before,after", [
    (bucket(10), bucket(10)),
    (bucket(10), bucket(20)),
    (bucket(10), bucket(10, refill_rate="2/1h")),
    (window(10), window(20)),
], ids=["nothing", "capacity", "refill_rate", "limit"])
def test_a_balance_stays_when_a_reload_changes(start_agent, before, after):
    agent = start_agent(policies=policies_text(p=before))
    with agent.connect() as peer:
        peer.ask(src=SRC, cost=4)

        reload_policies(agent, policies_text(p=after))

        taken = after["limit"] - 4 if "limit" in after else 6
        assert left(peer, "p") == taken


@pytest.mark.parametrize("before,after", [
    (bucket(10), bucket(10, key=("src", "path"))),
    (bucket(10), window(10)),
    (window(10), window(10, algorithm="fixed_window")),
    (window(10), window(10, length="2h")),
], ids=["key", "algorithm", "window's algorithm", "window"])
def test_a_balance_starts_afresh_when_a_reload_changes(start_agent, before, after):
    agent = start_agent(policies=policies_text(p=before))
    with agent.connect() as peer:
        peer.ask(src=SRC, path="/", cost=4)

        reload_policies(agent, policies_text(p=after))

        assert peer.ask(src=SRC, path="/", cost=0).remaining == 10


def test_a_policy_that_a_reload_takes_away_is_unknown(start_agent):
    agent = start_agent(policies=policies_text(p=bucket(10), q=bucket(10)))
    with agent.connect() as peer:
        assert peer.ask(policy="p", src=SRC).reason == "ok"

        reload_policies(agent, policies_text(q=bucket(10)))

        assert peer.ask(policy="p", src=SRC).reason == "invalid"
        assert peer.ask(src=SRC).policy == "q"


@pytest.mark.parametrize("text,place", [
    ("{", "line 1"),
    (json.dumps({"policies": {"q": bucket(10), "p": {**bucket(10), "capacity": 0}}}),
     "policies.p.capacity"),
    (json.dumps({"policies": {"p": {**bucket(10), "nosuch": 0}}}), "policies.p.nosuch"),
])
def test_a_reload_with_an_error_keeps_what_runs(start_agent, text, place):
    agent = start_agent(policies=policies_text(p=bucket(10)))
    with agent.connect() as peer:
        peer.ask(src=SRC, cost=4)

        said = reload_policies(agent, text)

        assert (said["event"], said["level"]) == ("reload_failed", "error")
        assert place in json.dumps(said)
        assert left(peer, "p") == 6
        assert peer.ask(policy="q", src=SRC).reason == "invalid"


def test_a_reload_of_a_file_that_is_gone_keeps_what_runs(start_agent):
    agent = start_agent(policies=policies_text(p=bucket(10)))
    agent.policy_file.unlink()
    with agent.connect() as peer:
        agent.signal(signal.SIGHUP)
        failed = agent.wait_for_event("reload_failed")

        assert str(agent.policy_file) in json.dumps(failed)
        assert peer.ask(src=SRC).policy == "p"


def test_after_a_failed_reload_a_good_one_is_taken(start_agent):
    agent = start_agent(policies=policies_text(p=bucket(10)))
    reload_policies(agent, "{")

    assert reload_policies(agent, policies_text(q=bucket(10)))["event"] == "reloaded"

    with agent.connect() as peer:
        assert peer.ask(src=SRC).policy == "q"


def test_many_reloads_under_load_lose_no_answer_and_no_memory(start_agent):
    texts = [policies_text(p=bucket(1000), q=bucket(10)), policies_text(p=bucket(1000))]
    agent = start_agent(policies=texts[0])
    with agent.connect() as peer:
        for _ in range(20):
            reload_policies(agent, texts[0])
        before = agent.rss_bytes()
        for turn in range(100):
            peer.send(spop.notify({"policy": "p", "src": SRC}))
            reload_policies(agent, texts[turn % 2])
            assert peer.read_verdict().remaining == 999 - turn

    assert agent.rss_bytes() - before < 128 * 1024


def test_sighup_without_a_policy_file_does_no_harm(start_agent):
    agent = start_agent()
    agent.signal(signal.SIGHUP)

    with agent.connect() as peer:
        assert peer.ask(src=SRC).reason == "none"
    assert agent.is_running()


# --- SIGTERM and SIGINT ------------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_connections_with_disconnect_0_and_the_agent_with_0(start_agent, number):
    agent = start_agent()
    with agent.connect() as idle, agent.connect() as used:
        used.ask(src=SRC)

        agent.signal(number)

        assert idle.read_disconnect() == 0
        assert used.read_disconnect() == 0
    assert agent.wait() == 0


def test_without_connections_the_agent_ends_at_once(start_agent):
    agent = start_agent("--drain-timeout", "1h")

    agent.signal(signal.SIGTERM)

    assert agent.wait() == 0


def test_what_was_read_before_the_disconnect_is_answered(start_agent):
    agent = start_agent(policies=policies_text(p=bucket(1000)))
    with agent.connect() as peer:
        peer.send(b"".join(spop.notify({"src": SRC}, frame_id=n) for n in range(500)))
        agent.signal(signal.SIGTERM)

        answers = [peer.read()]
        while answers[-1].type == spop.ACK:
            answers.append(peer.read())

        # In order, without a gap, and no reset that would have thrown some of them away.
        assert answers[-1].type == spop.AGENT_DISCONNECT
        assert [answer.frame_id for answer in answers[:-1]] == list(range(len(answers) - 1))
        assert answers[-1].pairs()["status-code"] == 0
        assert peer.is_ended()
    assert agent.wait() == 0


def test_while_it_drains_checks_fail_and_traffic_is_served(start_agent):
    agent = start_agent("--drain-delay", "2s", policies=policies_text(p=bucket(10)))
    with agent.connect() as peer:
        agent.signal(signal.SIGTERM)
        agent.wait_for_event("draining")

        with spop.Peer(agent.address, hello=None) as check:
            check.send(spop.HEALTHCHECK)
            check.read_disconnect()
        assert agents.run("probe", agent.address).returncode == 1
        assert peer.ask(src=SRC).remaining == 9
        with agent.connect() as late:
            assert late.ask(src=SRC).remaining == 8

        assert peer.read_disconnect() == 0
    assert agent.wait() == 0


def test_after_the_drain_delay_nobody_listens(start_agent):
    agent = start_agent("--drain-timeout", "1h")
    with agent.connect() as peer:
        # What the peer does not read keeps its connection, and so the agent, from ending.
        fill_until_it_blocks(peer)
        agent.signal(signal.SIGTERM)
        agent.wait_for_event("ending")

        with pytest.raises(OSError):
            spop.open_socket(agent.address)
        assert agent.is_running()
        agent.kill()


def fill_until_it_blocks(peer):
    """Asks and asks and reads no answer, until the agent takes no more."""
    peer.socket.settimeout(0.3)
    many = spop.notify({"src": SRC}) * 1000
    with pytest.raises(TimeoutError):
        while True:
            peer.send(many)


def test_a_peer_that_reads_nothing_is_waited_for_until_drain_timeout(start_agent):
    agent = start_agent("--drain-timeout", "200ms", policies=policies_text(p=bucket(10)))
    with agent.connect() as peer:
        fill_until_it_blocks(peer)

        agent.signal(signal.SIGTERM)

        assert agent.wait() == 0


def test_without_a_drain_timeout_connections_still_get_their_disconnect(start_agent):
    agent = start_agent("--drain-timeout", "0s", policies=policies_text(p=bucket(10)))
    with agent.connect() as peer:
        peer.ask(src=SRC)

        agent.signal(signal.SIGTERM)

        assert peer.read_disconnect() == 0
        assert agent.wait() == 0


def test_a_connection_without_hello_does_not_hold_the_end_up(start_agent):
    agent = start_agent("--drain-timeout", "1h")
    with socket.create_connection(agent.address.rsplit(":", 1)):
        with agent.connect() as peer:  # by now the first one is accepted
            peer.ask(src=SRC)
            agent.signal(signal.SIGTERM)

            assert agent.wait() == 0


@pytest.mark.parametrize("second", [signal.SIGTERM, signal.SIGINT])
def test_a_second_signal_ends_it_at_once(start_agent, second):
    agent = start_agent("--drain-delay", "1h")
    with agent.connect():
        agent.signal(signal.SIGTERM)
        agent.wait_for_event("draining")

        agent.signal(second)

        agent.wait()


def test_haproxy_takes_a_draining_agent_for_down_and_serves_on(start_agent, start_haproxy):
    agent = start_agent("--drain-delay", "1h", policies=SHIPPED_POLICIES.read_text())
    haproxy = start_haproxy(agent.address)
    assert web.get_asked(haproxy.port).status == 200

    agent.signal(signal.SIGTERM)
    wait_until(lambda: haproxy.agent_is("DOWN"), "a failed check")

    # HAProxy up to 3.0 goes on using the connections that it has, newer ones ask no more.
    answers = [web.get(haproxy.port) for _ in range(25)]
    assert {answer.status for answer in answers} <= {200, 429}
    assert answers[0].status == 200
    assert agent.is_running()


def test_an_agent_that_ends_fails_no_request(start_agent, start_haproxy):
    agent = start_agent(policies=SHIPPED_POLICIES.read_text())
    haproxy = start_haproxy(agent.address)
    assert web.get_asked(haproxy.port).status == 200

    agent.signal(signal.SIGTERM)

    answers = [web.get(haproxy.port) for _ in range(10)]
    assert agent.wait() == 0
    assert {answer.status for answer in answers} == {200}
