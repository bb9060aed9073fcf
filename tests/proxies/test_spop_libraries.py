"""Clients of SPOP that are made with libraries of others, one in Go and one in Rust, ask the agent:
every variable and every type arrives as it was meant.

The clients read lines of words with tabs between them:

    message NAME                 begins a message
    argument NAME TYPE VALUE     adds an argument to it; a binary is in hexadecimal
    send                         sends a NOTIFY with these messages, and awaits the ACK

and print

    ack STREAM-ID FRAME-ID, set SCOPE NAME TYPE VALUE, unset SCOPE NAME, end
"""

import subprocess
from typing import NamedTuple

import pytest

import spop
from agent import bucket, policies_text
from pinned import HERE, download, tool
from processes import PATIENCE, ROOT, clean_environment

BUILD = ROOT / "build"
BUILD_SECONDS = 300
POLICIES = policies_text(per_x=bucket(10, key=["x"]), everybody=bucket(10**6, key=[]))


def build_go():
    """haproxy-spoe-go, by the checksums of go.sum, from the module proxy."""
    folder = BUILD / "spop-go"
    env = clean_environment({"GOPATH": str(folder / "path"), "GOCACHE": str(folder / "cache"),
                             "GOFLAGS": "-mod=readonly -modcacherw", "GOTOOLCHAIN": "local"})
    download([tool("go", "the client in Go"), "build", "-o", folder / "client", "."], BUILD_SECONDS,
             cwd=HERE / "spop-go", env=env)
    return folder / "client"


def build_rust():
    """The crate spop, by Cargo.lock."""
    folder = BUILD / "spop-rust"
    env = clean_environment({"CARGO_HOME": str(folder / "cargo"),
                             "CARGO_TARGET_DIR": str(folder / "target")})
    download([tool("cargo", "the client in Rust"), "build", "--quiet", "--locked"], BUILD_SECONDS,
             cwd=HERE / "spop-rust", env=env)
    return folder / "target/debug/spop-client"


@pytest.fixture(scope="session")
def clients():
    built = {}

    def client(language):
        if language not in built:
            built[language] = {"go": build_go, "rust": build_rust}[language]()
        return built[language]
    return client


class Answer(NamedTuple):
    ids: tuple
    vars: dict  # name: (type, value)
    unset: set


def parse(output):
    answers, answer = [], None
    for line in output.splitlines():
        word, *words = line.split("\t")
        if word == "ack":
            answer = Answer(tuple(map(int, words)), {}, set())
        elif word == "set":
            scope, name, kind, value = words
            assert (scope, name in answer.vars) == (str(spop.SCOPE_TXN), False)
            answer.vars[name] = (kind, value)
        elif word == "unset":
            assert words[0] == str(spop.SCOPE_TXN)
            answer.unset.add(words[1])
        elif word == "end":
            answers.append(answer)
        else:
            assert line == "bye"
    assert output.endswith("bye\n")  # the agent's DISCONNECT has come
    return answers


@pytest.fixture
def ask(start_agent, clients):
    """Starts an agent, and gives a function that asks it by the client of a language: each request
    is a list of messages, each of which has triples (name, type, value)."""
    agent = start_agent(policies=POLICIES)

    def asked(language, *requests):
        lines = []
        for messages in requests:
            for arguments in messages:
                lines.append("message\tcheck")
                lines += ["\t".join(("argument", *words)) for words in arguments]
            lines.append("send")
        done = subprocess.run([clients(language), agent.address], text=True, check=False,
                              input="".join(line + "\n" for line in lines), capture_output=True,
                              timeout=PATIENCE)
        assert done.returncode == 0, done.stderr
        answers = parse(done.stdout)
        assert [answer.ids for answer in answers] == [(1, n + 1) for n in range(len(requests))]
        assert agent.events("spop_refused") == agent.events("spop_message_invalid") == []
        return answers
    asked.agent = agent
    return asked


def remaining(answer):
    kind, value = answer.vars["remaining"]
    assert kind == "int64"
    return int(value)


# The text form of a value, by its type and how the clients' input writes it.
VALUES = [
    ("bool", "true", "true"), ("bool", "false", "false"),
    ("int32", "42", "42"), ("int32", "2147483647", "2147483647"),
    ("uint32", "0", "0"), ("uint32", "4294967295", "4294967295"),
    ("int64", "9000000000", "9000000000"), ("int64", "239", "239"), ("int64", "240", "240"),
    ("int64", "2287", "2287"), ("int64", "2288", "2288"),
    ("uint64", "9007199254740991", "9007199254740991"),
    ("str", "ann", "ann"), ("str", "", ""), ("str", "näme", "näme"),
    ("str", "192.0.2.7", spop.ip("192.0.2.7")), ("str", "x" * 3000, "x" * 3000),
    ("bin", "616e6e", "ann"), ("bin", "00ff80", b"\x00\xff\x80"),
]
# The library for Go puts no addresses into arguments, and panics at numbers that take more than
# eight bytes: those below 0, and the largest ones.
OF_RUST = [
    ("int32", "-5", "-5"), ("int32", "-2147483648", "-2147483648"),
    ("int64", "-9000000000", "-9000000000"), ("int64", str(-2**63), str(-2**63)),
    ("int64", str(2**63 - 1), str(2**63 - 1)), ("uint64", str(2**64 - 1), str(2**64 - 1)),
    ("ipv4", "192.0.2.1", "192.0.2.1"), ("ipv6", "2001:db8::1", "2001:db8::1"),
    ("ipv6", "::ffff:192.0.2.3", "192.0.2.3"),
]


