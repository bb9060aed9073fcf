"""The units of packaging/systemd: systemd takes them, they are hardened, and they say what they
have to."""

import re
import shutil
import subprocess

import pytest

from agent import BINARY
from processes import PATIENCE, ROOT, clean_environment

FOLDER = ROOT / "packaging/systemd"
SERVICES = sorted(path.name for path in FOLDER.glob("*.service"))
EXPOSURE_MAX = 1.5


def analyze(*arguments):
    return subprocess.run(["systemd-analyze", *map(str, arguments)], text=True,
                          capture_output=True, timeout=PATIENCE, check=False)


def lines_of(unit, name):
    """The values of a setting, with continued lines as systemd joins them."""
    text = (FOLDER / unit).read_text().replace("\\\n", " ")
    return re.findall(rf"^{name}=(.*)$", text, re.MULTILINE)


@pytest.fixture
def root(tmp_path):
    """A root file system with the units and what they start."""
    units = tmp_path / "etc/systemd/system"
    units.mkdir(parents=True)
    for unit in [*FOLDER.glob("*.service"), *FOLDER.glob("*.socket")]:
        shutil.copy(unit, units)
    shutil.copytree("/usr/lib/systemd/system", tmp_path / "usr/lib/systemd/system", symlinks=True)
    for program in (BINARY, "/bin/sh"):
        for folder in ("usr/bin", "bin"):
            (tmp_path / folder).mkdir(parents=True, exist_ok=True)
            shutil.copy(program, tmp_path / folder)
    if BINARY.name != "ratelimit-spoa":
        shutil.copy(BINARY, tmp_path / "usr/bin/ratelimit-spoa")
    return tmp_path


def verify(root):
    """What systemd says to the units; the instance is one of any name."""
    names = [path.name.replace("@.", "@12346.") for pattern in ("*.service", "*.socket")
             for path in sorted(FOLDER.glob(pattern))]
    return analyze("verify", f"--root={root}", "--man=no", *names)


def test_systemd_finds_no_fault(root):
    done = verify(root)

    assert done.returncode == 0 and "/etc/systemd" not in done.stderr, done.stderr


@pytest.mark.parametrize("fault", ["Type=notifi", "NoSuchSetting=1"])
def test_a_fault_would_be_found(root, fault):
    unit = root / "etc/systemd/system/ratelimit-spoa.service"
    unit.write_text(unit.read_text().replace("[Service]\n", f"[Service]\n{fault}\n"))

    assert str(unit) in verify(root).stderr


@pytest.mark.parametrize("service", SERVICES)
def test_the_services_are_hardened(service):
    done = analyze("security", "--offline=true", f"--threshold={EXPOSURE_MAX * 10:.0f}",
                   "--no-pager", FOLDER / service)

    assert done.returncode == 0, done.stdout + done.stderr
    assert float(re.search(r"Overall exposure level.*: ([\d.]+)", done.stdout)[1]) <= EXPOSURE_MAX


def test_what_the_agent_keeps_is_in_the_folder_that_systemd_makes():
    unit = "ratelimit-spoa.service"

    assert lines_of(unit, "Environment") == ["RATELIMIT_STATE_FILE=%S/ratelimit-spoa/state",
                                             "FDSTORE=8"]
    assert lines_of(unit, "StateDirectory") == ["ratelimit-spoa"]
    # The administrator's own value holds: systemd reads the file last, wherever its line is.
    assert lines_of(unit, "EnvironmentFile") == ["-/etc/default/ratelimit-spoa"]


def test_systemd_keeps_the_memory_of_the_agent_and_says_so():
    unit = "ratelimit-spoa.service"

    # The variable is what systemd 254 sets by itself, of the same value.
    assert lines_of(unit, "FileDescriptorStoreMax") == ["8"]
    assert "FDSTORE=8" in lines_of(unit, "Environment")
    # A restart hands over; a stop drains, and writes the state file.
    assert lines_of(unit, "RestartKillSignal") == ["SIGTERM"]
    assert lines_of(unit, "KillSignal") == ["SIGINT"]


@pytest.mark.parametrize("service", SERVICES)
def test_a_bad_configuration_is_not_started_again(service):
    assert lines_of(service, "Type") == ["notify"]
    assert lines_of(service, "RestartPreventExitStatus") == ["2"]
    # What comes before ExecStart would exit in place of the agent, and be started again.
    assert not lines_of(service, "ExecStartPre")


