"""Bad input stops a container with an exit status, and a line of its log says why."""

import os
import socket

import pytest

from agent import bucket, policies_text
from container import POLICIES, run_to_the_end


def the_one_line(done, status):
    """The whole log of a container that ended with that status."""
    assert done.returncode == status, done.stdout + done.stderr
    lines = done.stderr.splitlines()
    assert len(lines) == 1, done.stderr
    return lines[0]


@pytest.fixture(name="folder")
def make_folder(tmp_path):
    """Makes a folder to mount, since tmp_path can't be read by other users."""
    folder = tmp_path / "mounted"
    folder.mkdir()
    return folder


def test_a_missing_policy_file(image, folder):
    options = ["-v", f"{folder}:{os.path.dirname(POLICIES)}:ro"]

    line = the_one_line(run_to_the_end(image, options=options), 2)

    assert POLICIES in line and "No such file" in line


def test_a_policy_file_that_was_forgotten_to_mount(image):
    done = run_to_the_end(image, environment={"RATELIMIT_POLICIES": "/etc/nosuch.json"})

    assert "/etc/nosuch.json" in the_one_line(done, 2)


def test_a_broken_policy_file(image, folder):
    policy = {**bucket(5), "capacity": 0}
    (folder / "policies.json").write_text(policies_text(p=policy))
    options = ["-v", f"{folder}:{os.path.dirname(POLICIES)}:ro"]

    line = the_one_line(run_to_the_end(image, options=options), 2)

    assert POLICIES in line and "policies.p.capacity" in line


def test_a_policy_file_that_the_user_of_the_image_must_not_read(image, folder):
    (folder / "policies.json").write_text(policies_text(p=bucket(5)))
    (folder / "policies.json").chmod(0o600)
    options = ["-v", f"{folder}:{os.path.dirname(POLICIES)}:ro"]

    line = the_one_line(run_to_the_end(image, options=options), 2)

    assert POLICIES in line and "Permission denied" in line


@pytest.mark.parametrize("mode,why", [(0o600, "Permission denied"), (None, "No such file")],
                         ids=["unreadable", "missing"])
def test_a_password_file_that_cannot_be_read(image, folder, mode, why):
    if mode is not None:
        (folder / "password").write_text("s3cret\n")
        (folder / "password").chmod(mode)
    environment = {"RATELIMIT_STORE": "redis://127.0.0.1:1",
                   "RATELIMIT_REDIS_PASSWORD_FILE": "/run/secrets/password"}

    done = run_to_the_end(image, environment=environment,
                          options=["-v", f"{folder}:/run/secrets:ro"])

    line = the_one_line(done, 2)
    assert "RATELIMIT_REDIS_PASSWORD_FILE" in line and "/run/secrets/password" in line
    assert why in line and "s3cret" not in line


@pytest.mark.parametrize("variable", ["RATELIMIT_SPOP_LISTEN", "RATELIMIT_HTTP_LISTEN"])
def test_an_address_that_somebody_has(image, variable):
    with socket.create_server(("127.0.0.1", 0)) as other:
        address = f"127.0.0.1:{other.getsockname()[1]}"

        done = run_to_the_end(image, environment={variable: address})

    assert done.returncode == 1
    assert f"can't listen on {address}: Address already in use" in done.stderr


@pytest.mark.parametrize("variable", ["RATELIMIT_SPOP_LISTEN", "RATELIMIT_HTTP_LISTEN"])
def test_an_address_of_another_machine(image, variable):
    done = run_to_the_end(image, environment={variable: "192.0.2.1:12345"})

    assert done.returncode == 1
    assert "can't listen on 192.0.2.1:12345: Cannot assign requested address" in done.stderr


def test_an_unknown_variable(image):
    done = run_to_the_end(image, environment={"RATELIMIT_POLICY": "/etc/policies.json"})

    assert "RATELIMIT_POLICY" in the_one_line(done, 2)
