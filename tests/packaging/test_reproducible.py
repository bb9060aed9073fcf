"""The binary does not depend on the folder in which it is built."""

from agent import BINARY
from processes import ROOT


def test_no_path_of_the_tree_is_in_the_binary():
    assert str(ROOT).encode() not in (ROOT / BINARY).read_bytes()
