"""TLS to Redis, in the image: who is trusted, who is refused, and files that change.

The image has the libraries of Debian 13. The machine of the tests may have others, with which the
agent is built without TLS: tests/system/test_redis_tls_absent.py.
"""

import contextlib
import json
import socket
import ssl
import threading
import time

import pytest

from agent import bucket, policies_text
from certificates import Authority, self_signed
from container import run_to_the_end
from processes import wait_until
from redis import Redis, reserve_port
from redis_cluster import Cluster
from spop_load import SpopLoad

POLICIES = policies_text(p=bucket(1_000_000, "1/1h", ["k"]))
REQUESTS = {n: {"k": f"k{n}"} for n in range(50)}
LOCAL = ("IP:127.0.0.1", "DNS:localhost")


class TlsRedis(Redis):
    """Speaks TLS at `tls_port`, and without TLS at its port, for the tests themselves."""

    def __init__(self, flavour, directory, pair, authority, options=(), clients="no", **keywords):
        self.tls_port, self.tls_reserved = reserve_port()
        super().__init__(flavour, directory, options=[
            "--tls-port", self.tls_port, "--tls-cert-file", pair.cert, "--tls-key-file", pair.key,
            "--tls-ca-cert-file", authority.cert, "--tls-auth-clients", clients, *options],
            **keywords)

    def tls_url(self, host="127.0.0.1"):
        return f"rediss://{host}:{self.tls_port}"

    def use(self, pair):
        self.ask("CONFIG", "SET", "tls-cert-file", pair.cert, "tls-key-file", pair.key)

    def cut_agents(self):
        self.ask("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")

    def finish(self):
        super().finish()
        self.tls_reserved.close()


@pytest.fixture(name="authority")
def make_authority(tmp_path):
    directory = tmp_path / "tls"
    directory.mkdir()
    directory.chmod(0o755)
    return Authority(directory)


@pytest.fixture(name="start_server")
def make_start_server(start_redis, authority):
    def start(*names, flavour="redis-7.0", pair=None, **keywords):
        pair = pair or authority.issue(*(names or LOCAL))
        server = start_redis(flavour, kind=lambda *known, **more: TlsRedis(
            *known, pair=pair, authority=authority, **{**keywords, **more}))
        server.pair = pair
        return server
    return start


@pytest.fixture(name="start_agent_at")
def make_start_agent(start_container, authority):
    def start(url, ca=None, **environment):
        ca = authority.cert if ca is None else ca
        settings = {"RATELIMIT_STORE": url, "RATELIMIT_STORE_TIMEOUT": "5s",
                    **({"RATELIMIT_REDIS_CA_FILE": str(ca)} if ca else {}),
                    **{f"RATELIMIT_{name.upper()}": str(value)
                       for name, value in environment.items()}}
        return start_container(environment=settings, policies=POLICIES,
                               mounts=[(authority.directory, authority.directory)])
    return start


def assert_works(agent):
    agent.wait_for_event("store_up")
    with agent.connect() as peer:
        assert peer.ask(k="x").reason == "ok"


def assert_refused(agent, *says, kinds=("other",)):
    down = agent.wait_for_event("store_down")
    assert down["kind"] in kinds
    for text in says:
        assert text in down["reason"]
    with agent.connect() as peer:
        verdict = peer.ask(k="x")
    assert (verdict.reason, verdict.degraded) == ("error", True)
    return down


# --- who is trusted ------------------------------------------------------------------------------


@pytest.mark.parametrize("flavour", ["redis-7.0", "redis-8.0", "valkey-8.1"])
def test_a_server_with_a_good_certificate(start_server, start_agent_at, flavour):
    server = start_server(flavour=flavour)

    agent = start_agent_at(server.tls_url())

    assert_works(agent)
    assert agent.wait_for_event("store_up")["store"] == server.tls_url() + "/0"


@pytest.mark.parametrize("host, name", [
    ("localhost", "DNS:localhost"), ("127.0.0.1", "IP:127.0.0.1"), ("localhost", "DNS:LOCALHOST")])
def test_the_name_or_the_address_of_the_url_is_enough(start_server, start_agent_at, host, name):
    assert_works(start_agent_at(start_server(name).tls_url(host)))


def test_another_name_that_is_said(start_server, start_agent_at):
    server = start_server("DNS:cache.example.com", "DNS:*.shards.example.com")

    assert_works(start_agent_at(server.tls_url(), redis_tls_name="cache.example.com"))
    assert_works(start_agent_at(server.tls_url(), redis_tls_name="a.shards.example.com"))


