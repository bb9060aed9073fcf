"""The part of a cluster that is needed to show what the manifests do: pods by `podman play kube`,
each
with an address in a network of their own, and a DNS that names the pods that are ready.

`for_podman` replaces what podman 4.3 does not know. Native sidecars become ordinary containers, so
nothing here shows that HAProxy starts after its agent. Ports of probes become numbers. A
reference to the namespace, and a Secret, become the values that a kubelet would put there.
HAProxy waits longer for an agent than the shipped configuration says, since the machine may be
busy.
"""

import base64
import concurrent.futures
import contextlib
import copy
import itertools
import json
import os
import re
import subprocess
import sys
import tarfile
from pathlib import Path

import yaml

from engine import IMAGE
from manifests import containers, pod_spec, port_number
from processes import Process, wait_until
from trees import TREES

NAMESPACE = "default"
DOMAIN = f"{NAMESPACE}.svc.cluster.local"
PROBES = ("startupProbe", "livenessProbe", "readinessProbe")
# The programs of the trees that the system tests unpack, in place of images from a registry.
SERVERS = {"haproxy": ("localhost/haproxy:test", "forky", "SIGUSR1"),
           "valkey": ("localhost/valkey:test", "trixie", "SIGTERM")}
IMAGES = {"agent": IMAGE, **{name: server[0] for name, server in SERVERS.items()}}


def write_tree(suite, file):
    """Writes the programs and libraries of a tree, and the links that they need to run there."""
    with tarfile.open(file, "w") as archive:
        for folder in ("usr/lib", "usr/lib64", "usr/sbin", "usr/bin"):
            if (TREES / suite / folder).exists():
                archive.add(TREES / suite / folder, folder)
        for folder in ("lib", "lib64", "sbin", "bin"):
            link = tarfile.TarInfo(folder)
            link.type, link.linkname = tarfile.SYMTYPE, f"usr/{folder}"
            archive.addfile(link)


def for_podman(workload, objects, files):
    """Makes a pod for podman of the Deployment. The values of Secrets are written to the folder
    `files`."""
    pod = copy.deepcopy(workload["spec"]["template"])
    spec = pod["spec"]
    spec["containers"] = spec.pop("initContainers", []) + spec["containers"]
    spec["restartPolicy"] = "Never"  # what ends stays as it is, for the tests to see
    secrets = {thing["metadata"]["name"]: {key: base64.b64decode(value).decode()
                                           for key, value in thing["data"].items()}
               for thing in objects if thing["kind"] == "Secret"}
    for container in spec["containers"]:
        container.pop("restartPolicy", None)
        container["image"] = IMAGES[container["name"]]
        for probe in (container[name] for name in PROBES if name in container):
            for kind in set(probe) & {"httpGet", "tcpSocket"}:
                probe[kind]["port"] = port_number(container, probe[kind]["port"])
        container.pop("ports")
        for entry in container.get("env", []):
            source = entry.pop("valueFrom", {})
            if "fieldRef" in source:
                entry["value"] = {"metadata.namespace": NAMESPACE,
                                  "spec.serviceAccountName": spec["serviceAccountName"]}[
                                      source["fieldRef"]["fieldPath"]]
            if "secretKeyRef" in source:
                entry["value"] = secrets[source["secretKeyRef"]["name"]][
                    source["secretKeyRef"]["key"]]
        # A kubelet puts the variables of a container into its arguments.
        values = {entry["name"]: entry["value"] for entry in container.get("env", [])}
        container["args"] = [_expand(word, values) for word in container.get("args", [])]
        for entry in container.get("env", []):
            entry["value"] = _expand(entry["value"], values)
    for volume in spec.get("volumes", []):
        secret = volume.pop("secret", None)
        if secret:
            volume["hostPath"] = {"path": str(_write_secret(
                files / volume["name"], secrets[secret["secretName"]], secret["defaultMode"],
                spec["securityContext"]["fsGroup"])), "type": "Directory"}
    return {"apiVersion": "v1", "kind": "Pod", **pod}


def _expand(word, values):
    for name, value in values.items():
        word = word.replace(f"$({name})", value)
    return word


def _write_secret(folder, data, mode, group):
    folder.mkdir(mode=0o755)
    for name, text in data.items():
        (folder / name).write_text(text)
        os.chown(folder / name, 0, group)
        os.chmod(folder / name, mode)
    return folder


