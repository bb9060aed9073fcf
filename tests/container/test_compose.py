"""haproxy-conf/compose.yaml, checked without an engine that runs it."""

import os
import re
import signal
import subprocess
from collections import Counter

import pytest
import yaml

import spop
from agent import bucket, policies_text
from compose import COMPOSE, COMPOSE_FILE, HAPROXY_CONF, ComposeHaproxy
from container import run_to_the_end
from haproxy import SHIPPED_CONF
from processes import ROOT, clean_environment, wait_until
from web import Load, get

SERVICES = COMPOSE["services"]
AGENTS = ("agent1", "agent2")
TLS_FILE = COMPOSE_FILE.parent / "compose-tls.yaml"
PASSWORD = COMPOSE_FILE.parent / "redis-password"


# --- the file ----------------------------------------------------------------------------------


def check(*paths):
    """Runs Docker Compose's own reader, which checks the schema of the specification and more."""
    files = [word for path in paths for word in ("-f", path)]
    return subprocess.run(["docker-compose", *files, "config"], text=True, check=False,
                          capture_output=True, timeout=60, env=clean_environment())


def test_docker_compose_takes_the_file():
    done = check(COMPOSE_FILE)

    assert done.returncode == 0, done.stderr
    assert done.stderr == ""


def test_docker_compose_takes_the_file_with_tls():
    done = check(COMPOSE_FILE, TLS_FILE)
    assert (done.returncode, done.stderr) == (0, "")
    services = yaml.safe_load(done.stdout)["services"]

    for name in AGENTS:
        environment = services[name]["environment"]
        assert environment["RATELIMIT_STORE"].startswith("rediss://redis:6379")
        secrets = {secret["source"] for secret in services[name]["secrets"]}
        assert {environment[f"RATELIMIT_REDIS_{what}_FILE"] for what in ("PASSWORD", "CA")} == {
            f"/run/secrets/{secret}" for secret in secrets}
    command = services["redis"]["command"][-1]
    assert "--port 0 --tls-port 6379" in command
    named_there = set(re.findall(r"/run/secrets/([\w-]+)", command))
    assert named_there == {secret["source"] for secret in services["redis"]["secrets"]}
    # The other words are those without TLS.
    plain = SERVICES["redis"]["command"][-1]
    assert command.startswith(plain.replace("$$", "$")) or command.startswith(plain)


@pytest.mark.parametrize("right,wrong", [
    ("read_only: true", "readonly: true"),
    ("cap_drop: [ALL]", "cap_drop: ALL"),
    ("condition: service_started", "condition: started"),
    ("interval: 5s", "interval: often"),
    ("internal: true", "internal: 5"),
    ("    image: docker.io/library/redis:8\n", ""),
    ("agent1:\n        condition", "agent3:\n        condition"),
])
def test_a_mistake_in_the_file_would_be_seen(tmp_path, right, wrong):
    text = COMPOSE_FILE.read_text()
    assert right in text
    (tmp_path / "compose.yaml").write_text(text.replace(right, wrong))

    assert check(tmp_path / "compose.yaml").returncode != 0


def duration(text):
    number, unit = re.fullmatch(r"(\d+)(ms|s|m)", text).groups()
    return int(number) * {"ms": 0.001, "s": 1, "m": 60}[unit]


def mebibytes(text):
    return int(re.fullmatch(r"(\d+)m", text)[1])


@pytest.mark.parametrize("name", AGENTS)
def test_its_numbers_fit_each_other(name):
    service, environment = SERVICES[name], SERVICES[name]["environment"]
    drain = [duration(environment[f"RATELIMIT_DRAIN_{what}"]) for what in ("DELAY", "TIMEOUT")]
    interval, falls = re.search(r"check inter (\d+)s fall (\d+)", HAPROXY_CONF.read_text()).groups()

    assert mebibytes(environment["RATELIMIT_MEMORY_LIMIT"]) * 2 <= mebibytes(service["mem_limit"])
    assert drain[0] > int(interval) * int(falls)
    assert duration(service["stop_grace_period"]) > sum(drain)
    # Those of Kubernetes, whose README adds them up and whose test attacks them.
    base = yaml.safe_load((ROOT / "k8s/base/agent.yaml").read_text())
    container, = base["spec"]["template"]["spec"]["containers"]
    theirs = {entry["name"]: entry["value"] for entry in container["env"]}
    for bound in ("MEMORY_LIMIT", "MAX_FRAME_SIZE", "MAX_CONNECTIONS", "HTTP_MAX_CONNECTIONS",
                  "HTTP_MAX_PER_ADDRESS"):
        assert environment[f"RATELIMIT_{bound}"] == theirs[f"RATELIMIT_{bound}"]
    assert f"{mebibytes(service['mem_limit'])}Mi" == container["resources"]["limits"]["memory"]


