"""Many exceptions, and many changes at once, of four agents that share a Redis: none is lost, and
agents that were away have the same ones as the others again. The long forms print how long it took,
since a busy machine makes any time longer."""

import concurrent.futures
import contextlib
import signal
import statistics
import threading
import time

import pytest

import many_records
from agent import policies_text, window
from processes import wait_until
from redis import Client
from test_admin_tokens import admin_file  # pylint: disable=unused-import
from test_exceptions import Operator

AGENTS = 4
RATE = 1000  # changes in a second, of all agents together
CLIENTS = 8
POLICIES = policies_text(login=window(10**6))


@pytest.fixture
def start(start_agent, admin_file, redis):  # pylint: disable=redefined-outer-name
    def start_one():
        return Operator(start_agent("--admin-token-file", admin_file, "--store-timeout", "5s",
                                    http=True, policies=POLICIES, store=redis.url))
    return start_one


@pytest.fixture
def four(start):
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(start()) for _ in range(AGENTS)]
        for client in clients:
            client.agent.wait_for_store()
        yield clients


def count_of(client):
    return client.request("GET", "/exceptions?after=~").json["count"]


def all_ids(client):
    ids, after = set(), ""
    while after is not None:
        answer = client.request("GET", f"/exceptions?after={after}").json
        ids |= {exception["id"] for exception in answer["exceptions"]}
        after = answer.get("next")
    return ids


def await_all(clients, wanted, what):
    """Returns after how many seconds all clients had as many exceptions, and compares these."""
    began = time.monotonic()
    for client in clients:
        wait_until(lambda client=client: count_of(client) == len(wanted), what, timeout=120)
    seconds = time.monotonic() - began
    for client in clients:
        assert all_ids(client) == wanted, what
    return seconds


def changed(client, *change):
    """The answer of a change that Redis was in time for: this machine may be busy. What is 503 is put
    again; a removal is 404 then, if it was made all the same."""
    answer = wait_until(lambda: (given := client.change(*change)).status != 503 and given,
                        "an answer of Redis in time")
    assert answer.status in ((200, 404) if change[0] == "DELETE" else (200,)), answer
    return answer


def block(client, source):
    return changed(client, "PUT", None, {"blocked": True}, {"src": source}).json["id"]


def remove(client, name):
    changed(client, "DELETE", None, None, {"id": name})


def reason_of(client, source):
    """Of a check that the store was in time for: this machine may be busy."""
    def asked():
        reason = client.check(attributes={"src": source}).json["reason"]
        return reason if reason != "error" else None
    return wait_until(asked, "an answer of Redis in time")


# --- many changes --------------------------------------------------------------------------------

class Worker:
    """Puts exceptions of its own names at one agent, and removes them again: all names are in turn,
    so that at most as many are there as it has names."""

    def __init__(self, number, agent, names, until):
        self.client, self.until = Operator(agent), until
        self.names = [f"10.{number}.{name >> 8}.{name & 255}" for name in range(names)]
        self.ids = {}
        self.changes = 0

    def run(self, pause):
        with self.client:
            while self.changes < self.until:
                name = self.names[self.changes % len(self.names)]
                began = time.monotonic()
                if name in self.ids:
                    remove(self.client, self.ids.pop(name))
                else:
                    self.ids[name] = block(self.client, name)
                self.changes += 1
                time.sleep(max(0.0, pause - (time.monotonic() - began)))


def memory_kib(client):
    with open(f"/proc/{client.agent.pid}/status", encoding="ascii") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmRSS"))


class Delays:
    """How long it took until the last of the other agents had a change."""

    def __init__(self, clients):
        self.clients, self.is_over = clients, threading.Event()
        self.seconds, self.ids = [], set()

    def measure_one(self, number):
        first, *others = self.clients
        name = f"172.16.{number >> 8 & 255}.{number & 255}"
        self.ids.add(block(first, name))
        began = time.monotonic()
        for client in others:
            wait_until(lambda client=client: client.check(attributes={"src": name}).json["reason"]
                       == "blocked", "the change")
        self.seconds.append(time.monotonic() - began)

    def run(self):
        with contextlib.ExitStack() as stack:
            self.clients = [stack.enter_context(Operator(client.agent)) for client in self.clients]
            while not self.is_over.is_set():
                self.measure_one(len(self.ids))


@pytest.mark.parametrize("seconds", [
    2, pytest.param(60, marks=[pytest.mark.long, pytest.mark.timeout(900)])])
