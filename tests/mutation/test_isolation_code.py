"""Every guard of two tenants in the code, taken away one at a time: something notices each."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.mutation.isolation.bindings import SOURCE, Binding, bindings
from tests.mutation.isolation.code import FURTHER, MUTANTS, CodeMutant

ROOT = Path(__file__).parents[2]
TIMEOUT_S = 300
ATTACK = "attack:"
QUICK = ("the groups of an idempotent request",)


def planted(folder: Path, path: str, change: Callable[[str], str]) -> Path:
    """A copy of the source, by links, with one file changed."""
    copy = folder / "src"
    shutil.copytree(SOURCE, copy, copy_function=os.symlink, ignore=shutil.ignore_patterns("*.pyc"))
    target = copy / path
    text = change(target.read_text("utf-8"))
    target.unlink()  # of the link; the file stays
    target.write_text(text, encoding="utf-8")
    return copy


def noticed(source: Path, killers: tuple[str, ...]) -> bool:
    """Whether one of them fails on the changed source."""
    tests = [name for name in killers if not name.startswith(ATTACK)]
    attacks = [name.removeprefix(ATTACK) for name in killers if name.startswith(ATTACK)]
    runs = [[sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", *tests]]
    runs = runs if tests else []
    runs += [[sys.executable, "-m", "tests.mutation.isolation.attacked", name] for name in attacks]
    environment = {**os.environ, "PYTHONPATH": str(source), "PYTHONDONTWRITEBYTECODE": "1"}
    for command in runs:
        try:
            done = subprocess.run(
                command,
                cwd=ROOT,
                env=environment,
                capture_output=True,
                text=True,
                timeout=TIMEOUT_S,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return True  # what waits for ever has found it too
        if done.returncode == 1:
            return True
        assert done.returncode == 0, done.stdout[-2_000:] + done.stderr[-2_000:]
    return False


def change_of(mutant: CodeMutant) -> Callable[[str], str]:
    further = "".join(text for words, text in FURTHER.items() if words in mutant.new)
    return lambda text: mutant.planted(text) + further


@pytest.mark.slow
@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda m: f"{m.kind}: {m.guard}")
def test_a_guard_that_is_missing_is_noticed(mutant: CodeMutant, tmp_path: Path) -> None:
    source = planted(tmp_path, mutant.path, change_of(mutant))
    assert noticed(source, mutant.killers), f"{mutant.file} without {mutant.guard} lives"


@pytest.mark.slow
@pytest.mark.parametrize("binding", bindings(), ids=lambda b: f"{b.file}: {b.field}")
def test_a_field_that_is_not_bound_is_noticed(binding: Binding, tmp_path: Path) -> None:
    source = planted(tmp_path, binding.path, binding.planted)
    assert noticed(source, binding.killers), f"{binding.file} without {binding.field} lives"


@pytest.mark.parametrize("mutant", [m for m in MUTANTS if m.guard in QUICK], ids=lambda m: m.guard)
def test_a_guard_of_each_kind_is_missed(mutant: CodeMutant, tmp_path: Path) -> None:
    assert noticed(planted(tmp_path, mutant.path, change_of(mutant)), mutant.killers)


def test_each_mutant_is_a_change_of_what_is_there() -> None:
    """Here, so that a change of the code tells at once which mutants are to be looked at again."""
    for mutant in MUTANTS:
        text = (SOURCE / mutant.path).read_text("utf-8")
        assert mutant.planted(text) != text
        compile(change_of(mutant)(text), mutant.file, "exec")
    names = [(mutant.kind, mutant.guard) for mutant in MUTANTS]
    assert len(set(names)) == len(names)


def test_each_binding_has_a_suite() -> None:
    found = bindings()
    assert len(found) >= 10
    for binding in found:
        assert binding.killers, f"no suite of {binding.file} is there"
        text = (SOURCE / binding.path).read_text("utf-8")
        compile(binding.planted(text), binding.path, "exec")
