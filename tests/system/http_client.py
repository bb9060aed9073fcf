"""Clients of the agent's HTTP port: one for requests, and raw connections for bytes that no
client sends."""

import http.client
import json
import socket
from typing import NamedTuple
from urllib.parse import urlencode

import spop
from agent import bucket, policies_text, window
from processes import PATIENCE

CAPACITY = 5

# None of these balances visibly grows during a test.
POLICIES = policies_text(
    login=bucket(CAPACITY, key=["src"]), second=window(100, key=["user"]),
    wide=bucket(10**6, key=["wide"]),
    third=window(100, algorithm="fixed_window", key=["fixed"]))


class Answer(NamedTuple):
    status: int
    headers: dict
    body: bytes

    @property
    def json(self):
        return json.loads(self.body)

    @property
    def type(self):
        return self.headers.get("content-type")

    @property
    def left(self):
        return self.json["remaining"]


def parse_fields(lines):
    fields = {}
    for line in lines:
        name, value = line.split(b":", 1)
        assert name.lower() not in fields, f"{name} came twice"
        fields[name.lower()] = value.strip()
    return {name.decode().lower(): value.decode() for name, value in fields.items()}


class Raw:
    """A connection that sends any bytes, and reads answers without changing them."""

    def __init__(self, address, data=b""):
        self.socket, self.buffer = spop.open_socket(address), b""
        self.send(data)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.socket.close()

    def send(self, data):
        """Sends bytes; those that the agent does not read any more may be lost."""
        try:
            self.socket.sendall(data)
        except (BrokenPipeError, ConnectionResetError):
            pass

    def end_sending(self):
        self.socket.shutdown(socket.SHUT_WR)

    def _receive(self):
        data = self.socket.recv(65536)
        self.buffer += data
        return bool(data)

    def read_answer(self, is_head=False):
        """The next answer, or None when the connection ends before it."""
        try:
            while b"\r\n\r\n" not in self.buffer:
                if not self._receive():
                    assert not self.buffer, self.buffer
                    return None
            head, self.buffer = self.buffer.split(b"\r\n\r\n", 1)
            line, *fields = head.split(b"\r\n")
            version, status, _ = line.split(b" ", 2)
            assert version == b"HTTP/1.1", line
            headers = parse_fields(fields)
            length = 0 if is_head or status == b"100" else int(headers["content-length"])
            while len(self.buffer) < length:
                assert self._receive(), "the answer is cut"
        except ConnectionResetError:
            return None
        body, self.buffer = self.buffer[:length], self.buffer[length:]
        return Answer(int(status), headers, body)

    def read_all(self):
        """Every answer, until the connection ends."""
        answers = []
        while (answer := self.read_answer()) is not None:
            answers.append(answer)
        return answers

    def is_ended(self):
        """Waits for the end of the connection; false if something else comes."""
        try:
            return not self._receive()
        except ConnectionResetError:
            return True


class HttpClient:
    """A client that keeps one connection, and opens a new one when the agent has closed it."""

    def __init__(self, agent, address=None):
        self.agent, self.address = agent, address or agent.http_address
        host, port = self.address.rsplit(":", 1)
        self.connection = http.client.HTTPConnection(host.strip("[]"), int(port), PATIENCE)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.connection.close()

    @property
    def url(self):
        return f"http://{self.address}"

    def request(self, method, path, body=None, headers=None):
        self.connection.request(method, path, body, headers or {})
        response = self.connection.getresponse()
        names = [name.lower() for name, _ in response.getheaders()]
        assert len(names) == len(set(names)), f"a header came twice: {names}"
        fields = {name.lower(): value for name, value in response.getheaders()}
        return Answer(response.status, fields, response.read())

    def get(self, path, headers=None):
        return self.request("GET", path, headers=headers)

    def check_get(self, headers=None, **parameters):
        return self.get("/check?" + urlencode(parameters), headers)

    def post(self, body, path="/check", headers=None):
        """`body` is bytes, which are sent as they are, or a value that is written as JSON."""
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        return self.request("POST", path, data,
                            {"Content-Type": "application/json", **(headers or {})})

    def check(self, **fields):
        return self.post(fields)

    def raw(self, data=b""):
        return Raw(self.address, data)

    def left(self, key, policy="login"):
        """How many units a key has left; this question does not charge the key."""
        return self.check(policy=policy, key=key, cost=0).left


def post_bytes(body, path="/check", content_type="application/json", extra=""):
    """The bytes of a whole POST request."""
    head = (f"POST {path} HTTP/1.1\r\nHost: agent\r\nContent-Type: {content_type}\r\n"
            f"Content-Length: {len(body)}\r\n{extra}\r\n")
    return head.encode() + body


def get_bytes(path, extra="", version="HTTP/1.1", host="agent"):
    return f"GET {path} {version}\r\nHost: {host}\r\n{extra}\r\n".encode("latin-1")


def assert_problem(answer, status, *words):
    """The answer must be a problem of RFC 9457 whose detail has those words."""
    assert answer.status == status, answer
    assert answer.type == "application/problem+json"
    assert set(answer.json) == {"type", "title", "status", "detail"}
    assert answer.json["status"] == status
    assert answer.json["type"] == "about:blank"
    assert answer.json["title"] and all(word in answer.json["detail"] for word in words), answer