@pytest.mark.parametrize("name", AGENTS)
def test_the_image_takes_the_environment_of_the_file(image, name):
    done = run_to_the_end(image, "check-config", environment=SERVICES[name]["environment"],
                          options=["-v", f"{COMPOSE_FILE.parent}:/etc/ratelimit-spoa:ro",
                                   "-v", f"{PASSWORD}:/run/secrets/redis-password:ro"])

    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.endswith("the configuration is good: 1 policy\n")


@pytest.mark.parametrize("name", AGENTS)
def test_its_health_check_is_that_of_the_image(image, name):
    assert SERVICES[name]["healthcheck"]["test"] == ["CMD", *image.healthcheck()]


def test_what_it_names_is_there():
    for name, service in SERVICES.items():
        assert set(service["networks"]) <= set(COMPOSE["networks"])
        for volume in service["volumes"] if "volumes" in service else ():
            assert (COMPOSE_FILE.parent / volume.split(":")[0]).exists(), (name, volume)
    assert (COMPOSE_FILE.parent / SERVICES["agent1"]["build"]).resolve() == ROOT
    assert os.path.exists(ROOT / "Dockerfile")


def limiting_lines(path):
    text = path.read_text()
    return text[text.index("# rate limit: begin"):text.index("# rate limit: end")]


def test_its_haproxy_limits_as_the_shipped_one_does():
    assert limiting_lines(HAPROXY_CONF) == limiting_lines(SHIPPED_CONF)


# --- its parts, run ----------------------------------------------------------------------------

# A busy machine must not look like an agent that lost a request.
PATIENT = [("timeout processing 50ms", "timeout processing 5s")]
# The reason of the verdict, which each verdict has, or nothing when there was no verdict.
SHOW_VERDICT = [("    # rate limit: end", "    http-after-response set-header X-Verdict "
                 "%[var(txn.rl.reason)]\n    # rate limit: end")]


CAPACITY = 10**6
POLICIES = policies_text(per_ip=bucket(CAPACITY), small=bucket(10, key=["small"]))
LATEST = "forky"


@pytest.fixture(name="agents")
def start_agents(start_container, redis):
    """Starts the agents with the environment of the file, except addresses, and as patient as
    HAProxy."""
    ours = {"RATELIMIT_STORE": redis.url, "RATELIMIT_STORE_TIMEOUT": "2s"}
    options = ["-v", f"{PASSWORD}:/run/secrets/redis-password:ro"]
    redis.ask("CONFIG", "SET", "requirepass", PASSWORD.read_text().strip())
    redis.password = PASSWORD.read_text().strip()
    return [start_container(policies=POLICIES, options=options, environment={
        **SERVICES[name]["environment"], **ours}).wait_for_store() for name in AGENTS]


@pytest.fixture(name="start_proxy")
def make_start_proxy(agents, suite, tmp_path, started):
    def start(spoe=()):
        directory = tmp_path / "haproxy"
        directory.mkdir()
        proxy = ComposeHaproxy(suite, directory, [agent.address for agent in agents],
                               spoe=[*PATIENT, *spoe], conf=SHOW_VERDICT)
        started.append(proxy)
        proxy.wait_until_up()
        return proxy
    return start


def verdicts(answers):
    return Counter((answer.status, answer.headers["x-verdict"]) for answer in answers)


def test_the_agents_share_a_limit(start_proxy):
    haproxy = start_proxy(spoe=[("args src=src", "args small=src")])

    answers = [get(haproxy.port) for _ in range(30)]

    assert verdicts(answers) == {(200, "ok"): 10, (429, "limited"): 20}
    assert haproxy.sessions("agent1") and haproxy.sessions("agent2")


def test_none_is_lost_or_counted_twice_when_one_of_two_agents_stops(start_proxy, agents, suite):
    haproxy, (one, two) = start_proxy(), agents
    with Load(haproxy.port, "127.0.0.1", clients=6) as load:
        load.wait_for_more(300)
        assert haproxy.sessions("agent1") and haproxy.sessions("agent2")
        one.signal(signal.SIGTERM)
        wait_until(lambda: haproxy.agent_is("DOWN"), "a failed check")
        assert one.is_running()
        assert one.wait() == 0
        load.wait_for_more(300)

    assert load.failures == []
    assert verdicts(load.answers) == {(200, "ok"): len(load.answers)}
    with two.connect() as peer:
        left = peer.ask(policy="per-ip", src=spop.ip("127.0.0.1"), cost=0).remaining
    assert CAPACITY - left == len(load.answers)
    assert one.events("drain_timeout") == []
    if suite == LATEST:  # the older ones ask again, see haproxy.cfg
        assert haproxy.failed_asks() == 0