def test_a_server_that_wants_our_certificate(start_server, start_agent_at, authority):
    server, ours = start_server(clients="yes"), authority.issue("DNS:agent")

    assert_works(start_agent_at(server.tls_url(), redis_cert_file=ours.cert,
                                redis_key_file=ours.key))


def test_a_password_goes_with_it(start_server, start_agent_at):
    server = start_server(password="secret")

    assert_works(start_agent_at(server.tls_url(), redis_password="secret"))


# --- a cluster -----------------------------------------------------------------------------------


class TlsCluster(Cluster):
    """Three nodes that speak TLS to each other and to agents; the tests ask them without TLS. Each
    has a certificate for its name, and announces that."""

    def __init__(self, start_redis, authority, names):
        self.authority, self.names, self.started = authority, names, 0
        super().__init__(start_redis)

    def _start(self):
        port, reserved = reserve_port()
        name = self.names(self.started)
        self.started += 1
        pair = self.authority.issue(*name)
        announced = next((text[4:] for text in name if text.startswith("DNS:node")), None)
        node = self.start_redis(self.flavour, kind=lambda *known, **more: TlsRedis(
            *known, pair=pair, authority=self.authority, **more), options=[
                "--cluster-enabled", "yes", "--cluster-port", port, "--cluster-node-timeout", 1000,
                "--tls-cluster", "yes",
                *(["--cluster-announce-hostname", announced] if announced else [])])
        reserved.close()
        self.bus_ports[node.port] = port
        return node

    def meet(self, node):
        node.ask("CLUSTER", "MEET", "127.0.0.1", self.nodes[0].tls_port,
                 self.bus_ports[self.nodes[0].port])

    @property
    def url(self):
        return f"rediss+cluster://127.0.0.1:{self.nodes[0].tls_port}"


def assert_all_slots_work(agent):
    with agent.connect() as peer:
        for n in range(60):
            wait_until(lambda key=f"s{n}": not peer.ask(k=key).degraded, "the node of a slot")


@pytest.mark.parametrize("names", [
    lambda n: ["IP:127.0.0.1"],
    # The first is named by the URL, the others by the host names that they announce.
    lambda n: ["IP:127.0.0.1"] if n == 0 else [f"DNS:node{n}.example"]], ids=["address", "name"])
def test_a_cluster(start_redis, start_agent_at, authority, names):
    cluster = TlsCluster(start_redis, authority, names)

    assert_all_slots_work(start_agent_at(cluster.url))


def test_a_node_that_is_first_learnt_by_moved_gets_the_name_that_it_announces(
        start_redis, start_agent_at, authority):
    """MOVED says the address only, for which the new node has no certificate."""
    cluster = TlsCluster(start_redis, authority, lambda n: ["IP:127.0.0.1"] if n < 3
                         else [f"DNS:node{n}.example"])
    agent = start_agent_at(cluster.url)
    assert_all_slots_work(agent)
    new = cluster.add()
    for node in cluster.primaries:
        wait_until(lambda n=node: b"node3.example" in n.ask("CLUSTER", "NODES"), "the name")
    key = next(key for key in cluster.keys() if key.endswith(b":s7"))
    slot = cluster.slot_of(key)
    source = cluster.begin_move(slot, new)
    source.ask("MIGRATE", "127.0.0.1", new.tls_port, key, 0, 5000)
    cluster.end_move(slot, source, new)

    with agent.connect() as peer:
        wait_until(lambda: not peer.ask(k="s7").degraded, "the new node")


# --- who is refused ------------------------------------------------------------------------------


@pytest.mark.parametrize("host, names", [
    ("127.0.0.1", ("DNS:cache.example.com",)), ("localhost", ("DNS:cache.example.com",)),
    ("127.0.0.1", ("DNS:localhost", "IP:127.0.0.2")), ("localhost", ("IP:127.0.0.1",)),
    ("127.0.0.1", ("DNS:127.0.0.1",)), ("localhost", ("DNS:localhost.example.com", "DNS:*"))])
def test_a_valid_chain_with_another_name(start_server, start_agent_at, host, names):
    """hiredis by itself would take each of these."""
    agent = start_agent_at(start_server(*names).tls_url(host))

    assert_refused(agent, f"not for {host};", "--redis-tls-name")


