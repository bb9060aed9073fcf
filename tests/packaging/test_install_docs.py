"""Types the commands of docs/install.md in a Debian that has never seen the agent."""

import re
import shutil

from processes import ROOT

PAGE = (ROOT / "docs/install.md").read_text()
BLOCKS = re.findall(r"^```sh\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
BUILD, INSTALL, PROBE, FIRST_FILE, SECOND_FILE, RELOAD, SEE, PURGE = BLOCKS

# In the place of systemd, which does not run in there: it starts what the units start.
SYSTEMCTL = """#!/bin/sh
[ "$*" != "reload-or-restart haproxy" ] || haproxy -D -f /etc/haproxy/haproxy.cfg >/tmp/haproxy.log 2>&1
"""
START = """
set -a; . /etc/default/ratelimit-spoa; set +a
setpriv --reuid ratelimit-spoa --regid ratelimit-spoa --clear-groups {command} 2>/tmp/agent.log &
until ratelimit-spoa probe 2>/dev/null; do
    kill -0 $! || {{ cat /tmp/agent.log; exit 1; }}
    sleep 0.1
done
"""
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
# A machine that stalls for 50 ms lets requests pass. Then the same is typed again.
AGAIN = """
for _ in $(seq 20); do
    {see} >/tmp/seen
    ! grep -q 429 /tmp/seen || break
done
cat /tmp/seen
"""


def test_whoever_follows_the_page_has_a_request_limited(packages, spare_debian):
    assert BUILD == "scripts/package\n"
    folder = spare_debian.path("/tree/build/packages")
    folder.mkdir(parents=True)
    shutil.copy(packages["ratelimit-spoa"], folder)
    systemctl = spare_debian.path("/usr/local/bin/systemctl")
    systemctl.write_text(SYSTEMCTL)
    systemctl.chmod(0o755)
    count, top = SEE.strip().splitlines()

    script = "\n".join([
        "set -euo pipefail; cd /tree; PATH=/usr/local/bin:$PATH", ORIGIN, INSTALL,
        START.format(command="/usr/bin/ratelimit-spoa serve"), PROBE, FIRST_FILE, SECOND_FILE,
        RELOAD, AGAIN.format(see=count), top, PURGE])
    said = spare_debian.run("bash", "-c", script, timeout=200)

    assert "the agent answers" in said
    seen = dict(reversed(line.split()) for line in re.findall(r"^ +\d+ \d{3}$", said, re.MULTILINE))
    assert set(seen) == {"200", "429"}
    assert sum(map(int, seen.values())) == 30
    assert re.search(r"per-ip.*127\.0\.0\.1", said)
    assert not spare_debian.path("/etc/ratelimit-spoa").exists()
    assert spare_debian.path("/etc/haproxy/ratelimit-spoe.conf").exists()


def test_the_unit_starts_what_the_test_starts():
    """The test of the page has no systemd."""
    unit = (ROOT / "packaging/systemd/ratelimit-spoa.service").read_text()
    assert "\nExecStart=/usr/bin/ratelimit-spoa serve\n" in unit
    assert "\nUser=ratelimit-spoa\n" in unit
