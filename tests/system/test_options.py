"""The command line: options, the environment, the sub-commands, what stops a start."""

import contextlib
import json
import os
import re
import socket
import threading
import time

import pytest

import agent as agents
from agent import SHIPPED_POLICIES, Agent, bucket, policies_text
from cases import named
from processes import Process, undisturbed, wait_until

# What each option does not take, and words of what it says that it does.
BAD_VALUES = [
    ("spop-listen", "nonsense", ["host:port", "unix:"]),
    ("spop-listen", "", ["host:port"]),
    ("spop-listen", "127.0.0.1", ["host:port"]),
    ("spop-listen", "127.0.0.1:65536", ["host:port"]),
    ("spop-listen", "127.0.0.1:0,", ["host:port"]),
    ("spop-listen", "::1:12345", ["[v6]:port"]),
    ("spop-listen", "unix:relative", ["/"]),
    ("spop-listen", "unix:/tmp/x?mode=9", ["mode"]),
    ("spop-listen", "unix:/tmp/x?owner=me", ["mode"]),
    ("spop-listen", "unix:/" + "x" * 200, ["long"]),
    ("spop-listen", "unix:/tmp/x?user=no-such-user", ["user=", "by name or number", "off"]),
    ("spop-listen", "unix:/tmp/x?group=no-such-group", ["group=", "by name or number"]),
    ("spop-listen", "off,127.0.0.1:1", ["host:port", "off"]),
    ("admin-listen", "127.0.0.1", ["*:port", "off"]),
    ("http-listen", "127.0.0.1", ["off"]),
    ("store", "memory", ["memory:"]),
    ("store-timeout", "2", ["1ms"]),
    ("store-timeout", "999us", ["1ms"]),
    ("store-timeout", "0ms", ["1ms"]),
    ("store-timeout", "-2ms", ["1ms"]),
    ("store-timeout", "2ms ", ["1ms"]),
    ("store-timeout", "99999999999999999999s", ["1ms"]),
    ("on-error", "ALLOW", ["allow", "deny", "local"]),
    ("on-error", "", ["allow", "deny", "local"]),
    ("memory-limit", "lots", ["size"]),
    ("memory-limit", "0", ["64k"]),
    ("memory-limit", "-1m", ["64k"]),
    ("memory-limit", "1x", ["64k"]),
    ("memory-limit", "18446744073709551616", ["64k"]),
    ("max-frame-size", "255", ["256"]),
    ("max-frame-size", "4294967552", ["256"]),
    ("max-connections", "0", ["1"]),
    ("max-connections", "ten", ["1"]),
    ("max-in-flight", "0", ["1"]),
    ("max-in-flight", "1.5", ["1"]),
    ("http-max-connections", "0", ["1"]),
    ("http-max-per-address", "-1", ["1"]),
    ("spop-vars", "nosuch", ["ratelimit_policy", "limit", "remaining"]),
    ("spop-vars", "limit,,reset", ["remaining"]),
    ("drain-delay", "soon", ["duration"]),
    ("drain-timeout", "-1s", ["duration"]),
    ("log-level", "verbose", ["error", "warn", "info", "debug"]),
    ("log-format", "xml", ["json", "text"]),
]


def variable_of(option):
    return "RATELIMIT_" + option.upper().replace("-", "_")


def the_lines(done):
    """What a refused start wrote."""
    assert done.returncode == 2, done
    assert done.stdout == ""
    lines = done.stderr.splitlines()
    assert lines and all(line.startswith("ratelimit-spoa: ") for line in lines), done.stderr
    return lines


def the_one_line(done):
    lines = the_lines(done)
    assert len(lines) == 1, done.stderr
    return lines[0]


def assert_refused(done, name, value, accepted):
    line = the_one_line(done)
    assert name in line
    # Of a list the wrong item, of a long value its beginning.
    assert any(item[:32] in line for item in (value, *value.split(",")))
    for word in accepted:
        assert word in line


@pytest.mark.parametrize("option,value,accepted", BAD_VALUES, ids=lambda value: str(value)[:24])
def test_a_bad_value_of_a_flag_is_refused(option, value, accepted):
    done = agents.run(f"--{option}", value)

    assert_refused(done, f"--{option}", value, accepted)


