"""The objects that kustomize makes of k8s/ must have the types of Kubernetes, and fit each
other."""

import json
import re
import subprocess

import pytest
import yaml

import haproxy
from agent import run
from manifests import (COMPONENTS, NETWORK_POLICY, NO_NETWORK_POLICY, OVERLAYS, OWN_REDIS, agent_of, config_files, containers, environment, find,
                       named, pod_spec, port_number, quantity, render, render_with, seconds, size,
                       workloads)
from processes import ROOT

DEPLOYMENT_KINDS = {
    "k8s/base": {"Deployment", "Service", "ServiceAccount", "ConfigMap"},
    "k8s/overlays/sidecar": {"Deployment", "Service", "ServiceAccount", "ConfigMap",
                             "PodDisruptionBudget", "NetworkPolicy"},
    "k8s/overlays/service": {"Deployment", "Service", "ServiceAccount", "ConfigMap",
                             "PodDisruptionBudget", "NetworkPolicy"},
    "k8s/overlays/redis": {"Deployment", "Service", "ServiceAccount", "ConfigMap",
                           "PodDisruptionBudget", "NetworkPolicy", "HorizontalPodAutoscaler", "Secret"},
}


@pytest.fixture(params=OVERLAYS)
def objects(request):
    return render(request.param)


@pytest.fixture(params=OVERLAYS[1:])
def with_haproxy(request):
    return render(request.param)


# ---- types ----

@pytest.mark.parametrize("folder", OVERLAYS)
def test_an_overlay_is_what_kubernetes_takes(schema, folder):
    objects = render(folder)

    assert {thing["kind"] for thing in objects} == DEPLOYMENT_KINDS[folder]
    assert schema(objects) == []


@pytest.mark.parametrize("folder, components", [
    *((folder, COMPONENTS) for folder in OVERLAYS),
    *(("k8s/base", [component]) for component in [NETWORK_POLICY, *COMPONENTS])])
def test_an_overlay_with_components_is_what_kubernetes_takes(tmp_path, schema, folder, components):
    objects = render_with(tmp_path, folder, components)

    new = {thing["kind"] for thing in objects} - DEPLOYMENT_KINDS[folder]
    assert new == {{"k8s/components/network-policy": "NetworkPolicy",
                    "k8s/components/service-monitor": "ServiceMonitor",
                    "k8s/components/prometheus-rule": "PrometheusRule",
                    "k8s/components/priority-class": "PriorityClass"}[one] for one in components}
    assert {thing["metadata"]["namespace"] for thing in objects
            if thing["kind"] != "PriorityClass"} == {"edge"}
    assert schema(objects) == []


def pod_of(objects):
    return pod_spec(find(objects, "Deployment", "ratelimit-spoa"))


def agent_in(objects):
    return pod_of(objects)["containers"][0]


def rename(thing, old, new):
    thing[new] = thing.pop(old)


