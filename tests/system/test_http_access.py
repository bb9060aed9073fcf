"""Who may ask what: --admin-listen, --http-token-file and other machines."""

import socket

import pytest

import http_client
from agent import run
from cases import named
from http_client import CAPACITY, HttpClient, assert_problem
from processes import wait_until

ADMIN = ["/metrics", "/", "/status", "/top"]
TOKEN = "s3cret-token"


@pytest.fixture
def token_file(tmp_path):
    file = tmp_path / "token"
    file.write_text(TOKEN + "\nmore\n")
    file.chmod(0o600)
    return file


@pytest.fixture
def guarded(start_agent, token_file):
    agent = start_agent("--http-token-file", token_file, http=True, policies=http_client.POLICIES)
    with HttpClient(agent) as client:
        yield client


def bearer(token, scheme="Bearer"):
    return {"Authorization": f"{scheme} {token}"}


def test_the_agent_can_show_itself_elsewhere(start_agent):
    agent = start_agent("--admin-listen", "127.0.0.1:0", http=True, policies=http_client.POLICIES)
    main, admin = agent.listening("http", 2)
    with HttpClient(agent, main) as asked, HttpClient(agent, admin) as shown:
        for path in ADMIN:
            assert_problem(asked.get(path), 404)
            assert shown.get(path).status == 200
        for path in ("/health", "/ready"):
            assert asked.get(path).status == shown.get(path).status == 200
        assert_problem(shown.check(policy="login", key="x"), 404)
        assert asked.check(policy="login", key="x").left == CAPACITY - 1


@pytest.mark.parametrize("headers", named({
    "none": {}, "empty": {"Authorization": ""}, "no token": {"Authorization": "Bearer"},
    "another": bearer("other"), "a beginning": bearer(TOKEN[:-1]), "longer": bearer(TOKEN + "x"),
    "capitals": bearer(TOKEN.upper()), "two": bearer(TOKEN + ", " + TOKEN),
    "basic": bearer(TOKEN, "Basic"), "the second line": bearer("more"),
    "in another header": {"X-Attr-Authorization": "Bearer " + TOKEN},
}))
def test_without_the_token_nothing_is_shown_or_charged(guarded, headers):
    for path in ("/check?policy=login&key=x", *ADMIN):
        if path == "/":
            continue
        answer = guarded.get(path, headers)
        assert_problem(answer, 401)
        assert answer.headers["www-authenticate"].startswith("Bearer")
    assert_problem(guarded.post({"policy": "login", "key": "x"}, headers=headers), 401)
    # The page is the same for everybody; what it shows is not in it.
    assert [guarded.get(path, headers).status for path in ("/", "/health", "/ready")] == [200] * 3
    assert guarded.get("/check?policy=login&key=x&cost=0", bearer(TOKEN)).left == CAPACITY


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
def test_with_the_token_everything_is(guarded, scheme):
    for path in ADMIN:
        assert guarded.get(path, bearer(TOKEN, scheme)).status == 200
    answer = guarded.post({"policy": "login", "key": "x"}, headers=bearer(TOKEN, scheme))
    assert answer.left == CAPACITY - 1
    assert TOKEN not in guarded.agent.output.read_text()


def other_address():
    """This machine's own, by which it comes to itself as another one would."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(("192.0.2.1", 9))  # nothing is sent
        return probe.getsockname()[0]


def test_keys_are_shown_over_loopback_only(start_agent):
    agent = start_agent(http="0.0.0.0:0", policies=http_client.POLICIES)
    port = agent.http_address.rsplit(":", 1)[1]
    with HttpClient(agent, f"{other_address()}:{port}") as far, \
            HttpClient(agent, f"127.0.0.1:{port}") as near:
        for path in ("/status", "/top"):
            assert_problem(far.get(path), 403)
            assert near.get(path).status == 200
        assert far.get("/metrics").status == 200
        assert far.check(policy="login", key="x").status == 200
    warnings = [event for event in agent.events() if event["level"] == "warn"]
    assert len(warnings) == 1, warnings


def test_with_a_token_other_machines_see_them(start_agent, token_file):
    agent = start_agent("--http-token-file", token_file, http="0.0.0.0:0",
                        policies=http_client.POLICIES)
    port = agent.http_address.rsplit(":", 1)[1]
    with HttpClient(agent, f"{other_address()}:{port}") as far:
        assert far.get("/status", bearer(TOKEN)).status == 200
        assert_problem(far.get("/status"), 401)
    assert not [event for event in agent.events() if event["level"] == "warn"]


@pytest.mark.parametrize("text", ["", "\n", "two words\n", "\nsecond\n"])
def test_a_token_that_is_none_ends_the_start(tmp_path, text):
    file = tmp_path / "token"
    file.write_text(text)
    file.chmod(0o600)

    done = run("--spop-listen", "127.0.0.1:0", "--http-listen", "127.0.0.1:0",
               "--http-token-file", file)

    assert done.returncode in (1, 2)
    assert str(file) in done.stderr


def test_a_missing_token_file_ends_the_start(tmp_path):
    done = run("--spop-listen", "127.0.0.1:0", "--http-listen", "127.0.0.1:0",
               "--http-token-file", tmp_path / "nothing")
    assert done.returncode in (1, 2)
    assert "nothing" in done.stderr


def test_hashed_keys_are_seen_nowhere(start_agent):
    agent = start_agent("--hash-keys", "on", "--log-decisions", "all", http=True,
                        policies=http_client.POLICIES)
    with HttpClient(agent) as client:
        for _ in range(CAPACITY + 2):
            client.check(policy="login", key="personal")
        top = client.get("/top")
        login = next(p for p in top.json["policies"] if p["policy"] == "login")
        assert login["denied"]["total"] == 2
        pages = [client.get(path).body for path in ("/status", "/metrics")]
        assert b"personal" not in b"".join([top.body, *pages])
    wait_until(lambda: len(agent.events("decision")) == CAPACITY + 2, "the decisions")
    assert "personal" not in agent.output.read_text()