@pytest.mark.parametrize("option,value,accepted", BAD_VALUES, ids=lambda value: str(value)[:24])
def test_a_bad_value_in_the_environment_is_refused(option, value, accepted):
    done = agents.run(env={variable_of(option): value})

    assert_refused(done, variable_of(option), value, accepted)


@pytest.mark.parametrize("store", ["mysql://me:secret@localhost", "redis://:secret@localhost:0"])
def test_a_refused_store_is_not_repeated_since_it_may_hold_a_password(store):
    for done in (agents.run("--store", store), agents.run(env={"RATELIMIT_STORE": store})):
        assert "secret" not in the_one_line(done)


def test_a_value_may_stand_behind_an_equals_sign():
    assert_refused(agents.run("--on-error=maybe"), "--on-error", "maybe", ["allow"])
    assert agents.run("check-config", "--on-error=deny").returncode == 0


@pytest.mark.parametrize("arguments", [["--nosuch", "1"], ["--nosuch=1"], ["-x"], ["--"],
                                       ["serve", "--nosuch"], ["check-config", "--spop-liste"]])
def test_an_unknown_flag_is_refused(arguments):
    line = the_one_line(agents.run(*arguments))

    flag = next(word for word in arguments if word.startswith("-"))
    assert flag.partition("=")[0] in line


def test_a_word_that_is_no_option_is_refused():
    assert "stray" in the_one_line(agents.run("serve", "stray"))


def test_an_unknown_command_is_refused():
    line = the_one_line(agents.run("nosuch"))

    assert "nosuch" in line
    assert all(command in line for command in ("serve", "check-config", "probe", "version"))


def test_a_flag_without_its_value_is_refused():
    assert_refused(agents.run("--on-error"), "--on-error", "", ["allow", "deny", "local"])


@pytest.mark.parametrize("variable", ["RATELIMIT_NOSUCH", "RATELIMIT_", "RATELIMIT_ON-ERROR",
                                      "RATELIMIT_on_error", "RATELIMIT_ON_ERROR_"])
def test_an_unknown_variable_is_refused(variable):
    assert variable in the_one_line(agents.run("check-config", env={variable: "allow"}))


def test_other_variables_are_none_of_its_business():
    assert agents.run("check-config", env={"RATELIMITED": "1", "MY_RATELIMIT_X": "1"}
                      ).returncode == 0


@pytest.mark.parametrize("service", ["RATELIMIT", "RATELIMIT_SPOA", "RATELIMIT_SPOA_CANARY"])
def test_the_service_links_of_kubernetes_are_ignored(service):
    links = {
        f"{service}_SERVICE_HOST": "10.0.0.1",
        f"{service}_SERVICE_PORT": "12345",
        f"{service}_SERVICE_PORT_SPOP": "12345",
        f"{service}_PORT": "tcp://10.0.0.1:12345",
        f"{service}_PORT_12345_TCP": "tcp://10.0.0.1:12345",
        f"{service}_PORT_12345_TCP_PROTO": "tcp",
        f"{service}_PORT_12345_TCP_PORT": "12345",
        f"{service}_PORT_12345_TCP_ADDR": "10.0.0.1",
    }

    done = agents.run("check-config", env=links)

    assert (done.returncode, done.stderr) == (0, "")


def test_a_variable_sets_an_option(tmp_path):
    (tmp_path / "p.json").write_text("{")

    done = agents.run("check-config", env={"RATELIMIT_POLICIES": str(tmp_path / "p.json")})

    assert str(tmp_path / "p.json") in the_one_line(done)


def test_a_flag_wins_over_a_variable(tmp_path):
    (tmp_path / "p.json").write_text("{")

    done = agents.run("check-config", "--policies", SHIPPED_POLICIES,
                      env={"RATELIMIT_POLICIES": str(tmp_path / "p.json")})

    assert (done.returncode, done.stderr) == (0, "")


def test_sizes_and_durations_have_units():
    done = agents.run("check-config", "--memory-limit", "1m", "--max-frame-size", "64k",
                      "--store-timeout", "1.5s", "--drain-delay", "1m", "--drain-timeout", "1d")

    assert (done.returncode, done.stderr) == (0, "")


