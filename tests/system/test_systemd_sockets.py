"""The agent takes sockets that systemd made, and hands them over to the agent that comes next."""

import os
import signal
import socket
import threading
import time

import pytest

import agent as agents
import spop
import web
from agent import bucket, policies_text
from haproxy import Haproxy
from http_client import HttpClient
from processes import PATIENCE, wait_until
from systemd import Manager, Sockets

SRC = spop.ip("192.0.2.1")
POLICIES = policies_text(p=bucket(1000))


@pytest.fixture
def make_sockets(started):
    def make(**named):
        sockets = Sockets(**named)
        started.append(sockets)
        return sockets
    return make


@pytest.fixture
def sockets(make_sockets):
    return make_sockets(spop=["127.0.0.1:0"])


def fill_until_it_blocks(peer):
    """Asks and reads no answer, until the agent takes no more: it keeps this connection."""
    peer.socket.settimeout(0.3)
    many = spop.notify({"src": SRC}) * 1000
    with pytest.raises(TimeoutError):
        while True:
            peer.send(many)


# ---- taking them ----


def test_each_socket_takes_the_place_of_its_option(start_agent, make_sockets, tmp_path):
    path = tmp_path / "admin.sock"
    sockets = make_sockets(spop=["127.0.0.1:0", "[::1]:0"], http=["127.0.0.1:0"],
                           admin=[str(path)])

    agent = start_agent(policies=POLICIES, **sockets.activate())

    agent.wait_for_event("started")
    assert [event["address"] for event in agent.events("listening", inherited=True)] == [
        sockets.address("spop"), sockets.address("spop", 1), sockets.address("http"),
        f"unix:{path}"]
    assert not agent.events("listening", inherited=False)
    with spop.Peer(sockets.address("spop")) as peer:
        assert peer.ask(src=SRC).remaining == 999
    with HttpClient(agent, address=sockets.address("http")) as client:
        assert client.get("/metrics").status == 404
    done = agents.run("explain", "src=192.0.2.1", env={"RATELIMIT_AGENT": f"unix:{path}"})
    assert done.returncode == 0, done.stderr


def test_an_abstract_name_of_haproxys(start_agent, make_sockets):
    name = f"@ratelimit-spoa-{os.getpid()}-{time.time_ns()}"
    sockets = make_sockets(spop=[name])

    agent = start_agent(policies=POLICIES, **sockets.activate())

    assert agent.address == f"unix:{name}"
    with socket.socket(socket.AF_UNIX) as probe:
        probe.connect("\0" + name[1:])


def test_haproxy_3_2_finds_an_abstract_name(start_agent, make_sockets, server_trees, tmp_path,
                                            started, origin):
    """docs/systemd.md: by abnsz@. HAProxy fills the name of abns@ up with NUL bytes."""
    # pylint: disable=unused-argument
    name = f"ratelimit-spoa-{os.getpid()}-{time.time_ns()}"
    start_agent(policies=POLICIES, **make_sockets(spop=["@" + name]).activate())
    directory = tmp_path / "haproxy"
    directory.mkdir()

    haproxy = Haproxy("forky", directory, f"abnsz@{name}", origin.address)

    started.append(haproxy)
    haproxy.wait_until_up()
    assert web.get_asked(haproxy.port).was_asked


def test_who_connected_before_the_agent_began_is_answered(start_agent, sockets):
    with socket.create_connection(sockets.address("spop").rsplit(":", 1)) as early:
        early.sendall(spop.hello())
        start_agent(policies=POLICIES, **sockets.activate())

        early.settimeout(PATIENCE)
        assert early.recv(4)


def run_with(sockets, names=None, **environment):
    inherited = sockets.activate(names, **environment)
    wrapper, env = inherited["wrapper"], inherited["env"]
    return agents.subprocess.run(
        [*wrapper, agents.BINARY, "--http-listen", "off"], text=True, capture_output=True,
        env=agents.clean_environment(env), pass_fds=inherited["pass_fds"], timeout=PATIENCE,
        check=False)


@pytest.mark.parametrize("names", ["smtp", "ratelimit-spoa.socket", "", "spop2"])
def test_any_other_name_is_a_bad_configuration(sockets, names):
    done = run_with(sockets, names)

    assert done.returncode == 2
    assert done.stderr == (
        f"ratelimit-spoa: LISTEN_FDNAMES: descriptor 3 is called "
        f"{chr(34) + names + chr(34) if names else 'nothing'}; accepted in FileDescriptorName= "
        "are spop, http and admin\n")


def test_a_file_of_a_unix_socket_stays_with_systemd(start_agent, make_sockets, tmp_path):
    path = tmp_path / "spop.sock"
    sockets = make_sockets(spop=[str(path)])
    agent = start_agent(policies=POLICIES, **sockets.activate())

    assert agent.stop() == 0

    assert path.exists()
    start_agent(policies=POLICIES, **sockets.activate())
    with spop.Peer(f"unix:{path}") as peer:
        assert peer.ask(src=SRC).allowed


