"""No test leans on another: what several share lies in tests/support or a conftest.py."""

import pytest
from tests.support.house.borrowing import borrowed_tests
from tests.support.house.files import code, violations

# Who takes whole tests, and why.
TAKES_TESTS = {
    "tests/mutation/isolation/functions.py": "a mutant of a function is killed by a test of it",
    "tests/mutation/isolation/policies.py": "a mutant of a policy is killed by a test of it",
}


def test_nobody_imports_a_test_module():
    names = [name for name in code(".py") if name not in TAKES_TESTS]
    assert violations(names, borrowed_tests) == []
    assert [name for name in TAKES_TESTS if not violations([name], borrowed_tests)] == []


@pytest.mark.parametrize(
    ("wrong", "right"),
    [
        ("from tests.unit.cli.test_exit import home", "from tests.support.core import principal"),
        ("from tests.unit.cli import test_exit", "from tests.unit import cli"),
        ("import tests.unit.cli.test_exit", "import tests.support.core"),
        ("def f():\n    from .test_exit import home", "from tenantry.test_kit import home"),
        ("from tests.unit.cli.test_exit import *", "from tests.support.house import files"),
    ],
)
def test_the_rule_finds_what_is_planted(wrong, right):
    assert len(borrowed_tests(wrong)) == 1
    assert borrowed_tests(right) == []
