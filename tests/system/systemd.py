"""What systemd is to a service: the socket that the service tells its state to."""

import fcntl
import os
import socket
import time

from processes import PATIENCE


class Manager:
    """Takes what a service tells by sd_notify(3). `name` is a path, or `@` and a name."""

    def __init__(self, name):
        self.name = str(name)
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(self.name.replace("@", "\0", 1) if self.name[0] == "@" else self.name)
        self.socket.settimeout(PATIENCE)
        self.told = []

    def environment(self, watchdog_us=None):
        watchdog = {} if watchdog_us is None else {"WATCHDOG_USEC": str(watchdog_us)}
        return {"NOTIFY_SOCKET": self.name, **watchdog}

    def read(self):
        """The next datagram, as a dict."""
        text = self.socket.recv(65536).decode()
        self.told.append(dict(line.split("=", 1) for line in text.split("\n")))
        return self.told[-1]

    def wait_for(self, name, is_it=lambda value: True):
        """Reads until the service tells `name` with such a value, and returns the datagram."""
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            told = self.read()
            if name in told and is_it(told[name]):
                return told
        raise AssertionError(f"no {name} among {self.told}")

    def drop_all(self):
        """Reads what is there, and waits for nothing."""
        self.socket.setblocking(False)
        try:
            while True:
                self.socket.recv(65536)
        except BlockingIOError:
            self.socket.settimeout(PATIENCE)

    def is_silent_for(self, seconds):
        self.socket.settimeout(seconds)
        try:
            self.socket.recv(65536)
        except (TimeoutError, BlockingIOError):
            return True
        finally:
            self.socket.settimeout(PATIENCE)
        return False

    def finish(self):
        self.socket.close()
        if self.name[0] != "@":
            os.unlink(self.name)


class Sockets:
    """The sockets of .socket units, which stay when their service ends. `named` has a list of
    addresses for each FileDescriptorName: "127.0.0.1:0", or a path, or `@` and a name."""

    def __init__(self, **named):
        self.opened = [(name, self._listen(address)) for name in named for address in named[name]]

    @staticmethod
    def _listen(address):
        if address[0] in "/@":
            made = socket.socket(socket.AF_UNIX)
            made.bind(address.replace("@", "\0", 1) if address[0] == "@" else address)
        else:
            host, port = address.rsplit(":", 1)
            made = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
            made.bind((host.strip("[]"), int(port)))
        made.listen(1024)
        # Out of the way of the descriptors from 3 on, where the service finds them.
        high = socket.socket(fileno=fcntl.fcntl(made.fileno(), fcntl.F_DUPFD_CLOEXEC, 100))
        made.close()
        return high

    def address(self, name, place=0):
        """Where the first socket of this name listens, or the so-manieth behind it."""
        found = [made for known, made in self.opened if known == name][place]
        host, port = found.getsockname()[:2]
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"

    def activate(self, names=None, **environment):
        """Keywords for Agent and the like, so that the process inherits the sockets. The shell becomes
        the process, so LISTEN_PID is right; Debian's other shell knows no descriptors above 9."""
        moves = " ".join(f"{3 + n}<&{made.fileno()}" for n, (_, made) in enumerate(self.opened))
        names = ":".join(name for name, _ in self.opened) if names is None else names
        return {"wrapper": ["/bin/bash", "-c", f'LISTEN_PID=$$ exec "$@" {moves}', "bash"],
                "pass_fds": [made.fileno() for _, made in self.opened],
                "env": {"LISTEN_FDS": str(len(self.opened)), "LISTEN_FDNAMES": names,
                        **environment}}

    def finish(self):
        for _, made in self.opened:
            name = made.family == socket.AF_UNIX and made.getsockname()
            made.close()
            if name and isinstance(name, str):
                os.unlink(name)
