"""The agent under test."""

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
from pathlib import Path

import spop
from processes import PATIENCE, ROOT, Process, clean_environment, wait_until

BINARY = Path(os.environ.get("TESTED_AGENT", ROOT / "build/release/ratelimit-spoa")).resolve()
SANITIZER_FAULT = re.compile("Sanitizer|runtime error:")
SHIPPED_POLICIES = ROOT / "haproxy-conf/policies.json"


def policies_text(**policies):
    return json.dumps({"policies": {name.replace("_", "-"): p for name, p in policies.items()}})


def bucket(capacity, refill_rate="1/1h", key=("src",)):
    """A policy whose balance does not visibly grow during a test."""
    return {"algorithm": "token_bucket", "capacity": capacity, "refill_rate": refill_rate,
            "key": list(key)}


def window(limit=10, length="1h", algorithm="sliding_window", key=("src",)):
    return {"algorithm": algorithm, "limit": limit, "window": length, "key": list(key)}


def run(*arguments, env=None, stdin="", **options):
    """Runs the agent until it ends by itself; returns its exit status and what it printed."""
    return subprocess.run([BINARY, *map(str, arguments)], input=stdin, text=True,
                          capture_output=True, env=clean_environment(env), timeout=PATIENCE,
                          check=False, **options)


@contextlib.contextmanager
def kept_for_another(address):
    """Keeps the port of an agent that has ended from everybody but another agent, which takes it.

    The socket never listens, so connections are refused meanwhile; the agent, too, binds with
    SO_REUSEADDR, which is why both can have the port."""
    host, port = address.rsplit(":", 1)
    with socket.socket() as reserved:
        reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        reserved.bind((host, int(port)))
        yield


def count_addresses(addresses):
    return 0 if addresses == "off" else addresses.count(",") + 1


def admin_listen_of(options):
    return options[options.index("--admin-listen") + 1] if "--admin-listen" in options else "off"


class Agent(Process):
    """`listen` defaults to a free port of loopback; `policies` is the text of a policy file;
    `store` is a URL; `wrapper` is a command that starts the agent and becomes it. `http` is an
    address, or true for a free port of loopback, which is `http_address` then. Returns when the
    agent listens at all of its addresses, those of --admin-listen among them."""

    def __init__(self, directory, *options, listen="127.0.0.1:0", policies=None, store=None,
                 wrapper=(), http=None, **process):
        self.directory = Path(directory)
        self.ends_at_once = "--drain-delay" not in options
        self.policy_file = self.directory / "policies.json"
        http = "127.0.0.1:0" if http is True else http or "off"
        command = [*wrapper, BINARY, "--spop-listen", listen, "--http-listen", http, *options]
        if policies is not None:
            self.policy_file.write_text(policies)
            command += ["--policies", self.policy_file]
        if store is not None:
            command += ["--store", store]
        super().__init__(command, self.directory / "agent.log", **process)
        self.addresses = self.listening("spop", listen.count(",") + 1)
        self.address = self.addresses[0]
        http_count = count_addresses(http)
        if http_count > 0:
            self.http_addresses = self.listening("http", http_count)
            self.http_address = self.http_addresses[0]
        # The agent listens for its admin last.
        self.listening("http", http_count + count_addresses(admin_listen_of(options)))

    def listening(self, protocol, count):
        """Waits until the agent listens at `count` addresses, and returns them."""
        return [self.wait_for_event("listening", n + 1, protocol=protocol)["address"]
                for n in range(count)]

    def events(self, name=None, **fields):
        """The lines of the log that are complete."""
        text = self.output.read_text()
        lines = text[:text.rfind("\n") + 1].splitlines()
        events = [json.loads(line) for line in lines]
        return [event for event in events if name in (None, event["event"])
                and fields.items() <= event.items()]

    def wait_for_event(self, name, count=1, **fields):
        """Waits for the `count`th event with that name and those fields, and returns it."""
        def found():
            assert self.is_running() or len(self.events(name, **fields)) >= count, \
                f"the agent ended without {name}:\n{self.output.read_text()}"
            return len(self.events(name, **fields)) >= count
        wait_until(found, f"the event {name} in {self.output}")
        return self.events(name, **fields)[count - 1]

    def wait_for_store(self):
        """Waits until the log says that the store answers, which it says a moment after the first
        answer."""
        nothing = {"algorithm": "token_bucket", "capacity": 1, "refill_rate": 1, "key": "-",
                   "cost": 0}
        with self.connect() as peer:
            wait_until(lambda: not peer.ask(**nothing).degraded, "the store")
        return self

    def store_states(self):
        """What the log says about the link to the store, in order: (event, kind, reason)."""
        return [(event["event"], event.get("kind"), event.get("reason"))
                for event in self.events() if event["event"] in ("store_up", "store_down")]

    def is_always_up(self):
        """Whether the link was never lost. A stall of the whole machine may count as a late
        reply."""
        return {kind for _, kind, _ in self.store_states()} <= {None, "timeout"}

    def finish(self):
        """Stops an agent that the test left running, and checks that it ends in good order.

        With sanitizers, leaks show here too.
        """
        if self.is_running() and self.ends_at_once:
            self.signal(signal.SIGCONT)
            assert self.stop() == 0, self.output.read_text()
        self.kill()
        faults = [line for line in self.lines() if SANITIZER_FAULT.search(line)]
        assert not faults, self.output.read_text()

    def connect(self, **options):
        """A connection after its handshake."""
        return spop.Peer(self.address, **options)

    def rss_bytes(self):
        return self.status_field("VmRSS") * 1024
