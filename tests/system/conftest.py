import os
import pathlib
import resource
import signal
import subprocess
import sys

import pytest

import examples
import http_client
from agent import SHIPPED_POLICIES, Agent
from haproxy import SUITES, Haproxy
from http_client import HttpClient
from origin import Origin
from processes import wait_until
from redis import FLAVOURS, Redis
from tcp_proxy import TcpProxy
from trees import unpack_trees


@pytest.fixture(scope="session", autouse=True)
def interruptible():
    """A shell starts background jobs with SIGINT ignored, and every program that a test starts
    would
    inherit that."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session", autouse=True)
def many_descriptors():
    """Thousands of connections have one end in this process."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


@pytest.fixture(scope="session", autouse=True)
def short_turns():
    """A proxy, an origin and clients share this process, so each may run only for a short turn."""
    sys.setswitchinterval(0.0005)


@pytest.fixture
def started():
    """Processes that a test appends are stopped after the test, the last one first, by pid."""
    processes = []
    yield processes
    for process in reversed(processes):
        process.finish()


@pytest.fixture
def start_agent(tmp_path, started):
    def start(*options, **keywords):
        directory = tmp_path / f"agent{len(started)}"
        directory.mkdir()
        agent = Agent(directory, *options, **keywords)
        started.append(agent)
        return agent
    return start


@pytest.fixture(scope="session")
def host_names(tmp_path_factory):
    """Makes the environment of a program that knows other host names: see host_names.c."""
    library = tmp_path_factory.mktemp("names") / "host_names.so"
    subprocess.run([os.environ.get("CC", "cc"), "-shared", "-fPIC", "-O2", "-o", library,
                    pathlib.Path(__file__).parent / "host_names.c"], check=True)

    def environment(*names, **more):
        # ASan would refuse a program in which another library is loaded before its own.
        return {"LD_PRELOAD": str(library), "ASAN_OPTIONS": "verify_asan_link_order=0",
                "HOST_NAMES": " ".join(names), **more}
    return environment


@pytest.fixture
def agent(start_agent):
    """An agent with default settings and the shipped policies."""
    return start_agent(policies=SHIPPED_POLICIES.read_text())


@pytest.fixture
def client(start_agent):
    """A client of the HTTP port of an agent, which is `client.agent`."""
    with HttpClient(start_agent(http=True, policies=http_client.POLICIES)) as opened:
        yield opened


@pytest.fixture
def peer(agent):
    with agent.connect() as connection:
        yield connection


@pytest.fixture
def origin():
    with Origin() as server:
        yield server


@pytest.fixture(scope="session")
def server_trees():
    try:
        unpack_trees()
    except (OSError, subprocess.CalledProcessError) as error:
        # Without servers nothing would be tested, so that is a failure and never a skip.
        pytest.fail(f"tests/system/server-trees: {error}")


@pytest.fixture(params=SUITES, ids=lambda suite: SUITES[suite])
def suite(request, server_trees):  # pylint: disable=unused-argument
    return request.param


@pytest.fixture
def start_haproxy(suite, tmp_path, started, origin):
    """HAProxy with the shipped configuration, between the origin and `agent_address`."""
    def start(agent_address, **changes):
        directory = tmp_path / f"haproxy{len(started)}"
        directory.mkdir()
        proxy = Haproxy(suite, directory, agent_address, origin.address, **changes)
        started.append(proxy)
        proxy.wait_until_up()
        return proxy
    return start


@pytest.fixture
def haproxy(start_haproxy, agent):
    return start_haproxy(agent.address)


@pytest.fixture
def start_example(start_agent, start_haproxy):
    """HAProxy with an example; what it does not say is the agent's, `haproxy.agent`."""
    def start(name, policies=(), conf=()):
        agent = start_agent(policies=examples.policies_of(name, policies), http=True)
        haproxy = start_haproxy(agent.address, folder=examples.EXAMPLES / name,
                                spoe=examples.PATIENT, conf=conf)
        wait_until(lambda: haproxy.agent_is("UP"), "the agent")
        haproxy.agent = agent
        return haproxy
    return start


DEBIAN_12 = "redis-7.0"


@pytest.fixture
def start_redis(server_trees, tmp_path, started):  # pylint: disable=unused-argument
    def start(flavour=DEBIAN_12, kind=Redis, **keywords):
        directory = tmp_path / f"redis{len(started)}"
        directory.mkdir()
        server = kind(flavour, directory, **keywords)
        started.append(server)
        return server
    return start


@pytest.fixture
def redis(start_redis):
    """The Redis of Debian 12, for tests of the agent."""
    return start_redis()


@pytest.fixture(params=FLAVOURS)
def each_redis(request, start_redis):
    """Each server in turn, for tests where the server may make a difference."""
    return start_redis(request.param)


@pytest.fixture
def wire(redis, started):
    """A proxy in front of `redis`, for agents to connect to."""
    proxy = TcpProxy(("127.0.0.1", redis.port))
    started.append(proxy)
    return proxy
