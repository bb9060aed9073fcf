"""What managed services of Redis demand, demanded by a Redis that runs here."""

import json
import shlex
import socket
import threading

import pytest

from agent import bucket, policies_text, window
from fake_redis import Forger, ForgerHandler
from processes import wait_until
from test_admin_tokens import admin_file  # pylint: disable=unused-import
from test_exceptions import Operator

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


# --- what the commands of the agent look like ----------------------------------------------------

ARGUMENTS_MAX = 3999
MANY = policies_text(
    **{name: {**policy, "match": {"kind": "each"}}
       for name, policy in json.loads(EACH)["policies"].items()},
    large={**window(200, "1h", key=["k"]), "match": {"kind": "large"}})


class Service(Forger):
    """A Redis that refuses commands with more arguments than some services take. `longest` is how
    many the longest command had."""

    def __init__(self, target):
        super().__init__(target, ServiceHandler)
        self.longest = 0


class ServiceHandler(ForgerHandler):
    def refuse(self, command):
        """The error, or None."""
        count = int(command[1:command.index(b"\r\n")])
        self.server.longest = max(self.server.longest, count)
        return b"-ERR too many arguments\r\n" if count > ARGUMENTS_MAX else None


def are_decided(client, checks):
    """By Redis. An agent drops its connection when the machine stalls for half a second."""
    done = client.post({"checks": checks}).json
    return not any(check["degraded"] for check in done["results"])


def use_everything(agent):
    """Full calls, large logs, exceptions and resets."""
    each = [{"attributes": {"kind": "each", "k": f"k{n}"}} for n in range(32)]
    inline = [{"key": "x", "algorithm": "token_bucket", "capacity": 10 + n,
               "refill_rate": f"{n}/1h"} for n in range(1, 33)]  # whose numbers differ
    large = [{"attributes": {"kind": "large", "k": "often"}}] * 3
    with Operator(agent) as client:
        for checks in [each] * 3 + [inline] * 3 + [large] * 40:
            wait_until(lambda c=checks: are_decided(client, c), "checks that Redis decides")
        for n in range(20):
            client.set(k=f"x{n}")
        for method in ("GET", "DELETE"):
            assert client.request(method, "/balances/large?k=often").status == 200


@pytest.fixture(name="start_used")
def agent_that_uses_everything(start_agent, admin_file):  # pylint: disable=redefined-outer-name
    def start(store):
        agent = start_agent("--store-timeout", "5s", "--on-error", "local", "--admin-token-file",
                            admin_file, store=store, policies=MANY, http=True)
        agent.wait_for_store()
        use_everything(agent)
        agent.wait_for_event("agents_counted")
        assert {said["kind"] for said in agent.events("store_error")} <= {"timeout", "connection"}
        assert not agent.events("store_lacks_right") and not agent.events("store_records_failed")
        return agent
    return start


def test_a_service_that_takes_at_most_3999_arguments(start_used, redis, started):
    service = Service(("127.0.0.1", redis.port))
    started.append(service)

    start_used(service.url)

    assert 250 < service.longest <= ARGUMENTS_MAX


class Monitor:
    """What a Redis executes: a list of the words of each command, and whether a script sent it."""

    def __init__(self, redis):
        self.socket = socket.create_connection(redis.address)
        self.lines = self.socket.makefile("rb")
        self.socket.sendall(b"MONITOR\r\n")
        assert self.lines.readline() == b"+OK\r\n"
        self.commands = []
        self.thread = threading.Thread(target=self._read, daemon=True)
        self.thread.start()

    def _read(self):
        """+1764500000.123456 [0 lua] "GET" "key" """
        for line in self.lines:
            place, _, words = line.decode("latin-1").partition("[")[2].partition("] ")
            self.commands.append((shlex.split(words), place.endswith(" lua")))

    def finish(self):
        self.socket.shutdown(socket.SHUT_RDWR)
        self.thread.join()
        self.socket.close()


def declared_keys(words):
    """EVALSHA hash count key... """
    return words[3:3 + int(words[2])]


KEYLESS = ("TIME", "CLUSTER")
KEYS_OF = {"RENAME": 2, "UNLINK": None}  # in place of one; None: all arguments


def test_scripts_use_declared_keys_only(start_used, redis, started):
    """Services that are clusters behind one address may refuse others."""
    monitor = Monitor(redis)
    started.append(monitor)

    start_used(redis.url)
    redis.ask("ECHO", "the end")
    wait_until(lambda: (["ECHO", "the end"], False) in monitor.commands, "all that was executed")

    declared, used = [], 0
    for words, is_of_script in monitor.commands:
        name = words[0].upper()
        if not is_of_script:
            declared = declared_keys(words) if name == "EVALSHA" else []
        elif name not in KEYLESS:
            used += 1
            count = KEYS_OF.get(name, 1)
            keys = words[1:] if count is None else words[1:1 + count]
            assert set(keys) <= set(declared), (words, declared)
    assert used > 300
