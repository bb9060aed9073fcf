"""Completion in real shells, which packaging/pages/make-completion makes of the agent's help."""

import re

import pytest

import agent
from tools import Shell, run

COMMANDS = re.findall(r"^(?:usage:|      ) ratelimit-spoa \[?([a-z-]+)",
                      agent.run("--help").stdout, re.MULTILINE)


def flags_of(command):
    """The flags that the agent's help names for a command, and those that it takes besides."""
    told = agent.run(command, "--help").stdout
    flags = re.findall(r"^  --(\S+)", told, re.MULTILINE)
    if "takes all options of serve" in told:
        flags += re.findall(r"^  --(\S+)", agent.run("serve", "--help").stdout, re.MULTILINE)
    return {f"--{flag}" for flag in [*flags, "help"]}


@pytest.fixture(name="complete")
def make_complete(pages):
    """Asks bash what it would offer for the last of these words."""
    def complete(*words, breaks=" \t\n\"'><=;|&(:"):
        script = 'source "$1"; shift; COMP_WORDBREAKS=$1; shift; COMP_WORDS=("$@"); ' \
            'COMP_CWORD=$(($# - 1)); _ratelimit_spoa; printf "%s\\n" "${COMPREPLY[@]}"'
        return run("bash", "-c", script, "bash", pages / "bash/ratelimit-spoa", breaks,
                   "ratelimit-spoa", *words).split()
    return complete


@pytest.mark.parametrize("command", COMMANDS)
def test_bash_offers_the_flags_of_a_command(complete, command):
    assert set(complete(command, "--")) == flags_of(command)


def test_bash_offers_the_commands_and_serves_flags_without_one(complete):
    assert {"serve", "replay", "version"} <= set(COMMANDS)
    assert set(complete("")) == set(COMMANDS)
    assert set(complete("--")) == flags_of("serve")


@pytest.mark.parametrize("words,offered", [
    (["--on-error", ""], ["allow", "deny", "local"]),
    (["--on-error", "=", "d"], ["deny"]),
    (["--on-error", "="], ["allow", "deny", "local"]),
    (["replay", "--log-format", ""], []),
    (["--log-format", "t"], ["text"]),
    (["top", "--last", "5"], ["5m"]),
    (["--spop-vars", "ratelimit_"], ["ratelimit_policy"]),
    (["--store", ""], []),
    (["balance", ""], []),
])
def test_bash_offers_the_words_that_a_flag_accepts(complete, words, offered):
    assert complete(*words) == offered


def test_bash_takes_a_flag_and_its_value_as_one_word_too(complete):
    assert complete("--on-error=l", breaks=" \t\n") == ["--on-error=local"]


def test_bash_offers_files(complete, tmp_path):
    (tmp_path / "limits.json").touch()

    assert complete("--policies", f"{tmp_path}/lim") == [f"{tmp_path}/limits.json"]
    assert complete("replay", f"{tmp_path}/lim") == [f"{tmp_path}/limits.json"]


def test_shellcheck_finds_nothing_to_say(pages):
    assert run("shellcheck", "--shell=bash", pages / "bash/ratelimit-spoa") == ""


def shows_all(flags):
    return lambda shown: all(re.search(rf"{flag}(?![\w-])", shown) for flag in flags)


def redis_flags():
    return {flag for flag in flags_of("serve") if flag.startswith("--redis-")}


def test_whoever_types_in_bash_sees_the_flags(pages, started):
    shell = Shell("bash", "--norc", "--noprofile", "-i", env={"INPUTRC": "/dev/null"})
    started.append(shell)
    shell.type("bind 'set show-all-if-ambiguous on' 'set completion-query-items 0'\n"
               f"source {pages}/bash/ratelimit-spoa && echo rea''dy\n")
    shell.wait_for(lambda shown: "ready" in shown, "the shell to be ready")

    assert len(redis_flags()) >= 4
    shell.type("ratelimit-spoa --redis-\t")
    shell.wait_for(shows_all(redis_flags()), "the flags")


def test_whoever_types_in_zsh_sees_the_flags(pages, started):
    shell = Shell("zsh", "-f", "-i")
    started.append(shell)
    shell.type(f"unsetopt zle_bracketed_paste; fpath=({pages}/zsh $fpath); LISTMAX=0; "
               "autoload -U compinit && compinit -u -D && echo rea''dy\n")
    shell.wait_for(lambda shown: "ready" in shown, "the shell to be ready")

    shell.type("ratelimit-spoa --redis-\t\t")
    shell.wait_for(shows_all(redis_flags()), "the flags")


def test_zsh_gets_the_same_flags_as_bash(pages):
    """What the function gives to zsh's own _arguments, in the place of which this prints."""
    for command in COMMANDS:
        told = run("zsh", "-f", "-c", '_arguments() { print -rl -- "$@" }; words=(x $2 -- ""); '
                   'CURRENT=4; source $1', "zsh", pages / "zsh/_ratelimit-spoa", command)
        assert set(re.findall(r"^(--[\w-]+)", told, re.MULTILINE)) == flags_of(command)
