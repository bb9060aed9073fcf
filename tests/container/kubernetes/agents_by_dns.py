"""HAProxy and agents as overlays/service has them, each with an address of its own and without a container, and
a DNS server. It starts in seconds, where pods take minutes; what a container adds is in test_pods.py."""

import json
import subprocess
import sys
import threading
import time
from pathlib import Path

from agent import Agent
from cluster import DOMAIN, NAMESPACE, Network, inside
from haproxy import HAPROXY
from manifests import agent_of, config_files, environment, find, named, pod_spec, render
from processes import Process, wait_until
from trees import program

AGE = 30  # seconds: how old answers may be
NAME = f"ratelimit-agents.{DOMAIN}"
HERE = Path(__file__).resolve().parent


def in_url(address):
    return f"[{address}]" if ":" in address else address


class Names:
    """The DNS server. `write_later` makes answers that are AGE seconds old."""

    def __init__(self, network, directory):
        self.network, self.directory = network, directory
        self.records, self.timers = directory / "records.json", []
        self.server = None
        self.write([])
        self.start()

    def start(self):
        self.server = Process(
            inside(self.network.name, sys.executable, HERE / "name_server.py", self.network.address,
                   self.records), self.directory / "names.log")

    def write_agents(self, agents):
        self.write([ip for agent in agents for ip in agent.ips])

    def write(self, addresses, rcode=0):
        new = self.records.with_suffix(f".{time.monotonic_ns()}")
        new.write_text(json.dumps({NAME: addresses, "rcode": rcode}))
        new.rename(self.records)

    def write_later(self, agents):
        timer = threading.Timer(AGE, self.write_agents, [list(agents)])
        timer.start()
        self.timers.append(timer)

    def finish(self):
        for timer in self.timers:
            timer.cancel()
        self.server.finish()


class Setting:
    """`families` are those of the network: 4, 6 or both."""

    def __init__(self, directory, started, families=(4,)):
        self.directory, self.started = directory, started
        self.objects = render("k8s/overlays/service")
        self.network = Network(families)
        started.append(self.network)
        self.names = Names(self.network, directory)
        started.append(self.names)
        self.haproxy_namespace, self.haproxy_address = self.network.join()
        self.load = None

    def start_agent(self):
        namespace, address = self.network.join()
        env = environment(agent_of(self.objects))
        directory = self.directory / f"agent-{address}"
        directory.mkdir()
        agent = Agent(directory, "--drain-delay", env["RATELIMIT_DRAIN_DELAY"], "--drain-timeout",
                      env["RATELIMIT_DRAIN_TIMEOUT"], listen=env["RATELIMIT_SPOP_LISTEN"],
                      http=env["RATELIMIT_HTTP_LISTEN"],
                      policies=config_files(self.objects, "ratelimit-policies")["policies.json"],
                      wrapper=inside(namespace))
        agent.ips = self.network.addresses_of(address)
        self.started.append(agent)
        return agent

    def start_haproxy(self):
        folder = self.directory / "haproxy"
        folder.mkdir()
        for name, text in config_files(self.objects, "haproxy").items():
            # There is no resolv.conf here; and a busy machine must not look like a lost request.
            (folder / name).write_text(text.replace("/etc/haproxy/", f"{folder}/").replace(
                "    parse-resolv-conf\n", f"    nameserver dns {self.network.address}:53\n").replace(
                "timeout processing 50ms", "timeout processing 5s"))
        container = named(pod_spec(find(self.objects, "Deployment", "haproxy"))["containers"], "haproxy")
        words = [word.replace("/etc/haproxy/", f"{folder}/") for word in container["command"][1:]]
        env = {**environment(container), "NAMESPACE": NAMESPACE, "AGENTS": "ratelimit-agents"}
        self.started.append(Process(
            [*inside(self.haproxy_namespace), *program("forky", HAPROXY), *words], self.directory / "haproxy.log",
            env=env))

    def metrics(self):
        return subprocess.run(
            inside(self.network.name, "curl", "-s", f"http://{in_url(self.haproxy_address)}:8404/metrics"), text=True,
            capture_output=True, timeout=30, check=False).stdout

    def wait_until_up(self, count):
        line = f'haproxy_backend_active_servers{{proxy="ratelimit-agents"}} {count}\n'
        wait_until(lambda: line in self.metrics(), f"{count} agents")

    def statuses(self, address, count):
        """Sends requests one after the other: status and RateLimit of each."""
        done = subprocess.run(
            inside(self.network.name, "curl", "-s", "-o", "/dev/null", "-w",
                   "%{http_code}|%header{ratelimit}\\n", f"http://{in_url(address)}:8000/?[1-{count}]"),
            text=True, capture_output=True, timeout=60, check=False)
        return [line.split("|") for line in done.stdout.splitlines()]

    def begin_load(self):
        self.load = Process(
            inside(self.network.name, sys.executable, HERE / "ask_all_the_time.py", self.haproxy_address,
                   8000, *self.network.clients[:4]), self.directory / "load.log")
        self.started.append(self.load)

    def end_load(self):
        """How many requests had a verdict, and the others."""
        assert self.load.stop() == 0, self.load.lines()
        said = json.loads(self.load.lines()[-1])
        return said["verdicts"], said["others"]
