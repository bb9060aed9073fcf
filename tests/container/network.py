"""A network between this machine and a container with a namespace of its own."""

import itertools
import os
import subprocess
from pathlib import Path

NUMBERS = itertools.count()


def ip(*words):
    subprocess.run(["ip", *words], check=True, capture_output=True, text=True)


class Network:
    """`path` is the namespace; `v4` and `v6` are its addresses, from ranges for tests."""

    def __init__(self, has_ipv6=True):
        number = os.getpid() % 8000 * 8 + next(NUMBERS) % 8  # a subnet of 4 of 198.18.0.0/15
        self.name = f"rl-{os.getpid()}-{number}"
        self.path = Path("/run/netns") / self.name
        prefix = f"198.{18 + number // 16384}.{number // 64 % 256}."
        here, self.v4 = prefix + str(number % 64 * 4 + 1), prefix + str(number % 64 * 4 + 2)
        prefix = f"fd00:5b0a:{number:x}::"
        self.v6, self.outside, inside = prefix + "2", f"rl{number}a", f"rl{number}b"
        ip("netns", "add", self.name)
        ip("link", "add", self.outside, "type", "veth", "peer", "name", inside, "netns", self.name)
        self._inside("sysctl", "-qw", f"net.ipv6.conf.all.disable_ipv6={int(not has_ipv6)}")
        self._inside("ip", "addr", "add", f"{self.v4}/30", "dev", inside)
        ip("addr", "add", f"{here}/30", "dev", self.outside)
        if has_ipv6:
            self._inside("ip", "addr", "add", f"{self.v6}/126", "dev", inside, "nodad")
            ip("addr", "add", f"{prefix}1/126", "dev", self.outside, "nodad")
        ip("link", "set", self.outside, "up")
        self._inside("ip", "link", "set", inside, "up")
        self._inside("ip", "link", "set", "lo", "up")

    def _inside(self, *words):
        ip("netns", "exec", self.name, *words)

    def finish(self):
        ip("link", "del", self.outside)
        ip("netns", "del", self.name)