MISTAKES = [
    ("readinesProbe: unknown field",
     lambda o: rename(agent_in(o), "readinessProbe", "readinesProbe")),
    ("httpGet/prt: unknown field",
     lambda o: rename(agent_in(o)["livenessProbe"]["httpGet"], "port", "prt")),
    ("httpGet: must have required property port",
     lambda o: agent_in(o)["livenessProbe"]["httpGet"].pop("port")),
    ("periodSeconds: must be integer",
     lambda o: agent_in(o)["livenessProbe"].update(periodSeconds="10")),
    ("runAsNonRoot: must be boolean", lambda o: pod_of(o)["securityContext"].update(
        runAsNonRoot="true")),
    ("enableServiceLink: unknown field",
     lambda o: rename(pod_of(o), "enableServiceLinks", "enableServiceLink")),
    ("whenUnsatisfied: unknown field",
     lambda o: rename(pod_of(o)["topologySpreadConstraints"][0], "whenUnsatisfiable",
                      "whenUnsatisfied")),
    ("must have required property whenUnsatisfiable",
     lambda o: pod_of(o)["topologySpreadConstraints"][0].pop("whenUnsatisfiable")),
    ("containers: must be array", lambda o: pod_of(o).update(containers={})),
    ("spec: must have required property selector",
     lambda o: find(o, "Deployment", "ratelimit-spoa")["spec"].pop("selector")),
    ("value: must be string", lambda o: agent_in(o)["env"][0].update(value=5)),
    ("env/0: must have required property name", lambda o: agent_in(o)["env"][0].pop("name")),
    ("capabilities/drop: must be array",
     lambda o: agent_in(o)["securityContext"]["capabilities"].update(drop="ALL")),
    ("clusterip: unknown field",
     lambda o: rename(find(o, "Service", "ratelimit-agents")["spec"], "clusterIP", "clusterip")),
    ("maxUnavailble: unknown field",
     lambda o: rename(find(o, "PodDisruptionBudget", "haproxy")["spec"], "maxUnavailable",
                      "maxUnavailble")),
    ("averageUtilisation: unknown field",
     lambda o: rename(find(o, "HorizontalPodAutoscaler")["spec"]["metrics"][0]["resource"][
         "target"], "averageValue", "averageUtilisation")),
    ("spec: must have required property maxReplicas",
     lambda o: find(o, "HorizontalPodAutoscaler")["spec"].pop("maxReplicas")),
    ("polycyTypes: unknown field",
     lambda o: rename(find(o, "NetworkPolicy", "haproxy")["spec"], "policyTypes", "polycyTypes")),
    ("spec/endpoints/0/intervall: unknown field",
     lambda o: rename(find(o, "ServiceMonitor", "ratelimit-spoa")["spec"]["endpoints"][0], "interval", "intervall")),
    ("spec: must have required property selector",
     lambda o: find(o, "ServiceMonitor", "ratelimit-spoa")["spec"].pop("selector")),
    ("rules/0: must have required property expr",
     lambda o: find(o, "PrometheusRule")["spec"]["groups"][0]["rules"][0].pop("expr")),
    ("rules/0/annotation: unknown field",
     lambda o: rename(find(o, "PrometheusRule")["spec"]["groups"][0]["rules"][0], "annotations",
                      "annotation")),
    ("no such kind: autoscaling/v3 HorizontalPodAutoscaler",
     lambda o: find(o, "HorizontalPodAutoscaler").update(apiVersion="autoscaling/v3")),
    ("no such kind: policy/v1 PodDisruptionBuget",
     lambda o: find(o, "PodDisruptionBudget", "haproxy").update(kind="PodDisruptionBuget")),
    ("dat: unknown field", lambda o: rename(find(o, "ConfigMap", "ratelimit-policies"), "data",
                                            "dat")),
]


@pytest.fixture(scope="module")
def everything(tmp_path_factory):
    return json.dumps(render_with(tmp_path_factory.mktemp("all"), "k8s/overlays/redis", COMPONENTS))


@pytest.mark.parametrize("fault, seed", MISTAKES, ids=[fault for fault, _ in MISTAKES])
def test_a_mistake_in_a_manifest_is_found(schema, everything, fault, seed):
    objects = json.loads(everything)
    seed(objects)

    found = schema(objects)

    assert len(found) in (1, 2) and any(text.endswith(fault) for text in found), found


# ---- the pods ----

def test_all_is_within_restricted_pod_security(objects):
    for workload in workloads(objects):
        spec = pod_spec(workload)
        context = spec["securityContext"]
        assert context["runAsNonRoot"] is True and context["runAsUser"] > 0
        assert context["seccompProfile"] == {"type": "RuntimeDefault"}
        assert not {"hostNetwork", "hostPID", "hostIPC"} & set(spec)
        assert all(set(volume) & {"configMap", "secret"} for volume in spec.get("volumes", []))
        for container in containers(spec):
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]}}
            assert all(mount["readOnly"] for mount in container.get("volumeMounts", []))
            assert "hostPort" not in str(container["ports"])


def test_a_pod_is_told_nothing_of_its_neighbours_and_has_no_token(objects):
    for workload in workloads(objects):
        assert pod_spec(workload)["enableServiceLinks"] is False
        assert pod_spec(workload)["automountServiceAccountToken"] is False


def test_the_agent_is_the_user_of_its_image(objects):
    user = re.search(r"^USER (\d+)", (ROOT / "Dockerfile").read_text(), re.M).group(1)
    for workload in workloads(objects):
        if any(container["name"] == "agent" for container in containers(pod_spec(workload))):
            assert pod_spec(workload)["securityContext"]["runAsUser"] == int(user) == 10001


