"""The files and commands of k8s/README.md, which users write and type."""

import re
import shutil

import yaml

from agent import run
from http_client import POLICIES
from manifests import agent_of, config_files, find, kustomize, render
from processes import ROOT

README = ROOT / "k8s/README.md"


def test_the_kustomization_for_production_renders(tmp_path, schema):
    text = re.search("```yaml\n(.*?)```", README.read_text(), re.S).group(1)
    (tmp_path / "kustomization.yaml").write_text(text)
    (tmp_path / "policies.json").write_text(POLICIES)
    shutil.copytree(ROOT / "k8s", tmp_path / "ratelimit-spoa/k8s")

    objects = kustomize(tmp_path)

    assert schema(objects) == []
    assert agent_of(objects)["image"] == "registry.example.com/ratelimit-spoa:0.1.0"
    assert config_files(objects, "ratelimit-policies") == {"policies.json": POLICIES}
    assert find(objects, "ConfigMap", "ratelimit-policies")
    assert {"NetworkPolicy", "ServiceMonitor", "PrometheusRule"} <= {
        thing["kind"] for thing in objects}


def test_its_commands_name_what_is_there():
    text = README.read_text()
    commands = re.search("## Three commands.*?```sh\n(.*?)```", text, re.S).group(1).splitlines()

    assert len(commands) == 3
    overlay = re.search(r"kubectl apply -k (\S+)", text).group(1)
    service = find(render(overlay), "Service", "haproxy")
    assert f"http://{service['metadata']['name']}/" in commands[2]
    assert service["spec"]["ports"][0]["port"] == 80
    assert find(render(overlay), "Deployment", "haproxy")
    image = agent_of(render(overlay))["image"]
    version = re.search(r"^ARG VERSION=(.*)", (ROOT / "Dockerfile").read_text(), re.M)[1]
    assert image == f"ratelimit-spoa:{version}"
    assert f"docker build -t {image} ." in commands[0]
    assert f"kind load docker-image {image}" in commands[0]
    check = re.search(r"ratelimit-spoa (check-config \S+ \S+)`", text).group(1).split()
    assert run(*check, cwd=ROOT).returncode == 0


def test_its_links_lead_somewhere():
    for target in re.findall(r"\]\(([^)#]+)", README.read_text()):
        assert (README.parent / target).exists(), target
    scaler = find(render("k8s/overlays/redis"), "HorizontalPodAutoscaler")["spec"]
    assert f"with {scaler['minReplicas']} to {scaler['maxReplicas']} agents," in README.read_text()
    agents = find(render("k8s/overlays/service"), "Deployment", "ratelimit-spoa")["spec"]
    assert f"HAProxy, and {agents['replicas']} agents of their own," in README.read_text()
