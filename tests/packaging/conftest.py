"""The fixtures of tests/system/, and those of packages."""

import importlib.util
import sys
from pathlib import Path

import pytest

TREE = Path(__file__).resolve().parents[2]
SYSTEM = TREE / "tests/system"
sys.path[:0] = [str(SYSTEM), str(TREE / "packaging/pages")]

# pylint: disable=wrong-import-position
from agent import BINARY  # noqa: E402
from debian import Debian, Spare, build, make_tree  # noqa: E402
from processes import ROOT  # noqa: E402
from tools import run  # noqa: E402


def load_fixtures_of_system_tests():
    spec = importlib.util.spec_from_file_location("system_fixtures", SYSTEM / "conftest.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


system = load_fixtures_of_system_tests()
interruptible, started = system.interruptible, system.started

# Before the first test, packages are built and a Debian is unpacked.
SECONDS = 900
EPOCH = 1700000000  # 2023-11-14


def pytest_collection_modifyitems(items):
    here = Path(__file__).resolve().parent
    for item in items:
        if here in item.path.parents and not item.get_closest_marker("timeout"):
            item.add_marker(pytest.mark.timeout(SECONDS))


@pytest.fixture(scope="session")
def pages(tmp_path_factory):
    """Man pages and completions, made with the agent that is tested."""
    folder = tmp_path_factory.mktemp("pages")
    for maker in ("make-man", "make-completion"):
        run(ROOT / "packaging/pages" / maker, ROOT / BINARY, folder,
            env={"SOURCE_DATE_EPOCH": str(EPOCH), "PYTHONDONTWRITEBYTECODE": "1"})
    return folder


@pytest.fixture(scope="session")
def packages(tmp_path_factory):
    """What scripts/package makes of this tree."""
    return build(ROOT / "scripts/package", tmp_path_factory.mktemp("packages"))


@pytest.fixture(scope="session", name="tree")
def unpacked_tree():
    make_tree()


@pytest.fixture
def debian(tree, tmp_path):  # pylint: disable=unused-argument
    machine = Debian(tmp_path)
    yield machine
    machine.finish()


@pytest.fixture
def spare_debian(tree, tmp_path):  # pylint: disable=unused-argument
    machine = Spare(tmp_path)
    yield machine
    machine.finish()