def test_no_change_of_many_is_lost_and_the_memory_stays(four, redis, seconds):
    redis.ask("CONFIG", "SET", "slowlog-log-slower-than", "1000")
    redis.ask("CONFIG", "SET", "slowlog-max-len", "1000")
    redis.ask("SLOWLOG", "RESET")
    workers = [Worker(number, four[number % AGENTS].agent, 50, seconds * RATE // CLIENTS)
               for number in range(CLIENTS)]
    delays = Delays(four)

    with concurrent.futures.ThreadPoolExecutor(CLIENTS + 1) as pool:
        measured = pool.submit(delays.run)
        began, before = time.monotonic(), [memory_kib(client) for client in four]
        try:
            for running in [pool.submit(worker.run, CLIENTS / RATE) for worker in workers]:
                running.result()
            took = time.monotonic() - began
        finally:
            delays.is_over.set()
        measured.result()

    await_all(four, delays.ids.union(*(worker.ids.values() for worker in workers)), "all changes")
    grown = [memory_kib(client) - kib for client, kib in zip(four, before)]
    slow = redis.ask("SLOWLOG", "GET", "1000")
    changes = sum(worker.changes for worker in workers)
    print(f"{changes / took:.0f} changes a second for {took:.1f} s; seen by all after "
          f"{statistics.median(delays.seconds):.3f} s, at most {max(delays.seconds):.3f} s; "
          f"memory grew by {grown} KiB; {len(slow)} calls of Redis above "
          f"1 ms, at most {max((entry[2] for entry in slow), default=0)} us")
    assert changes == seconds * RATE
    assert max(grown) < 20 * 1024, grown


# --- agents that were away -----------------------------------------------------------------------

KEYS = [f"rl:{{records}}:{key}" for key in many_records.KEYS]


class Crowd:
    """The exceptions that are there, and which were removed."""

    def __init__(self, redis, count):
        self.redis, self.free = redis, []
        self.blocked = dict(many_records.blocks(count))
        with Client(redis.address) as client:
            many_records.put_in_redis(client, list(self.blocked.items()))

    def change(self, client):
        """Lets ten go, and blocks five more."""
        for name in list(self.blocked)[:10]:
            remove(client, name)
            self.free.append(self.blocked.pop(name))
        for number in range(5):
            source = f"172.16.{len(self.free) >> 8}.{len(self.free) * 8 + number & 255}"
            self.blocked[block(client, source)] = many_records.exception(src=source)

    def assert_at(self, clients, what):
        seconds = await_all(clients, set(self.blocked), what)
        for client in clients:
            for values, reason in ((list(self.blocked.values())[-20:], "blocked"),
                                   (self.free[-20:], "ok")):
                for value in values:
                    source = value.split('"src":"')[1].split('"')[0]
                    assert reason_of(client, source) == reason, what
        print(f"{what}: all had the same after {seconds:.2f} s")


@pytest.mark.parametrize("count", [
    2000, pytest.param(100_000, marks=[pytest.mark.long, pytest.mark.timeout(1800)])])
def test_agents_that_were_away_have_the_same_exceptions_again(four, start, redis, count):
    crowd = Crowd(redis, count)
    one, two, third, last = four
    crowd.assert_at(four, "all are put")

    last.agent.kill()
    crowd.change(one)
    with start() as again:
        again.agent.wait_for_store()
        crowd.assert_at([one, two, third, again], "an agent was killed")
        four = [one, two, third, again]

        third.agent.signal(signal.SIGSTOP)
        crowd.change(two)
        third.agent.signal(signal.SIGCONT)
        crowd.assert_at(four, "an agent was stopped")

        older = redis.ask_all([("DUMP", key) for key in KEYS])
        crowd.change(one)
        crowd.assert_at(four, "a change")
        redis.ask_all([("MULTI",), ("DEL", *KEYS),
                       *(("RESTORE", key, 0, dump) for key, dump in zip(KEYS, older) if dump),
                       ("EXEC",)])
        two.agent.wait_for_event("store_state_lost")
        wait_until(lambda: redis.ask("HLEN", KEYS[1]) == count + 15, "what the replica lacked", timeout=60)
        crowd.assert_at(four, "an older replica was promoted")

        redis.ask("FLUSHALL")
        wait_until(lambda: redis.ask("HLEN", KEYS[1]) == count + 15, "all records", timeout=120)
        crowd.change(third)
        crowd.assert_at(four, "it was emptied")

        redis.kill()
        redis.start()
        wait_until(lambda: redis.ask("HLEN", KEYS[1]) == count + 20, "all records", timeout=120)
        with start() as fresh:
            fresh.agent.wait_for_store()
            crowd.assert_at([*four, fresh], "it was restarted without a dump")
