"""The content of the image, and how a container of it runs."""

import json
import re
import shutil
import subprocess
from datetime import datetime
from pathlib import Path

import pytest

import agent as agents
import spop
from agent import bucket, policies_text
from container import POLICIES, run_to_the_end
from engine import BASE, IMAGE
from network import Network
from processes import ROOT
from web import get

AGAIN = "localhost/ratelimit-spoa:again"
UID = 10001
MEGABYTE = 10**6


@pytest.fixture(name="files", scope="module")
def list_files(image, tmp_path_factory):
    """Unpacks the root of the image and lists its files."""
    root = tmp_path_factory.mktemp("root")
    name = image.run("create", IMAGE).stdout.strip()
    image.run("export", "-o", root / "root.tar", name)
    image.run("rm", name)
    (root / "files").mkdir()
    subprocess.run(["tar", "-xf", root / "root.tar", "-C", root / "files"], check=True)
    return root / "files"


def test_the_image_is_small(image, files):
    # The archive with the names of all files.
    assert image.image()["Size"] < 14 * MEGABYTE
    assert sum(path.stat().st_size for path in files.rglob("*")
               if path.is_file() and not path.is_symlink()) <= 13 * MEGABYTE


def test_scanners_find_the_system_and_its_packages(files):
    system = dict(line.split("=", 1) for line in
                  (files / "etc/os-release").read_text().splitlines() if "=" in line)
    version = (files / "etc/debian_version").read_text()

    assert (system["ID"], system["VERSION_ID"].strip('"')) == ("debian", "13")
    assert version.startswith("13.")
    assert {"base-files", "tzdata"} <= {path.name for path in
                                        (files / "var/lib/dpkg/status.d").iterdir()}


# 946684800 is 2000, when the files begin.
@pytest.mark.parametrize("zone, day, at_s", [
    ("Europe/Berlin", "01/Jan/2000", 946723468), ("America/New_York", "01/Jan/2000", 946745068),
    ("Europe/Berlin", "24/Nov/2026", 1795517068), ("Europe/Berlin", "24/Jul/2026", 1784886268),
    ("America/New_York", "24/Nov/2026", 1795538668), ("Asia/Kathmandu", "24/Nov/2026", 1795499968),
    # Beyond 2037 the files say the rule, and not each change.
    ("Europe/Berlin", "24/Jul/2040", 2226735868)])
def test_replay_knows_the_time_zones(image, tmp_path, zone, day, at_s):
    folder = tmp_path / "mounted"
    folder.mkdir()
    (folder / "policies.json").write_text(policies_text(p=bucket(1)))
    (folder / "haproxy.log").write_text(
        f"192.0.2.1:4711 [{day}:11:44:28.250] web app/s1 0/0/0/1/1 200 90 - - ---- 1/1/0/0/0 0/0 "
        '"GET /x HTTP/1.1"\n')

    done = run_to_the_end(
        image, "replay", "--format", "haproxy", "--tz", zone, "--policies", "/logs/policies.json",
        "/logs/haproxy.log", environment={"RATELIMIT_POLICIES": ""}, options=["-v", f"{folder}:/logs:ro"])

    assert done.returncode == 0, done.stderr
    assert [json.loads(line)["at_ms"] for line in done.stdout.splitlines()] == [at_s * 1000 + 250]


def test_it_holds_the_agent_its_libraries_and_no_other_program(files):
    programs = {str(path.relative_to(files)) for path in files.rglob("*")
                if path.is_file() and not path.is_symlink() and path.read_bytes()[:4] == b"\x7fELF"
                and ".so" not in path.name}
    scripts = [path for path in files.rglob("*")
               if path.is_file() and path.read_bytes()[:2] == b"#!"]

    assert programs == {"usr/bin/ratelimit-spoa"}
    assert scripts == []


def test_no_file_of_it_is_writable_for_the_agent_or_runs_as_another(files):
    for path in files.rglob("*"):
        if not path.is_symlink():
            assert path.stat().st_uid == 0, path
            assert not path.stat().st_mode & 0o6022, path


