"""Balances on a master that Sentinels know, which fails over under load."""

import re
import signal
import socketserver

import pytest

from agent import bucket, policies_text
from fake_redis import Server
from http_client import HttpClient
from processes import ROOT, wait_until
from redis import Client, Sentinel
from sentinels import NAME, PATIENCE, Trio, has_replica
from spop_load import SpopLoad

SMALL = 50
POLICIES = policies_text(small=bucket(SMALL, "1/1d", ["small"]),
                         wide=bucket(10**6, "1/1h", ["wide"]))
REQUESTS = {"small": {"small": "x"}, "wide": {"wide": "x"}}
PATIENT = ("--store-timeout", "5s")

FLAVOURS = ["redis-7.0", "valkey-8.1"]


@pytest.fixture(name="start_trio")
def make_start_trio(server_trees, tmp_path, started):  # pylint: disable=unused-argument
    def start(flavour="redis-7.0"):
        directory = tmp_path / "trio"
        directory.mkdir()
        return Trio(directory, started, flavour)
    return start


def is_denied_by_redis(answer):
    return answer.name == "small" and not answer.is_degraded and not answer.is_allowed


def assert_limits_hold(answers):
    """No more than the limit passed. Those that `on_error` allowed do not count."""
    allowed = [a for a in answers if a.name == "small" and a.is_allowed and not a.is_degraded]
    assert len(allowed) == SMALL, f"{len(allowed)} of {SMALL}"


def wait_for_master(agent, master):
    """Waits until the agent is connected to this server."""
    agent.wait_for_event("redis_master_named", master=f"127.0.0.1:{master.port}")
    named = len(agent.events("redis_master_named"))
    agent.wait_for_event("store_up", named)


def status(agent):
    with HttpClient(agent) as client:
        return client.get("/status").json["store"]


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_failovers_and_a_lost_sentinel_under_load(start_trio, start_agent, flavour):
    """Every request gets a verdict, and the limit that was used up stays used up."""
    trio = start_trio(flavour)
    agents = [start_agent(*PATIENT, store=trio.url(), policies=POLICIES, http=True)
              for _ in range(2)]
    for agent in agents:
        agent.wait_for_event("store_up")

    with SpopLoad([agent.address for agent in agents], REQUESTS, pause=0.004) as load:
        load.wait_for(is_denied_by_redis, "a denial")
        new = trio.fail_over()
        for agent in agents:
            wait_for_master(agent, new)
        load.wait_for(is_denied_by_redis, "a denial after the failover")

        wait_until(lambda: has_replica(new), "a replica of the new master", PATIENCE)
        new.kill()
        newest = trio.wait_for_another(new)
        for agent in agents:
            wait_for_master(agent, newest)
        load.wait_for(is_denied_by_redis, "a denial after the crash")

        trio.sentinels[0].kill()
        for agent in agents:
            agent.wait_for_event("sentinel_down", sentinel=f"127.0.0.1:{trio.sentinels[0].port}")
        load.wait_for_more(100)

    assert (load.wrong, load.lost) == ([], 0)
    assert_limits_hold(load.answers)
    for agent in agents:
        shown = status(agent)
        assert shown["master"] == f"127.0.0.1:{newest.port}"
        assert [one["state"] for one in shown["sentinels"]] == ["down", "up", "up"]
        assert not agent.events("sentinel_epoch_reset")


class StaleSentinel(Server):
    """Says of the master what it knows for ever."""

    def __init__(self, port, epoch=0):
        words = ["name", NAME, "ip", "127.0.0.1", "port", port, "flags", "master", "config-epoch",
                 epoch]
        self.says = b"*%d\r\n" % len(words) + b"".join(
            b"$%d\r\n%s\r\n" % (len(str(word)), str(word).encode()) for word in words)
        super().__init__(StaleHandler)
        self.port = self.server_address[1]


class StaleHandler(socketserver.StreamRequestHandler):
    disable_nagle_algorithm = True

    def handle(self):
        while self.rfile.readline():
            for _ in range(6):  # SENTINEL MASTER mymaster
                self.rfile.readline()
            self.wfile.write(self.server.says)


def test_a_stale_sentinel_moves_nobody(start_trio, start_agent, started):
    """Two agents count on the same server after a failover, though the first Sentinel of one of
    them names the old master, which takes writes for some ten seconds more."""
    trio = start_trio()
    stale = StaleSentinel(trio.master.port)
    started.append(stale)
    places = [trio.sentinels, [stale, *trio.sentinels]]
    agents = [start_agent(*PATIENT, store=trio.url(sentinels), policies=POLICIES)
              for sentinels in places]
    for agent in agents:
        agent.wait_for_event("store_up")

    new = trio.fail_over()
    for agent in agents:
        wait_for_master(agent, new)
    late = start_agent(*PATIENT, store=trio.url(places[1]), policies=POLICIES)
    wait_until(lambda: late.events("redis_master_named"), "a master")

    late.wait_for_event("store_up")
    assert late.events("redis_master_named")[-1]["master"] == f"127.0.0.1:{new.port}"
    left = SMALL
    for agent in [*agents, late] * 5:
        with agent.connect() as peer:
            left -= 1
            verdict = peer.ask(small="x")
            assert (verdict.degraded, verdict.remaining) == (False, left)
    assert all(len(agent.events("redis_master_named")) == 2 for agent in agents)


