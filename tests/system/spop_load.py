"""Clients of the agent that ask all the time, and write down exactly what they asked and got."""

import collections
import functools
import itertools
import selectors
import threading
import time
from typing import NamedTuple

import spop
from processes import PATIENCE, wait_until


class Client:
    def __init__(self, address):
        self.peer = spop.Peer(address)
        self.frame_ids = itertools.count(1)
        self.waits_for = None  # (frame id, name of the request, when it was sent)


class Answer(NamedTuple):
    name: str
    sent: float
    read: float
    frame: spop.Frame

    @property
    def vars(self):
        return parsed(self.frame.payload)

    @property
    def is_allowed(self):
        return self.vars["allowed"]

    @property
    def is_degraded(self):
        return self.vars["degraded"]

    @property
    def seconds(self):
        return self.read - self.sent


@functools.lru_cache(maxsize=10_000)
def parsed(payload):
    return spop.parse_ack(spop.Frame(spop.ACK, spop.FIN, 1, 1, payload, len(payload))).vars


class SpopLoad:
    """`clients` connections to the addresses in turn. Each asks again `pause` seconds after its
    answer.
    Times are of the clock that Redis on the same machine reads too.

    `requests` are messages with names, and the clients send them in turn. An answer that belongs
    to no question, or a second one, counts as `wrong`; a question that is never answered counts
    as `lost`.
    """

    def __init__(self, addresses, requests, clients=20, pause=0):
        self.pause, self.pausing = pause, collections.deque()  # (until when, client)
        self.clients = [Client(addresses[n % len(addresses)]) for n in range(clients)]
        self.requests = itertools.cycle(
            [(name, spop.message(arguments)) for name, arguments in requests.items()])
        self.answers, self.wrong, self.lost = [], [], 0
        self.is_over = threading.Event()
        self.thread = threading.Thread(target=self._run)

    # --- its own thread ---

    def _run(self):
        with selectors.DefaultSelector() as selector:
            for client in self.clients:
                selector.register(client.peer.socket, selectors.EVENT_READ, client)
                self._ask(client)
            while not self.is_over.is_set():
                self._ask_those_due()
                self._read_all(selector.select(self._next_pause()))
            end = time.time() + PATIENCE
            while self._waiting() and time.time() < end:
                self._read_all(selector.select(0.05))
            self.lost = self._waiting()
            # Every question is answered now, so another frame is an answer too many.
            while ready := selector.select(0.1):
                self._read_all(ready)

    def _next_pause(self):
        return max(0, self.pausing[0][0] - time.time()) if self.pausing else 0.05

    def _ask_those_due(self):
        while self.pausing and self.pausing[0][0] <= time.time():
            self._ask(self.pausing.popleft()[1])

    def _read_all(self, ready):
        for key, _ in ready:
            self._read(key.data)

    def _waiting(self):
        return sum(client.waits_for is not None for client in self.clients)

    def _ask(self, client):
        name, payload = next(self.requests)
        frame_id = next(client.frame_ids)
        data = spop.frame(spop.NOTIFY, payload, stream_id=1, frame_id=frame_id)
        client.waits_for = (frame_id, name, time.time())
        client.peer.send(data)

    def _read(self, client):
        self._take(client, client.peer.read())
        while client.peer.buffer:  # no event would come for bytes that are here already
            self._take(client, client.peer.read())

    def _take(self, client, frame):
        if client.waits_for is None or (frame.type, frame.stream_id, frame.frame_id) != (
                spop.ACK, 1, client.waits_for[0]):
            self.wrong.append(frame)
            return
        _, name, sent = client.waits_for
        client.waits_for, now = None, time.time()
        self.answers.append(Answer(name, sent, now, frame))
        self.pausing.append((now + self.pause, client))

    # --- the test's thread ---

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.is_over.set()
        self.thread.join()
        for client in self.clients:
            client.peer.close()

    def wait_for_more(self, count):
        wanted = len(self.answers) + count
        self._wait_until(lambda: len(self.answers) >= wanted, f"{count} more answers")

    def wait_for(self, condition, what):
        """Waits for the first answer that fulfils the condition, to a question that is asked from
        now on."""
        now, seen = time.time(), len(self.answers)

        def found():
            nonlocal seen
            while seen < len(self.answers):
                answer = self.answers[seen]
                seen += 1
                if answer.sent >= now and condition(answer):
                    return answer
            return None
        return self._wait_until(found, what)

    def _wait_until(self, condition, what):
        def checked():
            assert self.thread.is_alive(), "a client of the load failed"
            return condition()
        return wait_until(checked, what)

    def of(self, name):
        return [answer for answer in self.answers if answer.name == name]
