"""--admin-token-file: who has which rights, and what becomes of them when the file changes."""

import os
import socket
import threading

import pytest

import http_client
from agent import run
from http_client import CAPACITY, HttpClient, assert_problem
from processes import PATIENCE, wait_until

PAGES = ["/status", "/top"]
ANN, BOB, ASKER = "ann-s3cret", "bob-s3cret", "asker-s3cret"


def bearer(token):
    return {"Authorization": f"Bearer {token}"}


@pytest.fixture
def admin_file(tmp_path):
    file = tmp_path / "admins"
    file.write_text(f"# operators\nann {ANN}\n\nbob {BOB}\n")
    return file


@pytest.fixture
def asker_file(tmp_path):
    file = tmp_path / "asker"
    file.write_text(ASKER + "\n")
    return file


def replace(file, text):
    """As an editor does: a new file takes the place of the old one."""
    new = file.with_suffix(".new")
    new.write_text(text)
    os.replace(new, file)


class UnixClient(HttpClient):
    def __init__(self, path):
        self.path, self.agent, self.address = path, None, "localhost:80"
        self.connection = http_client.http.client.HTTPConnection("localhost", 80, PATIENCE)
        self.connection.sock = socket.socket(socket.AF_UNIX)
        self.connection.sock.settimeout(PATIENCE)
        self.connection.sock.connect(str(path))


def test_the_admins_tokens_open_everything_and_the_askers_only_what_it_asks(
        start_agent, admin_file, asker_file):
    agent = start_agent("--admin-token-file", admin_file, "--http-token-file", asker_file,
                        http=True, policies=http_client.POLICIES)
    with HttpClient(agent) as client:
        for token in (ANN, BOB):
            for path in (*PAGES, "/metrics", "/check?policy=login&key=x&cost=0"):
                assert client.get(path, bearer(token)).status == 200
        for path in PAGES:
            assert_problem(client.get(path, bearer(ASKER)), 401)
            assert_problem(client.get(path), 401)
        for path in ("/metrics", "/check?policy=login&key=x&cost=0"):
            assert client.get(path, bearer(ASKER)).status == 200
            assert_problem(client.get(path), 401)
            assert_problem(client.get(path, bearer("ann")), 401)
        assert client.get("/check?policy=login&key=x&cost=0", bearer(ANN)).left == CAPACITY
    text = agent.output.read_text()
    assert not any(secret in text for secret in (ANN, BOB, ASKER))


def test_without_an_askers_token_everybody_may_ask_and_no_one_look(start_agent, admin_file):
    agent = start_agent("--admin-token-file", admin_file, http=True, policies=http_client.POLICIES)
    with HttpClient(agent) as client:
        for path in ("/metrics", "/check?policy=login&key=x"):
            assert client.get(path).status == 200
        for path in PAGES:
            assert_problem(client.get(path), 401)
            assert client.get(path, bearer(ANN)).status == 200


def test_unix_sockets_of_the_admin_need_no_token_those_of_http_do(
        start_agent, admin_file, asker_file, tmp_path):
    agent = start_agent("--admin-token-file", admin_file, "--http-token-file", asker_file,
                        "--admin-listen", f"unix:{tmp_path}/admin.sock",
                        http=f"unix:{tmp_path}/http.sock", policies=http_client.POLICIES)
    agent.listening("http", 2)
    with UnixClient(tmp_path / "admin.sock") as client:
        for path in (*PAGES, "/metrics"):
            assert client.get(path).status == 200
    with UnixClient(tmp_path / "http.sock") as client:
        assert_problem(client.get("/check?policy=login&key=x"), 401)
        assert_problem(client.get("/status"), 404)


def test_a_unix_socket_of_http_shows_the_pages_while_there_is_no_token(
        start_agent, admin_file, tmp_path):
    open_one = start_agent(http=f"unix:{tmp_path}/open.sock")
    start_agent("--admin-token-file", admin_file, http=f"unix:{tmp_path}/closed.sock")
    with UnixClient(tmp_path / "open.sock") as client:
        assert client.get("/status").status == 200
    with UnixClient(tmp_path / "closed.sock") as client:
        assert_problem(client.get("/status"), 401)
    assert open_one.is_running()


def test_tokens_are_read_again_when_their_files_change(start_agent, admin_file, asker_file):
    agent = start_agent("--admin-token-file", admin_file, "--http-token-file", asker_file,
                        http=True, policies=http_client.POLICIES)
    with HttpClient(agent) as client:
        def status(path, token):
            return client.get(path, bearer(token)).status

        replace(admin_file, f"ann {ANN}\nzoe zoe-s3cret\n")
        assert agent.wait_for_event("admin_tokens_read")["tokens"] == 2
        assert [status("/status", token) for token in (ANN, BOB, "zoe-s3cret")] == [200, 401, 200]

        replace(admin_file, "ann\n")
        assert "line 1" in agent.wait_for_event("admin_tokens_unread")["reason"]
        assert status("/status", ANN) == 200
        admin_file.unlink()
        agent.wait_for_event("admin_tokens_unread", 2)
        assert status("/status", ANN) == 200

        admin_file.write_text("# nobody\n")
        agent.wait_for_event("admin_tokens_none")
        assert [status("/status", token) for token in (ANN, ASKER)] == [401, 401]

        replace(asker_file, "another\n")
        agent.wait_for_event("http_token_read")
        assert [status("/metrics", token) for token in (ASKER, "another")] == [401, 200]
        replace(asker_file, "\n")
        agent.wait_for_event("http_token_unread")
        assert status("/metrics", "another") == 200


@pytest.mark.parametrize("text", ["", "\n", "# ann s3cret\n", "ann\n", "ann two words\n",
                                  "ann t\nbob t\n", None])
def test_a_file_without_tokens_or_with_a_bad_line_ends_the_start(tmp_path, text):
    file = tmp_path / "admins"
    if text is not None:
        file.write_text(text)

    done = run("--spop-listen", "127.0.0.1:0", "--http-listen", "127.0.0.1:0",
               "--admin-token-file", file)

    assert done.returncode == 2
    assert "--admin-token-file" in done.stderr and str(file) in done.stderr
    assert "s3cret" not in done.stderr and len(done.stderr.splitlines()) == 1


def test_a_pipe_that_nobody_writes_to_does_not_stop_the_start_for_ever(tmp_path):
    os.mkfifo(tmp_path / "pipe")

    done = run("serve", "--spop-listen", "off", "--http-listen", "127.0.0.1:0",
               "--admin-token-file", tmp_path / "pipe")

    assert done.returncode == 2
    assert f"--admin-token-file: {tmp_path}/pipe: it is no regular file" in done.stderr


def test_a_token_may_come_through_a_pipe(start_agent, tmp_path):
    os.mkfifo(tmp_path / "pipe")

    threading.Thread(target=(tmp_path / "pipe").write_text, args=[f"ann {ANN}\n"],
                     daemon=True).start()
    agent = start_agent("--admin-token-file", tmp_path / "pipe", http=True)
    with HttpClient(agent) as client:
        assert client.get("/status", bearer(ANN)).status == 200


@pytest.mark.parametrize("command", ["check-config", "probe", "version", "replay"])
def test_every_command_knows_the_variables_of_the_operator(command, tmp_path):
    env = {"RATELIMIT_AGENT": "http://127.0.0.1:1", "RATELIMIT_TOKEN_FILE": str(tmp_path / "none")}

    done = run(command, env=env)

    assert "RATELIMIT_" not in done.stderr
    assert done.returncode == (1 if command == "probe" else 0)
