"""A small Debian of the machine's own release, in a folder, and the packages in it."""

import hashlib
import os
import platform
import re
import shlex
import shutil
import subprocess
from pathlib import Path

from processes import ROOT, Process
from tools import run

LIBRARIES = {"bookworm": ["libhiredis0.14", "libev4", "libcjson1", "libsodium23", "zlib1g"],
             "trixie": ["libhiredis1.1.0", "libev4t64", "libcjson1", "libsodium23", "zlib1g",
                        "libssl3t64"]}
SUITE = platform.freedesktop_os_release()["VERSION_CODENAME"]
# What the package depends on is there, so that the tests install it without a network.
INCLUDED = [*LIBRARIES[SUITE], "systemd-standalone-sysusers", "haproxy", "curl"]
TREE = ROOT / "build/packaging" / SUITE
UNIT = "usr/lib/systemd/system/ratelimit-spoa.service"  # /lib is a link to /usr/lib
# What dpkg itself writes down, and caches.
OF_DPKG = re.compile(r"var/(lib/dpkg|cache|log)/|etc/(passwd|group|shadow|gshadow|subuid|subgid)-$|"
                     r"etc/\.pwd\.lock$")


def make_tree():
    """Unpacks the Debian once, and keeps it."""
    if not TREE.exists():
        run(ROOT / "scripts/lib/debian-tree", SUITE, TREE, "--variant=minbase",
            f"--include={','.join(INCLUDED)}", timeout=1200)


def build(script, folder, **environment):
    """The packages that scripts/package makes, by name."""
    run(script, folder, timeout=1200, env={"DEB_BUILD_OPTIONS": "parallel=2", **environment})
    return {path.name.partition("_")[0]: path for path in Path(folder).glob("*.deb")}


def successor(package, folder):
    """The package as a later version of it would be: with another number and another conffile."""
    folder.mkdir()
    content = folder / "content"
    run("dpkg-deb", "--raw-extract", package, content)
    control = content / "DEBIAN/control"
    control.write_text(re.sub(r"^Version: .*$", "Version: 99", control.read_text(),
                              flags=re.MULTILINE))
    for path in ("etc/default/ratelimit-spoa", "etc/ratelimit-spoa/policies.json"):
        (content / path).write_text((content / path).read_text() + "\n\n")
    return run("dpkg-deb", "--root-owner-group", "--build", content, folder / "next.deb") and \
        folder / "next.deb"


def hash_of(path):
    if path.is_symlink():
        return os.readlink(path)
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else None


def differences(before, after):
    """The names of the files that came, went or changed, between two results of Debian.files()."""
    return sorted({name for name, _ in before.items() ^ after.items()})


class Debian:
    """The tree with a layer of its own above it, in which a test may do what it likes."""

    def __init__(self, folder):
        self.root = folder / "root"
        layer, work = folder / "layer", folder / "work"
        for each in (self.root, layer, work):
            each.mkdir()
        run("mount", "-t", "overlay", "overlay", "-o",
            f"lowerdir={TREE},upperdir={layer},workdir={work}", self.root)

    def finish(self):
        run("umount", self.root)

    def path(self, name):
        return self.root / name.lstrip("/")

    def run(self, *words, **options):
        # No service of this machine is asked, and no question either.
        return run("chroot", self.root, *words,
                   env={"DEBIAN_FRONTEND": "noninteractive", "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
                        "LC_ALL": "C.UTF-8"}, **options)

    def install(self, package, *options):
        shutil.copy(package, self.path("/tmp/x.deb"))
        said = self.run("dpkg", *options, "--install", "/tmp/x.deb")
        self.path("/tmp/x.deb").unlink()
        return said

    def files(self):
        """What is there: of each file its mode, owner, group, and the hash of its content."""
        found = {}
        for folder, folders, names in os.walk(self.root):
            for name in [*folders, *names]:
                path = Path(folder) / name
                inside = str(path.relative_to(self.root))
                if not OF_DPKG.match(inside + ("/" if path.is_dir() else "")):
                    state = path.lstat()
                    found[inside] = (state.st_mode, state.st_uid, state.st_gid, hash_of(path))
        return found

    def unit(self):
        """The settings of the service, each with all its values."""
        settings = {}
        for line in self.path(UNIT).read_text().splitlines():
            name, equals, value = line.partition("=")
            if equals and not line.startswith("#"):
                settings.setdefault(name, []).append(value)
        return settings

    def start_service(self, output):
        """What systemd would run, as whom, and with which variables."""
        unit = self.unit()
        variables = {}
        for file in unit["EnvironmentFile"]:
            for line in self.path(file.lstrip("-")).read_text().splitlines():
                name, equals, value = line.partition("=")
                if equals and not line.startswith("#"):
                    variables[name] = value
        [command], [user] = unit["ExecStart"], unit["User"]
        return Process(["chroot", f"--userspec={user}", self.root, *shlex.split(command)], output,
                       env=variables)


class Spare(Debian):
    """The same with a network of its own, where nobody else has a port."""

    def run(self, *words, **options):
        inside = 'ip link set lo up && exec chroot "$0" "$@"'
        return run("unshare", "--net", "--pid", "--fork", "--kill-child", "sh", "-c", inside,
                   self.root, *words, env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
                                           "DEBIAN_FRONTEND": "noninteractive"}, **options)


def contents(package):
    """The names of the files in a package."""
    done = subprocess.run(f"dpkg-deb --fsys-tarfile {shlex.quote(str(package))} | tar -t", shell=True,
                          check=True, capture_output=True, text=True)
    return {name.removeprefix("./") for name in done.stdout.splitlines() if not name.endswith("/")}