def test_another_name_that_is_said_and_that_it_does_not_have(start_server, start_agent_at):
    agent = start_agent_at(start_server().tls_url(), redis_tls_name="cache.example.com")

    assert_refused(agent, "not for cache.example.com;")


def test_an_expired_certificate(start_server, start_agent_at, authority):
    pair = authority.issue(*LOCAL, days=(-10, -1))

    agent = start_agent_at(start_server(pair=pair).tls_url())

    assert_refused(agent, "has expired", "renew it")


def test_a_certificate_of_the_future(start_server, start_agent_at, authority):
    pair = authority.issue(*LOCAL, days=(1, 10))

    assert_refused(start_agent_at(start_server(pair=pair).tls_url()), "not valid yet")


def test_a_self_signed_certificate(start_server, start_agent_at, authority):
    pair = self_signed(authority.directory, *LOCAL)

    agent = start_agent_at(start_server(pair=pair).tls_url())

    assert_refused(agent, "not trusted", "--redis-ca-file")


def test_the_certificate_of_another_authority(start_server, start_agent_at, authority):
    other = Authority(authority.directory, "other")

    agent = start_agent_at(start_server().tls_url(), ca=other.cert)

    assert_refused(agent, "not trusted", "--redis-ca-file")


def test_the_systems_authorities_do_not_trust_ours(start_server, start_agent_at):
    assert_refused(start_agent_at(start_server().tls_url(), ca=""), "not trusted")


# With TLS 1.3 the server says so after the handshake, and a reset may overtake it.
ALERT = ("other", "connection")


def test_a_server_that_wants_our_certificate_and_gets_none(start_server, start_agent_at):
    agent = start_agent_at(start_server(clients="yes").tls_url())

    assert_refused(agent, "--redis-cert-file", kinds=ALERT)


def test_a_server_that_does_not_trust_our_certificate(start_server, start_agent_at, authority):
    ours = Authority(authority.directory, "other").issue("DNS:agent")

    agent = start_agent_at(start_server(clients="yes").tls_url(), redis_cert_file=ours.cert,
                           redis_key_file=ours.key)

    assert_refused(agent, "--redis-cert-file", kinds=ALERT)


def test_a_server_with_old_versions_only(start_server, start_agent_at):
    """Where its library still has them."""
    server = start_server(options=["--tls-protocols", "TLSv1.1"])

    assert_refused(start_agent_at(server.tls_url()), "TLS: ")


@pytest.mark.parametrize("version", ["TLSv1.2", "TLSv1.3"])
def test_each_version_that_is_taken(start_server, start_agent_at, version):
    assert_works(start_agent_at(start_server(options=["--tls-protocols", version]).tls_url()))


def test_a_plain_server_at_the_port(start_server, start_agent_at):
    server = start_server()

    agent = start_agent_at(f"rediss://127.0.0.1:{server.port}")

    down = agent.wait_for_event("store_down")
    assert "no TLS at this port" in down["reason"] and down["kind"] in ("other", "timeout")


def test_a_tls_server_at_a_plain_url(start_server, start_agent_at):
    agent = start_agent_at(f"redis://127.0.0.1:{start_server().tls_port}", ca="")

    down = agent.wait_for_event("store_down")
    assert "rediss://" in down["reason"] and down["kind"] == "connection"


def test_a_refused_server_is_asked_with_pauses_and_told_once(start_server, start_agent_at):
    server = start_server("DNS:cache.example.com")
    agent = start_agent_at(server.tls_url())
    agent.wait_for_event("store_down")

    def tried():
        return int(server.ask("INFO", "stats").split(b"total_connections_received:")[1].split()[0])
    # Twelve tries take 20, 40 ... 640 and then 800 ms each, or half of that by chance.
    before = tried()
    wait_until(lambda: tried() > before + 12, "more tries")

    assert len(agent.events("store_down")) == 1
    server.use(server.pair.__class__(server.pair.cert.parent, server.pair.cert.stem))
    assert len(agent.events("store_up")) == 0


# --- files that change ---------------------------------------------------------------------------


def test_the_servers_certificate_is_renewed(start_server, start_agent_at, authority):
    server = start_server()
    agent = start_agent_at(server.tls_url())
    assert_works(agent)

    server.use(authority.issue(*LOCAL))
    server.cut_agents()

    agent.wait_for_event("store_up", 2)