@pytest.mark.parametrize("language, values", [("go", VALUES), ("rust", VALUES + OF_RUST)],
                         ids=["go", "rust"])
def test_every_type_of_an_argument_arrives_as_it_was_meant(ask, language, values):
    answers = ask(language, *([[("x", kind, value)]] for kind, value, _ in values))

    seen = {}
    with ask.agent.connect() as peer:
        for (kind, value, text), answer in zip(values, answers):
            canonical = str(text) if not isinstance(text, bytes) else text
            seen[canonical] = seen.get(canonical, 0) + 1
            assert answer.vars["policy"] == ("str", "per-x"), (kind, value)
            assert remaining(answer) == 10 - seen[canonical], (kind, value)
        for canonical, count in seen.items():  # the agent's balance is that of the text
            assert peer.ask(x=canonical, cost=0).remaining == 10 - count, canonical


@pytest.mark.parametrize("language", ["go", "rust"])
def test_null_is_absent_and_of_a_repeated_argument_the_last_counts(ask, language):
    absent, last, null_last = ask(
        language, [[("x", "null", "")]], [[("x", "str", "a"), ("x", "str", "b")]],
        [[("x", "str", "c"), ("x", "null", "")]])

    assert absent.vars["policy"] == null_last.vars["policy"] == ("str", "everybody")
    assert remaining(last) == 9
    with ask.agent.connect() as peer:
        assert [peer.ask(x=name, cost=0).remaining for name in "abc"] == [10, 9, 10]


@pytest.mark.parametrize("kind", ["int32", "uint32", "int64", "uint64", "str"])
@pytest.mark.parametrize("language", ["go", "rust"])
def test_a_reserved_number_of_any_type_is_a_number(ask, language, kind):
    inline = [("algorithm", "str", "token_bucket"), ("key", "str", "k"), ("capacity", kind, "20"),
              ("refill_rate", "str", "1/1h"), ("cost", kind, "3")]

    named, own = ask(language, [[("policy", "str", "per-x"), ("key", kind, "7"),
                                 ("cost", kind, "4")]], [inline])

    assert remaining(named) == 6
    assert (own.vars["policy"], remaining(own)) == (("str", "inline"), 17)


@pytest.mark.parametrize("language", ["go", "rust"])
def test_every_variable_of_an_answer_arrives_as_it_was_meant(ask, language):
    allowed, denied, nothing = ask(
        language, [[("x", "str", "a"), ("cost", "int64", "10")]], [[("x", "str", "a")]],
        [[("policy", "null", ""), ("x", "str", "b"), ("cost", "int64", "11")]])

    with ask.agent.connect() as peer:
        ours = peer.ask(x="a").vars
    types = {bool: "bool", int: "int64", str: "str"}
    assert {name: kind for name, (kind, _) in denied.vars.items()} == \
        {name: types[type(value)] for name, value in ours.items()}
    told = {name: value for name, (_, value) in denied.vars.items()}
    assert (told["allowed"], told["reason"], told["policy"]) == ("false", "limited", "per-x")
    assert (told["limit"], told["remaining"]) == ("10", "0")
    assert 3590 <= int(told["retry_after"]) <= 3600
    assert told["ratelimit_policy"] == ours["ratelimit_policy"]
    assert told["ratelimit"].startswith('"per-x";r=0;t=')
    assert allowed.vars["allowed"] == ("bool", "true")
    assert (allowed.vars["reason"], remaining(allowed)) == (("str", "ok"), 0)
    assert nothing.vars["retry_after"] == nothing.vars["retry_after_ms"] == ("int64", "-1")


@pytest.mark.parametrize("language", ["go", "rust"])
def test_the_messages_of_a_notify_are_one_request(ask, language):
    both, alone = ask(language, [[("x", "str", "a"), ("cost", "int64", "2")],
                                 [("x", "str", "a"), ("cost", "int64", "3")]],
                      [[("x", "str", "a")]])

    assert (remaining(both), remaining(alone)) == (5, 4)


@pytest.mark.parametrize("language", ["go", "rust"])
def test_variables_without_a_value_are_unset(start_agent, clients, language):
    agent = start_agent()  # without a policy file
    done = subprocess.run([clients(language), agent.address], input="message\tcheck\nsend\n",
                          text=True, capture_output=True, timeout=PATIENCE, check=False)

    answer, = parse(done.stdout)
    assert answer.vars["reason"] == ("str", "none")
    assert answer.unset == {"policy", "limit", "remaining", "reset", "ratelimit",
                            "ratelimit_policy"}


def test_the_notify_of_the_go_library_has_no_messages_and_is_answered(ask, clients):
    done = subprocess.run([clients("go"), ask.agent.address], input="nothing\nnothing\n", text=True,
                          capture_output=True, timeout=PATIENCE, check=False)

    assert (done.returncode, done.stdout) == (0, "bye\n"), done.stderr