class Network:
    """A bridge in a namespace of its own, in which the DNS and the clients run, too. Addresses are of
    the first of its families."""

    opened = itertools.count()
    prefixes = {4: ("10.99.0.", 24), 6: ("fd00:99::", 64)}

    def __init__(self, families=(4,)):
        self.families = families
        self.name = f"k8s-{os.getpid()}-{next(self.opened)}"
        self.numbers, self.members = itertools.count(2), []
        _ip("netns", "add", self.name)
        # Without an address of its own the bridge takes the lowest of its members, and another one when somebody joins:
        # then nobody reaches it until the others ask anew who it is, which takes up to half a minute.
        for words in (["link", "add", "br0", "address", "02:00:00:00:00:01", "type", "bridge"],
                      ["link", "set", "br0", "up"],
                      ["link", "set", "lo", "up"]):
            _ip("-n", self.name, *words)
        self.address = self._give(self.name, "br0", 1)
        self.clients = [self._give(self.name, "br0", number) for number in range(200, 216)]

    def _give(self, namespace, interface, number):
        """Gives the interface an address of each family, and returns the first."""
        for family in self.families:
            prefix, bits = self.prefixes[family]
            _ip("-n", namespace, "addr", "add", f"{prefix}{number}/{bits}", "dev", interface,
                *(["nodad"] if family == 6 else []))
        return f"{self.prefixes[self.families[0]][0]}{number}"

    def addresses_of(self, address):
        """All addresses of whoever has this one."""
        number = re.split("[.:]", address)[-1]
        return [f"{self.prefixes[family][0]}{number}" for family in self.families]

    def join(self):
        """A new namespace with an address on the bridge."""
        number = next(self.numbers)
        name = f"{self.name}-{number}"
        _ip("netns", "add", name)
        self.members.append(name)
        _ip("-n", self.name, "link", "add", f"p{number}", "type", "veth", "peer", "name", "eth0",
            "netns", name)
        _ip("-n", self.name, "link", "set", f"p{number}", "master", "br0", "up")
        for words in (["link", "set", "eth0", "up"], ["link", "set", "lo", "up"]):
            _ip("-n", name, *words)
        return name, self._give(name, "eth0", number)

    def finish(self):
        for name in [*self.members, self.name]:
            _ip("netns", "del", name)


def _ip(*words):
    subprocess.run(["ip", *words], check=True, capture_output=True)


def inside(namespace, *words):
    """The words that run a command in a network; podman makes the networks of the pods from it."""
    return ["nsenter", f"--net=/run/netns/{namespace}", *map(str, words)]


class Pod:
    def __init__(self, cluster, workload, objects):
        self.cluster = cluster
        self.name = f"{workload['metadata']['name']}-{next(cluster.numbers)}"
        self.template = pod_spec(workload)
        self.labels = workload["spec"]["template"]["metadata"]["labels"]
        self.namespace, self.address = cluster.network.join()
        directory = cluster.directory / self.name
        directory.mkdir()
        pod = for_podman(workload, objects, directory)
        pod["metadata"]["name"] = self.name
        self.file = directory / "pod.yaml"
        self.file.write_text(yaml.safe_dump_all(
            [*(thing for thing in objects if thing["kind"] == "ConfigMap"), pod]).replace(
                "timeout processing 50ms", "timeout processing 5s"))
        self.is_terminating = False
        cluster.pods.append(self)
        self.podman("play", "kube", "--quiet", "--network=host", self.file)

    def podman(self, *words):
        done = subprocess.run(inside(self.namespace, "podman", *words), text=True,
                              capture_output=True, env=self.cluster.environment, timeout=120,
                              check=False)
        assert done.returncode == 0, f"{words}\n{done.stdout}{done.stderr}"
        return done.stdout

    def container(self, name):
        return f"{self.name}-{name}"

    def log(self, name):
        done = subprocess.run(["podman", "logs", "-t", self.container(name)], text=True,
                              capture_output=True, env=self.cluster.environment, check=False)
        return done.stdout + done.stderr

    def state(self, name):
        return json.loads(self.podman("inspect", self.container(name)))[0]["State"]

    def proc(self, name):
        """/proc of a container's first process."""
        return Path(f"/proc/{self.state(name)['Pid']}")

    def probe(self, container, name):
        """Whether a probe succeeds, asked as a kubelet does. `container` is that of the
        manifest."""
        probe = container[name]
        timeout = probe.get("timeoutSeconds", 1)
        if "tcpSocket" in probe:
            done = self.cluster.client(
                "bash", "-c", f"exec 3<>/dev/tcp/{self.address}/"
                f"{port_number(container, probe['tcpSocket']['port'])}", timeout=timeout)
            return done.returncode == 0
        port = port_number(container, probe["httpGet"]["port"])
        done = self.cluster.curl("-m", timeout, "-o", "/dev/null", "-w", "%{http_code}",
                                 f"http://{self.address}:{port}{probe['httpGet']['path']}")
        return done.stdout in ("200", "204")

    def probes(self):
        """Asks all probes: {(container, probe): whether it succeeds}."""
        return {(container["name"], name): self.probe(container, name)
                for container in containers(self.template)
                for name in PROBES if name in container}

    def is_ready(self):
        return not self.is_terminating and all(
            good for (_, name), good in self.probes().items() if name == "readinessProbe")

    def wait_until_ready(self):
        wait_until(self.is_ready, f"{self.name}:\n{self.cluster.logs()}")
        self.cluster.publish()
        return self

    def metric(self, line, port=8080):
        """The value of a series in a page of metrics."""
        done = self.cluster.curl(f"http://{self.address}:{port}/metrics")
        return next((float(text.rpartition(" ")[2]) for text in done.stdout.splitlines()
                     if text.startswith(line + " ")), None)

    def stop(self, name):
        """Stops a container as a kubelet does, and returns its exit status."""
        grace = self.template["terminationGracePeriodSeconds"]
        self.podman("stop", "-t", grace, self.container(name))
        return self.state(name)["ExitCode"]

    def finish(self):
        self.cluster.pods.remove(self)
        self.podman("pod", "rm", "-f", "-t", "0", self.name)


