"""The fixtures of tests/system/, for tests with programs of others."""

import importlib.util
import sys
from pathlib import Path

import pytest

SYSTEM = Path(__file__).resolve().parent.parent / "system"
sys.path.insert(0, str(SYSTEM))

# pylint: disable=wrong-import-position
from pinned import python_packages  # noqa: E402
from proxy_recipes import RECIPES  # noqa: E402
from site_behind import Site  # noqa: E402


def load_fixtures_of_system_tests():
    spec = importlib.util.spec_from_file_location("system_fixtures", SYSTEM / "conftest.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module



def pytest_collection_modifyitems(items):
    """Gives each test more time than pytest.ini does: before it, a registry may have to be waited for."""
    here = Path(__file__).resolve().parent
    for item in items:
        if here in item.path.parents and not item.get_closest_marker("timeout"):
            item.add_marker(pytest.mark.timeout(900))


system = load_fixtures_of_system_tests()
interruptible, many_descriptors, short_turns = (
    system.interruptible, system.many_descriptors, system.short_turns)
started, start_agent = system.started, system.start_agent


@pytest.fixture(scope="session")
def proxies():
    """Installs the proxies where the recipes find them."""
    python_packages("proxies")


@pytest.fixture(params=RECIPES)
def recipe(request, proxies):  # pylint: disable=unused-argument
    return request.param


@pytest.fixture
def site(started):
    server = Site()
    started.append(server)
    return server


# As docs/proxies.md says.
ROOM = ["--http-max-connections", "10000", "--http-max-per-address", "10000"]


@pytest.fixture
def start_proxy(
        start_agent, site, started, tmp_path, proxies):  # pylint: disable=unused-argument
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
