"""The fixtures of tests/system/, for tests with programs of others."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
SYSTEM = HERE.parent / "system"
sys.path.insert(0, str(SYSTEM))

# pylint: disable=wrong-import-position
from proxy_recipes import RECIPES  # noqa: E402
from site_behind import Site  # noqa: E402


def load_fixtures_of_system_tests():
    spec = importlib.util.spec_from_file_location("system_fixtures", SYSTEM / "conftest.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


system = load_fixtures_of_system_tests()
interruptible, many_descriptors, short_turns = (
    system.interruptible, system.many_descriptors, system.short_turns)
started, start_agent = system.started, system.start_agent


@pytest.fixture(scope="session", autouse=True)
def programs():
    try:
        subprocess.run([HERE / "install"], check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        # Without proxies nothing would be tested, so that is a failure and never a skip.
        pytest.fail(f"tests/proxies/install: {error}")


@pytest.fixture(params=RECIPES)
def recipe(request):
    return request.param


@pytest.fixture
def site(started):
    server = Site()
    started.append(server)
    return server


# As the page says.
ROOM = ["--http-max-connections", "10000", "--http-max-per-address", "10000"]


@pytest.fixture
def start_proxy(start_agent, site, started, tmp_path):
    """A proxy of a recipe. The agent that it asks is `proxy.agent`, and the site `proxy.site`."""
    def start(recipe, policies, edits=(), room=ROOM, **keywords):
        agent = start_agent(*room, http=True, policies=policies)
        directory = tmp_path / "proxy"
        directory.mkdir()
        kind = RECIPES[recipe] if isinstance(recipe, str) else recipe
        proxy = kind(directory, agent.http_address, site.address, edits, **keywords)
        started.append(proxy)
        proxy.agent, proxy.site = agent, site
        return proxy
    return start
