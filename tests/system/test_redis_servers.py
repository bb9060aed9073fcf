"""Servers that can't keep balances as they have to be kept are refused by name, with what to do."""

import pytest

from fake_redis import StandIn

DRAGONFLY = ["redis_version:7.4.0", "dragonfly_version:df-v1.27.1", "role:master"]
GARNET = ["garnet_version:1.0.60", "redis_version:7.4.3", "role:master"]
NO_LUA = b"-ERR This instance has Lua scripting support disabled\r\n"


@pytest.fixture(name="stand_in")
def make_stand_in():
    made = []

    def make(*arguments):
        made.append(StandIn(*arguments))
        return made[-1]

    yield make
    for server in made:
        server.finish()


@pytest.mark.parametrize("server, says", [
    pytest.param((["redis_version:6.0.16", "redis_mode:standalone", "role:master"],),
                 ["Redis before 6.2", "upgrade"], id="redis-6.0"),
    pytest.param((["redis_version:5.0.14"],), ["Redis before 6.2", "upgrade"], id="redis-5"),
    pytest.param((["redis_version:7.2.4", "server_name:valkey", "valkey_version:7.1.0"],),
                 ["Valkey before 7.2", "upgrade"], id="valkey-7.1"),
    pytest.param((["redis_version:7.0.15", "role:slave"],), ["replica"], id="replica"),
    pytest.param((DRAGONFLY, {"default_lua_flags": "disable-atomicity"}),
                 ["Dragonfly", "--default_lua_flags"], id="dragonfly-not-atomic"),
    pytest.param((GARNET, {"lua-transaction-mode": "no"}),
                 ["Garnet", "--lua-transaction-mode"], id="garnet-not-atomic"),
    pytest.param((GARNET, {}, NO_LUA), ["Garnet runs no Lua scripts", "--lua"], id="garnet-no-lua"),
    pytest.param((["redis_version:7.0.15"], {}, b"-ERR unknown command 'SCRIPT'\r\n"),
                 ["the server runs no Lua scripts", "unknown command"], id="no-lua"),
])
def test_a_server_that_cant_keep_the_promise_is_refused(start_agent, stand_in, server, says):
    agent = start_agent(store=stand_in(*server).url)

    line = agent.wait_for_event("store_down")

    assert all(text in line["reason"] for text in says)
    with agent.connect() as peer:
        assert peer.ask(src="x").allowed
    assert not agent.events("store_up")


@pytest.mark.parametrize("server", [
    pytest.param((["redis_version:6.2.0", "role:master"],), id="redis-6.2"),
    pytest.param((["redis_version:7.2.4", "valkey_version:7.2.5"],), id="valkey-7.2"),
    pytest.param((DRAGONFLY, {"default_lua_flags": ""}), id="dragonfly"),
    pytest.param((DRAGONFLY,), id="dragonfly-shows-no-setting"),
    pytest.param((GARNET, {"lua-transaction-mode": "yes"}), id="garnet"),
    pytest.param((["a:b"],), id="says-nothing"),
])
def test_other_servers_are_taken(start_agent, stand_in, server):
    start_agent("--store-timeout", "1s", store=stand_in(*server).url).wait_for_event("store_up")
