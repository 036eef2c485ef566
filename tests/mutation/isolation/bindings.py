"""Every field that associated data binds, taken away one at a time: found in the code by itself.

A ciphertext is bound to what `associated_data(label, field, …)` holds. The calls are read from the
source, so that a new binding, or a new field of one, gets its mutants; `SUITES` says which tests
must notice. A field is taken out of all calls of its file: one that is bound twice is not bound.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

SOURCE = Path(__file__).parents[3] / "src"
_CALL = "associated_data"
# Below src/tenantry → the suites that hold its bindings, as far as there are such.
SUITES: Mapping[str, tuple[str, ...]] = {
    "adapters/sealed/frames.py": (
        "tests/unit/knowledge/test_envelope.py",
        "tests/unit/knowledge/test_sealed_format.py",
    ),
    "adapters/sealed/sealer.py": (
        "tests/unit/knowledge/test_blob_binding.py",
        "tests/unit/knowledge/test_envelope.py",
    ),
    "adapters/keys/keyring.py": ("tests/unit/knowledge/test_keys.py",),
    "adapters/keys/local_kms.py": (
        "tests/unit/knowledge/test_root_keys.py",
        "tests/contract/keys/test_kms.py",
    ),
}


@dataclass(frozen=True, slots=True, order=True)
class Binding:
    """A field, as the code calls it, of what one file binds."""

    file: str  # below src/tenantry
    field: str

    @property
    def path(self) -> str:
        return f"tenantry/{self.file}"

    @property
    def killers(self) -> tuple[str, ...]:
        assert self.file in SUITES, f"say in SUITES which tests hold what {self.file} binds"
        return tuple(name for name in SUITES[self.file] if (SOURCE.parent / name).exists())

    def planted(self, text: str) -> str:
        """The file, which forgets the field."""
        tree = ast.parse(text)
        for call in _calls(tree):
            call.args = [arg for arg in call.args if ast.unparse(arg) != self.field]
        return ast.unparse(tree)


def bindings() -> list[Binding]:
    root = SOURCE / "tenantry"
    texts = {path: path.read_text("utf-8") for path in root.rglob("*.py")}
    return sorted(
        {
            Binding(str(path.relative_to(root)), ast.unparse(field))
            for path, text in texts.items()
            if f"{_CALL}(" in text
            for call in _calls(ast.parse(text))
            for field in call.args
            if not isinstance(field, ast.Constant)  # the label: what kind of thing it is
        }
    )


def _calls(tree: ast.Module) -> Iterator[ast.Call]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == _CALL:
            yield node
