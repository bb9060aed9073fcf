"""What the compiler and the linker put into the binary against bugs in memory."""

import subprocess

import pytest

from agent import BINARY


def say(*command):
    return subprocess.run([*command, BINARY], check=True, capture_output=True, text=True).stdout


def test_the_program_is_loaded_at_an_address_of_chance():
    assert "DYN (Position-Independent Executable file)" in say("readelf", "--wide", "--file-header")


def test_what_the_linker_filled_in_is_read_only():
    assert "GNU_RELRO" in say("readelf", "--wide", "--segments")
    assert "BIND_NOW" in say("readelf", "--wide", "--dynamic")


def test_no_stack_can_be_executed():
    stacks = [line.split() for line in say("readelf", "--wide", "--segments").splitlines()
              if "GNU_STACK" in line]
    assert [stack[-2] for stack in stacks] == ["RW"]


def test_a_stack_that_was_overwritten_ends_the_program():
    assert "__stack_chk_fail" in say("nm", "--dynamic")


@pytest.mark.parametrize("function", ["__memcpy_chk", "__memmove_chk", "__snprintf_chk"])
def test_the_library_checks_the_room_of_what_it_writes_to(function):
    """_FORTIFY_SOURCE is 3: at 2 no length that is known only when the program runs is checked."""
    assert function in say("nm", "--dynamic")
