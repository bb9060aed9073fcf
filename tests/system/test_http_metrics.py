"""/metrics: promtool and a real Prometheus must read it, and docs/metrics.md must describe it."""

import json
import re
import subprocess
import urllib.parse

import pytest

import http_client
from http_client import CAPACITY, HttpClient
from processes import PATIENCE, ROOT, Process, wait_until
from redis import reserve_port

LINE = re.compile(r'([a-z_]+)(\{[^}]*\})? (\S+)')
LABEL = re.compile(r'([a-z_]+)="((?:[^"\\]|\\.)*)"')
ROW = re.compile(r"\| `([a-z_]+)` \| (counter|gauge|histogram) \|([^|]*)\|")
PARTS_OF_HISTOGRAM = re.compile("_(bucket|sum|count)$")


class Page:
    """One answer of /metrics."""

    def __init__(self, client):
        answer = client.get("/metrics")
        assert answer.status == 200
        assert answer.type.startswith("text/plain; version=0.0.4")
        self.text = answer.body.decode()
        self.types = dict(re.findall(r"^# TYPE (\S+) (\S+)$", self.text, re.M))
        self.helps = dict(re.findall(r"^# HELP (\S+) (.+)$", self.text, re.M))
        self.samples = {}
        for text in filter(lambda text: not text.startswith("#"), self.text.splitlines()):
            name, labels, value = LINE.fullmatch(text).groups()
            key = (name, frozenset(LABEL.findall(labels or "")))
            assert key not in self.samples, text
            self.samples[key] = float(value)

    def value(self, name, **labels):
        return self.samples[name, frozenset(labels.items())]

    def family(self, name):
        return name if name in self.types else PARTS_OF_HISTOGRAM.sub("", name)

    def labels(self):
        """The names of the labels of each metric."""
        found = {name: set() for name in self.types}
        for name, labels in self.samples:
            found[self.family(name)] |= {label for label, _ in labels if label != "le"}
        return found


@pytest.fixture
def used(client):
    """Everything happened once: allowed, denied, invalid, by SPOP and HTTP, inline too."""
    for _ in range(CAPACITY + 2):
        client.check(policy="login", key="x")
    client.check(key="x", algorithm="token_bucket", capacity=1, refill_rate=1)
    client.check(attributes={})
    client.get("/nope")
    with client.agent.connect() as peer:
        assert peer.ask(src="x").reason == "limited"
        assert peer.ask(policy="nope").reason == "invalid"
    return client


def test_promtool_finds_fault_with_nothing_but_the_given_name(used):
    done = subprocess.run(["promtool", "check", "metrics"], input=Page(used).text, text=True,
                          capture_output=True, timeout=PATIENCE, check=False)

    said = (done.stdout + done.stderr).strip().splitlines()
    assert said == ["redis_latency_ms metric names should not contain abbreviated units"]


def test_the_counts_are_right(used):
    page = Page(used)

    def requests(name, policy, source):
        return page.value(f"requests_{name}_total", policy=policy, source=source)
    assert requests("allowed", "login", "http") == CAPACITY
    assert requests("blocked", "login", "http") == 2
    assert requests("blocked", "login", "spop") == 1
    assert requests("allowed", "inline", "http") == 1
    assert requests("allowed", "none", "http") == 1
    # An invalid message, which --on-error allows.
    assert requests("allowed", "none", "spop") == 1
    assert page.value("ratelimit_checks_total", policy="login", result="allowed") == CAPACITY
    assert page.value("ratelimit_checks_total", policy="login", result="denied") == 3
    assert page.value("ratelimit_http_problems_total", status="4xx") == 1
    # Another page was no check, and this one counts itself.
    assert page.value("ratelimit_http_requests_total") == CAPACITY + 2 + 3 + 1


def test_each_request_of_a_batch_counts_and_problems_do_not(client):
    client.check(checks=[{"policy": "login", "key": "x"}] * 3 + [{"policy": "nope", "key": "x"}])
    client.check(policy="nope", key="x")

    page = Page(client)
    total = sum(value for (name, _), value in page.samples.items()
                if name in ("requests_allowed_total", "requests_blocked_total"))
    assert total == 3
    assert page.value("requests_allowed_total", policy="login", source="http") == 3


def test_histograms_are_histograms(used):
    page = Page(used)
    for name in [name for name, kind in page.types.items() if kind == "histogram"]:
        series = {}
        for (sample, labels), value in page.samples.items():
            if sample == f"{name}_bucket":
                rest = frozenset(label for label in labels if label[0] != "le")
                series.setdefault(rest, []).append((float(dict(labels)["le"]), value))
        assert series, name
        for rest, buckets in series.items():
            counts = [count for _, count in sorted(buckets)]
            assert counts == sorted(counts)
            assert sorted(buckets)[-1] == (float("inf"), page.samples[f"{name}_count", rest])
    bounds = sorted(float(dict(labels)["le"]) for name, labels in page.samples
                    if name == "redis_latency_ms_bucket")
    assert (bounds[0], bounds[-2]) == (0.05, 100)


