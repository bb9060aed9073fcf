"""The servers that server-trees unpacks, and how they are run."""

import functools
import subprocess

from processes import ROOT

TREES = ROOT / "build/servers"
SUITES = ("bookworm", "trixie", "forky")


def unpack_trees():
    subprocess.run([ROOT / "tests/system/server-trees", *SUITES], check=True)


@functools.cache
def program(suite, path):
    """How to run a program of an unpacked tree: its own loader, its own libraries, no chroot."""
    tree = TREES / suite
    folders = [found for folder in ("lib", "usr/lib")
               for found in sorted(tree.glob(f"{folder}/*-linux-gnu*"))]
    # Not the link in lib64: it is absolute in Debian 12, and so leads to this machine's loader.
    loaders = [found for folder in folders for found in sorted(folder.glob("ld-linux*.so*"))]
    assert loaders, f"no loader in {tree}"
    libraries = ":".join(map(str, folders))
    return [loaders[0], "--library-path", libraries, tree / path]
