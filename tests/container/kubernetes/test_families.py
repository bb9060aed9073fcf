"""Clusters of IPv4, of IPv6, and of both: what overlays/service says runs in each."""

import pytest

from agents_by_dns import Setting

CAPACITY = 20


@pytest.mark.parametrize("families", [(4,), (6,), (4, 6)], ids=["IPv4", "IPv6", "both"])
def test_haproxy_finds_its_agents_and_limits_clients(
        tmp_path, started, server_trees, families):  # pylint: disable=unused-argument
    setting = Setting(tmp_path, started, families)
    agents = [setting.start_agent(), setting.start_agent()]
    setting.names.write_agents(agents)
    setting.start_haproxy()
    setting.wait_until_up(2)

    addresses = setting.network.addresses_of(setting.haproxy_address)
    assert len(addresses) == len(families)
    for address in addresses:
        got = setting.statuses(address, 200)
        assert len(got) == 200 and all(left.startswith('"per-ip";r=') for _, left in got), got
        # 5 more come a second, and curl takes much less than ten.
        assert CAPACITY <= [status for status, _ in got].count("200") < CAPACITY + 50, got
