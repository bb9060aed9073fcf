"""HAProxy of three Debian releases, running the files that haproxy-conf/ ships."""

import socket
import subprocess

from processes import ROOT, Process, wait_until
from trees import program

SHIPPED = ROOT / "haproxy-conf"
SHIPPED_CONF, SHIPPED_SPOE = SHIPPED / "haproxy.cfg", SHIPPED / "ratelimit-spoe.conf"
INSTALLED = "/etc/haproxy/"
HAPROXY = "usr/sbin/haproxy"
SUITES = {"bookworm": "haproxy-2.6", "trixie": "haproxy-3.0", "forky": "haproxy-3.2"}

SHIPPED_LOG = "log stdout format raw daemon notice"
# In place of it, a line of each request.
LOG_REQUESTS = "log stdout format raw daemon info"

# What the tests need besides the shipped file; HAProxy merges the two files.
OWN_GLOBAL = """global
    stats socket {socket} mode 600 level admin expose-fd listeners
    {threads}

"""
# A thread drops its line of the log while another thread writes one to standard output.
ONE_THREAD = "nbthread 1"


def replace_all(text, replacements):
    for old, new in replacements:
        assert old in text, f"{old!r} does not stand there"
        text = text.replace(old, new)
    return text


def shipped_files(directory, addresses=(), spoe=(), conf=(), folder=SHIPPED):
    """Copies haproxy.cfg, ratelimit-spoe.conf and the maps of `folder`, with the (old, new)
    replacements."""
    conf = [(f"{INSTALLED}ratelimit-spoe.conf", str(directory / "spoe.conf")), *addresses, *conf]
    for table in folder.glob("*.map"):
        (directory / table.name).write_text(table.read_text())
        conf = [(INSTALLED + table.name, str(directory / table.name)), *conf]
    (directory / "spoe.conf").write_text(
        replace_all((folder / "ratelimit-spoe.conf").read_text(), spoe))
    (directory / "haproxy.cfg").write_text(replace_all((folder / "haproxy.cfg").read_text(), conf))
    return directory / "haproxy.cfg"


def check(suite, conf):
    """Runs haproxy -c, which prints its warnings."""
    return subprocess.run([*program(suite, HAPROXY), "-c", "-f", conf], text=True,
                          capture_output=True, check=False)


def reserve_port():
    """Reserves a port of 127.0.0.1 and ::1 for HAProxy, for as long as the returned sockets are
    open.

    HAProxy binds with SO_REUSEPORT, and so do these sockets; nobody else gets the port. These
    sockets never listen, so every connection goes to HAProxy.
    """
    for _ in range(100):
        v4, v6 = socket.socket(socket.AF_INET), socket.socket(socket.AF_INET6)
        for reserved in (v4, v6):
            reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        v4.bind(("127.0.0.1", 0))
        port = v4.getsockname()[1]
        try:
            v6.bind(("::1", port))
            return port, (v4, v6)
        except OSError:  # the port is taken on ::1
            v4.close()
            v6.close()
    raise AssertionError("no port is free on 127.0.0.1 and ::1")


class Haproxy(Process):
    """`spoe` and `conf` are further replacements in the files of `folder`."""

    def __init__(self, suite, directory, agent_address, origin_address, **changes):
        self.suite, self.directory, self.generation = suite, directory, 0
        self.port, self.reserved = reserve_port()
        agent_address = agent_address.replace("unix:", "unix@")
        self.conf = shipped_files(directory, **changes, addresses=[
            ("bind :80", f"bind 127.0.0.1:{self.port}\n    bind [::1]:{self.port}"),
            ("127.0.0.1:8000", origin_address),
            ("127.0.0.1:12345", agent_address)])
        self.previous = []
        super().__init__(self._command(), directory / "haproxy.log")

    @property
    def control(self):
        return self.directory / f"control{self.generation}"

    def _command(self, *options):
        own = self.directory / f"own{self.generation}.cfg"
        is_logging = " daemon info\n" in self.conf.read_text()
        own.write_text(OWN_GLOBAL.format(socket=self.control,
                                         threads=ONE_THREAD if is_logging else ""))
        return [*program(self.suite, HAPROXY), "-db", "-f", own, "-f", self.conf, *options]

    def ask(self, command):
        """Sends a command to the socket of the running HAProxy, and returns the answer."""
        with socket.socket(socket.AF_UNIX) as control:
            control.connect(str(self.control))
            control.sendall(command.encode() + b"\n")
            return b"".join(iter(lambda: control.recv(65536), b"")).decode()

    def is_up(self):
        assert self.is_running(), f"HAProxy ended:\n{self.output.read_text()}"
        try:
            return f"Pid: {self.pid}\n" in self.ask("show info")
        except OSError:
            return False

    def wait_until_up(self):
        wait_until(self.is_up, f"HAProxy, see {self.output}")

    def agent_field(self, field, server="agent1"):
        """A field of HAProxy's statistics about an agent."""
        rows = [row.split(",") for row in self.ask("show stat").splitlines()]
        return next(dict(zip(rows[0], row))[field] for row in rows
                    if row[:2] == ["ratelimit-agents", server])

    def agent_is(self, state):
        """Whether HAProxy's check says this of the agent: UP or DOWN."""
        return self.agent_field("status") == state

    def sessions(self, server):
        """How many connections HAProxy opened to an agent so far."""
        return int(self.agent_field("stot", server))

    def reload(self):
        """Starts a new process, which takes over the listening sockets; the old one ends when it
        is done."""
        old_control, old = self.control, self.popen
        self.generation += 1
        self.previous.append(old)
        super().__init__(self._command("-x", old_control, "-sf", str(old.pid)), self.output)
        self.wait_until_up()

    def failed_asks(self):
        """How often HAProxy got no answer of the agent. It logs a line for each (option
        dontlog-normal)."""
        return sum("SPOE: " in line and " st=0 " not in line for line in self.lines())

    def kill(self):
        super().kill()
        for old in self.previous:
            if old.poll() is None:
                old.kill()
            old.wait()
        for reserved in self.reserved:
            reserved.close()
