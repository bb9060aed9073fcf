"""The alert rules: `promtool test rules` shows when they fire, and a real agent shows that they
can."""

import re
import subprocess
from pathlib import Path

import pytest
import yaml

from agent import SHIPPED_POLICIES
from http_client import HttpClient
from processes import PATIENCE, ROOT, wait_until

ALERTS = ROOT / "k8s/components/prometheus-rule/alerts.yaml"
CASES = Path(__file__).resolve().parent / "alerts.test.yml"


def rules_of(text):
    """The part of a PrometheusRule that Prometheus itself reads."""
    return yaml.safe_load(text)["spec"]


def promtool(directory, rules, cases, *words):
    (directory / "rules.yml").write_text(yaml.safe_dump(rules))
    (directory / "cases.yml").write_text(yaml.safe_dump(cases))
    return subprocess.run(["promtool", *words], cwd=directory, text=True, capture_output=True,
                          timeout=60, check=False)


def only(alert, rules, cases):
    """The rules and cases of one alert only, which promtool checks faster."""
    rules = {"groups": [{**group, "rules": [rule for rule in group["rules"]
                                            if rule["alert"] == alert]}
                        for group in rules["groups"]]}
    tests = [{**test, "alert_rule_test": [case for case in test["alert_rule_test"]
                                          if case["alertname"] == alert]}
             for test in cases["tests"]]
    return rules, {**cases, "tests": [test for test in tests if test["alert_rule_test"]]}


@pytest.fixture
def cases():
    return yaml.safe_load(CASES.read_text())


def test_promtool_takes_the_rules(tmp_path, cases):
    done = promtool(tmp_path, rules_of(ALERTS.read_text()), cases, "check", "rules", "rules.yml")

    assert done.returncode == 0, done.stdout + done.stderr


def test_each_alert_fires_when_it_should_and_only_then(tmp_path, cases):
    done = promtool(tmp_path, rules_of(ALERTS.read_text()), cases, "test", "rules", "cases.yml")

    assert done.returncode == 0, done.stdout + done.stderr


def test_each_alert_is_expected_to_fire_in_one_case_and_not_in_another(cases):
    alerts = {rule["alert"] for group in rules_of(ALERTS.read_text())["groups"]
              for rule in group["rules"]}
    expected = [case for test in cases["tests"] for case in test["alert_rule_test"]]

    assert len(alerts) == 12
    assert {case["alertname"] for case in expected if case.get("exp_alerts")} == alerts
    assert {case["alertname"] for case in expected if not case.get("exp_alerts")} == alerts


