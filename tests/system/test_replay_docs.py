"""Types the commands of docs/replay.md, and compares what the page shows."""

import gzip
import json
import os
import re
import subprocess

import pytest

from agent import BINARY
from processes import ROOT, clean_environment
from replay import request, run

PAGE = (ROOT / "docs/replay.md").read_text()
COMMANDS = re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL)
LINES = re.search(r"```json\n(.*?)```", PAGE, re.DOTALL)[1]
SUMMARY, COMPARED = re.findall(r"```text\n(.*?)```", PAGE, re.DOTALL)
LOG = ('192.0.2.1:4711 [24/Nov/2026:11:44:28.123] web app/app1 0/0/1/2/3 200 250 - - ---- '
       '1/1/0/0/0 0/0 "GET / HTTP/1.1"\n')


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_of_the_page_works(tmp_path, command):
    (tmp_path / "haproxy-conf").symlink_to(ROOT / "haproxy-conf")
    (tmp_path / "requests.jsonl").write_text(LINES)
    (tmp_path / "haproxy.log").write_text(LOG)
    (tmp_path / "captured.log").write_text(LOG.replace('"GET', '{curl/8.1|192.0.2.1} "GET'))
    (tmp_path / "own.log").write_text("192.0.2.1:4711 [24/Nov/2026:11:44:28.123] web app/app1 200 "
                                      "GET / reason=ok policy=per-ip\n")
    monday, tuesday = LINES.splitlines()
    (tmp_path / "monday.jsonl").write_text(monday)
    (tmp_path / "tuesday.jsonl.gz").write_bytes(gzip.compress(tuesday.encode()))
    (tmp_path / "planned.json").write_text('{"policies":{}}')
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/ratelimit-spoa").symlink_to(BINARY)

    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", command], cwd=tmp_path, text=True, capture_output=True,
        env=clean_environment({"PATH": f"{tmp_path}/bin:{os.environ['PATH']}"}), timeout=60,
        check=False)

    assert done.returncode == 0, done.stderr
    assert re.match(r"requests: [12], [12] allowed", done.stderr)


def test_the_summary_of_the_page_is_one(tmp_path):
    policies = (ROOT / "haproxy-conf/policies.json").read_text()
    assert json.loads(policies)["policies"]["per-ip"]["capacity"] == 20

    done = run(tmp_path, policies, [request(1000, src="192.0.2.1")] * 25 +
               [request(9000, src="192.0.2.2")] * 2).good()

    assert done.told == SUMMARY


def test_the_comparison_of_the_page_is_one(tmp_path):
    policies = json.loads((ROOT / "haproxy-conf/policies.json").read_text())
    policies["policies"]["per-ip"]["capacity"] = 13
    planned = tmp_path / "planned.json"
    planned.write_text(json.dumps(policies))

    done = run(tmp_path, (ROOT / "haproxy-conf/policies.json").read_text(),
               [request(1000, src="192.0.2.1")] * 25 + [request(9000, src="192.0.2.2")] * 2,
               "--against", planned).good()

    told = done.told.replace(str(tmp_path / "replayed.json"), "haproxy-conf/policies.json")
    assert told.replace(f"{tmp_path}/", "") == COMPARED


@pytest.mark.parametrize("place", re.findall(r"\]\(([a-z./-]+)\)", PAGE, re.IGNORECASE))
def test_what_the_page_links_is_there(place):
    assert (ROOT / "docs" / place).exists()
