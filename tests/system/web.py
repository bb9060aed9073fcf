"""A client of the frontend of HAProxy."""

import http.client
import socket
import threading
import time
from typing import NamedTuple

from processes import PATIENCE, wait_until

LIMIT_HEADERS = {"ratelimit", "ratelimit-policy", "retry-after"}


class Answer(NamedTuple):
    status: int
    headers: dict
    began: float
    ended: float

    @property
    def limits(self):
        """The headers that rate limiting sets, by their names in lower case."""
        return {name: value for name, value in self.headers.items() if name in LIMIT_HEADERS}

    @property
    def was_asked(self):
        """Whether the answer has a verdict of the agent. HAProxy goes on without one after 50
        ms."""
        return "ratelimit" in self.headers

    @property
    def seconds(self):
        return self.ended - self.began


def get(port, source="127.0.0.1", method="GET", path="/", headers=()):
    """Sends one request over a new connection, from an address of loopback."""
    host = "::1" if ":" in source else "127.0.0.1"
    connection = http.client.HTTPConnection(host, port, PATIENCE, source_address=(source, 0))
    began = time.monotonic()
    try:
        connection.request(method, path, headers={"Connection": "close", **dict(headers)})
        response = connection.getresponse()
        response.read()
    finally:
        connection.close()
    got = {name.lower(): value for name, value in response.getheaders()}
    assert len(got) == len(response.getheaders()), "a header came twice"
    return Answer(response.status, got, began, time.monotonic())


def exchange(port, data, source="127.0.0.1"):
    """Sends these bytes, and returns all that comes until the connection ends."""
    with socket.create_connection(("127.0.0.1", port), PATIENCE, (source, 0)) as connection:
        connection.sendall(data)
        return b"".join(iter(lambda: connection.recv(65536), b""))


def get_asked(port, source="127.0.0.1", **request):
    """Asks until an answer has a verdict of the agent, and returns that answer."""
    def asked():
        answer = get(port, source, **request)
        return answer if answer.was_asked else None
    return wait_until(asked, "an answer with limit headers")


def source_addresses():
    """Addresses of loopback, each with a balance of its own: 127.0.0.2, 127.0.0.3, …"""
    for number in range(2, 255):
        yield f"127.0.0.{number}"


class Load:
    """Clients with one source address that ask all the time, and keep the answers in order."""

    def __init__(self, port, source, clients=3):
        self.port, self.source = port, source
        self.answers, self.failures, self.is_over = [], [], threading.Event()
        self.threads = [threading.Thread(target=self._run) for _ in range(clients)]

    def _run(self):
        while not self.is_over.is_set():
            try:
                self.answers.append(get(self.port, self.source))
            except (OSError, http.client.HTTPException) as error:
                self.failures.append(repr(error))

    def wait_for_more(self, count):
        wanted = len(self.answers) + count
        wait_until(lambda: len(self.answers) >= wanted, f"{count} more answers")

    def wait_for(self, condition, what):
        """Waits for the first answer that fulfils the condition, to a request that is sent from
        now on."""
        now, seen = time.monotonic(), len(self.answers)
        return wait_until(lambda: next(
            (a for a in self.answers[seen:] if a.began >= now and condition(a)), None), what)

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.is_over.set()
        for thread in self.threads:
            thread.join()
