"""`ratelimit-spoa replay`: old requests are checked by policies that are planned."""

import fcntl
import itertools
import json
import math
import os
import pathlib
import random
import re
import signal
import struct
import subprocess
import termios
from fractions import Fraction

import pytest

from agent import BINARY, SANITIZER_FAULT, bucket, policies_text, window
from processes import Process, clean_environment, wait_until
from replay import line, request, run

ALL = {"token_bucket": {"algorithm": "token_bucket", "capacity": 10, "refill_rate": "3/7s"},
       "sliding_window": {"algorithm": "sliding_window", "limit": 10, "window": "7s"},
       "sliding_window_counter": {"algorithm": "sliding_window_counter", "limit": 10,
                                  "window": "7s"},
       "fixed_window": {"algorithm": "fixed_window", "limit": 10, "window": "7s"}}
EVERY = policies_text(**{name: {**policy, "key": ["src"]} for name, policy in ALL.items()})
NAMES = ["token-bucket", "sliding-window", "sliding-window-counter", "fixed-window"]
# The same names, with all that makes one check different from another.
RICH = policies_text(
    token_bucket={**ALL["token_bucket"], "key": ["src"], "overrides": [
        {"match": {"plan": "paid"}, "capacity": 20},
        {"match": {"src": "192.0.2.0/31"}, "unlimited": True}]},
    sliding_window={**ALL["sliding_window"], "key": ["src", "plan"], "match": {"plan": "*"},
                    "shadow": True},
    sliding_window_counter={**ALL["sliding_window_counter"], "key": ["plan"], "overrides": [
        {"match": {"src": "192.0.2.3"}, "blocked": True}]},
    fixed_window={**ALL["fixed_window"], "key": [], "shadow": True})
ONE = policies_text(p=bucket(2))
A = {"src": "192.0.2.1"}


def random_lines(seed, count, policies=()):
    """Times that mostly grow, in microseconds; some clients, some costs, some by name."""
    chance = random.Random(seed)
    at_us = 0
    for _ in range(count):
        at_us = max(0, at_us + chance.choice([0, 1, 999, 40_125, 700_000, 3_000_000, -90_000, -5_000_000]))
        fields = {"cost": chance.choice([0, 1, 1, 2, 3, 11])}
        key = f"192.0.2.{chance.randrange(4)}"
        if policies and chance.random() < 0.5:
            fields |= {"policy": ",".join(chance.sample(policies, 2)), "key": key}
        else:
            fields["attributes"] = {"src": key, "plan": chance.choice(["free", "paid"])}
        yield line(at_us / 1000, **fields)


# --- what is answered --------------------------------------------------------------------------

def test_an_answer_is_that_of_check_with_its_time(tmp_path):
    done = run(tmp_path, ONE, [request(1500, **A)]).good()

    assert done.answers == [{
        "at_ms": 1500, "allowed": True, "reason": "ok", "degraded": False, "policy": "p",
        "limit": 2, "remaining": 1, "retry_after_ms": 0, "reset_ms": 3_600_000,
        "policies": [{"policy": "p", "allowed": True, "limit": 2, "remaining": 1,
                      "retry_after_ms": 0, "reset_ms": 3_600_000}]}]
    assert done.output.startswith('{"at_ms":1500,"allowed":')


@pytest.mark.parametrize("later_ms", [1500, 4 * 3_600_000, 400 * 86_400_000])
def test_a_time_that_goes_back_finds_the_balances_of_then(tmp_path, later_ms):
    """Though they are full again by the newest time, and others came."""
    policies = policies_text(p=window(1, "1s"))
    others = [request(later_ms, src=f"198.51.100.{n}") for n in range(99)]
    lines = [request(0, src="192.0.2.1"), *others, request(500, src="192.0.2.1")]

    assert run(tmp_path, policies, lines).good().allowed == [True] * 100 + [False]