def test_memory_and_cpu(objects):
    agent = agent_of(objects)
    limits, requests = agent["resources"]["limits"], agent["resources"]["requests"]

    assert quantity(limits["cpu"]) == 1 >= quantity(requests["cpu"]) > 0
    assert quantity(limits["memory"]) == quantity(requests["memory"])
    assert size(environment(agent)["RATELIMIT_MEMORY_LIMIT"]) <= quantity(limits["memory"]) / 2
    for workload in workloads(objects):
        for container in containers(pod_spec(workload)):
            assert quantity(container["resources"]["limits"]["memory"]) > 0
            assert quantity(container["resources"]["requests"]["cpu"]) > 0


def test_the_comments_on_memory_and_cpu_are_what_was_measured(objects):
    """76 bytes a balance in docs/reference.md, CPU a check and memory in bench/README.md."""
    text = (ROOT / "k8s/base/agent.yaml").read_text()
    agent = agent_of(objects)
    limit = size(environment(agent)["RATELIMIT_MEMORY_LIMIT"])

    assert "A balance takes 76 bytes" in (ROOT / "docs/reference.md").read_text()
    assert f"76 bytes a balance: {limit // 76 // 10000 * 10},000 of them" in text
    bench = (ROOT / "bench/README.md").read_text()
    least = [float(re.search(rf"memory store: agent's CPU a check, {kind}, µs \| ([\d.]+) \(", bench)
                   .group(1)) for kind in ("user", "system")]
    most = [float(re.search(rf"Redis store: agent's CPU a check, {kind}.*\| ([\d.]+) \(", bench)
                  .group(1)) for kind in ("user", "system")]
    memory = int(re.search(r"memory store: agent's memory, kB \| (\d+) \(", bench)[1])
    assert f"a check costs the agent {sum(least):.2f} µs" in bench
    assert f"A check costs {sum(least):.2f} to {sum(most):.0f} us" in text
    assert f"itself takes {memory / 1000:.0f} MB" in " ".join(text.replace("#", "").split())
    cpu = quantity(agent["resources"]["requests"]["cpu"])
    assert f"at least {cpu / sum(most) * 1e6 // 1000:.0f},000 a second" in text


def test_there_is_time_to_drain(objects):
    for workload in workloads(objects):
        spec = pod_spec(workload)
        if not any(container["name"] == "agent" for container in containers(spec)):
            continue
        env = environment(agent_of(objects))
        needed = seconds(env["RATELIMIT_DRAIN_DELAY"]) + seconds(env["RATELIMIT_DRAIN_TIMEOUT"])
        for container in spec["containers"]:
            if container["name"] == "haproxy":
                # preStop, HAProxy and the agent need time one after the other.
                needed += container["lifecycle"]["preStop"]["sleep"]["seconds"] + 30
        assert spec["terminationGracePeriodSeconds"] > needed


def test_haproxy_ends_within_what_is_reckoned_with(with_haproxy):
    assert "\n    hard-stop-after 30s\n" in config_files(with_haproxy, "haproxy")["haproxy.cfg"]
    assert pod_spec(find(with_haproxy, "Deployment", "haproxy"))[
        "terminationGracePeriodSeconds"] > 5 + 30


@pytest.mark.parametrize("folder", ["k8s/overlays/service", "k8s/overlays/redis"])
def test_haproxy_notices_a_drain_before_it_ends(folder):
    objects = render(folder)
    check = re.search(r"check inter (\w+) fall (\d+)",
                      config_files(objects, "haproxy")["agents.cfg"])

    assert seconds(environment(agent_of(objects))["RATELIMIT_DRAIN_DELAY"]) > \
        seconds(check.group(1)) * int(check.group(2))


DNS_AGE = 30  # seconds: kubeadm's CoreDNS answers from a cache for so long


@pytest.mark.parametrize("folder", ["k8s/overlays/service", "k8s/overlays/redis"])
def test_what_depends_on_the_age_of_dns_answers(folder):
    objects = render(folder)
    agents = config_files(objects, "haproxy")["agents.cfg"]
    deployment = find(objects, "Deployment", "ratelimit-spoa")["spec"]
    holds = {name: seconds(time) for name, time in re.findall(r"^    hold (\w+) +(\w+)$", agents, re.M)}

    # HAProxy asks once a second, may have to ask again, and checks once a second.
    assert deployment["minReadySeconds"] > DNS_AGE + 3
    assert deployment["strategy"]["rollingUpdate"] == {"maxUnavailable": 0, "maxSurge": 1}
    assert holds.pop("obsolete") > DNS_AGE
    assert holds.pop("valid") == 1
    assert holds == dict.fromkeys(("timeout", "refused", "nx", "other"), 24 * 86400)
    text = (ROOT / "k8s/README.md").read_text()
    assert f"**the age of DNS answers, {DNS_AGE} s**" in text
    assert f"| `minReadySeconds` of the agents | {deployment['minReadySeconds']} s |" in text
    assert "up to 30 s old" in (ROOT / "k8s/overlays/service/agents-pods.yaml").read_text()
    assert "which is 30 s" in agents


