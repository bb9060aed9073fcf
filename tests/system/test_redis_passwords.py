"""A password for Redis that changes while the agent runs, at the server and in the agent's file."""

import pytest

from agent import bucket, policies_text
from processes import wait_until
from redis import Client
from spop_load import SpopLoad

POLICIES = policies_text(p=bucket(1_000_000, "1/1h", ["k"]))
PATIENT = ("--store-timeout", "5s")
REQUESTS = {n: {"k": f"k{n}"} for n in range(50)}


class Default:
    """The default user, whose password is `requirepass`."""

    name, variables = "default", {}

    @staticmethod
    def add(redis, password):
        pass  # it has been started with the password

    @staticmethod
    def set_password(redis, password):
        redis.ask("CONFIG", "SET", "requirepass", password)
        redis.password = password


class AclUser:
    """A user of its own. The tests go on to ask as the default user."""

    name, variables = "agent", {"RATELIMIT_REDIS_USER": "agent"}

    @staticmethod
    def add(redis, password):
        redis.ask("ACL", "SETUSER", "agent", "on", f">{password}", "~rl:*", "+@all")

    @staticmethod
    def set_password(redis, password):
        redis.ask("ACL", "SETUSER", "agent", "resetpass", f">{password}")


class Rotated:
    """A Redis and an agent with a password file, and both passwords."""

    def __init__(self, redis, user, directory):
        self.redis, self.user, self.file = redis, user, directory / "password"
        user.add(redis, "first")
        self.file.write_text("first\n")

    def environment(self):
        return {"RATELIMIT_REDIS_PASSWORD_FILE": str(self.file), **self.user.variables}

    def change_file(self, password):
        new = self.file.with_suffix(".new")
        new.write_text(password + "\n")
        new.rename(self.file)

    def change_server(self, password):
        self.user.set_password(self.redis, password)

    def agent_connections(self):
        """The ids of the agent's connections: those that have called the script."""
        lines = self.redis.ask("CLIENT", "LIST").decode().splitlines()
        fields = [dict(word.split("=", 1) for word in line.split()) for line in lines]
        return [each["id"] for each in fields
                if each["user"] == self.user.name and each["cmd"] in ("evalsha", "ping", "auth")]

    def cut_agent(self):
        for number in self.agent_connections():
            self.redis.ask("CLIENT", "KILL", "ID", number)


@pytest.fixture(name="rotated", params=[Default, AclUser], ids=lambda user: user.name)
def make_rotated(request, start_redis, tmp_path):
    return Rotated(start_redis(password="first"), request.param, tmp_path)


@pytest.fixture(name="agent")
def agent_with_file(start_agent, rotated):
    agent = start_agent(*PATIENT, store=rotated.redis.url, policies=POLICIES,
                        env=rotated.environment())
    agent.wait_for_event("store_up")
    return agent


@pytest.fixture(name="load")
def load_of_the_agent(agent):
    with SpopLoad([agent.address], REQUESTS, clients=8) as load:
        load.wait_for_more(100)
        yield load
    assert (load.wrong, load.lost) == ([], 0)
    assert not any(answer.is_degraded for answer in load.answers)


def passwords(agent):
    """What the log says of passwords."""
    names = ("redis_password_taken", "redis_password_refused", "redis_password_unread")
    return [event["event"][len("redis_password_"):] for event in agent.events()
            if event["event"] in names]


def test_the_server_changes_first(rotated, agent, load):
    before = rotated.agent_connections()
    rotated.change_server("second")
    load.wait_for_more(500)

    rotated.change_file("second")

    assert agent.wait_for_event("redis_password_taken")["store"] == rotated.redis.url + "/0"
    load.wait_for_more(500)
    assert rotated.agent_connections() == before
    assert passwords(agent) == ["taken"]


def test_the_file_changes_first(rotated, agent, load):
    before = rotated.agent_connections()
    rotated.change_file("second")
    refused = agent.wait_for_event("redis_password_refused")
    assert refused["reason"].startswith("WRONGPASS") and refused["level"] == "warn"
    load.wait_for_more(500)

    rotated.change_server("second")

    agent.wait_for_event("redis_password_taken")  # at the next try, 5 s after the first
    load.wait_for_more(500)
    assert rotated.agent_connections() == before
    assert passwords(agent) == ["refused", "taken"]


def test_a_new_connection_tries_the_file_and_then_the_last_that_worked(rotated, agent):
    rotated.change_file("second")
    agent.wait_for_event("redis_password_refused")

    rotated.cut_agent()
    agent.wait_for_event("store_down", kind="connection")
    agent.wait_for_event("store_up", 2)

    rotated.change_server("second")
    rotated.cut_agent()
    agent.wait_for_event("redis_password_taken")
    assert [event["kind"] for event in agent.events("store_down")] == ["connection"] * len(
        agent.events("store_down"))
    assert passwords(agent) == ["refused", "taken"]