def test_each_library_is_of_a_package_that_is_named_with_its_version_and_licence(files):
    packages = {path.name: path.read_text() for path in
                (files / "var/lib/dpkg/status.d").iterdir() if path.suffix != ".md5sums"}

    for name in ("libc6", "libev4t64", "libcjson1", "libhiredis1.1.0", "libsodium23", "libssl3t64",
                 "zlib1g", "ca-certificates"):
        assert f"Package: {name}\n" in packages[name]
    for name, text in packages.items():
        assert re.search(r"^Version: \S+$", text, re.MULTILINE), name
        assert (files / f"usr/share/doc/{name}/copyright").stat().st_size > 0
    assert "Apache License" in (files / "usr/share/doc/ratelimit-spoa/copyright").read_text()


def test_it_says_what_it_is(image):
    said = image.image()
    labels = {name.rpartition(".")[2]: text for name, text in said["Labels"].items()
              if name.startswith("org.opencontainers.image.")}
    version = run_to_the_end(image, "version").stdout

    assert labels["title"] == "ratelimit-spoa"
    assert version == f"ratelimit-spoa {labels['version']}\n"
    assert labels["licenses"] == "Apache-2.0" and labels["description"]
    assert said["Config"]["User"] == f"{UID}:{UID}"
    assert said["Config"]["StopSignal"] == "SIGTERM"
    assert set(said["Config"]["ExposedPorts"]) == {"12345/tcp", "8080/tcp"}


def test_it_says_where_it_comes_from(image):
    said = image.image()
    labels = {name.removeprefix("org.opencontainers.image."): text for name, text in said["Labels"].items()}
    # A tree without a repository has no commit.
    commit = subprocess.run(["git", "log", "-1", "--format=%H %ct"], cwd=ROOT, text=True, check=False,
                            capture_output=True).stdout.split()

    assert labels["base.name"] == BASE
    assert re.fullmatch(r"sha256:[0-9a-f]{64}", labels["base.digest"])
    created = datetime.strptime(labels["created"], "%Y-%m-%dT%H:%M:%S%z").timestamp()
    assert datetime.fromisoformat(said["Created"]).timestamp() == created
    if commit:
        assert [labels["revision"], str(int(created))] == commit


@pytest.mark.long
@pytest.mark.timeout(2400)
def test_another_folder_makes_the_same_image(image, tmp_path):
    folder = tmp_path / "a folder with another name"
    folder.mkdir()
    for name in ("CMakeLists.txt", "CMakePresets.json", "Dockerfile", "LICENSE", ".dockerignore"):
        shutil.copyfile(ROOT / name, folder / name)
    for name in ("docs", "lua", "scripts", "spoa"):
        shutil.copytree(ROOT / name, folder / name)
    first = image.image()
    label = first["Labels"].get
    created = datetime.strptime(label("org.opencontainers.image.created"), "%Y-%m-%dT%H:%M:%S%z")

    image.build(folder, AGAIN, SOURCE=label("org.opencontainers.image.source"),
                REVISION=label("org.opencontainers.image.revision"),
                SOURCE_DATE_EPOCH=str(int(created.timestamp())))

    again = image.image(AGAIN)
    image.run("rmi", AGAIN, check=False)
    assert again["RootFS"] == first["RootFS"]
    assert again["Labels"] == first["Labels"]
    assert again["Id"] == first["Id"]


def test_the_build_takes_nothing_but_what_it_needs(image, tmp_path):
    """.dockerignore: what a build of the whole folder would see."""
    dockerfile = tmp_path / "Dockerfile"
    dockerfile.write_text(f"FROM {BASE}\nCOPY . /context\n")
    image.run("buildah", "bud", "--isolation", "chroot", "--pull-never", "-f", dockerfile,
              "--ignorefile", ROOT / ".dockerignore", "-t", "localhost/context", ROOT)
    name = image.run("create", "localhost/context", "-").stdout.strip()
    try:
        mount = Path(image.run("mount", name).stdout.strip())
        seen = {path.name for path in (mount / "context").iterdir()}
        image.run("umount", name)
    finally:
        image.run("rm", name)
        image.run("rmi", "localhost/context")

    assert seen == {"CMakeLists.txt", "CMakePresets.json", "LICENSE", "docs", "lua", "scripts",
                    "spoa"}


# --- how it runs -------------------------------------------------------------------------------


