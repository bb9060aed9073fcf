"""docs/grafana: a real Prometheus must answer its queries, and Grafana must be able to read it."""

import json
import re
import threading
import urllib.parse
import urllib.request

import pytest

import spop
from agent import bucket, policies_text
from http_client import HttpClient
from processes import PATIENCE, ROOT, Process, wait_until
from redis import reserve_port

FILE = ROOT / "docs/grafana/ratelimit-spoa.json"
POLICIES = policies_text(login=bucket(5, key=["src"]), api=bucket(10**6, key=["src"]))
# As Grafana replaces them, for "All" of each variable and a scrape interval of a second.
VARIABLES = {"$__rate_interval": "4s", "$job": ".*", "$instance": ".*", "$policy": ".*"}


@pytest.fixture(scope="module")
def dashboard():
    return json.loads(FILE.read_text())


def panels(dashboard):
    return [panel for panel in dashboard["panels"] if panel["type"] != "row"]


def expressions(dashboard):
    return {f"{panel['title']} {target['refId']}": target["expr"]
            for panel in panels(dashboard) for target in panel["targets"]}


def replace_variables(text):
    for name, value in VARIABLES.items():
        text = text.replace(name, value)
    assert "$" not in text, text
    return text


class Prometheus(Process):
    """Scrapes an agent every second."""

    def __init__(self, directory, target):
        self.port, reserved = reserve_port()
        reserved.close()  # it binds without SO_REUSEADDR's help
        config = directory / "prometheus.yml"
        config.write_text(json.dumps({"global": {"scrape_interval": "1s"}, "scrape_configs": [
            {"job_name": "agent", "static_configs": [{"targets": [target]}]}]}))
        super().__init__(["prometheus", f"--config.file={config}",
                          f"--web.listen-address=127.0.0.1:{self.port}",
                          f"--storage.tsdb.path={directory / 'data'}"],
                         directory / "prometheus.log")

    def values(self, text):
        """The values that an expression has now, without those that are no number."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/api/v1/query?query="
                                        + urllib.parse.quote(text), timeout=PATIENCE) as answer:
                result = json.load(answer)["data"]["result"]
        except OSError:
            assert self.is_running(), self.output.read_text()
            return []
        return [float(one["value"][1]) for one in result if one["value"][1] != "NaN"]


class Traffic:
    """Sends requests of all kinds until the test ends."""

    def __init__(self, agent):
        self.agent, self.is_over = agent, threading.Event()
        self.thread = threading.Thread(target=self._run)
        self.thread.start()

    def _run(self):
        with self.agent.connect() as peer, HttpClient(self.agent) as client:
            while not self.is_over.wait(0.02):
                peer.ask(src=spop.ip("192.0.2.1"))
                peer.ask(policy="nope")
                client.check(policy="login", key="x")
                client.get("/nope")
                with self.agent.connect():
                    pass

    def finish(self):
        self.is_over.set()
        self.thread.join()


@pytest.fixture
def prometheus(start_agent, redis, started, tmp_path):
    agent = start_agent(http=True, policies=POLICIES, store=redis.url).wait_for_store()
    started.append(Traffic(agent))
    server = Prometheus(tmp_path, agent.http_address)
    started.append(server)
    return server


def test_prometheus_answers_every_expression_with_data(dashboard, prometheus):
    asked = {place: replace_variables(text) for place, text in expressions(dashboard).items()}
    assert len(asked) > 40

    missing = set(asked)

    def all_answered():
        for place in list(missing):
            if prometheus.values(asked[place]):
                missing.discard(place)
        return not missing
    try:
        wait_until(all_answered, "an answer to each", 2 * PATIENCE)
    except AssertionError:
        pytest.fail(f"no data: {sorted(missing)}\n{prometheus.output.read_text()}")


def test_the_numbers_are_those_of_the_traffic(dashboard, prometheus):
    """The test knows what some of the panels must show."""
    texts = {place: replace_variables(text) for place, text in expressions(dashboard).items()}

    def shows(place, right):
        wait_until(lambda: (got := prometheus.values(texts[place])) and right(got), place)
    shows("Requests A", lambda got: got[0] > 1)
    shows("Denied A", lambda got: 0.1 < got[0] < 0.9)
    shows("Store up A", lambda got: got == [1])
    shows("Agents A", lambda got: got == [1])
    shows("Without an answer of the store A", lambda got: got[0] < 0.5)
    shows("From a call to Redis to its reply C", lambda got: got == [0.002])


def test_a_name_that_no_agent_has_gets_no_data(prometheus):
    """Shows that the test above would notice missing data."""
    wait_until(lambda: prometheus.values("up{job=\"agent\"}") == [1.0], "a scrape")
    assert prometheus.values("sum(rate(ratelimit_request_total[4s]))") == []


def test_each_metric_of_the_agent_is_shown(dashboard):
    """Except redis_latency_ms, which shows the same as ratelimit_store_latency_seconds."""
    names = set(re.findall(r"^\| `([a-z_]+)` \|", (ROOT / "docs/metrics.md").read_text(), re.M))
    text = " ".join(expressions(dashboard).values())

    assert {name for name in names if not re.search(rf"\b{name}(_bucket|_sum)?\b", text)} == {
        "redis_latency_ms", "ratelimit_store_info"}


def test_the_panels_are_what_grafana_needs(dashboard):
    everything = dashboard["panels"]
    numbers = [panel["id"] for panel in everything]

    assert len(set(numbers)) == len(numbers)
    assert len({panel["title"] for panel in everything}) == len(everything)
    for panel in panels(dashboard):
        assert panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
        references = [target["refId"] for target in panel["targets"]]
        assert len(set(references)) == len(references) > 0
        assert all(target["datasource"] == panel["datasource"] for target in panel["targets"])
        assert panel["type"] in ("stat", "timeseries")
    assert "id" not in dashboard and dashboard["uid"] and dashboard["schemaVersion"] >= 36


def test_no_panel_lies_on_another(dashboard):
    taken = set()
    for panel in dashboard["panels"]:
        at = panel["gridPos"]
        assert at["x"] + at["w"] <= 24
        cells = {(at["x"] + x, at["y"] + y) for x in range(at["w"]) for y in range(at["h"])}
        assert not cells & taken, panel["title"]
        taken |= cells


def test_each_variable_is_there_and_used(dashboard):
    variables = {entry["name"]: entry for entry in dashboard["templating"]["list"]}
    text = json.dumps(dashboard)

    assert variables["datasource"]["type"] == "datasource"
    assert variables["datasource"]["query"] == "prometheus"
    used = set(re.findall(r"\$\{?([a-z_]+)", text)) - {"__rate_interval", "__all"}
    assert used == set(variables)
    for name in set(variables) - {"datasource"}:
        assert "=~\"$" + name in " ".join(expressions(dashboard).values())
        assert variables[name]["allValue"] == ".*"
