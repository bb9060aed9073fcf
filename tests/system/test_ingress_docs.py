"""The parts of k8s/ingress.md, in frontends and backends as each ingress controller writes them.

No controller runs. What surrounds the parts follows the controllers' own templates and documents.
"""

import re
import subprocess

import pytest
import yaml

from examples import PATIENT, SLOW, asked, statuses
from haproxy import SHIPPED, check, replace_all, shipped_files
from processes import ROOT, wait_until
from web import get

PAGE = (ROOT / "k8s/ingress.md").read_text()
SPOE_PATH = "/etc/haproxy/ratelimit-spoe.conf"
DNS = re.compile(r"    server-template agent .*\n")
AGENT = "    server agent1 127.0.0.1:12345 check inter 1s fall 2 rise 1\n"
APP = "\nbackend app\n    mode http\n    server app1 127.0.0.1:8000\n"


def blocks(title, kind):
    section = PAGE if title is None else re.search(
        rf"^## {re.escape(title)}\n(.*?)(?=^## |\Z)", PAGE, re.M | re.S)[1]
    return re.findall(rf"^```{kind}\n(.*?)^```", section, re.M | re.S)


@pytest.fixture(name="rules", scope="module")
def make_rules(tmp_path_factory):
    """What the page's command makes of haproxy.cfg."""
    command = next(line for line in "".join(blocks(None, "sh")).splitlines() if line.startswith("sed "))
    folder = tmp_path_factory.mktemp("rules")
    (folder / "haproxy-conf").symlink_to(SHIPPED)
    subprocess.run(["bash", "-euo", "pipefail", "-c", command], cwd=folder, check=True)
    return (folder / "rate-limit.cfg").read_text()


def agents(suite):
    (text,) = blocks(None, "haproxy")
    return text if suite == "forky" else text.replace("mode spop", "mode tcp")


def agents_from_haproxytech(suite):
    """agents.cfg as the page's command changes it."""
    command = next(line for line in "".join(blocks(None, "sh")).splitlines()
                   if line.startswith("sed 's/^backend "))
    words, source = re.fullmatch(r"sed '(.+)' (\S+) > haproxy-aux\.cfg", command).groups()
    assert source == "agents.cfg"
    return subprocess.run(["sed", words], input=agents(suite), text=True, capture_output=True,
                          check=True).stdout


GLOBAL = """global
  log stdout format raw daemon notice

defaults haproxytech
  log global
  option redispatch
  option dontlognull
  timeout http-request 5000
  timeout connect 5000
  timeout client 50000
  timeout queue 5000
  timeout server 50000
  timeout tunnel 3600000

"""
ITS_RULES = """  http-request set-var(txn.base) base
  http-request set-var(txn.path) path
  http-request set-var(txn.host) req.hdr(host),field(1,:),lower
  http-request set-header X-Forwarded-Proto http
"""


def of_haproxytech(rules, suite, is_first):
    """The snippet is between comments. `is_first`: above the rules of the controller."""
    snippet = f"  ###_config-snippet_### BEGIN\n{rules}  ###_config-snippet_### END\n"
    middle = snippet + ITS_RULES if is_first else ITS_RULES + snippet
    return (f"{GLOBAL}frontend http from haproxytech\n  mode http\n    bind :80\n{middle}"
            f"  use_backend %[str(app)]\n\nbackend app from haproxytech\n  mode http\n"
            f"  server SRV_1 127.0.0.1:8000\n\n{agents_from_haproxytech(suite)}")


def of_haproxy_ingress(rules, suite, _):
    return (f"{GLOBAL}frontend _front_http\n    mode http\n    bind :80\n"
            "    http-request set-var(req.path) path\n"
            "    http-request set-var(req.host) hdr(host),field(1,:),lower\n"
            "    http-request set-var(req.hostbackend) str(app)\n"
            f"    http-request set-header X-Forwarded-Proto http\n{rules}"
            f"    use_backend %[var(req.hostbackend)]\n{APP}\n{agents(suite)}")


