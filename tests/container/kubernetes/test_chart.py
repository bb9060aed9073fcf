"""The Helm chart makes the same objects as Kustomize, field by field; and all of them are what each version of
Kubernetes' API takes."""

import copy
import json
import re
import tarfile

import pytest
import yaml

import charts
from agent import run
from http_client import POLICIES
from manifests import (COMPONENTS, NETWORK_POLICY, NO_NETWORK_POLICY, OVERLAYS, agent_of, config_files,
                       environment, find, named, pod_spec, render_with)
from processes import ROOT
from test_manifests import own_redis

RELEASE = "edge"
HELMS_LABELS = {"app.kubernetes.io/managed-by": "Helm", "app.kubernetes.io/version": "0.1.0",
                "helm.sh/chart": "ratelimit-spoa-0.1.0"}
ALL_COMPONENTS = ["--set", "serviceMonitor.enabled=true,prometheusRule.enabled=true,priorityClass.create=true"]
REDIS = ["--set", "mode=service,autoscaling.enabled=true,redis.trial.enabled=true"]
VALUES = {"k8s/overlays/sidecar": [], "k8s/overlays/service": ["--set", "mode=service"],
          "k8s/overlays/redis": REDIS}
OWN_REDIS = """
mode: service
autoscaling: { enabled: true, maxReplicas: 4 }
redis:
  url: rediss://redis.example.com:6379/0
  passwordSecret: { name: my-redis, key: password }
  caSecret: { name: my-redis, key: ca.crt }
  storeTimeout: 5ms
networkPolicy:
  agentEgress: [{ ports: [{ protocol: TCP, port: 6379 }] }]
image: { repository: registry.example.com/ratelimit-spoa, tag: 0.2.0, pullPolicy: Always }
imagePullSecrets: [{ name: mine }]
agent: { env: { RATELIMIT_LOG_LEVEL: debug } }
"""


@pytest.fixture(scope="module", autouse=True)
def installed():
    charts.install()


# ---- Kustomize's objects and Helm's ----

def kustomized(directory, folder, components):
    """An overlay as an instance of its own, with the names and labels that Helm gives to a release."""
    return render_with(directory, folder, components, namePrefix=f"{RELEASE}-", labels=[{
        "pairs": {"app.kubernetes.io/instance": RELEASE}, "includeSelectors": True,
        "fields": [{"kind": "ServiceMonitor", "path": "spec/selector/matchLabels"}]}])


def comparable(objects):
    """{(kind, name): object} without what has to differ. Kustomize puts a hash of a ConfigMap's or Secret's
    content into its name, and Helm an annotation into the pods; Helm's labels say that it is Helm's. Helm leaves
    the namespace to the request that creates the object. What has a name is put in the order of the names."""
    hashed = {thing["metadata"]["name"] for thing in objects if thing["kind"] in ("ConfigMap", "Secret")
              and re.search("-[0-9a-z]{10}$", thing["metadata"]["name"])}
    found = {}
    for thing in plain(copy.deepcopy(objects), hashed):
        thing["metadata"].pop("namespace", None)
        if thing["kind"] == "ConfigMap" and "policies.json" in thing["data"]:
            thing["data"]["policies.json"] = json.loads(thing["data"]["policies.json"])
        found[(thing["kind"], thing["metadata"]["name"])] = thing
    assert len(found) == len(objects)
    return found


def plain(value, hashed):
    if isinstance(value, dict):
        return {key: plain(content, hashed) for key, content in value.items()}
    if isinstance(value, list):
        items = [plain(item, hashed) for item in value]
        if all(isinstance(item, dict) and "name" in item for item in items):
            items.sort(key=lambda item: item["name"])
        return items
    return value[:-11] if value in hashed else value


