"""What systemd is to a service: the socket that the service tells its state to."""

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
