"""Where the agent listens: TCP over IPv4 and IPv6, Unix sockets, several at once."""

import grp
import os
import pwd
import socket
import stat
import subprocess

import pytest

import agent as agents
import spop
import web
from agent import bucket, policies_text
from processes import wait_until

SRC = spop.ip("192.0.2.1")
FREE = "127.0.0.1:0"

def assert_serves(address):
    with spop.Peer(address.partition("?")[0]) as peer:
        assert peer.ask(src=SRC).allowed


def start_and_fail(*options):
    """A start that has to fail while running: its one line of the log."""
    done = agents.run("--http-listen", "off", *options)
    assert done.returncode == 1, done
    lines = done.stderr.splitlines()
    assert len(lines) == 1, done.stderr
    return lines[0]


@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]", "0.0.0.0", "[::]", "localhost"])
def test_the_agent_listens_on(start_agent, host):
    agent = start_agent(listen=f"{host}:0")

    bound, port = agent.address.rsplit(":", 1)
    loopback = {"0.0.0.0": "127.0.0.1", "[::]": "[::1]"}.get(bound, bound)
    assert_serves(f"{loopback}:{port}")


def test_the_ipv6_wildcard_takes_both_families(start_agent):
    agent = start_agent(listen="[::]:0")

    port = agent.address.rsplit(":", 1)[1]
    assert_serves(f"127.0.0.1:{port}")
    assert_serves(f"[::1]:{port}")


def free_port():
    """A port that was free a moment ago, in both families."""
    with socket.create_server(("::", 0), family=socket.AF_INET6, dualstack_ipv6=True) as server:
        return server.getsockname()[1]


@pytest.mark.parametrize("listen", ["0.0.0.0:{0},[::]:{0}", "[::]:{0},0.0.0.0:{0}",
                                    "0.0.0.0:{0},*:{0}"])
def test_both_wildcards_on_one_port_are_one_family_each(start_agent, listen):
    port = free_port()

    start_agent(listen=listen.format(port))

    assert_serves(f"127.0.0.1:{port}")
    assert_serves(f"[::1]:{port}")


def test_a_star_takes_both_families(start_agent):
    port = start_agent(listen="*:0").address.rsplit(":", 1)[1]

    assert_serves(f"127.0.0.1:{port}")
    assert_serves(f"[::1]:{port}")


def test_a_star_is_ipv4_where_there_is_no_ipv6(start_agent, host_names):
    agent = start_agent(listen="*:0", env=host_names(NO_IPV6="1"))

    host, port = agent.address.rsplit(":", 1)
    assert host == "0.0.0.0"
    assert_serves(f"127.0.0.1:{port}")


@pytest.mark.parametrize("name", ["two.test=::1,127.0.0.1", "two.test=127.0.0.1,::1,127.0.0.1"])
def test_a_name_means_all_its_addresses(start_agent, host_names, name):
    agent = start_agent(listen="two.test:0", http="two.test:0", env=host_names(name))

    for protocol in ("spop", "http"):
        bound = agent.listening(protocol, 2)
        assert {address.rsplit(":", 1)[0] for address in bound} == {"127.0.0.1", "[::1]"}
    for address in agent.listening("spop", 2):
        assert_serves(address)
    assert len(agent.events("listening")) == 4


def test_an_address_of_a_name_that_is_not_here_is_skipped_and_said(start_agent, host_names):
    agent = start_agent(listen="two.test:0", env=host_names("two.test=198.51.100.1,127.0.0.1"))

    assert_serves(agent.address)
    [event] = agent.events("listener_skipped")
    assert event["level"] == "warn"
    assert event["address"] == "two.test:0 (198.51.100.1:0)"
    assert event["reason"] == "Cannot assign requested address"


def test_the_ipv6_address_of_a_name_is_skipped_without_ipv6(start_agent, host_names):
    agent = start_agent(listen="two.test:0",
                        env=host_names("two.test=::1,127.0.0.1", NO_IPV6="1"))

    assert_serves(agent.address)
    [event] = agent.events("listener_skipped")
    assert event["address"] == "two.test:0 ([::1]:0)"
    assert event["reason"] == "Address family not supported by protocol"


def test_a_name_without_an_address_of_this_machine_ends_the_start(host_names):
    done = agents.run("--http-listen", "off", "--spop-listen", f"{FREE},two.test:1",
                      "--log-level", "error", env=host_names("two.test=198.51.100.1,198.51.100.2"))

    assert done.returncode == 1
    [line] = done.stderr.splitlines()
    assert "two.test:1 (198.51.100.2:1): Cannot assign requested address" in line


def test_an_address_of_a_name_that_is_in_use_ends_the_start(start_agent, host_names):
    port = start_agent().address.rsplit(":", 1)[1]

    done = agents.run("--http-listen", "off", "--spop-listen", f"two.test:{port}",
                      "--log-level", "error", env=host_names("two.test=::1,127.0.0.1"))

    assert done.returncode == 1
    assert f"two.test:{port} (127.0.0.1:{port}): Address already in use" in done.stderr


def test_admin_pages_are_on_the_http_listener_when_theirs_is_off(start_agent):
    agent = start_agent("--admin-listen", "off", http=True)

    port = agent.http_address.rsplit(":", 1)[1]
    assert web.get(port, path="/status").status == 200


def test_an_agent_with_its_spop_listener_off_serves_http(tmp_path, started):
    class HttpAgent(agents.Agent):
        """Does not wait for a listener of SPOP."""
        def listening(self, protocol, count):
            return ["off"] if protocol == "spop" else super().listening(protocol, count)

    agent = HttpAgent(tmp_path, listen="off", http=True)
    started.append(agent)

    assert web.get(agent.http_address.rsplit(":", 1)[1], path="/ready").status == 200
    assert not agent.events("listening", protocol="spop")