@pytest.mark.parametrize("folder", VALUES)
@pytest.mark.parametrize("with_components", [False, True], ids=["alone", "with all components"])
def test_helm_makes_what_kustomize_makes(tmp_path, folder, with_components):
    components = COMPONENTS if with_components else []

    ours = comparable(kustomized(tmp_path, folder, components))
    theirs = comparable(charts.template(
        RELEASE, *VALUES[folder], *(ALL_COMPONENTS if with_components else [])))

    for thing in theirs.values():
        labels = thing["metadata"]["labels"]
        assert {name: labels.pop(name) for name in HELMS_LABELS} == HELMS_LABELS
    haproxy = theirs[("Deployment", f"{RELEASE}-haproxy")]["spec"]["template"]["metadata"]
    assert list(haproxy.pop("annotations")) == ["checksum/haproxy"]
    assert set(ours) == set(theirs)
    for key, thing in ours.items():
        assert thing == theirs[key], key


def test_the_files_of_the_chart_are_those_of_kustomize():
    for copied, original in (("haproxy.cfg", "components/haproxy/haproxy.cfg"),
                             ("ratelimit-spoe.conf", "components/haproxy/ratelimit-spoe.conf"),
                             ("alerts.yaml", "components/prometheus-rule/alerts.yaml"),
                             ("agents-sidecar.cfg", "overlays/sidecar/agents.cfg"),
                             ("agents-sharded.cfg", "overlays/service/agents.cfg"),
                             ("agents-shared.cfg", "overlays/redis/agents.cfg")):
        assert (charts.CHART / "files" / copied).read_text() == (ROOT / "k8s" / original).read_text(), copied


# ---- the API of each version ----

def renderings(directory):
    """All that this project renders, and that its README shows."""
    found = {}
    for number, (folder, components) in enumerate([
            *((folder, []) for folder in OVERLAYS), *((folder, COMPONENTS) for folder in OVERLAYS),
            *((folder, [NO_NETWORK_POLICY]) for folder in OVERLAYS[1:]), ("k8s/base", [NETWORK_POLICY])]):
        (directory / str(number)).mkdir()
        found[f"{folder} {components}"] = render_with(directory / str(number), folder, components)
    (directory / "own-redis").mkdir()
    found["own Redis"] = own_redis(directory / "own-redis")
    (directory / "own.yaml").write_text(OWN_REDIS)
    for words in (*VALUES.values(), *([*one, *ALL_COMPONENTS] for one in VALUES.values()),
                  ["-f", directory / "own.yaml"]):
        found[f"helm {words}"] = charts.template(RELEASE, *words)
    return found


def test_every_rendering_is_what_kubernetes_1_30_to_1_37_take(tmp_path):
    everything = renderings(tmp_path)

    assert charts.api_faults(everything, charts.VERSIONS) == []
    for page in ("k8s/README.md", "k8s/chart/README.md"):
        assert "Kubernetes 1.30\nor later" in (ROOT / page).read_text().replace("1.30 or", "1.30\nor")


def test_a_mistake_and_a_version_that_is_too_old_are_found(tmp_path):
    objects = render_with(tmp_path, "k8s/overlays/service", [])
    wrong = copy.deepcopy(objects)
    find(wrong, "Deployment", "haproxy")["spec"]["minReadySecond"] = 1

    found = charts.api_faults({"wrong": wrong}, ["1.30", "1.37"])
    assert [fault.partition(":")[0] for fault in found] == [
        f"wrong {version} Deployment/haproxy" for version in ("1.30", "1.37")]
    assert "minReadySecond" in found[0]
    # preStop.sleep
    old, = charts.api_faults({"old": objects}, ["1.28"])
    assert old.startswith("old 1.28 Deployment/haproxy: ") and "sleep" in old


def test_the_types_of_the_prometheus_operator_fit(schema):
    assert schema(charts.template(RELEASE, *REDIS, *ALL_COMPONENTS)) == []


# ---- the chart itself ----

def test_lint_is_strict_and_silent():
    said = charts.helm("lint", "--strict", charts.CHART)

    assert "1 chart(s) linted, 0 chart(s) failed" in said
    assert "[WARNING]" not in said and "[ERROR]" not in said