class Cluster:
    def __init__(self, engine, directory):
        self.directory, self.numbers, self.pods = Path(directory), itertools.count(1), []
        self.network = Network()
        settings = self.directory / "containers.conf"
        settings.write_text(Path(engine.settings["CONTAINERS_CONF"]).read_text().replace(
            "[containers]", f'[containers]\ndns_servers = ["{self.network.address}"]\n'
            f'dns_searches = ["{DOMAIN}"]'))
        self.environment = {**engine.environment, "CONTAINERS_CONF": str(settings)}
        self.services, self.records = [], self.directory / "records.json"
        self.records.write_text("{}")
        self.names = Process(
            inside(self.network.name, sys.executable, Path(__file__).parent / "name_server.py",
                   self.network.address, self.records), self.directory / "names.log")

    def run(self, objects, name):
        """Starts a pod of a Deployment, and does not wait for it."""
        self.services = [thing for thing in objects if thing["kind"] == "Service"]
        workload = next(thing for thing in objects if thing["kind"] == "Deployment"
                        and thing["metadata"]["name"] == name)
        return Pod(self, workload, objects)

    def publish(self):
        """Gives the name of each Service the addresses of its pods that are ready."""
        records = {f"{service['metadata']['name']}.{DOMAIN}": [
            pod.address for pod in self.pods
            if service["spec"]["selector"].items() <= pod.labels.items() and pod.is_ready()]
            for service in self.services}
        new = self.records.with_suffix(".new")
        new.write_text(json.dumps(records))
        new.rename(self.records)

    def terminate(self, pod):
        """Does what Kubernetes does first: sends SIGTERM, and takes the pod out of DNS."""
        pod.is_terminating = True
        self.publish()
        pod.podman("kill", "-s", "TERM", pod.container("agent"))

    def client(self, *words, timeout=30):
        """Runs a command in the network of the pods."""
        return subprocess.run(inside(self.network.name, *words), text=True, capture_output=True,
                              timeout=timeout + 10, check=False)

    def curl(self, *words):
        return self.client("curl", "-s", *words)

    def statuses(self, pod, count, client=None):
        """Sends `count` requests, one after the other: status, RateLimit, Retry-After of each. `client`
        is the address to send from."""
        done = self.curl("--interface", client or self.network.address, "-o", "/dev/null", "-w",
                         "%{http_code}|%header{ratelimit}|%header{retry-after}\n",
                         f"http://{pod.address}:8000/?[1-{count}]")
        return [line.split("|") for line in done.stdout.splitlines()]

    def logs(self):
        return "\n".join(f"== {pod.container(container['name'])}\n{pod.log(container['name'])}"
                         for pod in self.pods for container in containers(pod.template))

    def finish(self):
        """Ends everything, also when a part fails; all pods together, since podman needs time for
        each."""
        with contextlib.ExitStack() as stack:
            stack.callback(self.network.finish)
            stack.callback(self.names.finish)
            pods = stack.enter_context(concurrent.futures.ThreadPoolExecutor())
            for ended in [pods.submit(pod.finish) for pod in list(self.pods)]:
                stack.callback(ended.result)


def import_servers(engine, directory):
    for name, (image, suite, signal) in SERVERS.items():
        file = directory / f"{name}.tar"
        write_tree(suite, file)
        engine.run("import", "-c", f"STOPSIGNAL={signal}", "-c", "ENV PATH=/usr/sbin:/usr/bin",
                   file, image, timeout=300)
        file.unlink()
