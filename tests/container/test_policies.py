"""Policies in a mounted folder with the layout of a ConfigMap in Kubernetes: the file is a link
through
`..data`, and `..data` is replaced as a whole."""

import os
import signal

import pytest

import spop
from agent import bucket, policies_text
from container import POLICIES
from processes import wait_until
from web_metrics import metric

SRC = spop.ip("192.0.2.1")


class ConfigMap:
    """A folder like the one that the kubelet writes."""

    def __init__(self, folder, text):
        self.folder, self.count = folder, 0
        folder.mkdir()
        self._write(text)
        (folder / "..data").symlink_to(self._name())
        (folder / "policies.json").symlink_to("..data/policies.json")

    def _name(self):
        return f"..2026_11_24_{self.count}"

    def _write(self, text):
        (self.folder / self._name()).mkdir()
        (self.folder / self._name() / "policies.json").write_text(text)

    def change(self, text):
        old = self.folder / self._name()
        self.count += 1
        self._write(text)
        (self.folder / "..data_tmp").symlink_to(self._name())
        os.rename(self.folder / "..data_tmp", self.folder / "..data")
        (old / "policies.json").unlink()
        old.rmdir()


@pytest.fixture(name="config_map")
def make_config_map(tmp_path):
    return ConfigMap(tmp_path / "config", policies_text(p=bucket(10)))


@pytest.fixture(name="container")
def start_with_config_map(start_container, config_map):
    return start_container(mounts=[(config_map.folder, os.path.dirname(POLICIES))])


def limit(container):
    with container.connect() as peer:
        return peer.ask(src=SRC, cost=0).limit


def test_a_swap_is_seen(container, config_map):
    with container.connect() as peer:
        assert peer.ask(src=SRC, cost=4).remaining == 6
        for capacity in (20, 30):
            config_map.change(policies_text(p=bucket(capacity)))

            wait_until(lambda: limit(container) == capacity, "the new policies")  # pylint: disable=W0640
        assert peer.ask(src=SRC, cost=0).remaining == 6


def test_sighup_reads_it_without_a_watch(start_container, config_map):
    container = start_container(mounts=[(config_map.folder, os.path.dirname(POLICIES))],
                                environment={"RATELIMIT_POLICIES_WATCH": "off"})
    config_map.change(policies_text(p=bucket(20)))

    container.signal(signal.SIGHUP)

    assert container.wait_for_event("reloaded")["cause"] == "SIGHUP"
    assert limit(container) == 20


def test_a_broken_file_keeps_what_runs_and_is_counted(container, config_map):
    config_map.change("{")

    assert POLICIES in container.wait_for_event("reload_failed")["reason"]
    assert limit(container) == 10
    assert metric(container.http_address, "ratelimit_policy_reload_errors_total") == 1
    config_map.change(policies_text(p=bucket(20)))
    wait_until(lambda: limit(container) == 20, "the new policies")
