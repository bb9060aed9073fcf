"""Seeds faults into copies of the code, and says which of them went unnoticed."""

import concurrent.futures
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]


def copy_with_fault(folder, directory, fault):
    """Copies ROOT/`folder` into `directory`. `fault` is None, or a file of the folder, a text that
    stands there once, and the wrong text that takes its place."""
    copy = directory / pathlib.Path(folder).name
    shutil.copytree(ROOT / folder, copy)
    if fault:
        name, right, wrong = fault
        text = (copy / name).read_text()
        if text.count(right) != 1:
            raise ValueError(f"{name} has {text.count(right)} times: {right}")
        (copy / name).write_text(text.replace(right, wrong))
    return copy


def passes(binary, **environment):
    return subprocess.run([binary], env={**os.environ, **environment}, check=False, timeout=300,
                          stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode == 0


def _judge(fault, is_noticed):
    name = f"{fault[0]}: {fault[1]} => {fault[2] or 'nothing'}" if fault else "no fault"
    try:
        with tempfile.TemporaryDirectory() as directory:
            good = is_noticed(pathlib.Path(directory), fault) == (fault is not None)
    except (ValueError, subprocess.SubprocessError) as error:
        name, good = f"{name} ({error})", False
    return good, f"{'ok' if good else 'not ok'} - {' '.join(name.split())}"


def run(faults, is_noticed):
    """Prints `ok - FAULT` or `not ok - FAULT`, and exits with 1 if one went unnoticed.

    `is_noticed(directory, fault)` says whether a test fails with the fault; without one (None) all
    must pass.
    """
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        results = list(pool.map(lambda fault: _judge(fault, is_noticed), [None, *faults]))
    print("\n".join(line for _, line in results))
    sys.exit(not all(good for good, _ in results))
