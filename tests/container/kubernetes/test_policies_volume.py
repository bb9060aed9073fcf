"""The ConfigMap of the policies in the layout of a kubelet's volume, which has links that are
swapped.

    policies.json -> ..data/policies.json
    ..data -> ..2026_11_24_10_00_00.1/          a rename over this link is the change
"""

import os
import shutil

import pytest

from agent import bucket, policies_text
from http_client import HttpClient
from manifests import agent_of, environment, render
from processes import wait_until


class Volume:
    """A volume as the kubelet's AtomicWriter writes it."""

    def __init__(self, directory, files):
        self.directory, self.number = directory, 0
        self.directory.mkdir()
        self.write(files)
        for name in files:
            os.symlink(f"..data/{name}", self.directory / name)

    def write(self, files):
        old = self.directory / f"..2026_11_24_10_00_00.{self.number}"
        self.number += 1
        new = self.directory / f"..2026_11_24_10_00_00.{self.number}"
        new.mkdir()
        for name, text in files.items():
            (new / name).write_text(text)
        os.symlink(new.name, self.directory / "..data_tmp")
        os.rename(self.directory / "..data_tmp", self.directory / "..data")
        shutil.rmtree(old, ignore_errors=True)


class Mounted:
    """An agent whose policies are in a mounted folder, as in the manifest."""

    def __init__(self, start_agent, directory, text, *options):
        name = environment(agent_of(render("k8s/base")))["RATELIMIT_POLICIES"].rpartition("/")[2]
        self.name = name
        self.volume = Volume(directory / "volume", {name: text})
        self.agent = start_agent("--policies", self.volume.directory / name, *options,
                                 http=True)

    def change(self, text):
        self.volume.write({self.name: text})


def limits(client):
    return client.check(policy="per-ip", key="192.0.2.1", cost=0).json["limit"]


@pytest.fixture
def mounted(start_agent, tmp_path):
    return Mounted(start_agent, tmp_path, policies_text(per_ip=bucket(10)))


def test_a_change_is_taken(mounted):
    with HttpClient(mounted.agent) as client:
        assert limits(client) == 10
        for capacity in (20, 30, 40):
            mounted.change(policies_text(per_ip=bucket(capacity)))
            wait_until(lambda: limits(client) == capacity, f"a limit of {capacity}")
    assert not mounted.agent.events("reload_failed")


def test_a_broken_change_keeps_what_runs_and_is_seen_and_the_next_is_taken(mounted):
    with HttpClient(mounted.agent) as client:
        mounted.change("{")
        mounted.agent.wait_for_event("reload_failed")
        assert limits(client) == 10
        page = client.get("/metrics").body.decode().splitlines()
        assert "ratelimit_policy_last_reload_successful 0" in page
        mounted.change(policies_text(per_ip=bucket(30)))
        wait_until(lambda: limits(client) == 30, "the good one")
        page = client.get("/metrics").body.decode().splitlines()
        assert "ratelimit_policy_last_reload_successful 1" in page


def test_without_the_watch_sighup_takes_it(start_agent, tmp_path):
    mounted = Mounted(start_agent, tmp_path, policies_text(per_ip=bucket(10)),
                      "--policies-watch", "off")
    with HttpClient(mounted.agent) as client:
        mounted.change(policies_text(per_ip=bucket(50)))
        mounted.agent.signal(1)
        wait_until(lambda: limits(client) == 50, "the reload")