def test_a_connection_that_is_lost_meanwhile_is_made_when_the_file_changes_too(rotated, agent):
    rotated.change_server("second")
    rotated.cut_agent()
    agent.wait_for_event("store_down", kind="other")
    with agent.connect() as peer:
        assert peer.ask(k="x").degraded

    rotated.change_file("second")

    agent.wait_for_event("store_up", 2)
    with agent.connect() as peer:
        assert not peer.ask(k="x").degraded


def test_ten_rotations_in_either_order_are_noticed_by_no_request(rotated, agent, load):
    for turn in range(10):
        changes = [rotated.change_server, rotated.change_file]
        if turn % 3 == 0:
            changes.reverse()
        for change in changes:
            change(f"password{turn}")
        # When the file was first and was refused, the next try comes 5 s later.
        agent.wait_for_event("redis_password_taken", turn + 1)
        load.wait_for_more(50)

    assert [event["event"] for event in agent.events() if event["event"] == "store_down"] == []


def test_a_symlink_swap_is_seen(start_redis, start_agent, tmp_path):
    """As Kubernetes changes a mounted Secret."""
    redis = start_redis(password="first")
    for name, password in (("..1", "first"), ("..2", "second")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "password").write_text(password)
    (tmp_path / "..data").symlink_to("..1")
    (tmp_path / "password").symlink_to("..data/password")
    agent = start_agent(*PATIENT, store=redis.url, policies=POLICIES, env={
        "RATELIMIT_REDIS_PASSWORD_FILE": str(tmp_path / "password")})
    agent.wait_for_event("store_up")
    Default.set_password(redis, "second")

    (tmp_path / "..new").symlink_to("..2")
    (tmp_path / "..new").rename(tmp_path / "..data")

    agent.wait_for_event("redis_password_taken")


@pytest.mark.parametrize("text", ["", "\n", "x" * 1024, "a\0b\n"])
def test_a_file_without_a_password_changes_nothing(start_redis, start_agent, tmp_path, text):
    rotated = Rotated(start_redis(password="first"), Default, tmp_path)
    agent = start_agent(*PATIENT, store=rotated.redis.url, policies=POLICIES,
                        env=rotated.environment())
    agent.wait_for_event("store_up")

    rotated.change_file(text) if text else rotated.file.write_text("")

    unread = agent.wait_for_event("redis_password_unread")
    assert str(rotated.file) in unread["reason"] and "xxxx" not in unread["reason"]
    with agent.connect() as peer:
        assert not peer.ask(k="x").degraded
    rotated.change_server("second")
    rotated.change_file("second")
    agent.wait_for_event("redis_password_taken")


def test_a_file_that_is_deleted_and_comes_back(start_redis, start_agent, tmp_path):
    rotated = Rotated(start_redis(password="first"), Default, tmp_path)
    agent = start_agent(*PATIENT, store=rotated.redis.url, policies=POLICIES,
                        env=rotated.environment())
    agent.wait_for_event("store_up")

    rotated.file.unlink()
    assert "No such file" in agent.wait_for_event("redis_password_unread")["reason"]
    rotated.change_server("second")
    rotated.change_file("second")

    agent.wait_for_event("redis_password_taken")


def test_no_password_is_in_the_log(start_redis, start_agent, tmp_path):
    rotated = Rotated(start_redis(password="first"), Default, tmp_path)
    agent = start_agent("--log-level", "debug", store=rotated.redis.url, policies=POLICIES,
                        env=rotated.environment())
    agent.wait_for_event("store_up")
    rotated.change_file("s3cr3t")
    agent.wait_for_event("redis_password_refused")
    rotated.change_server("s3cr3t")
    agent.wait_for_event("redis_password_taken")

    text = agent.output.read_text()
    assert "s3cr3t" not in text and '"first"' not in text


def test_the_last_password_that_worked_is_not_asked_for_when_it_is_the_same(start_redis,
                                                                            start_agent, tmp_path):
    """A refused AUTH is an entry in ACL LOG, so there is none without need."""
    rotated = Rotated(start_redis(password="first"), Default, tmp_path)
    agent = start_agent(*PATIENT, store=rotated.redis.url, policies=POLICIES,
                        env=rotated.environment())
    agent.wait_for_event("store_up")
    rotated.change_server("second")
    rotated.change_file("second")
    agent.wait_for_event("redis_password_taken")
    rotated.cut_agent()
    wait_until(rotated.agent_connections, "the next connection")
    agent.wait_for_event("store_up", 2)

    with Client(rotated.redis.address, password="second") as client:
        assert client.ask("ACL", "LOG") == []
