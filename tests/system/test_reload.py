"""Policies change while the agent runs: by SIGHUP, and when the file changes."""

import functools
import json
import os
import shutil
import signal
import subprocess
import threading
import time

import pytest

import many_records
import spop
from agent import BINARY, SHIPPED_POLICIES, bucket, policies_text, window
from http_client import HttpClient
from processes import undisturbed, wait_until
from spop_load import SpopLoad
from web import Load, get_asked

SRC = spop.ip("192.0.2.1")
SETTLE_SECONDS = 0.1  # after the last event, the file is read


def wait_for_reload(agent, change, cause):
    """What the agent says to what `change` does."""
    def said():
        return [event for event in agent.events(cause=cause)
                if event["event"] in ("reloaded", "reload_failed")]
    before = len(said())
    change()
    return wait_until(lambda: said()[before:], f"a reload by {cause}")[0]


def reload_policies(agent, text):
    """Puts that into the policy file and says so; the agent's answer."""
    def change():
        agent.policy_file.write_text(text)
        agent.signal(signal.SIGHUP)
    return wait_for_reload(agent, change, "SIGHUP")


def replace(file, text):
    """As careful programs write: never half of it is there."""
    other = file.with_name(file.name + ".new")
    other.write_text(text)
    os.replace(other, file)


def replace_policies(agent, text):
    return wait_for_reload(agent, lambda: replace(agent.policy_file, text), "file")


def left(peer, policy):
    """What is left of the policy's balance; asks without taking."""
    return peer.ask(policy=policy, src=SRC, cost=0).remaining


def loads(agent):
    """(how often policies were loaded, how often that failed), by /metrics."""
    with HttpClient(agent) as client:
        samples = dict(line.rsplit(" ", 1) for line in
                       client.get("/metrics").body.decode().splitlines())
    return (int(samples["ratelimit_policy_generation"]),
            int(samples["ratelimit_policy_reload_errors_total"]))


# --- balances ----------------------------------------------------------------------------------


@pytest.fixture(params=["memory", "redis"], name="start_with_store")
def start_with_each_store(request, start_agent):
    def start(policies):
        if request.param == "memory":
            return start_agent(policies=policies)
        url = request.getfixturevalue("redis").url
        return start_agent("--store-timeout", "5s", store=url, policies=policies).wait_for_store()
    return start


def test_a_reload_changes_a_policy_and_keeps_the_balance_of_another(start_with_store):
    agent = start_with_store(policies_text(same=bucket(10), other=bucket(10)))
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
    (window(10, algorithm="sliding_window_counter"),
     window(20, algorithm="sliding_window_counter")),
    (window(10, algorithm="fixed_window", length="3650d"),
     window(20, algorithm="fixed_window", length="3650d")),
], ids=["nothing", "capacity", "refill_rate", "limit", "counter's limit", "fixed limit"])
def test_a_balance_stays_when_a_reload_changes(start_with_store, before, after):
    agent = start_with_store(policies_text(p=before))
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
def test_a_balance_starts_afresh_when_a_reload_changes(start_with_store, before, after):
    agent = start_with_store(policies_text(p=before))
    with agent.connect() as peer:
        peer.ask(src=SRC, path="/", cost=4)

        reload_policies(agent, policies_text(p=after))

        assert peer.ask(src=SRC, path="/", cost=0).remaining == 10


def test_a_balance_stays_over_a_change_that_is_taken_back(start_with_store):
    texts = [policies_text(p=bucket(10)), policies_text(p=bucket(5)), policies_text(p=window(7))]
    agent = start_with_store(texts[0])
    with agent.connect() as peer:
        peer.ask(src=SRC, cost=2)

        reload_policies(agent, texts[1])
        assert left(peer, "p") == 5
        reload_policies(agent, texts[2])
        assert left(peer, "p") == 7
        reload_policies(agent, texts[0])

        # Nothing was charged by the others, and what is only asked for clamps nothing.
        assert left(peer, "p") == 8


def test_a_drained_bucket_that_a_reload_raises_keeps_its_level(start_with_store):
    agent = start_with_store(policies_text(p=bucket(10)))
    with agent.connect() as peer:
        peer.ask(src=SRC, cost=10)

        reload_policies(agent, policies_text(p=bucket(10_000)))

        assert left(peer, "p") == 0
        assert not peer.ask(src=SRC).allowed


