"""The objects that kustomize makes of k8s/, and what a kubelet would make of them."""

import functools
import shutil
import subprocess

import yaml

from processes import ROOT
from trees import TREES, program

OVERLAYS = ["k8s/base", "k8s/overlays/sidecar", "k8s/overlays/service", "k8s/overlays/redis"]
# The parts of overlays. The component with agents as sidecars works only with the base, and the
# component with HAProxy only with an overlay that names its agents. Overlays have NetworkPolicies already.
COMPONENTS = ["k8s/components/service-monitor", "k8s/components/prometheus-rule",
              "k8s/components/priority-class"]
OWN_REDIS = "k8s/components/own-redis"
NETWORK_POLICY, NO_NETWORK_POLICY = "k8s/components/network-policy", "k8s/components/no-network-policy"


@functools.cache
def kubectl():
    """The kubectl of this machine, or that of Debian 13; the one of Debian 12 knows no
    components."""
    if shutil.which("kubectl"):
        return ["kubectl"]
    tree = TREES / "kubernetes-client"
    if not tree.exists():
        subprocess.run([ROOT / "scripts/lib/debian-tree", "trixie", tree, "--variant=extract",
                        "--include=libc6,kubernetes-client"], check=True)
    return program(tree.name, "usr/bin/kubectl")


def kustomize(folder):
    done = subprocess.run([*kubectl(), "kustomize", folder], text=True, capture_output=True,
                          timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return [document for document in yaml.safe_load_all(done.stdout) if document]


@functools.cache
def _render(folder):
    return yaml.safe_dump_all(kustomize(ROOT / folder))


def render(folder):
    """The objects of a folder of k8s/. The caller may change them."""
    return list(yaml.safe_load_all(_render(folder)))


def render_with(directory, overlay, components, **fields):
    """The objects of an overlay with components and other fields of a kustomization, as a user would
    write it."""
    shutil.copytree(ROOT / "k8s", directory / "k8s")
    mine = directory / "mine"
    mine.mkdir()
    (mine / "kustomization.yaml").write_text(yaml.safe_dump({
        "apiVersion": "kustomize.config.k8s.io/v1beta1", "kind": "Kustomization",
        "namespace": "edge", "resources": [f"../{overlay}"],
        "components": [f"../{component}" for component in components], **fields}))
    return kustomize(mine)


def find(objects, kind, name=None):
    """The object of that kind, and of that name if there are several of the kind."""
    found = [thing for thing in objects if thing["kind"] == kind
             and (name is None or thing["metadata"]["name"] == name)]
    assert len(found) == 1, f"{len(found)} of {kind} {name}"
    return found[0]


def named(things, name):
    found = [thing for thing in things if thing["name"] == name]
    assert len(found) == 1, f"{len(found)} of {name}"
    return found[0]


def workloads(objects):
    return [thing for thing in objects if thing["kind"] in ("Deployment", "StatefulSet")]


def pod_spec(workload):
    return workload["spec"]["template"]["spec"]


def containers(spec):
    return spec["containers"] + spec.get("initContainers", [])


def agent_of(objects):
    """The container of the agent. Each overlay has one, in the pod of HAProxy or in its own."""
    found = [container for workload in workloads(objects)
             for container in containers(pod_spec(workload)) if container["name"] == "agent"]
    assert len(found) == 1
    return found[0]


def environment(container):
    """The environment variables that have a literal value."""
    return {entry["name"]: entry["value"] for entry in container["env"] if "value" in entry}


def port_number(container, port):
    """A port by its number or its name, as probes and Services give it."""
    if isinstance(port, int):
        return port
    return named(container["ports"], port)["containerPort"]


def config_files(objects, name):
    """The files of the mounted ConfigMap. `name` is without the hash of its content."""
    found = [thing["data"] for thing in objects if thing["kind"] == "ConfigMap"
             and (thing["metadata"]["name"] + "-").startswith(name + "-")]
    assert len(found) == 1
    return found[0]


def quantity(text):
    """A quantity of Kubernetes as a number: CPUs or bytes."""
    text = str(text)
    units = {"m": 1e-3, "Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "k": 1e3, "M": 1e6, "G": 1e9}
    for unit in sorted(units, key=len, reverse=True):
        if text.endswith(unit):
            return float(text[:-len(unit)]) * units[unit]
    return float(text)


def size(text):
    """The bytes of a size in the notation of the agent's options."""
    units = {"k": 2**10, "m": 2**20, "g": 2**30}
    return int(text[:-1]) * units[text[-1]] if text[-1] in units else int(text)


def seconds(text):
    """The seconds of a duration in the notation of the agent or of HAProxy."""
    for unit, factor in (("ms", 1e-3), ("s", 1), ("m", 60), ("h", 3600), ("d", 86400)):
        if text.endswith(unit):
            return float(text[:-len(unit)]) * factor
    raise AssertionError(text)
