"""Runs schema/check.mjs, with the packages from npm that its lock file names."""

import json
import shutil
import subprocess
from pathlib import Path

from processes import ROOT

SOURCE = Path(__file__).resolve().parent / "schema"
INSTALLED = ROOT / "build/schema-check"


def install():
    """Installs the packages once, and again when the lock file has changed."""
    lock = (SOURCE / "package-lock.json").read_bytes()
    done = INSTALLED / "installed"
    if not (done.exists() and done.read_bytes() == lock):
        shutil.rmtree(INSTALLED, ignore_errors=True)
        INSTALLED.mkdir(parents=True)
        for name in ("package.json", "package-lock.json"):
            shutil.copy(SOURCE / name, INSTALLED)
        # npm tries again by itself when the registry does not answer for a moment.
        subprocess.run(["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund",
                        "--fetch-retries=5"], check=True, cwd=INSTALLED, timeout=300)
        done.write_bytes(lock)
    shutil.copy(SOURCE / "check.mjs", INSTALLED)


def faults(objects):
    done = subprocess.run(["node", INSTALLED / "check.mjs"], input=json.dumps(objects), text=True,
                          capture_output=True, timeout=60, check=True)
    return json.loads(done.stdout)
