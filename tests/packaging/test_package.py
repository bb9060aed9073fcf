"""The packages that scripts/package makes, and what they do to a Debian."""

import gzip
import json
import re
import shutil
import stat
from pathlib import Path

import pytest

from debian import SUITE, TREE, build, contents, differences, successor
from processes import ROOT, wait_until
from tools import run

CONFFILES = ["/etc/default/ratelimit-spoa", "/etc/ratelimit-spoa/policies.json"]
FILES = {"usr/bin/ratelimit-spoa", *[name.lstrip("/") for name in CONFFILES],
         "usr/lib/sysusers.d/ratelimit-spoa.conf",
         "usr/share/man/man1/ratelimit-spoa.1.gz", "usr/share/man/man8/ratelimit-spoa.8.gz",
         "usr/share/man/man5/ratelimit-spoa-policies.5.gz",
         "usr/share/bash-completion/completions/ratelimit-spoa",
         "usr/share/zsh/vendor-completions/_ratelimit-spoa",
         "usr/share/doc/ratelimit-spoa/copyright", "usr/share/doc/ratelimit-spoa/changelog.gz",
         "usr/share/doc/ratelimit-spoa/NEWS.md", "usr/share/doc/ratelimit-spoa/docs/reference.md",
         "usr/share/doc/ratelimit-spoa/haproxy-conf/haproxy.cfg",
         "usr/share/doc/ratelimit-spoa/haproxy-conf/ratelimit-spoe.conf"}
UNITS = [path.name for path in (ROOT / "packaging/systemd").glob("ratelimit-spoa*.*")
         if path.suffix in (".service", ".socket")]


@pytest.fixture(name="package")
def main_package(packages):
    return packages["ratelimit-spoa"]


@pytest.fixture(name="program", scope="module")
def unpack_program(packages, tmp_path_factory):
    folder = tmp_path_factory.mktemp("program")
    run("dpkg-deb", "--extract", packages["ratelimit-spoa"], folder)
    return folder / "usr/bin/ratelimit-spoa"


def field(package, name):
    return run("dpkg-deb", "--field", package, name).strip()


# --- what is in them ---

def test_there_is_a_package_and_one_for_debuggers(packages):
    assert set(packages) == {"ratelimit-spoa", "ratelimit-spoa-dbgsym"}


def test_lintian_finds_nothing_to_say(package):
    """Machine code now and then reads as a misspelt word. Debian 12's lintian misses a script for another
    init than systemd, which the unit with its user and its hardening is meant for."""
    unwanted = ["spelling-error-in-binary"]
    if SUITE == "bookworm":
        unwanted.append("package-supports-alternative-init-but-no-init.d-script")
    changes, = package.parent.glob("*.changes")
    assert run("lintian", "--allow-root", "--pedantic", "--display-info", "--suppress-tags",
               ",".join(unwanted), changes) == ""


def test_the_files_are_where_debian_looks_for_them(package):
    names = {re.sub(r"^lib/", "usr/lib/", name) for name in contents(package)}

    assert UNITS
    assert FILES | {f"usr/lib/systemd/system/{unit}" for unit in UNITS} <= names
    assert not [name for name in names if name.startswith("etc/haproxy")]
    assert not [name for name in names if "__pycache__" in name or name.endswith(".py")]
    assert {name for name in names if name.startswith("etc/")} == \
        {name.lstrip("/") for name in CONFFILES}


def test_the_documents_find_each_other(package):
    """A relative link of a page that is installed leads to a file that is installed too."""
    names = contents(package)
    folder = "usr/share/doc/ratelimit-spoa/"
    for page in sorted((ROOT / "docs").glob("*.md")):
        for link in re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text()):
            target = (Path("/docs") / link).resolve()
            if target.parts[1] in ("docs", "haproxy-conf") and (ROOT / str(target)[1:]).is_file() \
                    and not target.name.startswith("compose"):
                assert folder + str(target)[1:] in names, f"{page.name}: {link}"


def test_version_and_libraries_are_told(package, program):
    version = re.search(r"^project\(\S+ VERSION ([0-9.]+)", (ROOT / "CMakeLists.txt").read_text(), re.MULTILINE)[1]
    copyright_text = (ROOT / "packaging/debian/copyright").read_text()
    libraries = [each.partition(" ")[0] for each in field(package, "Depends").split(", ")
                 if each.startswith(("lib", "zlib"))]

    assert field(package, "Version").partition("+")[0] == version
    assert run(program, "version") == f"ratelimit-spoa {version}\n"
    assert len(libraries) >= 5
    for library in libraries:
        name = re.match(r"[a-z]+", library)[0]
        assert re.search(rf"^  {name}\S* +\S+", copyright_text, re.MULTILINE), library


