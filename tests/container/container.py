"""An agent in a container, with the methods of the agent of tests/system."""

import json
import os
import signal
from pathlib import Path

from agent import Agent
from engine import IMAGE
from processes import Process, wait_until

POLICIES = "/etc/ratelimit-spoa/policies.json"

# As with Kubernetes' profile `restricted`; podman by itself would leave a writable /tmp and /run.
RESTRICTED = ["--read-only", "--read-only-tmpfs=false", "--cap-drop=ALL",
              "--security-opt=no-new-privileges"]

# Free ports of this machine's loopback.
LOOPBACK = {"RATELIMIT_SPOP_LISTEN": "127.0.0.1:0", "RATELIMIT_HTTP_LISTEN": "127.0.0.1:0"}


def run_words(environment, *options):
    """The words of `podman run` up to the image, with the restrictions and without a timer of
    systemd."""
    variables = [word for name, value in environment.items() for word in ("-e", f"{name}={value}")]
    return ["run", "--no-healthcheck", *RESTRICTED, *variables, *options]


def run_to_the_end(engine, *arguments, environment=None, options=()):
    """Runs a container that ends by itself; returns its exit status and its log."""
    return engine.run(*run_words({**LOOPBACK, **(environment or {})}, "--rm", "--network=host",
                                 *options), IMAGE, *arguments, check=False)


class Container(Agent):
    """`policies` is the text of a file that is mounted, `mounts` are more: (folder or file,
    target);
    `options` are for podman, `arguments` for the agent. `pid` is the pid of the agent.

    With `listen=False` the agent listens where the image says, and the test needs a `network`.
    """

    def __init__(self, engine, directory, *arguments, environment=None, policies=None, mounts=(),
                 options=(), network="host", listen=True):
        self.engine, self.directory = engine, Path(directory)
        environment = {**(LOOPBACK if listen else {}), **(environment or {})}
        self.ends_at_once = "RATELIMIT_DRAIN_DELAY" not in environment
        self.policy_file = self.directory / "policies.json"
        if policies is not None:
            self.policy_file.write_text(policies)
            mounts = [*mounts, (self.policy_file, POLICIES)]
        self.name = f"rl-{os.getpid()}-{self.directory.parent.name}-{self.directory.name}"
        self.pidfile = self.directory / "pid"
        volumes = [word for what, where in mounts for word in ("-v", f"{what}:{where}:ro")]
        # Agent.__init__ is not called, since it would start the agent outside of a container.
        Process.__init__(  # pylint: disable=non-parent-init-called
            self, ["podman", *run_words(environment, "--name", self.name, "--pidfile",
                                        self.pidfile, f"--network={network}", *volumes, *options),
                   IMAGE, *arguments],
            self.directory / "container.log", env=engine.settings)
        self.pid = None  # that was podman's
        self.addresses = self.listening("spop", 1)
        self.address = self.addresses[0]
        self.http_addresses = self.listening("http", 1)
        self.http_address = self.http_addresses[0]
        wait_until(self.pidfile.read_text, "the pid of a container")
        self.pid = int(self.pidfile.read_text())

    def events(self, name=None, **fields):
        """The lines of the log; podman may add some of its own."""
        text = self.output.read_text()
        lines = text[:text.rfind("\n") + 1].splitlines()
        events = [json.loads(line) for line in lines if line.startswith("{")]
        return [event for event in events if name in (None, event["event"])
                and fields.items() <= event.items()]

    def signal(self, number):
        """Sends a signal to PID 1 of the container, as an engine does. PID 1 may just have
        ended."""
        try:
            os.kill(self.pid, number)
        except ProcessLookupError:
            pass

    def kill(self):
        """Kills the container, and removes it from podman."""
        if self.is_running() and self.pid is not None:
            self.signal(signal.SIGKILL)
        elif self.is_running():
            self.popen.kill()
        self.popen.wait()
        self.engine.run("rm", "-f", "-t", "0", self.name, check=False)

    def execute(self, command):
        """Runs a command in the container, as an engine does for a HEALTHCHECK or an exec probe."""
        return self.engine.run("exec", self.name, *command, check=False)

    def state(self):
        return json.loads(self.engine.run("inspect", self.name).stdout)[0]["State"]

    def status_words(self, name):
        """A line of /proc/PID/status."""
        for line in Path(f"/proc/{self.pid}/status").read_text().splitlines():
            if line.startswith(name + ":"):
                return line.split()[1:]
        raise AssertionError(f"/proc has no {name}")

    # --- memory, with either version of cgroups ---

    def _memory_file(self, v1, v2):
        for line in Path(f"/proc/{self.pid}/cgroup").read_text().splitlines():
            _, controllers, path = line.split(":", 2)
            if controllers == "memory":
                return Path(f"/sys/fs/cgroup/memory{path}/{v1}")
            if not controllers and Path(f"/sys/fs/cgroup{path}/{v2}").exists():
                return Path(f"/sys/fs/cgroup{path}/{v2}")
        raise AssertionError("no memory cgroup")

    def memory_limit(self):
        return int(self._memory_file("memory.limit_in_bytes", "memory.max").read_text())

    def oom_kills(self):
        text = self._memory_file("memory.oom_control", "memory.events").read_text()
        return int(dict(line.split() for line in text.splitlines())["oom_kill"])