@pytest.mark.parametrize("service", SERVICES)
def test_a_reload_checks_first(service):
    check, reload = lines_of(service, "ExecReload")

    assert check == "/usr/bin/ratelimit-spoa check-config"
    assert reload == "/bin/sh -c 'kill -HUP \"$$MAINPID\"'"


# ---- sockets ----


@pytest.mark.parametrize("unit", sorted(path.name for path in FOLDER.glob("*.socket")))
def test_the_agent_knows_the_names_of_its_sockets(unit):
    name, = lines_of(unit, "FileDescriptorName")
    assert name in ("spop", "http", "admin")
    assert lines_of(unit, "Accept") == []


def test_haproxy_connects_where_it_does_without_a_socket_unit():
    assert lines_of("ratelimit-spoa.socket", "ListenStream") == ["127.0.0.1:12345"]
    assert lines_of("ratelimit-spoa-http.socket", "ListenStream") == ["127.0.0.1:8080"]
    assert lines_of("ratelimit-spoa-admin.socket", "ListenStream") == [
        "/run/ratelimit-spoa/admin.sock"]


@pytest.mark.parametrize("unit", ["ratelimit-spoa-admin.socket", "ratelimit-spoa-http.socket"])
def test_a_restart_begins_an_optional_socket_that_is_enabled(unit):
    """systemd refuses to begin a socket while its service runs."""
    assert "ratelimit-spoa.service" in lines_of(unit, "WantedBy")


def test_the_service_starts_with_its_socket():
    assert lines_of("ratelimit-spoa.service", "Sockets") == ["ratelimit-spoa.socket"]
    assert lines_of("ratelimit-spoa@.service", "Sockets") == ["ratelimit-spoa@%i.socket"]


# ---- one instance a core ----


def start_instance(**environment):
    """Runs what the template runs, with `echo` in place of the agent."""
    command, = lines_of("ratelimit-spoa@.service", "ExecStart")
    script = re.fullmatch(r"/bin/sh -c '([^']*)'", command)[1]
    script = script.replace("%i", "12346").replace("$$", "$")
    script = script.replace("/usr/bin/ratelimit-spoa", "echo")
    return subprocess.run(["/bin/sh", "-c", script], text=True, capture_output=True, check=False,
                          env=clean_environment(environment), timeout=PATIENCE)


@pytest.mark.parametrize("store", [None, "", "memory:"])
def test_an_instance_refuses_to_count_for_itself(store):
    done = start_instance(**({} if store is None else {"RATELIMIT_STORE": store}))

    assert (done.returncode, done.stdout) == (2, "")
    named = store or "not set"
    assert done.stderr == (
        f"<3>ratelimit-spoa@12346: RATELIMIT_STORE is {named}, so this agent would count for "
        "itself, and several agents would grant each limit several times; accepted is a Redis that "
        "all agents share, such as redis://127.0.0.1:6379, in /etc/default/ratelimit-spoa\n")


def test_an_instance_listens_on_its_own_port():
    done = start_instance(RATELIMIT_STORE="redis://127.0.0.1:6379")

    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "serve --spop-listen 127.0.0.1:12346 --http-listen 127.0.0.2:12346\n"


# ---- the defaults ----


def test_the_agent_takes_the_shipped_defaults(tmp_path):
    policies = tmp_path / "policies.json"
    shutil.copy(ROOT / "haproxy-conf/policies.json", policies)
    text = (FOLDER / "ratelimit-spoa.default").read_text()
    set_there = dict(line.split("=", 1) for line in text.splitlines()
                     if line and not line.startswith("#"))
    assert set_there == {"RATELIMIT_POLICIES": "/etc/ratelimit-spoa/policies.json"}
    shown = dict(line[1:].split("=", 1) for line in text.splitlines()
                 if re.match(r"#RATELIMIT_\w+=", line))
    password = tmp_path / "password"
    password.write_text("secret\n")
    shown["RATELIMIT_REDIS_PASSWORD_FILE"] = str(password)

    done = subprocess.run(
        [BINARY, "check-config"], text=True, capture_output=True, timeout=PATIENCE, check=False,
        env=clean_environment({**shown, "RATELIMIT_POLICIES": str(policies)}))

    assert done.returncode == 0, done.stderr
