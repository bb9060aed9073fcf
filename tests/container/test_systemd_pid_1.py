"""docs/install.md from its first to its last command on Debian 12 and 13, with systemd as PID 1: a container of each
builds the package, and another one, which has systemd and no network, installs it."""

import re
import subprocess

import pytest

from engine import BUILD_SECONDS
from processes import PATIENCE, ROOT, wait_until

BLOCKS = re.findall(r"^```sh\n(.*?)^```", (ROOT / "docs/install.md").read_text(), re.MULTILINE | re.DOTALL)
BUILD, INSTALL, PROBE, FIRST_FILE, SECOND_FILE, RELOAD, SEE, PURGE = BLOCKS
COUNT, TOP = SEE.strip().splitlines()
# What the package needs is there, since the container has no network to install it from.
LIBRARIES = {"bookworm": ["libhiredis0.14", "libev4"],
             "trixie": ["libhiredis1.1.0", "libev4t64", "libssl3t64"]}
INCLUDED = ["libcjson1", "libsodium23", "zlib1g", "systemd", "systemd-sysv", "dbus", "haproxy", "curl", "procps"]
# The application, where the shipped haproxy.cfg expects it.
ORIGIN = """
cat >/tmp/origin.cfg <<'END'
defaults
    mode http
    timeout client 30s
    timeout connect 2s
    timeout server 30s
frontend origin
    bind 127.0.0.1:8000
    http-request return status 200
END
haproxy -D -f /tmp/origin.cfg >/tmp/origin.log 2>&1
"""
POLICIES = "/etc/ratelimit-spoa/policies.json"
ONE_AN_HOUR = f"""
cat >{POLICIES} <<'END'
{{"policies": {{"per-ip": {{"key": ["src"], "algorithm": "token_bucket", "capacity": 1, "refill_rate": "1/1h"}}}}}}
END
"""
# systemd 257 wants the tree of the second version of cgroups.
CGROUPS = {"bookworm": "/sys/fs/cgroup/systemd:/sys/fs/cgroup/systemd:rw",
           "trixie": "/sys/fs/cgroup/unified:/sys/fs/cgroup:rw"}

pytestmark = [pytest.mark.long, pytest.mark.timeout(3600)]


@pytest.fixture(name="suite", params=LIBRARIES)
def each_suite(request):
    return request.param


@pytest.fixture(name="base")
def import_debian(suite, engine):
    """The Debian with systemd, which is unpacked once and kept."""
    file, name = ROOT / f"build/containers/systemd-{suite}.tar", f"localhost/systemd:{suite}"
    if not file.exists():
        subprocess.run([ROOT / "scripts/lib/debian-tree", suite, file, "--variant=minbase",
                        "--include=" + ",".join([*LIBRARIES[suite], *INCLUDED])], check=True)
    engine.run("import", file, name, timeout=BUILD_SECONDS)
    return name


@pytest.fixture(name="packages")
def build_packages(base, engine, tmp_path):
    assert BUILD == "scripts/package\n"
    folder = tmp_path / "packages"
    folder.mkdir()
    engine.run("run", "--rm", "--network=host", "--no-healthcheck", "-v", f"{ROOT}:/tree:ro",
               "-v", f"{folder}:/packages", "-e", "DEB_BUILD_OPTIONS=nocheck parallel=2", base,
               "/tree/scripts/package", "/packages", timeout=BUILD_SECONDS)
    return folder


class Machine:
    """A container with systemd as PID 1."""

    def __init__(self, engine, suite, base, packages):
        self.engine, self.name = engine, f"systemd-{suite}"
        engine.run("run", "-d", "--name", self.name, "--no-healthcheck", "--systemd=always",
                   "--network=none", "--privileged", "-v", CGROUPS[suite],
                   "-v", f"{packages}:/tree/build/packages:ro", base, "/sbin/init")
        # `degraded` is a machine that could not load modules of the kernel.
        wait_until(lambda: self.type("systemctl is-system-running", check=False).strip() in
                   ("running", "degraded"), "the end of the start", 4 * PATIENCE)

    def type(self, commands, check=True):
        """Runs commands in a shell, and returns what they print."""
        done = self.engine.run("exec", "--workdir=/tree", "-e", "DEBIAN_FRONTEND=noninteractive", self.name,
                               "bash", "-euo", "pipefail", "-c", commands, timeout=300, check=False)
        assert done.returncode == 0 or not check, \
            f"{commands}\n{done.stdout}{done.stderr}\n{self.journal()}"
        return done.stdout

    def journal(self):
        return self.engine.run("exec", self.name, "journalctl", "--no-pager", "--lines=40",
                               check=False).stdout

    def statuses(self):
        """How many of 30 requests got which status."""
        return dict(line.split()[::-1] for line in self.type(COUNT).splitlines())

    def pid(self):
        return self.type("systemctl show --property MainPID --value ratelimit-spoa").strip()

    def is_active(self):
        return self.type("systemctl is-active ratelimit-spoa", check=False).strip() == "active"

    def finish(self):
        self.engine.run("rm", "-f", "-t", "0", self.name, check=False)


@pytest.fixture(name="machine")
def start_machine(engine, suite, base, packages, started):
    machine = Machine(engine, suite, base, packages)
    started.append(machine)
    return machine


def test_whoever_follows_the_page_has_requests_limited_until_the_purge(machine):
    machine.type(ORIGIN + INSTALL)
    assert "the agent answers" in machine.type(PROBE)
    assert machine.is_active()
    machine.type(FIRST_FILE + SECOND_FILE + RELOAD)

    # A machine that stalls for 50 ms lets requests pass, so the same is typed until it shows 429.
    wait_until(lambda: set(machine.statuses()) == {"200", "429"}, "a limited request", 4 * PATIENCE)
    assert re.search(r"per-ip.*127\.0\.0\.1", machine.type(TOP))

    # A file with a fault is refused, and the service goes on. A good one is taken.
    machine.type(f"cp {POLICIES} /tmp/good; echo '{{' >{POLICIES}; ! systemctl reload ratelimit-spoa; "
                 f"cp /tmp/good {POLICIES}")
    assert machine.is_active()
    machine.type(ONE_AN_HOUR + "systemctl reload ratelimit-spoa")
    wait_until(lambda: set(machine.statuses()) == {"429"}, "the new policy", 4 * PATIENCE)

    # The same package once more is an upgrade to the service.
    for end in ("systemctl restart ratelimit-spoa", "dpkg -i build/packages/ratelimit-spoa_*.deb"):
        before = machine.pid()
        machine.type(end)
        assert machine.pid() not in (before, "0")
        wait_until(lambda: set(machine.statuses()) == {"429"}, "the balance of before", 4 * PATIENCE)
    before = machine.pid()
    machine.type("systemctl kill --signal KILL ratelimit-spoa")
    wait_until(lambda: machine.pid() not in (before, "0") and machine.is_active(), "another start")
    wait_until(lambda: "429" in machine.statuses(), "a limit after a crash", 4 * PATIENCE)

    machine.type(PURGE)
    left = "ls -d /etc/ratelimit-spoa /var/lib/ratelimit-spoa /run/ratelimit-spoa /usr/bin/ratelimit-spoa"
    assert machine.type(left, check=False) == ""
    assert machine.type("systemctl list-unit-files 'ratelimit-spoa*' --no-legend", check=False) == ""
    assert machine.type("getent passwd ratelimit-spoa", check=False) == ""
    assert "ratelimit" not in machine.type("ls -l /proc/[0-9]*/exe", check=False)
    # HAProxy goes on, without limits.
    assert machine.statuses() == {"200": "30"}