def test_a_bucket_that_was_full_before_it_was_asked_for_again_is_full(start_with_store):
    """It has 10 tokens a tenth of a second after it was drained, when its capacity is 10."""
    agent = start_with_store(policies_text(p=bucket(10, refill_rate=100)))
    with agent.connect() as peer:
        peer.ask(src=SRC, cost=10)

        reload_policies(agent, policies_text(p=bucket(10_000, refill_rate=100)))

        # Asking alone writes nothing, so it is judged again each time.
        wait_until(lambda: left(peer, "p") == 10_000, "the bucket")


def test_a_fraction_of_a_token_stays_when_a_reload_changes_the_rate(start_with_store):
    """Of a token and a half, one is taken. The other half of it takes 50 of 100 days."""
    agent = start_with_store(policies_text(p=bucket(10, refill_rate="0.5")))
    with agent.connect() as peer:
        peer.ask(src=SRC, cost=10)
        wait_until(lambda: peer.ask(src=SRC, cost=2).retry_after_ms < 1000, "one and a half")
        assert peer.ask(src=SRC).remaining == 0

        reload_policies(agent, policies_text(p=bucket(10, refill_rate="1/100d")))

        verdict = peer.ask(src=SRC)
        assert not verdict.allowed
        assert verdict.retry_after_ms < 51 * 86400 * 1000


def test_a_policy_that_a_reload_takes_away_is_unknown(start_agent):
    agent = start_agent(policies=policies_text(p=bucket(10), q=bucket(10)))
    with agent.connect() as peer:
        assert peer.ask(policy="p", src=SRC).reason == "ok"

        reload_policies(agent, policies_text(q=bucket(10)))

        assert peer.ask(policy="p", src=SRC).reason == "invalid"
        assert peer.ask(src=SRC).policy == "q"


def test_a_request_in_flight_finishes_with_the_policies_that_it_began_with(start_agent, redis):
    agent = start_agent("--store-timeout", "1m", store=redis.url, policies=policies_text(
        gone=bucket(10), less=bucket(9))).wait_for_store()
    with agent.connect() as peer:
        redis.signal(signal.SIGSTOP)
        peer.send(spop.notify({"policy": "gone", "src": SRC}, frame_id=1))
        peer.send(spop.notify({"policy": "less", "src": SRC}, frame_id=2))
        agent.connect().close()  # by now those are read

        reload_policies(agent, policies_text(less=bucket(3)))
        peer.send(spop.notify({"policy": "gone", "src": SRC}, frame_id=3))
        peer.send(spop.notify({"policy": "less", "src": SRC}, frame_id=4))
        assert peer.read_verdict().reason == "invalid"  # which waits for nothing
        redis.signal(signal.SIGCONT)

        verdicts = [peer.read_verdict() for _ in range(3)]
    assert [(v.policy, v.limit, v.remaining) for v in verdicts] == [
        ("gone", 10, 9), ("less", 9, 8), ("less", 3, 2)]


# --- what is said ------------------------------------------------------------------------------


def test_the_log_says_what_was_added_changed_and_removed(start_agent):
    agent = start_agent(policies=policies_text(a=bucket(1), b=bucket(2), c=bucket(3), d=window()))

    said = replace_policies(agent, policies_text(
        new=bucket(1), b=bucket(5), c=bucket(3), d=window(length="2h"), z=window()))

    assert (said["event"], said["level"]) == ("reloaded", "info")
    assert (said["added"], said["changed"], said["removed"]) == ("new,z", "b,d", "a")
    assert (said["reordered"], said["policies"]) == (False, 5)
    assert said["file"] == str(agent.policy_file)


def test_the_log_names_ten_of_each_and_counts_the_rest(start_agent):
    def named(first):
        return policies_text(**{f"{first}{n:063}": bucket(1) for n in range(100)})
    agent = start_agent(policies=named("x"))

    said = replace_policies(agent, named("y"))

    assert said["added"] == ",".join(f"y{n:063}" for n in range(10)) + " and 90 more"
    assert said["removed"] == ",".join(f"x{n:063}" for n in range(10)) + " and 90 more"
    assert (said["changed"], said["policies"]) == ("", 100)


