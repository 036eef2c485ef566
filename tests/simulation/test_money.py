"""Seeded tenants, traffic, faults, crashes and changes; an auditor finds no difference.

`pytest tests/simulation/test_money.py --seed N` plays any one seed.
"""

import pytest
from tests.support.postgres import Database
from tests.support.simulated.run import play
from tests.support.simulated.scenario import scenario
from tests.support.simulated.theatre import Theatre

QUICK_SEEDS = range(20)
ALL_SEEDS = range(500)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    asked = metafunc.config.getoption("seed")
    if "seed" not in metafunc.fixturenames:
        return
    if asked is not None:
        metafunc.parametrize("seed", [asked])
        return
    marked = [
        seed if seed in QUICK_SEEDS else pytest.param(seed, marks=pytest.mark.slow)
        for seed in ALL_SEEDS
    ]
    metafunc.parametrize("seed", marked)


def test_the_books_are_right(seed: int, theatre: Theatre, database: Database) -> None:
    verdict = play(theatre, database, scenario(seed))
    how = f"replay: pytest {__file__} --seed {seed}"
    assert verdict.differences == [], how
    assert verdict.violations == [], how


def test_a_scenario_is_a_function_of_its_seed() -> None:
    assert scenario(7) == scenario(7)
    assert scenario(7) != scenario(8)