def test_the_program_is_hardened(program):
    """The linker can't say that all of a program has CET, since glibc's own start, crt1.o, has none in
    Debian 12 and 13. So that mark is not asked for, and the functions of the program are looked at. Branch
    protection is what ARM has in its place."""
    without = ["--nocfprotection"]
    if SUITE != "bookworm":
        without.append("--nobranchprotection")
    run("hardening-check", *without, program)
    assert run("objdump", "--disassemble", program).count("endbr64") > 300 or \
        "x86-64" not in run("file", program)


@pytest.mark.long
def test_whoever_builds_may_be_the_maintainer(packages, tmp_path):
    mine = build(ROOT / "scripts/package", tmp_path, DEBEMAIL="ops@example.com",
                 DEBFULLNAME="Operations", DEB_BUILD_OPTIONS="parallel=2 nocheck")

    assert field(mine["ratelimit-spoa"], "Maintainer") == "Operations <ops@example.com>"
    assert "<maintainers@" in field(packages["ratelimit-spoa"], "Maintainer")


def test_a_debugger_finds_the_names(packages, program):
    build_id = re.search(r"Build ID: (\w+)", run("readelf", "--notes", program))[1]
    assert f"usr/lib/debug/.build-id/{build_id[:2]}/{build_id[2:]}.debug" in \
        contents(packages["ratelimit-spoa-dbgsym"])


def test_the_man_pages_are_of_this_version(package, tmp_path):
    run("dpkg-deb", "--extract", package, tmp_path)
    for page in tmp_path.glob("usr/share/man/*/*"):
        assert '"ratelimit\\-spoa 0.' in gzip.decompress(page.read_bytes()).decode().splitlines()[0]


def test_another_folder_makes_the_same_packages(packages, tmp_path):
    tree = tmp_path / "a folder/of another name that is longer than the first one"
    tree.mkdir(parents=True)
    for name in ("CMakeLists.txt", "LICENSE", "NEWS.md", "README.md"):
        shutil.copy(ROOT / name, tree)
    for name in ("docs", "haproxy-conf", "lua", "packaging", "scripts", "spoa"):
        shutil.copytree(ROOT / name, tree / name)
    (tmp_path / "another-folder-for-the-build").mkdir()

    again = build(tree / "scripts/package", tmp_path / "packages",
                  TMPDIR=str(tmp_path / "another-folder-for-the-build"))

    assert {name: path.name for name, path in again.items()} == \
        {name: path.name for name, path in packages.items()}
    for name, path in packages.items():
        assert path.read_bytes() == again[name].read_bytes(), name


@pytest.mark.parametrize("script", ["preinst", "postinst", "prerm"])
def test_an_upgrade_leaves_the_sockets_alone(package, tmp_path, script):
    """In them HAProxy's connections wait while the agent restarts."""
    run("dpkg-deb", "--control", package, tmp_path)
    text = (tmp_path / script).read_text() if (tmp_path / script).exists() else ""
    asks = re.findall(r"^\s*(?:deb-systemd-invoke|systemctl) (?!--system)(.*)", text, re.MULTILINE)
    starts = [ask for ask in asks if not ask.startswith("stop")]

    if script == "postinst":
        assert [ask for ask in starts if "ratelimit-spoa.socket" in ask]
        assert "_dh_action=restart" in text
    # `start` changes nothing in a socket that is open.
    for ask in starts:
        assert ".socket" not in ask or ask.startswith("start "), ask
    # What is stopped is stopped by a removal only.
    for part in re.split(r"^if ", text, flags=re.MULTILINE)[1:]:
        if re.search(r"^\s*(deb-systemd-invoke|systemctl) stop", part, re.MULTILINE):
            assert '"$1" = remove ]' in part.partition("\n")[0]


# --- what they do ---

def test_the_agent_starts_as_the_unit_says(package, debian, started, tmp_path):
    debian.install(package)
    options = debian.path("/etc/default/ratelimit-spoa")
    options.write_text(options.read_text() + "RATELIMIT_SPOP_LISTEN=127.0.0.1:0\n"
                       "RATELIMIT_HTTP_LISTEN=127.0.0.1:0\n")

    agent = debian.start_service(tmp_path / "log")
    started.append(agent)
    wait_until(lambda: '"event":"started"' in "\n".join(agent.lines()) or not agent.is_running(),
               "the agent to start")

    events = [json.loads(line) for line in agent.lines()]
    [start] = [event for event in events if event["event"] == "started"]
    assert start["policies"] == 1
    user = run("stat", "--format=%u", f"/proc/{agent.pid}").strip()
    assert user != "0"
    assert re.search(rf"^ratelimit-spoa:x:{user}:", debian.path("/etc/passwd").read_text(),
                     re.MULTILINE)


