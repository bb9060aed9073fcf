"""--state-file: what operators changed, kept for an agent that starts."""

import stat

import many_records
from agent import run
from processes import wait_until
from test_admin_tokens import admin_file  # pylint: disable=unused-import
from test_exceptions_shared import await_ids, ids, start  # pylint: disable=unused-import


def test_the_state_file_keeps_exceptions_of_an_agent_alone(
        start, tmp_path):  # pylint: disable=redefined-outer-name
    path = tmp_path / "state"
    with start(None, "--state-file", path) as client:
        kept = client.set(None, {"blocked": True}, src="192.0.2.1")
        wait_until(lambda: b"192.0.2.1" in path.read_bytes(), "the file")
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        gone = client.set(None, {"blocked": True}, src="192.0.2.2")
        client.remove(gone)
        client.agent.stop()

    with start(None, "--state-file", path) as client:
        assert ids(client) == {kept["id"]}
        assert client.reason(src="192.0.2.1") == "blocked"


def test_the_state_file_holds_until_redis_answers_and_then_gives_way(
        start, tmp_path, redis):  # pylint: disable=redefined-outer-name
    path = tmp_path / "state"
    with start(redis.url, "--state-file", path) as client:
        client.agent.wait_for_store()
        kept = client.set(None, {"blocked": True}, src="192.0.2.1")
        wait_until(lambda: b"192.0.2.1" in path.read_bytes(), "the file")
        client.agent.stop()
    redis.kill()

    with start(redis.url, "--state-file", path) as client:
        assert client.reason(src="192.0.2.1") == "blocked"
        redis.start()  # it has nothing at all: the file fills it
        wait_until(lambda: redis.ask("HLEN", "rl:{records}:values") == 1, "the record")
        client.agent.stop()

    with start(redis.url) as other:
        await_ids([other], {kept["id"]})
        other.remove(kept)
        newer = other.set(None, {"blocked": True}, src="192.0.2.9")
        with start(redis.url, "--state-file", path) as client:
            line = client.agent.wait_for_event("state_file_outdated")
            assert line["id"] == kept["id"]
            await_ids([client, other], {newer["id"]})


def test_a_damaged_state_file_is_set_aside(
        start, tmp_path):  # pylint: disable=redefined-outer-name
    path = tmp_path / "state"
    path.write_bytes(b"ratelimit-spoa state 1\nrecord 1 1 1 0 0\n")

    with start(None, "--state-file", path) as client:
        line = client.agent.wait_for_event("state_file_unusable")
        assert line["moved_to"] == f"{path}.unusable"
        assert ids(client) == set()
    assert (tmp_path / "state.unusable").read_bytes().startswith(b"ratelimit-spoa")


def test_what_has_no_room_is_counted_and_a_copy_is_set_aside(
        start, tmp_path):  # pylint: disable=redefined-outer-name
    path = tmp_path / "state"
    text = many_records.state_file(many_records.blocks(100_002))
    path.write_text(text)

    with start(None, "--state-file", path) as client:
        line = client.agent.wait_for_event("state_file_unusable")
        assert line["reason"] == "2 of its 100002 records have no room here"
        assert line["moved_to"] == f"{path}.unusable"
        client.agent.wait_for_event("state_file_read", records=100_000)
        assert client.request("GET", "/exceptions").json["count"] == 100_000
    assert (tmp_path / "state.unusable").read_text() == text


def test_a_second_agent_with_the_same_state_file_does_not_start(
        start, tmp_path):  # pylint: disable=redefined-outer-name
    with start(None, "--state-file", tmp_path / "state"):
        done = run("--spop-listen", "off", "--http-listen", "127.0.0.1:0", "--state-file",
                          str(tmp_path / "state"))
        assert done.returncode == 1
        assert "another agent has it" in done.stderr
