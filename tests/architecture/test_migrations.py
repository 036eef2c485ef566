"""Migrations are numbered from 1 without a gap or a double, and say what they do."""

import re

import pytest
from tests.support.house.files import ROOT, code, text_of

FOLDER = "src/tenantry/adapters/postgres/migrations/"


def misnumbered(names: list[str]) -> list[str]:
    """Names that are not NNNN_words.sql, and numbers out of their place."""
    found = [name for name in names if not re.fullmatch(r"\d{4}_[a-z0-9_]+\.sql", name)]
    numbers = sorted(int(name[:4]) for name in names if name not in found)
    expected = range(1, len(numbers) + 1)
    return found + [str(n) for n, want in zip(numbers, expected, strict=True) if n != want]


def test_migrations_are_numbered_without_a_gap():
    names = [path.name for path in (ROOT / FOLDER).iterdir()]
    assert names
    assert misnumbered(names) == []


def test_each_migration_opens_with_what_it_does():
    for name in code(".sql"):
        if name.startswith(FOLDER):
            assert re.match(r"-- \S", text_of(name)), name


@pytest.mark.parametrize(
    "names",
    [["0002_a.sql"], ["0001_a.sql", "0003_b.sql"], ["0001_a.sql", "0001_b.sql"], ["1_a.sql"]],
)
def test_the_rule_finds_what_is_planted(names):
    assert misnumbered(names) != []
    assert misnumbered(["0001_a.sql", "0002_b.sql"]) == []
