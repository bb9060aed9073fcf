"""scripts/release, with a key that lasts as long as the test."""

import json
import subprocess

import pytest

from engine import IMAGE
from processes import ROOT

pytestmark = pytest.mark.long


def run(*words, **options):
    done = subprocess.run([str(word) for word in words], text=True, stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False,
                          timeout=1200, **options)
    assert done.returncode == 0, done.stdout
    return done.stdout


def test_a_release_has_all_parts_and_they_are_signed(image, tmp_path):
    folder, key, public = tmp_path / "release", tmp_path / "key", tmp_path / "key.pub"
    run("minisign", "-G", "-W", "-s", key, "-p", public)

    run(ROOT / "scripts/release", folder, key, env={**image.environment, "IMAGE": IMAGE})

    names = {path.name for path in folder.iterdir()}
    parts = {name for name in names if name.endswith((".deb", ".image.tar"))}
    assert len(parts) == 3
    assert {f"{name}.spdx.json" for name in parts if "dbgsym" not in name} <= names
    for name in names:
        if name.endswith(".spdx.json"):
            assert json.loads((folder / name).read_text())["spdxVersion"] == "SPDX-2.3"
    said = run("sha256sum", "--check", "--strict", "SHA256SUMS", cwd=folder)
    assert len(said.splitlines()) == len(names) - 2  # but SHA256SUMS and its signature
    run("minisign", "-V", "-p", public, "-m", folder / "SHA256SUMS")
    (folder / "SHA256SUMS").write_text(said)
    with pytest.raises(AssertionError):
        run("minisign", "-V", "-p", public, "-m", folder / "SHA256SUMS")
