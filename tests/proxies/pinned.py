"""Installs what a list of pinned packages names into a folder of the tests' own below build/."""

import shutil
import subprocess
import sys
import time

from processes import ROOT

HERE = ROOT / "tests/proxies"
ATTEMPTS = 3


def run_or_fail(command, seconds, **options):
    """Runs the command; what it wrote is in the error when it fails or takes longer."""
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True,
                          timeout=seconds, check=False, **options)
    assert done.returncode == 0, f"{command} failed:\n{done.stdout}{done.stderr}"
    return done.stdout


def download(command, seconds, **options):
    """Runs a command that asks a registry, and again, twice, when the command fails."""
    for attempt in range(1, ATTEMPTS):
        try:
            return run_or_fail(command, seconds, **options)
        except (AssertionError, subprocess.TimeoutExpired):
            time.sleep(5 * attempt)
    return run_or_fail(command, seconds, **options)


def python_packages(name, lists=HERE):
    """The programs of NAME-requirements.txt, which is in the folder `lists`, in build/NAME/bin. A folder
    that has these versions already is kept."""
    wanted = lists / f"{name}-requirements.txt"
    folder = ROOT / "build" / name
    installed = folder / "installed.txt"  # written last: a folder with it is complete
    if installed.exists() and installed.read_text() == wanted.read_text():
        return folder / "bin"
    shutil.rmtree(folder, ignore_errors=True)
    run_or_fail([sys.executable, "-m", "venv", folder], 120)
    download([folder / "bin/pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps",
              "--only-binary", ":all:", "--requirement", wanted], 300)
    shutil.copy(wanted, installed)
    return folder / "bin"


def tool(name, purpose):
    """The path of a program that has to be installed already. Without it nothing would be tested,
    so that is a failure and never a skip."""
    found = shutil.which(name)
    assert found, f"{name} is not installed; {purpose} can't be built without it"
    return found