def test_sighup_is_answered_when_nothing_changed(start_agent):
    agent = start_agent(http=True, policies=policies_text(p=bucket(10)))

    said = wait_for_reload(agent, lambda: agent.signal(signal.SIGHUP), "SIGHUP")

    assert (said["added"], said["changed"], said["removed"]) == ("", "", "")
    assert loads(agent) == (2, 0)


def test_the_order_of_the_file_is_reloaded_too(start_agent):
    """It decides which of several policies is named when they have as much left."""
    agent = start_agent(policies=policies_text(a=bucket(10), b=bucket(10)))
    with agent.connect() as peer:
        assert peer.ask(src=SRC, cost=0).policy == "a"

        said = replace_policies(agent, policies_text(b=bucket(10), a=bucket(10)))

        assert (said["changed"], said["reordered"]) == ("", True)
        assert peer.ask(src=SRC, cost=0).policy == "b"


# --- errors ------------------------------------------------------------------------------------


BAD_FILES = [
    ("{", "line 1"),
    (json.dumps({"policies": {"q": bucket(10), "p": {**bucket(10), "capacity": 0}}}),
     "policies.p.capacity"),
    (json.dumps({"policies": {"p": {**bucket(10), "nosuch": 0}}}), "policies.p.nosuch"),
]


@pytest.fixture(params=["SIGHUP", "file"], name="reloading")
def reloading_by_each(request, start_agent):
    """(starts an agent, changes its file and returns what it says), by one cause alone."""
    if request.param == "file":
        return start_agent, replace_policies
    return functools.partial(start_agent, "--policies-watch", "off"), reload_policies


@pytest.mark.parametrize("text,place", BAD_FILES)
def test_a_reload_with_an_error_keeps_what_runs(reloading, text, place):
    start, change = reloading
    agent = start(http=True, policies=policies_text(p=bucket(10)))
    with agent.connect() as peer:
        peer.ask(src=SRC, cost=4)

        said = change(agent, text)

        assert (said["event"], said["level"]) == ("reload_failed", "error")
        assert place in said["reason"]
        assert left(peer, "p") == 6
        assert peer.ask(policy="q", src=SRC).reason == "invalid"
        assert loads(agent) == (1, 1)


def test_a_reload_of_a_file_that_is_gone_keeps_what_runs(start_agent):
    agent = start_agent("--policies-watch", "off", policies=policies_text(p=bucket(10)))
    agent.policy_file.unlink()
    with agent.connect() as peer:
        failed = wait_for_reload(agent, lambda: agent.signal(signal.SIGHUP), "SIGHUP")

        assert str(agent.policy_file) in failed["reason"]
        assert peer.ask(src=SRC).policy == "p"


def test_after_a_failed_reload_a_good_one_is_taken(reloading):
    start, change = reloading
    agent = start(http=True, policies=policies_text(p=bucket(10)))
    change(agent, "{")
    change(agent, "{}")

    assert change(agent, policies_text(q=bucket(10)))["event"] == "reloaded"

    with agent.connect() as peer:
        assert peer.ask(src=SRC).policy == "q"
    assert loads(agent) == (2, 2)


def test_the_log_says_that_all_is_well_when_a_bad_change_is_taken_back(start_agent):
    text = policies_text(p=bucket(10))
    agent = start_agent("--log-level", "debug", http=True, policies=text)
    replace_policies(agent, "{")

    said = replace_policies(agent, text)

    assert (said["event"], said["changed"]) == ("reloaded", "")
    replace(agent.policy_file, text)
    agent.wait_for_event("reload_unneeded")  # and is not said again
    assert loads(agent) == (2, 1)


def test_sighup_without_a_policy_file_does_no_harm(start_agent):
    agent = start_agent()
    agent.signal(signal.SIGHUP)

    agent.wait_for_event("reload_ignored")
    with agent.connect() as peer:
        assert peer.ask(src=SRC).reason == "none"


# --- the file changes --------------------------------------------------------------------------


class Rewritten:
    """In place, by one that opens, writes and closes."""

    def __init__(self, directory):
        self.directory = directory
        self.path = directory / "policies.json"

    def put(self, text):
        self.path.write_text(text)


class RenamedOver(Rewritten):
    def put(self, text):
        replace(self.path, text)


