"""Ways to a Redis: addresses, databases, users and passwords, and where secrets may stand."""

import socketserver

import pytest

import agent as agents
from agent import bucket, policies_text
from fake_redis import Server, read_value

POLICIES = policies_text(p=bucket(10, "1/1h", ["k"]))
PATIENT = ("--store-timeout", "5s")
SECRET = "s3cr3t/%:@ü"
QUOTED = "s3cr3t%2F%25%3a%40%C3%BC"


@pytest.fixture(name="ask_with")
def agent_with_a_store(start_agent):
    """What an agent gets from its store, and the agent."""
    def ask(store=None, env=None, options=()):
        agent = start_agent(*PATIENT, *options, store=store, env=env, policies=POLICIES)
        agent.wait_for_event("store_up")
        with agent.connect() as peer:
            verdict = peer.ask(k="x")
        assert not verdict.degraded
        return verdict, agent
    return ask


def keys_by_database(redis):
    return {int(line.split(b":")[0][2:]): int(line.split(b"=")[1].split(b",")[0])
            for line in redis.ask("INFO", "keyspace").splitlines() if line.startswith(b"db")}


def test_over_tcp(ask_with, redis):
    _, agent = ask_with(redis.url)

    assert keys_by_database(redis) == {0: 1}
    assert agent.wait_for_event("store_up")["store"] == redis.url + "/0"


def test_over_a_unix_socket(ask_with, start_redis, tmp_path):
    redis = start_redis(unix=tmp_path / "redis.sock")

    ask_with(redis.url)

    assert keys_by_database(redis) == {0: 1}


@pytest.mark.parametrize("is_unix, suffix", [(False, "/3"), (True, "?db=3")])
def test_a_database_of_its_own(ask_with, start_redis, tmp_path, is_unix, suffix):
    redis = start_redis(unix=tmp_path / "redis.sock" if is_unix else None)

    ask_with(redis.url + suffix)

    assert keys_by_database(redis) == {3: 1}


def test_a_database_that_redis_does_not_have_is_a_store_that_is_down(start_agent, redis):
    agent = start_agent(store=redis.url + "/77", policies=POLICIES)

    down = agent.wait_for_event("store_down")

    assert down["kind"] == "other"
    with agent.connect() as peer:
        assert peer.ask(k="x").reason == "error"


def test_every_address_of_a_name_is_tried(ask_with, redis):
    """localhost is ::1 too, where this Redis does not listen."""
    ask_with(f"redis://localhost:{redis.port}")

    assert keys_by_database(redis) == {0: 1}


def test_a_name_that_nobody_knows_is_a_store_that_is_down(start_agent):
    agent = start_agent(store="redis://nosuch.invalid", policies=POLICIES)

    assert agent.wait_for_event("store_down")["kind"] == "connection"
    with agent.connect() as peer:
        assert peer.ask(k="x").degraded


# --- passwords -----------------------------------------------------------------------------------


@pytest.fixture(name="guarded")
def redis_with_a_password(start_redis):
    redis = start_redis(password=SECRET)
    add_user(redis)
    return redis


def add_user(redis):
    redis.ask("ACL", "SETUSER", "agent", "on", f">{SECRET}", "~rl:*", "+@all", "-@admin")


def url_with(redis, before):
    return redis.url.replace("redis://", f"redis://{before}@")


def test_a_password_in_the_environments_url(ask_with, guarded):
    ask_with(env={"RATELIMIT_STORE": url_with(guarded, ":" + QUOTED)})


def test_a_user_and_a_password_in_the_environments_url(ask_with, guarded):
    ask_with(env={"RATELIMIT_STORE": url_with(guarded, "agent:" + QUOTED)})

    assert keys_by_database(guarded) == {0: 1}


def test_a_password_of_its_own_variable(ask_with, guarded):
    ask_with(guarded.url, env={"RATELIMIT_REDIS_PASSWORD": SECRET})


