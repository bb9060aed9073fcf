"""The commands of an operator, over TCP and Unix sockets, and what they print."""

import hashlib
import json
import os
import re
import subprocess

import pytest

from agent import BINARY, bucket, policies_text, run, window
from http_client import HttpClient
from processes import PATIENCE, ROOT, clean_environment

PAGE = (ROOT / "docs/operate.md").read_text()
POLICIES = policies_text(
    per_ip=bucket(3),
    login={**window(2), "match": {"path": ["/login", "/api/login/*"]}},
    tenant={**window(4, "1d", "fixed_window", ["tenant"]),
            "overrides": [{"match": {"tenant": "acme"}, "limit": 9}]})
ANN = "ann-s3cret"
COMMANDS = ["explain", "top", "balance", "reset", "block", "allow", "raise", "exceptions",
            "policies"]


@pytest.fixture
def admin_file(tmp_path):
    file = tmp_path / "admins"
    file.write_text(f"ann {ANN}\n")
    return file


@pytest.fixture
def operated(start_agent, tmp_path):
    """An agent with a Unix socket for its admin."""
    return start_agent("--admin-listen", f"unix:{tmp_path}/admin.sock", http=True,
                       policies=POLICIES)


def command(agent_address, *arguments, env=None):
    return run(*arguments, env={"RATELIMIT_AGENT": agent_address, **(env or {})})


@pytest.fixture
def ask(operated, tmp_path):
    return lambda *arguments: command(f"unix:{tmp_path}/admin.sock", *arguments)


def json_of(done):
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


# --- explain -------------------------------------------------------------------------------------

def test_explain_prints_verdict_and_reasons(ask):
    done = ask("explain", "src=192.0.2.1", "path=/x")

    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert lines[0] == "allowed: ok, least is left of per-ip"
    assert re.search(r"^per-ip +allows +1 +3 +2 ", done.stdout, re.MULTILINE)
    assert 'match.path: "/x" is none of "/login", "/api/login/*"' in done.stdout
    assert 'key: no attribute "tenant"; there are "src", "path"' in done.stdout


def test_explain_says_which_policy_in_shadow_would_deny(start_agent):
    agent = start_agent("--shadow-all", "on", http=True, policies=POLICIES)
    url = f"http://{agent.http_address}"
    done = command(url, "explain", "policy=per-ip", "key=x", "cost=1000")

    assert done.stdout.startswith("allowed: shadow, would be denied by per-ip\n"), done


def test_explain_takes_attributes_and_reserved_names(ask):
    named = json_of(ask("explain", "--json", "policy=login", "key=x", "cost=3"))
    own = json_of(ask("explain", "--json", "algorithm=token_bucket", "capacity=5",
                      "refill_rate=1/1h", "key=x"))
    empty = json_of(ask("explain", "--json"))

    assert (named["verdict"]["reason"], named["verdict"]["policy"]) == ("limited", "login")
    assert own["verdict"]["remaining"] == 4
    assert empty["verdict"]["reason"] == "none"


def test_values_go_to_the_agent_as_they_are(ask):
    value = 'a "b"=\\ü\x1b[31m&%'
    explanation = json_of(ask("explain", "--json", f"tenant={value}"))
    shown = ask("explain", f"src={value}", f"path={value}")

    key = next(p["key"] for p in explanation["policies"] if p["policy"] == "tenant")
    assert key.endswith("a%20%22b%22%3d%5c%c3%bc%1b%5b31m&%25")
    assert shown.returncode == 0 and "\x1b" not in shown.stdout


# --- balance and reset ---------------------------------------------------------------------------

def test_balance_and_reset_of_each_terms(ask, operated):
    with HttpClient(operated) as client:
        for tenant in ("acme", "acme", "other"):
            client.check(attributes={"tenant": tenant, "src": "192.0.2.1"})
    acme = json_of(ask("balance", "tenant", "tenant=acme", "--json"))
    shown = ask("balance", "tenant", "key=acme")
    reset = json_of(ask("reset", "--json", "tenant", "tenant=acme"))

    assert [(b["terms"], b["used"], b["remaining"]) for b in acme["balances"]] == \
        [("overrides[0]", 2, 7)]
    assert re.search(r"^overrides\[0\] +2 +9 +7 ", shown.stdout, re.MULTILINE)
    assert (reset["reset"], reset["scope"]) == (1, "this agent")
    assert json_of(ask("balance", "tenant", "tenant=acme", "--json"))["balances"] == []
    assert json_of(ask("balance", "tenant", "tenant=other", "--json"))["balances"][0]["used"] == 1
    assert ask("balance", "tenant", "tenant=acme").stdout == "nothing is used\n"
    event = operated.wait_for_event("balance_reset")
    assert (event["id"], event["who"], event["from"]) == (reset["id"], f"uid {os.getuid()}", "unix")
    assert event["key_hash"] == hashlib.sha256(b"acme").hexdigest()
    assert "acme" not in json.dumps(event)


def test_a_refusal_of_an_agent_is_told(ask):
    for words, why in ((["nope", "src=x"], '404 policy: "nope" is unknown'),
                       (["login"], '400 key: an attribute is missing; accepted are "src", or key'),
                       (["login", "user=x"], '400 "user": not accepted')):
        done = ask("reset", *words)
        assert done.returncode == 1
        assert why in done.stderr and done.stdout == ""


# --- which agents, and with what right -----------------------------------------------------------