class Edited(Rewritten):
    """As vim does: what was there becomes a backup, which goes when the new one is written."""

    def put(self, text):
        backup = self.path.with_name("policies.json~")
        if self.path.exists():
            os.rename(self.path, backup)
        self.path.write_text(text)
        backup.unlink(missing_ok=True)


class HardLinked(Rewritten):
    def put(self, text):
        other = self.directory / "other"
        other.write_text(text)
        self.path.unlink(missing_ok=True)
        os.link(other, self.path)
        other.unlink()


class ConfigMap(Rewritten):
    """As Kubernetes does: the link ..data is replaced by one to another directory."""

    def __init__(self, directory):
        super().__init__(directory)
        self.path.symlink_to("..data/policies.json")
        self.number = 0

    def put(self, text):
        data, following = self.directory / "..data", self.directory / "..data_tmp"
        before = data.resolve() if data.exists() else None
        self.number += 1
        made = self.directory / f"..2026_{self.number}"
        made.mkdir()
        (made / "policies.json").write_text(text)
        following.symlink_to(made.name)
        os.replace(following, data)
        if before is not None:
            shutil.rmtree(before)


class LinkedRewritten(Rewritten):
    """A link to a file in another directory, which is rewritten."""

    def __init__(self, directory):
        super().__init__(directory)
        (directory / "far/away").mkdir(parents=True)
        self.path.symlink_to(directory / "far/away/limits")

    def put(self, text):
        (self.directory / "far/away/limits").write_text(text)


class Relinked(Rewritten):
    """The link is taken away and made anew, to another file."""

    def __init__(self, directory):
        super().__init__(directory)
        self.number = 0

    def put(self, text):
        self.number += 1
        (self.directory / f"limits{self.number}").write_text(text)
        self.path.unlink(missing_ok=True)
        self.path.symlink_to(f"limits{self.number}")


class Released(Rewritten):
    """A directory on the way is a link, to the release in use."""

    def __init__(self, directory):
        super().__init__(directory)
        self.current = directory / "current"
        self.path = self.current / "etc/policies.json"
        self.number = 0

    def put(self, text):
        self.number += 1
        etc = self.directory / f"releases/{self.number}/etc"
        etc.mkdir(parents=True)
        (etc / "policies.json").write_text(text)
        following = self.directory / "next"
        following.symlink_to(etc.parent)
        os.replace(following, self.current)


class DirectoryRenamed(Rewritten):
    """Another directory comes in place of the one that the file is in."""

    def __init__(self, directory):
        super().__init__(directory)
        self.etc = directory / "etc"
        self.path = self.etc / "policies.json"

    def put(self, text):
        new, old = self.directory / "new", self.directory / "old"
        new.mkdir()
        (new / "policies.json").write_text(text)
        if self.etc.exists():
            os.rename(self.etc, old)
        os.rename(new, self.etc)
        shutil.rmtree(old, ignore_errors=True)


WAYS = [Rewritten, RenamedOver, Edited, HardLinked, ConfigMap, LinkedRewritten, Relinked, Released,
        DirectoryRenamed]


@pytest.mark.parametrize("way", WAYS)
def test_a_change_of_the_file_is_taken(start_agent, tmp_path, way):
    file = way(tmp_path)
    file.put(policies_text(p=bucket(10)))
    agent = start_agent("--policies", file.path, http=True)

    for capacity in (11, 12, 13):
        change = functools.partial(file.put, policies_text(p=bucket(capacity)))
        said = wait_for_reload(agent, change, "file")
        assert (said["event"], said["changed"]) == ("reloaded", "p"), said
        with agent.connect() as peer:
            assert peer.ask(src=SRC, cost=0).limit == capacity

    assert loads(agent) == (4, 0)


def test_a_relative_path_is_watched(start_agent, tmp_path):
    file = RenamedOver(tmp_path)
    file.put(policies_text(p=bucket(10)))
    agent = start_agent("--policies", "policies.json", cwd=tmp_path)

    said = wait_for_reload(agent, lambda: file.put(policies_text(q=bucket(10))), "file")

    assert (said["added"], said["removed"]) == ("q", "p")