def test_help_names_each_option_and_its_default():
    done = agents.run("--help")

    assert done.returncode == 0
    for option in {option for option, _, _ in BAD_VALUES}:
        assert f"--{option}" in done.stdout
    for default in ("127.0.0.1:12345", "2ms", "256m", "65536", "10000", "10s"):
        assert default in done.stdout


OWN_FLAGS = {  # of each command, and those of serve that change what it does
    "check-config": ["json", "policies", "shadow-all", "on-error", "hash-keys"],
    # Its --log-format is HAProxy's, and not that of the agent's own log.
    "replay": ["format", "tz", "log-format", "captures", "window", "against", "plot", "json",
               "keep-going", "policies", "shadow-all", "store", "key-prefix", "hash-keys",
               "memory-limit"],
    "probe": ["spop-listen"],
    "version": [],
}


def flags_in(text):
    return re.findall(r"^  --(\S+)", text, re.MULTILINE)


@pytest.mark.parametrize("command", OWN_FLAGS)
@pytest.mark.parametrize("flag", ["--help", "-h"])
def test_the_help_of_a_command_has_its_own_options_alone(command, flag):
    done = agents.run(command, flag)

    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(f"usage: ratelimit-spoa {command}")
    assert len(re.findall("usage:|ratelimit-spoa", done.stdout)) == 2
    flags = set(flags_in(done.stdout))
    assert flags >= set(OWN_FLAGS[command])
    of_serve = set(flags_in(agents.run("serve", "--help").stdout))
    assert flags & of_serve == set(OWN_FLAGS[command]) & of_serve
    assert command == "replay" or flags == set(OWN_FLAGS[command])


def test_the_help_of_serve_has_the_options_of_the_agent_alone():
    everything, done = agents.run("--help"), agents.run("serve", "--help")

    flags = flags_in(done.stdout)
    assert (done.returncode, done.stderr) == (0, "")
    assert flags == flags_in(everything.stdout)[:len(flags)] and "spop-listen" in flags
    assert not {"json", "format", "plot", "tz", "keep-going"} & set(flags)
    assert "RATELIMIT_REDIS_PASSWORD_FILE" in done.stdout


@pytest.mark.parametrize("arguments", [["--help"], ["serve", "--help"], ["check-config", "--help"],
                                       ["replay", "--help"], ["probe", "--help"]], ids=str)
def test_help_can_be_had_whatever_else_is_wrong(arguments):
    done = agents.run(*arguments, "--nosuch", env={"RATELIMIT_NOSUCH": "1",
                                                   "RATELIMIT_ON_ERROR": "maybe"})

    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("arguments, meant", named({
    "a flag": (["--spop-liste", "x"], "--spop-listen"),
    "a flag of serve": (["serve", "--store-timout=1ms"], "--store-timeout"),
    "one dash": (["-policies", "x"], "--policies"),
    "underscores": (["--log_level", "info"], "--log-level"),
    "upper case": (["--STORE", "x"], "--store"),
    "no dashes": (["serve", "policies=x"], "--policies"),
    "check-config's own": (["check-config", "--jsno"], "--json"),
    "check-config's, of serve": (["check-config", "--polices", "x"], "--policies"),
    "replay's own": (["replay", "--fromat", "haproxy"], "--format"),
    "replay's, of serve": (["replay", "--memory-limits", "1m"], "--memory-limit"),
    "probe's": (["probe", "--spop-listne", "x"], "--spop-listen"),
    "serve": (["srve"], "serve"),
    "check-config": (["checkconfig"], "check-config"),
    "replay": (["relay"], "replay"),
    "probe": (["prob"], "probe"),
    "version": (["Version"], "version"),
}))
def test_what_is_misspelt_is_suggested(arguments, meant):
    assert f" (did you mean {meant}?)" in the_one_line(agents.run(*arguments))


@pytest.mark.parametrize("variable, meant", [
    ("RATELIMIT_SPOP_LISTN", "RATELIMIT_SPOP_LISTEN"), ("RATELIMIT_STORES", "RATELIMIT_STORE"),
    ("RATELIMIT_on_error", "RATELIMIT_ON_ERROR"), ("RATELIMIT_DRAIN-DELAY", "RATELIMIT_DRAIN_DELAY"),
    ("RATELIMIT_REDIS_PASWORD", "RATELIMIT_REDIS_PASSWORD"),
    ("RATELIMIT_REDIS_PASSWORD_FIEL", "RATELIMIT_REDIS_PASSWORD_FILE")])
