"""The image's HEALTHCHECK, as the image has it and executed in the container."""

import signal

import pytest

from agent import bucket, policies_text


@pytest.fixture(name="command", scope="module")
def read_command(image):
    return image.healthcheck()


def is_healthy(container, command):
    done = container.execute(command)
    assert done.returncode in (0, 1), done.stderr
    assert (done.returncode == 0) == (done.stderr == ""), done.stderr
    return done.returncode == 0


def test_it_asks_often_enough_and_gives_the_agent_its_time(image):
    second = 10**9
    check = image.image()["Healthcheck"]

    # The probe itself waits for 2 s.
    assert 2 * second < check["Timeout"] <= check["Interval"] <= 10 * second
    assert check["Retries"] >= 2


@pytest.mark.parametrize("listen", ["127.0.0.1:{port}", "0.0.0.0:{port}", "[::]:{port}",
                                    "127.0.0.1:{port},unix:/socket/spop", "unix:/socket/spop"])
def test_it_asks_where_the_agent_was_told_to_listen(
        start_container, command, tmp_path, fixed_port, listen):
    folder = tmp_path / "socket"
    folder.mkdir()
    folder.chmod(0o777)
    container = start_container(
        environment={"RATELIMIT_SPOP_LISTEN": listen.format(port=fixed_port)},
        options=["-v", f"{folder}:/socket"])

    assert is_healthy(container, command)


def test_an_agent_that_hangs_is_not_and_is_again_when_it_goes_on(
        start_container, command, at_fixed_port):
    container = start_container(environment=at_fixed_port)
    assert is_healthy(container, command)

    container.signal(signal.SIGSTOP)
    assert not is_healthy(container, command)

    container.signal(signal.SIGCONT)
    assert is_healthy(container, command)


def test_an_agent_that_drains_is_not(start_container, command, at_fixed_port):
    container = start_container(environment={**at_fixed_port, "RATELIMIT_DRAIN_DELAY": "1h"})
    assert is_healthy(container, command)

    container.signal(signal.SIGTERM)
    container.wait_for_event("draining")

    assert not is_healthy(container, command)


def test_a_container_that_has_ended_is_not(start_container, command, at_fixed_port):
    container = start_container(environment=at_fixed_port)
    assert is_healthy(container, command)

    assert container.stop() == 0

    assert container.execute(command).returncode != 0


def test_redis_has_no_say_in_it(start_container, redis, command, at_fixed_port):
    container = start_container(environment={**at_fixed_port, "RATELIMIT_STORE": redis.url},
                                policies=policies_text(p=bucket(5)))
    container.wait_for_store()
    assert is_healthy(container, command)

    redis.signal(signal.SIGSTOP)
    assert is_healthy(container, command)
    with container.connect() as peer:
        assert peer.ask(src="x").degraded
    redis.signal(signal.SIGCONT)

    redis.kill()
    assert is_healthy(container, command)
    with container.connect() as peer:
        assert peer.ask(src="x").degraded