def line_of(rule):
    """A rule of a `Backend` resource, as HAProxy's client-native writes it."""
    words = {"send-spoe-group": "send-spoe-group {spoe_engine} {spoe_group}",
             "deny": "deny deny_status {deny_status}",
             "set-header": "set-header {hdr_name} {hdr_format}"}[rule["type"]].format(**rule)
    return words + (f" {rule['cond']} {rule['cond_test']}" if "cond" in rule else "")


def of_gateway(_, suite, __):
    (text,) = blocks("HAProxy Unified Gateway", "yaml")
    spec = yaml.safe_load(text)["spec"]
    lines = [f"filter spoe engine {each['spoe_engine']} config {each['spoe_config']}"
             for each in spec["filter_list"] if each["type"] == "spoe"]
    lines += ["http-request " + line_of(rule) for rule in spec["http_request_rule_list"]]
    lines += ["http-after-response " + line_of(rule)
              for rule in spec["http_after_response_rule_list"]]
    text = "".join(f"  {line}\n" for line in lines)
    text = text.replace("/usr/local/hug/aux/ratelimit-spoe.conf", SPOE_PATH)
    return (f"{GLOBAL}frontend http from haproxytech\n  mode http\n    bind :80\n"
            f"  use_backend app\n\nbackend app from haproxytech\n  mode http\n{text}"
            f"  server SRV_1 127.0.0.1:8000\n\n{agents_from_haproxytech(suite)}")


CONTROLLERS = {"haproxytech, ours first": (of_haproxytech, True),
               "haproxytech, ours last": (of_haproxytech, False),
               "haproxy-ingress": (of_haproxy_ingress, None), "gateway": (of_gateway, None)}


@pytest.fixture(name="folder", params=CONTROLLERS.values(), ids=CONTROLLERS)
def make_folder(request, suite, rules, tmp_path):
    make, is_first = request.param
    folder = tmp_path / "controller"
    folder.mkdir()
    (folder / "haproxy.cfg").write_text(make(rules, suite, is_first))
    spoe = (SHIPPED / "ratelimit-spoe.conf").read_text()
    if make is of_gateway:  # what the page says of it: clients only
        spoe = re.sub(r"    args src=src .*\n", "    args src=src\n", spoe)
    (folder / "ratelimit-spoe.conf").write_text(spoe)
    return folder


def test_haproxy_takes_it(suite, folder, tmp_path):
    result = check(suite, shipped_files(tmp_path, folder=folder))

    assert result.returncode == 0, result.stderr
    assert "[ALERT]" not in result.stderr and "[WARNING]" not in result.stderr, result.stderr


def test_requests_are_limited(start_agent, start_haproxy, folder):
    text = replace_all((SHIPPED / "policies.json").read_text(), SLOW)
    agent = start_agent(policies=text, http=True)
    configuration = (folder / "haproxy.cfg").read_text()
    (folder / "haproxy.cfg").write_text(DNS.sub(AGENT, configuration))
    haproxy = start_haproxy(agent.address, folder=folder, spoe=PATIENT)
    haproxy.agent = agent
    wait_until(lambda: haproxy.agent_is("UP"), "the agent")

    assert statuses(haproxy, 21, "127.0.0.2") == [200] * 20 + [429]
    denied = get(haproxy.port, "127.0.0.2")
    assert int(denied.limits["retry-after"]) > 3000
    assert denied.limits["ratelimit"].startswith('"per-ip";r=0;t=')
    assert get(haproxy.port, "127.0.0.3").status == 200
    assert asked(haproxy) == 23


def test_the_values_mount_what_the_rules_load():
    for title in ("HAProxy Technologies' ingress controller", "jcmoraisjr's HAProxy Ingress"):
        (text,) = blocks(title, "yaml")
        controller = yaml.safe_load(text)["controller"]
        volumes = {volume["name"] for volume in controller["extraVolumes"]}
        mounts = {mount["mountPath"]: mount for mount in controller["extraVolumeMounts"]}
        assert mounts[SPOE_PATH]["name"] in volumes
        assert mounts[SPOE_PATH]["subPath"] == "ratelimit-spoe.conf"


@pytest.mark.parametrize("place", re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", PAGE))
def test_what_the_page_links_is_there(place):
    assert (ROOT / "k8s" / place).exists()
