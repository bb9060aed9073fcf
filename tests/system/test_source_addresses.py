"""In `src` a port and a zone are cut off, whoever sends it, and nowhere else."""

import pytest

import spop
from agent import bucket, policies_text
from cases import named
from http_client import HttpClient, Raw
from replay import request, run

CAPACITY = 100
POLICIES = policies_text(
    per_ip=bucket(CAPACITY), per_server=bucket(CAPACITY, key=["server"]),
    office={**bucket(CAPACITY, key=[]), "match": {"src": "203.0.113.0/24"}})
SPELLINGS = named({
    "a port": ("203.0.113.9:4711", "203.0.113.9"),
    "IPv6 and a port": ("[2001:DB8::1]:443", "2001:db8::1"),
    "brackets": ("[2001:db8::1]", "2001:db8::1"),
    "a zone": ("fe80::1%eth0", "fe80::1"),
    "all of it": ("[fe80::1%eth0]:443", "fe80::1"),
})


@pytest.fixture
def agent(start_agent):
    return start_agent(http=True, policies=POLICIES)


def left(agent, policy, key):
    with agent.connect() as peer:
        return peer.ask(policy=policy, key=key, cost=0).remaining


def over_spop(agent, text):
    with agent.connect() as peer:
        peer.ask(src=text, server=text)


def by_post(agent, text):
    with HttpClient(agent) as client:
        assert client.check(attributes={"src": text, "server": text}).status == 200


def by_get(agent, text):
    with HttpClient(agent) as client:
        assert client.check_get(src=text, headers={"X-Attr-Server": text}).status == 200


def by_key(agent, text):
    with HttpClient(agent) as client:
        assert client.check(policy="per-ip,per-server", key=text).status == 200


def by_auth(agent, text):
    data = (f"GET /auth?from=nginx&header=server HTTP/1.1\r\nHost: a\r\nX-Original-Method: GET\r\n"
            f"X-Original-Host: a\r\nX-Original-URI: /\r\nX-Real-IP: {text}\r\nServer: {text}\r\n\r\n")
    with Raw(agent.http_address, data.encode()) as raw:
        assert raw.read_answer().status == 200


@pytest.mark.parametrize("text, address", SPELLINGS)
@pytest.mark.parametrize("ask", [over_spop, by_post, by_get, by_key, by_auth])
def test_a_spelling_is_the_address(agent, ask, text, address):
    ask(agent, text)
    ask(agent, address)

    assert left(agent, "per-ip", spop.ip(address)) == CAPACITY - 2
    assert left(agent, "per-server", text) == CAPACITY - 1
    assert left(agent, "per-server", address) == CAPACITY - 1


def test_a_network_fits_it(agent):
    over_spop(agent, "203.0.113.9:1")
    over_spop(agent, "203.0.114.9:1")

    with agent.connect() as peer:
        assert peer.ask(policy="office", key="x", cost=0, src="203.0.113.9").limit == CAPACITY
        assert peer.ask(src="203.0.113.7:2").remaining == CAPACITY - 2


@pytest.mark.parametrize("text, address", SPELLINGS)
def test_replay_takes_it_so(tmp_path, text, address):
    done = run(tmp_path, policies_text(per_ip=bucket(1)),
               [request(0, src=text), request(0, src=address)]).good()

    assert done.allowed == [True, False]


def test_two_agents_and_redis_agree(start_agent, redis):
    agents = [start_agent(http=True, policies=POLICIES, store=redis.url).wait_for_store()
              for _ in range(2)]
    for agent, text in zip(agents, ("203.0.113.9:4711", "203.0.113.9")):
        by_post(agent, text)
    assert [left(agent, "per-ip", "203.0.113.9:5") for agent in agents] == [CAPACITY - 2] * 2
