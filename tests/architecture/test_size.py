"""Files of at most 400 lines, functions of at most 70."""

import pytest
from tests.support.house.files import code, violations
from tests.support.house.size import (
    FILE_LINES_MAX,
    FUNCTION_LINES_MAX,
    long_file,
    long_functions,
)


def test_files_fit():
    assert violations(code(".py", ".sql"), long_file) == []


def test_functions_fit():
    assert violations(code(".py"), long_functions) == []


@pytest.mark.parametrize("extra", [0, 1])
def test_the_rules_count_lines(extra):
    file = "x = 1\n" * (FILE_LINES_MAX + extra)
    body = "    x = 1\n" * (FUNCTION_LINES_MAX - 1 + extra)
    assert len(long_file(file)) == extra
    assert len(long_functions(f"class A:\n  async def f():\n{body}")) == extra
