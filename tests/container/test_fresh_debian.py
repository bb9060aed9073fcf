"""The README's first command on a Debian 12 and 13 on which nothing was installed yet: from the source to requests that
a real HAProxy limits. test_systemd_pid_1.py does the same from the package, test_image.py and test_compose.py from the
image, kubernetes/test_pods.py from the manifests, and kubernetes/test_chart.py says that the chart makes the same."""

import re
import subprocess

import pytest

from engine import BUILD_SECONDS, SLIM
from processes import ROOT

# The shell copies the tree, because the demo builds in it.
DEMO = """
mkdir /source
tar -C /tree --exclude ./build --exclude ./.git -c . | tar -C /source -x
/source/scripts/demo
"""

pytestmark = [pytest.mark.long, pytest.mark.timeout(3600)]


@pytest.mark.parametrize("suite", ["bookworm", "trixie"])
def test_the_demo_limits_requests(engine, suite):
    file, base = ROOT / f"build/containers/{suite}-slim.tar", f"localhost/fresh:{suite}"
    if not file.exists():
        subprocess.run([ROOT / "scripts/lib/debian-tree", suite, file, "--variant=minbase", *SLIM], check=True)
    engine.run("import", file, base, timeout=BUILD_SECONDS)

    said = engine.run("run", "--rm", "--network=host", "--no-healthcheck", "-v", f"{ROOT}:/tree:ro", base,
                      "bash", "-euo", "pipefail", "-c", DEMO, timeout=BUILD_SECONDS).stdout

    statuses = [int(status) for status in re.findall(r"^ +\d+ x (\d+)", said, re.MULTILINE)]
    assert statuses[:2] == [200, 429] and statuses[-1] == 200, said
