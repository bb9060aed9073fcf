"""Redis and Valkey, and a client for them that shares no code with the agent."""

import itertools
import os
import socket

from processes import Process, wait_until
from trees import program

# The tree of each server, and its program. The first is the one of Debian 12, which most tests use.
FLAVOURS = {
    "redis-7.0": ("bookworm", "usr/bin/redis-server"),
    "redis-8.0": ("trixie", "usr/bin/redis-server"),
    "valkey-8.1": ("trixie", "usr/bin/valkey-server"),
}
if "ALL_SERVERS" in os.environ:  # as scripts/lib/matrix sets it
    FLAVOURS["valkey-9"] = ("forky", "usr/bin/valkey-server")


class Refused(Exception):
    """An error reply."""


def encoded(words):
    data = [word if isinstance(word, bytes) else str(word).encode() for word in words]
    return b"*%d\r\n" % len(data) + b"".join(
        b"$%d\r\n%s\r\n" % (len(word), word) for word in data)


class Client:
    """One connection. An error reply is raised as an exception, unless it stands inside an
    array."""

    def __init__(self, address, user="default", password=None):
        family = socket.AF_UNIX if isinstance(address, str) else socket.AF_INET
        self.socket = socket.socket(family)
        self.socket.settimeout(5)
        self.socket.connect(address)
        self.reader = self.socket.makefile("rb")
        if password is not None:
            self.ask("AUTH", user, password)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.reader.close()
        self.socket.close()

    def ask(self, *words):
        return self.ask_all([words])[0]

    def ask_all(self, commands):
        """Sends all commands in one write; the replies."""
        self.socket.sendall(b"".join(map(encoded, commands)))
        replies = [self._read() for _ in commands]
        for reply in replies:
            if isinstance(reply, Refused):
                raise reply
        return replies

    def _read(self):
        line = self.reader.readline()
        if not line.endswith(b"\r\n"):
            raise ConnectionError("the server closed the connection")
        kind, rest = line[:1], line[1:-2]
        if kind == b"-":
            return Refused(rest.decode())
        if kind == b"+":
            return rest.decode()
        count = int(rest)
        if kind == b":":
            return count
        if count < 0:
            return None
        if kind == b"$":
            return self.reader.read(count + 2)[:-2]
        assert kind == b"*", line
        return [self._read() for _ in range(count)]


def reserve_port():
    """Reserves a port of 127.0.0.1 for Redis, also over restarts, for as long as this socket is
    open.

    Redis binds with SO_REUSEADDR, and so does this socket; the system gives the port to nobody who
    asks for any port. This socket never listens, so connections are refused while Redis is away.
    """
    reserved = socket.socket()
    reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    reserved.bind(("127.0.0.1", 0))
    return reserved.getsockname()[1], reserved


class Redis(Process):
    """A server that starts at once, unless `is_started` is false, keeps its port, and writes no
    files.

    With `unix` it listens at that path only. `password` is for the connections of this class;
    `options` are those of Redis, such as ("--maxmemory", "1mb").
    """

    def __init__(self, flavour, directory, options=(), password=None, unix=None, is_started=True):
        self.flavour, self.directory, self.password = flavour, directory, password
        self.port, self.reserved = reserve_port()
        self.address = str(unix) if unix else ("127.0.0.1", self.port)
        self.numbers = itertools.count()
        listen = ["--port", 0, "--unixsocket", unix] if unix else ["--port", self.port]
        own = ["--requirepass", password] if password else []
        self.options = [*listen, *own, *options]
        self.popen = None
        if is_started:
            self.start()

    @property
    def url(self):
        if isinstance(self.address, str):
            return f"redis+unix://{self.address}"
        return f"redis://127.0.0.1:{self.port}"

    def start(self):
        """Starts the server. After a kill it may be started again, and is empty then."""
        super().__init__(
            [*program(*FLAVOURS[self.flavour]), *self._configuration()],
            self.directory / f"redis{next(self.numbers)}.log")
        wait_until(self.is_ready, f"Redis, see {self.output}")

    def _configuration(self):
        return ["--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir",
                self.directory, *self.options]

    def is_ready(self):
        assert self.is_running(), f"Redis ended:\n{self.output.read_text()}"
        try:
            self.ask("PING")
            return True
        except (OSError, Refused):
            return False

    def is_running(self):
        return self.popen is not None and super().is_running()

    def ask(self, *words):
        """The reply to one command, which is sent over a new connection."""
        with Client(self.address, password=self.password) as client:
            return client.ask(*words)

    def ask_all(self, commands):
        """The replies to commands that are sent at once, over a new connection."""
        with Client(self.address, password=self.password) as client:
            return client.ask_all(commands)

    def keys(self, pattern="*"):
        return sorted(self.ask("KEYS", pattern))

    def commands(self):
        """How many commands the server has got so far, with those of this class."""
        return int(self.ask("INFO", "stats").split(b"total_commands_processed:")[1].split()[0])

    def kill(self):
        if self.popen is not None:
            super().kill()

    def finish(self):
        self.kill()
        self.reserved.close()


class Sentinel(Redis):
    """`redis-server FILE --sentinel`, which writes to FILE. `conf` is the text of a new FILE; a
    Sentinel that is started again finds what it wrote."""

    def __init__(self, flavour, directory, options=(), conf="", **keywords):
        self.conf = directory / "sentinel.conf"
        self.conf.write_text(conf)
        super().__init__(flavour, directory, options, **keywords)

    def _configuration(self):
        return [self.conf, "--sentinel", "--bind", "127.0.0.1", *self.options]

    def master(self, name="mymaster"):
        """What it says of the master, by field."""
        words = [word.decode() for word in self.ask("SENTINEL", "MASTER", name)]
        return dict(zip(words[::2], words[1::2]))