def test_a_command_asks_each_agent_and_fails_when_one_does(operated):
    bad = "http://127.0.0.1:1"
    admin = operated.listening("http", 2)[1]
    done = run("explain", "src=x", "--agent", admin, "--agent", bad)

    assert done.returncode == 1
    assert "allowed: ok" in done.stdout
    assert done.stderr.startswith(f"ratelimit-spoa: {bad}: can't connect")


def test_a_token_comes_from_a_file_with_or_without_a_name(start_agent, admin_file, tmp_path):
    agent = start_agent("--admin-token-file", admin_file, http=True, policies=POLICIES)
    url = f"http://{agent.http_address}/"
    alone = tmp_path / "token"
    alone.write_text(ANN + "\nmore\n")
    wrong = tmp_path / "wrong"
    wrong.write_text("another\n")
    tabbed = tmp_path / "tabbed"
    tabbed.write_text(f" ann\t{ANN} \r\n")

    for file in (admin_file, tabbed):
        assert run("explain", "src=x", "--agent", url, "--token-file", file).returncode == 0
    assert command(url, "explain", "src=x",
                   env={"RATELIMIT_TOKEN_FILE": str(alone)}).returncode == 0
    for arguments in (["--token-file", wrong], []):
        done = command(url, "explain", "src=x", *arguments)
        assert done.returncode == 1
        assert done.stderr.startswith(f"ratelimit-spoa: {url}: 401 ")


@pytest.mark.parametrize("arguments", [
    ["explain", "src"], ["explain", "=x"], ["explain", "--nope"], ["explain", "--agent"],
    ["explain", "--agent", "tcp://x"], ["explain", "--agent", "http://"],
    ["explain", "--agent", "http://a/b"], ["explain", "--token-file", "/nonexistent"],
    ["explain", "src=\udcff"]], ids=str)
def test_wrong_usage_is_2_and_asks_nobody(arguments):
    done = run(*arguments)

    assert done.returncode == 2
    assert done.stderr.startswith("ratelimit-spoa: explain: ")
    assert len(done.stderr.splitlines()) == 1 and done.stdout == ""


@pytest.mark.parametrize("name", COMMANDS)
def test_a_misspelt_variable_asks_nobody(name):
    done = command("http://127.0.0.1:1", name, env={"RATELIMIT_AGNET": "x"})

    assert done.returncode == 2
    assert "RATELIMIT_AGNET: no such option (did you mean RATELIMIT_AGENT?)" in done.stderr


def test_variables_of_the_agent_are_left_alone():
    done = command("http://127.0.0.1:1", "top", env={"RATELIMIT_HTTP_LISTEN": "nonsense",
                                                     "RATELIMIT_SPOP_PORT": "tcp://10.0.0.1:1"})

    assert done.returncode == 1


def test_each_command_has_help():
    text = run("--help").stdout
    for name in COMMANDS:
        done = run(name, "--help")
        assert done.returncode == 0
        assert done.stdout.startswith(f"usage: ratelimit-spoa {name} ")
        assert "--agent" in done.stdout and f"ratelimit-spoa {name} " in text
        assert f"`ratelimit-spoa {name} " in (ROOT / "docs/reference.md").read_text()


# --- docs/operate.md -----------------------------------------------------------------------------

def test_the_commands_of_the_page_run(start_agent, tmp_path):
    policies = re.search(r"```json\n(.*?)```", PAGE, re.DOTALL)[1]
    start_agent("--admin-listen", f"unix:{tmp_path}/admin.sock", policies=policies)
    (tmp_path / "ratelimit-spoa").symlink_to(BINARY)
    environment = clean_environment({"RATELIMIT_AGENT": f"unix:{tmp_path}/admin.sock"})
    environment["PATH"] = f"{tmp_path}:{os.environ['PATH']}"
    blocks = re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL)
    assert len(blocks) >= 2
    for block in blocks:
        if "ratelimit-spoa policies" in block:
            continue
        done = run_block(block, environment, tmp_path)
        assert (done.returncode, done.stderr) == (0, ""), (block, done)
        assert done.stdout


def run_block(block, environment, folder):
    return subprocess.run(["sh", "-e", "-c", block], env=environment, text=True, cwd=folder,
                          capture_output=True, timeout=PATIENCE, check=False)


def test_the_commands_of_the_page_for_policies_in_the_store_run(start_agent, tmp_path):
    start_agent("--policies", "store:", "--admin-listen", f"unix:{tmp_path}/admin.sock")
    (tmp_path / "ratelimit-spoa").symlink_to(BINARY)
    (tmp_path / "first.json").write_text(re.search(r"```json\n(.*?)```", PAGE, re.DOTALL)[1])
    environment = clean_environment({"RATELIMIT_AGENT": f"unix:{tmp_path}/admin.sock"})
    environment["PATH"] = f"{tmp_path}:{os.environ['PATH']}"
    done = run_block("ratelimit-spoa policies put first.json --version 0", environment, tmp_path)
    assert (done.returncode, done.stderr) == (0, ""), done
    blocks = [block for block in re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL)
              if "ratelimit-spoa policies" in block]
    assert len(blocks) == 2
    for block, words in zip(blocks, ["version 1\n", ""]):
        done = run_block(block, environment, tmp_path)
        assert (done.returncode, done.stderr) == (0, words), (block, done)
        assert done.stdout
    assert '"limit": 5' in run_block("ratelimit-spoa policies get", environment, tmp_path).stdout
