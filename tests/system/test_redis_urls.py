"""--store: which URLs are taken, and which error names the mistake in a URL that is refused."""

import pytest

import agent as agents

GOOD = [
    "memory:", "redis://localhost", "redis://localhost:6379", "redis://localhost/0",
    "redis://localhost/",
    "redis://localhost:6379/15", "redis://127.0.0.1:1", "redis://[::1]", "redis://[::1]:6380/2",
    "redis://cache-1.example.com:65535", "redis://under_score",
    "redis+unix:///run/redis.sock",
    "redis+unix:///run/redis.sock?db=3", "redis+unix:///run/with%20space.sock",
]

# And what the line has to say of the mistake: any of these words.
BAD = {
    "": ["memory:"],
    "redis": ["redis://"],
    "redis:": ["redis://"],
    "redis:/localhost": ["redis://"],
    "redis//localhost": ["redis://"],
    "REDIS": ["redis://"],
    "http://localhost": ["redis://"],
    "redis://": ["host"],
    "redis://:6379": ["host"],
    "redis:///1": ["host"],
    "redis://agent@": ["host"],
    "redis://local host": ["host"],
    "redis://a..b/%zz": ["host", "database", "db"],
    "redis://" + "x" * 300: ["host"],
    "redis://[::1": ["host", "address", "]"],
    "redis://[::1]x": ["host", "port"],
    "redis://[nonsense]": ["host", "address"],
    "redis://::1": ["host", "port"],
    "redis://localhost:": ["port"],
    "redis://localhost:0": ["port"],
    "redis://localhost:65536": ["port"],
    "redis://localhost:-1": ["port"],
    "redis://localhost:6379x": ["port"],
    "redis://localhost:0x1": ["port"],
    "redis://localhost:99999999999999999999": ["port"],
    "redis://localhost/x": ["database", "db"],
    "redis://localhost/-1": ["database", "db"],
    "redis://localhost/1/2": ["database", "db"],
    "redis://localhost/99999999999": ["database", "db"],
    "redis://localhost/1?db=2": ["database", "db", "?"],
    "redis://localhost?db=2": ["host", "port", "database", "db", "?"],
    "redis://localhost/1#x": ["database", "db", "#"],
    "redis://a%4@localhost": ["user", "%"],
    "redis://a%zz@localhost": ["user", "%"],
    "redis://a%00b@localhost": ["user", "%"],
    "redis+unix://": ["path"],
    "redis+unix:relative": ["path"],
    "redis+unix://relative": ["path"],
    "redis+unix://agent@/run/r.sock": ["path"],
    "redis+unix:///" + "x" * 200: ["path"],
    "redis+unix:///run/r%00.sock": ["path", "%"],
    "redis+unix:///run/r.sock?db=": ["db", "database"],
    "redis+unix:///run/r.sock?db=x": ["db", "database"],
    "redis+unix:///run/r.sock?mode=0600": ["db", "database", "?"],
    "redis+unix:///run/r.sock?db=1&db=2": ["db", "database", "?"],
    " redis://localhost": ["redis://"],
    "redis://localhost ": ["host"],
    "redis://local\nhost": ["host"],
    "redis://local\x01host": ["host"],
}
SECRETS = ["redis://:hunter2@localhost", "redis://agent:hunter2@localhost:6379/1",
           "redis://agent:hunter2@", "redis://:hunter2@localhost:99999", "redis://:hunter2",
           "redis://a:hunter2@[::1", "redis+unix://:hunter2@/run/r.sock", "redis://:hunter2@h/x",
           "redis://a:hunt%65r2@localhost/hunter2@", "redis://a:b:hunter2@localhost",
           "redis://a:hunter2%@localhost", "rediss://a:hunter2@localhost:x", "memory:hunter2@",
           "redis://a:%00hunter2@localhost", "redis://a:" + "hunter2" * 400 + "@localhost"]


# Which of them is an error depends on how the agent was built, and on the machine.
TLS = ["rediss://localhost", "rediss://localhost:6380/2", "rediss://[::1]"]


def the_one_line(done):
    assert (done.returncode, done.stdout) == (2, ""), done
    (line,) = done.stderr.splitlines()
    return line


@pytest.mark.parametrize("store", GOOD)
def test_a_good_store_is_taken(store):
    done = agents.run("check-config", "--store", store)

    assert (done.returncode, done.stderr) == (0, "")
    assert agents.run("check-config", env={"RATELIMIT_STORE": store}).returncode == 0


