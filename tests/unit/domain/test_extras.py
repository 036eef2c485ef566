"""What is told of an extra can be done, and leads to no package of that name on an index."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from tenantry.domain.extras import HOW_TO, extra_of

ROOT = Path(__file__).parents[3]
TEXTS = [*ROOT.glob("src/**/*.py"), *ROOT.glob("docs/**/*.md"), ROOT / "README.md"]
CALLED = re.compile(r"extra_of\(['\"](\w+)['\"]\)")
# `pip install tenantry` and `install tenantry[aws]`, in whatever dress.
FROM_AN_INDEX = re.compile(r"\bpip install [^\n]*?[\s'\"]tenantry\b|\btenantry\[\w")


def extras() -> set[str]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    return set(project["optional-dependencies"])


def test_each_extra_that_is_told_of_is_one() -> None:
    called = {name for path in TEXTS for name in CALLED.findall(path.read_text("utf-8"))}
    assert {"aws", "stripe", "archive"} <= called <= extras()


def test_it_is_installed_from_a_checkout_as_the_page_says() -> None:
    assert "pip install '.[aws]'" in extra_of("aws")
    assert extra_of("aws").endswith(f"({HOW_TO})")
    page = (ROOT / HOW_TO).read_text("utf-8")
    assert "## Install" in page and "'.[aws,archive]'" in page


@pytest.mark.parametrize("wrong", ["pip install -U tenantry", "`install tenantry[aws]`."])
def test_what_would_be_found(wrong: str) -> None:
    assert FROM_AN_INDEX.search(wrong)


def test_nothing_says_to_install_tenantry_from_an_index() -> None:
    """The name is not ours there: whoever took it could run code where it is installed."""
    found = {
        f"{path.relative_to(ROOT)}: {line.strip()}"
        for path in TEXTS
        for line in path.read_text("utf-8").splitlines()
        if FROM_AN_INDEX.search(line)
    }
    assert found == set()