def test_a_misspelt_variable_is_suggested(variable, meant):
    line = the_one_line(agents.run("check-config", env={variable: "allow"}))

    assert line.startswith(f"ratelimit-spoa: {variable}: no such option (did you mean {meant}?)")


@pytest.mark.parametrize("arguments, meant", [
    (["--helpp"], "help"), (["serve", "--hlep"], "help"), (["check-config", "-help"], "help"),
    (["replay", "--helpp"], "help"), (["explain", "--helpp"], "help"), (["--versio"], "version"),
    (["--Version"], "version"), (["check-config", "policies=x"], "policies")], ids=str)
def test_misspelt_help_and_version_are_suggested(arguments, meant):
    assert f" (did you mean --{meant}?)" in the_one_line(agents.run(*arguments))


@pytest.mark.parametrize("arguments", [["check-config", "x"], ["serve", "log-level=info"]], ids=str)
def test_a_word_that_is_no_flag_is_not_called_an_option(arguments):
    line = the_one_line(agents.run(*arguments))

    assert line.startswith(f"ratelimit-spoa: {arguments[1].split('=')[0]}: not accepted here")
    assert "accepted are options" in line and "no such option" not in line


@pytest.mark.parametrize("arguments", [["--nosuch"], ["nosuch"], ["replay", "--qqqqq", "1"]], ids=str)
def test_what_is_like_nothing_gets_no_suggestion(arguments):
    assert "did you mean" not in the_one_line(agents.run(*arguments))


@pytest.mark.parametrize("arguments", [
    ["serve", "stray"], ["check-config", "stray"], ["check-config", "--json", "stray"],
    ["probe", "127.0.0.1:1", "stray"], ["probe", "http://127.0.0.1:1/health", "stray"],
    ["probe", "--spop-listen", "127.0.0.1:1", "stray"], ["version", "stray"],
    ["--version", "stray"], ["version", "--json"]], ids=str)
def test_a_stray_argument_is_wrong_usage(arguments):
    assert the_one_line(agents.run(*arguments))


def test_version_says_which():
    done = agents.run("version")

    assert done.returncode == 0
    assert re.fullmatch(r"ratelimit-spoa \d+\.\d+\.\d+\S*\n", done.stdout)


# --- the policy file ---------------------------------------------------------------------------

LOGIN = {"algorithm": "sliding_window", "limit": 5, "window": "1m", "key": ["src"]}

# A fault in the policy "login", and where it is found.
BROKEN_POLICIES = [
    ({"window": "1x"}, 'policies.login.window: "1x" is not a duration'),
    ({"window": "0s"}, "policies.login.window"),
    ({"window": 0}, "policies.login.window"),
    ({"window": -1}, "policies.login.window"),
    ({"window": True}, "policies.login.window"),
    ({"window": None}, "policies.login.window"),
    ({"window": "500us"}, "policies.login.window"),
    ({"limit": 0}, "policies.login.limit"),
    ({"limit": -1}, "policies.login.limit"),
    ({"limit": 1.5}, "policies.login.limit"),
    ({"limit": "5"}, "policies.login.limit"),
    ({"limit": 1e300}, "policies.login.limit"),
    ({"limit": 1_000_001}, "policies.login.limit"),
    ({"algorithm": "leaky_bucket"}, "policies.login.algorithm"),
    ({"algorithm": 1}, "policies.login.algorithm"),
    ({"capacity": 5}, "policies.login.capacity"),
    ({"key": "src"}, "policies.login.key"),
    ({"key": [1]}, "policies.login.key"),
    ({"key": [""]}, "policies.login.key"),
    ({"key": ["cost"]}, "policies.login.key"),
    ({"key": ["src", "src"]}, "policies.login.key"),
    ({"kye": ["src"]}, "policies.login.kye"),
]
BROKEN_BUCKETS = [
    ({"capacity": 0}, "policies.p.capacity"),
    ({"capacity": 2.5}, "policies.p.capacity"),
    ({"capacity": 2**53}, "policies.p"),
    ({"refill_rate": 0}, "policies.p.refill_rate"),
    ({"refill_rate": -1}, "policies.p.refill_rate"),
    ({"refill_rate": "fast"}, "policies.p.refill_rate"),
    ({"refill_rate": "1/0s"}, "policies.p.refill_rate"),
    ({"refill_rate": "0/1s"}, "policies.p.refill_rate"),
    ({"refill_rate": "1/1x"}, "policies.p.refill_rate"),
    ({"refill_rate": []}, "policies.p.refill_rate"),
    ({"refill_rate": 1e-300}, "policies.p.refill_rate"),
    ({"limit": 5}, "policies.p.limit"),
    ({"window": "1m"}, "policies.p.window"),
]
BROKEN_FILES = [
    "", "{", "[]", "null", '{"policies":[]}', '{"policies":{},"policies":{}}', '{"polices":{}}',
    '{"policies":{"p":{}}}', '{"policies":{"p":[]}}', '{"policies":{}} x', '{"policies":{}}{}',
]
BAD_NAMES = ["inline", "none", "", "a b", "x" * 65, "é", 'a"b', "a/b", "a\nb"]


