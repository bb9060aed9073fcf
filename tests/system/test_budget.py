"""What a check costs the agent, in instructions, by the shape of the request."""

import platform
import subprocess

import pytest

from agent import BINARY
from processes import ROOT, undisturbed

pytestmark = pytest.mark.alone

# What was reached. Whoever must raise one of them does so in a commit that says why.
BUDGETS = {
    "one policy": 3474,
    "one policy, Redis": 5295,
    "four policies": 11013,
    "denied": 3615,
    "no policy": 1914,
    "named policy": 4082,
    "with exceptions": 3693,
}
TOLERANCE = 1.03
# The counts depend on the compiler and on the C library's copies: elsewhere they are printed only.
COMPILER = "GCC: (Debian 12.2"
VALGRIND = "valgrind-3.19"


def output_of(*command):
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=120).stdout


def are_budgets_for_this_build():
    return (BINARY == ROOT / "build/release/ratelimit-spoa" and
            platform.machine() == "x86_64" and
            COMPILER in output_of("readelf", "-p", ".comment", BINARY) and
            VALGRIND in output_of("valgrind", "--version"))


@pytest.mark.parametrize("shape", BUDGETS)
def test_a_check_keeps_to_its_budget(shape):
    allowed = BUDGETS[shape] * TOLERANCE

    def measure():
        """A busy machine cuts the load into smaller reads, each of which costs a little more."""
        table = output_of(ROOT / "bench/check-instructions", "--agent", BINARY, shape)
        return int(table.splitlines()[-1].split("|")[2])

    counted = undisturbed(measure, lambda count: count <= allowed)

    print(f"{shape}: {counted} instructions, budget {BUDGETS[shape]}")
    if are_budgets_for_this_build():
        assert counted <= allowed
