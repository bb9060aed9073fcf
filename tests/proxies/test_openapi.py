"""docs/openapi.json says exactly what the agent takes: schemathesis makes requests of it, good ones
and bad ones, and asks a running agent. contract.toml and contract_hooks.py say what OpenAPI has no
words for; test_http_openapi.py holds the agent's answers against the document too."""

import json
import os
import re
import subprocess
from concurrent.futures import ThreadPoolExecutor

import pytest

from agent import bucket, policies_text, window
from pinned import HERE, python_packages
from processes import ROOT

DOCUMENT = ROOT / "docs/openapi.json"
EXAMPLES = int(os.environ.get("CONTRACT_EXAMPLES", "1000"))
SECONDS = 300 + EXAMPLES // 5
POLICIES = policies_text(
    per_ip=bucket(1000, 100), login={**window(5, "1m"), "match": {"path": "/login*"}},
    tenant=window(10, "1h", "fixed_window", ["tenant"]),
    everybody=window(10**9, "1h", "sliding_window_counter", []))

# Each of these makes as many requests as it is told, and has a process of its own: most of the time
# goes into making requests up, on one core.
LARGE = ["checkGet", "checkPost", "auth"]
PARTS = {**{name: ["--include-operation-id", name] for name in LARGE},
         "the others": [word for name in LARGE for word in ("--exclude-operation-id", name)]}


# What an operator asks and changes. Of an agent whose policies are in the store.
OPERATOR_EXAMPLES = max(EXAMPLES // 60, 1)
OPERATOR = ["explain", "top", "balances", "resetBalances", "exceptions", "setException",
            "removeException", "setExceptionOfPolicy", "policies", "putPolicies", "policiesHistory"]
TOKEN = "5a3e9b1f7c2d4e608192a3b4c5d6e7f8"


def run_schemathesis(agent, folder, selection, examples=EXAMPLES):
    folder.mkdir()
    return subprocess.run(
        [python_packages("contract") / "schemathesis", "--config-file", HERE / "contract.toml",
         "run", DOCUMENT, "--url", f"http://{agent.http_address}", *selection,
         "--max-examples", str(examples), "--seed", "1", "--continue-on-failure",
         "--generation-database", ":memory:"],
        env={**os.environ, "PYTHONPATH": str(HERE), "SCHEMATHESIS_HOOKS": "contract_hooks"},
        cwd=folder, capture_output=True, text=True, timeout=SECONDS, check=False)


@pytest.mark.timeout(SECONDS + 600)  # what it needs is installed before
def test_no_good_request_is_refused_and_no_bad_one_is_taken(start_agent, tmp_path):
    python_packages("contract")
    agent = start_agent(http=True, policies=POLICIES)

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        runs = list(pool.map(lambda part: run_schemathesis(agent, tmp_path / part, PARTS[part]),
                             PARTS))

    tested = 0
    for done in runs:
        assert done.returncode == 0, done.stdout[-60000:] + done.stderr[-2000:]
        assert "No issues found" in done.stdout, done.stdout[-60000:]
        tested += int(re.search(r"Tested: +(\d+)", done.stdout)[1])
    paths = json.loads(DOCUMENT.read_text())["paths"].values()
    assert tested == sum(len(methods) for methods in paths)


@pytest.mark.timeout(SECONDS + 600)
def test_an_operators_requests_are_answered_as_described(start_agent, tmp_path):
    """With an admin's token, so that changes are made, and policies that come and go."""
    tokens = tmp_path / "tokens"
    tokens.write_text(f"ann {TOKEN}\n")
    tokens.chmod(0o600)
    agent = start_agent("--policies", "store:", "--admin-token-file", tokens, http=True)
    selection = [word for name in OPERATOR for word in ("--include-operation-id", name)]

    done = run_schemathesis(agent, tmp_path / "run", [
        *selection, "--phases", "examples,coverage,fuzzing", "--header",
        f"Authorization: Bearer {TOKEN}"], OPERATOR_EXAMPLES)

    assert done.returncode == 0, done.stdout[-60000:] + done.stderr[-2000:]
    assert "No issues found" in done.stdout, done.stdout[-60000:]
    assert int(re.search(r"Tested: +(\d+)", done.stdout)[1]) == len(OPERATOR)
    for change in ("exception_set", "policies_put"):
        assert agent.events(change), f"no {change}: nothing was changed"
