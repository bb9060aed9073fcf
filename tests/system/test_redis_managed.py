"""What managed services of Redis demand, demanded by a Redis that runs here."""

import pytest

from agent import bucket, policies_text, window

EACH = policies_text(
    bucket=bucket(5, "5/1h", ["k"]), log=window(5, "1h", key=["k"]),
    counter=window(5, "10d", "sliding_window_counter", ["k"]),
    fixed=window(5, "3650d", "fixed_window", ["k"]))


@pytest.mark.parametrize("rights", [
    pytest.param(["-info", "-config"], id="no-info-no-config"),
    pytest.param(["-@admin", "-@dangerous"], id="no-admin-no-dangerous"),
])
def test_rights_that_services_keep_for_themselves(start_agent, redis, rights):
    redis.ask("ACL", "SETUSER", "agent", "on", ">secret", "~rl:*", "+@all", *rights)
    agent = start_agent("--store-timeout", "1s", "--on-error", "local", store=redis.url,
                        policies=EACH,
                        env={"RATELIMIT_REDIS_USER": "agent", "RATELIMIT_REDIS_PASSWORD": "secret"})
    agent.wait_for_store()

    with agent.connect() as peer:
        verdicts = [peer.ask(k="x") for _ in range(6)]

    assert [verdict.allowed for verdict in verdicts] == [True] * 5 + [False]
    assert not any(verdict.degraded for verdict in verdicts)
    agent.wait_for_event("agents_counted")
    assert not agent.events("store_lacks_right")


def test_a_service_with_one_database_and_without_select(start_agent, start_redis):
    redis = start_redis(options=["--rename-command", "SELECT", ""])
    agent = start_agent("--store-timeout", "5s", store=redis.url, policies=EACH)
    agent.wait_for_store()

    with agent.connect() as peer:
        verdict = peer.ask(k="x")

    assert verdict.allowed and not verdict.degraded
    assert len(redis.keys()) == 4
