"""What Debian 13 makes of the tree, with its compiler, its libraries and its Python, on a machine with
others."""

import re

import pytest

from processes import ROOT
from trees import TREES

FOLDER = ROOT / "tests/container/debian-13"
pytestmark = pytest.mark.timeout(2400)


@pytest.fixture(name="units", scope="module")
def build_units(engine):
    """What the build printed, and the unit tests in it. The image stays for the system tests."""
    return engine.build_from(FOLDER / "Dockerfile", "localhost/ratelimit-spoa:units").stdout


def test_the_units_the_limiters_and_the_oracle_pass(units):
    ran = re.findall(r"^== build/debug/(?:unit|lua|oracle)/\w+-(test_\w+)$", units, re.MULTILINE)
    tests = [
        *ROOT.glob("tests/unit/**/test_*.c"),
        *ROOT.glob("tests/lua/test_*.c"),
        *ROOT.glob("tests/oracle/test_*.c"),
    ]
    assert sorted(ran) == sorted(path.stem for path in tests)
    assert len(re.findall(r"^ok ", units, re.MULTILINE)) > 800
    assert not re.search(r"^not ok", units, re.MULTILINE)


@pytest.mark.long
def test_the_package_is_built_installed_and_purged(units, engine):  # pylint: disable=unused-argument
    engine.build_from(FOLDER / "Dockerfile.package", "localhost/ratelimit-spoa:package")


def test_system_tests_pass(units, engine, server_trees):  # pylint: disable=unused-argument
    done = engine.build_from(FOLDER / "Dockerfile.system", "localhost/ratelimit-spoa:system",
                             volumes=[f"{TREES}:/src/build/servers:ro"], check=False)

    said = done.stdout + done.stderr
    # The last line, and the names of those that failed.
    end = [line for line in said.splitlines() if re.match(r"(FAILED|ERROR) |\d+ (passed|failed)", line)]
    assert done.returncode == 0, "\n".join([*end, said])
    passed = re.fullmatch(r"(\d+) passed, \d+ deselected in .*|(\d+) passed in .*", end[-1])
    assert passed and int(passed[1] or passed[2]) > 1000
