"""An agent with the bounds of k8s/base, while all connections that it takes send as much as they may of
something that they never finish."""

import contextlib
import struct

import spop
from agent import SHIPPED_POLICIES, run
from http_client import Raw
from manifests import agent_of, environment, quantity, render, size
from processes import wait_until

NAMES = ("MAX_FRAME_SIZE", "MAX_CONNECTIONS", "HTTP_MAX_CONNECTIONS", "HTTP_MAX_PER_ADDRESS",
         "MEMORY_LIMIT")
HEAD = b"POST /check HTTP/1.1\r\nHost: localhost\r\nContent-Length: 65536\r\nX: " + b"y" * 12000


def test_what_is_never_finished_takes_no_more_than_the_readme_says(start_agent):
    """k8s/README.md, Memory: 4 MB for the agent, 20 kB a frame, and 80 kB an HTTP request."""
    container = agent_of(render("k8s/base"))
    bounds = {name: environment(container)[f"RATELIMIT_{name}"] for name in NAMES}
    options = [word for name, value in bounds.items()
               for word in (f"--{name.lower().replace('_', '-')}", value)]
    agent = start_agent(*options, http=True, policies=SHIPPED_POLICIES.read_text())
    frames, requests = int(bounds["MAX_CONNECTIONS"]), int(bounds["HTTP_MAX_CONNECTIONS"])
    expected = 4e6 + frames * 20e3 + requests * 80e3

    with contextlib.ExitStack() as opened:
        for _ in range(frames):
            peer = opened.enter_context(spop.Peer(agent.address))
            peer.send(struct.pack("!I", spop.FRAME_SIZE) + b"\3" + b"\0" * (spop.FRAME_SIZE - 2))
        for _ in range(requests):
            opened.enter_context(Raw(agent.http_address, HEAD + b"\r\n\r\n" + b"{" * 65000))
        wait_until(lambda: agent.status_field("VmHWM") * 1024 > expected / 2, "what was sent")
        # HAProxy's check is answered by a connection more.
        assert run("probe", agent.address).returncode == 0
        most = agent.status_field("VmHWM") * 1024

    assert most < expected
    rest = quantity(container["resources"]["limits"]["memory"]) - size(bounds["MEMORY_LIMIT"])
    # Beside that, answers that nobody reads have 16 MiB.
    assert expected + 2**24 < rest
