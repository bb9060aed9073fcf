"""Nodes of a Redis Cluster that lie: about who owns which slot, and where a request is to go.

tests/unit/store/redis/test_redis_slots.c has more lies, and tests/fuzz/fuzz_redis_slots.c looks for
others."""

import socketserver

import pytest

from agent import bucket, policies_text
from cases import named
from fake_redis import Server, read_value
from processes import wait_until

INFO = "redis_version:7.0.15\r\nredis_mode:cluster\r\nrole:master\r\n"
POLICIES = policies_text(p=bucket(10, "1/1h", ["k"]))


def encode(value):
    """In Redis' protocol."""
    if value is None:
        return b"$-1\r\n"
    if isinstance(value, int):
        return b":%d\r\n" % value
    if isinstance(value, str):
        return b"$%d\r\n%s\r\n" % (len(value), value.encode())
    return b"*%d\r\n" % len(value) + b"".join(map(encode, value))


def slot_of(key):
    """Of a key without a hash tag: CRC-16/XMODEM, as the specification of Redis Cluster has it."""
    crc = 0
    for byte in key:
        crc ^= byte << 8
        for _ in range(8):
            crc = (crc << 1 ^ (0x1021 if crc & 0x8000 else 0)) & 0xffff
    return crc % 16384


class LyingNode(Server):
    """`map_of` makes the reply to CLUSTER SLOTS of this node's own entry. `error_of` makes the
    error that answers a script, of the slot of its first key and this node's port."""

    def __init__(self, map_of, error_of=lambda slot, port: "ERR it runs no script"):
        super().__init__(LyingHandler)
        self.port, self.error_of, self.scripts = self.server_address[1], error_of, 0
        self.map = encode(map_of(["127.0.0.1", self.port, "id"]))
        self.url = f"redis+cluster://127.0.0.1:{self.port}"

    def reply(self, words):
        if words[0] == b"CLUSTER":
            return self.map
        if words[0] == b"EVALSHA":
            self.scripts += words[3].startswith(b"rl:p:")
            return f"-{self.error_of(slot_of(words[3]), self.port)}\r\n".encode()
        return {b"INFO": encode(INFO), b"SCRIPT": encode("0" * 40), b"PING": b"+PONG\r\n",
                b"PTTL": encode(-2), b"CONFIG": encode([])}.get(words[0], b"+OK\r\n")


class LyingHandler(socketserver.StreamRequestHandler):
    disable_nagle_algorithm = True

    def handle(self):
        while command := read_value(self.rfile):
            self.wfile.write(self.server.reply(command.split(b"\r\n")[2::2]))


@pytest.fixture(name="start_node")
def start_lying_node(started):
    def start(*arguments):
        node = LyingNode(*arguments)
        started.append(node)
        return node
    return start


LIES = {
    "ranges that overlap": (lambda node: [[0, 9000, node], [8000, 16383, ["10.0.0.1", 1, "b"]]],
                            "two servers"),
    "a range beyond the last slot": (lambda node: [[0, 16384, node]], "does not exist"),
    "no node": (lambda _: [[0, 16383]], "shape"),
    "a node without a port": (lambda _: [[0, 16383, ["127.0.0.1"]]], "shape"),
    "port 0": (lambda _: [[0, 16383, ["127.0.0.1", 0, "a"]]], "valid port"),
    "100,000 ranges": (lambda node: [[0, 0, node]] * 100_000, "too long"),
    "600 nodes": (lambda _: [[n, n, ["127.0.0.1", n + 1, "a"]] for n in range(600)],
                  "more servers"),
    "nested rubbish": (lambda node: [[0, 1, [[[None, node]]]]], "shape"),
    "a text": (lambda _: "nonsense", "shape"),
    "an address with a newline": (lambda _: [[0, 16383, ["a\r\nb", 1, "a"]]], "valid address"),
}


@pytest.mark.parametrize("lie, says", named(LIES))
def test_a_map_that_lies_is_refused_and_told(start_node, start_agent, lie, says):
    """Requests get their `on_error` at once, and the log says once what to look at."""
    node = start_node(lie)
    agent = start_agent("--on-error", "deny", store=node.url, policies=POLICIES)
    down = agent.wait_for_event("store_down", kind="other")
    with agent.connect() as peer:
        for n in range(50):
            verdict = peer.ask(k=f"x{n}")
            assert (verdict.reason, verdict.allowed) == ("error", False)

    assert says in down["reason"] and f"127.0.0.1:{node.port}: " in down["reason"]
    assert "redis-cli --cluster check" in down["reason"] or "--store" in down["reason"]
    asked = node.connections
    wait_until(lambda: node.connections > asked + 3, "more tries")
    assert len(agent.events("store_down", kind="other")) == 1


@pytest.mark.alone
def test_a_huge_map_again_and_again_needs_no_more_memory(start_node, start_agent):
    """5 MB of ranges at each connection."""
    node = start_node(lambda node: [[0, 0, node]] * 100_000)
    agent = start_agent(store=node.url, policies=POLICIES)
    wait_until(lambda: node.connections > 3, "some tries", 60)
    before = agent.rss_bytes()
    asked = node.connections
    wait_until(lambda: node.connections > asked + 5, "more tries", 60)

    assert agent.rss_bytes() < before + 4 * 2**20


REDIRECTS = {
    "moved to itself": (lambda slot, port: f"MOVED {slot} 127.0.0.1:{port}", 7),
    "asked at itself": (lambda slot, port: f"ASK {slot} 127.0.0.1:{port}", 7),
    "moved to where nobody is": (lambda slot, _: f"MOVED {slot} 127.0.0.1:1", 1),
    "asked at an address that is none": (lambda slot, _: f"ASK {slot} a/b:1", 1),
    "another slot": (lambda slot, port: f"MOVED {slot ^ 1} 127.0.0.1:{port}", 1),
    "no slot": (lambda slot, _: "MOVED 99999 127.0.0.1:1", 1),
    "try again": (lambda slot, _: "TRYAGAIN Multiple keys request during rehashing of slot", 2),
    "down": (lambda slot, _: "CLUSTERDOWN Hash slot not served", 1),
}


@pytest.mark.parametrize("error_of, scripts_max", named(REDIRECTS))
def test_a_redirect_that_leads_nowhere_is_an_error_of_its_request(start_node, start_agent,
                                                                 error_of, scripts_max):
    """A request is sent on 6 times at most, and then its `on_error` decides."""
    node = start_node(lambda node: [[0, 16383, node]], error_of)
    agent = start_agent("--store-timeout", "5s", "--on-error", "deny", store=node.url,
                        policies=POLICIES)
    agent.wait_for_event("store_up")
    with agent.connect() as peer:
        for n in range(20):
            verdict = peer.ask(k=f"x{n}")
            assert (verdict.reason, verdict.allowed) == ("error", False)

    assert node.scripts <= 20 * scripts_max
    assert len(agent.events("store_error", kind="moved")) <= 1


def test_slots_that_nobody_owns_are_told_with_what_to_do(start_node, start_agent):
    node = start_node(lambda node: [[0, 0, node]])
    agent = start_agent("--on-error", "deny", store=node.url, policies=POLICIES)
    agent.wait_for_event("store_up")
    with agent.connect() as peer:
        for n in range(50):
            assert peer.ask(k=f"x{n}").reason == "error"

    (said,) = agent.events("store_error", kind="moved")
    assert "redis-cli --cluster fix" in said["reason"]