@pytest.mark.parametrize("alert, old, new", [
    ("RedisUnreachable", "ratelimit_store_up == 0", "ratelimit_store_up == 2"),
    ("RedisUnreachable", "ratelimit_store_up == 0", "ratelimit_store_up >= 0"),
    ("Errors", "> 0.01", "> 0.03"),
    ("Errors", "> 0.01", "> 0.001"),
    ("Errors", "+ sum", "+ 0 * sum"),
    ("DenialsFarAboveNormal", "> 5 *", "> 20 *"),
    ("DenialsFarAboveNormal", "> 5 *", "> 2 *"),
    ("DenialsFarAboveNormal", "offset 1d", ""),
    ("DenialsFarAboveNormal", " > 1\n", " > 0\n"),
    ("LatencyNearDeadline", "0.75 *", "2 *"),
    ("LatencyNearDeadline", "0.75 *", "0.1 *"),
    ("PolicyReloadFailing", "successful == 0", "successful == 1"),
    ("NotAsked", "total[5m])) > 0", "total[5m])) >= 0"),
    ("NotAsked", "[5m])) == 0", "[15m])) == 0"),
    ("NotAsked", "[5m])) == 0", "[5m])) == 1"),
    ("NotAsked", "for: 10m", "for: 2m"),
    ("AgentDown", "up == 0", "up == 1"),
    ("AgentDown", "\n            and on (job, instance) present_over_time(ratelimit_build_info[1d])", ""),
    ("AgentDown", "[1d]", "[2m]"),
    ("NoAgent", "absent(ratelimit_build_info)", "absent(ratelimit_build)"),
    ("Evictions", "> 0", "> 3"),
    ("Evictions", "for: 10m", "for: 1m"),
    ("Evictions", "rate(ratelimit_memory_evictions_total[5m])", "ratelimit_memory_evictions_total"),
    ("CoreNearlyUsedUp", "> 0.8", "> 0.95"),
    ("CoreNearlyUsedUp", "> 0.8", "> 0.6"),
    ("CoreNearlyUsedUp", "for: 10m", "for: 1m"),
    ("CoreNearlyUsedUp", "\n            and on (namespace, job, instance) ratelimit_build_info", ""),
    ("HaproxyHasNoAgent", '{proxy="ratelimit-agents"}', ""),
    ("HaproxyHasNoAgent", "== 0", "<= 1"),
    ("HaproxyGivesUp", "> 0.01", "> 0.001"),
    ("HaproxyGivesUp", "> 0.01", "> 0.03"),
    ("HaproxyGivesUp", "client_aborts", "aborts"),
])
def test_a_wrong_rule_is_noticed(tmp_path, cases, alert, old, new):
    text = ALERTS.read_text()
    at = text.index(f"alert: Ratelimit{alert}")
    wrong = text[:at] + text[at:].replace(old, new, 1)
    assert wrong != text

    rules, cases = only(f"Ratelimit{alert}", rules_of(wrong), cases)
    done = promtool(tmp_path, rules, cases, "test", "rules", "cases.yml")

    assert done.returncode == 1, done.stdout
    assert "FAILED" in done.stdout + done.stderr


def test_the_rules_read_what_the_agent_writes(start_agent):
    """Each name of a metric in an expression is on the agent's page."""
    with HttpClient(start_agent(http=True, policies=SHIPPED_POLICIES.read_text())) as client:
        page = client.get("/metrics").body.decode()
    names = {line.split("{")[0].split(" ")[0] for line in page.splitlines() if line[0] != "#"}

    for group in rules_of(ALERTS.read_text())["groups"]:
        for rule in group["rules"]:
            used = {word for word in _words(rule["expr"])
                    if word.startswith(("ratelimit_", "requests_", "redis_", "process_"))}
            of_haproxy = "haproxy_" in rule["expr"]  # test_haproxy_alerts.py has these
            assert (used or of_haproxy) and used <= names, rule["alert"]


def _words(text):
    return "".join(c if c.isalnum() or c == "_" else " " for c in text).split()


def test_each_alert_has_a_page_that_helps():
    text = (ROOT / "docs/troubleshooting.md").read_text()
    anchors = {re.sub("[^a-z0-9 _-]", "", title.lower()).replace(" ", "-")
               for title in re.findall("^## (.*)$", text, re.M)}

    for group in rules_of(ALERTS.read_text())["groups"]:
        for rule in group["rules"]:
            page, _, anchor = rule["annotations"]["runbook_url"].partition("#")
            assert (page, anchor in anchors) == ("docs/troubleshooting.md", True), rule["alert"]


def test_a_failed_reload_is_seen_until_one_succeeds(start_agent):
    agent = start_agent(http=True, policies=SHIPPED_POLICIES.read_text())

    with HttpClient(agent) as client:
        def good():
            lines = client.get("/metrics").body.decode().splitlines()
            return "ratelimit_policy_last_reload_successful 1" in lines
        assert good()
        agent.policy_file.write_text("{")
        agent.signal(1)
        wait_until(lambda: not good(), "the failed reload", PATIENCE)
        agent.policy_file.write_text(SHIPPED_POLICIES.read_text())
        agent.signal(1)
        wait_until(good, "the good one", PATIENCE)
