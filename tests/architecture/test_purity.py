"""Money is exact, the environment is read in one place, importing does nothing."""

import pytest
from tests.support.house.files import code, text_of, violations
from tests.support.house.purity import (
    binary_fractions,
    environment_reads,
    foreign_imports,
    import_effects,
    unsafe_paths,
    worldly_imports,
)

MONEY_WORDS = ("money", "price", "rating", "ledger", "usage", "plan", "invoice", "budget", "bound")
MONEY_FOLDERS = ("src/tenantry/domain/", "src/tenantry/ports/")
MONEY_USE_CASES = ("metering", "invoicing", "economics", "reconcil")

# Who else may read the environment, and why.
ENVIRONMENT = {
    "src/tenantry/config.py": "parses the settings, once",
    "src/bedrock_emulator/config.py": "takes accounts whose secrets belong in no file",
    "src/tenantry/adapters/postgres/embedded/cluster.py": "hands its own to its child, unread",
    "src/tenantry/entrypoints/demo/stage.py": "hands its own to its child, unread",
}

# Who else may start a Python that imports from where it is started, and why.
UNSAFE = {"src/tenantry/entrypoints/cli/utf8.py": "begins again with the flags that it has"}


def money_files():
    for name in code(".py", under=("src/tenantry/",)):
        stem = name.rpartition("/")[2]
        if (name.startswith(MONEY_FOLDERS) and any(word in stem for word in MONEY_WORDS)) or (
            name.startswith("src/tenantry/application/") and stem.startswith(MONEY_USE_CASES)
        ):
            yield name


def test_no_binary_fraction_touches_money():
    names = list(money_files())
    assert "src/tenantry/domain/rating.py" in names
    assert violations(names, binary_fractions) == []


def test_no_binary_fraction_is_stored():
    kinds = ("double precision", "float8", "float4", " real")
    for name in code(".sql", under=("src/tenantry/",)):
        lines = [line.partition("--")[0].lower() for line in text_of(name).splitlines()]
        assert [line for line in lines if any(kind in line for kind in kinds)] == [], name


def test_the_environment_is_read_in_one_place():
    names = [name for name in code(".py", under=("src/",)) if name not in ENVIRONMENT]
    assert violations(names, environment_reads) == []
    assert [name for name in ENVIRONMENT if not environment_reads(text_of(name))] == []


def test_what_is_started_imports_nothing_from_the_folder_it_is_started_in():
    names = [name for name in code(".py", under=("src/",)) if name not in UNSAFE]
    assert violations(names, unsafe_paths) == []
    assert [name for name in UNSAFE if not unsafe_paths(text_of(name))] == []


def test_importing_does_nothing():
    assert violations(code(".py", under=("src/", "tools/")), import_effects) == []


def test_the_domain_knows_the_standard_library_alone():
    names = code(".py", under=("src/tenantry/domain/", "src/tenantry/ports/"))
    assert violations(names, foreign_imports) == []


def test_the_domain_has_no_clock_no_chance_and_no_world():
    assert violations(code(".py", under=("src/tenantry/domain/",)), worldly_imports) == []


@pytest.mark.parametrize(
    ("rule", "wrong", "right"),
    [
        (binary_fractions, "cost = 0.1", "cost = Decimal('0.1')"),
        (binary_fractions, "cost: float", "isinstance(cost, (int, float))"),
        (binary_fractions, "isinstance(cost, int) or float(cost)", "cost: Decimal"),
        (binary_fractions, "cost = total / 2", "cost = total // 2"),
        (binary_fractions, "cost /= 2", "cost //= 2"),
        (environment_reads, "import os\nx = os.environ['A']", "x = {}['A']"),
        (environment_reads, "import os\ndef f(): return os.getenv('A')", "import os"),
        (environment_reads, "from os import environ", "from os import path"),
        (
            unsafe_paths,
            "run([sys.executable, '-m', 'a'])",
            "run([sys.executable, '-P', '-m', 'a'])",
        ),
        (unsafe_paths, "spawn(sys.executable, 'a.py')", "spawn(sys.executable, '-I', 'a.py')"),
        (unsafe_paths, "a = [sys.executable, *b]", "os.execv(sys.executable, a)"),
        (import_effects, "f = open('a')", "def g(): return open('a')"),
        (import_effects, "class A:\n    now = datetime.now()", "class A:\n    now: int"),
        (import_effects, "def f(a=time.time()): ...", "def f(a=1): time.time()"),
        (import_effects, "if x:\n    run(['ls'])", "if __name__ == '__main__':\n    run(['ls'])"),
        (import_effects, "@connect('a')\ndef f(): ...", "@cache\ndef f(): connect('a')"),
        (foreign_imports, "import orjson", "import json"),
        (foreign_imports, "from numpy import array", "from tenantry.domain import money"),
        (worldly_imports, "from time import time", "from datetime import datetime"),
        (worldly_imports, "datetime.now(UTC)", "datetime(2026, 1, 1, tzinfo=UTC)"),
    ],
)
def test_each_rule_finds_what_is_planted(rule, wrong, right):
    assert len(rule(wrong)) >= 1
    assert rule(right) == []
