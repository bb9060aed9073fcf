import importlib.util
import sys
from pathlib import Path

import pytest

SYSTEM = Path(__file__).resolve().parents[1] / "system"
sys.path.insert(0, str(SYSTEM))

# pylint: disable=wrong-import-position
from container import Container  # noqa: E402
from engine import Engine, adopt_orphans  # noqa: E402
from redis import reserve_port  # noqa: E402


def load_fixtures_of_system_tests():
    spec = importlib.util.spec_from_file_location("system_fixtures", SYSTEM / "conftest.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module



def pytest_collection_modifyitems(items):
    """Gives each test more time than pytest.ini does: before it, an image may have to be built."""
    here = Path(__file__).resolve().parent
    for item in items:
        if here in item.path.parents and not item.get_closest_marker("timeout"):
            item.add_marker(pytest.mark.timeout(900))


system = load_fixtures_of_system_tests()
interruptible, many_descriptors, short_turns = (
    system.interruptible, system.many_descriptors, system.short_turns)
started, server_trees, origin = system.started, system.server_trees, system.origin
suite, start_haproxy = system.suite, system.start_haproxy
start_redis, redis, wire = system.start_redis, system.redis, system.wire


@pytest.fixture(scope="session")
def engine(tmp_path_factory):
    """An engine that has the base image. It leaves no containers and no images behind."""
    adopt_orphans()
    opened = Engine(tmp_path_factory.mktemp("engine"))
    opened.import_base()
    yield opened
    opened.finish()


@pytest.fixture(scope="session")
def image(engine):
    """The engine, after it has built the image from this tree's Dockerfile."""
    engine.build()
    return engine


@pytest.fixture
def start_container(image, tmp_path, started):
    def start(*arguments, **keywords):
        directory = tmp_path / f"container{len(started)}"
        directory.mkdir()
        container = Container(image, directory, *arguments, **keywords)
        started.append(container)
        return container
    return start


@pytest.fixture
def fixed_port():
    """Reserves a port of this machine. The agent gets it, since the agent asks to reuse addresses.

    A HEALTHCHECK reads the address of the agent from the environment, so "any port" would not do.
    """
    port, reserved = reserve_port()
    yield port
    reserved.close()


@pytest.fixture
def at_fixed_port(fixed_port):
    return {"RATELIMIT_SPOP_LISTEN": f"127.0.0.1:{fixed_port}"}