def test_a_directory_that_is_made_anew_is_watched_again(start_agent, tmp_path):
    directory = tmp_path / "one/two"
    directory.mkdir(parents=True)
    file = Rewritten(directory)
    file.put(policies_text(p=bucket(10)))
    agent = start_agent("--policies", file.path, http=True)

    failed = wait_for_reload(agent, lambda: shutil.rmtree(tmp_path / "one"), "file")
    assert failed["event"] == "reload_failed"
    directory.mkdir(parents=True)
    for policy in ("q", "r"):
        change = functools.partial(file.put, policies_text(**{policy: bucket(10)}))
        said = wait_for_reload(agent, change, "file")
        assert (said["event"], said["added"]) == ("reloaded", policy)

    assert loads(agent) == (3, 1)


def test_a_file_that_goes_and_comes_back_is_one_error(start_agent):
    agent = start_agent(http=True, policies=policies_text(p=bucket(10)))

    failed = wait_for_reload(agent, agent.policy_file.unlink, "file")
    agent.policy_file.with_name("other").write_text("{}")
    with agent.connect() as peer:
        assert peer.ask(src=SRC).policy == "p"
    said = replace_policies(agent, policies_text(q=bucket(10)))

    assert (failed["event"], said["event"]) == ("reload_failed", "reloaded")
    assert str(agent.policy_file) in failed["reason"]
    assert loads(agent) == (2, 1)


def test_what_happens_to_other_files_changes_nothing(start_agent):
    agent = start_agent(http=True, policies=policies_text(p=bucket(10)))
    other = agent.policy_file.with_name("policies.json.bak")
    other.write_text("{")
    replace(other, "{")
    other.unlink()
    other.mkdir()
    time.sleep(3 * SETTLE_SECONDS)  # in which nothing happens

    said = replace_policies(agent, policies_text(p=bucket(11)))

    assert said["changed"] == "p"
    assert loads(agent) == (2, 0)


def test_a_file_that_says_the_same_changes_nothing(start_agent):
    text = policies_text(p=bucket(10))
    agent = start_agent("--log-level", "debug", http=True, policies=text)

    replace(agent.policy_file, text)
    agent.wait_for_event("reload_unneeded")
    os.utime(agent.policy_file)
    agent.wait_for_event("reload_unneeded", 2)

    assert {event["level"] for event in agent.events("reload_unneeded")} == {"debug"}
    assert loads(agent) == (1, 0)
    replace_policies(agent, policies_text(p=bucket(11)))
    assert loads(agent) == (2, 0)


@pytest.mark.parametrize("begin", [lambda file: None, lambda file: file.unlink()],
                         ids=["over the old one", "as a new one"])
def test_a_file_that_is_being_written_is_waited_for(start_agent, begin):
    """Be it for longer than an event settles. A new one is missed for once, if it is seen to be."""
    agent = start_agent(http=True, policies=policies_text(p=bucket(10)))
    text = policies_text(q=bucket(10))
    begin(agent.policy_file)

    with open(agent.policy_file, "w", encoding="ascii") as file:
        for part in (text[:20], text[20:40], text[40:]):
            time.sleep(2 * SETTLE_SECONDS)  # a slow writer
            file.write(part)
            file.flush()
        said = wait_for_reload(agent, file.close, "file")

    assert said["event"] == "reloaded"
    assert loads(agent)[0] == 2
    assert all("No such file" in failed["reason"] for failed in agent.events("reload_failed"))


def test_a_burst_of_changes_is_one_reload(start_agent):
    agent = start_agent(http=True, policies=policies_text(p=bucket(10)))

    def burst():
        for capacity in range(11, 61):
            replace(agent.policy_file, policies_text(p=bucket(capacity)))
    wait_for_reload(agent, burst, "file")

    with agent.connect() as peer:
        wait_until(lambda: peer.ask(src=SRC, cost=0).limit == 60, "the last change")
    # A machine that stands still in between may make two of it.
    assert loads(agent)[0] <= 4


def test_with_the_watch_off_only_sighup_reloads(start_agent):
    agent = start_agent("--policies-watch", "off", http=True, policies=policies_text(p=bucket(10)))
    replace(agent.policy_file, policies_text(p=bucket(11)))
    time.sleep(3 * SETTLE_SECONDS)  # in which nothing happens
    assert loads(agent) == (1, 0)

    said = wait_for_reload(agent, lambda: agent.signal(signal.SIGHUP), "SIGHUP")

    assert said["changed"] == "p"
    assert loads(agent) == (2, 0)


