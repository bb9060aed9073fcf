"""Tables of test cases."""

import pytest


def named(table):
    """For pytest.mark.parametrize: a dict from the name of a case to its value, or its values."""
    # A named tuple, such as spop.Typed, counts as one value.
    return [pytest.param(*(values if type(values) is tuple else (values,)), id=name)
            for name, values in table.items()]