# ---- handing them over ----


def test_connections_end_and_newcomers_get_the_next_agent(start_agent, sockets):
    agent = start_agent("--drain-delay", "1h", policies=POLICIES, **sockets.activate())
    with agent.connect() as idle:
        agent.signal(signal.SIGTERM)
        assert idle.read_disconnect() == 0
    assert agent.wait() == 0

    # Nobody serves now, and nobody is refused.
    with socket.create_connection(sockets.address("spop").rsplit(":", 1)) as early:
        early.sendall(spop.hello() + spop.notify({"src": SRC}))
        start_agent(policies=POLICIES, **sockets.activate())
        early.settimeout(PATIENCE)
        assert early.recv(4)


def test_while_it_ends_checks_are_good_and_newcomers_are_served(start_agent, make_sockets):
    sockets = make_sockets(spop=["127.0.0.1:0"], http=["127.0.0.1:0"])
    agent = start_agent("--drain-timeout", "1h", policies=POLICIES, **sockets.activate())
    with agent.connect() as stuck:
        fill_until_it_blocks(stuck)
        agent.signal(signal.SIGTERM)
        agent.wait_for_event("ending")

        with agent.connect() as peer:
            assert peer.ask(src=SRC).allowed
            assert peer.read_disconnect() == 0
        assert agents.run("probe", agent.address).returncode == 0
        ready = f"http://{sockets.address('http')}/ready"
        assert agents.run("probe", ready).returncode == 0
        assert agent.is_running()
        agent.kill()


def test_sigint_ends_as_without_systemd(start_agent, sockets):
    agent = start_agent("--drain-delay", "1h", policies=POLICIES, **sockets.activate())
    with agent.connect() as peer:
        agent.signal(signal.SIGINT)
        agent.wait_for_event("draining", delay_ms=3600000)

        assert agents.run("probe", agent.address).returncode == 1
        assert peer.ask(src=SRC).allowed
    agent.kill()


def test_systemd_is_told_of_the_end(start_agent, sockets, started, tmp_path):
    manager = Manager(tmp_path / "notify")
    started.append(manager)
    agent = start_agent("--drain-delay", "1h", "--drain-timeout", "20s", policies=POLICIES,
                        **sockets.activate(**manager.environment()))
    manager.wait_for("READY")

    agent.signal(signal.SIGTERM)

    assert manager.wait_for("STOPPING")["EXTEND_TIMEOUT_USEC"] == "25000000"
    assert agent.wait() == 0


# ---- under load, through HAProxy ----

CLIENTS = 4
RESTARTS = 3


class Load:
    """Clients that ask HAProxy, each one request after the other."""

    def __init__(self, port):
        self.port, self.is_over = port, False
        self.answers = [[0, 0] for _ in range(CLIENTS)]  # with a verdict, without
        self.threads = [threading.Thread(target=self._ask, args=(counts,))
                        for counts in self.answers]

    def _ask(self, counts):
        with socket.create_connection(("127.0.0.1", self.port), PATIENCE) as connection:
            while not self.is_over:
                connection.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
                head = b""
                while not head.endswith(b"\r\n\r\n"):
                    data = connection.recv(65536)
                    assert data, head
                    head += data
                counts[0 if b"\r\nratelimit:" in head else 1] += 1

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.is_over = True
        for thread in self.threads:
            thread.join()

    def wait_for_more(self, count):
        """Waits until each client has so many more answers with a verdict."""
        wanted = [counts[0] + count for counts in self.answers]
        wait_until(lambda: all(counts[0] >= n for counts, n in zip(self.answers, wanted)),
                   "answers")

    @property
    def without_verdict(self):
        return sum(counts[1] for counts in self.answers)


def test_restarts_under_load_lose_hardly_a_request(start_agent, start_haproxy, sockets):
    """HAProxy never sends a request again that crossed the end of its connection, so some of those
    that were on their way may be lost; of the others, none. HAProxy waits as long as a slow
    machine needs."""
    def start():
        return start_agent(policies=policies_text(p=bucket(10**6, "1000/1s")),
                           **sockets.activate())
    agent = start()
    spoe = [("timeout processing 50ms", "timeout processing 20s"),
            ("timeout hello      100ms", "timeout hello      20s")]
    haproxy = start_haproxy(
        sockets.address("spop"), spoe=spoe,
        conf=[("    default_backend app", "    http-request return status 200"),
              ("timeout connect 200ms", "timeout connect 20s"),
              ("timeout queue   50ms", "timeout queue   20s")])
    wait_until(lambda: haproxy.agent_is("UP"), "the agent")
    web.get_asked(haproxy.port)

    with Load(haproxy.port) as load:
        for _ in range(RESTARTS):
            load.wait_for_more(20)
            assert agent.stop() == 0
            agent = start()
        load.wait_for_more(20)

    assert load.without_verdict <= RESTARTS * CLIENTS
