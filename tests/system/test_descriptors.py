"""Peers take all descriptors that they can get, and the agent goes on with what it keeps for
itself."""

import resource
import signal

from agent import bucket, policies_text
from http_client import HttpClient
from processes import wait_until
from spop import open_socket

LIMIT = 400
MANY = 500
POLICIES = policies_text(p=bucket(1000))


def few_descriptors():
    resource.setrlimit(resource.RLIMIT_NOFILE, (LIMIT, LIMIT))


def flood(address):
    """Connections that say nothing. Those that the agent does not accept wait in the backlog."""
    return [open_socket(address) for _ in range(MANY)]


def connections_of_others(redis):
    """The addresses of those that are connected to Redis, without the one that asks here."""
    lines = redis.ask("CLIENT", "LIST").decode().splitlines()
    return {line.split()[1] for line in lines if "cmd=client" not in line}


def test_health_reload_and_redis_go_on_when_peers_take_all_they_can(start_agent, redis):
    agent = start_agent(store=redis.url, policies=POLICIES, http=True,
                        preexec_fn=few_descriptors).wait_for_store()
    usual = agent.connect()
    sockets = flood(agent.address) + flood(agent.http_address)

    with HttpClient(agent) as client:
        assert client.get("/health").status == 200
        assert f"process_max_fds {LIMIT}" in client.get("/metrics").body.decode()

    agent.policy_file.write_text(policies_text(p=bucket(999)))
    agent.signal(signal.SIGHUP)
    agent.wait_for_event("reloaded")

    before = connections_of_others(redis)
    redis.ask("CLIENT", "KILL", "TYPE", "normal")
    wait_until(lambda: connections_of_others(redis) - before, "a new connection to Redis")
    wait_until(lambda: not usual.ask(src="192.0.2.1").degraded, "decisions of Redis")
    usual.close()

    assert not agent.events("listener_paused")
    for opened in sockets:
        opened.close()


def test_a_reload_that_lacked_a_descriptor_is_tried_again(start_agent):
    agent = start_agent(policies=POLICIES)
    limits = resource.prlimit(agent.pid, resource.RLIMIT_NOFILE)
    resource.prlimit(agent.pid, resource.RLIMIT_NOFILE, (0, limits[1]))

    agent.policy_file.write_text(policies_text(p=bucket(999)))
    failed = agent.wait_for_event("reload_failed")
    resource.prlimit(agent.pid, resource.RLIMIT_NOFILE, limits)

    assert "Too many open files" in failed["reason"]
    assert agent.wait_for_event("reloaded")["changed"] == "p"


def test_the_policy_file_is_watched_once_there_is_a_descriptor_for_it(start_agent):
    """By the second try the agent has one. Until then it logged that it could not."""
    agent = start_agent(policies=POLICIES, wrapper=[
        "strace", "-D", "-qq", "-o", "/dev/null", "-e", "inject=inotify_init1:error=ENFILE:when=1"])

    agent.wait_for_event("policies_watched")
    agent.policy_file.write_text(policies_text(p=bucket(999)))

    assert agent.wait_for_event("reloaded")["cause"] == "file"
    failed, = agent.events("policies_watch_failed")
    assert "tries again every second" in failed["hint"]


def test_the_start_says_once_that_the_options_want_more_than_there_is(start_agent):
    agent = start_agent("--max-connections", "1000", http=True, preexec_fn=few_descriptors)

    said, = agent.events("descriptor_limit_low")
    assert said["limit"] == LIMIT and said["wanted"] == 20 + 2 + 1000 + 64 + 1024
    assert said["max_connections"] == 1000 and said["http_max_connections"] == 1024
    assert said["spop_used"] + 64 + said["http_used"] == LIMIT - 20 - 2


def test_nothing_is_said_when_all_fits(start_agent):
    agent = start_agent("--max-connections", "100", "--http-max-connections", "100", http=True,
                        preexec_fn=few_descriptors)

    assert not agent.events("descriptor_limit_low")
