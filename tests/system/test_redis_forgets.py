"""The warning about a Redis that forgets exhausted clients when it is full."""

import pytest

import spop
from agent import bucket, policies_text

POLICIES = policies_text(p=bucket(5))
# Nothing is to be decided without Redis, on a busy machine neither.
PATIENT = ("--store-timeout", "5s")
SECRET = "secret"


def set_memory(redis, policy, maxmemory="100mb"):
    redis.ask("CONFIG", "SET", "maxmemory-policy", policy)
    redis.ask("CONFIG", "SET", "maxmemory", maxmemory)


def start_and_await_a_heartbeat(start_agent, url, **keywords):
    """A warning comes in the same moment as store_up; nothing that comes later is waited for."""
    agent = start_agent(*PATIENT, store=url, policies=POLICIES, **keywords)
    agent.wait_for_event("store_up")
    with agent.connect() as peer:
        assert not peer.ask(src=spop.ip("192.0.2.1")).degraded
    return agent


@pytest.mark.parametrize("policy", ["allkeys-lru", "volatile-lru", "allkeys-random",
                                    "volatile-random", "volatile-ttl"])
def test_a_policy_that_forgets_exhausted_clients_is_warned_about(start_agent, each_redis, policy):
    set_memory(each_redis, policy)

    agent = start_agent(*PATIENT, store=each_redis.url, policies=POLICIES)

    line = agent.wait_for_event("store_forgets", level="warn", maxmemory_policy=policy)
    assert line["store"] == each_redis.url + "/0"
    assert "exhausted clients" in line["hint"] and "volatile-lfu" in line["hint"]


@pytest.mark.parametrize("policy", ["noeviction", "allkeys-lfu", "volatile-lfu"])
def test_a_policy_that_keeps_exhausted_clients_is_not(start_agent, each_redis, policy):
    set_memory(each_redis, policy)

    agent = start_and_await_a_heartbeat(start_agent, each_redis.url)

    assert not agent.events("store_forgets")


def test_without_maxmemory_there_is_nothing_to_warn_about(start_agent, redis):
    set_memory(redis, "allkeys-lru", 0)

    agent = start_and_await_a_heartbeat(start_agent, redis.url)

    assert not agent.events("store_forgets")


def test_it_is_said_once_a_connection_and_no_more_when_it_is_mended(start_agent, redis, wire):
    set_memory(redis, "allkeys-lru")
    agent = start_agent(*PATIENT, store=wire.url, policies=POLICIES)
    agent.wait_for_event("store_forgets")

    wire.cut()
    agent.wait_for_event("store_forgets", count=2)
    set_memory(redis, "volatile-lfu")
    wire.cut()
    agent.wait_for_event("store_up", count=3)

    with agent.connect() as peer:
        assert not peer.ask(src=spop.ip("192.0.2.1")).degraded
    assert len(agent.events("store_forgets")) == 2


@pytest.mark.parametrize("rights, warnings", [("+info", 1), ("-info", 0)])
def test_the_warning_needs_no_right_but_that_to_info(start_agent, redis, rights, warnings):
    set_memory(redis, "allkeys-lru")
    redis.ask("ACL", "SETUSER", "agent", "on", f">{SECRET}", "~rl:*", "resetchannels", "-@all",
              "+evalsha", "+script|load", "+ping", "+select", "+get", "+set", "+time", rights)

    agent = start_and_await_a_heartbeat(
        start_agent, redis.url, env={"RATELIMIT_REDIS_USER": "agent",
                                     "RATELIMIT_REDIS_PASSWORD": SECRET})
    if warnings:
        agent.wait_for_event("store_forgets")

    assert len(agent.events("store_forgets")) == warnings
