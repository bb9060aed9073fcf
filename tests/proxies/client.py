"""Clients of the proxies."""

import base64
import http.client
import os
import socket
import subprocess
import time
from typing import NamedTuple

from processes import PATIENCE

HOST = "site.example"


class Answer(NamedTuple):
    status: int
    headers: dict
    body: bytes
    seconds: float


def ask(port, source, method="GET", target="/", headers=(), body=None):
    """One request over a connection of its own. A header may come several times."""
    fields = [("Host", HOST)] if "Host" not in dict(headers) else []
    began = time.monotonic()
    connection = http.client.HTTPConnection("127.0.0.1", port, 60, source_address=(source, 0))
    try:
        connection.putrequest(method, target, skip_host=True, skip_accept_encoding=True)
        for name, value in [*fields, ("Connection", "close"), *headers]:
            connection.putheader(name, value)
        if body is not None:
            connection.putheader("Content-Length", str(len(body)))
        connection.endheaders(body)
        response = connection.getresponse()
        content = response.read()
    finally:
        connection.close()
    got = {name.lower(): value for name, value in response.getheaders()}
    return Answer(response.status, got, content, time.monotonic() - began)


def statuses(port, source, count, **request):
    return [ask(port, source, **request).status for _ in range(count)]


def exchange(port, data, source):
    """Sends these bytes, and waits for an answer or for the end of the connection."""
    got = b""
    with socket.create_connection(("127.0.0.1", port), PATIENCE, (source, 0)) as connection:
        try:
            connection.sendall(data)
            while b"\r\n\r\n" not in got and (more := connection.recv(65536)):
                got += more
        except ConnectionError:
            pass


def curl(port, source, *options):
    """The status and the version of HTTP of curl's answer."""
    done = subprocess.run(
        ["curl", "--silent", "--show-error", "--interface", source, "--max-time", str(PATIENCE),
         "--output", "/dev/null", "--write-out", "%{http_code} %{http_version}",
         "--header", f"Host: {HOST}", *options, f"http://127.0.0.1:{port}/"],
        capture_output=True, text=True, check=False)
    # curl fails when the answer comes before it has sent the whole body, but the status is there.
    status, version = done.stdout.split()
    assert status != "000", done.stderr
    return int(status), version


class Talk:
    """A connection on which a test says what it wants, and reads what comes."""

    def __init__(self, port, source, data=b""):
        self.socket = socket.create_connection(("127.0.0.1", port), 60, (source, 0))
        self.unread = b""
        self.send(data)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def send(self, data):
        self.socket.sendall(data)

    def read(self, size):
        while len(self.unread) < size:
            self._receive()
        data, self.unread = self.unread[:size], self.unread[size:]
        return data

    def read_answer(self):
        """The status of the answer that ends the waiting: a proxy may say 100 more than once."""
        while (status := self.read_head()) == 100:
            pass
        return status

    def read_head(self):
        """The status of what comes."""
        while b"\r\n\r\n" not in self.unread:
            self._receive()
        head, self.unread = self.unread.split(b"\r\n\r\n", 1)
        return int(head.split(b" ", 2)[1])

    def _receive(self):
        data = self.socket.recv(65536)
        assert data, f"the connection ended after {self.unread}"
        self.unread += data


def open_websocket(port, source):
    key = base64.b64encode(os.urandom(16)).decode()
    return Talk(port, source, (
        f"GET /socket HTTP/1.1\r\nHost: {HOST}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n").encode())