@pytest.mark.parametrize("call,error,reason", [
    ("inotify_init1", "EMFILE", "max_user_instances"),
    ("inotify_init1", "ENOSYS", "not implemented"),
    ("inotify_add_watch", "ENOSPC", "max_user_watches"),
    ("inotify_add_watch", "EACCES", "Permission denied"),
])
def test_without_inotify_the_agent_warns_once_and_sighup_reloads(start_agent, call, error, reason):
    agent = start_agent(policies=policies_text(p=bucket(10)), wrapper=[
        "strace", "-D", "-qq", "-o", "/dev/null", "-e", f"inject={call}:error={error}"])

    reload_policies(agent, policies_text(p=bucket(11)))

    with agent.connect() as peer:
        assert peer.ask(src=SRC).limit == 11
    warnings = agent.events("policies_watch_failed")
    assert [event["level"] for event in warnings] == ["warn"]
    assert reason in warnings[0]["reason"]
    assert warnings[0]["file"] == str(agent.policy_file)


# --- large files -------------------------------------------------------------------------------

LARGE = 10_000


@functools.cache
def large_text(capacity):
    """10,000 policies, one of which every request finds."""
    many = {f"p{n:05}": {**bucket(10, key=["x"]), "match": {"path": f"/{n}/*"}}
            for n in range(LARGE - 1)}
    return policies_text(flip=bucket(capacity, key=["flip"]), **many)


def prepare(agent, *capacities):
    """Files beside the policy file, so that a reload costs the test only a rename."""
    for capacity in capacities:
        agent.policy_file.with_name(str(capacity)).write_text(large_text(capacity))


def put(agent, capacity):
    file, link = agent.policy_file.with_name(str(capacity)), agent.policy_file.with_name("link")
    os.link(file, link)
    os.replace(link, agent.policy_file)


def worst_time(load, work):
    """The longest that a request waited for its answer while `work` ran."""
    first = len(load.answers)
    work()
    load.wait_for_more(2 * len(load.clients))
    return max(answer.seconds for answer in load.answers[first:])


