"""Nothing is left open, switched off, or true on one machine alone."""

import pytest
from tests.support.house.files import CODE, FROZEN, code, tracked, violations
from tests.support.house.hygiene import (
    loose_lock,
    machine_paths,
    notes,
    possessive_groups,
    raised_in_groups,
    switched_off,
    unfinished,
)

TEXT = (".py", ".sql", ".md", ".toml", ".sh", ".yml", ".yaml", ".html", ".js", ".css", ".csv")
BARE = ("Makefile", "NOTICE", ".ci/run", ".gitignore")

# Tests that cannot run everywhere, and why.
SKIPPING = {
    "tests/integration/postgres/test_cluster_place.py": "what only root, or a root that may "
    "mount, can show",
    "tests/unit/config/test_home_owner.py": "only root can give a folder to another user",
    "tests/contract/focus/test_validator.py": "its package wants a newer Python and other "
    "versions of what we lock",
}
FOLDERS = {".ci", "benchmarks", "docs", "locks", "src", "tests", "tools"}
PAGES = {
    ".gitignore",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "LICENSE",
    "Makefile",
    "NOTICE",
    "README.md",
    "pyproject.toml",
}
THIS = ("tests/architecture/test_hygiene.py", "tests/architecture/test_purity.py")


def prose_and_code():
    named = [n for n in tracked() if n.endswith(TEXT) or n in BARE]
    return [n for n in named if not n.startswith(FROZEN) and n not in THIS]


def test_no_notes_to_self():
    assert violations(prose_and_code(), notes) == []


def test_nothing_is_half_built():
    assert violations(code(".py", under=CODE), unfinished) == []


def test_patterns_mean_the_same_to_every_python():
    assert violations(code(".py", under=CODE), possessive_groups) == []


def test_exceptions_out_of_groups_are_the_same_to_every_python():
    assert violations(code(".py", under=CODE), raised_in_groups) == []


def test_no_test_is_switched_off():
    names = [name for name in code(".py", under=("tests/",)) if name not in SKIPPING]
    assert violations(names, switched_off) == []
    assert [name for name in SKIPPING if not violations([name], switched_off)] == []


def test_nothing_names_one_machine():
    assert violations(prose_and_code(), machine_paths) == []


def test_the_root_holds_what_a_newcomer_looks_for_alone():
    at_root = {name.partition("/")[0] for name in tracked()}
    assert at_root - FOLDERS - PAGES == set()


def test_locks_hold_names_and_hashes_alone():
    names = [name for name in tracked() if name.startswith("locks/")]
    assert len(names) >= 3
    assert violations(names, loose_lock) == []


HASH = "    --hash=sha256:" + "0" * 64


@pytest.mark.parametrize(
    ("rule", "wrong", "right"),
    [
        (notes, "# TO" + "DO: later", "# methodology"),
        (notes, "-- FIX" + "ME", "-- fixed"),
        (possessive_groups, "(?:ab?)" + "*+", "a*+(?:ab?)*"),
        (raised_in_groups, "try: a()\nexcept* E as e: raise e", "try: a()\nexcept E: raise"),
        (possessive_groups, "(?:ab?){{0,31}}" + "+", "[ab]{0,31}+"),
        (unfinished, "raise NotImplementedError", "except_ = NotImplementedError"),
        (unfinished, "raise NotImplementedError('x')", "raise ValueError('x')"),
        (
            unfinished,
            "try: f()\nexcept Exception: pass",
            "try: f()\nexcept KeyError: pass",
        ),
        (unfinished, "try: f()\nexcept: ...", "try: f()\nexcept Exception: log()"),
        (unfinished, "try: f()\nexcept (Exception): pass", "try: f()\nexcept OSError: pass"),
        (switched_off, "import pytest\n@pytest.mark.xfail\ndef test(): ...", "skip = 1"),
        (switched_off, "pytest.skip('no')", "lines.skip('no')"),
        (machine_paths, "x = '/home/ann/x'", "x = '/var/lib/tenantry'"),
        (machine_paths, "see ../" + "shared/facts", "see ../sharedness"),
        (machine_paths, "pip --index-" + "url https://a", "index_url"),
        (machine_paths, "https://a.example/pypi/simple", "https://a.example/simpler"),
        (loose_lock, "a==1", f"a==1 \\\n{HASH}"),
        (loose_lock, f"a @ https://a.example/a.whl\n{HASH}", f"a==1 ; b == 'c' \\\n{HASH}"),
        (loose_lock, f"-e .\n{HASH}", f"a[b]==1 \\\n{HASH} \\\n{HASH}"),
        (loose_lock, f"a>=1\n{HASH}", ""),
    ],
)
def test_each_rule_finds_what_is_planted(rule, wrong, right):
    assert len(rule(wrong)) >= 1
    assert rule(right) == []