def test_the_package_is_whole(tmp_path):
    charts.helm("package", "-d", tmp_path, charts.CHART)

    package = tmp_path / "ratelimit-spoa-0.1.0.tgz"
    with tarfile.open(package) as archive:
        packed = {name.partition("/")[2] for name in archive.getnames()}
    ours = {str(path.relative_to(charts.CHART)) for path in charts.CHART.rglob("*") if path.is_file()}
    assert packed == ours - {".helmignore"} | (packed & {".helmignore"})
    assert charts.template(RELEASE, *REDIS, chart=package) == charts.template(RELEASE, *REDIS)


def test_the_versions_are_those_of_the_image():
    chart = yaml.safe_load((charts.CHART / "Chart.yaml").read_text())
    version = re.search(r"^ARG VERSION=(.*)", (ROOT / "Dockerfile").read_text(), re.M)[1]

    assert chart["appVersion"] == chart["version"] == version
    assert agent_of(charts.template(RELEASE))["image"] == f"ratelimit-spoa:{version}"


@pytest.mark.parametrize("words, reason", [
    (["--set", "mode=sidecars"], "/mode"),
    (["--set", "modes=sidecar"], "modes"),
    (["--set", "agent.replica=2"], "replica"),
    (["--set", "agent.replicas=0"], "/agent/replicas"),
    (["--set", "agent.env.LOG_LEVEL=debug"], "'LOG_LEVEL' does not match"),
    (["--set", "redis.onError=local "], "/redis/onError"),
    (["--set", "redis.url=redis://user:secret@redis/0"], "/redis/url"),
    (["--set", "redis.url=redis://redis/0,redis.trial.enabled=true"], "/redis"),
    (["--set", "autoscaling.maxReplicas=20"], "/autoscaling/maxReplicas"),
    (["--set", "mode=service,autoscaling.enabled=true"], "autoscaling.enabled needs Redis"),
    (["--set", "networkPolicy.enabled=yes"], "/networkPolicy/enabled"),
    (["--set", "haproxy.service.type=Headless"], "/haproxy/service/type"),
], ids=lambda value: value[1] if isinstance(value, list) else "")
def test_a_wrong_value_is_refused_with_its_place(words, reason):
    assert reason in charts.refusal("template", RELEASE, charts.CHART, *words)


def test_your_own_redis_with_tls(tmp_path):
    (tmp_path / "own.yaml").write_text(OWN_REDIS)
    objects = charts.template(RELEASE, "-f", tmp_path / "own.yaml")

    agent, deployment = agent_of(objects), find(objects, "Deployment", f"{RELEASE}-ratelimit-spoa")
    env = environment(agent)
    assert env["RATELIMIT_STORE"] == "rediss://redis.example.com:6379/0"
    assert (env["RATELIMIT_STORE_TIMEOUT"], env["RATELIMIT_ON_ERROR"]) == ("5ms", "local")
    assert env["RATELIMIT_LOG_LEVEL"] == "debug"
    mounts = {mount["mountPath"]: mount["name"] for mount in agent["volumeMounts"]}
    for variable, key in (("PASSWORD", "password"), ("CA", "ca.crt")):
        folder, _, name = env[f"RATELIMIT_REDIS_{variable}_FILE"].rpartition("/")
        assert name == key
        assert named(pod_spec(deployment)["volumes"], mounts[folder])["secret"]["secretName"] == "my-redis"
    assert (agent["image"], agent["imagePullPolicy"]) == ("registry.example.com/ratelimit-spoa:0.2.0", "Always")
    assert pod_spec(deployment)["imagePullSecrets"] == [{"name": "mine"}]
    assert find(objects, "HorizontalPodAutoscaler")["spec"]["maxReplicas"] == 4
    egress = find(objects, "NetworkPolicy", f"{RELEASE}-ratelimit-spoa")["spec"]["egress"]
    assert {"ports": [{"protocol": "TCP", "port": 6379}]} in egress
    assert "leastconn" in config_files(objects, f"{RELEASE}-haproxy")["agents.cfg"]


