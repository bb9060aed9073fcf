"""`ratelimit-spoa replay` with files as arguments, and the order of lines."""

import contextlib
import gzip
import os
import random
import subprocess

import pytest

from agent import BINARY, bucket, policies_text
from processes import clean_environment, wait_until
from replay import Replayed, request, run
from test_replay import Running
from test_replay_haproxy import line as log_line

ONE = policies_text(p=bucket(5, "5/1s"))


def log_of(times, src="192.0.2.1:1"):
    """A line of httplog for each time, in seconds after 11:00."""
    return "".join(log_line(f"{11 + int(at) // 3600}:{int(at) // 60 % 60:02}:{at % 60:06.3f}", src)
                   + "\n" for at in times)


def times_of(done):
    return [answer["at_ms"] for answer in done.answers]


def at(second):
    return 1_795_518_000_000 + round(second * 1000)  # 24 November 2026, 11:00 UTC


@pytest.fixture(name="halves")
def write_halves(tmp_path):
    """Two logs of two hours in which a client stays just below its limit, each in its order."""
    chance = random.Random(5)
    times = [n / 4 for n in range(0, 4 * 7200)]
    chosen = [chance.random() < 0.5 for _ in times]
    paths = tmp_path / "lb1.log", tmp_path / "lb2.log.gz"
    paths[0].write_text(log_of(t for t, mine in zip(times, chosen) if mine))
    paths[1].write_bytes(gzip.compress(
        log_of(t for t, mine in zip(times, chosen) if not mine).encode()))
    return paths


def test_files_are_merged_by_time(tmp_path, halves):
    for paths in (halves, halves[::-1]):
        done = run(tmp_path, ONE, "", "--format", "haproxy", *paths).good()

        assert times_of(done) == [at(n / 4) for n in range(4 * 7200)]
        assert done.told.startswith("requests: 28800, 28800 allowed, 0 denied\n")


def test_one_file_behind_the_other_is_no_order_and_says_so(tmp_path, halves):
    """`cat` of two logs: the second is late from its first line on."""
    text = halves[0].read_text() + gzip.decompress(halves[1].read_bytes()).decode()

    done = run(tmp_path, ONE, text, "--format", "haproxy")

    assert done.status == 1 and all(done.allowed)  # nobody is falsely denied
    last = done.told.splitlines()[-1]
    assert "were left out" in last and "argument of its own" in last and "--window" in last
    remedy = last.split("--window ")[1]
    done = run(tmp_path, ONE, text, "--format", "haproxy", "--window", remedy).good()
    assert (len(done.answers), done.allowed.count(False)) == (28800, 0)


@pytest.mark.parametrize("late,status", [(9, 0), (10, 0), (11, 1)])
def test_one_line_in_a_hundred_may_be_late(tmp_path, late, status):
    """Those of connections that were open for long, say."""
    times = [*range(1000 - late), *[0] * late]

    done = run(tmp_path, ONE, log_of(times), "--format", "haproxy")

    assert (done.status, len(done.answers)) == (status, 1000 - late)
    assert f"lines more than 60s late, left out: {late}\n" in done.told


@pytest.mark.parametrize("window,late", [
    ("10s", 0), ("9999ms", 1), ("0", 0), ("0s", 0), ("auto", 0), ("24h", 0)])
def test_the_window_is_how_late_a_line_may_come(tmp_path, window, late):
    done = run(tmp_path, ONE, log_of([*range(500), 489]), "--format", "haproxy",
               "--window", window).good()

    assert len(done.answers) == 501 - late
    assert (times_of(done) == sorted(times_of(done))) == (not window.startswith("0"))


@pytest.mark.parametrize("options", [["--window", "1m"], ["--window=0"], []])
def test_json_lines_of_several_files_are_merged_too(tmp_path, options):
    (tmp_path / "a").write_text("".join(request(n, src="192.0.2.1") + "\n" for n in (1, 5, 3, 9)))
    (tmp_path / "b").write_text("".join(request(n, src="192.0.2.1") + "\n" for n in (2, 4)))

    done = run(tmp_path, ONE, request(0, src="192.0.2.1"), *options, tmp_path / "a", "-",
               tmp_path / "b").good()

    assert times_of(done) == ([0, 1, 2, 4, 5, 3, 9] if "--window=0" in options
                              else [0, 1, 2, 3, 4, 5, 9])