# --- one Sentinel ---------------------------------------------------------------------------------


@pytest.fixture(name="watched")
def start_watched(start_redis, redis):
    """A Sentinel that watches one Redis, which is `watched.redis`."""
    sentinel = start_redis(kind=Sentinel,
                           conf=f"sentinel monitor {NAME} 127.0.0.1 {redis.port} 1\n")
    sentinel.redis = redis
    return sentinel


def url_of(sentinel, name=NAME, login="", db=""):
    return f"redis+sentinel://{login}127.0.0.1:{sentinel.port}/{name}{db}"


def test_the_users_of_the_page_are_enough(watched, start_agent, redis_page):
    """One for the Sentinel, and one for Redis, with passwords of their own."""
    lines = [(watched, redis_page["+sentinel|master"]), (watched.redis, redis_page["~rl:*"])]
    for server, line in lines:
        server.ask(*[word.replace(">PASSWORD", f">of-{type(server).__name__}")
                     for word in line.split()])
        server.ask("ACL", "SETUSER", "default", "resetpass", ">another")

    agent = start_agent(*PATIENT, store=url_of(watched), policies=POLICIES, env={
        "RATELIMIT_REDIS_USER": "ratelimit", "RATELIMIT_REDIS_PASSWORD": "of-Redis",
        "RATELIMIT_SENTINEL_USER": "ratelimit", "RATELIMIT_SENTINEL_PASSWORD": "of-Sentinel"})

    agent.wait_for_event("store_up")
    with agent.connect() as peer:
        assert peer.ask(small="x").remaining == SMALL - 1
    assert not agent.events("store_lacks_right")
    for server in (watched, watched.redis):
        with Client(server.address, password="another") as client:
            assert client.ask("ACL", "LOG") == []


@pytest.fixture(name="redis_page")
def read_acl_lines():
    """The lines of docs/redis.md that make users, by a word that each has alone."""
    lines = re.findall(r"^ACL SETUSER ratelimit on .*$", (ROOT / "docs/redis.md").read_text(), re.M)
    return {word: next(line for line in lines if word in line)
            for word in ("+sentinel|master", "~rl:*")}


def test_a_password_file_of_sentinels_is_read_again(watched, start_agent, tmp_path):
    watched.ask("ACL", "SETUSER", "default", "resetpass", ">first")
    file = tmp_path / "password"
    file.write_text("first\n")
    agent = start_agent(*PATIENT, store=url_of(watched), policies=POLICIES,
                        env={"RATELIMIT_SENTINEL_PASSWORD_FILE": str(file)})
    agent.wait_for_event("store_up")

    watched.password = "first"
    watched.ask("ACL", "SETUSER", "default", "resetpass", ">second")
    watched.password = "second"
    watched.ask("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
    down = agent.wait_for_event("sentinel_down")
    file.write_text("second\n")

    agent.wait_for_event("sentinel_up")
    assert "the password is refused" in down["reason"] and "first" not in down["reason"]
    assert agent.events("store_down") == []


def test_a_name_that_the_sentinel_does_not_know_is_told(watched, start_agent):
    agent = start_agent(*PATIENT, store=url_of(watched, "another"), policies=POLICIES)

    down = agent.wait_for_event("store_down")
    assert down["kind"] == "connection"
    assert "no master of the name another" in down["reason"]
    assert "sentinel monitor" in agent.wait_for_event("sentinel_down")["reason"]


def test_a_server_in_the_place_of_the_sentinel_is_told(redis, start_agent):
    agent = start_agent(*PATIENT, store=url_of(redis), policies=POLICIES)

    assert "there is no Sentinel at this port" in agent.wait_for_event("sentinel_down")["reason"]
    assert "no Sentinel has named the master" in agent.wait_for_event("store_down")["reason"]


def test_a_login_before_the_hosts_is_for_redis(watched, start_agent):
    watched.redis.ask("ACL", "SETUSER", "agent", "on", ">hunter2", "~rl:*", "+@all")
    agent = start_agent(*PATIENT, policies=POLICIES,
                        env={"RATELIMIT_STORE": url_of(watched, login="agent:hunter2@", db="/2")})

    agent.wait_for_event("store_up")
    with agent.connect() as peer:
        assert peer.ask(small="x").remaining == SMALL - 1
    assert b"db2:keys=1" in watched.redis.ask("INFO", "keyspace")
    assert "hunter2" not in agent.output.read_text()


def test_sentinels_that_hang_or_go_away_later_change_nothing(watched, start_agent):
    agent = start_agent(*PATIENT, store=url_of(watched), policies=POLICIES, http=True)
    agent.wait_for_event("store_up")

    watched.signal(signal.SIGSTOP)
    agent.wait_for_event("sentinel_down", reason="no answer in time")
    with agent.connect() as peer:
        assert peer.ask(small="x").remaining == SMALL - 1
    with HttpClient(agent) as client:
        health = client.get("/health").json["store"]
    watched.signal(signal.SIGCONT)
    agent.wait_for_event("sentinel_up")

    assert health == {"kind": "redis", "state": "up", "master_named": True, "sentinels": 1,
                      "sentinels_up": 0}
    assert agent.events("store_down") == []
