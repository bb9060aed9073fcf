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
from processes import ROOT  # noqa: E402
from tools import run  # noqa: E402


def load_fixtures_of_system_tests():
    spec = importlib.util.spec_from_file_location("system_fixtures", SYSTEM / "conftest.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


system = load_fixtures_of_system_tests()
interruptible, started = system.interruptible, system.started

EPOCH = 1700000000  # 2023-11-14


@pytest.fixture(scope="session")
def pages(tmp_path_factory):
    """Man pages and completions, made with the agent that is tested."""
    folder = tmp_path_factory.mktemp("pages")
    for maker in ("make-man", "make-completion"):
        run(ROOT / "packaging/pages" / maker, ROOT / BINARY, folder,
            env={"SOURCE_DATE_EPOCH": str(EPOCH), "PYTHONDONTWRITEBYTECODE": "1"})
    return folder
