"""The fixtures of tests/system/, for tests with programs of others."""

import importlib.util
import sys
from pathlib import Path

SYSTEM = Path(__file__).resolve().parent.parent / "system"
sys.path.insert(0, str(SYSTEM))


def load_fixtures_of_system_tests():
    spec = importlib.util.spec_from_file_location("system_fixtures", SYSTEM / "conftest.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


system = load_fixtures_of_system_tests()
interruptible, many_descriptors, short_turns = (
    system.interruptible, system.many_descriptors, system.short_turns)
started, start_agent = system.started, system.start_agent