def test_a_user_of_its_own_variable(ask_with, guarded):
    ask_with(guarded.url, env={"RATELIMIT_REDIS_USER": "agent",
                               "RATELIMIT_REDIS_PASSWORD": SECRET})


def test_a_user_in_the_flag_and_a_password_in_the_environment(ask_with, guarded):
    ask_with(url_with(guarded, "agent"), env={"RATELIMIT_REDIS_PASSWORD": SECRET})


@pytest.mark.parametrize("end", ["", "\n"])
def test_a_password_in_a_file(ask_with, guarded, tmp_path, end):
    (tmp_path / "password").write_text(SECRET + end)

    ask_with(guarded.url, env={"RATELIMIT_REDIS_PASSWORD_FILE": str(tmp_path / "password")})


def test_a_password_for_a_unix_socket(ask_with, start_redis, tmp_path):
    redis = start_redis(password=SECRET, unix=tmp_path / "redis.sock")

    ask_with(redis.url, env={"RATELIMIT_REDIS_PASSWORD": SECRET})


def test_a_password_file_that_is_not_there_stops_the_start(redis, tmp_path):
    done = agents.run("--store", redis.url, env={
        "RATELIMIT_REDIS_PASSWORD_FILE": str(tmp_path / "nosuch")})

    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert str(tmp_path / "nosuch") in done.stderr


def test_a_password_in_the_flag_is_refused_and_not_repeated(guarded):
    for before in (":" + QUOTED, "agent:" + QUOTED, ":wrong", "a:" + SECRET):
        done = agents.run("--store", url_with(guarded, before))

        assert (done.returncode, done.stdout) == (2, "")
        assert len(done.stderr.splitlines()) == 1
        assert "--store" in done.stderr and "password" in done.stderr
        assert_no_secret(done.stderr, "wrong")


def assert_no_secret(text, *more):
    for secret in (SECRET, QUOTED, "s3cr3t", *more):
        assert secret not in text


@pytest.mark.parametrize("level", ["debug", "info"])
def test_a_password_never_shows(ask_with, guarded, level):
    _, agent = ask_with(env={"RATELIMIT_STORE": url_with(guarded, "agent:" + QUOTED)},
                        options=("--log-level", level))
    guarded.kill()
    agent.wait_for_event("store_down")
    guarded.start()
    add_user(guarded)
    agent.wait_for_event("store_up", 2)

    agent.stop()

    assert_no_secret(agent.output.read_text())


@pytest.mark.parametrize("store, password", [
    ("redis://agent:wr0ng@{}", None),
    ("redis://:wr0ng%40x@{}", None), ("redis://{}", "wr0ng"), ("redis://agent@{}", "wr0ng@")])
def test_a_wrong_password_never_shows_either(start_agent, guarded, store, password):
    env = {"RATELIMIT_STORE": store.format(f"127.0.0.1:{guarded.port}")}
    if password:
        env["RATELIMIT_REDIS_PASSWORD"] = password
    agent = start_agent("--log-level", "debug", policies=POLICIES, env=env)

    assert agent.wait_for_event("store_down")["kind"] == "other"

    agent.stop()
    assert "wr0ng" not in agent.output.read_text()


class HangUp(socketserver.StreamRequestHandler):
    """Ends the connection when it was asked something, as a port for TLS does."""

    def handle(self):
        read_value(self.rfile)


@pytest.mark.parametrize("store, event, wanted", [
    ("redis://{}", "store_down", "rediss://"),
    ("redis+sentinel://{}/name", "sentinel_down", "rediss+sentinel://"),
    ("redis+cluster://{}", "store_down", "rediss+cluster://"),
])
def test_a_port_that_may_want_tls_is_told_with_the_url_for_it(start_agent, store, event, wanted):
    server = Server(HangUp)
    try:
        agent = start_agent(*PATIENT, store=store.format(f"127.0.0.1:{server.server_address[1]}"),
                            policies=POLICIES)

        reason = agent.wait_for_event(event)["reason"]
    finally:
        server.finish()

    assert reason.endswith(f"before its first reply; if it wants TLS, that is {wanted}")
