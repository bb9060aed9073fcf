"""Runs podman and buildah without a daemon, with storage, state and configuration of their own."""

import ctypes
import json
import os
import resource
import subprocess
from pathlib import Path

from processes import ROOT, clean_environment

BASE = "docker.io/library/debian:trixie-slim"
IMAGE = "localhost/ratelimit-spoa:test"
BASE_FILE = ROOT / "build/containers/trixie-slim.tar"
BUILD_SECONDS = 1200

STORAGE = """[storage]
driver = "overlay"
runroot = "{directory}/run"
graphroot = "{directory}/graph"
"""

# runc, since crun works only with cgroups of version 2. Podman's default limits may be too high
# here.
CONTAINERS = """[containers]
default_ulimits = ["nofile={descriptors}:{descriptors}", "nproc=1000:1000"]
[engine]
tmp_dir = "{directory}/libpod"
lock_type = "file"
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "file"
"""

# Like Debian's own image of that name, without documentation but with the licences.
SLIM = [f"--dpkgopt=path-{rule}" for rule in (
    "exclude=/usr/share/doc/*", "include=/usr/share/doc/*/copyright", "exclude=/usr/share/man/*",
    "exclude=/usr/share/locale/*")]


def make_base():
    """Unpacks Debian 13 once and keeps it, in place of an image from a registry."""
    if BASE_FILE.exists():
        return
    subprocess.run([ROOT / "scripts/lib/debian-tree", "trixie", BASE_FILE, "--variant=minbase",
                    *SLIM], check=True)


def adopt_orphans():
    """Podman leaves its monitors to pid 1, which may not reap them, so this process reaps them
    later."""
    subreaper = 36
    assert ctypes.CDLL(None).prctl(subreaper, 1, 0, 0, 0) == 0


def bury_orphans():
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        pass


class Engine:
    def __init__(self, directory):
        self.directory = Path(directory)
        storage, containers = self.directory / "storage.conf", self.directory / "containers.conf"
        storage.write_text(STORAGE.format(directory=self.directory))
        descriptors = min(resource.getrlimit(resource.RLIMIT_NOFILE)[1], 20000)
        containers.write_text(CONTAINERS.format(
            directory=self.directory, descriptors=descriptors))
        self.settings = {"CONTAINERS_STORAGE_CONF": str(storage),
                         "CONTAINERS_CONF": str(containers)}

    @property
    def environment(self):
        return clean_environment(self.settings)

    def run(self, *words, check=True, timeout=60, **options):
        """Runs podman with these words, or buildah if that is the first word; checks the exit status."""
        if words[0] != "buildah":
            words = ("podman", *words)
        # What a test prints is not always text.
        done = subprocess.run([*map(str, words)], env=self.environment, text=True, check=False,
                              errors="backslashreplace", stdin=subprocess.DEVNULL,
                              capture_output=True, timeout=timeout, **options)
        said = done.stdout + done.stderr
        end = "\n".join(said.splitlines()[-12:])  # what went wrong, in most cases
        assert done.returncode == 0 or not check, f"{words}\n{end}\n\nThe whole output:\n{said}"
        return done

    def import_base(self):
        make_base()
        self.run("import", BASE_FILE, BASE, timeout=BUILD_SECONDS)

    def build(self, folder=ROOT, tag=IMAGE, **variables):
        """Makes the image as a release does, with the base image that is here already."""
        done = subprocess.run(
            [folder / "scripts/image", tag, "--isolation", "chroot", "--network", "host", "--pull=never",
             "--layers=false"], env={**self.environment, "ENGINE": "podman", **variables}, text=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False,
            timeout=BUILD_SECONDS)
        assert done.returncode == 0, done.stdout

    def build_from(self, dockerfile, tag, volumes=(), check=True):
        """Builds with the tree as the context, without what the .dockerignore leaves out. The volumes
        are there while it builds."""
        own = dockerfile.with_name("Dockerfile.dockerignore")
        ignore = own if own.exists() else ROOT / ".dockerignore"
        return self.run("buildah", "bud", "--isolation", "chroot", "--network", "host",
                        "--pull-never", "--format", "docker", "-f", dockerfile, "--ignorefile",
                        ignore, *[word for volume in volumes for word in ("--volume", volume)],
                        "-t", tag, ROOT, timeout=BUILD_SECONDS, check=check)

    def image(self, tag=IMAGE):
        """The description of the image, from podman."""
        return json.loads(self.run("image", "inspect", tag).stdout)[0]

    def healthcheck(self):
        """The command of the image's HEALTHCHECK."""
        kind, *command = self.image()["Healthcheck"]["Test"]
        assert kind == "CMD"
        return command

    def finish(self):
        for container in self.run("ps", "-aq").stdout.split():
            self.run("rm", "-f", "-t", "0", container)
        # This unmounts, too.
        self.run("system", "reset", "--force", timeout=BUILD_SECONDS)
        bury_orphans()

