"""The kernel watches whether the other side of a connection is still there.

That a host is gone takes 90 s to be noticed; the tests read from /proc/net/tcp that the kernel's timer
runs, and when it ends.
"""

import socket
from pathlib import Path

from processes import wait_until

KEEP_ALIVE = "02"
TICKS_A_SECOND = 100  # of /proc/net/tcp, on all machines


def keep_alive_seconds(local_port, remote_port):
    """When the kernel next probes the connection of these ports, or None if it does not."""
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        fields = line.split()
        ports = tuple(int(fields[n].split(":")[1], 16) for n in (1, 2))
        if ports == (local_port, remote_port):
            timer, ticks = fields[5].split(":")
            return int(ticks, 16) / TICKS_A_SECOND if timer == KEEP_ALIVE else None
    return None


def is_probed(local_port, remote_port):
    """Whether the kernel probes the connection within a minute of silence."""
    seconds = keep_alive_seconds(local_port, remote_port)
    return seconds is not None and seconds <= 60


def port_of(address):
    return int(address.rsplit(":", 1)[1])


def test_connections_of_haproxy_are_probed(start_agent):
    agent = start_agent()
    with agent.connect() as peer:
        theirs = peer.socket.getsockname()[1]

        wait_until(lambda: is_probed(port_of(agent.address), theirs), "a timer of a minute")


def test_http_connections_are_probed(start_agent):
    agent = start_agent(http=True)
    port = port_of(agent.http_address)
    with socket.create_connection(("127.0.0.1", port)) as client:
        theirs = client.getsockname()[1]

        wait_until(lambda: is_probed(port, theirs), "a timer of a minute")


def test_the_connection_to_redis_is_probed(start_agent, redis):
    agent = start_agent(store=redis.url).wait_for_store()
    port = redis.address[1]

    def has_timer():
        found = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
        ours = [int(fields[1].split(":")[1], 16) for fields in found
                if fields[2].endswith(f":{port:04X}")]
        return any(is_probed(local, port) for local in ours)

    wait_until(has_timer, "a timer of a minute")
    assert agent.is_running()
