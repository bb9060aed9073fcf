"""hiredis 0.14 reports success even when it has no memory for a callback. Then each reply would be
taken for the reply to another command, and the last command would get none."""

import mmap
import os
import pathlib
import struct
import subprocess

import pytest

import spop
from processes import wait_until

HERE = pathlib.Path(__file__).parent
BALANCES = range(20)


@pytest.fixture(name="countdown")
def fail_allocations(tmp_path):
    """(environment of an agent, how to say which of the next callbacks gets no memory)."""
    library, file = tmp_path / "fail_allocations.so", tmp_path / "countdown"
    subprocess.run([os.environ.get("CC", "cc"), "-shared", "-fPIC", "-O2", "-o", library,
                    HERE / "fail_allocations.c"], check=True)
    file.write_bytes(bytes(8))
    with open(file, "r+b") as opened:
        number = mmap.mmap(opened.fileno(), 8)

    def countdown(callback=None):
        if callback is not None:
            number[:] = struct.pack("=Q", callback)
        return struct.unpack("=Q", number[:])[0]

    return {"LD_PRELOAD": str(library), "ALLOCATION_FAILURES": str(file)}, countdown


def ask_all(peer, cost_of):
    """One frame a write each: as many commands to Redis as turns, some of them at once."""
    for n in BALANCES:
        peer.send(spop.notify({"algorithm": "token_bucket", "capacity": 100, "key": f"k{n}",
                               "refill_rate": "1/100d", "cost": cost_of(n)}, frame_id=n))
    return [peer.read_verdict() for _ in BALANCES]


def test_a_command_without_a_callback_is_answered_by_on_error(start_agent, redis, countdown):
    environment, countdown = countdown
    agent = start_agent("--store-timeout", "500ms", store=redis.url, env=environment)
    agent.wait_for_store()
    with agent.connect() as peer:
        ask_all(peer, lambda n: n)  # of each balance as many are taken as its number says
        for callback in [1, 2, 3, 5, 8]:
            degraded = 0
            countdown(callback)

            while countdown() > 0:
                for verdict in ask_all(peer, lambda _: 0):
                    degraded += verdict.degraded
                    assert verdict.allowed
                    assert verdict.degraded or verdict.remaining == 100 - verdict.frame.frame_id

            assert degraded > 0
            wait_until(lambda: not any(v.degraded for v in ask_all(peer, lambda _: 0)),
                       "Redis to count again")
