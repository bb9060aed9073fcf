"""The unit tests with the compiler and the libraries of Debian 13, on a machine with others."""

import re

import pytest

from processes import ROOT

DOCKERFILE = ROOT / "tests/container/debian-13/Dockerfile"


@pytest.mark.timeout(1500)
def test_the_units_the_limiters_and_the_oracle_pass(image):  # the base comes with it
    said = image.build_from(DOCKERFILE, "localhost/ratelimit-spoa:units").stdout

    ran = re.findall(r"^== build/debug/(?:unit|lua|oracle)/\w+-(test_\w+)$", said, re.MULTILINE)
    tests = [
        *ROOT.glob("tests/unit/**/test_*.c"),
        *ROOT.glob("tests/lua/test_*.c"),
        *ROOT.glob("tests/oracle/test_*.c"),
    ]
    assert sorted(ran) == sorted(path.stem for path in tests)
    assert len(re.findall(r"^ok ", said, re.MULTILINE)) > 800
    assert not re.search(r"^not ok", said, re.MULTILINE)
