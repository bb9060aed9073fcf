"""docs/openapi.json says exactly what the agent takes: schemathesis makes requests of it, good ones
and bad ones, and asks a running agent."""

import os
import re
import subprocess

from agent import bucket, policies_text, window
from pinned import python_packages
from processes import ROOT

EXAMPLES = int(os.environ.get("CONTRACT_EXAMPLES", "2000"))
SECONDS = 600 + EXAMPLES // 5
POLICIES = policies_text(
    per_ip=bucket(1000, 100), login={**window(5, "1m"), "match": {"path": "/login*"}},
    tenant=window(10, "1h", "fixed_window", ["tenant"]),
    everybody=window(10**9, "1h", "sliding_window_counter", []))


def test_no_good_request_is_refused_and_no_bad_one_is_taken(start_agent, tmp_path):
    program = python_packages("contract") / "schemathesis"
    agent = start_agent(http=True, policies=POLICIES)

    done = subprocess.run(
        [program, "run", ROOT / "docs/openapi.json", "--url", f"http://{agent.http_address}",
         "--max-examples", str(EXAMPLES), "--seed", "1", "--continue-on-failure",
         "--generation-database", ":memory:",
         # It takes any method, and which parameters go together depends on the proxy that asks:
         # OpenAPI has words for neither. test_http_openapi.py looks at its answers.
         "--exclude-path", "/auth"],
        cwd=tmp_path, capture_output=True, text=True, timeout=SECONDS, check=False)

    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-2000:]
    assert re.search(r"No issues found", done.stdout), done.stdout[-8000:]
    assert re.search(r"Tested: +(\d+)", done.stdout)[1] == \
        re.search(r"Selected: +(\d+)", done.stdout)[1].partition("/")[0]