def test_another_authority_counts_from_the_next_connection_on(start_server, start_agent_at,
                                                              authority):
    other = Authority(authority.directory, "other")
    trusted = authority.directory / "trusted.crt"
    trusted.write_bytes(authority.cert.read_bytes())
    server = start_server()
    agent = start_agent_at(server.tls_url(), ca=trusted)
    assert_works(agent)

    write_anew(trusted, other.cert.read_bytes())
    agent.wait_for_event("redis_tls_read")
    with agent.connect() as peer:
        assert not peer.ask(k="x").degraded  # the connection that it has stays

    server.cut_agents()
    wait_until(lambda: "not trusted" in agent.events("store_down")[-1]["reason"]
               if agent.events("store_down") else False, "the refusal")
    server.use(other.issue(*LOCAL))
    agent.wait_for_event("store_up", 2)


def test_our_certificate_and_key_change_one_after_the_other(start_server, start_agent_at,
                                                            authority):
    server, ours = start_server(clients="yes"), authority.issue("DNS:agent")
    agent = start_agent_at(server.tls_url(), redis_cert_file=ours.cert, redis_key_file=ours.key)
    assert_works(agent)
    new = authority.issue("DNS:agent")

    write_anew(ours.cert, new.cert.read_bytes())
    unread = agent.wait_for_event("redis_tls_unread")
    assert "--redis-key-file" in unread["reason"]
    server.cut_agents()
    agent.wait_for_event("store_up", 2)  # with the pair from before

    write_anew(ours.key, new.key.read_bytes())
    agent.wait_for_event("redis_tls_read")
    server.cut_agents()
    agent.wait_for_event("store_up", 3)


def test_files_that_can_not_be_used_leave_those_from_before(start_server, start_agent_at,
                                                            authority):
    trusted = authority.directory / "trusted.crt"
    trusted.write_bytes(authority.cert.read_bytes())
    server = start_server()
    agent = start_agent_at(server.tls_url(), ca=trusted)
    assert_works(agent)

    write_anew(trusted, b"-----BEGIN CERTIFICATE-----\nnonsense\n")
    assert str(trusted) in agent.wait_for_event("redis_tls_unread")["reason"]
    trusted.unlink()
    agent.wait_for_event("redis_tls_unread", 2)

    server.cut_agents()
    agent.wait_for_event("store_up", 2)


def write_anew(path, data):
    new = path.with_suffix(".new")
    new.write_bytes(data)
    new.chmod(0o644)
    new.rename(path)


def is_within(answer, times):
    return any(begin <= answer.read and answer.sent <= end for begin, end in times)


@pytest.mark.timeout(900)
@pytest.mark.parametrize("turns, seconds", [
    (5, 0), pytest.param(30, 10, marks=pytest.mark.long, id="5 minutes")])
def test_certificates_and_password_are_rotated_under_load(start_server, start_agent_at, authority,
                                                          turns, seconds):
    """No request notices: what is new counts from the next connection on. At the end of each turn
    the connection is cut, so that the next one needs all that is new; meanwhile `on_error` decides.
    """
    server, ours = start_server(clients="yes", password="first"), authority.issue("DNS:agent")
    password = authority.directory / "password"
    password.write_text("first")
    password.chmod(0o644)
    agent = start_agent_at(server.tls_url(), redis_cert_file=ours.cert, redis_key_file=ours.key,
                           redis_password_file=password)
    assert_works(agent)
    cuts = []

    with SpopLoad([agent.address], REQUESTS, clients=8, pause=0.005) as load:
        for turn in range(1, turns + 1):
            begun = time.monotonic()
            server.use(authority.issue(*LOCAL))
            ours.replace(authority.issue("DNS:agent"))
            server.ask("CONFIG", "SET", "requirepass", f"password{turn}")
            server.password = f"password{turn}"
            write_anew(password, server.password.encode())
            agent.wait_for_event("redis_password_taken", turn)
            agent.wait_for_event("redis_tls_read", turn)
            load.wait_for_more(100)
            wait_until(lambda b=begun: time.monotonic() >= b + seconds, "the next turn")
            began, connected = time.time(), len(agent.events("store_up"))
            server.cut_agents()
            agent.wait_for_event("store_up", connected + 1)
            cuts.append((began, time.time()))
            load.wait_for(lambda answer: not answer.is_degraded, "a verdict by the new connection")

    assert (load.wrong, load.lost) == ([], 0)
    # When the machine keeps Redis waiting for half a second, the agent drops the connection itself.
    has_stalled = agent.events("store_down", kind="timeout")
    undecided = [answer for answer in load.answers if answer.is_degraded]
    assert has_stalled or all(is_within(answer, cuts) for answer in undecided)
    assert has_stalled or seconds == 0 or len(undecided) <= 0.02 * len(load.answers)