@pytest.mark.parametrize("store, words", BAD.items(), ids=lambda value: repr(value)[1:33])
def test_a_bad_store_is_refused_and_the_mistake_named(store, words):
    for done, name in ((agents.run("check-config", "--store", store), "--store"),
                       (agents.run("serve", env={"RATELIMIT_STORE": store}), "RATELIMIT_STORE")):
        line = the_one_line(done)
        assert name in line
        said = line.replace(store, "") if len(store) > 10 else line
        assert any(word in said for word in words), line


@pytest.mark.parametrize("store", SECRETS, ids=lambda value: value[:32])
def test_what_may_be_a_password_in_a_flag_is_refused_and_not_repeated(store):
    line = the_one_line(agents.run("check-config", "--store", store))

    assert "--store" in line
    assert "hunt" not in line


@pytest.mark.parametrize("store", SECRETS[2:6] + SECRETS[7:8] + SECRETS[10:],
                         ids=lambda value: value[:32])
def test_a_mistake_in_the_environments_url_does_not_show_the_password(store):
    line = the_one_line(agents.run("check-config", env={"RATELIMIT_STORE": store}))

    assert "RATELIMIT_STORE" in line
    assert "hunt" not in line


def test_a_user_without_a_password_is_refused():
    line = the_one_line(agents.run("check-config", "--store", "redis://agent@localhost"))

    assert "RATELIMIT_REDIS_PASSWORD" in line


@pytest.mark.parametrize("name", ["RATELIMIT_REDIS_USER", "RATELIMIT_REDIS_PASSWORD"])
def test_a_user_or_a_password_that_is_too_long_is_refused(name):
    both = {"RATELIMIT_REDIS_USER": "agent", "RATELIMIT_REDIS_PASSWORD": "hunter2"}

    line = the_one_line(agents.run("check-config", "--store", "redis://localhost",
                                   env={**both, name: "x" * 5000}))

    assert name in line
    assert "xxxx" not in line and "hunter2" not in line


def test_a_password_and_a_password_file_together_are_refused(tmp_path):
    (tmp_path / "password").write_text("hunter2")

    line = the_one_line(agents.run("check-config", "--store", "redis://localhost", env={
        "RATELIMIT_REDIS_PASSWORD": "hunter2",
        "RATELIMIT_REDIS_PASSWORD_FILE": str(tmp_path / "password")}))

    assert "RATELIMIT_REDIS_PASSWORD" in line
    assert "hunter2" not in line


@pytest.mark.parametrize("content", [b"", b"\n", b"x" * 10_000, b"\xef\xbb\xbfx"])
def test_a_password_file_without_a_usable_password_is_refused(tmp_path, content):
    (tmp_path / "password").write_bytes(content)

    line = the_one_line(agents.run("check-config", "--store", "redis://localhost", env={
        "RATELIMIT_REDIS_PASSWORD_FILE": str(tmp_path / "password")}))

    assert "RATELIMIT_REDIS_PASSWORD_FILE" in line or str(tmp_path / "password") in line
    assert "xxxx" not in line


def test_a_password_for_the_memory_store_is_no_mistake():
    """It may come from a secret that several programs share."""
    assert agents.run("check-config", env={"RATELIMIT_REDIS_PASSWORD": "hunter2"}).returncode == 0


@pytest.mark.parametrize("url", TLS)
def test_tls_is_there_or_refused_in_a_line_that_says_what_it_needs(url, tmp_path):
    """With TLS the file is missed, without TLS the library. tests/container/test_tls.py has the
    rest."""
    line = the_one_line(agents.run("check-config", "--store", url, "--redis-ca-file",
                                   tmp_path / "nowhere"))

    if "not in this build" in line:
        assert "--store" in line and "hiredis" in line
    else:
        assert "--redis-ca-file" in line and "No such file" in line


@pytest.mark.parametrize("option", ["ca-file", "cert-file", "key-file", "tls-name"])
def test_an_option_of_tls_without_tls_is_refused(option):
    for url in ("redis://localhost", "redis+unix:///run/redis.sock"):
        line = the_one_line(agents.run("check-config", "--store", url, f"--redis-{option}", "x"))
        assert f"--redis-{option}" in line and "rediss://" in line
