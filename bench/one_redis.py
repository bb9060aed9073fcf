"""For bench/run-*: a Redis of its own, on a Unix socket, and the script of the limiters."""

import os
import pathlib
import socket
import subprocess
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]
BATCH = 500  # calls on their way at once


def script():
    """The files in the order of CMakeLists.txt."""
    around = ["contract.lua", "state.lua", "main.lua"]
    algorithms = sorted({path.name for path in (ROOT / "lua").glob("*.lua")} - set(around))
    return "".join((ROOT / "lua" / name).read_text()
                   for name in [*around[:2], *algorithms, around[2]])


class Redis:
    """`command` is a list of words, such as ["redis-server"]; `path` that of its socket."""

    def __init__(self, command, path):
        options = ("--port", "0", "--unixsocket", path, "--save", "", "--appendonly", "no", "--dir",
                   os.path.dirname(path))
        self.process = subprocess.Popen([*command, *options], stdout=subprocess.DEVNULL)
        self.socket = socket.socket(socket.AF_UNIX)
        for attempt in range(100):
            try:
                self.socket.connect(path)
                break
            except OSError:
                if attempt == 99:
                    raise
                time.sleep(0.05)
        self.replies = self.socket.makefile("rb")

    def _read(self):
        line = self.replies.readline()
        kind, rest = line[:1], line[1:-2]
        if kind == b"-":
            return RuntimeError(rest.decode())
        if kind == b"*":
            return [self._read() for _ in range(int(rest))]
        if kind == b"$":
            return self.replies.read(int(rest) + 2)[:-2] if int(rest) >= 0 else None
        return int(rest) if kind == b":" else rest

    def read(self):
        """An error is raised as an exception, unless it stands inside an array."""
        reply = self._read()
        if isinstance(reply, RuntimeError):
            raise reply
        return reply

    def ask(self, *commands):
        """Each is a list of words; returns the replies."""
        for first in range(0, len(commands), BATCH):
            batch = commands[first:first + BATCH]
            self.socket.sendall(b"".join(
                b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%b\r\n" % (len(word), word)
                                                   for word in words)
                for words in ([word if isinstance(word, bytes) else str(word).encode()
                               for word in command] for command in batch)))
            yield from [self.read() for _ in batch]

    def end(self):
        self.process.terminate()
        self.process.wait()
