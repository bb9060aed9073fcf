"""The HTTP port does not grow with time, whoever asks."""

import pytest

import http_client
from http_client import HttpClient, get_bytes, post_bytes
from processes import wait_until

GROWTH = 2**20


def batches(client, count):
    checks = [{"policy": "wide", "key": f"{number % 10}"} for number in range(100)]
    for _ in range(count):
        assert client.check(checks=checks).status == 200


def test_memory_is_flat_over_a_million_checks(client):
    batches(client, 500)
    before = client.agent.rss_bytes()

    batches(client, 9_500)

    assert client.agent.rss_bytes() - before < GROWTH
    assert client.left("9", "wide") == 10**6 - 10**5


def pipelined(client, data, status, count):
    with client.raw() as raw:
        for _ in range(count // 50):
            raw.send(data * 50)
            assert [raw.read_answer().status for _ in range(50)] == [status] * 50


@pytest.mark.parametrize("data, status", [
    pytest.param(get_bytes("/check?policy=wide&key=x"), 200, id="checks"),
    pytest.param(post_bytes(b'{"policy":"wide","key":5,"cost":-1}'), 400, id="problems"),
    pytest.param(get_bytes("/nope"), 404, id="no such path"),
    pytest.param(get_bytes("/status", host="localhost"), 200, id="pages")])
def test_memory_is_flat_over_requests_of_one_kind(client, data, status):
    pipelined(client, data, status, 1_000)
    before = client.agent.rss_bytes()

    pipelined(client, data, status, 10_000)

    assert client.agent.rss_bytes() - before < GROWTH


@pytest.mark.parametrize("data", [
    pytest.param(b"", id="nothing"), pytest.param(b"x\r\n\r\n", id="a broken line"),
    pytest.param(b"POST /check HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
                 b"Content-Length: 60000\r\n\r\n" + b" " * 300, id="part of a body")])
def test_memory_and_descriptors_are_flat_over_connections(client, data):
    def connect(count):
        for _ in range(count):
            with client.raw(data):
                pass
        assert client.get("/health").status == 200
    descriptors = client.agent.descriptors()
    connect(500)
    before = client.agent.rss_bytes()

    connect(3_000)

    assert client.agent.rss_bytes() - before < GROWTH
    # Nobody of them is waited for until a time is over.
    wait_until(lambda: client.agent.descriptors() <= descriptors + 1, "their ends", 3)


def test_answers_of_redis_to_clients_that_left_leave_nothing(start_agent, redis):
    agent = start_agent("--store-timeout", "5s", http=True, policies=http_client.POLICIES,
                        store=redis.url)
    agent.wait_for_store()
    with HttpClient(agent) as client:
        def leave(count):
            for _ in range(count // 50):
                for _ in range(50):
                    with client.raw(get_bytes("/check?policy=wide&key=x") * 20):
                        pass
                # What many of them at once take is another matter.
                wait_until(lambda: client.get("/status").json["connections"]["http"] == 1,
                           "their ends")
        leave(1_000)
        before = agent.rss_bytes()
        leave(1_000)
        assert agent.rss_bytes() - before < GROWTH
        assert client.check(policy="login", key="x").json["degraded"] is False