def test_the_example_of_the_readme_renders(tmp_path):
    text = (charts.CHART / "README.md").read_text()
    (tmp_path / "values.yaml").write_text(re.search("```yaml\n(.*?)```", text, re.S)[1])
    command = re.search(r"^helm install (\w+) (\S+) --set-file (\w+)=(\S+)$", text, re.M).groups()

    objects = charts.template(command[0], "-f", tmp_path / "values.yaml", "--set-file",
                              f"{command[2]}={ROOT / command[3]}", chart=ROOT / command[1])

    assert environment(agent_of(objects))["RATELIMIT_STORE"].startswith("rediss://")
    assert config_files(objects, f"{RELEASE}-ratelimit-policies")["policies.json"] == (
        ROOT / command[3]).read_text()


def test_policies_times_and_files_are_those_of_the_values(tmp_path):
    (tmp_path / "policies.json").write_text(POLICIES)
    (tmp_path / "haproxy.cfg").write_text("global\n    # {{ mine }}\n")
    objects = charts.template(
        RELEASE, "--set", "mode=service,dnsAgeSeconds=60,haproxy.image=haproxy:3.4",
        "--set-file", f"policyFile={tmp_path / 'policies.json'}",
        "--set-file", f"haproxy.config={tmp_path / 'haproxy.cfg'}")

    assert config_files(objects, f"{RELEASE}-ratelimit-policies")["policies.json"].strip() == POLICIES.strip()
    files = config_files(objects, f"{RELEASE}-haproxy")
    assert files["haproxy.cfg"] == "global\n    # {{ mine }}\n"
    assert "\n    hold obsolete 70s\n" in files["agents.cfg"]
    assert find(objects, "Deployment", f"{RELEASE}-ratelimit-spoa")["spec"]["minReadySeconds"] == 70


def test_the_runbooks_are_where_the_values_say():
    objects = charts.template(RELEASE, "--set", "prometheusRule.enabled=true,"
                              "prometheusRule.runbookBase=https://git.example.com/r/")

    rules = [rule for group in find(objects, "PrometheusRule")["spec"]["groups"] for rule in group["rules"]]
    for rule in rules:
        assert rule["annotations"]["runbook_url"].startswith("https://git.example.com/r/docs/troubleshooting.md#")
    assert len(rules) == 12


def test_the_agent_takes_the_policies_and_variables_of_the_values(tmp_path):
    objects = charts.template(RELEASE, *VALUES["k8s/overlays/service"], "--set",
                              "policies.many.algorithm=fixed_window,policies.many.limit=1000000,"
                              "policies.many.window=1h,policies.many.key[0]=src")
    file = tmp_path / "policies.json"
    file.write_text(config_files(objects, f"{RELEASE}-ratelimit-policies")["policies.json"])

    done = run("check-config", env={**environment(agent_of(objects)), "RATELIMIT_POLICIES": str(file)})

    assert done.returncode == 0, done.stderr
    assert json.loads(file.read_text())["policies"]["many"]["limit"] == 1000000


# ---- what Helm prints ----

@pytest.mark.parametrize("words", [*VALUES.values(), ["--set", "haproxy.replicas.sidecar=3"]])
def test_the_notes_have_three_commands_for_what_is_there(words):
    said = charts.helm("install", RELEASE, charts.CHART, "--dry-run=client", "--namespace", "mine", *words)
    notes = said[said.index("NOTES:"):]
    objects = charts.template(RELEASE, *words)

    commands = [line.strip() for line in notes[:notes.index("The first requests")].splitlines()
                if line.startswith("  kubectl")]
    assert len(commands) == 3
    assert all(command.startswith("kubectl --namespace mine ") for command in commands)
    for name in re.findall(r"deployment/(\S+)", " ".join(commands)):
        assert find(objects, "Deployment", name)
    assert find(objects, "Service", re.search(r"http://([\w-]+)/", commands[1])[1])
    assert find(objects, "ConfigMap", re.search(r"configmap (\S+)", notes)[1])
    assert ("WARNING" in notes) == (words in (REDIS, ["--set", "haproxy.replicas.sidecar=3"]))