def test_an_installation_says_which_two_files_to_copy_and_leaves_haproxy_alone(package, debian):
    before = debian.files()
    said = debian.install(package)

    named = re.findall(r"^  (/usr/share/doc/\S+)$", said, re.MULTILINE)
    assert [Path(name).name for name in named] == ["ratelimit-spoe.conf", "haproxy.cfg"]
    assert all(debian.path(name).is_file() for name in named)
    assert [name for name in differences(before, debian.files())
            if name.startswith("etc/haproxy")] == []


def test_an_upgrade_keeps_what_was_changed_and_brings_what_is_new(package, debian, tmp_path):
    debian.install(package)
    mine = debian.path("/etc/ratelimit-spoa/policies.json")
    mine.write_text('{"policies": {}}')
    options = debian.path("/etc/default/ratelimit-spoa")
    before = options.read_text()

    said = debian.install(successor(package, tmp_path / "next"), "--force-confdef",
                          "--force-confold")

    assert mine.read_text() == '{"policies": {}}'
    assert options.read_text() == before + "\n\n"
    assert "haproxy-conf" not in said


def test_a_removal_keeps_the_configuration_and_a_purge_leaves_nothing(package, debian):
    before = debian.files()
    debian.install(package)
    installed = len(differences(before, debian.files()))
    kept = debian.path("/var/lib/ratelimit-spoa")
    kept.mkdir(exist_ok=True)
    (kept / "state.json").write_text("{}")
    debian.path("/var/lib/ratelimit-spoa-12346").mkdir()

    debian.run("dpkg", "--remove", "ratelimit-spoa")
    removed = debian.files()
    assert all(name.lstrip("/") in removed for name in CONFFILES)
    assert "var/lib/ratelimit-spoa/state.json" in removed
    assert "usr/bin/ratelimit-spoa" not in removed

    debian.run("dpkg", "--purge", "ratelimit-spoa")
    assert differences(before, debian.files()) == []
    assert installed > len(FILES)


def test_nobody_but_root_may_change_what_was_installed(package, debian):
    debian.install(package)
    files = debian.files()
    for name in contents(package):
        mode, owner, group, _ = files[re.sub(r"^lib/", "usr/lib/", name)]
        assert (owner, group) == (0, 0), name
        assert stat.S_ISLNK(mode) or not mode & 0o6022, name


@pytest.mark.long
def test_piuparts_finds_nothing_to_say(package, tree, tmp_path):  # pylint: disable=unused-argument
    """It installs, upgrades and purges, and looks for whatever is left, by rules that many packages met."""
    run("tar", "--create", "--gzip", f"--file={tmp_path}/base.tar.gz", f"--directory={TREE}", ".")
    said = run("piuparts", f"--basetgz={tmp_path}/base.tar.gz", f"--distribution={SUITE}",
               "--no-eatmydata", "--skip-logrotatefiles-test", package)
    assert "PASS: All tests." in said


def test_debians_own_test_of_the_package_passes(package, spare_debian):
    """packaging/debian/tests, as it would run in a chroot of autopkgtest."""
    spare_debian.install(package)
    shutil.copy(ROOT / "packaging/debian/tests/limits", spare_debian.path("/tmp/limits"))

    said = spare_debian.run("sh", "-c", "/tmp/limits", timeout=120)

    assert re.search(r"^ +\d+ 429$", said, re.MULTILINE), said


@pytest.mark.long
def test_autopkgtest_finds_nothing_to_say(package, tree, tmp_path):  # pylint: disable=unused-argument
    chroot, source = tmp_path / "chroot", tmp_path / "source"
    run("cp", "--archive", TREE, chroot)
    shutil.copy("/etc/resolv.conf", chroot / "etc/resolv.conf")
    source.mkdir()
    shutil.copytree(ROOT / "packaging/debian", source / "debian")

    said = run("autopkgtest", "--apt-upgrade", "--setup-commands",
               "apt-get install -y --no-install-recommends apt-utils dpkg-dev", "--no-built-binaries",
               source, package, "--", "chroot", chroot)

    assert re.search(r"^limits +PASS$", said, re.MULTILINE), said