class Witness:
    """A server that refuses everybody after the handshake, and notes which ones were resumed."""

    def __init__(self, pair, version):
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(pair.cert, pair.key)
        self.context.minimum_version = self.context.maximum_version = version
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.resumed, self.names = [], []
        self.context.sni_callback = lambda _, name, __: self.names.append(name)
        self.thread = threading.Thread(target=self._serve)
        self.thread.start()

    def _serve(self):
        while True:
            try:
                accepted, _ = self.listener.accept()
            except OSError:
                return
            with accepted, self.context.wrap_socket(accepted, server_side=True) as connection:
                self.resumed.append(connection.session_reused)
                connection.recv(65536)
                connection.sendall(b"-ERR go away\r\n")
                # A close while the agent still writes would be a reset, which drops the tickets
                # that it has not read yet; so the agent closes first.
                with contextlib.suppress(OSError):
                    while connection.recv(65536):
                        pass

    def finish(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.thread.join()


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_sessions_are_resumed_and_the_name_is_told(start_agent_at, authority, started, version):
    witness = Witness(authority.issue(*LOCAL), version)
    started.append(witness)

    start_agent_at(f"rediss://localhost:{witness.listener.getsockname()[1]}")

    wait_until(lambda: len(witness.resumed) >= 4, "four connections")
    assert witness.resumed[:4] == [False, True, True, True]
    assert set(witness.names) == {"localhost"}


# --- options -------------------------------------------------------------------------------------


def check(image, authority, url, **environment):
    settings = {"RATELIMIT_STORE": url, **{f"RATELIMIT_{name.upper()}": str(value)
                                           for name, value in environment.items()}}
    return run_to_the_end(image, "check-config", environment=settings,
                          options=["-v", f"{authority.directory}:{authority.directory}:ro"])


def test_files_that_are_bad_at_the_start(image, authority):
    pair, other = authority.issue("DNS:a"), authority.issue("DNS:b")
    (authority.directory / "text").write_text("no certificate")
    (authority.directory / "text").chmod(0o644)
    nowhere, text = authority.directory / "nowhere", authority.directory / "text"
    for settings, option in [
            ({"redis_ca_file": nowhere}, "--redis-ca-file"), ({"redis_ca_file": text}, "--redis-ca"),
            ({"redis_cert_file": pair.cert}, "--redis-key-file: not set"),
            ({"redis_key_file": pair.key}, "--redis-cert-file: not set"),
            ({"redis_cert_file": nowhere, "redis_key_file": pair.key}, "--redis-cert-file"),
            ({"redis_cert_file": pair.cert, "redis_key_file": nowhere}, "--redis-key-file"),
            ({"redis_cert_file": pair.cert, "redis_key_file": other.key}, "--redis-key-file")]:
        done = check(image, authority, "rediss://127.0.0.1", **settings)
        assert done.returncode == 2, settings
        assert len(done.stderr.splitlines()) == 1 and option in done.stderr

    assert check(image, authority, "rediss://127.0.0.1", redis_cert_file=pair.cert,
                 redis_key_file=pair.key, redis_ca_file=authority.cert).returncode == 0


def test_the_image_has_the_systems_authorities(image, authority):
    assert check(image, authority, "rediss://127.0.0.1").returncode == 0


def test_a_key_with_a_password_is_refused_and_not_asked_for(image, authority):
    from certificates import openssl  # pylint: disable=import-outside-toplevel
    pair = authority.issue("DNS:a")
    locked = pair.key.with_suffix(".locked")
    openssl("pkey", "-in", pair.key, "-aes256", "-passout", "pass:x", "-out", locked)
    locked.chmod(0o644)

    done = check(image, authority, "rediss://127.0.0.1", redis_cert_file=pair.cert,
                 redis_key_file=locked)

    assert done.returncode == 2 and "--redis-key-file" in done.stderr


def test_the_log_is_json_all_the_time(start_server, start_agent_at):
    agent = start_agent_at(start_server("DNS:other").tls_url())
    agent.wait_for_event("store_down")

    for line in agent.output.read_text().splitlines():
        json.loads(line)