def test_the_agent_is_pid_1_of_a_user_without_rights_and_with_nothing_to_write_to(start_container):
    container = start_container(policies=policies_text(p=bucket(2)))

    assert container.status_words("NSpid")[-1] == "1"
    assert set(container.status_words("Uid") + container.status_words("Gid")) == {str(UID)}
    for capabilities in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
        assert container.status_words(capabilities) == ["0" * 16]
    assert container.status_words("NoNewPrivs") == ["1"]
    assert container.status_words("Seccomp") == ["2"]
    mounts = Path(f"/proc/{container.pid}/mountinfo").read_text().splitlines()
    options = {line.split()[4]: line.split()[5].split(",") for line in mounts}
    assert "ro" in options["/"] and "ro" in options[POLICIES]
    assert "/tmp" not in options and "/run" not in options

    with container.connect() as peer:
        answers = [peer.ask(src=spop.ip("192.0.2.1")).allowed for _ in range(3)]
    assert answers == [True, True, False]


def test_it_starts_with_nothing_and_has_inline_policies_then(start_container):
    container = start_container()

    with container.connect() as peer:
        assert peer.ask(src=spop.ip("192.0.2.1")).reason == "none"
        inline = {"key": "k", "algorithm": "token_bucket", "capacity": 1, "refill_rate": "1/1h"}
        assert [peer.ask(**inline).allowed for _ in range(2)] == [True, False]


@pytest.mark.parametrize("variables,addresses", [
    ({}, ["{v4}"]),
    ({"RATELIMIT_SPOP_LISTEN": "[::]:12345", "RATELIMIT_HTTP_LISTEN": "[::]:8080"},
     ["{v4}", "[{v6}]"]),
], ids=["as the image says", "IPv6 too"])
def test_it_is_reached_from_outside(start_container, started, variables, addresses):
    network = Network()
    started.append(network)
    start_container(network=f"ns:{network.path}", listen=False, environment=variables,
                    policies=policies_text(p=bucket(2)))

    for address in addresses:
        host = address.format(v4=network.v4, v6=network.v6)
        assert agents.run("probe", f"{host}:12345").returncode == 0
        with spop.Peer(f"{host}:12345") as peer:
            assert peer.ask(src=spop.ip("192.0.2.1")).policy == "p"
        assert agents.run("probe", f"http://{host}:8080/health").returncode == 0


def test_it_starts_where_there_is_no_ipv6(start_container, started):
    network = Network(has_ipv6=False)
    started.append(network)
    start_container(network=f"ns:{network.path}", listen=False)

    assert agents.run("probe", f"{network.v4}:12345").returncode == 0


@pytest.mark.parametrize("service", ["RATELIMIT", "RATELIMIT_SPOA"])
def test_the_service_links_of_kubernetes_do_no_harm(start_container, at_fixed_port, service):
    links = {f"{service}_SERVICE_HOST": "10.0.0.1",
             f"{service}_SERVICE_PORT": "12345",
             f"{service}_SERVICE_PORT_SPOP": "12345",
             f"{service}_SERVICE_PORT_HTTP": "8080",
             f"{service}_PORT": "tcp://10.0.0.1:12345",
             **{f"{service}_PORT_{port}_TCP{what}": value for port in ("12345", "8080")
                for what, value in (("", f"tcp://10.0.0.1:{port}"), ("_PROTO", "tcp"),
                                    ("_PORT", port), ("_ADDR", "10.0.0.1"))}}
    container = start_container(environment={**links, **at_fixed_port},
                                policies=policies_text(p=bucket(2)))

    with container.connect() as peer:
        assert peer.ask(src=spop.ip("192.0.2.1")).policy == "p"
    healthcheck = container.execute(container.engine.healthcheck())
    assert (healthcheck.returncode, healthcheck.stderr) == (0, "")


def test_redis_may_be_given_by_a_name(start_container, redis):
    url = f"redis://redis.test:{redis.port}"
    container = start_container(environment={"RATELIMIT_STORE": url},
                                options=["--add-host", "redis.test:127.0.0.1"],
                                policies=policies_text(p=bucket(2)))

    container.wait_for_event("store_up")


def test_haproxy_limits_by_it(start_container, start_haproxy):
    container = start_container(policies=agents.SHIPPED_POLICIES.read_text())
    haproxy = start_haproxy(container.address)

    statuses = [get(haproxy.port).status for _ in range(40)]

    assert statuses[:20] == [200] * 20
    assert 429 in statuses[20:]