def test_every_metric_is_in_the_documentation_and_the_other_way_round(used):
    page = Page(used)
    rows = {name: (kind, set(re.findall("`([a-z_]+)`", labels)))
            for name, kind, labels in ROW.findall((ROOT / "docs/metrics.md").read_text())}

    labels = page.labels()
    assert {name: (kind, labels[name]) for name, kind in page.types.items()} == rows
    assert set(page.helps) == set(page.types)
    assert all(name.startswith(("ratelimit_", "process_", "requests_", "redis_")) for name in rows)


def test_series_are_bounded_and_say_nothing_of_clients(used):
    before = set(Page(used).samples)
    for start in range(0, 10_000, 100):
        answer = used.check(checks=[{"policy": "login", "key": f"secret-{start + n}"}
                                    for n in range(100)])
        assert answer.status == 200
    with used.agent.connect() as peer:
        for number in range(100):
            peer.ask(src=f"secret-{number}", **{f"name-{number}": "secret"})
            used.check(key="x", algorithm="token_bucket", capacity=number + 1, refill_rate=1)
            used.get(f"/secret-{number}")
            used.check(policy=f"secret-{number}", key="x")
            peer.ask(policy=f"secret-{number}", key="x")

    page = Page(used)
    assert set(page.samples) == before
    assert "secret" not in page.text
    assert page.value("ratelimit_memory_keys") >= 10_000


@pytest.mark.parametrize("alike", ["/metrics", "/metrics?a=b"])
def test_a_scrape_is_quick(used, alike):
    assert used.get(alike).headers["cache-control"] == "no-store"
    assert len(used.get(alike).body) < 100_000


def test_a_hung_redis_is_seen_in_the_metrics(start_agent, redis):
    agent = start_agent("--store-timeout", "5s", http=True, policies=http_client.POLICIES,
                        store=redis.url)
    agent.wait_for_store()
    with HttpClient(agent) as client:
        assert client.check(policy="login", key="x").left == CAPACITY - 1
        page = Page(client)
        assert page.value("ratelimit_store_info", kind="redis") == 1
        assert page.value("redis_latency_ms_count") >= 1
        redis.kill()
        wait_until(lambda: client.check(policy="login", key="x").json["degraded"], "an outage")
        wait_until(lambda: Page(client).value("ratelimit_store_up") == 0, "the outage's metric")
        redis.start()
        wait_until(lambda: Page(client).value("ratelimit_store_up") == 1, "its end")
        page = Page(client)
        assert page.value("ratelimit_store_connects_total") >= 2
        assert sum(value for (name, _), value in page.samples.items()
                   if name == "redis_errors_total") >= 1


class Prometheus(Process):
    """Scrapes one address every second."""

    def __init__(self, directory, target):
        self.port, self.reserved = reserve_port()
        self.reserved.close()  # it binds without SO_REUSEADDR's help
        config = directory / "prometheus.yml"
        config.write_text(json.dumps({"global": {"scrape_interval": "1s"}, "scrape_configs": [
            {"job_name": "agent", "static_configs": [{"targets": [target]}]}]}))
        super().__init__(["prometheus", f"--config.file={config}",
                          f"--web.listen-address=127.0.0.1:{self.port}",
                          f"--storage.tsdb.path={directory / 'data'}"],
                         directory / "prometheus.log")

    def query(self, text):
        """The one value of an expression, or None."""
        done = subprocess.run(
            ["curl", "-sf", f"http://127.0.0.1:{self.port}/api/v1/query?query="
             + urllib.parse.quote(text)], capture_output=True, timeout=PATIENCE, check=False)
        assert self.is_running(), self.output.read_text()
        result = json.loads(done.stdout)["data"]["result"] if done.returncode == 0 else []
        return float(result[0]["value"][1]) if result else None


def test_a_real_prometheus_has_the_count(used, tmp_path, started):
    server = Prometheus(tmp_path, used.address)
    started.append(server)

    wait_until(lambda: server.query('requests_blocked_total{policy="login",source="http"}') == 2,
               "the count")
    assert server.query("sum(requests_allowed_total)") == CAPACITY + 3
    assert server.query("up") == 1
    assert server.query("histogram_quantile(0.99, ratelimit_request_duration_seconds_bucket"
                        '{source="http"})') < 1