def check_file(path, text):
    path.write_text(text)
    return agents.run("check-config", "--policies", path)


def without(policy, field):
    return {name: value for name, value in policy.items() if name != field}


def test_check_config_takes_the_shipped_policies():
    done = agents.run("check-config", "--policies", SHIPPED_POLICIES)

    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("command", ["serve", "check-config"])
def test_a_broken_file_stops_the_start_with_its_place(tmp_path, command):
    path = tmp_path / "p.json"
    path.write_text(json.dumps({"policies": {"login": {**LOGIN, "window": "1x"}}}))

    line = the_one_line(agents.run(command, "--policies", path))

    assert str(path) in line
    assert 'policies.login.window: "1x" is not a duration' in line


@pytest.mark.parametrize("change,place", BROKEN_POLICIES, ids=str)
def test_a_fault_in_a_window_is_named_with_its_place(tmp_path, change, place):
    done = check_file(tmp_path / "p.json", json.dumps({"policies": {"login": {**LOGIN, **change}}}))

    assert place in the_one_line(done)


@pytest.mark.parametrize("change,place", BROKEN_BUCKETS, ids=str)
def test_a_fault_in_a_bucket_is_named_with_its_place(tmp_path, change, place):
    policy = {**bucket(5), **change}
    done = check_file(tmp_path / "p.json", json.dumps({"policies": {"p": policy}}))

    assert place in the_one_line(done)


@pytest.mark.parametrize("field", ["algorithm", "limit", "window", "key"])
def test_a_missing_field_is_named(tmp_path, field):
    policy = without(LOGIN, field)
    done = check_file(tmp_path / "p.json", json.dumps({"policies": {"login": policy}}))

    assert f"policies.login.{field}" in the_one_line(done)


@pytest.mark.parametrize("text", BROKEN_FILES)
def test_a_file_that_is_no_policy_file_is_refused(tmp_path, text):
    for line in the_lines(check_file(tmp_path / "p.json", text)):
        assert str(tmp_path / "p.json") in line


@pytest.mark.parametrize("name", BAD_NAMES)
def test_a_name_that_is_none_is_refused(tmp_path, name):
    done = check_file(tmp_path / "p.json", json.dumps({"policies": {name: LOGIN}}))

    assert "A-Z a-z 0-9 . _ -" in the_one_line(done)


def test_a_field_or_a_policy_that_stands_there_twice_is_refused(tmp_path):
    policy = json.dumps(LOGIN)
    twice = f'{{"policies":{{"login":{policy},"login":{policy}}}}}'
    field_twice = twice.replace('"limit": 5', '"limit": 5, "limit": 5')

    assert "policies.login" in the_one_line(check_file(tmp_path / "p.json", twice))
    assert "policies.login.limit" in the_lines(check_file(tmp_path / "p.json", field_twice))[0]


def test_a_rate_that_cannot_be_kept_exactly_is_refused_with_a_hint(tmp_path):
    policy = bucket(5, refill_rate=0.1234567890123456)
    done = check_file(tmp_path / "p.json", json.dumps({"policies": {"p": policy}}))

    line = the_one_line(done)
    assert "ratio" in line
    assert "policies.p.refill_rate" in line