def test_a_list_of_addresses_is_one_agent(start_agent, tmp_path):
    agent = start_agent(listen=f"127.0.0.1:0, [::1]:0,unix:{tmp_path}/s",
                        policies=policies_text(p=bucket(10)))

    left = []
    for address in agent.addresses:
        with spop.Peer(address) as peer:
            left.append(peer.ask(src=SRC).remaining)
    assert left == [9, 8, 7]


def test_a_port_in_use_ends_the_start_and_is_named(start_agent):
    agent = start_agent()

    assert agent.address in start_and_fail("--spop-listen", agent.address)
    assert_serves(agent.address)


def test_the_second_address_in_use_is_the_one_named(start_agent):
    agent = start_agent()

    line = start_and_fail("--spop-listen", f"127.0.0.1:0,{agent.address}", "--log-level", "error")

    assert agent.address in line


def test_an_address_of_another_machine_ends_the_start_and_is_named():
    assert "192.0.2.1:12345" in start_and_fail("--spop-listen", "192.0.2.1:12345")


# --- Unix sockets ------------------------------------------------------------------------------


def test_a_unix_socket_has_the_mode_asked_for(start_agent, tmp_path):
    agent = start_agent(listen=f"unix:{tmp_path}/s?mode=0620")

    assert stat.S_IMODE(os.stat(tmp_path / "s").st_mode) == 0o620
    assert_serves(agent.address)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give a file away")
@pytest.mark.parametrize("user,group", [("nobody", "nogroup"), ("12345", "54321")])
def test_a_unix_socket_has_the_user_and_the_group_asked_for(start_agent, tmp_path, user, group):
    start_agent(listen=f"unix:{tmp_path}/s?user={user}&group={group}&mode=0600")

    status = os.stat(tmp_path / "s")
    assert status.st_uid == (int(user) if user.isdigit() else pwd.getpwnam(user).pw_uid)
    assert status.st_gid == (int(group) if group.isdigit() else grp.getgrnam(group).gr_gid)
    assert stat.S_IMODE(status.st_mode) == 0o600


def test_a_stopping_agent_leaves_the_socket_of_its_successor(start_agent, tmp_path):
    old = start_agent(listen=f"unix:{tmp_path}/s")
    (tmp_path / "s").unlink()
    successor = start_agent(listen=f"unix:{tmp_path}/s")

    assert old.stop() == 0

    assert_serves(successor.address)
    assert successor.stop() == 0
    assert not (tmp_path / "s").exists()


def test_of_agents_that_start_at_once_one_gets_the_socket_and_keeps_it(tmp_path):
    """Each finds the socket of the one that was killed, and may replace that one alone."""
    for n in range(10):
        path = tmp_path / f"s{n}"
        with socket.socket(socket.AF_UNIX) as stale:
            stale.bind(str(path))
        command = [agents.BINARY, "--http-listen", "off", "--spop-listen", f"unix:{path}"]
        racers = [subprocess.Popen(command, stderr=subprocess.DEVNULL) for _ in range(6)]
        try:
            wait_until(lambda: sum(racer.poll() is None for racer in racers) <= 1, "one winner")
            assert [racer.poll() for racer in racers].count(1) == 5
            assert_serves(f"unix:{path}")
        finally:
            for racer in racers:
                racer.terminate()
                racer.wait()


def test_a_socket_that_nobody_answers_on_is_replaced(start_agent, tmp_path):
    killed = start_agent(listen=f"unix:{tmp_path}/s")
    killed.kill()
    assert (tmp_path / "s").is_socket()

    assert_serves(start_agent(listen=f"unix:{tmp_path}/s").address)


def test_a_live_socket_is_not_replaced(start_agent, tmp_path):
    agent = start_agent(listen=f"unix:{tmp_path}/s")

    assert f"{tmp_path}/s" in start_and_fail("--spop-listen", f"unix:{tmp_path}/s")
    assert_serves(agent.address)


def test_a_live_socket_with_a_full_backlog_is_not_replaced(tmp_path):
    with socket.socket(socket.AF_UNIX) as busy, socket.socket(socket.AF_UNIX) as waiting:
        busy.bind(str(tmp_path / "s"))
        busy.listen(0)
        waiting.connect(str(tmp_path / "s"))

        assert f"{tmp_path}/s" in start_and_fail("--spop-listen", f"unix:{tmp_path}/s")
        assert (tmp_path / "s").is_socket()


def test_a_file_that_is_no_socket_is_not_replaced(tmp_path):
    (tmp_path / "s").write_text("precious")

    assert f"{tmp_path}/s" in start_and_fail("--spop-listen", f"unix:{tmp_path}/s")
    assert (tmp_path / "s").read_text() == "precious"


def test_a_unix_socket_is_gone_after_the_end(start_agent, tmp_path):
    agent = start_agent(listen=f"unix:{tmp_path}/s")

    assert agent.stop() == 0

    assert not (tmp_path / "s").exists()


# --- HAProxy over each of them -----------------------------------------------------------------


@pytest.mark.parametrize("listen", ["unix:{}/s", "[::1]:0"])
def test_haproxy_reaches_the_agent_over(start_agent, start_haproxy, tmp_path, listen):
    agent = start_agent(listen=listen.format(tmp_path), policies=policies_text(p=bucket(3)))
    haproxy = start_haproxy(agent.address)

    answer = web.get_asked(haproxy.port)

    assert answer.headers["ratelimit"].startswith('"p";r=')
