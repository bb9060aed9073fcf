"""scripts/demo, the first thing that a newcomer runs."""

import re
import signal
import subprocess

import pytest

import web
from processes import ROOT, Process, wait_until

# It builds the release preset.
pytestmark = [pytest.mark.alone, pytest.mark.timeout(600)]

DEMO = ROOT / "scripts/demo"

# It builds the release preset; scripts/test has done that before.
BUILD_SECONDS = 300


def run_demo(*options):
    done = subprocess.run([DEMO, *options], stdin=subprocess.DEVNULL, capture_output=True,
                          text=True, timeout=BUILD_SECONDS, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr == ""
    return done.stdout


@pytest.fixture(name="demo_output", scope="module")
def plain_demo():
    return run_demo()


def test_the_demo_shows_200_then_429_then_200_again(demo_output):
    runs = [int(status) for status in re.findall(r"^ +\d+ x (\d+)", demo_output, re.MULTILINE)]

    assert runs[:2] == [200, 429]
    assert runs[-1] == 200


def test_the_demo_shows_the_headers_of_a_denial(demo_output):
    denied = demo_output[demo_output.index(" x 429"):].lower()

    assert "retry-after: 1\n" in denied
    assert 'ratelimit: "per-ip";r=0;t=1\n' in denied
    assert 'ratelimit-policy: "per-ip";q=20;w=4\n' in denied


def test_the_demo_says_in_few_lines_what_it_does(demo_output):
    assert len(demo_output.splitlines()) < 25
    assert max(map(len, demo_output.splitlines())) <= 100


def test_the_demo_with_redis_shows_two_agents_with_one_limit():
    shown = run_demo("--redis")
    sharing = shown[shown.index("at once, over 8 connections"):]
    runs = [(int(count), int(status))
            for count, status in re.findall(r"^ +(\d+) x (\d+)$", sharing, re.MULTILINE)]

    # The script itself fails when the two did not share; here it is that it says so.
    assert 20 <= runs[0][0] < 30 and runs[0][1] == 200
    assert (40 - runs[0][0], 429) == runs[1]
    assert runs[-1][1] == 429
    assert "rl:per-ip:" in sharing
    assert len(shown.splitlines()) < 40


def test_the_demo_says_what_it_does_not_know():
    done = subprocess.run([DEMO, "--nosuch"], capture_output=True, text=True, timeout=20,
                          check=False)

    assert done.returncode == 2
    assert "--keep" in done.stderr


def test_the_demo_kept_running_serves_until_ctrl_c(tmp_path, started):
    demo = Process([DEMO, "--keep"], tmp_path / "demo.log")
    started.append(demo)

    def is_ready():
        assert demo.is_running(), demo.output.read_text()
        return "Ctrl-C" in demo.output.read_text()

    wait_until(is_ready, "the demo", timeout=BUILD_SECONDS)
    port = int(re.search(r"curl -i http://127\.0\.0\.1:(\d+)/", demo.output.read_text())[1])
    assert web.get_asked(port, "127.0.0.9").status == 200

    demo.signal(signal.SIGINT)

    assert demo.wait() == 0
    with pytest.raises(ConnectionRefusedError):
        web.get(port)