def bucket_model(capacity, rate, times_us):
    """What a bucket of so many tokens says to one unit at each time: allowed, retry_after_ms."""
    level, last = Fraction(capacity), times_us[0]
    for now in times_us:
        level = min(capacity, level + Fraction(now - last, 10**6) * rate)
        last = now
        wait_us = max(0, math.ceil((1 - level) / rate * 10**6))
        yield level >= 1, -(-wait_us // 1000)
        level -= level >= 1


def test_a_bucket_is_exact_to_the_microsecond(tmp_path):
    chance = random.Random(1)
    times = list(itertools.accumulate(chance.choice([0, 1, 333_333, 2_333_333, 2_333_334])
                                      for _ in range(2000)))
    policies = policies_text(p=bucket(3, "3/7s"))

    done = run(tmp_path, policies, [request(us / 1000, **A) for us in times]).good()

    said = [(answer["allowed"], answer["retry_after_ms"]) for answer in done.answers]
    assert said == list(bucket_model(3, Fraction(3, 7), times))
    assert {True, False} == {allowed for allowed, _ in said}


@pytest.mark.parametrize("name", ALL)
def test_a_wait_that_was_answered_comes_true_and_not_a_millisecond_before(tmp_path, name):
    policies = policies_text(p={**ALL[name], "key": ["src"]})
    asked = [request(1000 + i, **A) for i in range(11)]
    wait_ms = run(tmp_path, policies, asked).good().answers[-1]["retry_after_ms"]

    early = run(tmp_path, policies, [*asked, request(1010 + wait_ms - 1, **A)]).good()
    late = run(tmp_path, policies, [*asked, request(1010 + wait_ms, **A)]).good()

    assert (early.allowed[-2:], late.allowed[-2:]) == ([False, False], [False, True])


@pytest.mark.parametrize("written,read", [
    ("0", "0"), ("0.0", "0"), ("7", "7"), ("1e3", "1000"), ("1500.0", "1500"),
    ("1500.25", "1500.25"), ("0.001", "0.001"), ("1795520668123.456", "1795520668123.456"),
    ("4503599627370", "4503599627370")])
def test_a_time_is_milliseconds_to_the_microsecond(tmp_path, written, read):
    text = '{"at_ms":%s,"attributes":{"src":"192.0.2.1"}}' % written

    done = run(tmp_path, ONE, [text]).good()

    assert done.output.startswith('{"at_ms":%s,' % read)


def test_a_time_that_goes_back_refills_nothing(tmp_path):
    policies = policies_text(p=bucket(1, "1/10s"))

    done = run(tmp_path, policies,
               [request(20_000, **A), request(15_000, **A), request(30_000, **A)]).good()

    assert done.allowed == [True, False, True]
    # From 15 s on: until 20 s the bucket stands still, and it takes 10 s more.
    assert done.answers[1]["retry_after_ms"] == 15_000


def test_each_form_of_a_check_is_taken(tmp_path):
    done = run(tmp_path, ONE, [
        line(1, policy="p", key="192.0.2.1"), line(1, attributes=A, cost=0),
        line(1, algorithm="fixed_window", limit=3, window="1s", key="k", cost=3)]).good()

    assert [answer["policy"] for answer in done.answers] == ["p", "p", "inline"]
    assert [answer["remaining"] for answer in done.answers] == [1, 1, 0]


def test_a_batch_is_asked_check_by_check(tmp_path):
    checks = [{"policy": "p", "key": "k"}, {"policy": "nosuch", "key": "k"}, {"x": 1},
              {"policy": "p", "key": "k", "cost": 2}, {"attributes": A}]

    done = run(tmp_path, ONE, [line(1.5, checks=checks), line(2, checks=checks[:1] * 100)]).good()

    first, second = done.answers
    assert list(first) == ["at_ms", "results"] and first["at_ms"] == 1.5
    assert [result.get("allowed", result.get("status")) for result in first["results"]] == \
        [True, 404, 400, False, True]
    assert [result["allowed"] for result in second["results"]] == [True] + 99 * [False]
    assert done.told.startswith("requests: 103, 3 allowed, 100 denied\n")


def test_empty_lines_count_and_are_nothing_else(tmp_path):
    done = run(tmp_path, ONE, request(1, **A) + "\r\n\n  \r\n" + request(2, **A))

    assert (done.status, len(done.answers)) == (0, 2)
    assert "line 5" in run(tmp_path, ONE, "\n\n\n\nx").told


def test_nothing_is_nothing(tmp_path):
    done = run(tmp_path, ONE, "").good()

    assert done.output == ""
    assert "requests: 0" in done.told


# --- what is wrong -----------------------------------------------------------------------------

BAD_LINES = [
    ("x", "JSON"), ("[]", "object"), ('{"at_ms":1}', "missing"), ('{"attributes":{}}', "at_ms"),
    ('{"at_ms":null,"attributes":{}}', "at_ms"), ('{"at_ms":"1","attributes":{}}', "at_ms"),
    ('{"at_ms":-1,"attributes":{}}', "at_ms"), ('{"at_ms":0.0001,"attributes":{}}', "at_ms"),
    ('{"at_ms":4503599627371,"attributes":{}}', "at_ms"),
    ('{"at_ms":1e99,"attributes":{}}', "at_ms"), ('{"at_ms":1e-99,"attributes":{}}', "at_ms"),
    ('{"at_ms":1,"at_ms":1,"attributes":{}}', "at_ms"),
    ('{"at_ms":1,"attributes":{"at_ms":{}}}', "attributes.at_ms"),
    ('{"at_ms":1,"atributes":{}}', "atributes"), ('{"at_ms":1,"policy":"nosuch"}', "nosuch"),
    ('{"at_ms":1,"policy":"p"}', "key"), ('{"at_ms":1,"checks":[{}],"cost":1}', "checks"),
    ('{"checks":[{}]}', "at_ms"), ('{"at_ms":1,"checks":[]}', "checks"),
    ('{"at_ms":1,"attributes":{"a":"\\u0000"}}', "NUL"),
    ('{"at_ms":1,"attributes":{"a":"%s"}}' % ("x" * 70_000), "longer"),
]


@pytest.mark.parametrize("text,why", BAD_LINES, ids=lambda value: value[:40])
def test_a_bad_line_ends_it_with_its_number(tmp_path, text, why):
    done = run(tmp_path, ONE, [request(1, **A), text, request(2, **A)])

    assert (done.status, len(done.answers)) == (1, 1)
    told = done.told.splitlines()[-1]
    assert told.startswith("ratelimit-spoa: line 2: ") and why in told


def test_keep_going_tells_of_each_bad_line_and_exits_1(tmp_path):
    lines = [text for text, _ in BAD_LINES]

    done = run(tmp_path, ONE, [*lines, request(1, **A), *lines], "--keep-going")

    numbers = [*range(1, len(lines) + 1), *range(len(lines) + 2, 2 * len(lines) + 2)]
    told = [text.split(": ")[1] for text in done.told.splitlines()
            if text.startswith("ratelimit-spoa: ")]
    assert told == [f"line {number}" for number in numbers]
    assert (done.status, done.allowed) == (1, [True])
    assert f"not valid: {len(numbers)}\n" in done.told


@pytest.mark.parametrize("options,words", [
    (["--format", "csv"], ["--format", "csv", "haproxy"]), (["--format"], ["--format", "haproxy"]),
    (["--tz", "Nowhere/Atall"], ["--tz", "Nowhere", "Europe/Berlin"]),
    (["--tz", "../../etc/passwd"], ["--tz", "passwd"]), (["--tz=+1:00"], ["--tz", "+01:00"]),
    (["--plot="], ["--plot", "path"]), (["--keep-going=yes"], ["--keep-going", "yes"]),
    (["--nosuch"], ["--nosuch"]), (["stray"], ["stray"]), (["--policies", "/nonexistent"],
                                                          ["/nonexistent"])])
def test_a_wrong_option_is_refused(tmp_path, options, words):
    done = run(tmp_path, ONE, [request(1, **A)], *options)

    assert (done.status, done.output) == (2, "")
    assert len(done.told.splitlines()) == 1 and all(word in done.told for word in words)


@pytest.mark.parametrize("arguments", [["--keep-going"], ["serve", "--format", "json"],
                                       ["check-config", "--plot", "x"]])
def test_its_options_are_no_others(arguments):
    done = subprocess.run([BINARY, *arguments], capture_output=True, text=True, check=False,
                          env=clean_environment(), timeout=20)

    assert done.returncode == 2 and "no such option" in done.stderr


def test_a_picture_that_cannot_be_written_is_told_of_first(tmp_path):
    done = run(tmp_path, ONE, [request(1, **A)], "--plot", tmp_path / "nosuch" / "x.svg")

    assert (done.status, done.output) == (1, "")
    assert "--plot" in done.told


def test_a_full_memory_store_ends_it(tmp_path):
    policies = policies_text(p=window(1_000_000))

    done = run(tmp_path, policies, [request(i, **A) for i in range(20_000)],
               "--memory-limit", "64k")

    assert done.status == 1
    assert f"line {len(done.answers) + 1}: memory:" in done.told.splitlines()[-1]


# --- the summary -------------------------------------------------------------------------------

def test_the_summary_says_what_each_policy_did(tmp_path):
    policies = policies_text(few=bucket(2), many=bucket(100))
    lines = [request(1_000 + i, **A) for i in range(5)] + \
        [request(9_500, src="192.0.2.2"), request(9_600, src="192.0.2.2", other="x")]

    done = run(tmp_path, policies, lines).good()

    assert done.row("few") == [7, 3, 0] and done.row("many") == [7, 0, 0]
    told = done.told.splitlines()
    assert told[0] == "requests: 7, 4 allowed, 3 denied"
    assert told[1] == "first at 1 s, last at 9 s"
    few = next(i for i, text in enumerate(told) if text.startswith("few "))
    assert told[few].endswith("  5 at 1 s")
    assert told[few + 1:few + 3] == ["  seen most: 192.0.2.1 5, 192.0.2.2 2",
                                     "  denied most: 192.0.2.1 3"]


def test_what_is_in_shadow_is_told_apart(tmp_path):
    policies = policies_text(real=bucket(3), tried={**bucket(2), "shadow": True})

    done = run(tmp_path, policies, [request(i, **A) for i in range(5)]).good()

    assert done.allowed == [True, True, True, False, False]
    assert [answer["reason"] for answer in done.answers[2:4]] == ["shadow", "limited"]
    assert (done.row("real"), done.row("tried")) == ([5, 2, 0], [5, 0, 3])
    assert done.told.count("  denied most: 192.0.2.1 ") == 2


def test_who_is_unlimited_is_not_counted_and_who_is_blocked_is(tmp_path):
    policies = policies_text(p={**bucket(1), "overrides": [
        {"match": {"src": "192.0.2.1"}, "unlimited": True},
        {"match": {"src": "192.0.2.2"}, "blocked": True}]})

    done = run(tmp_path, policies, [request(1, src=f"192.0.2.{n}") for n in (1, 1, 2, 3, 3)]).good()

    assert [answer["reason"] for answer in done.answers] == \
        ["none", "none", "blocked", "ok", "limited"]
    assert done.row("p") == [3, 2, 0]


def test_dates_are_told_as_such(tmp_path):
    done = run(tmp_path, ONE, [request(1795520668123, **A)]).good()

    assert "first at 2026-11-24T11:44:28Z" in done.told


# --- Redis -------------------------------------------------------------------------------------

@pytest.mark.parametrize("policies,names", [(EVERY, NAMES), (RICH, NAMES[::2])],
                         ids=["every", "rich"])
def test_redis_gives_the_same_answers_to_the_byte(tmp_path, each_redis, policies, names):
    for seed in range(3):
        lines = list(random_lines(seed, 3000, names))

        memory = run(tmp_path, policies, lines).good()
        shared = run(tmp_path, policies, lines, "--store", each_redis.url).good()

        assert (shared.output, shared.told) == (memory.output, memory.told)
        assert {True, False} == set(memory.allowed)


def test_redis_has_no_keys_of_a_replay_afterwards(tmp_path, redis):
    redis.ask("SET", "rl:replay:mine", "1")
    redis.ask("SET", "rl:p:other", "1")
    lines = [request(i, src=f"10.0.{i // 250}.{i % 250}") for i in range(3000)]

    run(tmp_path, EVERY, lines, "--store", redis.url).good()

    assert redis.keys() == [b"rl:p:other", b"rl:replay:mine"]


class Running(Process):
    """A replay that is fed line by line; its answers go to a pipe, or to `answers`."""

    def __init__(self, directory, *options, answers=subprocess.PIPE):
        (directory / "p.json").write_text(EVERY)
        self.output = directory / "told"
        with open(self.output, "ab") as told:
            self.popen = subprocess.Popen(
                [BINARY, "replay", "--policies", directory / "p.json", *options],
                stdin=subprocess.PIPE, stdout=answers, stderr=told,
                # ASan would keep 256 MB of what was freed.
                env={**clean_environment(), "ASAN_OPTIONS": "quarantine_size_mb=1"})
        self.pid = self.popen.pid

    def ask(self, text):
        """Its answer, which comes although more may be to be asked."""
        self.popen.stdin.write(text.encode() + b"\n")
        self.popen.stdin.flush()
        return json.loads(self.popen.stdout.readline())

    def finish(self):
        self.kill()
        self.popen.stdin.close()
        if self.popen.stdout:
            self.popen.stdout.close()
        assert not any(SANITIZER_FAULT.search(text) for text in self.lines())


@pytest.fixture(name="start")
def start_replay(tmp_path, started):
    def start(*options):
        started.append(Running(tmp_path, *options))
        return started[-1]
    return start


def test_keys_have_the_prefix_and_live_for_an_hour_at_least(start, redis):
    replay = start("--store", redis.url, "--key-prefix", "x*?[a]:")
    redis.ask("SET", "xx?a:replay:1", "1")

    assert replay.ask(request(1, **A))["remaining"] == 9

    keys = [key for key in redis.keys() if key.startswith(b"x*?[a]:replay:")]
    assert len(keys) == 4
    assert all(3_599_000 < redis.ask("PTTL", key) <= 3_600_001 for key in keys)
    replay.popen.stdin.close()
    assert replay.wait() == 0
    assert redis.keys() == [b"xx?a:replay:1"]


@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_deletes_the_keys(start, redis, stop):
    replay = start("--store", redis.url)
    replay.ask(request(1, **A))
    assert len(redis.keys()) == 4

    replay.signal(stop)

    assert replay.wait() == 1
    assert redis.keys() == []
    assert "stopped after line 1" in replay.output.read_text()


def catches(pid, number):
    """Whether the process has a handler for that signal."""
    status = pathlib.Path(f"/proc/{pid}/status").read_text()
    return int(re.search(r"^SigCgt:\s*(\w+)", status, re.MULTILINE)[1], 16) >> (number - 1) & 1


@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_wait_for_the_writer_of_a_pipe(start, tmp_path, stop):
    os.mkfifo(tmp_path / "pipe")
    replay = start(tmp_path / "pipe")
    wait_until(lambda: catches(replay.pid, stop), "a handler")

    replay.signal(stop)

    assert replay.wait() == 1


def test_a_bad_line_deletes_the_keys(start, redis):
    replay = start("--store", redis.url)
    replay.ask(request(1, **A))

    replay.popen.stdin.write(b"bad\n")
    replay.popen.stdin.flush()

    assert replay.wait() == 1
    assert redis.keys() == []


def unread_bytes(pipe):
    return struct.unpack("i", fcntl.ioctl(pipe, termios.FIONREAD, b"\0" * 4))[0]


def test_who_does_not_read_the_answers_can_stop_it(start, redis):
    replay = start("--store", redis.url)
    lines = "".join(text + "\n" for text in random_lines(1, 500))
    replay.popen.stdin.write(lines.encode())
    replay.popen.stdin.flush()
    wait_until(lambda: unread_bytes(replay.popen.stdout) >= 61_440, "a full pipe")

    assert replay.stop() == 1

    assert redis.keys() == []


def pings(redis):
    stats = re.search(r"cmdstat_ping:calls=(\d+)", redis.ask("INFO", "commandstats").decode())
    return int(stats[1]) if stats else 0


def sockets(pid):
    return [link for link in pathlib.Path(f"/proc/{pid}/fd").iterdir()
            if os.readlink(link).startswith("socket:")]


def test_a_redis_that_goes_while_nobody_reads_the_answers_is_told_of(start, redis):
    replay = start("--store", redis.url)
    lines = "".join(text + "\n" for text in random_lines(1, 500))
    replay.popen.stdin.write(lines.encode())
    replay.popen.stdin.flush()
    wait_until(lambda: unread_bytes(replay.popen.stdout) >= 61_440, "a full pipe")
    before = pings(redis)
    wait_until(lambda: pings(redis) >= before + 2, "a replay that asks nothing")

    redis.kill()
    wait_until(lambda: not sockets(replay.pid), "the end of its connection")
    answers = replay.popen.stdout.read().splitlines()

    assert replay.wait() == 1
    told = replay.output.read_text()
    assert f"ratelimit-spoa: line {len(answers) + 1}: " in told and "are left" in told


def test_a_slow_redis_is_waited_for(start, redis):
    replay = start("--store", redis.url, "--store-timeout", "1ms")
    replay.ask(request(1, **A))

    redis.ask("CLIENT", "PAUSE", 1500, "ALL")

    assert replay.ask(request(2, **A))["degraded"] is False


def test_a_redis_that_is_slow_at_the_begin_is_waited_for(tmp_path, redis):
    redis.ask("CLIENT", "PAUSE", 1500, "ALL")

    run(tmp_path, ONE, [request(1, **A)], "--store", redis.url).good()

    assert redis.keys() == []


def test_a_redis_that_is_away_ends_it_at_its_line(tmp_path, redis):
    redis.kill()

    done = run(tmp_path, EVERY, ["", request(1, **A)], "--store", redis.url)

    assert (done.status, done.output) == (1, "")
    told = done.told.splitlines()[-1]
    assert told.startswith(f"ratelimit-spoa: line 2: {redis.url}/0: ") and "refused" in told


def test_a_redis_that_goes_ends_it_at_its_line(start, redis):
    replay = start("--store", redis.url)
    replay.ask(request(1, **A))
    redis.kill()

    replay.popen.stdin.write(request(2, **A).encode() + b"\n")
    replay.popen.stdin.flush()

    assert replay.wait() == 1
    told = replay.output.read_text()
    assert "ratelimit-spoa: line 2: " in told and "are left" in told


def test_an_error_of_redis_ends_it_and_the_keys_are_deleted(start, redis):
    replay = start("--store", redis.url)
    replay.ask(request(1, **A))
    redis.ask("CONFIG", "SET", "maxmemory", "1")

    replay.popen.stdin.write(request(2, **A).encode() + b"\n")
    replay.popen.stdin.flush()

    assert replay.wait() == 1
    assert "line 2: " in replay.output.read_text() and "oom" in replay.output.read_text()
    assert redis.keys() == []


def test_a_user_of_redis_may_do_no_more_than_it_must(tmp_path, redis):
    """docs/replay.md says what it must."""
    redis.ask("ACL", "SETUSER", "replay", "on", ">s3cret", "~rl:replay:*", "resetchannels", "-@all",
              *"+evalsha +script|load +ping +select +info +get +set +getrange +setrange +strlen "
               "+pexpire +time +type +hget +hset +hdel +hstrlen +rename +scan +unlink".split())
    user = {"RATELIMIT_REDIS_USER": "replay", "RATELIMIT_REDIS_PASSWORD": "s3cret"}

    run(tmp_path, EVERY, list(random_lines(1, 200)), "--store", redis.url, env=user).good()

    assert redis.keys() == []


def test_keys_that_may_not_be_deleted_are_told_of(tmp_path, redis):
    redis.ask("ACL", "SETUSER", "replay", "on", ">s3cret", "~*", "+@all", "-unlink")
    user = {"RATELIMIT_REDIS_USER": "replay", "RATELIMIT_REDIS_PASSWORD": "s3cret"}

    done = run(tmp_path, ONE, [request(1, **A)], "--store", redis.url, env=user)

    assert (done.status, done.allowed) == (1, [True])
    prefix = re.search(r"the keys (\S+)\* are left: \"", done.told)[1]
    assert [key.decode().startswith(prefix) for key in redis.keys()] == [True]


# --- how much it takes -------------------------------------------------------------------------

def test_memory_does_not_grow_with_the_number_of_lines(tmp_path, started):
    text = "".join(request(i, src=f"10.0.0.{i % 200}") + "\n" for i in range(20_000)).encode()
    peaks = []
    for times in (1, 10):
        with open(tmp_path / "answers", "wb") as answers:
            replay = Running(tmp_path, "--plot", tmp_path / "x.svg", answers=answers)
        started.append(replay)
        for _ in range(times):
            replay.popen.stdin.write(text)
        peaks.append(replay.status_field("VmHWM"))
        replay.popen.stdin.close()
        assert replay.wait() == 0

    assert peaks[1] < peaks[0] + 1024  # KiB
