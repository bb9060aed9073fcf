"""Runs the parts of haproxy-conf/compose.yaml on this machine, without an engine that knows
Compose."""

import yaml

from haproxy import INSTALLED, SHIPPED_SPOE, Haproxy, replace_all, reserve_port
from processes import ROOT, Process

COMPOSE_FILE = ROOT / "haproxy-conf/compose.yaml"
COMPOSE = yaml.safe_load(COMPOSE_FILE.read_text())
HAPROXY_CONF = ROOT / "haproxy-conf/compose-haproxy.cfg"


class ComposeHaproxy(Haproxy):
    """HAProxy with the files of the compose file; the agents have the addresses given."""

    def __init__(self, suite, directory, agents, spoe=(), conf=()):
        self.suite, self.directory, self.generation, self.previous = suite, directory, 0, []
        self.port, self.reserved = reserve_port()
        (directory / "spoe.conf").write_text(replace_all(SHIPPED_SPOE.read_text(), spoe))
        addresses = [(f"agent{n + 1}:12345", address) for n, address in enumerate(agents)]
        self.conf = directory / "haproxy.cfg"
        self.conf.write_text(replace_all(HAPROXY_CONF.read_text(), [
            (f"{INSTALLED}ratelimit-spoe.conf", str(directory / "spoe.conf")),
            ("bind :8080", f"bind 127.0.0.1:{self.port}"), *addresses, *conf]))
        # Haproxy.__init__ is not called, since it would take the other configuration.
        Process.__init__(  # pylint: disable=non-parent-init-called,super-init-not-called
            self, self._command(), directory / "haproxy.log")