def test_what_connections_take_fits_into_the_container(objects):
    """The README's line of arithmetic; test_bounds.py shows that the parts of it are true."""
    agent = agent_of(objects)
    env, memory = environment(agent), quantity(agent["resources"]["limits"]["memory"])
    parts = [size(env["RATELIMIT_MEMORY_LIMIT"]) / 1e6, 4,
             (int(env["RATELIMIT_MAX_CONNECTIONS"]) + 64) * 0.02,
             int(env["RATELIMIT_HTTP_MAX_CONNECTIONS"]) * 0.08, 2**24 / 1e6]

    assert sum(parts) < 0.9 * memory / 1e6
    text = " ".join((ROOT / "k8s/README.md").read_text().split())
    line = text[text.index("- **Memory**"):text.index("- **CPU**")]
    said = [int(part) for part in re.findall(r"(\d+) MB", line)]
    # Each part is rounded up.
    assert said == [-int(-part // 1) for part in parts] + [
        sum(-int(-part // 1) for part in parts), int(memory / 1e6)]
    assert f"the container's {int(memory / 2**20)} MiB" in line


def test_the_agent_starts_before_haproxy_and_ends_after_it_as_a_sidecar():
    spec = pod_spec(find(render("k8s/overlays/sidecar"), "Deployment"))

    assert [container["name"] for container in spec["containers"]] == ["haproxy"]
    agent, = spec["initContainers"]
    assert (agent["name"], agent["restartPolicy"]) == ("agent", "Always")
    # HAProxy is not started before this probe succeeds.
    assert agent["startupProbe"]["httpGet"]["path"] == "/ready"
    assert environment(agent)["RATELIMIT_SPOP_LISTEN"].startswith("127.0.0.1:")


@pytest.mark.parametrize("folder, names", [
    ("k8s/overlays/service", ["ratelimit-spoa", "haproxy"]),
    ("k8s/overlays/redis", ["ratelimit-spoa", "haproxy"]), ("k8s/overlays/sidecar", ["haproxy"])])
def test_agents_and_haproxys_are_spread_and_stay_when_nodes_are_emptied(folder, names):
    objects = render(folder)

    for name in names:
        deployment = find(objects, "Deployment", name)
        labels = deployment["spec"]["selector"]["matchLabels"]
        keys = {constraint["topologyKey"]: constraint["labelSelector"]["matchLabels"]
                for constraint in pod_spec(deployment)["topologySpreadConstraints"]}
        assert keys == {"kubernetes.io/hostname": labels, "topology.kubernetes.io/zone": labels}
        budget = find(objects, "PodDisruptionBudget", name)
        chosen = find(objects, "Deployment", name)["spec"]["selector"]
        assert budget["spec"] == {"maxUnavailable": 1, "unhealthyPodEvictionPolicy": "AlwaysAllow",
                                  "selector": chosen}


def test_agents_are_no_more_than_haproxy_has_places_for():
    objects = render("k8s/overlays/redis")
    scaler = find(objects, "HorizontalPodAutoscaler")["spec"]
    places = re.search(r"server-template agent (\d+) ",
                       config_files(objects, "haproxy")["agents.cfg"]).group(1)
    deployment = find(objects, "Deployment", scaler["scaleTargetRef"]["name"])

    # A number here would overwrite the scaler's number at each apply.
    assert "replicas" not in deployment["spec"]
    assert scaler["minReplicas"] >= 2
    assert scaler["maxReplicas"] + deployment["spec"]["strategy"]["rollingUpdate"]["maxSurge"] \
        < int(places)
    target = scaler["metrics"][0]["resource"]["target"]
    assert quantity(target["averageValue"]) < quantity(
        agent_of(objects)["resources"]["limits"]["cpu"])


# ---- what names what ----

def labelled(objects, selector):
    return [workload for workload in workloads(objects) if selector.items()
            <= workload["spec"]["template"]["metadata"]["labels"].items()]


def test_what_a_selector_selects_is_there(objects):
    for workload in workloads(objects):
        assert labelled(objects, workload["spec"]["selector"]["matchLabels"]) == [workload]
    for service in (thing for thing in objects if thing["kind"] == "Service"):
        workload, = labelled(objects, service["spec"]["selector"])
        for port in service["spec"]["ports"]:
            found = [container for container in containers(pod_spec(workload))
                     for exposed in container["ports"]
                     if port["targetPort"] in (exposed["name"], exposed["containerPort"])]
            assert len(found) == 1, port


def test_what_a_pod_mounts_is_there(objects):
    names = {(thing["kind"], thing["metadata"]["name"]) for thing in objects}
    for workload in workloads(objects):
        spec = pod_spec(workload)
        for volume in spec.get("volumes", []):
            assert (("ConfigMap", volume["configMap"]["name"]) if "configMap" in volume
                    else ("Secret", volume["secret"]["secretName"])) in names
        for container in containers(spec):
            mounted = {mount["name"] for mount in container.get("volumeMounts", [])}
            assert mounted <= {volume["name"] for volume in spec.get("volumes", [])}
            # A single file that is mounted never changes in a running pod.
            assert "subPath" not in str(container.get("volumeMounts"))


@pytest.mark.parametrize("folder", OVERLAYS[1:])
def test_two_instances_of_a_namespace_have_nothing_in_common(tmp_path, folder):
    """Kustomize changes names and selectors; HAProxy and the agents are told the names that they ask for."""
    instances = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        instances.append(render_with(
            tmp_path / name, folder, ["k8s/components/priority-class"], namePrefix=f"{name}-", nameSuffix="-edge",
            labels=[{"pairs": {"app.kubernetes.io/instance": name}, "includeSelectors": True}]))

    keys = [{(thing["kind"], thing["metadata"]["name"]) for thing in objects} for objects in instances]
    assert not keys[0] & keys[1] and len(keys[0]) == len(keys[1])
    for name, objects in zip(("one", "two"), instances):
        both = [*instances[0], *instances[1]]
        test_what_a_selector_selects_is_there(objects)
        test_what_a_pod_mounts_is_there(objects)
        for thing in objects:
            assert re.fullmatch(f"{name}-.*-edge(-[0-9a-z]{{10}})?", thing["metadata"]["name"])
            for selector in selectors_of(thing):
                found = labelled(both, selector)
                assert len(found) == 1 and found[0] in objects, (thing["metadata"]["name"], selector)
        services = {thing["metadata"]["name"] for thing in objects if thing["kind"] == "Service"}
        for workload in workloads(objects):
            account = pod_spec(workload)["serviceAccountName"]
            assert find(objects, "ServiceAccount", account)
            for container in containers(pod_spec(workload)):
                if folder != "k8s/overlays/sidecar" and {"AGENTS", "VALKEY"} & {
                        entry["name"] for entry in container.get("env", [])}:
                    assert account in services


def selectors_of(thing):
    """All that the object selects pods by."""
    spec = thing.get("spec", {})
    if thing["kind"] == "NetworkPolicy":
        yield spec["podSelector"]["matchLabels"]
        for rule, side in [(rule, "from") for rule in spec.get("ingress", [])] + [
                (rule, "to") for rule in spec.get("egress", [])]:
            yield from (peer["podSelector"]["matchLabels"] for peer in rule.get(side, [])
                        if "podSelector" in peer)
    if thing["kind"] == "PodDisruptionBudget":
        yield spec["selector"]["matchLabels"]
    if thing["kind"] == "Deployment":
        yield from (constraint["labelSelector"]["matchLabels"]
                    for constraint in pod_spec(thing).get("topologySpreadConstraints", []))


@pytest.mark.parametrize("folder", OVERLAYS[1:])
def test_network_policies_can_be_left_out(tmp_path, folder):
    kinds = {thing["kind"] for thing in render_with(tmp_path, folder, [NO_NETWORK_POLICY])}

    assert kinds == DEPLOYMENT_KINDS[folder] - {"NetworkPolicy"}


def test_only_the_configmap_of_the_policies_keeps_its_name(with_haproxy):
    """A new configuration needs a new HAProxy, while agents reload their policies."""
    names = {thing["metadata"]["name"] for thing in with_haproxy if thing["kind"] == "ConfigMap"}

    assert "ratelimit-policies" in names
    assert all(re.fullmatch("haproxy-[0-9a-z]{10}", name)
               for name in names - {"ratelimit-policies"})


def test_network_policies_let_through_what_is_needed_and_select_what_is_there(tmp_path):
    objects = render_with(tmp_path, "k8s/overlays/redis", [])
    agent, redis = agent_of(objects), find(objects, "Deployment", "redis-trial")

    def ports(rule):
        return {(port["protocol"], port["port"]) for port in rule["ports"]}

    def peers(rule, side):
        return [labelled(objects, peer["podSelector"]["matchLabels"])[0]["metadata"]["name"]
                for peer in rule.get(side, []) if "podSelector" in peer]
    for name in ("ratelimit-spoa", "haproxy", "redis-trial"):
        selector = find(objects, "NetworkPolicy", name)["spec"]["podSelector"]["matchLabels"]
        workload, = labelled(objects, selector)
        assert workload["metadata"]["name"] == name
    of_agents = find(objects, "NetworkPolicy", "ratelimit-spoa")["spec"]
    asked, read = of_agents["ingress"]
    assert (ports(asked), peers(asked, "from")) == (
        {("TCP", port_number(agent, "spop"))}, ["haproxy"])
    assert ports(read) == {("TCP", port_number(agent, "http"))}
    names, store = of_agents["egress"]
    assert ports(names) == {("UDP", 53), ("TCP", 53)}
    number = port_number(pod_spec(redis)["containers"][0], "redis")
    assert (ports(store), peers(store, "to")) == ({("TCP", number)}, ["redis-trial"])
    to_redis, = find(objects, "NetworkPolicy", "redis-trial")["spec"]["ingress"]
    assert (ports(to_redis), peers(to_redis, "from")) == ({("TCP", number)}, ["ratelimit-spoa"])
    web = pod_spec(find(objects, "Deployment", "haproxy"))["containers"][0]
    everybody, _ = find(objects, "NetworkPolicy", "haproxy")["spec"]["ingress"]
    assert (ports(everybody), everybody.get("from")) == ({("TCP", port_number(web, "web"))}, None)


@pytest.mark.parametrize("folder", OVERLAYS)
def test_the_service_monitor_finds_the_agents(tmp_path, folder):
    objects = render_with(tmp_path, folder, ["k8s/components/service-monitor"])
    monitor = find(objects, "ServiceMonitor", "ratelimit-spoa")["spec"]

    service, = [thing for thing in objects if thing["kind"] == "Service" and
                monitor["selector"]["matchLabels"].items() <= thing["metadata"]["labels"].items()]
    endpoint, = monitor["endpoints"]
    port = named(service["spec"]["ports"], endpoint["port"])
    assert port["targetPort"] == port_number(agent_of(objects), "http")
    workload, = labelled(objects, service["spec"]["selector"])
    assert agent_of(objects) in containers(pod_spec(workload))
    assert endpoint["path"] == "/metrics"


@pytest.mark.parametrize("folder", OVERLAYS[1:])
def test_the_service_monitor_finds_haproxy(tmp_path, folder):
    objects = render_with(tmp_path, folder, ["k8s/components/service-monitor"])
    monitor = find(objects, "ServiceMonitor", "haproxy")["spec"]

    service, = [thing for thing in objects if thing["kind"] == "Service" and
                monitor["selector"]["matchLabels"].items() <= thing["metadata"]["labels"].items()]
    endpoint, = monitor["endpoints"]
    port = named(service["spec"]["ports"], endpoint["port"])
    workload, = labelled(objects, service["spec"]["selector"])
    container = named(pod_spec(workload)["containers"], "haproxy")
    assert port_number(container, port["targetPort"]) == 8404
    assert 'bind "${LISTEN_ADDRESS}:8404"' in config_files(objects, "haproxy")["haproxy.cfg"]
    assert "prometheus-exporter if { path /metrics }" in config_files(objects, "haproxy")["haproxy.cfg"]


# ---- the files in ConfigMaps, and the environment ----

def test_the_policies_are_good(objects, tmp_path):
    file = tmp_path / "policies.json"
    file.write_text(config_files(objects, "ratelimit-policies")["policies.json"])

    assert run("check-config", "--policies", file).returncode == 0


def test_the_agent_takes_the_environment(objects, tmp_path):
    """The agent starts with all variables but the path of the policies. A wrong name or value
    stops it."""
    file = tmp_path / "policies.json"
    file.write_text(config_files(objects, "ratelimit-policies")["policies.json"])
    secret = tmp_path / "password"
    secret.write_text("x\n")
    env = {**environment(agent_of(objects)), "RATELIMIT_POLICIES": str(file)}
    if "RATELIMIT_STORE" in env:  # the kubelet puts the name of the account there
        env["RATELIMIT_STORE"] = env["RATELIMIT_STORE"].replace("$(VALKEY)", "redis-trial")
    if "RATELIMIT_REDIS_PASSWORD_FILE" in env:
        env["RATELIMIT_REDIS_PASSWORD_FILE"] = str(secret)

    good = run("check-config", env=env)
    assert good.returncode == 0, good.stderr
    assert run("check-config", env={**env, "RATELIMIT_MEMORY_LIMITS": "1m"}).returncode == 2


def test_the_environment_names_files_that_are_mounted(objects):
    agent = agent_of(objects)
    folders = {mount["mountPath"] for mount in agent["volumeMounts"]}
    for name, value in environment(agent).items():
        if name in ("RATELIMIT_POLICIES", "RATELIMIT_REDIS_PASSWORD_FILE"):
            assert value.rpartition("/")[0] in folders
    listens = {name: environment(agent)[f"RATELIMIT_{name}_LISTEN"].rpartition(":")[2]
               for name in ("SPOP", "HTTP")}
    assert {name: int(port) for name, port in listens.items()} == {
        "SPOP": port_number(agent, "spop"), "HTTP": port_number(agent, "http")}


def test_the_password_of_redis_is_only_in_its_secret():
    objects = render("k8s/overlays/redis")
    secret = find(objects, "Secret")
    agent, redis = agent_of(objects), pod_spec(find(objects, "Deployment", "redis-trial"))

    assert environment(agent)["RATELIMIT_REDIS_PASSWORD_FILE"].rpartition("/")[2] in secret["data"]
    volume = named(pod_of(objects)["volumes"], "redis-password")["secret"]
    assert (volume["secretName"], volume["defaultMode"]) == (secret["metadata"]["name"], 0o440)
    source = named(redis["containers"][0]["env"], "PASSWORD")["valueFrom"]["secretKeyRef"]
    assert (source["name"], source["key"]) == (secret["metadata"]["name"], "password")
    assert "for-trials-only" not in yaml.safe_dump(objects)
    assert "trial" in redis["containers"][0]["image"] + find(
        objects, "Deployment", "redis-trial")["metadata"]["name"]


def own_redis(directory):
    """overlays/redis with a Redis of the user's, as the README says."""
    return render_with(directory, "k8s/overlays/redis", [OWN_REDIS], configMapGenerator=[{
        "name": "ratelimit-store", "literals": ["url=rediss://redis.example.com:6379/0",
                                                "ca-file=/run/secrets/ratelimit-redis/ca.crt"]}])


def test_a_redis_of_yours_takes_the_place_of_the_one_for_trials(tmp_path, schema):
    objects = own_redis(tmp_path)

    assert schema(objects) == []
    assert "trial" not in yaml.safe_dump([thing for thing in objects if thing["kind"] != "ConfigMap"])
    assert "Secret" not in {thing["kind"] for thing in objects}
    env = {entry["name"]: entry for entry in agent_of(objects)["env"]}
    store = config_files(objects, "ratelimit-store")
    for name, key in (("RATELIMIT_STORE", "url"), ("RATELIMIT_REDIS_CA_FILE", "ca-file")):
        source = env[name]["valueFrom"]["configMapKeyRef"]
        assert find(objects, "ConfigMap", source["name"]) and source["key"] == key in store
        assert "value" not in env[name]
    folder = store["ca-file"].rpartition("/")[0]
    assert env["RATELIMIT_REDIS_PASSWORD_FILE"]["value"] == f"{folder}/password"
    mount, = [mount for mount in agent_of(objects)["volumeMounts"] if mount["mountPath"] == folder]
    assert named(pod_of(objects)["volumes"], mount["name"])["secret"]["secretName"] == "ratelimit-redis"
    egress = find(objects, "NetworkPolicy", "ratelimit-spoa")["spec"]["egress"]
    assert egress[1:] == [{"ports": [{"protocol": "TCP", "port": 6379}]}]
    assert find(objects, "ServiceAccount", pod_of(objects)["serviceAccountName"])
    assert find(objects, "HorizontalPodAutoscaler")


def test_the_service_of_redis_is_the_one_that_agents_ask():
    objects = render("k8s/overlays/redis")
    service = find(objects, "Service", "redis-trial")

    port, = service["spec"]["ports"]
    agent = agent_of(objects)
    assert environment(agent)["RATELIMIT_STORE"] == f"redis://$(VALKEY):{port['port']}/0"
    # A variable is known in those after it.
    names = [entry["name"] for entry in agent["env"]]
    assert names.index("VALKEY") < names.index("RATELIMIT_STORE")
    assert named(agent["env"], "VALKEY")["valueFrom"] == {
        "fieldRef": {"fieldPath": "spec.serviceAccountName"}}
    assert pod_of(objects)["serviceAccountName"] == service["metadata"]["name"]


# ---- HAProxy ----

SHARDED = "    balance hash var(ptxn.shard)"


def section(text, start):
    """A section of HAProxy's configuration without its comments."""
    lines = text[text.index(f"{start}\n"):].splitlines()
    end = next((n for n, line in enumerate(lines[1:], 1) if line and line[0].isalpha()), len(lines))
    return [line.split("#")[0].rstrip() for line in lines[:end] if line.split("#")[0].strip()]


def test_haproxy_has_the_shipped_rules(with_haproxy):
    files, shipped = config_files(with_haproxy, "haproxy"), haproxy.SHIPPED_CONF.read_text()

    assert files["ratelimit-spoe.conf"] == haproxy.SHIPPED_SPOE.read_text()
    block = re.compile(r"    # rate limit: begin\n.*?    # rate limit: end\n", re.S)
    assert block.search(files["haproxy.cfg"]).group() == block.search(shipped).group()
    assert section(files["haproxy.cfg"], "defaults") == section(shipped, "defaults")
    *lines, server = section(shipped, "backend ratelimit-agents")
    *mine, ours = section(files["agents.cfg"], "backend ratelimit-agents")
    if SHARDED in mine:
        # Agents that count for themselves: HAProxy 3.1 and later send all requests of a client to one of them.
        at = mine.index(SHARDED)
        assert mine[at:at + 6] == [
            SHARDED, "    hash-type consistent", "    default-server hash-key addr", ".else",
            "    mode tcp", "    balance leastconn"]
        del mine[at:at + 3]
        mine.remove("    balance leastconn")
        lines.remove("    balance leastconn")
    assert mine == lines
    check = server[server.index("check"):]
    assert check in ours


@pytest.mark.parametrize("folder", OVERLAYS[1:])
def test_every_haproxy_takes_its_configuration(suite, tmp_path, folder):
    objects = render(folder)
    for name, text in config_files(objects, "haproxy").items():
        (tmp_path / name).write_text(text.replace("/etc/haproxy/", f"{tmp_path}/"))
    container = named(pod_spec(find(objects, "Deployment", "haproxy"))["containers"], "haproxy")
    program, *words = container["command"]
    assert program == "haproxy"
    words = [word.replace("/etc/haproxy/", f"{tmp_path}/") for word in words]
    env = {**environment(container), "NAMESPACE": "edge", "AGENTS": "ratelimit-agents"}

    done = subprocess.run([*haproxy.program(suite, haproxy.HAPROXY), "-c", *words], text=True,
                          capture_output=True, check=False, env=env)

    assert done.returncode == 0, done.stdout + done.stderr
    assert "[WARNING]" not in done.stdout + done.stderr


def test_haproxy_asks_for_the_headless_service_by_its_whole_name():
    objects = render("k8s/overlays/service")
    service = find(objects, "Service", "ratelimit-agents")

    assert service["spec"]["clusterIP"] == "None"
    port, = service["spec"]["ports"]
    # HAProxy's resolver has no search list, so the name must be complete.
    name = "${AGENTS}.${NAMESPACE}.svc.${CLUSTER_DOMAIN}"
    assert f'"{name}:{port["port"]}"' in config_files(objects, "haproxy")["agents.cfg"]
    haproxy_pod = pod_spec(find(objects, "Deployment", "haproxy"))
    assert haproxy_pod["serviceAccountName"] == service["metadata"]["name"]
    assert named(named(haproxy_pod["containers"], "haproxy")["env"], "AGENTS")["valueFrom"] == {
        "fieldRef": {"fieldPath": "spec.serviceAccountName"}}
    assert port["targetPort"] == "spop"
