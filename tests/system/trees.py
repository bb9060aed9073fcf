"""Runs the servers that server-trees unpacks."""

import functools
import subprocess

from processes import ROOT

TREES = ROOT / "build/servers"
SUITES = ("bookworm", "trixie", "forky")


def unpack_trees():
    subprocess.run([ROOT / "tests/system/server-trees", *SUITES], check=True)


@functools.cache
def program(suite, path):
    """The command that runs a program of an unpacked tree, by its own loader and libraries,
    without chroot."""
    tree = TREES / suite
    folders = [found for folder in ("lib", "usr/lib")
               for found in sorted(tree.glob(f"{folder}/*-linux-gnu*"))]
    # The link in lib64 is not used: it is absolute in Debian 12, and leads to the loader of this
    # machine.
    loaders = [found for folder in folders for found in sorted(folder.glob("ld-linux*.so*"))]
    assert loaders, f"no loader in {tree}"
    libraries = ":".join(map(str, folders))
    return [loaders[0], "--library-path", libraries, tree / path]