def test_of_equal_times_the_first_file_goes_first(tmp_path):
    for name in "ab":
        (tmp_path / name).write_text("".join(request(n, src=name) + "\n" for n in range(3)))

    done = run(tmp_path, policies_text(p=bucket(1)), "", tmp_path / "a", tmp_path / "b").good()

    assert times_of(done) == [0, 0, 1, 1, 2, 2]
    assert done.allowed == [True, True, False, False, False, False]


def test_members_of_gzip_standard_input_and_pipes_are_read(tmp_path):
    lines = [request(n, src="192.0.2.1") + "\n" for n in range(6)]
    members = b"".join(gzip.compress(text.encode()) for text in lines)
    (tmp_path / "named.txt").write_bytes(members)  # its name is no matter

    expected = run(tmp_path, ONE, "".join(lines)).good().output

    assert run(tmp_path, ONE, "", tmp_path / "named.txt").good().output == expected
    for command in ('"$0" replay --policies "$1" < "$2"', '"$0" replay --policies "$1" <(cat "$2")',
                    '"$0" replay --policies "$1" -- - < <(zcat "$2")'):
        done = Replayed(subprocess.run(
            ["bash", "-c", command, BINARY, tmp_path / "replayed.json", tmp_path / "named.txt"],
            capture_output=True, text=True, env=clean_environment(), timeout=60, check=False))
        assert done.good().output == expected


@pytest.mark.parametrize("content,words", [
    (gzip.compress(b"x" * 99, mtime=0)[:-1], ["cut off"]),
    (gzip.compress(b"\n", mtime=0) + b"x", ["gzip", "other bytes"]),
    (b"\x1f\x8b" + b"\0" * 99, ["gzip"]), (b"\x28\xb5\x2f\xfd..", ["zstdcat"]),
    (b"\xfd7zXZ\0", ["xzcat"]), (b"BZh9...", ["bzcat"])])
def test_what_can_not_be_decompressed_is_named(tmp_path, content, words):
    path = tmp_path / "x.log.gz"
    path.write_bytes(content)

    done = run(tmp_path, ONE, "", path)

    assert done.status == 1
    last = done.told.splitlines()[-1]
    assert last.startswith(f"ratelimit-spoa: {path}: ") and all(word in last for word in words)


def test_a_bad_line_is_named_with_its_file(tmp_path):
    path = tmp_path / "x.jsonl"
    path.write_text(request(1, src="192.0.2.1") + "\nbad\n")

    done = run(tmp_path, ONE, "", path)

    assert done.status == 1
    assert done.told.splitlines()[-1].startswith(f"ratelimit-spoa: {path}: line 2: ")


@pytest.mark.parametrize("path,why", [("nosuch.log", "No such file"), ("", "No such file")])
def test_a_file_that_is_not_there_is_wrong_usage(tmp_path, path, why):
    done = run(tmp_path, ONE, "", path)

    assert (done.status, done.output) == (2, "")
    assert why in done.told and len(done.told.splitlines()) == 1


def test_a_folder_is_no_file(tmp_path):
    done = run(tmp_path, ONE, "", tmp_path)

    assert done.status == 1 and "Is a directory" in done.told


def opened(replay):
    """The files that it has open. One that it closes while they are read is left out."""
    files = set()
    for link in os.scandir(f"/proc/{replay.pid}/fd"):
        with contextlib.suppress(FileNotFoundError):
            files.add(os.readlink(link.path))
    return files


def test_memory_does_not_grow_with_the_lines_of_a_log(tmp_path, started):
    path = tmp_path / "log.gz"
    peaks = []
    for minutes in (2, 20):
        with gzip.open(path, "wt", compresslevel=1) as log:
            for n in range(minutes * 3000):
                log.write(log_line(f"11:{n // 3000:02}:{n // 50 % 60:02}.{n % 1000:03}",
                                   asked=f'"GET /{"x" * 300} HTTP/1.1"') + "\n")
        with open(tmp_path / "answers", "wb") as answers:
            replay = Running(tmp_path, "--format", "haproxy", path, "-", answers=answers)
        started.append(replay)
        wait_until(lambda: str(path) in opened(replay), "the log")  # pylint: disable=W0640
        replay.popen.stdin.write(log_line("12:00:00.000").encode() + b"\n")
        replay.popen.stdin.flush()
        wait_until(lambda: str(path) not in opened(replay), "its end")  # pylint: disable=W0640
        peaks.append(replay.status_field("VmHWM"))
        replay.popen.stdin.close()
        assert replay.wait() == 0

    # The log has 54,000 lines more, of 400 bytes each. What the allocator of a sanitizer keeps aside
    # grows by a little more than 1 MiB.
    assert peaks[1] < peaks[0] + 2048  # KiB