def quieter_half(seconds):
    """The mean of the shorter half: what else the machine does makes any of them longer."""
    shorter = sorted(seconds)[:len(seconds) // 2]
    return sum(shorter) / len(shorter)


@pytest.mark.alone
def test_no_answer_waits_for_a_reload_of_10000_policies(start_agent):
    """Beside each reload, another process reads the same file: the machine has as much to do then,
    but the agent has not. When the loop read the file itself, answers waited 0.2 s longer."""
    agent = start_agent("--policies-watch", "off", policies=large_text(1))
    prepare(agent, 2, 3)

    def reload_once(capacity):
        put(agent, capacity)
        wait_for_reload(agent, lambda: agent.signal(signal.SIGHUP), "SIGHUP")

    def read_elsewhere():
        subprocess.run(["nice", BINARY, "check-config", "--policies", agent.policy_file],
                       stdout=subprocess.DEVNULL, check=True)

    def measure():
        reloads, others = [], []
        for turn in range(10):
            reloads.append(worst_time(load, lambda c=2 + turn % 2: reload_once(c)))
            others.append(worst_time(load, read_elsewhere))
        return reloads, others

    def is_short(times):
        reloads, others = times
        return quieter_half(reloads) < 2 * quieter_half(others) + 0.005

    with SpopLoad([agent.address], {"flip": {"flip": "x"}}, clients=2, pause=0.001) as load:
        load.wait_for_more(100)
        times = undisturbed(measure, is_short)

    assert (load.wrong, load.lost) == ([], 0)
    assert {answer.vars["limit"] for answer in load.answers} == {1, 2, 3}
    assert is_short(times), times


@pytest.mark.alone
def test_no_answer_waits_for_a_reload_with_100000_exceptions(start_agent, tmp_path):
    """When all exceptions were bound to the new policies in one turn, answers waited 0.1 s."""
    state = tmp_path / "state"
    state.write_text(many_records.state_file(many_records.blocks(100_000, "flip")))
    texts = [policies_text(flip=bucket(capacity, key=["src"])) for capacity in (2, 3)]
    agent = start_agent("--policies-watch", "off", "--state-file", state, policies=texts[0])

    def measure():
        reloads, others = [], []
        for turn in range(8):
            reloads.append(worst_time(load, lambda t=turn: reload_policies(agent, texts[t % 2])))
            others.append(worst_time(load, lambda: load.wait_for_more(100)))
        return reloads, others

    def is_short(times):
        reloads, others = times
        return quieter_half(reloads) < 2 * quieter_half(others) + 0.005

    questions = {"flip": {"src": SRC}, "blocked": {"src": spop.ip("10.1.2.3")}}
    with SpopLoad([agent.address], questions, clients=2, pause=0.001) as load:
        load.wait_for_more(100)
        times = undisturbed(measure, is_short)

    assert (load.wrong, load.lost) == ([], 0)
    assert {answer.vars["reason"] for answer in load.answers if answer.name == "blocked"} == {"blocked"}
    assert is_short(times), times


def test_signals_during_a_reload_make_one_more(start_agent):
    agent = start_agent("--policies-watch", "off", http=True, policies=large_text(1))
    prepare(agent, 2)

    agent.signal(signal.SIGHUP)
    for _ in range(20):
        time.sleep(0.001)  # more than one signal is seen
        agent.signal(signal.SIGHUP)
    put(agent, 2)
    agent.signal(signal.SIGHUP)
    agent.wait_for_event("reloaded", changed="flip")
    wait_for_reload(agent, lambda: agent.signal(signal.SIGHUP), "SIGHUP")

    assert len(agent.events("reloaded")) <= 5  # of 23 signals
    assert loads(agent)[1] == 0


def test_changes_during_a_reload_make_one_more(start_agent):
    agent = start_agent(http=True, policies=large_text(1))
    prepare(agent, 2, 3)

    agent.signal(signal.SIGHUP)
    put(agent, 2)
    put(agent, 3)
    with agent.connect() as peer:
        wait_until(lambda: peer.ask(policy="flip", flip="x", cost=0).limit == 3, "the last change")

    assert len(agent.events("reloaded")) <= 3


def test_a_file_that_is_touched_all_the_time_is_reloaded(start_agent):
    """Again and again, but the agent has time for other things in between."""
    agent = start_agent(policies=policies_text(p=bucket(1)))
    # So many that what is read is mostly not what was read before.
    for capacity in range(2, 13):
        agent.policy_file.with_name(str(capacity)).write_text(policies_text(p=bucket(capacity)))
    began, turn = time.time(), 0

    while len(agent.events("reloaded")) < 3:
        assert time.time() - began < 60
        turn += 1
        put(agent, 2 + turn % 11)
        time.sleep(SETTLE_SECONDS / 3)

    assert turn > 3 * len(agent.events("reloaded"))
    assert agent.events("reload_failed") == []


@pytest.mark.parametrize("seconds", [0, 0.02, 0.1, 0.3])
def test_an_agent_stops_in_the_midst_of_a_reload(start_agent, seconds):
    agent = start_agent(policies=large_text(1))
    prepare(agent, 2)
    put(agent, 2)

    agent.signal(signal.SIGHUP)
    time.sleep(seconds)

    assert agent.stop() == 0, agent.output.read_text()


def test_without_a_thread_a_reload_fails_and_the_next_one_is_taken(start_agent):
    agent = start_agent("--policies-watch", "off", http=True, policies=policies_text(p=bucket(10)),
                        wrapper=["strace", "-D", "-qq", "-o", "/dev/null", "-e",
                                 "inject=clone,clone3:error=EAGAIN:when=1..2"])

    failed = reload_policies(agent, policies_text(q=bucket(10)))
    assert (failed["event"], failed["level"]) == ("reload_failed", "error")
    assert "thread" in failed["reason"]
    wait_until(lambda: reload_policies(agent, policies_text(q=bucket(10)))["event"] == "reloaded",
               "a good reload")

    with agent.connect() as peer:
        assert peer.ask(src=SRC).policy == "q"


# --- under load --------------------------------------------------------------------------------

RELOADS = 200
SMALL, WIDE = 50, 10**6
SMALLER_FLIP, LARGER_FLIP = 1000, 2000


def flipped(limit):
    """`flip` differs between the two files; the others, and their balances, do not."""
    return policies_text(flip=bucket(limit, key=["flip"]), small=bucket(SMALL, "1/1d", ["small"]),
                         wide=bucket(WIDE, "1/1h", ["wide"]))


SPOP_REQUESTS = {"flip": {"flip": "x", "cost": 0}, "small": {"small": "x"}, "wide": {"wide": "x"}}


class HttpLoad:
    """One client that asks by JSON all the time."""

    def __init__(self, agent):
        self.client, self.answers, self.is_over = HttpClient(agent), [], threading.Event()
        self.thread = threading.Thread(target=self._run)

    def _run(self):
        while not self.is_over.is_set():
            self.answers.append(self.client.check(policy="flip", key="x", cost=0))

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.is_over.set()
        self.thread.join()


def reload_often(agent, count, each=lambda turn: None):
    """The two files in turn, mostly with SIGHUP and each tenth time without."""
    for turn in range(1, count + 1):
        text = flipped((SMALLER_FLIP, LARGER_FLIP)[turn % 2])

        def change(is_asked_for=turn % 10 != 0, text=text):
            replace(agent.policy_file, text)
            if is_asked_for:
                agent.signal(signal.SIGHUP)
        said = wait_for_reload(agent, change, "file" if turn % 10 == 0 else "SIGHUP")
        assert (said["event"], said["added"], said["removed"]) == ("reloaded", "", ""), said
        each(turn)


def test_200_reloads_under_load_lose_no_verdict_and_no_memory(start_agent):
    agent = start_agent(http=True, policies=flipped(SMALLER_FLIP))
    memory = {}

    def measure(turn):
        if turn in (RELOADS // 4, RELOADS):
            memory[turn] = agent.rss_bytes()

    with SpopLoad([agent.address], SPOP_REQUESTS, clients=10, pause=0.002) as spop_load, \
            HttpLoad(agent) as http_load:
        spop_load.wait_for_more(100)
        reload_often(agent, RELOADS, measure)
        spop_load.wait_for_more(100)

    assert (spop_load.wrong, spop_load.lost) == ([], 0)
    assert {answer.vars["reason"] for answer in spop_load.answers} == {"ok", "limited"}
    # Whatever file a request met, it was one of the two.
    for answer in spop_load.of("flip"):
        assert answer.vars["limit"] == answer.vars["remaining"]
        assert answer.vars["limit"] in (SMALLER_FLIP, LARGER_FLIP)
    # And the balances of what did not change were charged once each, over all the reloads.
    assert sum(answer.is_allowed for answer in spop_load.of("small")) == SMALL
    wide = sorted(answer.vars["remaining"] for answer in spop_load.of("wide"))
    assert wide == list(range(WIDE - len(wide), WIDE))
    assert {(answer.status, answer.json["limit"]) for answer in http_load.answers} == {
        (200, SMALLER_FLIP), (200, LARGER_FLIP)}
    # A set of policies goes with its last request. Kept, each would take some 3 KiB; what the C
    # library does with its pieces is less than this in all.
    assert memory[RELOADS] - memory[RELOADS // 4] < 128 * 1024


def test_reloads_lose_no_request_of_haproxys(start_agent, start_haproxy):
    policies = json.loads(SHIPPED_POLICIES.read_text())
    agent = start_agent(policies=json.dumps(policies))
    haproxy = start_haproxy(agent.address)
    get_asked(haproxy.port)

    with Load(haproxy.port, "127.0.0.2") as load:
        load.wait_for_more(30)
        for turn in range(30):
            policies["policies"]["other"] = bucket(10 + turn, key=["nosuch"])
            change = replace_policies if turn % 3 == 0 else reload_policies
            change(agent, json.dumps(policies))
        load.wait_for_more(30)

    asked = [answer for answer in load.answers if answer.was_asked]
    assert load.failures == []
    assert {answer.status for answer in load.answers} == {200, 429}
    # Answers without a verdict are those that HAProxy could not wait for, and says so in its log.
    assert len(load.answers) - len(asked) <= haproxy.failed_asks()
    assert len(asked) > 0.9 * len(load.answers)
    allowed = [answer for answer in asked if answer.status == 200]
    seconds = max(a.ended for a in asked) - min(a.began for a in asked)
    assert len(allowed) <= 20 + 5 * seconds + 1  # its bucket is not filled anew