@pytest.mark.parametrize("path", ["nosuch.json", "."])
def test_a_file_that_cannot_be_read_is_named(tmp_path, path):
    done = agents.run("check-config", "--policies", tmp_path / path)

    assert str(tmp_path / path) in the_one_line(done)


@pytest.mark.parametrize("policy", [
    bucket(1, refill_rate=0.5), bucket(1, refill_rate=1_000_000), bucket(1_000_000),
    bucket(5, refill_rate="1000/1m"), bucket(5, refill_rate="0.5"), bucket(5, key=()),
    bucket(5, key=("src", "path", "a-b.c")), LOGIN, {**LOGIN, "limit": 1_000_000},
    {**LOGIN, "window": 0.5}, {**LOGIN, "window": 86400}, {**LOGIN, "window": "1ms"},
    {**LOGIN, "algorithm": "sliding_window_counter"},
    {**LOGIN, "algorithm": "fixed_window", "window": "1d", "limit": 1_000_000_000},
], ids=str)
def test_a_policy_as_the_contract_has_it_is_taken(tmp_path, policy):
    done = check_file(tmp_path / "p.json", json.dumps({"policies": {"a.B_9-z": policy}}))

    assert (done.returncode, done.stderr) == (0, "")


# --- probe -------------------------------------------------------------------------------------


def test_probe_of_a_running_agent_succeeds(start_agent):
    agent = start_agent()

    done = agents.run("probe", agent.address)

    assert (done.returncode, done.stderr) == (0, "")


def test_probe_without_an_address_asks_the_first_listener(start_agent):
    agent = start_agent()

    assert agents.run("probe", env={"RATELIMIT_SPOP_LISTEN": agent.address + ",127.0.0.1:1"}
                      ).returncode == 0


def test_probe_has_flags_as_the_agent_has(start_agent):
    agent = start_agent()

    assert agents.run("probe", "--spop-listen", agent.address).returncode == 0
    assert agents.run("probe", f"--spop-listen={agent.address}").returncode == 0
    assert flags_in(agents.run("probe", "--help").stdout) == ["spop-listen"]
    assert agents.run("probe", "--listen", agent.address).returncode == 2


@pytest.mark.parametrize("wildcard", ["0.0.0.0", "[::]"])
def test_probe_takes_a_wildcard_for_loopback(start_agent, wildcard):
    agent = start_agent(listen=f"{wildcard}:0")
    port = agent.address.rsplit(":", 1)[1]

    assert agents.run("probe", env={"RATELIMIT_SPOP_LISTEN": f"{wildcard}:{port}"}).returncode == 0


def test_probe_of_an_agent_on_a_unix_socket_succeeds(start_agent, tmp_path):
    agent = start_agent(listen=f"unix:{tmp_path}/s")

    assert agents.run("probe", agent.address).returncode == 0


def test_probe_of_nobody_fails_and_names_the_address():
    with socket.socket() as reserved:  # bound, but nobody listens
        reserved.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{reserved.getsockname()[1]}"

        done = agents.run("probe", address)

    assert done.returncode == 1
    assert address in done.stderr and len(done.stderr.splitlines()) == 1


def test_probe_of_a_name_asks_all_its_addresses(start_agent, host_names):
    port = start_agent().address.rsplit(":", 1)[1]
    names = host_names("two.test=::1,127.0.0.1", "none.test=::1,127.0.0.2")

    good = agents.run("probe", f"two.test:{port}", env=names)
    bad = agents.run("probe", f"none.test:{port}", env=names)

    assert (good.returncode, good.stderr) == (0, "")
    assert bad.returncode == 1
    [line] = bad.stderr.splitlines()
    assert f"none.test:{port} ([::1]:{port}): can't connect: Connection refused" in line
    assert f"none.test:{port} (127.0.0.2:{port}): can't connect: Connection refused" in line


def test_probe_over_http_asks_all_addresses_of_a_name(start_agent, host_names):
    port = start_agent(http=True).http_address.rsplit(":", 1)[1]

    done = agents.run("probe", f"http://two.test:{port}/health",
                      env=host_names("two.test=::1,127.0.0.1"))

    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("listen", ["*:{}", "[::]:{}", "0.0.0.0:{0},[::]:{0}"])
