"""One tree of errors: each with its own code, its own sentence, and its place in the drawing."""

import ast
import re

import pytest
from tests.support.house.files import code, text_of

from tenantry.domain import errors
from tenantry.domain.errors import TenantryError

_DERIVED = re.compile(r"\bclass\s+\w+\s*[\[(]")
HOME = "src/tenantry/domain/errors.py"


def tree() -> list[type[TenantryError]]:
    found = [TenantryError]
    for each in found:
        found += [sub for sub in each.__subclasses__() if sub.__module__ == errors.__name__]
    return found


def flaws(classes: list[type[TenantryError]], drawing: str) -> list[str]:
    """What is wrong with these classes: a code that is missing or shared, no sentence, no place."""
    found = []
    seen: dict[str, str] = {}
    for each in classes:
        own = vars(each).get("code")
        if own is None or own in seen:
            found.append(f"{each.__name__}: code {own} is not its own")
        seen[own or each.__name__] = each.__name__
        if not (vars(each).get("__doc__") or "").strip().endswith("."):
            found.append(f"{each.__name__}: its docstring is no sentence")
        if each.__name__ not in drawing:
            found.append(f"{each.__name__}: not in the drawing")
    return found


def bases_elsewhere(text: str, names: set[str]) -> list[str]:
    """Classes of this text that derive from one of `names`."""
    if not _DERIVED.search(text) or not any(name in text for name in names):
        return []  # as of most files, which need no parsing then
    return [
        f"line {node.lineno}: {node.name}"
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.ClassDef)
        for base in node.bases
        if getattr(base, "attr", getattr(base, "id", "")) in names
    ]


def test_every_error_has_its_code_its_sentence_and_its_place():
    assert len(tree()) > 20
    assert flaws(tree(), errors.__doc__ or "") == []


def test_a_refusal_is_declared_in_the_tree_and_nowhere_else():
    names = {each.__name__ for each in tree()}
    for name in code(".py", under=("src/tenantry/",)):
        if name != HOME:
            assert bases_elsewhere(text_of(name), names) == [], name


@pytest.mark.parametrize(
    ("code_", "doc"), [("internal", "A sentence."), (None, "A sentence."), ("own", None)]
)
def test_the_rule_finds_what_is_planted(code_, doc):
    class Planted(Exception):
        pass

    Planted.__doc__ = doc
    if code_:
        Planted.code = code_
    assert flaws([TenantryError, Planted], "TenantryError Planted") != []
    assert flaws([TenantryError], "TenantryError") == []
    assert bases_elsewhere("class A(errors.Planted): ...", {"Planted"}) == ["line 1: A"]
