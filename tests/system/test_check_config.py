"""check-config does all that a start does except opening ports, and shows the policies as a table
or JSON."""

import json
import socket

import pytest

import agent as agents
from agent import SHIPPED_POLICIES, bucket, policies_text
from policy_files import ACME, BUCKET, GOOD, LOG, WINDOW, named, overridden


@pytest.fixture
def check(tmp_path):
    def run(text, *options, **env):
        (tmp_path / "p.json").write_text(text)
        return agents.run("check-config", "--policies", tmp_path / "p.json", *options, env=env)
    return run


def test_the_table_has_a_line_for_each_policy(check):
    done = check(named(
        login={**LOG, "match": {"method": "POST"}, "on_error": "deny"},
        tenant={**WINDOW, "key": ["tenant", "src"], "overrides": [ACME], "shadow": True},
        everything={**BUCKET, "key": [], "cost": "bytes"}))

    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [
        "POLICY      ALGORITHM       LIMIT      KEY         MATCH        COST   OVERRIDES  SHADOW  "
        "ON ERROR",
        "login       sliding_window  10 per 1m  src         method=POST  -      -          -       "
        "deny",
        "tenant      fixed_window    10 per 1m  tenant,src  -            -      1          yes     "
        "allow",
        "everything  token_bucket    10, 1/s    (all)       -            bytes  -          -       "
        "allow",
        "the configuration is good: 3 policies",
    ]


def test_a_policy_that_says_nothing_of_errors_has_the_flag(check):
    done = check(named(p=WINDOW), "--on-error", "local")

    assert done.stdout.splitlines()[1].endswith("local")


def test_there_may_be_no_policies():
    done = agents.run("check-config")

    assert (done.returncode, done.stdout) == (0, "the configuration is good: 0 policies\n")
    assert json.loads(agents.run("check-config", "--json").stdout) == {"policies": []}


def test_the_json_says_all_of_a_policy(check):
    done = check(overridden({**BUCKET, "match": {"path": "/a*"}}, {**ACME, "capacity": 20},
                            {"match": {"tenant": ["x", "y"]}, "unlimited": True}), "--json")

    assert (done.returncode, done.stderr) == (0, "")
    policy, = json.loads(done.stdout)["policies"]
    own, other = policy.pop("generation"), policy["overrides"][0].pop("generation")
    assert own != other and len(own) == len(other) == 12
    terms = {"refill_rate": "1", "shadow": False, "on_error": "allow"}
    assert policy == {
        "name": "p", "algorithm": "token_bucket", "capacity": 10, **terms, "key": ["src"],
        "match": {"path": ["/a*"]}, "ipv4_prefix": 32, "ipv6_prefix": 64,
        "overrides": [{"match": {"tenant": ["acme"]}, "capacity": 20, **terms},
                      {"match": {"tenant": ["x", "y"]}, "unlimited": True}]}


def as_policy_file(shown):
    """What the JSON shows, as a file that says it."""
    policies = {}
    for policy in shown["policies"]:
        for terms in (policy, *policy["overrides"]):
            terms.pop("generation", None)
        policies[policy.pop("name")] = policy
    return json.dumps({"policies": policies})


@pytest.mark.parametrize("text", GOOD)
def test_the_json_read_as_a_policy_file_is_the_same(check, text):
    first = as_policy_file(json.loads(check(text, "--json").stdout))

    assert as_policy_file(json.loads(check(first, "--json").stdout)) == first


def test_several_problems_are_told_in_one_go(check):
    done = check(named(a={**WINDOW, "limit": 0, "window": "1x"}, b={**WINDOW, "kye": []}))

    assert (done.returncode, done.stdout) == (2, "")
    places = ("policies.a.limit: ", "policies.a.window: ", "policies.b.kye: ")
    lines = done.stderr.splitlines()
    assert len(lines) == len(places)
    assert all(place in line for place, line in zip(places, lines))


def test_of_many_problems_the_rest_is_counted(check):
    done = check(named(**{f"p{n}": {**WINDOW, "limit": 0} for n in range(1000)}), "--json")

    lines = done.stderr.splitlines()
    assert (done.returncode, done.stdout, len(lines)) == (2, "", 21)
    assert lines[-1] == "ratelimit-spoa: and 980 more"


def test_serve_tells_them_all_too(tmp_path):
    (tmp_path / "p.json").write_text(named(a={**WINDOW, "limit": 0, "window": "1x"}))
    done = agents.run("--policies", tmp_path / "p.json")

    assert (done.returncode, len(done.stderr.splitlines())) == (2, 2)


@pytest.mark.parametrize("options", [
    ["--store", "redis://localhost:0"], ["--http-token-file", "nosuch-file"],
    ["--spop-listen", "nonsense"]], ids=lambda options: options[0])
def test_a_fault_outside_of_the_policies_is_found(check, options):
    done = check(named(p=WINDOW), *options)

    assert (done.returncode, done.stdout) == (2, "")
    assert options[0] in done.stderr


def test_the_file_of_the_redis_password_is_read(check):
    done = check(named(p=WINDOW), "--store", "redis://localhost",
                 RATELIMIT_REDIS_PASSWORD_FILE="nosuch-file")

    assert (done.returncode, done.stdout) == (2, "")
    assert "nosuch-file" in done.stderr


def test_no_port_is_opened():
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"127.0.0.1:{server.getsockname()[1]}"
        done = agents.run("check-config", "--policies", SHIPPED_POLICIES, "--json",
                          "--spop-listen", address, "--http-listen", address)

    assert (done.returncode, done.stderr) == (0, "")


def test_json_is_a_flag_of_check_config_only():
    for command in ([], ["serve"], ["probe"]):
        done = agents.run(*command, "--json")
        assert done.returncode == 2
        assert "--json" in done.stderr


@pytest.mark.parametrize("options", [(), ("--json",)])
def test_what_looks_like_a_regular_expression_or_a_negation_is_warned_of(check, options):
    done = check(named(
        a={**WINDOW, "match": {"path": ["/ok*", "^/login"], "host": "example.com$"}},
        b={**WINDOW, "overrides": [ACME, {"match": {"user": "!root"}, "limit": 1}]}), *options)

    rest = " and is taken as text; in a match only * is special"
    regex, negation = " looks like a regular expression" + rest, " looks like a negation" + rest
    assert done.returncode == 0
    assert [line.partition(".json: ")[2] for line in done.stderr.splitlines()] == [
        'policies.a.match.path[1]: "^/login"' + regex,
        'policies.a.match.host: "example.com$"' + regex,
        'policies.b.overrides[1].match.user: "!root"' + negation]
    assert all(line.startswith("ratelimit-spoa: warning: ") for line in done.stderr.splitlines())
    assert done.stdout


def test_what_is_warned_of_is_taken_as_text(start_agent):
    agent = start_agent(policies=policies_text(p={**bucket(5), "match": {"path": "!/x"}}))
    with agent.connect() as peer:
        assert peer.ask(src="192.0.2.1", path="!/x").reason == "ok"
        assert peer.ask(src="192.0.2.1", path="/y").reason == "none"