def test_probe_finds_an_agent_that_listens_on_ipv4_alone(start_agent, host_names, listen):
    """As where the loopback interface has no IPv6 address."""
    port = start_agent().address.rsplit(":", 1)[1]

    for env in (host_names(), host_names(NO_IPV6="1")):
        assert agents.run("probe", "--spop-listen", listen.format(port), env=env).returncode == 0


def test_probe_without_an_address_asks_where_spop_is_and_says_when_it_is_off():
    line = the_one_line(agents.run("probe", "--spop-listen", "off"))

    assert "--spop-listen is off" in line
    assert "http://host:port/health" in line


class Trickle:
    """Accepts, and sends a byte of `data` each 0.2 s, for ever from its last one on."""

    def __init__(self, data, address=("127.0.0.1", 0)):
        self.data = data
        self.server = socket.create_server(address)
        self.address = f"127.0.0.1:{self.server.getsockname()[1]}"
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        with contextlib.suppress(OSError):
            while True:
                client, _ = self.server.accept()
                threading.Thread(target=self.send, args=(client,), daemon=True).start()

    def send(self, client):
        with contextlib.suppress(OSError), client:
            for byte in self.data:
                client.send(bytes([byte]))
                time.sleep(0.2)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.server.close()


def timed_probe(longest, *arguments, **options):
    """A probe that the machine did not hold up, and the seconds that it took."""
    def measure():
        begin = time.monotonic()
        done = agents.run("probe", *arguments, **options)
        return done, time.monotonic() - begin
    return undisturbed(measure, lambda result: result[1] < longest)


@pytest.mark.parametrize("address,data", [
    ("{}", b"\0\0\1\0" + bytes(256)), ("http://{}/health", b"HTTP/1.1" + b" " * 100)],
    ids=["spop", "http"])
def test_probe_of_one_that_answers_byte_by_byte_ends_in_time(address, data):
    with Trickle(data) as trickle:
        done, seconds = timed_probe(2.8, address.format(trickle.address))

    assert done.returncode == 1
    assert done.stderr.endswith(f"{trickle.address}: no answer\n")
    assert 1.9 < seconds < 2.8


def test_probe_of_one_that_never_accepts_ends_in_time(tmp_path):
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full:
        port = full.getsockname()[1]
        with socket.create_connection(("127.0.0.1", port)):
            done, seconds = timed_probe(2.8, f"127.0.0.1:{port}")

    assert done.returncode == 1
    assert "Connection timed out" in done.stderr
    assert seconds < 2.8


# The clients of other tests come from 127.0.0.2 and the next ones. After a load of short connections
# nearly all ports there are in TIME_WAIT.
SECOND = "127.0.99.1"


def agent_and_trickle(start_agent, data):
    """An agent at a port of 127.0.0.1, and a Trickle at the same port of SECOND. Where another program
    has that port there, another agent has another port."""
    errors = []
    for _ in range(20):
        agent = start_agent()
        address = (SECOND, int(agent.address.rsplit(":", 1)[1]))
        try:
            return agent, Trickle(data, address)
        except OSError as error:
            errors.append(f"{address}: {error}")
    raise AssertionError("\n".join(errors))


def test_probe_has_time_left_for_the_address_after_one_that_trickles(start_agent, host_names):
    agent, trickle = agent_and_trickle(start_agent, b"\0\0\1\0" + bytes(256))

    with trickle:
        done, seconds = timed_probe(2, agent.address.replace("127.0.0.1", "two.test"),
                                    env=host_names(f"two.test={SECOND},127.0.0.1"))

    assert (done.returncode, done.stderr) == (0, "")
    assert seconds < 2


@pytest.mark.parametrize("arguments", [["slow.test:1"], ["http://slow.test/"],
                                       ["--spop-listen", "slow.test:1"]], ids=str)
def test_probe_of_a_name_that_nobody_looks_up_ends_in_time(host_names, arguments):
    done, seconds = timed_probe(2.8, *arguments, env=host_names("slow.test="))

    assert done.returncode == 1
    assert done.stderr == "ratelimit-spoa: the look-up of the host name takes too long\n"
    assert 1.9 < seconds < 2.8


