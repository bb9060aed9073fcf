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
        self.kept = []  # the file-descriptor store: (name, descriptor)
        self.most = 8  # descriptors that it has room for

    def environment(self, watchdog_us=None, keeps=False):
        watchdog = {} if watchdog_us is None else {"WATCHDOG_USEC": str(watchdog_us)}
        keeper = {"FDSTORE": "8"} if keeps else {}
        return {"NOTIFY_SOCKET": self.name, **watchdog, **keeper}

    def read(self):
        """The next datagram, as a dict. What it says of the file-descriptor store is done."""
        text, descriptors, _, _ = socket.recv_fds(self.socket, 65536, 8)
        told = dict(line.split("=", 1) for line in text.decode().split("\n"))
        self.told.append(told)
        if "FDSTORE" in told:
            for fd in descriptors:
                self.keep(told["FDNAME"], fd)
        elif "FDSTOREREMOVE" in told:
            self.forget(lambda name: name == told["FDNAME"])
        return told

    def keep(self, name, fd):
        """Out of the way, if there is room. Nobody is told that there is none."""
        if len(self.kept) < self.most:
            self.kept.append((name, fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 100)))
        os.close(fd)

    def forget(self, is_it=lambda name: True):
        for _, fd in filter(lambda kept: is_it(kept[0]), self.kept):
            os.close(fd)
        self.kept = [kept for kept in self.kept if not is_it(kept[0])]

    def wait_for(self, name, is_it=lambda value: True):
        """Reads until the service tells `name` with such a value, and returns the datagram."""
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            told = self.read()
            if name in told and is_it(told[name]):
                return told
        raise AssertionError(f"no {name} among {self.told}")

    def read_what_is_there(self):
        """Waits for nothing."""
        self.socket.setblocking(False)
        try:
            while True:
                self.read()
        except BlockingIOError:
            self.socket.settimeout(PATIENCE)

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
        self.forget()
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

    def activate(self, names=None, kept=(), **environment):
        """Keywords for Agent and the like, so that the process inherits the sockets, and behind them
        what a Manager kept. The shell becomes the process, so LISTEN_PID is right; Debian's other
        shell knows no descriptors above 9."""
        given = [(name, made.fileno()) for name, made in self.opened] + list(kept)
        moves = " ".join(f"{3 + n}<&{fd}" for n, (_, fd) in enumerate(given))
        names = ":".join(name for name, _ in given) if names is None else names
        return {"wrapper": ["/bin/bash", "-c", f'LISTEN_PID=$$ exec "$@" {moves}', "bash"],
                "pass_fds": [fd for _, fd in given],
                "env": {"LISTEN_FDS": str(len(given)), "LISTEN_FDNAMES": names,
                        **environment}}

    def finish(self):
        for _, made in self.opened:
            name = made.family == socket.AF_UNIX and made.getsockname()
            made.close()
            if name and isinstance(name, str):
                os.unlink(name)