@pytest.mark.parametrize("url", [
    "http://", "http:///health", "http://:8080/health", "http://127.0.0.1:/health",
    "http://127.0.0.1:0/health", "http://127.0.0.1:65536/health", "http://127.0.0.1:x/health",
    "http://[::1/health", "http://[]/health", "http://127.0.0.1:1/a b",
    "http://127.0.0.1:1/\r\nX: y", "http://127.0.0.1 :1/"])
def test_probe_of_what_is_no_url_is_wrong_usage(url):
    line = the_one_line(agents.run("probe", url))

    assert "accepted is http://host[:port]/path" in line


@pytest.mark.parametrize("address", ["https://127.0.0.1:1/health", "127.0.0.1", "off", "unix:x"])
def test_probe_of_what_is_no_address_is_wrong_usage(address):
    line = the_one_line(agents.run("probe", address))

    assert "accepted" in line and address in line


@pytest.mark.parametrize("path, status", [("/health", 0), ("/ready", 0), ("/nosuch", 1)])
def test_probe_asks_over_http(start_agent, path, status):
    agent = start_agent(http=True)

    done = agents.run("probe", f"http://{agent.http_address}{path}")

    assert (done.returncode, done.stdout) == (status, "")
    assert bool(done.stderr) == bool(status)


def test_an_agent_without_spop_serves_http_alone(tmp_path, started):
    agent = Process([agents.BINARY, "--spop-listen", "off", "--http-listen", "127.0.0.1:0"],
                    tmp_path / "agent.log")
    started.append(agent)
    wait_until(lambda: '"started"' in agent.output.read_text(), "the start")
    listening = [event for event in map(json.loads, agent.lines())
                 if event["event"] == "listening"]

    assert [event["protocol"] for event in listening] == ["http"]
    assert agents.run("probe", f"http://{listening[0]['address']}/ready").returncode == 0


def test_probe_of_something_else_fails(origin):
    assert agents.run("probe", origin.address).returncode == 1


def test_probe_is_not_logged_by_the_agent(start_agent):
    agent = start_agent()
    before = len(agent.events())

    assert agents.run("probe", agent.address).returncode == 0

    assert agents.run("probe", agent.address).returncode == 0
    assert len(agent.events()) == before


# --- the log -----------------------------------------------------------------------------------


def test_the_log_is_json_lines(start_agent):
    agent = start_agent(policies=SHIPPED_POLICIES.read_text())
    agent.stop()

    for event in agent.events():
        assert re.match(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d", event["time"])
        assert event["level"] in ("error", "warn", "info")
        assert re.fullmatch(r"[a-z_]+", event["event"])


def test_the_log_can_be_text(tmp_path, started):
    class TextAgent(Agent):
        """Reads the one event that the constructor waits for out of a line of text."""
        def events(self, name=None, **_):
            found = re.findall(r"\blistening\b.*\b(127\.0\.0\.1:\d+)", self.output.read_text())
            return [{"event": "listening", "address": address} for address in found]

    agent = TextAgent(tmp_path, "--log-format", "text")
    started.append(agent)

    assert not any(line.startswith("{") for line in agent.lines())
    with agent.connect() as peer:
        assert peer.ask(src="x").reason == "none"


def test_log_level_error_says_nothing_of_a_start(tmp_path):
    done = agents.run("--log-level", "error", "--spop-listen", "127.0.0.1:0", "--http-listen",
                      "off", "--policies", tmp_path / "nosuch")
    assert "listening" not in done.stderr


def test_a_lone_agent_without_policies_starts(start_agent):
    agent = start_agent()

    with agent.connect() as peer:
        assert peer.ask(src="x").reason == "none"
    assert agent.is_running()


def test_policies_text_is_what_the_agent_reads(start_agent):
    agent = start_agent(policies=policies_text(per_ip=bucket(3)))

    with agent.connect() as peer:
        assert peer.ask(src="x").policy == "per-ip"


def test_a_policy_file_that_is_a_pipe_is_refused_and_not_waited_for(tmp_path):
    path = tmp_path / "policies.json"
    os.mkfifo(path)

    done = agents.run("check-config", "--policies", path)

    assert done.returncode == 2
    assert str(path) in done.stderr
